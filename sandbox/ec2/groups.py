"""Security groups and their ingress rules: atomic calls, quotas, and eventual consistency.

The permissions of one rule are in permissions.py. Egress rules are moto's, since peerd does not change them.
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
from sandbox.ec2.errors import client_error
from sandbox.ec2.timeline import Timeline, is_describing, read_time
from sandbox.ec2.vpcs import is_visible
from sandbox.settings import SETTINGS

Rules = list[SecurityGroupRule]


def install() -> None:
    """Patches moto's security groups with the rules below."""
    SecurityGroup.__init__ = _with_visibility_delay(SecurityGroup.__init__)
    SecurityGroup.ingress_rules = property(_ingress_rules, _set_ingress_rules)
    SecurityGroupRule.group_owner_id = property(lambda self: self.ec2_backend.account_id)
    EC2Response.create_security_group = _requiring_vpc(EC2Response.create_security_group)
    EC2Response.delete_security_group = _unless_referenced(EC2Response.delete_security_group)
    EC2Response.authorize_security_group_ingress = _authorize
    EC2Response.revoke_security_group_ingress = _revoke
    EC2Response.modify_security_group_rules = _modify
    EC2Backend.describe_security_groups = _only_visible(EC2Backend.describe_security_groups)
    EC2Backend.describe_security_group_rules = _only_visible_rules(EC2Backend.describe_security_group_rules)
    EC2Backend.do_resources_exist = _requiring_existing_rules(EC2Backend.do_resources_exist)
    EC2Backend.delete_vpc = _without_groups(EC2Backend.delete_vpc)


# ---------------------------------------------------------------- visibility


def _with_visibility_delay(init: Callable[..., None]) -> Callable[..., None]:
    """A default group allows traffic from its own members; moto's is empty.

    https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
    """

    def __init__(self: SecurityGroup, *args: Any, **kwargs: Any) -> None:
        self.visible_from = SETTINGS.clock() + SETTINGS.visibility_ms / 1000
        init(self, *args, **kwargs)
        if self.is_default:
            itself = {"GroupId": self.id, "UserId": self.owner_id, "OwnerId": self.owner_id}
            rule = SecurityGroupRule(
                self.ec2_backend, "-1", self.id, None, None, None, itself, is_egress=False
            )
            self.ingress_rules = [rule]

    return __init__


def _ingress_rules(self: SecurityGroup) -> Rules:
    """Returns the rules; in a Describe call the visible rules, since EC2 is eventually consistent.

    https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
    """
    if not is_describing():
        return self.history.now
    return [rule for rule in self.history.at(read_time()) if is_visible(rule)]


def _set_ingress_rules(self: SecurityGroup, rules: Rules) -> None:
    if "history" in self.__dict__:
        self.history.set(rules)
    else:
        self.history = Timeline(rules, at=0.0)


def _only_visible(describe: Callable[..., list[SecurityGroup]]) -> Callable[..., list[SecurityGroup]]:
    def describe_security_groups(
        self: EC2Backend, group_ids: list[str] | None = None, groupnames: Any = None, filters: Any = None
    ) -> list[SecurityGroup]:
        for group_id in group_ids or []:
            known = self.get_security_group_from_id(group_id)
            if known is None or not is_visible(known):
                raise InvalidSecurityGroupNotFoundError(group_id)
        return [group for group in describe(self, group_ids, groupnames, filters) if is_visible(group)]

    return describe_security_groups


def _only_visible_rules(describe: Callable[..., Rules]) -> Callable[..., Rules]:
    """Rejects undocumented filters, which include `tag-key`; moto fails at them.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html
    """

    def describe_security_group_rules(
        self: EC2Backend, sg_rule_ids: list[str], filters: dict[str, list[str]]
    ) -> Rules:
        for name in filters:
            if name not in ("group-id", "security-group-rule-id") and not name.startswith("tag:"):
                raise client_error("InvalidParameterValue", f"The filter '{name}' is invalid")
        visible = {
            group.id for groups in self.groups.values() for group in groups.values() if is_visible(group)
        }
        return [rule for rule in describe(self, sg_rule_ids, filters) if rule.group_id in visible]

    return describe_security_group_rules


def _requiring_existing_rules(
    check: Callable[[EC2Backend, list[str]], bool],
) -> Callable[[EC2Backend, list[str]], bool]:
    """A rule that does not exist cannot be tagged; moto tags any id that starts with `sgr-`."""

    def do_resources_exist(self: EC2Backend, resource_ids: list[str]) -> bool:
        rules = [resource for resource in resource_ids if resource.startswith("sgr-")]
        for rule_id in rules:
            groups = (group for groups in self.groups.values() for group in groups.values())
            if not any(group.get_rule(rule_id) for group in groups):
                raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
        return check(self, [resource for resource in resource_ids if resource not in rules])

    return do_resources_exist


# ---------------------------------------------------------------- creation and deletion of groups


def _requiring_vpc(create: Callable[[EC2Response], ActionResult]) -> Callable[[EC2Response], ActionResult]:
    def create_security_group(self: EC2Response) -> ActionResult:
        if vpc_id := self._get_param("VpcId"):
            self.ec2_backend.get_vpc(vpc_id)
        return create(self)

    return create_security_group


