"""A network in moto with every kind of resource that the policies distinguish, and the calls on it.

The account has peerings with a partner, with whose VPCs it may peer, and with an outsider. The calls are the
ones that peerd makes, and hostile ones, which a role of peerd could make if it had one condition less.
"""

from collections.abc import Mapping
from functools import cache

import pytest

from sandbox import ec2
from sandbox.ec2.identity import principal
from sandbox.iam import ec2_checks
from sandbox.iam.model import Check
from sandbox.tests.ec2.sides import Side, specification
from sandbox.wire import AwsRequest

REGION = "us-east-1"
# No other test uses these accounts: all tests of a worker share moto's state.
ACCOUNT, PARTNER, OUTSIDER = "710000000001", "710000000002", "710000000003"
MARK = {"peerd:managed-by": "peerd", "peerd:env": "prod"}
OTHERS = {"peerd:managed-by": "other"}
_OWNED = {"peerd__managed_by": "peerd", "peerd__seal": "0a1b"}
_PEERING, _RULE = "vpc-peering-connection", "security-group-rule"

Calls = Mapping[str, tuple[Check, ...]]


def request(action: str, account: str = ACCOUNT, **parameters: str) -> tuple[Check, ...]:
    """Returns what a request needs in the present state."""
    form = {"Action": action, **parameters}
    given = AwsRequest("POST", "/", [], b"", account, REGION, "ec2", form)
    return tuple(ec2_checks.checks(given, principal(account)))


