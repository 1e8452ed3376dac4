"""`peerd doctor`: the checks of a deployment, with a remedy for each failed check."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd, write_config
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
FILE = """
accounts = ["111111111111", "222222222222"]
regions = ["us-east-1"]
role = "sandbox-admin"

[meshes.prod]
"""
RunDoctor = Callable[..., dict[str, Any]]


@pytest.fixture
def run_doctor(peerd: Peerd) -> RunDoctor:
    """Runs the doctor, whose exit code must agree with its JSON."""

    def run_doctor(*arguments: str) -> dict[str, Any]:
        result = peerd.run("doctor", "--json", *arguments)
        report = json.loads(result.out)
        assert result.code == (0 if report["healthy"] else 1), result.err
        return report

    return run_doctor


def failed_checks(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns the failed checks with their account and Region; each must have a remedy."""
    hub = [("hub", "", check) for check in report["hub"]]
    scopes = [(it["account"], it["region"], check) for it in report["scopes"] for check in it["checks"]]
    failed = [
        (account, region, check) for account, region, check in hub + scopes if check["result"] != "pass"
    ]
    assert all(check["remedy"] for _, _, check in failed)
    return [(account, region, check["text"]) for account, region, check in failed]


@contextmanager
def temporarily(change: Callable[[], object], revert: Callable[[], object]) -> Iterator[None]:
    """Makes a change and reverts it at the end."""
    change()
    try:
        yield
    finally:
        revert()


def until_sweep_recorded(world: World, peerd: Peerd) -> None:
    """Runs a sweep and waits until its time is recorded; a new sandbox has none."""
    world.control.sweep()
    world.eventually(lambda: [] if "last sweep" in peerd.ok("status") else ["no sweep is recorded"])


def test_a_working_deployment_passes_every_check_with_its_own_roles(
    world: World, peerd: Peerd, run_doctor: RunDoctor
) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    until_sweep_recorded(world, peerd)
    world.until_idle()
    world.control.clear_calls()

    report = run_doctor()

    assert failed_checks(report) == []
    assert {(it["account"], it["region"]) for it in report["scopes"]} == {
        (account, region) for account in ACCOUNTS for region in REGIONS
    }
    calls = [call for call in world.control.calls() if call["service"] in {"ec2", "cloudtrail"}]
    spokes = [call for call in calls if "assumed-role/peerd-spoke/" in call["principal"]]
    dry_runs = {call["action"] for call in spokes if call["error"] == "DryRunOperation"}
    assert {
        "CreateVpcPeeringConnection",
        "CreateRoute",
        "DeleteVpcPeeringConnection",
        "CreateTags",
    } <= dry_runs
    assert all(call["error"] for call in spokes if call["action"].startswith(("Create", "Delete", "Modify")))
    text = peerd.ok("doctor")
    assert "the stack peerd is" in text and "no check failed, in 6 scopes" in text


def test_a_missing_permission_is_reported_with_the_api_call(world: World, run_doctor: RunDoctor) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    denied = {"code": "UnauthorizedOperation", "message": "You are not authorized", "status": 403}
    fault = {"service": "ec2", "action": "ReplaceRoute", "account": SECOND, "region": AWAY} | denied
    with world.control.injected_faults(fault):
        failed = failed_checks(run_doctor())
    assert [tuple(place) for *place, text in failed if "ReplaceRoute is not permitted" in text] == [
        (SECOND, AWAY)
    ]


def test_a_role_that_cannot_be_assumed_is_reported(world: World, run_doctor: RunDoctor) -> None:
    fault = {
        "service": "sts",
        "action": "AssumeRole",
        "account": THIRD,
        "code": "AccessDenied",
        "status": 403,
    }
    world.control.kill()  # discards cached credentials of the role
    with world.control.injected_faults(fault):
        failed = failed_checks(run_doctor())
    assert {tuple(place) for *place, text in failed if "cannot be read" in text} == {
        (THIRD, HOME),
        (THIRD, AWAY),
    }


def test_an_account_without_a_trail_and_a_disabled_rule_are_reported(
    world: World, run_doctor: RunDoctor
) -> None:
    trail = world.sessions.client("cloudtrail", SECOND, HOME)
    with temporarily(
        lambda: trail.stop_logging(Name="management-events"),
        lambda: trail.start_logging(Name="management-events"),
    ):
        failed = failed_checks(run_doctor())
    assert {tuple(place) for *place, text in failed if "no trail" in text} == {(SECOND, HOME), (SECOND, AWAY)}
    rules = world.sessions.client("events", THIRD, AWAY)
    with temporarily(
        lambda: rules.disable_rule(Name="peerd-network-calls"),
        lambda: rules.enable_rule(Name="peerd-network-calls"),
    ):
        failed = failed_checks(run_doctor())
    assert (THIRD, AWAY, "the rule peerd-network-calls is switched off") in failed


def test_dead_letters_are_reported(world: World, peerd: Peerd, run_doctor: RunDoctor) -> None:
    sqs = world.sessions.client("sqs", HUB, HOME)
    queue = sqs.get_queue_url(QueueName="peerd-vpc-events-dead-letters")["QueueUrl"]
    with temporarily(
        lambda: sqs.send_message(QueueUrl=queue, MessageBody="{}"), lambda: sqs.purge_queue(QueueUrl=queue)
    ):
        failed = failed_checks(run_doctor())
    assert ("hub", "", "the dead-letter queue of vpc-events has 1 message") in failed


def test_without_a_deployment_the_roles_of_a_file_are_checked_and_events_are_not(
    tmp_path: Path, run_doctor: RunDoctor
) -> None:
    report = run_doctor("--file", write_config(tmp_path, FILE))
    assert (report["hub"], failed_checks(report)) == ([], [])
    assert [it["account"] for it in report["scopes"]] == [HUB, SECOND]
    assert not any("trail" in check["text"] for it in report["scopes"] for check in it["checks"])
