"""`peerd doctor`: a healthy deployment passes, and each thing that is broken is named, and nothing else."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandbox.client.model import ACCOUNTS, DEPLOYMENT, REGIONS, Vpc
from tests.e2e.cli import Peerd, write_config
from tests.e2e.doctor import (
    BY_OPERATOR,
    BY_SPOKE_ROLE,
    DENIED,
    DENIED_BY_EC2,
    FUNCTIONS,
    HUB_PLACE,
    Doctor,
    Problem,
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
from tests.e2e.security_groups import create_group
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
SCOPES = {scope(account, region) for account in ACCOUNTS for region in REGIONS}
MESH = "examined"
OF_SPOKES, OF_HUB = ("vpc-tags", "network-calls"), ("vpc-tags", "vpc-calls", "peering-calls")
# peerd doctor reports more waiting messages than this.
BACKLOG = 1000
READS = (
    "DescribeVpcPeeringConnections",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSecurityGroupRules",
    "ListServiceQuotas",
)
TRIED = (
    "DescribeVpcAttribute",
    "CreateVpcPeeringConnection",
    "AcceptVpcPeeringConnection",
    "ModifyVpcPeeringConnectionOptions",
    "DeleteVpcPeeringConnection",
    "CreateRoute",
    "ReplaceRoute",
    "DeleteRoute",
    "CreateTags",
    "DeleteTags",
    "AuthorizeSecurityGroupIngress",
    "RevokeSecurityGroupIngress",
)
FILE = """
accounts = ["111111111111", "222222222222"]
regions = ["us-east-1"]
role = "sandbox-admin"

