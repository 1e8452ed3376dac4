"""peerd neither uses nor changes foreign resources, and reports those that conflict with its own."""

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, MANAGED_BY, REGIONS
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_a_foreign_peering_between_two_members_is_reported_and_left_alone(world: World) -> None:
    one, two, three = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY), world.vpc(THIRD, HOME)
    foreign = world.create_peering(one, two)

    for vpc in (one, two, three):
        world.tag(vpc, "prod")

    world.until_connected(one, three)
    world.until_connected(two, three)
    world.until_status(one, "refused prod", two.id)
    world.until_status(two, "refused prod", one.id)
    peering = world.peering(one, two)
    assert (peering.id, peering.status) == (foreign, "active")
    assert MANAGED_BY not in peering.tags
    assert foreign not in set(world.routes(one).values()) | set(world.routes(two).values())

    world.untag(one)
    world.until_clean(one)
    assert world.peering(one, two).id == foreign


def test_a_peering_request_that_peerd_did_not_make_is_not_accepted(world: World) -> None:
    one, two, other = world.vpc(HUB, HOME), world.vpc(SECOND, HOME), world.vpc(THIRD, HOME)
    request = world.create_peering(other, one, accept=False)

    world.tag(one, "prod")
    world.tag(two, "prod")
    world.until_connected(one, two)

    assert (world.peering(one, other).id, world.peering(one, other).status) == (
        request,
        "pending-acceptance",
    )


def test_a_foreign_route_to_the_cidr_block_of_a_member_is_reported_and_left_alone(world: World) -> None:
    block = world.cidr()
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY, cidr=block)
    third = world.vpc(THIRD, HOME, mesh="prod")
    gateway = world.internet_gateway(one)
    world.ec2(one).create_route(
        RouteTableId=world.main_table(one), DestinationCidrBlock=block, GatewayId=gateway
    )

    world.tag(one, "prod")
    world.tag(two, "prod")

    world.until_status(one, "refused prod", two.id, block)
    world.until_connected(one, third)
    world.until_connected(two, third)
    assert world.routes(one)[block] == gateway
    assert [
        problem
        for problem in checks.connection_problems(world.snapshot(one, two), one, two)
        if world.main_table(one) not in problem
    ] == []


def test_a_cidr_block_that_a_prefix_list_routes_elsewhere_is_routed_after_that_route_is_deleted(
    world: World,
) -> None:
    block = world.cidr()
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY, cidr=block)
    ec2, table, gateway = world.ec2(one), world.main_table(one), world.internet_gateway(one)
    entries = [{"Cidr": block, "Description": "two, through the gateway"}]
    prefix_list = ec2.create_managed_prefix_list(
        PrefixListName="elsewhere", MaxEntries=5, AddressFamily="IPv4", Entries=entries
    )["PrefixList"]["PrefixListId"]
    ec2.create_route(RouteTableId=table, DestinationPrefixListId=prefix_list, GatewayId=gateway)

    world.tag(one, "prod")
    world.tag(two, "prod")

    world.until_status(one, "refused prod", two.id, f"{table} routes {block} to {gateway}")
    assert block not in world.routes(one)

    ec2.delete_route(RouteTableId=table, DestinationPrefixListId=prefix_list)

    world.until_connected(one, two)
