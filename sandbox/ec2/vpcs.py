"""VPCs and their blocks: when a new VPC is seen, which blocks it may take, what goes with a deleted one."""

import ipaddress
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import InvalidVPCIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import VPC, VPCBackend

from sandbox.ec2.errors import fail
from sandbox.ec2.timeline import is_describing
from sandbox.settings import SETTINGS

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def install() -> None:
    """Lays the rules below over moto's VPCs. Those about peerings ask the backend, which has them by then."""
    VPC.__init__ = _dated(VPC.__init__)
    VPCBackend.describe_vpcs = _delayed(VPCBackend.describe_vpcs)
    VPCBackend.associate_vpc_cidr_block = _checked(VPCBackend.associate_vpc_cidr_block)
    VPCBackend.disassociate_vpc_cidr_block = _without_local_route(VPCBackend.disassociate_vpc_cidr_block)
    VPCBackend.delete_vpc = _with_peerings(VPCBackend.delete_vpc)


def blocks(vpc: VPC) -> list[Network]:
    """The associated blocks of both families."""
    sets = vpc.get_cidr_block_association_set(ipv6=False) + vpc.get_cidr_block_association_set(ipv6=True)
    return [
        ipaddress.ip_network(one["cidr_block"], strict=False)
        for one in sets
        if one["cidr_block_state"]["state"] == "associated"
    ]


def first_overlap(ours: list[Network], theirs: list[Network]) -> tuple[Network, Network] | None:
    """The first two blocks that share addresses: one contains the other, whatever their sizes."""
    for a in ours:
        for b in theirs:
            if a.version == b.version and a.overlaps(b):
                return a, b
    return None


def _dated(init: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: VPC, *args: Any, **kwargs: Any) -> None:
        self.seen_from = SETTINGS.clock() + SETTINGS.visibility_ms / 1000
        init(self, *args, **kwargs)

    return __init__


def is_seen(resource: Any) -> bool:
    """Whether describes show a resource yet: EC2 is eventually consistent.

    https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
    """
    return not is_describing() or SETTINGS.clock() >= getattr(resource, "seen_from", 0.0)


def _delayed(describe: Callable[..., list[VPC]]) -> Callable[..., list[VPC]]:
    def describe_vpcs(self: EC2Backend, vpc_ids: list[str] | None = None, filters: Any = None) -> list[VPC]:
        for vpc_id in vpc_ids or []:
            if vpc_id not in self.vpcs or not is_seen(self.vpcs[vpc_id]):
                raise InvalidVPCIdError(vpc_id)
        return [vpc for vpc in describe(self, vpc_ids, filters) if is_seen(vpc)]

    return describe_vpcs


def _checked(associate: Callable[..., Any]) -> Callable[..., Any]:
    """Which blocks a VPC cannot take: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""

    def associate_vpc_cidr_block(
        self: EC2Backend, vpc_id: str, cidr_block: str, amazon_provided_ipv6_cidr_block: bool
    ) -> Any:
        vpc = self.get_vpc(vpc_id)
        if cidr_block:
            _refuse_block(self, vpc, ipaddress.ip_network(cidr_block, strict=False))
        answer = associate(self, vpc_id, cidr_block, amazon_provided_ipv6_cidr_block)
        for peering in self.peerings_of(vpc):
            # The accepter may take a block that overlaps: the request that waits for it then fails.
            if peering.is_unanswered and first_overlap(blocks(vpc), blocks(peering.other(vpc))):
                peering.fail()
        return answer

    return associate_vpc_cidr_block


def _refuse_block(backend: EC2Backend, vpc: VPC, block: Network) -> None:
    if first_overlap([block], blocks(vpc)):
        raise fail(
            "InvalidVpc.Range", f"The CIDR '{block}' conflicts with another subnet or block of {vpc.id}"
        )
    for table in backend.route_tables.values():
        if table.vpc_id != vpc.id:
            continue
        for route in table.routes:
            to = route.destination_cidr_block or route.destination_ipv6_cidr_block
            # The same as a destination, or larger; a smaller block is more specific and may be added.
            if to and not route.local and _covers(block, ipaddress.ip_network(to)):
                raise fail(
                    "InvalidVpc.Range",
                    f"The CIDR '{block}' is the same as or larger than route {to} of {table.id}",
                )
    for peering in backend.peerings_of(vpc):
        if peering.is_unanswered and peering.requester is vpc:
            raise fail(
                "OperationNotPermitted", f"{vpc.id} has requested {peering.id}, which is pending acceptance"
            )
        peer = peering.other(vpc)
        if peering.status in ("provisioning", "active") and first_overlap([block], blocks(peer)):
            message = f"The CIDR '{block}' overlaps a block of {peer.id}, peered by {peering.id}"
            raise fail("InvalidVpc.Range", message)


def _covers(block: Network, other: Network) -> bool:
    return block.version == other.version and other.subnet_of(block)  # type: ignore[arg-type]


def _without_local_route(disassociate: Callable[..., Any]) -> Callable[..., Any]:
    """moto stops at the first VPC that does not have the association, and takes `/56` blocks for IPv4."""

    def disassociate_vpc_cidr_block(self: EC2Backend, association_id: str) -> Any:
        for vpc in self.vpcs.values():
            if association_id in vpc._cidr_block_association_set:
                answer = vpc.disassociate_vpc_cidr_block(association_id)
                for table in self.route_tables.values():
                    if table.vpc_id == vpc.id:
                        _drop_local(table, answer["cidr_block"])
                        table.remember()
                return answer
        return disassociate(self, association_id)

    return disassociate_vpc_cidr_block


def _drop_local(table: Any, block: str) -> None:
    for key, route in list(table._routes.items()):
        if route.local and block in (route.destination_cidr_block, route.destination_ipv6_cidr_block):
            del table._routes[key]


def _with_peerings(delete: Callable[..., VPC]) -> Callable[..., VPC]:
    """Deleting a VPC deletes its peerings; a request from another account must be rejected first.

    https://docs.aws.amazon.com/vpc/latest/peering/delete-vpc-peering-connection.html
    Reports of DependencyViolation while a peering is active exist too; this sandbox takes the documentation's
    word. https://github.com/hashicorp/terraform-provider-aws/issues/3118
    """

    def delete_vpc(self: EC2Backend, vpc_id: str) -> VPC:
        vpc = self.get_vpc(vpc_id)
        live = [peering for peering in self.peerings_of(vpc) if peering.is_live]
        for peering in live:
            foreign = peering.accepter is vpc and peering.requester.owner_id != vpc.owner_id
            if foreign and peering.status == "pending-acceptance":
                raise fail(
                    "DependencyViolation", f"{vpc_id} has the incoming request {peering.id}; reject it first"
                )
        deleted = delete(self, vpc_id)
        for peering in live:
            peering.delete(self)
        return deleted

    return delete_vpc
