"""The hub's resources as an operator reads them: table, bus, schedule, functions, guardrails, parameters."""

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.deploy import DEPLOYMENT, HUB_STACK, UNIT
from sandbox.tests.running import RunningSandbox
from sandbox.tests.templates import ROOT, template

SCP = "SERVICE_CONTROL_POLICY"


def table_name(sandbox: RunningSandbox) -> str:
    resources = sandbox.sessions.client("cloudformation").list_stack_resources(StackName=HUB_STACK)
    (table,) = [it for it in resources["StackResourceSummaries"] if it["LogicalResourceId"] == "Table"]
    return table["PhysicalResourceId"]


def is_recoverable(dynamodb: Any, table: str) -> bool:
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_the_table_is_protected_recoverable_and_encrypted_as_its_template_says(
    sandbox: RunningSandbox,
) -> None:
    dynamodb, name = sandbox.sessions.client("dynamodb"), table_name(sandbox)
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert table["DeletionProtectionEnabled"] is True
    assert (table["SSEDescription"]["Status"], table["SSEDescription"]["SSEType"]) == ("ENABLED", "KMS")
    assert is_recoverable(dynamodb, name)


def test_a_table_without_protection_in_its_template_has_none(sandbox: RunningSandbox) -> None:
    cloudformation, dynamodb = (sandbox.sessions.client(it) for it in ("cloudformation", "dynamodb"))
    key = {"AttributeName": "pk"}
    properties = {
        "TableName": "plain",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [key | {"AttributeType": "S"}],
        "KeySchema": [key | {"KeyType": "HASH"}],
    }

    def template(**more: Any) -> str:
        return json.dumps(
            {"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties | more}}}
        )

    cloudformation.create_stack(StackName="plain", TemplateBody=template())
    cloudformation.get_waiter("stack_create_complete").wait(StackName="plain")
    assert not is_recoverable(dynamodb, "plain")
    assert "SSEDescription" not in dynamodb.describe_table(TableName="plain")["Table"]
    recovery = {"PointInTimeRecoveryEnabled": True}
    cloudformation.update_stack(
        StackName="plain", TemplateBody=template(PointInTimeRecoverySpecification=recovery)
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName="plain")
    assert is_recoverable(dynamodb, "plain")
    cloudformation.delete_stack(StackName="plain")


def test_the_protection_of_a_table_can_be_removed_and_restored(sandbox: RunningSandbox) -> None:
    dynamodb, name = sandbox.sessions.client("dynamodb"), table_name(sandbox)
    for wanted in (False, True):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=wanted)
        recovery = {"PointInTimeRecoveryEnabled": wanted}
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
        assert (
            dynamodb.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"],
            is_recoverable(dynamodb, name),
        ) == (wanted, wanted)


def test_a_policy_replaces_that_of_the_bus_and_applies_immediately(sandbox: RunningSandbox) -> None:
    events = sandbox.sessions.client("events")
    bus = events.describe_event_bus(Name=DEPLOYMENT)
    policy = json.loads(bus["Policy"])
    kept = policy | {"Statement": [it for it in policy["Statement"] if it["Sid"] == "Units"]}
    assert len(kept["Statement"]) == 1 < len(policy["Statement"])
    try:
        events.put_permission(EventBusName=DEPLOYMENT, Policy=json.dumps(kept))
        assert json.loads(events.describe_event_bus(Name=DEPLOYMENT)["Policy"]) == kept
        deployed = sandbox.control.policies().as_dict()["resources"][bus["Arn"]]
        assert [it["Sid"] for it in json.loads(deployed)["Statement"]] == ["Units"]
    finally:
        events.put_permission(EventBusName=DEPLOYMENT, Policy=json.dumps(policy))
    assert json.loads(events.describe_event_bus(Name=DEPLOYMENT)["Policy"]) == policy


def test_a_policy_of_a_bus_excludes_the_other_parameters_and_needs_a_bus(sandbox: RunningSandbox) -> None:
    events = sandbox.sessions.client("events")
    with pytest.raises(ClientError, match="ValidationException"):
        events.put_permission(EventBusName=DEPLOYMENT, Policy="{}", StatementId="x")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        events.put_permission(EventBusName="another", Policy="{}")


def test_a_schedule_can_be_disabled_and_a_sweep_is_then_not_sent(sandbox: RunningSandbox) -> None:
    scheduler = sandbox.sessions.client("scheduler")
    schedule = scheduler.get_schedule(Name=f"{DEPLOYMENT}-sweep")
    assert schedule["State"] == "ENABLED"
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "Description")
    same = {key: schedule[key] for key in kept}
    before = len(sandbox.bodies("drift-repair"))
    try:
        scheduler.update_schedule(**same, State="DISABLED")
        assert scheduler.get_schedule(Name=f"{DEPLOYMENT}-sweep")["State"] == "DISABLED"
        sandbox.control.sweep()
        assert sandbox.is_idle() and len(sandbox.bodies("drift-repair")) == before
    finally:
        scheduler.update_schedule(**same, State="ENABLED")


