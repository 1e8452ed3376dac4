"""Many faults at the same time: the mesh still forms, nothing is orphaned, and no message is lost."""

from typing import Any

import pytest

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e import waiting
from tests.e2e.waiting import Problems
from tests.e2e.world import World, hub_outputs

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
LATE = {"latency_ms": 20, "provisioning_ms": 500, "visibility_ms": 300}
THROTTLED, BROKEN, BROKEN_TABLE = "RequestLimitExceeded", "InternalError", "InternalServerError"
# The faults apply to the functions' calls only, not to the calls of the tests.
FUNCTIONS = ":assumed-role/peerd-"


def _fault(service: str, percent: int, code: str, status: int = 500, when: str = "before") -> dict[str, Any]:
    return {
        "service": service,
        "principal": f"*{FUNCTIONS}*",
        "percent": percent,
        "code": code,
        "status": status,
        "when": when,
    }


# Throttling skips 70 % of the calls; 14 % of those are 10 % of all calls. Half of them take effect.
EC2_FAULTS = (
    _fault("ec2", 30, THROTTLED, 503),
    _fault("ec2", 7, BROKEN),
    _fault("ec2", 7, BROKEN, when="after"),
)
HUB_FAULTS = (
    _fault("dynamodb", 5, BROKEN_TABLE),
    _fault("dynamodb", 5, BROKEN_TABLE, when="after"),
    _fault("sqs", 5, BROKEN),
    _fault("sqs", 5, BROKEN, when="after"),
    _fault("sts", 30, BROKEN),
)


def _inject(world: World, *faults: dict[str, Any]) -> None:
    world.control.settings(**LATE)
    world.control.clear_calls()
    world.control.faults(*faults)


def _create_members(world: World) -> list[Vpc]:
    """Creates four members of one mesh, in three accounts and two Regions."""
    scopes = ((HUB, HOME), (SECOND, AWAY), (THIRD, HOME), (HUB, AWAY))
    return [world.vpc(account, region, mesh="prod") for account, region in scopes]


def _mesh_problems(world: World, members: list[Vpc]) -> list[str]:
    """Returns why these are not one mesh or, if they are, the orphaned resources."""
    return checks.full_mesh_problems(world.snapshot(*members), members) or world.orphaned_resources(*members)


def _cleanup_problems(world: World, *leavers: Vpc) -> list[str]:
    """Returns the managed resources that remain on the VPCs that left."""
    snapshot = world.snapshot(*leavers)
    return [problem for vpc in leavers for problem in checks.cleanup_problems(snapshot, vpc)]


def _sweep_until(world: World, problems: Problems) -> None:
    """Starts sweeps until no problem remains. Each sweep also redelivers the failed messages."""

    def sweep() -> None:
        world.control.sweep()
        world.control.advance_queues(failed=True)

    waiting.retry_until(world.control, problems, sweep)


def _form_and_change(world: World) -> list[Vpc]:
    """Forms a mesh; then one member leaves while another joins. Returns the final members."""
    members = _create_members(world)
    _sweep_until(world, lambda: _mesh_problems(world, members))
    leaver, *others = members
    world.untag(leaver)
    members = [*others, world.vpc(SECOND, HOME, mesh="prod")]
    _sweep_until(world, lambda: _cleanup_problems(world, leaver) or _mesh_problems(world, members))
    return members


def _share(calls: list[dict[str, Any]], *codes: str) -> float:
    return sum(call["error"] in codes for call in calls) / len(calls)


def _assert_faults_were_injected(world: World) -> None:
    calls = world.peerd_calls()
    assert 0.2 < _share(calls, THROTTLED) < 0.4
    assert 0.05 < _share(calls, BROKEN) < 0.15


def _assert_no_dead_letters(world: World) -> None:
    """Clears the faults: failed messages succeed on redelivery, and none is in a dead-letter queue."""
    world.control.faults()
    _expire_claims_and_leases(world)
    waiting.until_drained(world.control)
    assert not any(world.dead_letters().values()), world.dead_letters()


def _expire_claims_and_leases(world: World) -> None:
    """Expires every claim and every lease, as a minute does: a killed worker does not release them."""
    table = {"TableName": hub_outputs(world.sessions)["TableName"]}
    dynamodb = world.sessions.client("dynamodb")
    for page in dynamodb.get_paginator("scan").paginate(**table):
        for item in page["Items"]:
            if item["sk"]["S"] in {"claim", "lease"}:
                dynamodb.update_item(
                    **table,
                    Key={"pk": item["pk"], "sk": item["sk"]},
                    UpdateExpression="SET until_ms = :past",
                    ExpressionAttributeValues={":past": {"N": "0"}},
                )


def _kill_after(*actions: str) -> list[dict[str, Any]]:
    """Returns faults that kill the functions' processes once, after each of these calls takes effect."""
    return [
        {"action": action, "principal": f"*{FUNCTIONS}*", "times": 1, "kill": True, "when": "after"}
        for action in actions
    ]


def _retry_until(world: World, problems: Problems) -> None:
    """Waits until no problem remains; every kill has occurred, and other processes completed the work."""

    def retry() -> None:
        _expire_claims_and_leases(world)
        world.control.advance_queues(failed=True)

    waiting.retry_until(world.control, problems, retry)
    assert [fault["action"] for fault in world.control.list_faults() if fault["times"]] == []
    _assert_no_dead_letters(world)


@pytest.mark.long
def test_a_mesh_forms_changes_and_ends_while_two_calls_of_five_fail(world: World) -> None:
    _inject(world, *EC2_FAULTS, *HUB_FAULTS)

    members = _form_and_change(world)
    for vpc in members:
        world.untag(vpc)
    _sweep_until(world, lambda: _cleanup_problems(world, *members) or world.orphaned_resources())

    _assert_faults_were_injected(world)
    functions = [call for call in world.control.calls() if FUNCTIONS in call["principal"]]
    for service in ("dynamodb", "sqs", "sts"):
        assert _share([call for call in functions if call["service"] == service], BROKEN, BROKEN_TABLE)
    _assert_no_dead_letters(world)


@pytest.mark.long
def test_with_every_event_lost_and_faults_the_sweeps_alone_converge(world: World) -> None:
    world.control.drop_events(True)
    _inject(world, *EC2_FAULTS)

    members = _form_and_change(world)

    _assert_faults_were_injected(world)
    _assert_no_dead_letters(world)
    assert not _mesh_problems(world, members)


def test_functions_killed_at_every_step_leave_one_peering_for_each_pair_and_all_routes(world: World) -> None:
    world.control.faults(
        *_kill_after("CreateVpcPeeringConnection", "AcceptVpcPeeringConnection", "CreateRoute")
    )
    members = _create_members(world)
    _retry_until(world, lambda: _mesh_problems(world, members))

    world.control.faults(*_kill_after("DeleteRoute", "DeleteVpcPeeringConnection"))
    leaver, *others = members
    world.untag(leaver)
    _retry_until(world, lambda: _cleanup_problems(world, leaver) or _mesh_problems(world, others))
