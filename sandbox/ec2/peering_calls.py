"""The peering calls of the API: their parameters, the view of one side, and AWS's filters."""

from collections.abc import Callable

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response

from sandbox.ec2.errors import client_error
from sandbox.ec2.filters import matches_any
from sandbox.ec2.peerings import MissingVpc, Peering, View


def install() -> None:
    """Replaces moto's peering calls."""
    EC2Response.create_vpc_peering_connection = _create
    EC2Response.describe_vpc_peering_connections = _describe
    EC2Response.accept_vpc_peering_connection = _accept


def _view(self: EC2Response, peering: Peering) -> ActionResult:
    return ActionResult({"VpcPeeringConnection": View(peering, self.ec2_backend)})


def _create(self: EC2Response) -> ActionResult:
    tags = self._parse_tag_specification().get("vpc-peering-connection", {})
    account = self._get_param("PeerOwnerId") or self.current_account
    region = self._get_param("PeerRegion") or self.region
    vpc, peer_id = self.ec2_backend.get_vpc(self._get_param("VpcId")), self._get_param("PeerVpcId")
    elsewhere = (account, region) != (self.current_account, self.region)
    peer_backend = ec2_backends[account][region]
    # AWS rejects an unknown id in the caller's account and Region; elsewhere it fails the request later.
    peer = peer_backend.vpcs.get(peer_id) or (
        MissingVpc(peer_id, account, region) if elsewhere else peer_backend.get_vpc(peer_id)
    )
    known = set(self.ec2_backend.vpc_pcxs)
    peering = self.ec2_backend.create_vpc_peering_connection(vpc, peer, tags)
    view = View(peering, self.ec2_backend)
    if peering.id not in known:
        view.status = {"Code": "initiating-request", "Message": f"Initiating Request to {account}"}
    return ActionResult({"VpcPeeringConnection": view})


def _accept(self: EC2Response) -> ActionResult:
    peering = self.ec2_backend.accept_vpc_peering_connection(self._get_param("VpcPeeringConnectionId"))
    return ActionResult({"VpcPeeringConnection": View(peering, self.ec2_backend)})


def _describe(self: EC2Response) -> ActionResult:
    backend, ids = self.ec2_backend, self._get_param("VpcPeeringConnectionIds", [])
    if ids:
        visible = [backend.get_vpc_peering_connection(one) for one in ids]
    else:
        visible = [peering for peering in backend.vpc_pcxs.values() if peering.is_visible_to(backend)]
    views = [View(peering, backend) for peering in visible]
    filters = self._filters_from_querystring()
    _reject_unknown(filters)
    return ActionResult({"VpcPeeringConnections": [view for view in views if _matches(view, filters)]})


def _side(name: str, field: str) -> Callable[[View], list[str]]:
    def read(view: View) -> list[str]:
        info = getattr(view, f"{name}_vpc_info")
        if field == "CidrBlock":
            return [block["CidrBlock"] for block in info.get("CidrBlockSet", [])]
        return [info[field]]

    return read


# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcPeeringConnections.html
_FILTERS: dict[str, Callable[[View], list[str]]] = {
    "status-code": lambda view: [view.status["Code"]],
    "status-message": lambda view: [view.status["Message"]],
    "vpc-peering-connection-id": lambda view: [view.id],
    "expiration-time": lambda view: [view.expiration_time.isoformat()] if view.expiration_time else [],
    "tag-key": lambda view: [tag["Key"] for tag in view.tags],
    **{
        f"{side}-vpc-info.{name}": _side(side, field)
        for side in ("requester", "accepter")
        for name, field in (("owner-id", "OwnerId"), ("vpc-id", "VpcId"), ("cidr-block", "CidrBlock"))
    },
}


def _reject_unknown(filters: dict[str, list[str]]) -> None:
    for name in filters:
        if not name.startswith("tag:") and name not in _FILTERS:
            raise client_error("InvalidParameterValue", f"The filter '{name}' is invalid")


def _matches(view: View, filters: dict[str, list[str]]) -> bool:
    for name, patterns in filters.items():
        if name.startswith("tag:"):
            values = [tag["Value"] for tag in view.tags if tag["Key"] == name.removeprefix("tag:")]
        else:
            values = _FILTERS[name](view)
        if not matches_any(values, patterns):
            return False
    return True
