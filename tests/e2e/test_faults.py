"""AWS refuses, is slow, or loses things: nothing is concluded from silence, and all comes right."""

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_an_account_whose_role_cannot_be_assumed_deletes_nothing_and_holds_nobody_up(world: World) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    locked = world.vpc(THIRD, HOME, mesh="prod")
    world.until_connected(one, two, locked)
    before = {world.peering(one, locked).id, world.peering(two, locked).id}

    world.control.faults(
        {"service": "sts", "action": "AssumeRole", "account": THIRD, "code": "AccessDenied", "status": 403},
        {"service": "ec2", "action": "*", "account": THIRD, "code": "UnauthorizedOperation", "status": 403},
    )
    world.control.sweep()
    newcomer = world.vpc(HUB, HOME, mesh="prod")
    world.until_connected(one, two, newcomer)
    world.until_status(newcomer, "waiting prod", THIRD)
    world.control.sweep()
    world.quiet()
    near = [peering for vpc in (one, two) for peering in world.look(vpc).live_peerings(locked)]
    assert {peering.id for peering in near} == before
    world.control.faults()

    assert not judge.not_all_connected(world.see(one, two, locked), (one, two, locked))
    world.sweep_until_connected(one, two, locked, newcomer)
    world.until_status(newcomer, "joined prod")


def test_a_storm_of_throttled_calls_delays_the_mesh_and_does_not_break_it(world: World) -> None:
    world.control.faults(
        {"service": "ec2", "action": "Describe*", "times": 4, "code": "RequestLimitExceeded", "status": 503},
        {"service": "ec2", "action": "Create*", "times": 4, "code": "RequestLimitExceeded", "status": 503},
        {"service": "ec2", "action": "Accept*", "times": 4, "code": "RequestLimitExceeded", "status": 503},
    )
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")

    world.sweep_until_connected(one, two)

    assert len(world.look(one).live_peerings(two)) == 1


def test_a_create_call_whose_answer_is_lost_leads_to_one_peering(world: World) -> None:
    world.control.faults(
        {
            "service": "ec2",
            "action": "CreateVpcPeeringConnection",
            "times": 1,
            "when": "after",
            "code": "InternalError",
            "status": 500,
        }
    )
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(THIRD, AWAY, mesh="prod")

    world.sweep_until_connected(one, two)

    assert len({peering.id for peering in world.look(one).peerings}) == 1


def test_a_peering_that_takes_its_time_is_waited_for_and_the_status_says_so(world: World) -> None:
    world.control.settings(provisioning_ms=4000, visibility_ms=1500)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")

    world.until_status(one, "waiting prod", two.id)
    world.until_connected(one, two)
    world.until_status(one, "joined prod")


def test_with_every_event_lost_the_sweep_alone_brings_the_same_end(world: World) -> None:
    world.control.drop_events(True)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod", cidrs=[world.cidr()])
    leaver = world.vpc(THIRD, HOME, mesh="prod")
    world.sweep_until_connected(one, two, leaver)

    table, block = world.main_table(one), next(iter(world.look(two).blocks))
    world.ec2(one).delete_route(RouteTableId=table, DestinationCidrBlock=block)
    world.sweep_until_connected(one, two, leaver)

    world.untag(leaver)

    world.sweep_until(lambda: judge.not_clean(world.see(leaver), leaver))
    assert not judge.dead_routes(world.see(one, two))
    world.sweep_until_connected(one, two)
