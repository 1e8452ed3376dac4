"""Security groups and their ingress rules: all rules of a call or none, quotas, and what is described late.

What one rule lets in is in permissions.py. Egress rules are moto's: nobody here writes any.
https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    InvalidPermissionDuplicateError,
    InvalidPermissionNotFoundError,
    InvalidSecurityGroupNotFoundError,
    InvalidSecurityGroupRuleIdNotFoundError,
    RulesPerSecurityGroupLimitExceededError,
)
from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.ec2.models.vpcs import VPC
from moto.ec2.responses import EC2Response

from sandbox.ec2 import permissions
from sandbox.ec2.errors import fail
from sandbox.ec2.timeline import Timeline, is_describing, moment
from sandbox.ec2.vpcs import is_seen
from sandbox.settings import SETTINGS

Rules = list[SecurityGroupRule]


def install() -> None:
    """Lays the rules below over moto's security groups."""
    SecurityGroup.__init__ = _dated(SecurityGroup.__init__)
    SecurityGroup.ingress_rules = property(_ingress_rules, _set_ingress_rules)
    SecurityGroupRule.group_owner_id = property(lambda self: self.ec2_backend.account_id)
    EC2Response.create_security_group = _in_a_vpc(EC2Response.create_security_group)
    EC2Response.delete_security_group = _unless_needed(EC2Response.delete_security_group)
    EC2Response.authorize_security_group_ingress = _authorize
    EC2Response.revoke_security_group_ingress = _revoke
    EC2Response.modify_security_group_rules = _modify
    EC2Backend.describe_security_groups = _delayed(EC2Backend.describe_security_groups)
    EC2Backend.describe_security_group_rules = _delayed_rules(EC2Backend.describe_security_group_rules)
    EC2Backend.do_resources_exist = _knowing_rules(EC2Backend.do_resources_exist)
    EC2Backend.delete_vpc = _without_groups(EC2Backend.delete_vpc)


# ---------------------------------------------------------------- what is seen of them


def _dated(init: Callable[..., None]) -> Callable[..., None]:
    """A default group lets its own members in: moto's is empty.

    https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
    """

    def __init__(self: SecurityGroup, *args: Any, **kwargs: Any) -> None:
        self.seen_from = SETTINGS.clock() + SETTINGS.visibility_ms / 1000
        init(self, *args, **kwargs)
        if self.is_default:
            itself = {"GroupId": self.id, "UserId": self.owner_id, "OwnerId": self.owner_id}
            everything = SecurityGroupRule(
                self.ec2_backend, "-1", self.id, None, None, None, itself, is_egress=False
            )
            self.ingress_rules = [everything]

    return __init__


def _ingress_rules(self: SecurityGroup) -> Rules:
    """The rules; to a describe those that it sees: EC2 is eventually consistent, about rules as about routes.

    https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
    """
    if not is_describing():
        return self.history.now
    return [rule for rule in self.history.at(moment()) if is_seen(rule)]


def _set_ingress_rules(self: SecurityGroup, rules: Rules) -> None:
    if "history" in self.__dict__:
        self.history.set(rules)
    else:
        self.history = Timeline(rules, at=0.0)


def _delayed(describe: Callable[..., list[SecurityGroup]]) -> Callable[..., list[SecurityGroup]]:
    def describe_security_groups(
        self: EC2Backend, group_ids: list[str] | None = None, groupnames: Any = None, filters: Any = None
    ) -> list[SecurityGroup]:
        for group_id in group_ids or []:
            known = self.get_security_group_from_id(group_id)
            if known is None or not is_seen(known):
                raise InvalidSecurityGroupNotFoundError(group_id)
        return [group for group in describe(self, group_ids, groupnames, filters) if is_seen(group)]

    return describe_security_groups


def _delayed_rules(describe: Callable[..., Rules]) -> Callable[..., Rules]:
    """No filter but those documented: moto fails at others, and `tag-key` is not among them.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html
    """

    def describe_security_group_rules(
        self: EC2Backend, sg_rule_ids: list[str], filters: dict[str, list[str]]
    ) -> Rules:
        for name in filters:
            if name not in ("group-id", "security-group-rule-id") and not name.startswith("tag:"):
                raise fail("InvalidParameterValue", f"The filter '{name}' is invalid")
        seen = {group.id for groups in self.groups.values() for group in groups.values() if is_seen(group)}
        return [rule for rule in describe(self, sg_rule_ids, filters) if rule.group_id in seen]

    return describe_security_group_rules


def _knowing_rules(check: Callable[[EC2Backend, list[str]], bool]) -> Callable[[EC2Backend, list[str]], bool]:
    """A rule that does not exist cannot be tagged: moto tags anything that is called `sgr-`."""

    def do_resources_exist(self: EC2Backend, resource_ids: list[str]) -> bool:
        rules = [resource for resource in resource_ids if resource.startswith("sgr-")]
        for rule_id in rules:
            groups = (group for groups in self.groups.values() for group in groups.values())
            if not any(group.get_rule(rule_id) for group in groups):
                raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
        return check(self, [resource for resource in resource_ids if resource not in rules])

    return do_resources_exist


# ---------------------------------------------------------------- groups that come and go