[meshes.prod]
"""


class Healthy(NamedTuple):
    """A healthy deployment with two VPCs of one mesh, on which every call of peerd can be tried."""

    world: World
    doctor: Doctor
    one: Vpc
    two: Vpc


@pytest.fixture(scope="module")
def healthy(shared_world: World, peerd: Peerd) -> Iterator[Healthy]:
    """Two peered VPCs with a security group each, after a sweep."""
    peerd.declare(MESH, security_groups={"ports": ["tcp/443"]})
    one, two = shared_world.vpc(HUB, HOME, mesh=MESH), shared_world.vpc(SECOND, AWAY, mesh=MESH)
    groups = [create_group(shared_world, vpc, MESH) for vpc in (one, two)]
    shared_world.until_connected(one, two)
    shared_world.eventually(
        lambda: [f"{group.id} has no rule" for group in groups if not group.managed_rules()]
    )
    until_sweep_recorded(shared_world, peerd)
    shared_world.until_idle()
    yield Healthy(shared_world, Doctor(peerd), one, two)
    peerd.ok("mesh", "undeclare", MESH, "--yes")


def places(problems: list[Problem]) -> set[str]:
    """Returns where the problems are."""
    return {it.place for it in problems}


# ---------------------------------------------------------------- nothing is broken


def test_a_working_deployment_passes_every_check_with_its_own_roles(healthy: Healthy, peerd: Peerd) -> None:
    report = healthy.doctor.report()

    assert healthy.doctor.problems() == []
    assert {scope(it["account"], it["region"]) for it in report["scopes"]} == SCOPES
    text = peerd.ok("doctor")
    assert "the stack peerd is" in text and "no check failed, in 6 scopes" in text


def test_every_call_of_peerd_is_tried_as_a_dry_run_and_nothing_changes(healthy: Healthy) -> None:
    healthy.world.control.clear_calls()
    before = healthy.world.snapshot(healthy.one, healthy.two)

    healthy.doctor.report()

    calls = [call for call in healthy.world.control.calls() if ":assumed-role/" in (call["principal"] or "")]
    dry_runs = {call["action"] for call in calls if call["error"] == "DryRunOperation"}
    assert dry_runs == set(TRIED)
    assert {call["action"] for call in calls if call["error"] is None} >= set(READS)
    assert healthy.world.peerd_writes() != []
    assert {call["error"] for call in healthy.world.peerd_writes()} == {"DryRunOperation"}
    assert healthy.world.snapshot(healthy.one, healthy.two) == before


def test_without_a_deployment_the_roles_of_a_file_are_checked_and_events_are_not(
    tmp_path: Path, healthy: Healthy
) -> None:
    file = write_config(tmp_path, FILE)
    report = healthy.doctor.report("--file", file)
    assert (report["hub"], healthy.doctor.problems("--file", file)) == ([], [])
    assert [it["account"] for it in report["scopes"]] == [HUB, SECOND]
    assert not any("trail" in check["text"] for it in report["scopes"] for check in it["checks"])


# ---------------------------------------------------------------- roles and permissions


@pytest.mark.parametrize("call", [*READS, *TRIED])
def test_a_call_that_is_not_permitted_is_named_and_no_other(healthy: Healthy, call: str) -> None:
    service, error = ("servicequotas", DENIED) if call == "ListServiceQuotas" else ("ec2", DENIED_BY_EC2)
    with healthy.world.control.injected_faults({"service": service, "action": call} | BY_SPOKE_ROLE | error):
        problems = healthy.doctor.problems()
    assert {it.text.partition(":")[0] for it in problems} == {f"{call} is not permitted"}
    tried = {scope(vpc.account, vpc.region) for vpc in (healthy.one, healthy.two)}
    assert places(problems) == SCOPES if call in READS else places(problems) <= tried


def test_calls_that_the_role_may_no_longer_make_are_named_where_they_can_be_tried(healthy: Healthy) -> None:
    with without_statements(healthy.world.sessions, SECOND, "Route"):
        healthy.doctor.names(
            *(
                (scope(SECOND, AWAY), f"{call} is not permitted: .*")
                for call in TRIED
                if call.endswith("Route")
            )
        )


def test_a_call_that_fails_for_another_reason_is_a_warning(healthy: Healthy) -> None:
    fault = {"service": "ec2", "action": "ReplaceRoute", "account": SECOND, "region": AWAY}
    unclear = fault | {"code": "InternalError", "message": "an internal error", "status": 500}
    with healthy.world.control.injected_faults(unclear):
        healthy.doctor.names((scope(SECOND, AWAY), "whether ReplaceRoute is permitted is unknown: .*"))
        assert healthy.doctor.report()["healthy"]


def other_external_id(statement: dict[str, Any]) -> None:
    """Requires another external id."""
    statement["Condition"]["StringEquals"]["sts:ExternalId"] = "another"


def other_principal(statement: dict[str, Any]) -> None:
    """Trusts another function than drift-repair."""
    statement["Principal"]["AWS"] = [it for it in statement["Principal"]["AWS"] if "drift" not in it]


@pytest.mark.parametrize("change", [other_external_id, other_principal])
def test_an_account_whose_role_does_not_trust_the_hub_is_named(
    healthy: Healthy, change: Callable[[dict[str, Any]], object]
) -> None:
    with changed_trust(healthy.world, THIRD, change):
        healthy.doctor.names(
            *((scope(THIRD, region), "cannot be read: .*AssumeRole.*") for region in REGIONS)
        )


def test_an_account_without_a_spoke_is_named(healthy: Healthy, peerd: Peerd) -> None:
    added = "444444444444"
    with temporarily(
        lambda: peerd.ok("account", "add", added),
        lambda: peerd.ok("account", "remove", added, "--yes"),
    ):
        shut = (HUB_PLACE, f"the bus {DEPLOYMENT} admits no events of account {added}")
        healthy.doctor.names(shut, *((scope(added, region), "cannot be read: .*") for region in REGIONS))


def test_a_disabled_region_is_a_warning(healthy: Healthy, peerd: Peerd) -> None:
    off = (THIRD, "--region", "af-south-1")
    with temporarily(
        lambda: peerd.ok("account", "add", *off), lambda: peerd.ok("account", "remove", *off, "--yes")
    ):
        healthy.doctor.names((scope(THIRD, "af-south-1"), "the Region is disabled in this account.*"))


# ---------------------------------------------------------------- trails


class Trail:
    """The only trail of the second account."""

    def __init__(self, world: World) -> None:
        self._api = world.sessions.client("cloudtrail", SECOND, HOME)
        (self._trail,) = self._api.describe_trails()["trailList"]
        self._name = self._trail["Name"]

    def stopped(self) -> AbstractContextManager[None]:
        return temporarily(
            lambda: self._api.stop_logging(Name=self._name), lambda: self._api.start_logging(Name=self._name)
        )

    def deleted(self) -> AbstractContextManager[None]:
        def create() -> None:
            kept = {key: self._trail[key] for key in ("Name", "S3BucketName", "IsMultiRegionTrail")}
            self._api.create_trail(**kept)
            self._api.start_logging(Name=self._name)

        return temporarily(lambda: self._api.delete_trail(Name=self._name), create)

    def of_one_region(self) -> AbstractContextManager[None]:
        return temporarily(
            lambda: self._api.update_trail(Name=self._name, IsMultiRegionTrail=False),
            lambda: self._api.update_trail(Name=self._name, IsMultiRegionTrail=True),
        )

    def of_reads(self) -> AbstractContextManager[None]:
        return self._selecting([{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}])

    def of_data(self) -> AbstractContextManager[None]:
        return self._selecting([{"ReadWriteType": "All", "IncludeManagementEvents": False}])

    def _selecting(self, selectors: list[dict[str, Any]]) -> AbstractContextManager[None]:
        default = [{"ReadWriteType": "All", "IncludeManagementEvents": True}]
        return temporarily(
            lambda: self._api.put_event_selectors(TrailName=self._name, EventSelectors=selectors),
            lambda: self._api.put_event_selectors(TrailName=self._name, EventSelectors=default),
        )


@pytest.mark.parametrize(
    ("broken", "regions"),
    [
        (Trail.stopped, REGIONS),
        (Trail.deleted, REGIONS),
        (Trail.of_reads, REGIONS),
        (Trail.of_data, REGIONS),
        (Trail.of_one_region, (AWAY,)),
    ],
)
def test_a_region_in_which_no_trail_logs_changes_is_named(
    healthy: Healthy, broken: Callable[[Trail], AbstractContextManager[None]], regions: tuple[str, ...]
) -> None:
    with broken(Trail(healthy.world)):
        healthy.doctor.names(
            *((scope(SECOND, region), "no trail of CloudTrail logs .*") for region in regions)
        )


def test_a_trail_that_cannot_be_read_is_a_warning(healthy: Healthy) -> None:
    with without_statements(healthy.world.sessions, SECOND, "ExamineTrails"):
        healthy.doctor.names(
            *((scope(SECOND, region), "CloudTrail cannot be queried: .*") for region in REGIONS)
        )


# ---------------------------------------------------------------- rules and targets


def elsewhere(rule: Rule) -> AbstractContextManager[None]:
    """Sends the events of a rule to a bus that does not belong to the hub."""
    return rule.with_another_target(f"arn:aws:events:{HOME}:{HUB}:event-bus/another")


@pytest.mark.parametrize("name", [f"peerd-{name}" for name in OF_SPOKES])
@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (Rule.disabled, "is switched off"),
        (Rule.deleted, "is missing"),
        (Rule.without_targets, "does not lead to the bus .*"),
        (elsewhere, "does not lead to the bus .*"),
    ],
)
def test_a_rule_of_a_spoke_that_forwards_nothing_is_named(
    healthy: Healthy, name: str, broken: Callable[[Rule], AbstractContextManager[None]], text: str
) -> None:
    with broken(Rule(healthy.world.sessions, THIRD, AWAY, name)):
        healthy.doctor.names((scope(THIRD, AWAY), f"the rule {name} {text}"))


@pytest.mark.parametrize("name", [f"peerd-{name}" for name in OF_HUB])
@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (Rule.disabled, "is switched off"),
        (Rule.deleted, "is missing"),
        (Rule.without_targets, "does not lead to the queue of .*"),
    ],
)
def test_a_rule_of_the_hub_that_routes_nothing_is_named(
    healthy: Healthy, name: str, broken: Callable[[Rule], AbstractContextManager[None]], text: str
) -> None:
    with broken(Rule(healthy.world.sessions, HUB, HOME, name, bus="peerd")):
        healthy.doctor.names((HUB_PLACE, f"the rule {name} {text}"))


def test_rules_that_cannot_be_read_are_warnings(healthy: Healthy) -> None:
    with without_statements(healthy.world.sessions, SECOND, "ExamineRules"):
        healthy.doctor.names(
            *(
                (scope(SECOND, region), f"the rule peerd-{name} cannot be read: .*")
                for region in REGIONS
                for name in OF_SPOKES
            )
        )


# ---------------------------------------------------------------- queues, sweeps and the table


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_dead_letter_is_named_with_its_queue(healthy: Healthy, function: str) -> None:
    with dead_letter(healthy.world.sessions, function):
        healthy.doctor.names((HUB_PLACE, f"the dead-letter queue of {function} has 1 message"))


def test_a_queue_with_a_backlog_is_a_warning(healthy: Healthy) -> None:
    sqs = healthy.world.sessions.client("sqs")
    entries = [{"Id": str(number), "MessageBody": "{}"} for number in range(10)]
    with unread_queue(healthy.world.sessions, "peering-events") as url:
        for _ in range(BACKLOG // len(entries)):
            sqs.send_message_batch(QueueUrl=url, Entries=entries)
        unread = (HUB_PLACE, f"the function {DEPLOYMENT}-peering-events does not read its queue: .*")
        healthy.doctor.names(unread)
        sqs.send_message(QueueUrl=url, MessageBody="{}")
        backlog = (HUB_PLACE, f"the queue of peering-events has {BACKLOG + 1} messages")
        healthy.doctor.names(unread, backlog)


def test_queues_that_cannot_be_read_are_warnings(healthy: Healthy) -> None:
    fault = {"service": "sqs", "action": "GetQueueAttributes"} | BY_OPERATOR | DENIED
    with healthy.world.control.injected_faults(fault):
        healthy.doctor.names(*((HUB_PLACE, f"the queue of {it} cannot be read: .*") for it in FUNCTIONS))


def test_a_sweep_that_is_older_than_two_intervals_of_the_schedule_is_named(healthy: Healthy) -> None:
    an_hour_ago = round((time.time() - 3600) * 1000)
    with last_sweep(healthy.world.sessions, an_hour_ago):
        healthy.doctor.names((HUB_PLACE, "the last sweep was 60 minutes ago"))


def test_a_deployment_without_a_sweep_is_named(healthy: Healthy) -> None:
    with last_sweep(healthy.world.sessions, None):
        healthy.doctor.names((HUB_PLACE, "there was no sweep yet"))


def test_a_table_that_the_operator_cannot_read_is_named(healthy: Healthy) -> None:
    fault = {"service": "dynamodb", "action": "GetItem"} | BY_OPERATOR | DENIED
    with healthy.world.control.injected_faults(fault):
        healthy.doctor.names((HUB_PLACE, "the table cannot be read: .*"))