def _unless_referenced(
    delete: Callable[[EC2Response], ActionResult],
) -> Callable[[EC2Response], ActionResult]:
    """The default group, and a group that a rule of another group refers to, cannot be deleted.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html
    """

    def delete_security_group(self: EC2Response) -> ActionResult:
        group = _group(self)
        if group.is_default:
            message = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            raise client_error("CannotDelete", message)
        for other in self.ec2_backend.groups[group.vpc_id].values():
            refers = (rule.source_group.get("GroupId") == group.id for rule in other.ingress_rules)
            if other is not group and any(refers):
                raise client_error("DependencyViolation", f"resource {group.id} has a dependent object")
        return delete(self)

    return delete_security_group


def _without_groups(delete: Callable[[EC2Backend, str], VPC]) -> Callable[[EC2Backend, str], VPC]:
    """A VPC with groups of its own cannot be deleted: https://docs.aws.amazon.com/vpc/latest/userguide/delete-vpc.html"""

    def delete_vpc(self: EC2Backend, vpc_id: str) -> VPC:
        if any(not group.is_default for group in self.groups[vpc_id].values()):
            message = f"The vpc '{vpc_id}' has dependencies and cannot be deleted."
            raise client_error("DependencyViolation", message)
        return delete(self, vpc_id)

    return delete_vpc


# ---------------------------------------------------------------- creation and deletion of rules


def _group(self: EC2Response) -> SecurityGroup:
    name = self._get_param("GroupId") or self._get_param("GroupName")
    group = self.ec2_backend.get_security_group_by_name_or_id(name)
    if group is None:
        raise InvalidSecurityGroupNotFoundError(name)
    return group


def _requested_rules(self: EC2Response, group: SecurityGroup) -> Rules:
    """Returns the rules that the call describes, without tags."""
    parsed = self._process_rules_from_querystring()
    return [rule for permission in parsed for rule in permissions.rules(self.ec2_backend, group, permission)]


def _authorize(self: EC2Response) -> ActionResult:
    """Adds all rules of a call or none."""
    group, tags = _group(self), self._parse_tag_specification().get("security-group-rule", {})
    added = _requested_rules(self, group)
    if not added:
        raise client_error("MissingParameter", "The request must contain the parameter source")
    for index, rule in enumerate(added):
        if rule in group.ingress_rules or rule in added[:index]:
            raise InvalidPermissionDuplicateError
    _enforce_quota(self.ec2_backend, group, added)
    for rule in added:
        rule.add_tags(tags)
        rule.visible_from = SETTINGS.clock() + SETTINGS.visibility_ms / 1000
    group.ingress_rules = [*group.ingress_rules, *added]
    return ActionResult(
        {"Return": True, "SecurityGroupRules": [permissions.described_rule(rule) for rule in added]}
    )


def _enforce_quota(backend: EC2Backend, group: SecurityGroup, added: Rules) -> None:
    """IPv4 and IPv6 have separate counts; moto counts them together.

    A referenced group counts as one rule of each family, a prefix list as its maximum number of entries.
    https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
    """
    for version in (4, 6):
        new = sum(permissions.weight(backend, rule, version) for rule in added)
        existing = sum(permissions.weight(backend, rule, version) for rule in group.ingress_rules)
        if new and existing + new > SETTINGS.quota_rules:
            raise RulesPerSecurityGroupLimitExceededError


def _revoke(self: EC2Response) -> ActionResult:
    """Revokes rules by id, or by permissions that must match exactly; all rules of a call or none.

    On AWS, a call in the default VPC with permissions that do not match succeeds and returns them.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html
    """
    group, ids = _group(self), self._get_param("SecurityGroupRuleIds", [])
    existing = group.ingress_rules
    for unknown in set(ids) - {rule.id for rule in existing}:
        raise InvalidSecurityGroupRuleIdNotFoundError(unknown)
    requested = [] if ids else _requested_rules(self, group)
    if any(rule not in existing for rule in requested):
        raise InvalidPermissionNotFoundError
    removed = [rule for rule in existing if rule.id in ids or rule in requested]
    group.ingress_rules = [rule for rule in existing if rule not in removed]
    return ActionResult(
        {"Return": True, "RevokedSecurityGroupRules": [permissions.revoked_rule(rule) for rule in removed]}
    )


def _modify(self: EC2Response) -> ActionResult:
    """Modifies all rules of a call or none; they keep their ids and tags.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html
    """
    group, changed = _group(self), {}
    for update in self._get_param("SecurityGroupRules", []):
        rule = group.get_rule(update["SecurityGroupRuleId"])
        if rule is None:
            raise InvalidSecurityGroupRuleIdNotFoundError(update["SecurityGroupRuleId"])
        changed[rule.id] = permissions.modified_rule(rule, update.get("SecurityGroupRule", {}))
    for direction in ("ingress_rules", "egress_rules"):
        rules = [changed.get(rule.id, rule) for rule in getattr(group, direction)]
        if any(rule in rules[:index] for index, rule in enumerate(rules)):
            raise InvalidPermissionDuplicateError
        setattr(group, direction, rules)
    return ActionResult({"Return": True})
