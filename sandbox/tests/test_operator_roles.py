"""The roles of operator.yaml, compared with the program, spoke.yaml and docs/policies.md."""

import json
import re

import botocore.session
import pytest
from botocore import xform_name

from sandbox.iam.actions import ACTIONS
from sandbox.iam.evaluate import ASSUME_ROLE, decide
from sandbox.iam.events import event_keys
from sandbox.iam.model import Caller, Check
from sandbox.iam.policies import Policies, Role
from sandbox.tests.deployment import BUS, FUNCTIONS, HUB, Call, operators, session, spoke
from sandbox.tests.network import ACCOUNT, PARTNER, REGION, calls_of_peerd, hostile_calls
from sandbox.tests.templates import ROOT, combined

pytestmark = pytest.mark.xdist_group("network")  # each worker would make its own

READ, APPLY = "peerd-operator-read", "peerd-operator-apply"
POLICIES = combined(operators(HUB), operators(ACCOUNT))
TABLE = f"arn:aws:dynamodb:{REGION}:{HUB}:table/peerd-Table-GENERATED"
SECRET = f"arn:aws:secretsmanager:{REGION}:{HUB}:secret:peerd-seal-0123456789ab-GENERATED"
_QUEUE = f"arn:aws:sqs:{REGION}:{HUB}:"
_BUS_RULE = f"arn:aws:events:{REGION}:{HUB}:rule/peerd/peerd-"
_SCHEDULE = f"arn:aws:scheduler:{REGION}:{HUB}:schedule/default/peerd-sweep"
_FUNCTION = f"arn:aws:lambda:{REGION}:{HUB}:function:peerd-"
_RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/peerd-"
_TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/t"
# IAM counts no white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_MAX_INLINE = 10_240
# Policies that the roles share, which count apart.
MANAGED = {"ExaminePolicy"}

READS = {
    "ec2:DescribeVpcs": "*",
    "ec2:DescribeVpcPeeringConnections": "*",
    "ec2:DescribeRouteTables": "*",
    "ec2:DescribeSecurityGroups": "*",
    "ec2:DescribeSecurityGroupRules": "*",
    "ec2:DescribeNetworkAcls": "*",
    "ec2:DescribeSubnets": "*",
    "ec2:DescribeNetworkInterfaces": "*",
    "ec2:DescribeRegions": "*",
    "ec2:DescribeVpcAttribute": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1",
    "ec2:GetManagedPrefixListEntries": f"arn:aws:ec2:{REGION}:aws:prefix-list/pl-1",
    "servicequotas:ListServiceQuotas": "*",
    "cloudtrail:DescribeTrails": "*",
    "cloudtrail:GetTrailStatus": _TRAIL,
    "cloudtrail:GetEventSelectors": _TRAIL,
    "events:DescribeRule": f"{_RULE}vpc-tags",
    "events:ListTargetsByRule": f"{_RULE}network-calls",
}
READS_OF_HUB = {
    "cloudformation:DescribeStacks": f"arn:aws:cloudformation:{REGION}:{HUB}:stack/peerd/*",
    "dynamodb:GetItem": TABLE,
    "dynamodb:Query": TABLE,
    "secretsmanager:GetSecretValue": SECRET,
    "sqs:GetQueueAttributes": f"{_QUEUE}peerd-drift-repair-dead-letters",
    "events:DescribeRule": f"{_BUS_RULE}vpc-calls",
    "events:ListTargetsByRule": f"{_BUS_RULE}peering-calls",
    "dynamodb:DescribeTable": TABLE,
    "dynamodb:DescribeContinuousBackups": TABLE,
    "events:DescribeEventBus": BUS,
    "scheduler:GetSchedule": _SCHEDULE,
    "lambda:GetFunctionConcurrency": f"{_FUNCTION}vpc-events",
    "lambda:ListEventSourceMappings": "*",
    "lambda:GetAccountSettings": "*",
    "cloudwatch:DescribeAlarms": f"arn:aws:cloudwatch:{REGION}:{HUB}:alarm:peerd-vpc-events-errors",
    "organizations:ListPolicies": "*",
    "organizations:DescribePolicy": "*",
    "organizations:ListTargetsForPolicy": "*",
}
# docs/policies.md: only `plan` with `units` in a peerd.toml makes these, which neither role may.
OF_ORGANIZATION = {
    "organizations:ListAccountsForParent",
    "organizations:ListOrganizationalUnitsForParent",
}
# docs/deploy.md: only `doctor --live` makes these, with a role of its own.
OF_LIVE_TEST = {"ec2:CreateVpc", "ec2:DeleteVpc"}
OTHERWISE_NAMED = {"sts:GetCallerIdentity", "dynamodb:TransactWriteItems", "lambda:Invoke"}
# What the second column of docs/policies.md names, as the resources of a call.
NAMED = {
    "the hub's stack": [READS_OF_HUB["cloudformation:DescribeStacks"]],
    "the table": [TABLE],
    "the secret of the seal": [SECRET],
    "the queues": [f"{_QUEUE}peerd-{it}{end}" for it in FUNCTIONS for end in ("", "-dead-letters")],
    "the three queues": [f"{_QUEUE}peerd-{it}" for it in FUNCTIONS],
    "the drift-repair queue": [f"{_QUEUE}peerd-drift-repair"],
    "the dead-letter queues": [f"{_QUEUE}peerd-{it}-dead-letters" for it in FUNCTIONS],
    "the rules of the bus": [f"{_BUS_RULE}{it}" for it in ("vpc-tags", "vpc-calls", "peering-calls")],
    "the role of the same name in each account": [f"arn:aws:iam::{it}:role/%s" for it in (HUB, ACCOUNT)],
    "the bus": [BUS],
    "the schedule": [_SCHEDULE],
    "the functions": [f"{_FUNCTION}{it}" for it in FUNCTIONS],
    "everything in the Region of the hub": ["*"],
    "the alarms": [READS_OF_HUB["cloudwatch:DescribeAlarms"]],
    "the organization": ["*"],
    "the function drift-repair": [f"arn:aws:lambda:{REGION}:{HUB}:function:peerd-drift-repair"],
}


