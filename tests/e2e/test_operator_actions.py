"""Actions that need an operator: the confirmation of mass deletions, and the redrive of dead letters."""

import json

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import World, hub_outputs

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_a_mass_delete_waits_until_it_is_confirmed_and_the_next_one_waits_again(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh, deletes={"count": 0, "percent": 0})
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    three = world.vpc(THIRD, HOME, mesh=mesh)
    world.until_settled(one, two, three)
    early = peerd.run("confirm", mesh)
    assert early.code == 1 and f"no deletion of {mesh} waits for confirmation" in early.err

    world.untag(three)

    world.until_status(three, f"waiting {mesh}", "removal needs confirmation")
    world.eventually(
        lambda: (
            []
            if f"`peerd confirm {mesh}`" in peerd.ok("status", mesh)
            else ["the status does not contain the command"]
        )
    )
    assert len(world.view(three).live_peerings(one)) == 1
    peerd.ok("confirm", mesh, "--yes")
    world.until_clean(three)
    world.until_idle()
    assert not checks.connection_problems(world.snapshot(one, two), one, two)

    world.untag(two)

    world.until_status(two, f"waiting {mesh}", "removal needs confirmation")
    confirm = ("confirm", mesh, "--yes")
    world.eventually(lambda: [] if peerd.run(*confirm).code == 0 else ["nothing to confirm yet"])
    world.until_clean(two)


def test_dead_letters_are_redriven_and_processed(world: World, peerd: Peerd) -> None:
    world.control.drop_events(True)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    queue = hub_outputs(world.sessions)["DriftRepairDeadLettersUrl"]
    sweep = json.dumps({"peerd": 1, "attempt": 0, "work": {"sweep": {}}})
    world.sessions.client("sqs").send_message(QueueUrl=queue, MessageBody=sweep)

    result = json.loads(peerd.ok("redrive", "--json"))

    assert result == {"redriven": {"drift-repair": 1, "peering-events": 0, "vpc-events": 0}}
    world.until_connected(one, two)
    assert not any(world.dead_letters().values())
    assert "drift-repair: 0 messages redriven" in peerd.ok("redrive")


def test_what_a_decision_deletes_is_shown_and_needs_consent(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_settled(one, two)
    closed = json.dumps({"admit": {"accounts": [HUB]}})

    drained = peerd.run("mesh", "drain", mesh)
    replaced = peerd.run("mesh", "declare", mesh, "--policy", "-", stdin=closed)

    for refused in (drained, replaced):
        assert refused.code == 1 and f"{mesh}: deletes 1 peering, 2 routes\n  - peering " in refused.err
        assert "nothing was changed: stdin is not a terminal; pass --yes" in refused.err
    world.until_idle()
    assert world.peering(one, two).live
    assert peerd.run("mesh", "declare", mesh).code == 0, "it changes nothing"


def test_what_a_policy_opens_needs_consent_also_if_no_vpc_uses_it_yet(peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh, admit={"accounts": [HUB]}, routes={"tables": "tagged"})

    opened = peerd.run("mesh", "declare", mesh)

    assert (
        opened.code == 1 and f"{mesh} opens:\n  `admit.accounts` admits any instead of {HUB}\n" in opened.err
    )
    assert "nothing was changed: stdin is not a terminal; pass --yes" in opened.err
    assert json.loads(peerd.ok("mesh", "show", mesh))["admit"]["accounts"] == [HUB]
    closed = json.dumps({"admit": {"accounts": [HUB], "members": 2}, "routes": {"tables": "tagged"}})
    assert peerd.run("mesh", "declare", mesh, "--policy", "-", stdin=closed).code == 0, "it opens nothing"


def test_a_mesh_keeps_its_mode_when_its_policy_is_replaced(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh)
    peerd.ok("mesh", "pause", mesh)

    replaced = peerd.run("mesh", "declare", mesh, "--policy", "-", stdin='{"dns": "on"}')

    assert replaced.code == 0 and f"{mesh}: declared; it stays paused" in replaced.err
    assert json.loads(peerd.ok("mesh", "show", mesh))["mode"] == "paused"
    peerd.ok("mesh", "declare", mesh, "--policy", "-", stdin='{"mode": "active"}')
    assert json.loads(peerd.ok("mesh", "show", mesh))["mode"] == "active"


def test_undeclaring_a_mesh_of_the_stack_opens_nothing_by_surprise(world: World, peerd: Peerd) -> None:
    mesh = "shared"  # of the stack's parameter
    peerd.declare(mesh, admit={"accounts": [HUB]})
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.until_status(two, f"refused {mesh}")
    world.until_idle()

    refused = peerd.run("mesh", "undeclare", mesh)

    assert refused.code == 1 and f"{mesh} is in the stack parameter Meshes" in refused.err
    assert f"{mesh}: creates 1 peering, 2 routes" in refused.err
    world.until_idle()
    assert not world.view(one).live_peerings(two)
    peerd.ok("mesh", "undeclare", mesh, "--yes")
    world.until_connected(one, two)
