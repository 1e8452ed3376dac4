"""`peerd doctor`: the parts of the hub, external ids, versions, quotas and remedies.

Each test breaks one thing, which is named, and nothing else.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.client.model import ACCOUNTS, DEPLOYMENT, REGIONS, Vpc
from sandbox.client.sessions import Sessions
from sandbox.tests.test_documents import problems
from tests.e2e.cli import Peerd
from tests.e2e.doctor import (
    BY_OPERATOR,
    DENIED,
    FUNCTIONS,
    HUB_PLACE,
    Doctor,
    Rule,
    changed_trust,
    dead_letter,
    last_sweep,
    scope,
    temporarily,
    unread_queue,
    until_sweep_recorded,
    without_statements,
)
from tests.e2e.world import World, hub_outputs

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
MESH = "examined-more"
BY_DRIFT_REPAIR = {"principal": f"*:assumed-role/{DEPLOYMENT}-drift-repair/*"}


@pytest.fixture(scope="module")
def pair(shared_world: World, peerd: Peerd) -> Iterator[tuple[Vpc, Vpc]]:
    """Two peered VPCs of one mesh, after a sweep."""
    peerd.declare(MESH)
    one, two = shared_world.vpc(HUB, HOME, mesh=MESH), shared_world.vpc(SECOND, AWAY, mesh=MESH)
    shared_world.until_connected(one, two)
    until_sweep_recorded(shared_world, peerd)
    shared_world.until_idle()
    yield one, two
    peerd.ok("mesh", "undeclare", MESH, "--yes")


@pytest.fixture
def doctor(pair: tuple[Vpc, Vpc], peerd: Peerd) -> Doctor:
    """The doctor of a healthy deployment."""
    return Doctor(peerd)


# ---------------------------------------------------------------- schedule, functions, queues


def disabled_schedule(sessions: Sessions) -> AbstractContextManager[None]:
    """Disables the schedule of the sweeps."""
    scheduler = sessions.client("scheduler")
    schedule = scheduler.get_schedule(Name=f"{DEPLOYMENT}-sweep")
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "Description")
    same = {key: schedule[key] for key in kept}
    return temporarily(
        lambda: scheduler.update_schedule(**same, State="DISABLED"),
        lambda: scheduler.update_schedule(**same, State="ENABLED"),
    )


def test_a_schedule_that_is_off_is_named(doctor: Doctor, sessions: Sessions) -> None:
    with disabled_schedule(sessions):
        doctor.names((HUB_PLACE, f"the schedule {DEPLOYMENT}-sweep is DISABLED"))


def test_a_schedule_that_does_not_exist_is_named(doctor: Doctor, sessions: Sessions) -> None:
    scheduler = sessions.client("scheduler")
    schedule = scheduler.get_schedule(Name=f"{DEPLOYMENT}-sweep")
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "Description")
    with temporarily(
        lambda: scheduler.delete_schedule(Name=f"{DEPLOYMENT}-sweep"),
        lambda: scheduler.create_schedule(**{key: schedule[key] for key in kept}),
    ):
        doctor.names((HUB_PLACE, f"the schedule {DEPLOYMENT}-sweep does not exist"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_does_not_read_its_queue_is_named(
    doctor: Doctor, sessions: Sessions, function: str
) -> None:
    with unread_queue(sessions, function):
        doctor.names((HUB_PLACE, f"the function {DEPLOYMENT}-{function} does not read its queue: .*Disabled"))


@pytest.mark.parametrize("function", ["vpc-events", "peering-events"])
def test_a_function_that_may_not_run_is_named(doctor: Doctor, sessions: Sessions, function: str) -> None:
    functions, name = sessions.client("lambda"), f"{DEPLOYMENT}-{function}"
    with temporarily(
        lambda: functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0),
        lambda: functions.delete_function_concurrency(FunctionName=name),
    ):
        doctor.names((HUB_PLACE, f"the function {name} has a reserved concurrency of 0"))


def test_a_function_that_does_not_answer_is_named_and_its_accounts_are_not(
    doctor: Doctor, shared_world: World
) -> None:
    fault = {"service": "lambda", "action": "Invoke"} | BY_OPERATOR | DENIED
    with shared_world.control.injected_faults(fault):
        doctor.names((HUB_PLACE, "the function drift-repair does not answer: .*"))


def test_a_queue_without_a_dead_letter_queue_is_named(doctor: Doctor, sessions: Sessions) -> None:
    sqs = sessions.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{DEPLOYMENT}-vpc-events")["QueueUrl"]
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    with temporarily(
        lambda: sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""}),
        lambda: sqs.set_queue_attributes(QueueUrl=url, Attributes=policy),
    ):
        doctor.names((HUB_PLACE, "the queue of vpc-events has no dead-letter queue"))


# ---------------------------------------------------------------- alarms and guardrails


@pytest.mark.parametrize(
    "alarm", [*(f"{it}-{kind}" for it in FUNCTIONS for kind in ("errors", "dead-letters")), "sweep-missing"]
)
def test_an_alarm_that_is_in_alarm_is_named(doctor: Doctor, sessions: Sessions, alarm: str) -> None:
    cloudwatch, name = sessions.client("cloudwatch"), f"{DEPLOYMENT}-{alarm}"

    def put(state: str) -> None:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    with temporarily(lambda: put("ALARM"), lambda: put("OK")):
        doctor.names((HUB_PLACE, f"the alarm {name} is in alarm"))


@pytest.mark.parametrize("alarm", ["vpc-events-errors", "drift-repair-dead-letters", "sweep-missing"])
def test_an_alarm_that_does_not_exist_is_named_and_the_remedy_creates_it_again(
    doctor: Doctor, sessions: Sessions, alarm: str
) -> None:
    cloudwatch, name = sessions.client("cloudwatch"), f"{DEPLOYMENT}-{alarm}"

    def read() -> list[dict[str, Any]]:
        return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]

    (before,) = read()
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert not read()
    (problem,) = doctor.problems()
    assert problem[:2] == (HUB_PLACE, f"the alarm {name} does not exist")
    restore_alarm(cloudwatch, problem.remedy)
    (after,) = read()
    kept = ("Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "Threshold")
    kept = (*kept, "ComparisonOperator", "TreatMissingData")
    assert {it: after.get(it) for it in kept} == {it: before.get(it) for it in kept}
    assert doctor.problems() == []


def restore_alarm(cloudwatch: Any, remedy: str) -> None:
    """Runs the `aws cloudwatch put-metric-alarm` of a remedy."""
    words = shlex.split(remedy.split("`")[1])
    given = dict(zip(words[3::2], words[4::2], strict=True))
    given.pop("--region")
    name, value = re.fullmatch(r"Name=(.+),Value=(.+)", given.pop("--dimensions")).groups()
    parameters: dict[str, Any] = {
        "".join(word.capitalize() for word in option.strip("-").split("-")): it
        for option, it in given.items()
    }
    for number in ("Period", "EvaluationPeriods", "DatapointsToAlarm", "Threshold"):
        if number in parameters:
            parameters[number] = int(parameters[number])
    cloudwatch.put_metric_alarm(**parameters, Dimensions=[{"Name": name, "Value": value}])


def test_guardrails_that_are_not_attached_are_named(doctor: Doctor, sessions: Sessions) -> None:
    organizations = sessions.client("organizations")
    root = organizations.list_roots()["Roots"][0]["Id"]
    policies = organizations.list_policies_for_target(TargetId=root, Filter="SERVICE_CONTROL_POLICY")
    (policy,) = [it["Id"] for it in policies["Policies"] if not it["AwsManaged"]]
    attached = {"PolicyId": policy, "TargetId": root}
    with temporarily(
        lambda: organizations.detach_policy(**attached), lambda: organizations.attach_policy(**attached)
    ):
        text = "no service control policy is known to decide who may write peerd's tags in 3 accounts, .*"
        doctor.names((HUB_PLACE, text))


def test_without_a_permission_to_see_the_guardrails_they_are_not_checked(
    doctor: Doctor, shared_world: World
) -> None:
    assert any("service control policy" in text for text in doctor.texts(HUB_PLACE))
    fault = {"service": "organizations", "action": "ListPolicies"} | BY_OPERATOR | DENIED
    with shared_world.control.injected_faults(fault):
        assert doctor.problems() == []
        assert not any("service control policy" in text for text in doctor.texts(HUB_PLACE))


# ---------------------------------------------------------------- the table and the bus


def unprotected(dynamodb: Any, table: str) -> AbstractContextManager[None]:
    """Removes the protection from deletion."""
    return temporarily(
        lambda: dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False),
        lambda: dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True),
    )


def unrecoverable(dynamodb: Any, table: str) -> AbstractContextManager[None]:
    """Switches point-in-time recovery off."""

    def switch(on: bool) -> None:
        recovery = {"PointInTimeRecoveryEnabled": on}
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)

    return temporarily(lambda: switch(False), lambda: switch(True))


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (unprotected, "the table .* can be deleted by mistake"),
        (unrecoverable, "the table .* has no point-in-time recovery"),
    ],
)
def test_a_table_without_protection_is_named(
    doctor: Doctor,
    sessions: Sessions,
    broken: Callable[[Any, str], AbstractContextManager[None]],
    text: str,
) -> None:
    with broken(sessions.client("dynamodb"), hub_outputs(sessions)["TableName"]):
        doctor.names((HUB_PLACE, text))


@contextmanager
def without_sender(sessions: Sessions, account: str) -> Iterator[None]:
    """Removes an account from the policy of the bus."""
    events = sessions.client("events")
    policy = json.loads(events.describe_event_bus(Name=DEPLOYMENT)["Policy"])
    changed = json.loads(json.dumps(policy))
    (statement,) = [it for it in changed["Statement"] if it["Sid"] == "Accounts"]
    statement["Principal"]["AWS"].remove(account)

    def put(document: dict[str, Any]) -> None:
        events.put_permission(EventBusName=DEPLOYMENT, Policy=json.dumps(document))

    with temporarily(lambda: put(changed), lambda: put(policy)):
        yield


def test_an_account_that_the_bus_does_not_admit_is_named(doctor: Doctor, sessions: Sessions) -> None:
    with without_sender(sessions, THIRD):
        doctor.names((HUB_PLACE, f"the bus {DEPLOYMENT} admits no events of account {THIRD}"))


# ---------------------------------------------------------------- external ids and rules


def no_external_id(statement: dict[str, Any]) -> None:
    """Requires no external id."""
    del statement["Condition"]


def test_a_role_that_requires_no_external_id_is_named(doctor: Doctor, shared_world: World) -> None:
    with changed_trust(shared_world, THIRD, no_external_id):
        text = "the role peerd-spoke can be assumed without the external id"
        doctor.names(*((scope(THIRD, region), text) for region in REGIONS))


def test_a_rule_of_the_hub_whose_target_is_no_queue_of_it_is_named(
    doctor: Doctor, sessions: Sessions
) -> None:
    name = f"{DEPLOYMENT}-vpc-tags"
    rule = Rule(sessions, HUB, HOME, name, bus=DEPLOYMENT)
    with rule.with_another_target(f"arn:aws:sqs:{HOME}:{HUB}:another"):
        doctor.names((HUB_PLACE, f"the rule {name} does not lead to the queue of vpc-events"))


@pytest.mark.parametrize("bus", [DEPLOYMENT, "default"])
def test_the_remedy_for_a_rule_that_is_off_is_a_command_that_enables_that_rule(
    doctor: Doctor, sessions: Sessions, bus: str
) -> None:
    rule = Rule(sessions, HUB, HOME, f"{DEPLOYMENT}-vpc-tags", bus=bus)
    with rule.disabled():
        (problem,) = doctor.problems()
        _run(sessions, problem.remedy)
        assert rule.is_enabled()


def _run(sessions: Sessions, remedy: str) -> None:
    """Runs the call of the command of the AWS CLI in a remedy: `run `aws events ...``."""
    command = shlex.split(remedy.split("`")[1])
    options = dict(zip(command[3::2], command[4::2], strict=True))
    region = options.pop("--region")
    parameters = {
        "".join(word.capitalize() for word in name.strip("-").split("-")): it for name, it in options.items()
    }
    client = sessions.client(command[1], HUB, region)
    getattr(client, command[2].replace("-", "_"))(**parameters)


BREAKS: dict[str, Callable[[World], AbstractContextManager[None]]] = {
    "a rule of a spoke": lambda world: Rule(world.sessions, THIRD, AWAY, "peerd-vpc-tags").deleted(),
    "a rule of the hub": lambda world: Rule(
        world.sessions, HUB, HOME, "peerd-vpc-calls", bus=DEPLOYMENT
    ).deleted(),
    "a role": lambda world: changed_trust(world, THIRD, no_principal),
    "a permission": lambda world: without_statements(world.sessions, SECOND, "Route"),
    "a trail": lambda world: stopped_trail(world.sessions),
    "a dead letter": lambda world: dead_letter(world.sessions, "vpc-events"),
    "the sweeps": lambda world: last_sweep(world.sessions, None),
}


def no_principal(statement: dict[str, Any]) -> None:
    """Trusts no function."""
    statement["Principal"] = {"AWS": f"arn:aws:iam::{HUB}:role/another"}


def stopped_trail(sessions: Sessions) -> AbstractContextManager[None]:
    """Stops the trail of an account."""
    trails, name = sessions.client("cloudtrail", SECOND), "management-events"
    return temporarily(lambda: trails.stop_logging(Name=name), lambda: trails.start_logging(Name=name))


@pytest.mark.parametrize("broken", BREAKS)
def test_the_remedy_of_a_failure_has_a_command_that_exists(
    doctor: Doctor, shared_world: World, broken: str
) -> None:
    with BREAKS[broken](shared_world):
        remedies = {it.remedy for it in doctor.problems()}
    assert remedies
    for remedy in remedies:
        command = next(iter(re.findall(r"`((?:aws|peerd|make) [^`]+)`", remedy)), "")
        assert command, f"no command in: {remedy}"
        if command.startswith("aws "):
            assert problems(shlex.split(command)) == [], remedy


# ---------------------------------------------------------------- versions


def described_version(events: Any, name: str, version: str) -> AbstractContextManager[None]:
    """Replaces the version in the description of a rule."""
    rule = events.describe_rule(Name=name)

    def describe(text: str) -> None:
        kept = {key: rule[key] for key in ("EventPattern", "State")}
        events.put_rule(Name=name, Description=text, **kept)

    changed = rule["Description"].replace(VERSION, version)
    return temporarily(lambda: describe(changed), lambda: describe(rule["Description"]))


def test_the_templates_carry_the_version_of_the_command_line(sessions: Sessions, pair: object) -> None:
    assert hub_outputs(sessions)["Version"] == VERSION
    for account in ACCOUNTS:
        for region in REGIONS:
            events = sessions.client("events", account, region)
            for name in ("vpc-tags", "network-calls"):
                rule = events.describe_rule(Name=f"{DEPLOYMENT}-{name}")
                assert rule["Description"].endswith(f"(peerd {VERSION})")


def test_a_spoke_of_another_version_is_named(doctor: Doctor, sessions: Sessions) -> None:
    events = sessions.client("events", THIRD, AWAY)
    with described_version(events, f"{DEPLOYMENT}-network-calls", "0.0.1"):
        text = rf"the spoke has version 0\.0\.1, the hub {VERSION}"
        doctor.names((scope(THIRD, AWAY), text))


def test_a_hub_of_another_version_is_named(doctor: Doctor, sessions: Sessions) -> None:
    cloudformation = sessions.client("cloudformation")
    template = cloudformation.get_template(StackName="peerd", TemplateStage="Original")["TemplateBody"]
    body = template if isinstance(template, str) else json.dumps(template)
    stack = cloudformation.describe_stacks(StackName="peerd")["Stacks"][0]
    same = [{"ParameterKey": it["ParameterKey"], "UsePreviousValue": True} for it in stack["Parameters"]]

    def update(text: str) -> None:
        capabilities = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
        cloudformation.update_stack(
            StackName="peerd", TemplateBody=text, Parameters=same, Capabilities=capabilities
        )
        cloudformation.get_waiter("stack_update_complete").wait(StackName="peerd")

    assert VERSION in body
    with temporarily(lambda: update(body.replace(VERSION, "0.0.1")), lambda: update(body)):
        text = rf"the hub's stack has version 0\.0\.1, this command line {VERSION}"
        doctor.names((HUB_PLACE, text))


# ---------------------------------------------------------------- quotas


def test_a_quota_that_is_almost_used_up_is_a_warning(
    doctor: Doctor, shared_world: World, pair: tuple[Vpc, Vpc]
) -> None:
    before = shared_world.control.current_settings()["quota_peerings"]
    set_quota = shared_world.control.settings
    with temporarily(lambda: set_quota(quota_peerings=1), lambda: set_quota(quota_peerings=before)):
        text = "{} has 1 of 1 active peerings per VPC"
        doctor.names(*((scope(vpc.account, vpc.region), text.format(vpc.id)) for vpc in pair))


def test_a_lambda_quota_that_is_too_low_is_named(doctor: Doctor, sessions: Sessions) -> None:
    functions = sessions.client("lambda")
    free = functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    other = functions.get_function_configuration(FunctionName=f"{DEPLOYMENT}-vpc-events")
    reserve = "another-application"
    code = {"ZipFile": b"PK\x05\x06" + bytes(18)}
    functions.create_function(
        FunctionName=reserve, Role=other["Role"], Code=code, Runtime="provided.al2023", Handler="bootstrap"
    )

    def set_reserved() -> None:
        functions.put_function_concurrency(FunctionName=reserve, ReservedConcurrentExecutions=free - 19)

    with temporarily(set_reserved, lambda: functions.delete_function(FunctionName=reserve)):
        doctor.names((HUB_PLACE, "Lambda has 19 unreserved concurrent executions here, peerd needs 20"))


# ---------------------------------------------------------------- the organization


@pytest.mark.parametrize("action", ["ListAccountsForParent", "ListOrganizationalUnitsForParent"])
def test_an_organization_that_cannot_be_listed_is_named(
    doctor: Doctor, shared_world: World, action: str
) -> None:
    fault = {"service": "organizations", "action": action} | BY_DRIFT_REPAIR | DENIED
    with shared_world.control.injected_faults(fault):
        doctor.names((HUB_PLACE, f"the accounts of ou-.* cannot be listed: {action}.*"))