def is_allowed(role: str, account: str, *checks: Check, policies: Policies = POLICIES) -> bool:
    return Call("", session(role, account), checks).is_allowed(policies)


def check(action: str, resource: str) -> Check:
    keys = event_keys("peerd", "Mesh Changed", forwarded=False) if action == "events:PutEvents" else {}
    return Check(action, resource, keys, REGION)


def reads_in(account: str) -> list[Check]:
    """Returns the reads of the command line in an account, without those of the hub's stack."""
    return [check(action, resource.replace(ACCOUNT, account)) for action, resource in READS.items()]


# ---------------------------------------------------------------- reads and writes


def calls_of_the_program() -> set[str]:
    """Returns the actions of the SDK's operations that the sources of the command line name."""
    sources = [path for folder in ("cli/src", "shared/aws/src") for path in (ROOT / folder).rglob("*.rs")]
    names = set(re.findall(r"\.([a-z_]+)\(", "".join(path.read_text() for path in sources)))
    crates = re.findall(r"^aws-sdk-(\w+)", (ROOT / "shared" / "aws" / "Cargo.toml").read_text(), re.MULTILINE)
    sdk, found = botocore.session.get_session(), set()
    for crate in crates:
        model = sdk.get_service_model(
            {"servicequotas": "service-quotas", "eventbridge": "events"}.get(crate, crate)
        )
        prefix = "events" if crate == "eventbridge" else crate
        found |= {f"{prefix}:{it}" for it in model.operation_names if xform_name(it) in names}
    # AWS always permits the first, evaluates the second as single writes, and names the third differently.
    assert found >= OTHERWISE_NAMED
    return (found - OTHERWISE_NAMED) | {"lambda:InvokeFunction"}


def writes() -> set[str]:
    """Returns the actions of the table that are no reads. Lambda itself makes those of logs."""
    return ACTIONS.keys() - READS.keys() - READS_OF_HUB.keys() - OF_ORGANIZATION


def test_every_call_of_the_program_is_a_read_or_a_write_here() -> None:
    called = calls_of_the_program()
    assert READS.keys() | READS_OF_HUB.keys() | OF_ORGANIZATION | OF_LIVE_TEST <= called
    assert called - OF_LIVE_TEST <= ACTIONS.keys()
    assert not [it for it in writes() if re.search(r":(Describe|Get|List|Query)", it)]