def test_the_reserved_concurrency_of_a_function_counts_against_the_account(sandbox: RunningSandbox) -> None:
    functions = sandbox.sessions.client("lambda")
    name = f"{DEPLOYMENT}-vpc-events"
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName=name)
    free = functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=7)
    try:
        reserved = functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"]
        left = functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
        assert (reserved, left) == (7, free - 7)
    finally:
        functions.delete_function_concurrency(FunctionName=name)


def test_the_guardrails_are_attached_to_the_root_and_only_the_management_account_sees_it(
    sandbox: RunningSandbox,
) -> None:
    organizations = sandbox.sessions.client("organizations")
    (root,) = organizations.list_roots()["Roots"]
    units = organizations.list_organizational_units_for_parent(ParentId=root["Id"])["OrganizationalUnits"]
    (unit,) = [it["Id"] for it in units if it["Name"] == UNIT]
    assert organizations.list_parents(ChildId=unit)["Parents"] == [{"Id": root["Id"], "Type": "ROOT"}]
    policies = organizations.list_policies_for_target(TargetId=root["Id"], Filter=SCP)["Policies"]
    (policy,) = [it["Id"] for it in policies if not it["AwsManaged"]]
    content = organizations.describe_policy(PolicyId=policy)["Policy"]["Content"]
    assert json.loads(content) == json.loads((ROOT / "guardrails" / "scp.json").read_text())
    targets = organizations.list_targets_for_policy(PolicyId=policy)["Targets"]
    assert [it["TargetId"] for it in targets] == [root["Id"]]
    member = sandbox.sessions.client("organizations", "222222222222")
    for call, parameters in (
        (member.list_organizational_units_for_parent, {"ParentId": root["Id"]}),
        (member.list_parents, {"ChildId": unit}),
        (member.list_policies, {"Filter": SCP}),
        (member.list_policies_for_target, {"TargetId": unit, "Filter": SCP}),
        (member.list_targets_for_policy, {"PolicyId": policy}),
        (member.describe_policy, {"PolicyId": policy}),
    ):
        with pytest.raises(ClientError, match=r"AWSOrganizationsNotInUseException|AccessDeniedException"):
            call(**parameters)


# The sandbox evaluates no Rules, and deploys with values of its own: the tests below read the templates.


def test_a_spoke_has_no_home_region_unless_the_operator_names_one() -> None:
    home = template("spoke.yaml")["Parameters"]["HomeRegion"]
    assert "Default" not in home, "with a default, a deployment to other Regions alone creates no role"
    assert not re.fullmatch(home["AllowedPattern"], "")


def test_a_hub_needs_no_mesh_in_its_parameters() -> None:
    meshes = template("template.yaml")["Parameters"]["Meshes"]
    assert meshes["Default"] == "" and re.fullmatch(meshes["AllowedPattern"], "")


def is_accepted(rule: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """Returns whether CloudFormation accepts the parameters of a stack, as far as this rule decides it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-rules.html
    """

    def value(term: Any) -> Any:
        return parameters[term["Ref"]] if isinstance(term, dict) else term

    def holds(condition: dict[str, Any]) -> bool:
        ((function, terms),) = condition.items()
        match function:
            case "Fn::Or":
                return any(map(holds, terms))
            case "Fn::Not":
                return not holds(terms[0])
            case "Fn::Equals":
                return value(terms[0]) == value(terms[1])
            case "Fn::EachMemberIn":
                return set(value(terms[0])) <= set(value(terms[1]))
        raise NotImplementedError(function)

    assert rule.keys() == {"Assertions"}, "a RuleCondition limits to which stacks the assertions apply"
    return all(holds(it["Assert"]) for it in rule["Assertions"])


@pytest.mark.parametrize(
    ("units", "organization", "accepted"),
    [
        ("ou-abcd-11111111", "", False),
        ("ou-abcd-11111111,r-abcd", "", False),
        ("ou-abcd-11111111", "o-a1b2c3d4e5", True),
        ("", "o-a1b2c3d4e5", True),
        ("", "", True),
    ],
)
def test_a_hub_accepts_organizational_units_only_with_their_organization(
    units: str, organization: str, accepted: bool
) -> None:
    rule = template("template.yaml")["Rules"]["UnitsOfAnOrganization"]
    parameters = {"OrganizationalUnits": units.split(","), "OrganizationId": organization}
    assert is_accepted(rule, parameters) is accepted
