"""Routes follow the current CIDR blocks and route tables of the members."""

import pytest

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


@pytest.fixture(scope="module")
def pair(shared_world: World) -> tuple[Vpc, Vpc]:
    """Two connected members in two accounts and Regions."""
    one, other = shared_world.vpc(HUB, HOME, mesh="prod"), shared_world.vpc(SECOND, AWAY, mesh="prod")
    shared_world.until_connected(one, other)
    return one, other


def test_a_cidr_block_that_is_associated_later_is_routed_until_it_is_disassociated(
    shared_world: World, pair: tuple[Vpc, Vpc]
) -> None:
    one, other = pair
    block = shared_world.cidr()

    association = shared_world.associate_cidr(one, block)
    shared_world.until_connected(one, other)
    assert block in shared_world.routes(other)

    shared_world.disassociate_cidr(one, association)
    shared_world.eventually(lambda: [block] if block in shared_world.routes(other) else [])
    shared_world.until_connected(one, other)


def test_an_ipv6_cidr_block_that_is_associated_later_is_routed(
    shared_world: World, pair: tuple[Vpc, Vpc]
) -> None:
    one, other = pair

    shared_world.associate_ipv6(one)
    shared_world.until_connected(one, other)

    blocks = [block for block in shared_world.view(one).blocks if ":" in block]
    assert len(blocks) == 1
    assert checks.canonical(blocks[0]) in map(checks.canonical, shared_world.routes(other))


def test_a_route_table_that_is_created_later_gets_the_routes_of_the_mesh(
    shared_world: World, pair: tuple[Vpc, Vpc]
) -> None:
    one, other = pair

    table = shared_world.route_table(other)
    shared_world.until_connected(one, other)

    assert table in {table.id for table in shared_world.view(other).routed_tables}


def test_the_route_table_of_a_gateway_is_never_modified(world: World) -> None:
    edge = world.vpc(HUB, HOME)
    table = world.route_table(edge)
    world.ec2(edge).associate_route_table(RouteTableId=table, GatewayId=world.internet_gateway(edge))
    other = world.vpc(THIRD, HOME, mesh="prod")

    world.tag(edge, "prod")
    world.until_connected(edge, other)
    world.until_status(edge, "joined prod")

    gateway_tables = [table for table in world.view(edge).tables if table.gateway]
    assert [table.id for table in gateway_tables] == [table]
    assert [route.target for route in gateway_tables[0].routes] == ["local"]


def test_overlapping_vpcs_are_not_peered_and_all_others_are_connected(
    world: World, pair: tuple[Vpc, Vpc]
) -> None:
    third, fourth = pair
    block = world.cidr()
    half = block.replace("/20", "/21")
    one = world.vpc(HUB, HOME, mesh="prod", cidrs=[block])
    overlapping = world.vpc(SECOND, AWAY, mesh="prod", cidrs=[half])

    def problems_of_the_others() -> list[str]:
        snapshot = world.snapshot(one, overlapping, third, fourth)
        problems = checks.full_mesh_problems(snapshot, (one, third, fourth))
        problems += checks.full_mesh_problems(snapshot, (overlapping, third, fourth))
        # The overlapping blocks can be routed to one of the two only, so their routes are not checked.
        return [it for it in problems if f" {block} " not in it and f" {half} " not in it]

    world.eventually(problems_of_the_others)
    world.until_status(one, "refused prod", overlapping.id, "overlaps")
    world.until_status(overlapping, "refused prod", one.id, "overlaps")
    world.until_status(third, "joined prod")
    assert not world.view(one).live_peerings(overlapping)