@pytest.mark.parametrize("role", [READ, APPLY])
def test_both_roles_may_make_every_read(role: str) -> None:
    of_hub = [check(*it) for it in READS_OF_HUB.items()]
    assert [it for it in reads_in(ACCOUNT) if not is_allowed(role, ACCOUNT, it)] == []
    assert [it for it in [*reads_in(HUB), *of_hub] if not is_allowed(role, HUB, it)] == []


def test_the_hubs_resources_are_for_the_hubs_roles_only() -> None:
    wanted = [*documented(APPLY), *documented(READ)]
    anyone = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    opened = Policies({}, {it.resource: json.dumps({"Statement": anyone}) for it in wanted})
    policies = combined(POLICIES, opened)
    for role in (READ, APPLY):
        assert [it for it in wanted if is_allowed(role, ACCOUNT, it, policies=policies)] == []


@pytest.mark.parametrize("action", sorted(writes() - {ASSUME_ROLE}))
@pytest.mark.parametrize("account", [HUB, ACCOUNT])
def test_the_reading_role_may_make_no_write_on_any_resource(account: str, action: str) -> None:
    service, kinds = action.partition(":")[0], ACTIONS[action]
    resources = {f"arn:aws:ec2:{REGION}:{account}:{kind}/*" for kind in kinds if service == "ec2" and kind}
    resources |= {"*", TABLE, BUS, *NAMED["the queues"], *NAMED["the function drift-repair"]}
    assert [it for it in resources if is_allowed(READ, account, check(action, it))] == []


def test_the_reading_role_may_make_no_call_of_peerd_that_changes_a_network() -> None:
    for name, checks in (calls_of_peerd() | hostile_calls()).items():
        assert not any(is_allowed(READ, ACCOUNT, it) for it in checks), name


LIVE_TEST = "peerd-live-test"


def live_test(action: str, **keys: str) -> bool:
    """Returns whether the role of docs/deploy.md may do something to a VPC; `__` is the `:` of a key."""
    document = (ROOT / "docs" / "deploy.md").read_text()
    (policy,) = [
        it
        for it in re.findall(r"^```\n(\{.*?\})\n```$", document, re.MULTILINE | re.DOTALL)
        if LIVE_TEST in it
    ]
    caller = session("live", ACCOUNT)
    policies = Policies({caller.role: Role(trust="{}", policies={"live": policy})}, {})
    given = {key.replace("__", ":", 1): value for key, value in keys.items()}
    vpc = f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1"
    return decide(caller, Check(action, vpc, given, REGION), policies).allowed


def test_the_role_of_a_live_test_may_change_its_own_vpcs_only() -> None:
    named, other = {"aws__ResourceTag/Name": LIVE_TEST}, {"aws__ResourceTag/Name": "production"}
    assert live_test("ec2:CreateVpc", **{"aws__RequestTag/Name": LIVE_TEST})
    assert live_test("ec2:CreateTags", ec2__CreateAction="CreateVpc")
    assert not live_test("ec2:CreateVpc") and not live_test("ec2:CreateVpc", **{"aws__RequestTag/Name": "x"})
    for action in ("ec2:CreateTags", "ec2:DeleteTags", "ec2:DeleteVpc"):
        assert live_test(action, **named) and not live_test(action, **other), action


# ---------------------------------------------------------------- the same as a spoke


@pytest.mark.parametrize("tables", ["all", "tagged"])
@pytest.mark.parametrize("peers", ["", PARTNER])
@pytest.mark.parametrize("tags", ["*", "team"])
def test_the_applying_role_may_change_what_the_role_of_a_spoke_may_and_nothing_else(
    tables: str, peers: str, tags: str
) -> None:
    parameters = {"RouteTables": tables, "Peers": peers, "PolicyTags": tags}
    policies = combined(spoke(ACCOUNT, **parameters), operators(ACCOUNT, **parameters))
    both = [policies.roles[f"arn:aws:iam::{ACCOUNT}:role/{it}"].policies for it in ("peerd-spoke", APPLY)]
    (of_spoke, of_operator) = (_statements(documents, "read", "mesh") for documents in both)
    for of_explain in ("NetworkAcls", "Subnets", "NetworkInterfaces"):
        of_operator["Read"]["Action"].remove(f"ec2:Describe{of_explain}")
    assert of_operator == of_spoke
    for name, checks in (calls_of_peerd() | hostile_calls()).items():
        decisions = {is_allowed(it, ACCOUNT, *checks, policies=policies) for it in ("peerd-spoke", APPLY)}
        assert len(decisions) == 1, name
        assert decisions == {True} or name in hostile_calls(), name


