"""What waits for an operator goes on: mass deletes that are confirmed, and dead letters that are put back."""

import json

from sandbox.client import judge
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
    world.settle(one, two, three)
    early = peerd.run("confirm", mesh)
    assert early.code == 1 and f"nothing of {mesh} waits for a confirmation" in early.err

    world.untag(three)

    world.until_status(three, f"waiting {mesh}", "leaving is held back until it is confirmed")
    world.eventually(lambda: [] if f"`peerd confirm {mesh}`" in peerd.ok("status", mesh) else ["not told"])
    assert len(world.look(three).live_peerings(one)) == 1
    peerd.ok("confirm", mesh)
    world.until_clean(three)
    world.quiet()
    assert not judge.not_connected(world.see(one, two), one, two)

    world.untag(two)

    world.until_status(two, f"waiting {mesh}", "leaving is held back until it is confirmed")
    world.eventually(lambda: [] if peerd.run("confirm", mesh).code == 0 else ["not blocked yet"])
    world.until_clean(two)


def test_dead_letters_are_put_back_and_done(world: World, peerd: Peerd) -> None:
    world.control.drop_events(True)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    dead = hub_outputs(world.sessions)["DriftRepairDeadLettersUrl"]
    sweep = json.dumps({"peerd": 1, "attempt": 0, "work": {"sweep": {}}})
    world.sessions.client("sqs").send_message(QueueUrl=dead, MessageBody=sweep)

    told = json.loads(peerd.ok("redrive", "--json"))

    assert told == {"redriven": {"drift-repair": 1, "peering-events": 0, "vpc-events": 0}}
    world.until_connected(one, two)
    assert not any(world.dead_letters().values())
    assert "drift-repair: 0 messages are back" in peerd.ok("redrive")
