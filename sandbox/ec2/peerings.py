"""VPC peering connections: one connection with two sides, its states over time, and its visibility.

The states and how long each stays visible: https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html
"""

import datetime
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.vpc_peering_connections import VPCPeeringConnection, VPCPeeringConnectionBackend
from moto.ec2.models.vpcs import VPC
from moto.ec2.utils import random_vpc_peering_connection_id

from sandbox.ec2.errors import client_error
from sandbox.ec2.tags import tags_of
from sandbox.ec2.timeline import Timeline, is_describing, read_time
from sandbox.ec2.vpcs import blocks, first_overlap
from sandbox.settings import SETTINGS

HOUR = 3600.0
DAY = 24 * HOUR
PENDING_FOR = 7 * DAY
MAX_OUTSTANDING = 25
LIVE = {"initiating-request", "pending-acceptance", "provisioning", "active"}
_PENDING = {"initiating-request", "pending-acceptance"}
_MESSAGES = {
    "provisioning": "Provisioning",
    "active": "Active",
    "rejected": "Inactive",
    "expired": "Expired",
    "failed": "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range",
}


class MissingVpc:
    """The accepter of a request to a VPC that does not exist: AWS creates the request and then fails it.

    https://github.com/hashicorp/terraform-provider-aws/issues/2948
    """

    def __init__(self, vpc_id: str, account: str, region: str) -> None:
        self.id, self.owner_id, self.region, self.cidr_block = vpc_id, account, region, None
        self.ec2_backend = ec2_backends[account][region]

    def get_cidr_block_association_set(self, ipv6: bool = False) -> list[dict[str, Any]]:
        """Returns no CIDR blocks."""
        return []


class Peering(VPCPeeringConnection):
    """One connection; both sides' backends hold this same object."""

    def __init__(self, requester: VPC, accepter: VPC | MissingVpc) -> None:
        self.id = random_vpc_peering_connection_id()
        self.requester, self.accepter = requester, accepter
        self.requester_options = dict(self.DEFAULT_OPTIONS)
        self.accepter_options = dict(self.DEFAULT_OPTIONS)
        self.created = SETTINGS.clock()
        self.arrives = self.created + SETTINGS.visibility_ms / 1000
        self.deleted_by: str | None = None
        self._states = Timeline("initiating-request", at=self.created)
        failed = isinstance(accepter, MissingVpc) or first_overlap(blocks(requester), blocks(accepter))
        self._states.set("failed" if failed else "pending-acceptance", at=self.arrives)
        if not failed:
            self._schedule("expired", self.created + PENDING_FOR)

    def _schedule(self, state: str, at: float) -> None:
        self._states.set(state, at=at)

    def status_at(self, time: float) -> str:
        """Returns the state at a time."""
        return self._states.at(time)

    @property
    def status(self) -> str:
        """Returns the current state."""
        return self._states.now

    @property
    def is_live(self) -> bool:
        """Returns whether the peering is active or may become active."""
        return self.status in LIVE

    @property
    def is_pending(self) -> bool:
        """Returns whether the request is neither accepted nor rejected."""
        return self.status in _PENDING

    def other(self, vpc: VPC) -> Any:
        """Returns the VPC on the other side."""
        return self.accepter if self.requester is vpc else self.requester

    def is_within_one_account(self) -> bool:
        """Returns whether one account owns both VPCs."""
        return self.requester.owner_id == self.accepter.owner_id

    def accept(self) -> None:
        """Sets the state to provisioning and, after the configured delay, to active."""
        now = SETTINGS.clock()
        self._states.set("provisioning", at=now)
        self._schedule("active", now + SETTINGS.provisioning_ms / 1000)

    def reject(self) -> None:
        """Sets the state to rejected."""
        self._states.set("rejected")

    def fail(self) -> None:
        """Sets the state to failed, because of a change while the request was pending."""
        self._states.set("failed")

    def delete(self, by: EC2Backend) -> None:
        """Deletes the peering; only inter-Region peerings have the state `deleting`."""
        now = SETTINGS.clock()
        self.deleted_by = by.account_id
        if self.requester.region != self.accepter.region and SETTINGS.provisioning_ms:
            self._states.set("deleting", at=now)
            self._schedule("deleted", now + SETTINGS.provisioning_ms / 1000)
        else:
            self._states.set("deleted", at=now)

    def is_visible_to(self, backend: EC2Backend) -> bool:
        """Returns whether it is visible to a side: to the accepter after a delay, and not forever."""
        requests = backend is self.requester.ec2_backend
        now = SETTINGS.clock()
        if not requests and now < self.arrives:
            return False
        return now - self._states.since(now) < self._lifetime(backend, requests)

    def _lifetime(self, backend: EC2Backend, requests: bool) -> float:
        match self.status:
            case "failed":
                return 2 * HOUR if requests else 0.0
            case "expired":
                return 2 * DAY
            case "rejected":
                return 2 * DAY if requests and not self.is_within_one_account() else 2 * HOUR
            case "deleted":
                return (
                    2 * HOUR
                    if self.is_within_one_account() or backend.account_id == self.deleted_by
                    else 2 * DAY
                )
            case _:
                return float("inf")


