"""Much goes wrong at once and for long: the mesh still forms, nothing is orphaned, no retry is in vain."""

from typing import Any

import pytest

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e import waiting
from tests.e2e.waiting import Problems
from tests.e2e.world import World, hub_outputs

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
LATE = {"latency_ms": 20, "provisioning_ms": 500, "visibility_ms": 300}
THROTTLED, BROKEN, BROKEN_TABLE = "RequestLimitExceeded", "InternalError", "InternalServerError"
# Everybody else's calls are spared: those who look on do not make the mesh.
FUNCTIONS = ":assumed-role/peerd-"


def _fails(service: str, percent: int, code: str, status: int = 500, when: str = "before") -> dict[str, Any]:
    return {
        "service": service,
        "principal": f"*{FUNCTIONS}*",
        "percent": percent,
        "code": code,
        "status": status,
        "when": when,
    }


# The throttling spares 70 % of the calls; 14 % of those are a tenth of all. Half of them take effect.
STORM = (
    _fails("ec2", 30, THROTTLED, 503),
    _fails("ec2", 7, BROKEN),
    _fails("ec2", 7, BROKEN, when="after"),
)
STORM_AT_THE_HUB = (
    _fails("dynamodb", 5, BROKEN_TABLE),
    _fails("dynamodb", 5, BROKEN_TABLE, when="after"),
    _fails("sqs", 5, BROKEN),
    _fails("sqs", 5, BROKEN, when="after"),
    _fails("sts", 30, BROKEN),
)


def _begin(world: World, *storm: dict[str, Any]) -> None:
    world.control.settings(**LATE)
    world.control.forget_calls()
    world.control.faults(*storm)


def _four(world: World) -> list[Vpc]:
    """Members of one mesh, over three accounts and two Regions."""
    places = ((HUB, HOME), (SECOND, AWAY), (THIRD, HOME), (HUB, AWAY))
    return [world.vpc(account, region, mesh="prod") for account, region in places]


def _not_one_mesh(world: World, members: list[Vpc]) -> list[str]:
    """Why these are not one mesh or, if they are, what stands although nobody wants it."""
    return judge.not_all_connected(world.see(*members), members) or world.orphans(*members)


def _not_ended(world: World, *left: Vpc) -> list[str]:
    """What is left on those who left."""
    seen = world.see(*left)
    return [problem for vpc in left for problem in judge.not_clean(seen, vpc)]


def _sweep_until(world: World, problems: Problems) -> None:
    """Sweeps until nothing is wrong. With each sweep, the messages that failed come again."""

    def sweep() -> None:
        world.control.sweep()
        world.control.advance_queues(failed=True)

    waiting.nudge_until(world.control, problems, sweep)


def _form_and_change(world: World) -> list[Vpc]:
    """A mesh forms; then one leaves it while another joins. Answers who is in it at the end."""
    members = _four(world)
    _sweep_until(world, lambda: _not_one_mesh(world, members))
    leaver, *stayers = members
    world.untag(leaver)
    now = [*stayers, world.vpc(SECOND, HOME, mesh="prod")]
    _sweep_until(world, lambda: _not_ended(world, leaver) or _not_one_mesh(world, now))
    return now


def _share(calls: list[dict[str, Any]], *codes: str) -> float:
    return sum(call["error"] in codes for call in calls) / len(calls)


def _assert_the_storm_was_real(world: World) -> None:
    calls = world.peerd_calls()
    assert 0.2 < _share(calls, THROTTLED) < 0.4
    assert 0.05 < _share(calls, BROKEN) < 0.15


def _assert_nothing_is_given_up(world: World) -> None:
    """The faults end: what failed comes again and succeeds, and nothing had failed too often before."""
    world.control.faults()
    _lapse_claims(world)
    waiting.until_done(world.control)
    assert not any(world.dead_letters().values()), world.dead_letters()


def _lapse_claims(world: World) -> None:
    """Ends every claim to a pair, as a minute does: a worker that was killed does not release its own."""
    table = {"TableName": hub_outputs(world.sessions)["TableName"]}
    dynamodb = world.sessions.client("dynamodb")
    for page in dynamodb.get_paginator("scan").paginate(**table):
        for item in page["Items"]:
            if item["sk"]["S"] == "claim":
                dynamodb.update_item(
                    **table,
                    Key={"pk": item["pk"], "sk": item["sk"]},
                    UpdateExpression="SET until_ms = :past",
                    ExpressionAttributeValues={":past": {"N": "0"}},
                )


def _kill_at(*actions: str) -> list[dict[str, Any]]:
    """Kills the functions' processes once in the middle of each of these calls, when it has taken effect."""
    return [
        {"action": action, "principal": f"*{FUNCTIONS}*", "times": 1, "kill": True, "when": "after"}
        for action in actions
    ]


def _alive_until(world: World, problems: Problems) -> None:
    """The mesh is right, every kill has struck, and what was at work then has been done by another."""

    def try_again() -> None:
        _lapse_claims(world)
        world.control.advance_queues(failed=True)

    waiting.nudge_until(world.control, problems, try_again)
    assert [fault["action"] for fault in world.control.listed_faults() if fault["times"]] == []
    _assert_nothing_is_given_up(world)


@pytest.mark.long
def test_a_mesh_forms_changes_and_ends_while_two_calls_of_five_fail(world: World) -> None:
    _begin(world, *STORM, *STORM_AT_THE_HUB)

    members = _form_and_change(world)
    for vpc in members:
        world.untag(vpc)
    _sweep_until(world, lambda: _not_ended(world, *members) or world.orphans())

    _assert_the_storm_was_real(world)
    functions = [call for call in world.control.calls() if FUNCTIONS in call["principal"]]
    for service in ("dynamodb", "sqs", "sts"):
        assert _share([call for call in functions if call["service"] == service], BROKEN, BROKEN_TABLE)
    _assert_nothing_is_given_up(world)


@pytest.mark.long
def test_with_every_event_lost_besides_the_sweeps_alone_bring_the_same_mesh(world: World) -> None:
    world.control.drop_events(True)
    _begin(world, *STORM)

    members = _form_and_change(world)

    _assert_the_storm_was_real(world)
    _assert_nothing_is_given_up(world)
    assert not _not_one_mesh(world, members)


def test_functions_killed_at_every_step_leave_one_peering_for_each_pair_and_all_routes(world: World) -> None:
    world.control.faults(*_kill_at("CreateVpcPeeringConnection", "AcceptVpcPeeringConnection", "CreateRoute"))
    members = _four(world)
    _alive_until(world, lambda: _not_one_mesh(world, members))

    world.control.faults(*_kill_at("DeleteRoute", "DeleteVpcPeeringConnection"))
    leaver, *stayers = members
    world.untag(leaver)
    _alive_until(world, lambda: _not_ended(world, leaver) or _not_one_mesh(world, stayers))
