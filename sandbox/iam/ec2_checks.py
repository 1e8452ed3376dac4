"""What an EC2 call needs: a check for each resource that AWS evaluates, from the request and the state.

A resource that does not exist is not checked, so that the call returns EC2's error for an unknown id; AWS may
return UnauthorizedOperation instead. A resource that the call creates has no id yet: its ARN ends with `*`,
and it has no tags of its own.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends

from sandbox.ec2.identity import Principal
from sandbox.iam.actions import ACTIONS, RESOURCE_TAGS, visible_keys
from sandbox.iam.model import Check, Value
from sandbox.wire import AwsRequest

Tags = Mapping[str, str]
Build = Callable[["Ec2Call"], Iterator[Check]]

_TYPES = {
    "vpc": "vpc",
    "pcx": "vpc-peering-connection",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
}
_PEERING = "vpc-peering-connection"
_RULE = "security-group-rule"


class Ec2Call:
    """One EC2 request of a caller, and the state of its account and Region."""

    def __init__(self, request: AwsRequest, caller: Principal) -> None:
        self.form = request.form
        self.action = f"ec2:{request.action}"
        self.account, self.region = caller.account, request.region
        self.backend: EC2Backend = ec2_backends[self.account][self.region]

    def check(self, kind: str, resource_id: str, known: Mapping[str, Value], action: str = "") -> Check:
        """Returns the check of one resource with those of the known keys that AWS provides."""
        action = action or self.action
        visible = visible_keys(action, kind)
        keys = {"ec2:Region": self.region, **known}
        given = {name: value for name, value in keys.items() if name.partition("/")[0] in visible}
        return Check(action, self.arn(kind, resource_id), given, self.region)

    def arn(self, kind: str, resource_id: str, account: str = "", region: str = "") -> str:
        """Returns the ARN of a resource; by default of the caller's account and Region."""
        return f"arn:aws:ec2:{region or self.region}:{account or self.account}:{kind}/{resource_id}"

    def existing(self, resource_id: str) -> Check | None:
        """Returns the check of a resource that exists, or None."""
        kind = _TYPES.get(resource_id.partition("-")[0], "")
        attributes = self._attributes(kind, resource_id)
        if attributes is None:
            return None
        tags = self.backend.tags.get(resource_id, {})
        return self.check(
            kind, resource_id, {**attributes, **_resource_tags(tags), **_request_tags(self.tags())}
        )

    def tags(self) -> Tags:
        """Returns the tags that CreateTags sets or DeleteTags removes."""
        return _tags(self.form, "Tag")

    def specified_tags(self, kind: str) -> Tags:
        """Returns the tags that a call sets on a resource that it creates."""
        tags: dict[str, str] = {}
        for name, value in self.form.items():
            found = re.fullmatch(r"(TagSpecification\.\d+)\.ResourceType", name)
            if found and value == kind:
                tags |= _tags(self.form, f"{found[1]}.Tag")
        return tags

    def created(self, kind: str, known: Mapping[str, Value]) -> Iterator[Check]:
        """Returns the checks of a resource that the call creates, and of the tags that it sets."""
        requested = _request_tags(self.specified_tags(kind))
        yield self.check(kind, "*", {**known, **requested})
        if requested:
            creating = {"ec2:CreateAction": self.action.removeprefix("ec2:"), **requested}
            yield self.check(kind, "*", creating, action="ec2:CreateTags")

    def _attributes(self, kind: str, resource_id: str) -> dict[str, Value] | None:
        """Returns the keys of a resource other than tags, or None if it does not exist."""
        if kind == "vpc" and (vpc := self.backend.vpcs.get(resource_id)):
            return {"ec2:VpcID": resource_id, "ec2:Tenancy": vpc.instance_tenancy}
        if kind == _PEERING and (peering := self.backend.vpc_pcxs.get(resource_id)):
            return {"ec2:VpcPeeringConnectionID": resource_id, **self._ends(peering)}
        if kind == "route-table" and (table := self.backend.route_tables.get(resource_id)):
            return {"ec2:RouteTableID": resource_id, "ec2:Vpc": self.arn("vpc", table.vpc_id)}
        if kind == "security-group" and (group := self.backend.get_security_group_from_id(resource_id)):
            return {"ec2:SecurityGroupID": resource_id, "ec2:Vpc": self.arn("vpc", group.vpc_id)}
        return {} if kind == _RULE and self._has_rule(resource_id) else None

    def _ends(self, peering: Any) -> dict[str, Value]:
        ends = {"ec2:RequesterVpc": peering.requester, "ec2:AccepterVpc": peering.accepter}
        return {key: self.vpc_arn(vpc) for key, vpc in ends.items()}

    def vpc_arn(self, vpc: Any) -> str:
        """Returns the ARN of a VPC of any account and Region."""
        return self.arn("vpc", vpc.id, vpc.owner_id, vpc.region)

    def _has_rule(self, rule: str) -> bool:
        groups = [group for by_id in list(self.backend.groups.values()) for group in list(by_id.values())]
        return any(known.id == rule for group in groups for known in list(group.ingress_rules))


