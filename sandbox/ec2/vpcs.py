"""VPCs and their CIDR blocks: visibility, the allowed CIDR blocks, and the deletion of a VPC."""

import ipaddress
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import InvalidVPCIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import VPC, VPCBackend

from sandbox.ec2.errors import client_error
from sandbox.ec2.timeline import is_describing
from sandbox.settings import SETTINGS

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def install() -> None:
    """Patches moto's VPCs with the rules below. `peerings` patches the backend methods that they use."""
    VPC.__init__ = _with_visibility_delay(VPC.__init__)
    VPCBackend.describe_vpcs = _only_visible(VPCBackend.describe_vpcs)
    VPCBackend.associate_vpc_cidr_block = _validated(VPCBackend.associate_vpc_cidr_block)
    VPCBackend.disassociate_vpc_cidr_block = _without_local_route(VPCBackend.disassociate_vpc_cidr_block)
    VPCBackend.delete_vpc = _with_peerings(VPCBackend.delete_vpc)


def blocks(vpc: VPC) -> list[Network]:
    """Returns the associated CIDR blocks of both families."""
    sets = vpc.get_cidr_block_association_set(ipv6=False) + vpc.get_cidr_block_association_set(ipv6=True)
    return [
        ipaddress.ip_network(one["cidr_block"], strict=False)
        for one in sets
        if one["cidr_block_state"]["state"] == "associated"
    ]


def first_overlap(ours: list[Network], theirs: list[Network]) -> tuple[Network, Network] | None:
    """Returns the first two CIDR blocks that overlap, or None."""
    for a in ours:
        for b in theirs:
            if a.version == b.version and a.overlaps(b):
                return a, b
    return None


def _with_visibility_delay(init: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: VPC, *args: Any, **kwargs: Any) -> None:
        self.visible_from = SETTINGS.clock() + SETTINGS.visibility_ms / 1000
        init(self, *args, **kwargs)

    return __init__


def is_visible(resource: Any) -> bool:
    """Returns whether Describe calls return a resource yet: EC2 is eventually consistent.

    https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
    """
    return not is_describing() or SETTINGS.clock() >= getattr(resource, "visible_from", 0.0)


def _only_visible(describe: Callable[..., list[VPC]]) -> Callable[..., list[VPC]]:
    def describe_vpcs(self: EC2Backend, vpc_ids: list[str] | None = None, filters: Any = None) -> list[VPC]:
        for vpc_id in vpc_ids or []:
            if vpc_id not in self.vpcs or not is_visible(self.vpcs[vpc_id]):
                raise InvalidVPCIdError(vpc_id)
        return [vpc for vpc in describe(self, vpc_ids, filters) if is_visible(vpc)]

    return describe_vpcs


def _validated(associate: Callable[..., Any]) -> Callable[..., Any]:
    """Rejects CIDR blocks that a VPC cannot have: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""

    def associate_vpc_cidr_block(
        self: EC2Backend, vpc_id: str, cidr_block: str, amazon_provided_ipv6_cidr_block: bool
    ) -> Any:
        vpc = self.get_vpc(vpc_id)
        if cidr_block:
            _refuse_block(self, vpc, ipaddress.ip_network(cidr_block, strict=False))
        association = associate(self, vpc_id, cidr_block, amazon_provided_ipv6_cidr_block)
        for peering in self.peerings_of(vpc):
            # The accepter may add an overlapping CIDR block; the pending request then fails.
            if peering.is_pending and first_overlap(blocks(vpc), blocks(peering.other(vpc))):
                peering.fail()
        return association

    return associate_vpc_cidr_block


def _refuse_block(backend: EC2Backend, vpc: VPC, block: Network) -> None:
    if first_overlap([block], blocks(vpc)):
        raise client_error(
            "InvalidVpc.Range", f"The CIDR '{block}' conflicts with another subnet or block of {vpc.id}"
        )
    for table in backend.route_tables.values():
        if table.vpc_id != vpc.id:
            continue
        for route in table.routes:
            to = route.destination_cidr_block or route.destination_ipv6_cidr_block
            # Only a CIDR block that contains a destination is rejected; a more specific one may be added.
            if to and not route.local and _covers(block, ipaddress.ip_network(to)):
                raise client_error(
                    "InvalidVpc.Range",
                    f"The CIDR '{block}' is the same as or larger than route {to} of {table.id}",
                )
    for peering in backend.peerings_of(vpc):
        if peering.is_pending and peering.requester is vpc:
            raise client_error(
                "OperationNotPermitted", f"{vpc.id} has requested {peering.id}, which is pending acceptance"
            )
        peer = peering.other(vpc)
        if peering.status in ("provisioning", "active") and first_overlap([block], blocks(peer)):
            message = f"The CIDR '{block}' overlaps a block of {peer.id}, peered by {peering.id}"
            raise client_error("InvalidVpc.Range", message)


def _covers(block: Network, other: Network) -> bool:
    return block.version == other.version and other.subnet_of(block)  # type: ignore[arg-type]


def _without_local_route(disassociate: Callable[..., Any]) -> Callable[..., Any]:
    """moto stops at the first VPC without the association, and treats `/56` CIDR blocks as IPv4."""

    def disassociate_vpc_cidr_block(self: EC2Backend, association_id: str) -> Any:
        for vpc in self.vpcs.values():
            if association_id in vpc._cidr_block_association_set:
                association = vpc.disassociate_vpc_cidr_block(association_id)
                for table in self.route_tables.values():
                    if table.vpc_id == vpc.id:
                        _drop_local(table, association["cidr_block"])
                        table.record_history()
                return association
        return disassociate(self, association_id)

    return disassociate_vpc_cidr_block


def _drop_local(table: Any, block: str) -> None:
    for key, route in list(table._routes.items()):
        if route.local and block in (route.destination_cidr_block, route.destination_ipv6_cidr_block):
            del table._routes[key]


def _with_peerings(delete: Callable[..., VPC]) -> Callable[..., VPC]:
    """Deleting a VPC deletes its peerings; a request from another account must be rejected first.

    https://docs.aws.amazon.com/vpc/latest/peering/delete-vpc-peering-connection.html
    There are also reports of DependencyViolation while a peering is active; this sandbox follows the
    documentation. https://github.com/hashicorp/terraform-provider-aws/issues/3118
    """

    def delete_vpc(self: EC2Backend, vpc_id: str) -> VPC:
        vpc = self.get_vpc(vpc_id)
        live = [peering for peering in self.peerings_of(vpc) if peering.is_live]
        for peering in live:
            foreign = peering.accepter is vpc and peering.requester.owner_id != vpc.owner_id
            if foreign and peering.status == "pending-acceptance":
                raise client_error(
                    "DependencyViolation", f"{vpc_id} has the incoming request {peering.id}; reject it first"
                )
        deleted = delete(self, vpc_id)
        for peering in live:
            peering.delete(self)
        return deleted

    return delete_vpc
