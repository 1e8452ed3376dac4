"""Denied, throttled, slow and lost calls and events: peerd deletes nothing without proof, and converges."""

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_an_unreadable_account_deletes_nothing_and_does_not_block_other_members(world: World) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    unreadable = world.vpc(THIRD, HOME, mesh="prod")
    world.until_connected(one, two, unreadable)
    before = {world.peering(one, unreadable).id, world.peering(two, unreadable).id}

    world.control.faults(
        {"service": "sts", "action": "AssumeRole", "account": THIRD, "code": "AccessDenied", "status": 403},
        {"service": "ec2", "action": "*", "account": THIRD, "code": "UnauthorizedOperation", "status": 403},
    )
    world.control.sweep()
    newcomer = world.vpc(HUB, HOME, mesh="prod")
    world.until_connected(one, two, newcomer)
    world.until_status(newcomer, "waiting prod", THIRD)
    world.control.sweep()
    world.until_idle()
    remaining = [peering for vpc in (one, two) for peering in world.view(vpc).live_peerings(unreadable)]
    assert {peering.id for peering in remaining} == before
    world.control.faults()

    assert not checks.full_mesh_problems(world.snapshot(one, two, unreadable), (one, two, unreadable))
    world.sweep_until_connected(one, two, unreadable, newcomer)
    world.until_status(newcomer, "joined prod")


def test_throttled_calls_delay_the_mesh_and_do_not_break_it(world: World) -> None:
    world.control.faults(
        {"service": "ec2", "action": "Describe*", "times": 4, "code": "RequestLimitExceeded", "status": 503},
        {"service": "ec2", "action": "Create*", "times": 4, "code": "RequestLimitExceeded", "status": 503},
        {"service": "ec2", "action": "Accept*", "times": 4, "code": "RequestLimitExceeded", "status": 503},
    )
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")

    world.sweep_until_connected(one, two)

    assert len(world.view(one).live_peerings(two)) == 1


def test_a_create_call_whose_response_is_lost_results_in_one_peering(world: World) -> None:
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

    assert len({peering.id for peering in world.view(one).peerings}) == 1


def test_a_slow_peering_is_reported_as_waiting_until_it_is_active(world: World) -> None:
    world.control.settings(provisioning_ms=4000, visibility_ms=1500)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")

    world.until_status(one, "waiting prod", two.id)
    world.until_connected(one, two)
    world.until_status(one, "joined prod")


def test_with_every_event_lost_the_sweep_alone_converges(world: World) -> None:
    world.control.drop_events(True)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod", cidrs=[world.cidr()])
    leaver = world.vpc(THIRD, HOME, mesh="prod")
    world.sweep_until_connected(one, two, leaver)

    table, block = world.main_table(one), next(iter(world.view(two).blocks))
    world.ec2(one).delete_route(RouteTableId=table, DestinationCidrBlock=block)
    world.sweep_until_connected(one, two, leaver)

    world.untag(leaver)

    world.sweep_until(lambda: checks.cleanup_problems(world.snapshot(leaver), leaver))
    assert not checks.dangling_routes(world.snapshot(one, two))
    world.sweep_until_connected(one, two)