class View:
    """A peering as one side sees it, in the fields of the API."""

    def __init__(self, peering: Peering, backend: EC2Backend) -> None:
        self._peering, self._backend = peering, backend
        self.vpc_peering_connection_id = self.id = peering.id
        state = peering.status_at(read_time()) if is_describing() else peering.status
        self.status = {"Code": state, "Message": _message(peering, state)}
        self.requester_vpc_info = _info(peering.requester, peering.requester_options, True)
        # Only an active peering has CIDR blocks:
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcPeeringConnectionVpcInfo.html
        self.accepter_vpc_info = _info(peering.accepter, peering.accepter_options, state == "active")
        pending = state in ("initiating-request", "pending-acceptance")
        expires = datetime.datetime.fromtimestamp(peering.created + PENDING_FOR, datetime.UTC)
        self.expiration_time = expires.replace(tzinfo=None) if pending else None

    @property
    def tags(self) -> list[dict[str, str]]:
        """Returns the tags of this side."""
        return [{"Key": tag["key"], "Value": tag["value"]} for tag in tags_of(self._backend, self.id)]


def _message(peering: Peering, state: str) -> str:
    account = peering.accepter.owner_id
    dynamic = {
        "initiating-request": f"Initiating Request to {account}",
        "pending-acceptance": f"Pending Acceptance by {account}",
        "deleting": f"Deleting by {peering.deleted_by}",
        "deleted": f"Deleted by {peering.deleted_by}",
    }
    return dynamic.get(state) or _MESSAGES[state]


def _info(vpc: Any, options: dict[str, bool], with_blocks: bool) -> dict[str, Any]:
    info: dict[str, Any] = {"OwnerId": vpc.owner_id, "Region": vpc.region, "VpcId": vpc.id}
    if with_blocks and vpc.cidr_block:
        own = blocks(vpc)
        info |= {
            "CidrBlock": vpc.cidr_block,
            "CidrBlockSet": [{"CidrBlock": str(block)} for block in own if block.version == 4],
            "Ipv6CidrBlockSet": [{"Ipv6CidrBlock": str(block)} for block in own if block.version == 6],
            "PeeringOptions": options,
        }
    return info


def install() -> None:
    """Replaces moto's peerings."""
    backend = VPCPeeringConnectionBackend
    backend.get_vpc_peering_connection = _get
    backend.create_vpc_peering_connection = _create
    backend.accept_vpc_peering_connection = _accept
    backend.reject_vpc_peering_connection = _reject
    backend.delete_vpc_peering_connection = _delete
    backend.modify_vpc_peering_connection_options = _modify
    backend.peerings_of = peerings_of


def peerings_of(self: EC2Backend, vpc: VPC) -> list[Peering]:
    """Returns every peering that a VPC of this account and Region ever had."""
    return [peering for peering in self.vpc_pcxs.values() if vpc in (peering.requester, peering.accepter)]


def _get(self: EC2Backend, vpc_pcx_id: str) -> Peering:
    """AWS's error code has `ID`; moto's has `Id`, which is the code for a malformed id."""
    peering = self.vpc_pcxs.get(vpc_pcx_id)
    if peering is None or not peering.is_visible_to(self):
        message = f"The vpcPeeringConnection ID '{vpc_pcx_id}' does not exist"
        raise client_error("InvalidVpcPeeringConnectionID.NotFound", message)
    return peering


def _create(self: EC2Backend, vpc: VPC, peer_vpc: Any, tags: dict[str, str] | None = None) -> Peering:
    if vpc.id == peer_vpc.id:
        raise client_error("InvalidParameterValue", f"A VPC cannot be peered with itself ({vpc.id})")
    own = peerings_of(self, vpc)
    for peering in own:
        # A repeated request returns the existing connection; a request in the reverse direction is a new one.
        # https://github.com/hashicorp/terraform-provider-aws/issues/27750
        if peering.is_live and peering.requester is vpc and peering.accepter is peer_vpc:
            return peering
    requested = [p for p in self.vpc_pcxs.values() if p.requester.ec2_backend is self and p.is_pending]
    if len(requested) >= MAX_OUTSTANDING:
        message = f"Vpc peering connection request limit exceeded: {MAX_OUTSTANDING} are outstanding"
        raise client_error("OutstandingVpcPeeringConnectionLimitExceeded", message)
    peering = Peering(vpc, peer_vpc)
    self.vpc_pcxs[peering.id] = peering
    peer_vpc.ec2_backend.vpc_pcxs[peering.id] = peering
    if tags:
        self.create_tags([peering.id], tags)
    return peering