def checks(request: AwsRequest, caller: Principal) -> list[Check]:
    """Returns the checks of an EC2 request. An action that is not known is checked for the resource `*`."""
    call = Ec2Call(request, caller)
    build = _BUILDERS.get(request.action)
    if build is not None:
        return list(build(call))
    return [
        Check(call.action, "*", {"ec2:Region": call.region} if call.action in ACTIONS else {}, call.region)
    ]


def _of(*parameters: str) -> Build:
    """Checks the existing resources with the ids in these parameters."""

    def build(call: Ec2Call) -> Iterator[Check]:
        for parameter in parameters:
            found = call.existing(call.form.get(parameter, ""))
            if found is not None:
                yield found

    return build


def _create_peering(call: Ec2Call) -> Iterator[Check]:
    """The VPC is the requester's; the peering has the ARNs of both.

    https://docs.aws.amazon.com/vpc/latest/peering/security-iam.html
    """
    yield from _of("VpcId")(call)
    peer_id, owner, region = (call.form.get(name, "") for name in ("PeerVpcId", "PeerOwnerId", "PeerRegion"))
    accepter, requester = call.arn("vpc", peer_id, owner, region), call.arn("vpc", call.form.get("VpcId", ""))
    yield from call.created(_PEERING, {"ec2:RequesterVpc": requester, "ec2:AccepterVpc": accepter})


def _accept_peering(call: Ec2Call) -> Iterator[Check]:
    """The VPC is the accepter's, in its own account."""
    yield from _of("VpcPeeringConnectionId")(call)
    peering = call.backend.vpc_pcxs.get(call.form.get("VpcPeeringConnectionId", ""))
    if peering is not None and peering.accepter.id in peering.accepter.ec2_backend.vpcs:
        vpc = peering.accepter
        tags = _resource_tags(vpc.ec2_backend.tags.get(vpc.id, {}))
        check = call.check("vpc", vpc.id, {"ec2:VpcID": vpc.id, **tags})
        yield Check(check.action, call.vpc_arn(vpc), check.keys, check.region)


def _authorize_ingress(call: Ec2Call) -> Iterator[Check]:
    """The rule is an optional resource, which a call without tags for it does not have."""
    yield from _of("GroupId")(call)
    if call.specified_tags(_RULE):
        yield from call.created(_RULE, {})


def _tag(call: Ec2Call) -> Iterator[Check]:
    for name, resource in sorted(call.form.items()):
        if re.fullmatch(r"ResourceId\.\d+", name):
            if resource.partition("-")[0] not in _TYPES:
                yield Check(call.action, "*", _request_tags(call.tags()), call.region)
            elif (found := call.existing(resource)) is not None:
                yield found


def _read_prefix_list(call: Ec2Call) -> Iterator[Check]:
    name = call.form.get("PrefixListId", "")
    known = call.backend.managed_prefix_lists.get(name)
    if known is not None:
        tags = _resource_tags(call.backend.tags.get(name, {}))
        check = call.check("prefix-list", name, tags)
        owner = "aws" if known.owner_id == "AWS" else known.owner_id
        yield Check(check.action, call.arn("prefix-list", name, owner), check.keys, check.region)


_BUILDERS: Mapping[str, Build] = {
    "DescribeVpcAttribute": _of("VpcId"),
    "GetManagedPrefixListEntries": _read_prefix_list,
    "CreateVpcPeeringConnection": _create_peering,
    "AcceptVpcPeeringConnection": _accept_peering,
    "DeleteVpcPeeringConnection": _of("VpcPeeringConnectionId"),
    "ModifyVpcPeeringConnectionOptions": _of("VpcPeeringConnectionId"),
    "CreateRoute": _of("RouteTableId"),
    "ReplaceRoute": _of("RouteTableId"),
    "DeleteRoute": _of("RouteTableId"),
    "AuthorizeSecurityGroupIngress": _authorize_ingress,
    "RevokeSecurityGroupIngress": _of("GroupId"),
    "CreateTags": _tag,
    "DeleteTags": _tag,
}


def _tags(form: Mapping[str, str], prefix: str) -> Tags:
    found = {}
    for name, key in form.items():
        if match := re.fullmatch(rf"({re.escape(prefix)}\.\d+)\.Key", name):
            found[key] = form.get(f"{match[1]}.Value", "")
    return found


def _resource_tags(tags: Tags) -> dict[str, Value]:
    return {f"{prefix}/{key}": value for key, value in tags.items() for prefix in RESOURCE_TAGS}


def _request_tags(tags: Tags) -> dict[str, Value]:
    if not tags:
        return {}
    keys: dict[str, Value] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {"aws:TagKeys": sorted(tags), **keys}