def _statements(documents: dict[str, str], *names: str) -> dict[str, dict]:
    found = [it for name in names for it in json.loads(documents.get(name, '{"Statement": []}'))["Statement"]]
    return {it["Sid"]: it for it in found}


def permitted(policies: Policies) -> set[str]:
    """Returns the calls that the roles may make, of those that they are for."""
    calls = [
        Call(f"{role} in {account}: {it}", session(role, account), (it,))
        for role in (READ, APPLY)
        for account in (HUB, ACCOUNT)
        for it in [*reads_in(account), *(documented(role) if account == HUB else [])]
    ]
    calls += [Call(name, session(APPLY, ACCOUNT), checks) for name, checks in calls_of_peerd().items()]
    return {call.name for call in calls if call.is_allowed(policies)}


def test_without_any_one_action_of_a_statement_an_operator_is_denied_something() -> None:
    complete = permitted(POLICIES)
    examined = 0
    for statement in POLICIES.statements():
        # The network of the calls is in the other account, which has the same statements.
        if (HUB in statement.holder) and statement.policy == "mesh":
            continue
        for action in POLICIES.actions(statement):
            changed = permitted(POLICIES.without_action(statement, action))
            assert changed < complete, f"{action} is not needed in {statement}"
            examined += 1
    assert examined > 80


# ---------------------------------------------------------------- docs/policies.md


def rows() -> list[tuple[list[str], str, str]]:
    """Returns the permissions in the hub's account of docs/policies.md: actions, resource, roles."""
    text = (ROOT / "docs" / "policies.md").read_text().split("### Permissions of operators")[1]
    table = text.split("In each account:")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "`" in line
    ]
    return [
        (re.findall(r"`([a-z0-9]+:\w+)`", given[0]), given[1], given[3]) for given in cells if len(given) == 4
    ]


def documented(role: str) -> list[Check]:
    """Returns the calls that the document promises a role."""
    return [
        check(action, resource % role if "%s" in resource else resource)
        for actions, named, roles in rows()
        for action in actions
        for resource in NAMED[named]
        if {READ: "R", APPLY: "A"}[role] in roles
    ]


def test_every_row_of_the_documentation_names_permissions_and_a_known_resource() -> None:
    assert {named for _, named, _ in rows()} == NAMED.keys()
    assert all(actions and re.fullmatch("R, A|A", roles) for actions, _, roles in rows())


@pytest.mark.parametrize("role", [READ, APPLY])
def test_a_role_may_do_in_the_hub_what_the_documentation_says(role: str) -> None:
    assert [it for it in documented(role) if not is_allowed(role, HUB, it)] == []


def test_only_the_applying_role_may_do_what_the_documentation_gives_to_it_alone() -> None:
    only = [it for it in documented(APPLY) if it not in documented(READ) and it.action != ASSUME_ROLE]
    assert {it.action for it in only} >= {"sqs:SendMessage", "lambda:InvokeFunction", "dynamodb:PutItem"}
    assert [it for it in only if is_allowed(READ, HUB, it)] == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sqs:SendMessage", f"{_QUEUE}peerd-drift-repair-dead-letters"),
        ("sqs:ReceiveMessage", f"{_QUEUE}peerd-drift-repair"),
        ("sqs:DeleteMessage", f"{_QUEUE}peerd-vpc-events"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{HUB}:function:peerd-vpc-events"),
        ("dynamodb:PutItem", TABLE.replace("peerd-Table", "other-Table")),
        ("dynamodb:UpdateItem", TABLE.replace(REGION, "eu-west-1")),
        ("events:PutEvents", BUS.replace("peerd", "default")),
        ("ec2:CreateTags", f"arn:aws:ec2:{REGION}:{HUB}:subnet/subnet-1"),
        ("sqs:ReceiveMessage", f"{_QUEUE}peerd-two-vpc-events-dead-letters"),
    ],
)
def test_the_applying_role_may_not_use_other_resources_of_the_hub(action: str, resource: str) -> None:
    assert not is_allowed(APPLY, HUB, check(action, resource))


