"""`peerd doctor`: what is in place, and what is not, with what to do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
FILE = """
accounts = ["111111111111", "222222222222"]
regions = ["us-east-1"]
role = "sandbox-admin"

[meshes.prod]
"""
Examine = Callable[..., dict[str, Any]]


@pytest.fixture
def examine(peerd: Peerd) -> Examine:
    """Runs the doctor; its exit code says whether all is well, as its JSON does."""

    def examine(*arguments: str) -> dict[str, Any]:
        said = peerd.run("doctor", "--json", *arguments)
        seen = json.loads(said.out)
        assert said.code == (0 if seen["healthy"] else 1), said.err
        return seen

    return examine


def failing(seen: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What does not hold, with where it is; each with what to do."""
    hub = [("hub", "", check) for check in seen["hub"]]
    scopes = [(it["account"], it["region"], check) for it in seen["scopes"] for check in it["checks"]]
    wrong = [(account, region, check) for account, region, check in hub + scopes if check["holds"] != "yes"]
    assert all(check["remedy"] for _, _, check in wrong)
    return [(account, region, check["text"]) for account, region, check in wrong]


@contextmanager
def undone(do: Callable[[], object], undo: Callable[[], object]) -> Iterator[None]:
    """Does something, and undoes it at the end."""
    do()
    try:
        yield
    finally:
        undo()


def swept(world: World, peerd: Peerd) -> None:
    """Has a sweep noted: a sandbox is young."""
    world.control.sweep()
    world.eventually(lambda: [] if "last sweep" in peerd.ok("status") else ["no sweep was noted"])


def test_a_deployment_that_works_is_found_well_with_its_own_roles(
    world: World, peerd: Peerd, examine: Examine
) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    swept(world, peerd)
    world.control.forget_calls()

    seen = examine()

    assert failing(seen) == []
    assert {(it["account"], it["region"]) for it in seen["scopes"]} == {
        (account, region) for account in ACCOUNTS for region in REGIONS
    }
    calls = [call for call in world.control.calls() if call["service"] in {"ec2", "cloudtrail"}]
    spokes = [call for call in calls if "assumed-role/peerd-spoke/" in call["principal"]]
    tried = {call["action"] for call in spokes if call["error"] == "DryRunOperation"}
    assert {"CreateVpcPeeringConnection", "CreateRoute", "DeleteVpcPeeringConnection", "CreateTags"} <= tried
    assert all(call["error"] for call in spokes if call["action"].startswith(("Create", "Delete", "Modify")))
    text = peerd.ok("doctor")
    assert "the stack peerd is" in text and "6 accounts and Regions are ready" in text


def test_a_role_that_may_not_do_something_is_told_with_the_call(world: World, examine: Examine) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    denied = {"code": "UnauthorizedOperation", "message": "You are not authorized", "status": 403}
    fault = {"service": "ec2", "action": "ReplaceRoute", "account": SECOND, "region": AWAY} | denied
    with undone(lambda: world.control.faults(fault), lambda: world.control.faults()):
        wrong = failing(examine())
    assert [tuple(place) for *place, text in wrong if "ReplaceRoute is not permitted" in text] == [
        (SECOND, AWAY)
    ]


def test_a_role_that_cannot_be_assumed_is_told(world: World, examine: Examine) -> None:
    fault = {
        "service": "sts",
        "action": "AssumeRole",
        "account": THIRD,
        "code": "AccessDenied",
        "status": 403,
    }
    world.control.kill()  # nobody has the role's credentials still
    with undone(lambda: world.control.faults(fault), lambda: world.control.faults()):
        wrong = failing(examine())
    assert {tuple(place) for *place, text in wrong if "cannot be read" in text} == {
        (THIRD, HOME),
        (THIRD, AWAY),
    }


def test_an_account_without_a_trail_and_a_rule_that_is_off_are_told(world: World, examine: Examine) -> None:
    trail = world.sessions.client("cloudtrail", SECOND, HOME)
    with undone(
        lambda: trail.stop_logging(Name="management-events"),
        lambda: trail.start_logging(Name="management-events"),
    ):
        wrong = failing(examine())
    assert {tuple(place) for *place, text in wrong if "no trail" in text} == {(SECOND, HOME), (SECOND, AWAY)}
    rules = world.sessions.client("events", THIRD, AWAY)
    with undone(
        lambda: rules.disable_rule(Name="peerd-network-calls"),
        lambda: rules.enable_rule(Name="peerd-network-calls"),
    ):
        wrong = failing(examine())
    assert (THIRD, AWAY, "the rule peerd-network-calls is switched off") in wrong


def test_messages_that_were_given_up_on_are_told(world: World, peerd: Peerd, examine: Examine) -> None:
    sqs = world.sessions.client("sqs", HUB, HOME)
    dead = sqs.get_queue_url(QueueName="peerd-vpc-events-dead-letters")["QueueUrl"]
    with undone(
        lambda: sqs.send_message(QueueUrl=dead, MessageBody="{}"), lambda: sqs.purge_queue(QueueUrl=dead)
    ):
        wrong = failing(examine())
    assert ("hub", "", "vpc-events gave up on 1 messages") in wrong


def test_without_a_deployment_the_roles_of_a_file_are_looked_at_and_no_events_are_asked_for(
    tmp_path: Path, examine: Examine
) -> None:
    file = tmp_path / "peerd.toml"
    file.write_text(FILE)
    seen = examine("--file", str(file))
    assert (seen["hub"], failing(seen)) == ([], [])
    assert [it["account"] for it in seen["scopes"]] == [HUB, SECOND]
    assert not any("trail" in check["text"] for it in seen["scopes"] for check in it["checks"])