def _require_accepter(self: EC2Backend, peering: Peering, verb: str) -> None:
    accepter = peering.accepter
    if self.account_id != accepter.owner_id:
        # https://github.com/hashicorp/terraform/issues/20473
        raise client_error(
            "OperationNotPermitted", f"User {self.account_id} cannot {verb} peering {peering.id}"
        )
    if self.region_name != accepter.region:
        # https://github.com/hashicorp/terraform-provider-aws/pull/2508
        right = f"VPC peering connection {peering.id} must be {verb}ed in region {accepter.region}"
        message = f"Incorrect region ({self.region_name}) specified for this request. {right}"
        raise client_error("OperationNotPermitted", message)
    if peering.status != "pending-acceptance":
        wanted = "active" if verb == "accept" else "rejected"
        raise _transition(peering, wanted)


def _transition(peering: Peering, wanted: str) -> Exception:
    attempt = f"attempted to transition from {peering.status} to {wanted}"
    return client_error("InvalidStateTransition", f"Invalid state transition for {peering.id}, {attempt}")


def _accept(self: EC2Backend, vpc_pcx_id: str) -> Peering:
    peering = self.get_vpc_peering_connection(vpc_pcx_id)
    _require_accepter(self, peering, "accept")
    sides = {peering.requester, peering.accepter}
    for vpc in sides:
        existing = [p for p in vpc.ec2_backend.peerings_of(vpc) if p.status in ("provisioning", "active")]
        if any({p.requester, p.accepter} == sides for p in existing):
            # https://github.com/hashicorp/terraform-provider-aws/issues/44315
            message = f"The vpc peering connection identified by {peering.id} already exists."
            raise client_error("VpcPeeringConnectionAlreadyExists", message)
        if len(existing) >= SETTINGS.quota_peerings:
            message = f"{vpc.id} has reached its {SETTINGS.quota_peerings} active peerings"
            raise client_error("ActiveVpcPeeringConnectionPerVpcLimitExceeded", message)
    peering.accept()
    return peering


def _reject(self: EC2Backend, vpc_pcx_id: str) -> Peering:
    peering = self.get_vpc_peering_connection(vpc_pcx_id)
    _require_accepter(self, peering, "reject")
    peering.reject()
    return peering


def _delete(self: EC2Backend, vpc_pcx_id: str) -> Peering:
    """Either owner may delete an active peering, only the requester a pending one.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpcPeeringConnection.html
    """
    peering = self.get_vpc_peering_connection(vpc_pcx_id)
    if not peering.is_live:
        raise _transition(peering, "deleting")
    if peering.is_pending and peering.requester.owner_id != self.account_id:
        raise client_error(
            "OperationNotPermitted",
            f"User {self.account_id} cannot delete pending peering {peering.id}; reject it",
        )
    peering.delete(self)
    return peering


def _check_dns_hostnames(peering: Peering) -> None:
    """DNS resolution across a peering requires DNS hostnames in both VPCs.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    """
    for vpc in (peering.requester, peering.accepter):
        if not vpc.enable_dns_hostnames:
            message = f"DNS hostname support must be enabled for {vpc.id}"
            raise client_error("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", message)


def _modify(
    self: EC2Backend,
    vpc_pcx_id: str,
    accepter_options: dict[str, Any] | None = None,
    requester_options: dict[str, Any] | None = None,
) -> Peering:
    """The owner of a side sets the options of that side, in its Region.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVpcPeeringConnectionOptions.html
    """
    peering = self.get_vpc_peering_connection(vpc_pcx_id)
    if peering.status != "active":
        message = f"Peering {peering.id} is not active. Peering options can be added only to active peerings."
        raise client_error("OperationNotPermitted", message)
    updates = [
        (accepter_options, peering.accepter, peering.accepter_options, "accepter"),
        (requester_options, peering.requester, peering.requester_options, "requester"),
    ]
    for change, vpc, _, side in updates:
        if change and (vpc.owner_id, vpc.region) != (self.account_id, self.region_name):
            message = (
                f"User {self.account_id} does not have permission to modify the {side} side peering options"
            )
            raise client_error("OperationNotPermitted", message)
        if change and change.get("AllowDnsResolutionFromRemoteVpc") in (True, "true"):
            _check_dns_hostnames(peering)
    for change, _, options, _ in updates:
        options.update(change or {})
    return peering