# ---------------------------------------------------------------- trust


def may_assume(caller: str, role: str, account: str, policies: Policies = POLICIES) -> bool:
    """Returns whether a principal whose own policies allow everything may assume a role."""
    target = Check(ASSUME_ROLE, f"arn:aws:iam::{account}:role/{role}")
    return Call("", Caller(caller, caller.split(":")[4]), (target,)).is_allowed(policies)


@pytest.mark.parametrize(("role", "named"), [(READ, "readers"), (APPLY, "appliers")])
def test_a_role_trusts_the_hubs_role_of_its_name_and_in_the_hub_those_that_a_parameter_names(
    role: str, named: str
) -> None:
    same, operator = f"arn:aws:iam::{HUB}:role/{role}", f"arn:aws:iam::{HUB}:role/{named}"
    assert may_assume(same, role, ACCOUNT)
    assert may_assume(same, role, HUB)
    assert may_assume(operator, role, HUB)
    assert not may_assume(operator, role, ACCOUNT), "an operator uses the hub's role"
    for account in (HUB, ACCOUNT):
        for other in (
            f"arn:aws:iam::{HUB}:root",
            f"arn:aws:iam::{HUB}:role/{APPLY if role == READ else READ}",
            f"arn:aws:iam::{HUB}:role/{'appliers' if named == 'readers' else 'readers'}",
            f"arn:aws:iam::{ACCOUNT}:role/{role}",
            f"arn:aws:iam::{PARTNER}:role/{role}",
        ):
            assert not may_assume(other, role, account), f"{other} in {account}"


@pytest.mark.parametrize("role", [READ, APPLY])
def test_a_role_of_the_hub_may_assume_only_the_roles_of_its_own_name(role: str) -> None:
    anyone = '{"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}}'
    names = (READ, APPLY, "peerd-spoke", "peerd-forward-us-east-1", "network-admin")
    trusting = {f"arn:aws:iam::{PARTNER}:role/{name}": Role(anyone) for name in names}
    policies = combined(POLICIES, Policies(trusting))
    assumed = [it for it in trusting if is_allowed(role, HUB, Check(ASSUME_ROLE, it), policies=policies)]
    assert assumed == [f"arn:aws:iam::{PARTNER}:role/{role}"]
    assert not [it for it in trusting if is_allowed(role, ACCOUNT, Check(ASSUME_ROLE, it), policies=policies)]


def test_without_readers_and_appliers_the_hubs_roles_are_the_same_and_no_one_else_may_assume_them() -> None:
    policies = combined(operators(HUB, Readers="", Appliers=""), operators(ACCOUNT))
    for role, named in ((READ, "readers"), (APPLY, "appliers")):
        assert not may_assume(f"arn:aws:iam::{HUB}:role/{named}", role, HUB, policies)
        assert may_assume(f"arn:aws:iam::{HUB}:role/{role}", role, HUB, policies)
        assert all(is_allowed(role, HUB, it, policies=policies) for it in documented(role))


def test_the_applying_role_exists_only_on_request() -> None:
    names = {arn.rpartition("/")[2] for arn in operators(HUB, ApplyRole="false").roles}
    assert names == {READ}


@pytest.mark.parametrize(
    ("policies_of", "peers"),
    [
        pytest.param(spoke, 30, id="spoke.yaml"),
        pytest.param(
            operators,
            13,
            id="operator.yaml",
        ),
    ],
)
def test_as_many_peers_fit_as_the_parameter_says(policies_of: type[Policies], peers: int) -> None:
    listed = ",".join(str(100_000_000_000 + number) for number in range(peers))
    for role in policies_of(HUB, Peers=listed, RouteTables="tagged", PolicyTags="*").roles.values():
        inline = [it for name, it in role.policies.items() if name not in MANAGED]
        size = sum(len(re.sub(r"\s", "", document)) for document in inline)
        assert size <= _MAX_INLINE