def creating(kind: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Returns the parameters of tags for a new resource."""
    if not tags:
        return {}
    prefix = "TagSpecification.1"
    return {f"{prefix}.ResourceType": kind, **_numbered(f"{prefix}.Tag", tags)}


def tagging(resource: str, **tags: str) -> tuple[Check, ...]:
    """Returns what CreateTags needs; `_` in a key is `-`, and `__` is `:`."""
    return request("CreateTags", **{"ResourceId.1": resource}, **_numbered("Tag", _keyed(tags)))


def untagging(resource: str, *keys: str) -> tuple[Check, ...]:
    """Returns what DeleteTags needs; without keys, it removes all tags."""
    return request("DeleteTags", **{"ResourceId.1": resource}, **_numbered("Tag", dict.fromkeys(keys, "")))


def _keyed(tags: Mapping[str, str]) -> dict[str, str]:
    return {key.replace("__", ":").replace("_", "-"): value for key, value in tags.items()}


def _numbered(prefix: str, tags: Mapping[str, str]) -> dict[str, str]:
    numbered: dict[str, str] = {}
    for number, (key, value) in enumerate(tags.items(), start=1):
        numbered |= {f"{prefix}.{number}.Key": key, f"{prefix}.{number}.Value": value}
    return numbered


@cache
def calls_of_peerd() -> Calls:
    """Returns the calls that peerd makes in a spoke whose parameter RouteTables is `tagged`."""
    return _network().calls_of_peerd()


@cache
def hostile_calls() -> Calls:
    """Returns calls that peerd never makes; each of them some condition denies."""
    return _network().hostile_calls()


@cache
def _network() -> "Network":
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # no test needs the images
        ec2.install()
        return Network()


class Network:
    """The resources of the account. `marked` has peerd's tags, `others` another's, `plain` none."""

    def __init__(self) -> None:
        self._own, self._partner, self._outsider = (Side(it, REGION) for it in (ACCOUNT, PARTNER, OUTSIDER))
        self._blocks = (f"10.{number}.0.0/16" for number in range(250))
        self.member = self._own.vpc(next(self._blocks), tags={"peerd:env": "prod"})
        self.plain = self._own.vpc(next(self._blocks))
        self.partners_vpc, self.outsiders_vpc = self._new(self._partner), self._new(self._outsider)
        self.requested_marked = self._requested(self._partner, MARK)
        self.requested_others = self._requested(self._partner, OTHERS)
        self.requested_plain = self._requested(self._partner)
        self.to_outsider = self._requested(self._outsider)
        self.accepted_marked = self._accepted(self._partner, MARK)
        self.accepted_others = self._accepted(self._partner, OTHERS)
        self.accepted_plain = self._accepted(self._partner)
        self.from_outsider = self._accepted(self._outsider)
        self.table = self._own.main_table(self.member)
        self.managed_table = self._table({"peerd:routes": "manage"})
        self.ignored_table = self._table({"peerd:routes": "ignore"})
        self.eligible_table = self._table({"peerd_eligible": "true"})
        self.allowing_group = self._group("allowing", {"peerd:allow": "prod"})
        self.closed_group = self._group("closed", {})
        self.marked_rule = self._rule("tcp", {"peerd:managed-by": "peerd", "peerd:env/prod": ""})
        self.plain_rule = self._rule("udp", {})
        self.others_rule = self._rule("icmp", OTHERS)

    def calls_of_peerd(self) -> Calls:
        ours, team = _keyed({**_OWNED, "peerd__env": "prod", "Name": "peerd"}), "network"
        of_rule = {"peerd:managed-by": "peerd", "Name": "peerd"}
        return {
            "request a peering with a partner": self._create(self.member, PARTNER, ours | {"team": team}),
            "accept a request of a partner": self._accept(self._pending(self._partner, self.member)),
            "delete an own peering": self._on(self.requested_marked, "DeleteVpcPeeringConnection"),
            "set a DNS option": self._on(self.accepted_marked, "ModifyVpcPeeringConnectionOptions"),
            "create a route": self._on_table(self.managed_table, "CreateRoute"),
            "replace a route": self._on_table(self.managed_table, "ReplaceRoute"),
            "delete a route": self._on_table(self.managed_table, "DeleteRoute"),
            "delete a route in an ignored table": self._on_table(self.ignored_table, "DeleteRoute"),
            "create a route in an eligible table": self._on_table(self.eligible_table, "CreateRoute"),
            "replace a route in an eligible table": self._on_table(self.eligible_table, "ReplaceRoute"),
            "delete a route in an eligible table": self._on_table(self.eligible_table, "DeleteRoute"),
            "mark an accepted peering": tagging(self.accepted_plain, **ours, team=team),
            "mark a requested peering": tagging(self.requested_plain, **ours, team=team),
            "change the tags of an own peering": tagging(
                self.requested_marked, peerd__env="prod+b", team="b"
            ),
            "release a peering": untagging(
                self.accepted_marked, "peerd:managed-by", "peerd:seal", "peerd:env"
            ),
            "authorize a marked rule": self._authorize(
                self.allowing_group, {**of_rule, "peerd:env/prod": ""}
            ),
            "revoke a rule in any group": request("RevokeSecurityGroupIngress", GroupId=self.closed_group),
            "add a mesh to an own rule": tagging(self.marked_rule, **{"peerd:env/b": ""}),
            "restore the owner of a rule": tagging(self.plain_rule, peerd__managed_by="peerd"),
            "remove a mesh from an own rule": untagging(self.marked_rule, "peerd:env/prod"),
            "write the status of a VPC": tagging(self.plain, peerd__status="refused"),
            "remove the status of a VPC": untagging(self.plain, "peerd:status"),
        }

    def hostile_calls(self) -> Calls:
        ours, marked, plain = {"peerd:managed-by": "peerd"}, self.requested_marked, self.requested_plain
        return {
            "request a peering for a VPC without peerd:env": self._create(self.plain, PARTNER, ours),
            "accept a peering for a VPC without peerd:env": self._accept(
                self._pending(self._partner, self.plain)
            ),
            "request a peering without any tag": self._create(self.member, PARTNER, {}),
            "request a peering with a name and no owner": self._create(self.member, PARTNER, {"Name": "x"}),
            "request a peering with a tag of someone else": self._create(
                self.member, PARTNER, {**ours, "billing": "x"}
            ),
            "request a peering with an outsider": self._create(self.member, OUTSIDER, ours),
            "accept a request of an outsider": self._accept(self._pending(self._outsider, self.member)),
            "delete a foreign peering": self._on(plain, "DeleteVpcPeeringConnection"),
            "set a DNS option of a foreign peering": self._on(plain, "ModifyVpcPeeringConnectionOptions"),
            "create a route in a table without a tag": self._on_table(self.table, "CreateRoute"),
            "delete a route in a table without a tag": self._on_table(self.table, "DeleteRoute"),
            "replace a route in an ignored table": self._on_table(self.ignored_table, "ReplaceRoute"),
            "take over a requested peering of another deployment": tagging(self.requested_others, **ours),
            "take over an accepted peering of another deployment": tagging(self.accepted_others, **ours),
            "mark a request to an outsider": tagging(self.to_outsider, **ours),
            "mark an accepted peering of an outsider": tagging(self.from_outsider, **ours),
            "mark a peering with a tag of someone else": tagging(plain, **ours, billing="x"),
            "mark an accepted peering with a tag of someone else": tagging(
                self.accepted_plain, **ours, billing="x"
            ),
            "name a foreign requested peering": tagging(plain, team="x"),
            "name a foreign accepted peering": tagging(self.accepted_plain, team="x"),
            "give an own peering away": tagging(marked, peerd__managed_by="other"),
            "write a tag of someone else on an own peering": tagging(marked, billing="x"),
            "tag a peering with nothing": tagging(marked),
            "remove the mesh of another deployment's peering": untagging(self.requested_others, "peerd:env"),
            "remove the name of an own peering": untagging(marked, "Name"),
            "remove all tags of an own peering": untagging(marked),
            "authorize a rule in a group without peerd:allow": self._authorize(self.closed_group, ours),
            "authorize a rule with a tag of someone else": self._authorize(
                self.allowing_group, {**ours, "billing": "x"}
            ),
            "authorize a rule with a name and no owner": self._authorize(self.allowing_group, {"Name": "x"}),
            "take over a rule of another deployment": tagging(self.others_rule, **ours),
            "mark a rule as one of another deployment": tagging(self.plain_rule, peerd__managed_by="other"),
            "mark a rule with a mesh": tagging(self.plain_rule, **ours, **{"peerd:env/b": ""}),
            "add a mesh to a rule of another principal": tagging(self.plain_rule, **{"peerd:env/b": ""}),
            "remove the owner of an own rule": untagging(self.marked_rule, "peerd:managed-by"),
            "remove all tags of an own rule": untagging(self.marked_rule),
            "add a VPC to a mesh": tagging(self.plain, peerd__env="prod"),
            "remove all tags of a VPC": untagging(self.member),
        }

    # ------------------------------------------------------------ calls

    def _create(self, vpc: str, owner: str, tags: Mapping[str, str]) -> tuple[Check, ...]:
        peer = {PARTNER: self.partners_vpc, OUTSIDER: self.outsiders_vpc}[owner]
        to_peer = {"PeerVpcId": peer, "PeerOwnerId": owner, "PeerRegion": REGION}
        return request("CreateVpcPeeringConnection", VpcId=vpc, **to_peer, **creating(_PEERING, tags))

    def _accept(self, peering: str) -> tuple[Check, ...]:
        return self._on(peering, "AcceptVpcPeeringConnection")

    def _on(self, peering: str, action: str) -> tuple[Check, ...]:
        return request(action, VpcPeeringConnectionId=peering)

    def _on_table(self, table: str, action: str) -> tuple[Check, ...]:
        return request(action, RouteTableId=table, DestinationCidrBlock="10.9.0.0/16")

    def _authorize(self, group: str, tags: Mapping[str, str]) -> tuple[Check, ...]:
        return request("AuthorizeSecurityGroupIngress", GroupId=group, **creating(_RULE, tags))

    # ------------------------------------------------------------ resources

    def _new(self, side: Side) -> str:
        return side.vpc(next(self._blocks), tags={"peerd:env": "prod"})

    def _requested(self, side: Side, tags: dict[str, str] | None = None) -> str:
        return self._own.request(self.member, side, self._new(side), tags)["VpcPeeringConnectionId"]

    def _pending(self, side: Side, vpc: str) -> str:
        return side.request(self._new(side), self._own, vpc)["VpcPeeringConnectionId"]

    def _accepted(self, side: Side, tags: dict[str, str] | None = None) -> str:
        peering = self._pending(side, self.member)
        self._own.accept(peering)
        if tags:
            own = [{"Key": key, "Value": value} for key, value in tags.items()]
            self._own.ec2.create_tags(Resources=[peering], Tags=own)
        return peering

    def _table(self, tags: dict[str, str]) -> str:
        created = self._own.ec2.create_route_table(VpcId=self.member, **specification("route-table", tags))
        return created["RouteTable"]["RouteTableId"]

    def _group(self, name: str, tags: dict[str, str]) -> str:
        return self._own.ec2.create_security_group(
            GroupName=name, Description=name, VpcId=self.member, **specification("security-group", tags)
        )["GroupId"]

    def _rule(self, protocol: str, tags: dict[str, str]) -> str:
        port = {"IpProtocol": protocol, "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}
        created = self._own.ec2.authorize_security_group_ingress(
            GroupId=self.allowing_group, IpPermissions=[port], **specification(_RULE, tags)
        )
        return created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
