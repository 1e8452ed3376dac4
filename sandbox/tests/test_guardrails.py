"""The policies in guardrails/: who may write peerd's tags and change its roles, and the values of tags.

The rows are those of "Attacks, and what peerd does" in docs/security.md. A service control policy limits the
principals of an account as a permissions boundary does: a denial in it denies, and something has to allow.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import pytest

from sandbox.iam.actions import visible_keys
from sandbox.iam.evaluate import decide
from sandbox.iam.model import Caller, Check
from sandbox.iam.policies import Policies, Role
from sandbox.tests.deployment import Call, operators, session, spoke
from sandbox.tests.network import ACCOUNT, REGION, calls_of_peerd
from sandbox.tests.templates import ROOT, combined

SCP = json.loads((ROOT / "guardrails" / "scp.json").read_text())
TAG_POLICY = json.loads((ROOT / "guardrails" / "tag-policy.json").read_text())
# The policy FullAWSAccess, which is attached to every account, and the permissions of an administrator.
ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}

DEVELOPER = f"arn:aws:iam::{ACCOUNT}:role/developer"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/network-admin"
STACK_SETS = f"arn:aws:iam::{ACCOUNT}:role/stacksets-exec-0123456789abcdef"
SPOKE, APPLY = (f"arn:aws:iam::{ACCOUNT}:role/{it}" for it in ("peerd-spoke", "peerd-operator-apply"))
FORWARD = f"arn:aws:iam::{ACCOUNT}:role/peerd-forward-eu-west-1"
# Principals that are none of those that the policy exempts, though some have similar names.
OTHERS = (
    f"arn:aws:iam::{ACCOUNT}:root",
    f"arn:aws:iam::{ACCOUNT}:user/network-admin",
    f"arn:aws:iam::{ACCOUNT}:role/developers/network-admin",
    f"arn:aws:iam::{ACCOUNT}:role/network-admin-2",
    f"arn:aws:iam::{ACCOUNT}:role/Peerd-Spoke",
    f"arn:aws:iam::{ACCOUNT}:role/peerd-spoke-2",
    f"arn:aws:iam::{ACCOUNT}:role/peerd-operator-read",
    f"arn:aws:sts::{ACCOUNT}:federated-user/network-admin",
)
# The call that creates a resource of each type.
CREATE = {
    "vpc": "CreateVpc",
    "vpc-peering-connection": "CreateVpcPeeringConnection",
    "route-table": "CreateRouteTable",
    "security-group": "CreateSecurityGroup",
    "security-group-rule": "AuthorizeSecurityGroupIngress",
}
KEYS = sorted(
    key + ("prod" if key.endswith("/") else "")
    for key in re.findall(
        r'pub const \w+: &str = "(peerd\S+)"', (ROOT / "shared" / "core" / "src" / "tags.rs").read_text()
    )
)
CHANGES_OF_A_ROLE = (
    "CreateRole",
    "DeleteRole",
    "UpdateRole",
    "UpdateRoleDescription",
    "TagRole",
    "UntagRole",
    "UpdateAssumeRolePolicy",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary",
)


def is_allowed(principal: str, check: Check, scp: Mapping[str, Any] = SCP) -> bool:
    """Returns whether an administrator of an account may do something under a service control policy."""
    limited = _limited(Role('{"Statement": []}', {"admin": json.dumps({"Statement": ALLOW_ALL})}), scp)
    caller = Caller(principal, ACCOUNT, role=principal)
    return decide(caller, check, Policies({principal: limited})).allowed


def _limited(role: Role, scp: Mapping[str, Any]) -> Role:
    return replace(role, boundary=json.dumps({"Statement": [ALLOW_ALL, *scp["Statement"]]}))


def tags(action: str, kind: str, *keys: str, creating: str = "") -> Check:
    """Returns the check of CreateTags or DeleteTags, of an existing resource or one that the call creates."""
    keys_of_call = {
        "ec2:CreateAction": creating or None,
        "aws:TagKeys": list(keys) or None,
        **{f"aws:RequestTag/{key}": "x" for key in keys},
    }
    visible = visible_keys(action, kind)
    known = {name: it for name, it in keys_of_call.items() if it and name.partition("/")[0] in visible}
    assert ("aws:TagKeys" in known) == bool(keys)
    return Check(action, f"arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/{'*' if creating else 'x-1'}", known, REGION)


def changes_of_tags(kind: str, *keys: str) -> dict[str, Check]:
    """Returns the ways to write and remove a tag of a type of resource."""
    return {
        "write": tags("ec2:CreateTags", kind, *keys),
        "remove": tags("ec2:DeleteTags", kind, *keys),
        "create with": tags("ec2:CreateTags", kind, *keys, creating=CREATE[kind]),
    }


def change_of_role(action: str, role: str) -> Check:
    return Check(f"iam:{action}", role, region=REGION)


# ---------------------------------------------------------------- the service control policy


def test_the_program_has_as_many_tags_as_are_examined() -> None:
    assert len(KEYS) == 11


@pytest.mark.parametrize("kind", CREATE)
@pytest.mark.parametrize("key", KEYS)
def test_only_exempt_principals_write_or_remove_a_tag_of_peerd(key: str, kind: str) -> None:
    for keys in ([key], ["Name", key]):
        for name, check in changes_of_tags(kind, *keys).items():
            for principal in (DEVELOPER, STACK_SETS, *OTHERS):
                assert not is_allowed(principal, check), f"{principal} may {name} {key}"
            for principal in (SPOKE, APPLY, ADMIN):
                assert is_allowed(principal, check), f"{principal} may not {name} {key}"


@pytest.mark.parametrize("key", ["Name", "team", "peerd", "peerd-env", "my:peerd:env", "peerd_eligible_2"])
def test_other_tags_are_unaffected(key: str) -> None:
    for kind in CREATE:
        for name, check in changes_of_tags(kind, key).items():
            assert is_allowed(DEVELOPER, check), name


@pytest.mark.parametrize("kind", CREATE)
def test_only_the_network_administrator_removes_all_tags_of_a_resource_at_once(kind: str) -> None:
    at_once = tags("ec2:DeleteTags", kind)
    for principal in (DEVELOPER, SPOKE, APPLY, STACK_SETS, *OTHERS):
        assert not is_allowed(principal, at_once), principal
    assert is_allowed(ADMIN, at_once)


def test_all_tags_of_a_resource_that_peerd_does_not_tag_may_be_removed_at_once() -> None:
    subnet = Check("ec2:DeleteTags", f"arn:aws:ec2:{REGION}:{ACCOUNT}:subnet/subnet-1", {}, REGION)
    assert is_allowed(DEVELOPER, subnet)


@pytest.mark.parametrize("role", [SPOKE, APPLY, FORWARD, ADMIN, STACK_SETS])
@pytest.mark.parametrize("action", CHANGES_OF_A_ROLE)
def test_only_stack_sets_and_the_network_administrator_change_the_roles_of_peerd(
    action: str, role: str
) -> None:
    for principal in (DEVELOPER, SPOKE, APPLY, *OTHERS):
        assert not is_allowed(principal, change_of_role(action, role)), principal
        assert is_allowed(principal, change_of_role(action, f"{DEVELOPER}-2"))
    for principal in (STACK_SETS, ADMIN):
        assert is_allowed(principal, change_of_role(action, role))


def test_no_account_can_create_a_role_that_the_policy_exempts() -> None:
    exempt = {
        arn
        for statement in SCP["Statement"]
        for arn in _listed(statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"])
    }
    assert len(exempt) == 4
    for arn in exempt:
        role = arn.replace("::*:", f"::{ACCOUNT}:").replace("*", "x")
        assert not is_allowed(DEVELOPER, change_of_role("CreateRole", role)), arn


@pytest.mark.parametrize("role", ["peerd-spoke", "peerd-operator-apply"])
def test_the_policy_denies_no_call_of_peerd(role: str) -> None:
    policies = combined(spoke(ACCOUNT), operators(ACCOUNT))
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    policies = replace(policies, roles={arn: _limited(policies.roles[arn], SCP)})
    calls = [Call(name, session(role, ACCOUNT), checks) for name, checks in calls_of_peerd().items()]
    assert [call.name for call in calls if not call.is_allowed(policies)] == []


# ---------------------------------------------------------------- rows of docs/security.md


@dataclass(frozen=True)
class Attempt:
    """What a row says that a principal of a member account tries."""

    row: int
    check: Check

    def __str__(self) -> str:
        return f"row {self.row}: {self.check.action} on {self.check.resource.rpartition(':')[2]}"


def attempts() -> Iterator[Attempt]:
    written = ((1, "vpc", "peerd:env"), (2, "vpc", "peerd:role"), (3, "security-group", "peerd:allow"))
    owned = (
        (4, "security-group-rule", "peerd:managed-by"),
        (5, "vpc-peering-connection", "peerd:managed-by"),
    )
    for row, kind, key in written + owned:
        yield Attempt(row, tags("ec2:CreateTags", kind, key))
        yield Attempt(row, tags("ec2:CreateTags", kind, key, creating=CREATE[kind]))
    yield Attempt(3, tags("ec2:DeleteTags", "security-group", "peerd:ports"))  # then all ports are open
    yield Attempt(9, tags("ec2:DeleteTags", "vpc", "peerd:env"))
    yield Attempt(9, tags("ec2:DeleteTags", "vpc"))
    yield Attempt(19, change_of_role("CreateRole", SPOKE))
    yield Attempt(19, change_of_role("UpdateAssumeRolePolicy", SPOKE))


@pytest.mark.parametrize("attempt", tuple(attempts()), ids=str)
def test_the_policy_stops_what_docs_security_says_that_it_stops(attempt: Attempt) -> None:
    assert not is_allowed(DEVELOPER, attempt.check)


def test_docs_security_names_the_policy_in_these_rows() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    for row in {it.row for it in attempts()}:
        (cells,) = re.findall(rf"^\| {row} \|.*$", text, re.MULTILINE)
        assert "service control policy" in cells.split("|")[-2]


# ---------------------------------------------------------------- nothing in it is superfluous


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def verdicts(scp: Mapping[str, Any]) -> list[bool]:
    """Returns whether each principal may do each thing that the tests above examine."""
    checks = [it for kind in CREATE for key in KEYS for it in changes_of_tags(kind, key).values()]
    checks += [tags("ec2:DeleteTags", kind) for kind in CREATE]
    roles = (SPOKE, APPLY, FORWARD, ADMIN, STACK_SETS)
    checks += [change_of_role(action, role) for action in CHANGES_OF_A_ROLE for role in roles]
    checks += [tags("ec2:CreateTags", "vpc", "Name"), change_of_role("CreateRole", DEVELOPER)]
    principals = (DEVELOPER, SPOKE, APPLY, ADMIN, STACK_SETS)
    return [is_allowed(principal, check, scp) for principal in principals for check in checks]


def parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Returns the paths of the statements, the conditions, and the items of lists."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, item in items:
        within = (*path, key)
        if isinstance(value, list) or path[-1:] == ("Condition",):
            yield within
        if isinstance(item, dict | list):
            yield from parts(item, within)


def without(document: Any, path: tuple[Any, ...]) -> Any:
    copy = json.loads(json.dumps(document))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    return copy


def name_of(path: tuple[Any, ...]) -> str:
    return "/".join(map(str, path))


@pytest.mark.parametrize("path", tuple(parts(SCP)), ids=name_of)
def test_without_any_one_part_of_the_policy_someone_may_do_more_or_less(path: tuple[Any, ...]) -> None:
    assert verdicts(without(SCP, path)) != verdicts(SCP)


# ---------------------------------------------------------------- the tag policy


def complies(kind: str, key: str, value: str, policy: Mapping[str, Any] = TAG_POLICY) -> bool:
    """Returns whether AWS accepts a tag of a resource.

    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_tag-policies-enforcement.html
    """
    for entry in policy["tags"].values():
        declared, values, types = (entry[it]["@@assign"] for it in ("tag_key", "tag_value", "enforced_for"))
        if f"ec2:{kind}" in types and key.lower() == declared.lower():
            return key == declared and any(fnmatchcase(value, it) for it in values)
    return True


PEERING, GROUP = "vpc-peering-connection", "security-group"
REFUSED = [
    (6, "vpc", "peerd:env", "+".join(f"mesh-{number}" for number in range(45))),
    (8, GROUP, "peerd:allow", "!!"),
    (26, PEERING, "peerd:managed-by", "other"),
    (38, "vpc", "peerd:env", "prod+another"),
]


@pytest.mark.parametrize(("row", "kind", "key", "value"), REFUSED)
def test_the_tag_policy_refuses_what_docs_security_says_that_it_refuses(
    row: int, kind: str, key: str, value: str
) -> None:
    assert not complies(kind, key, value)
    (cells,) = re.findall(rf"^\| {row} \|.*$", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
    assert "the tag policy" in cells.split("|")[-2]


VALUES = [
    (kind, key, it)
    for kind, key in (("vpc", "peerd:env"), (GROUP, "peerd:allow"))
    for it in ("prod", "staging", "prod+staging")
]
VALUES += [("vpc", "peerd:role", it) for it in ("hub", "spoke")]
VALUES += [("route-table", "peerd:routes", it) for it in ("manage", "ignore")]
VALUES += [("route-table", "peerd_eligible", it) for it in ("true", "false")]
VALUES += [(kind, "peerd:managed-by", "peerd") for kind in (PEERING, "security-group-rule")]


@pytest.mark.parametrize(("kind", "key", "value"), VALUES)
def test_the_tag_policy_accepts_the_declared_values_and_refuses_others(
    kind: str, key: str, value: str
) -> None:
    assert complies(kind, key, value)
    for other in (f"{value}-2", value.upper(), "", "*"):
        assert not complies(kind, key, other)


def test_the_tag_policy_accepts_tags_that_it_does_not_name() -> None:
    for kind in CREATE:
        for key in ("Name", "peerd:status", "peerd:cidrs", "peerd:ports"):
            assert complies(kind, key, "anything")


def test_without_any_one_part_of_the_tag_policy_a_value_is_accepted_or_refused() -> None:
    def accepted(policy: Mapping[str, Any]) -> list[bool]:
        return [
            complies(*it, policy)
            for kind, key, value in VALUES
            for it in ((kind, key, value), (kind, key, "x"))
        ]

    items = [it for it in parts(TAG_POLICY) if isinstance(it[-1], int)]
    for path in [*(("tags", key) for key in TAG_POLICY["tags"]), *items]:
        assert accepted(without(TAG_POLICY, path)) != accepted(TAG_POLICY), name_of(path)


# ---------------------------------------------------------------- keys in another case


def test_a_key_in_another_case_satisfies_the_role_of_a_spoke_and_only_the_tag_policy_refuses_it() -> None:
    """IAM ignores the case of a key in `aws:ResourceTag/...`, but not in the values of `aws:TagKeys`."""
    key, vpc = "PEERD:ENV", f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1"
    peers = Check("ec2:AcceptVpcPeeringConnection", vpc, {f"aws:ResourceTag/{key}": "x"}, REGION)
    assert decide(session("peerd-spoke", ACCOUNT), peers, spoke(ACCOUNT)).allowed
    assert is_allowed(DEVELOPER, tags("ec2:CreateTags", "vpc", key))
    assert not complies("vpc", key, "prod")


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("vpc", "peerd:env"),
        (PEERING, "peerd:managed-by"),
        ("route-table", "peerd:routes"),
        (GROUP, "peerd:allow"),
        ("route-table", "peerd_eligible"),
        ("security-group-rule", "peerd:managed-by"),
    ],
)
def test_the_tag_policy_fixes_the_case_of_the_keys_on_which_the_role_of_a_spoke_has_conditions(
    kind: str, key: str
) -> None:
    value = TAG_POLICY["tags"].get(key, {"tag_value": {"@@assign": ["true"]}})["tag_value"]["@@assign"][0]
    assert not complies(kind, key.upper(), value)