def _in_a_vpc(create: Callable[[EC2Response], ActionResult]) -> Callable[[EC2Response], ActionResult]:
    def create_security_group(self: EC2Response) -> ActionResult:
        if vpc_id := self._get_param("VpcId"):
            self.ec2_backend.get_vpc(vpc_id)
        return create(self)

    return create_security_group


def _unless_needed(delete: Callable[[EC2Response], ActionResult]) -> Callable[[EC2Response], ActionResult]:
    """The default group stays, and so does one that a rule of another group refers to.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """

    def delete_security_group(self: EC2Response) -> ActionResult:
        group = _group(self)
        if group.is_default:
            message = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            raise fail("CannotDelete", message)
        for other in self.ec2_backend.groups[group.vpc_id].values():
            refers = (rule.source_group.get("GroupId") == group.id for rule in other.ingress_rules)
            if other is not group and any(refers):
                raise fail("DependencyViolation", f"resource {group.id} has a dependent object")
        return delete(self)

    return delete_security_group


def _without_groups(delete: Callable[[EC2Backend, str], VPC]) -> Callable[[EC2Backend, str], VPC]:
    """A VPC's own groups are deleted before it: https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html"""

    def delete_vpc(self: EC2Backend, vpc_id: str) -> VPC:
        if any(not group.is_default for group in self.groups[vpc_id].values()):
            message = f"The vpc '{vpc_id}' has dependencies and cannot be deleted."
            raise fail("DependencyViolation", message)
        return delete(self, vpc_id)

    return delete_vpc


# ---------------------------------------------------------------- rules that come and go


def _group(self: EC2Response) -> SecurityGroup:
    name = self._get_param("GroupId") or self._get_param("GroupName")
    group = self.ec2_backend.get_security_group_by_name_or_id(name)
    if group is None:
        raise InvalidSecurityGroupNotFoundError(name)
    return group


def _asked(self: EC2Response, group: SecurityGroup) -> Rules:
    """What the call describes, as rules without tags."""
    each = self._process_rules_from_querystring()
    return [rule for asked in each for rule in permissions.rules(self.ec2_backend, group, asked)]


def _authorize(self: EC2Response) -> ActionResult:
    """All rules of a call are added, or none."""
    group, tags = _group(self), self._parse_tag_specification().get("security-group-rule", {})
    added = _asked(self, group)
    if not added:
        raise fail("MissingParameter", "The request must contain the parameter source")
    for index, rule in enumerate(added):
        if rule in group.ingress_rules or rule in added[:index]:
            raise InvalidPermissionDuplicateError
    _refuse_beyond_quota(self.ec2_backend, group, added)
    for rule in added:
        rule.add_tags(tags)
        rule.seen_from = SETTINGS.clock() + SETTINGS.visibility_ms / 1000
    group.ingress_rules = [*group.ingress_rules, *added]
    return ActionResult({"Return": True, "SecurityGroupRules": [permissions.shown(rule) for rule in added]})


def _refuse_beyond_quota(backend: EC2Backend, group: SecurityGroup, added: Rules) -> None:
    """IPv4 and IPv6 are counted apart, and moto counts them together.

    A group that is referred to counts as a rule of both families, a prefix list as its most entries in both.
    https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
    """
    for version in (4, 6):
        more = sum(permissions.weight(backend, rule, version) for rule in added)
        standing = sum(permissions.weight(backend, rule, version) for rule in group.ingress_rules)
        if more and standing + more > SETTINGS.quota_rules:
            raise RulesPerSecurityGroupLimitExceededError


def _revoke(self: EC2Response) -> ActionResult:
    """By ids, or by what the rules let in, which must match exactly; all rules of a call, or none.

    An answer to what does not match in the default VPC differs on AWS: it is a success that names the rest.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html
    """
    group, ids = _group(self), self._get_param("SecurityGroupRuleIds", [])
    standing = group.ingress_rules
    for unknown in set(ids) - {rule.id for rule in standing}:
        raise InvalidSecurityGroupRuleIdNotFoundError(unknown)
    asked = [] if ids else _asked(self, group)
    if any(rule not in standing for rule in asked):
        raise InvalidPermissionNotFoundError
    gone = [rule for rule in standing if rule.id in ids or rule in asked]
    group.ingress_rules = [rule for rule in standing if rule not in gone]
    return ActionResult(
        {"Return": True, "RevokedSecurityGroupRules": [permissions.revoked(rule) for rule in gone]}
    )


def _modify(self: EC2Response) -> ActionResult:
    """Rules keep their ids and tags; all of a call are changed, or none.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html
    """
    group, changed = _group(self), {}
    for update in self._get_param("SecurityGroupRules", []):
        rule = group.get_rule(update["SecurityGroupRuleId"])
        if rule is None:
            raise InvalidSecurityGroupRuleIdNotFoundError(update["SecurityGroupRuleId"])
        changed[rule.id] = permissions.changed(rule, update.get("SecurityGroupRule", {}))
    for direction in ("ingress_rules", "egress_rules"):
        rules = [changed.get(rule.id, rule) for rule in getattr(group, direction)]
        if any(rule in rules[:index] for index, rule in enumerate(rules)):
            raise InvalidPermissionDuplicateError
        setattr(group, direction, rules)
    return ActionResult({"Return": True})
