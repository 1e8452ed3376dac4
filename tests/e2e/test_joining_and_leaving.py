"""A tag makes a VPC a member of a mesh; without the tag, no resource of the mesh remains on it."""

import threading

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_vpcs_created_with_the_tag_in_three_accounts_and_two_regions_form_a_mesh(world: World) -> None:
    one = world.vpc(HUB, HOME, mesh="prod", cidrs=[world.cidr()])
    two = world.vpc(SECOND, AWAY, mesh="prod", ipv6=True)
    three = world.vpc(THIRD, HOME, mesh="prod", ipv6=True, cidrs=[world.cidr()])
    four = world.vpc(HUB, HOME, mesh="prod")
    world.route_table(three)

    world.until_connected(one, two, three, four, meshes="prod")

    for vpc in (one, two, three, four):
        world.until_status(vpc, "joined prod")


def test_a_vpc_that_is_tagged_later_joins_and_vpcs_without_the_tag_stay_unpeered(world: World) -> None:
    member, later, untagged = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY), world.vpc(HUB, HOME)
    world.until_status(member, "joined prod")

    world.tag(later, "prod")

    world.until_connected(member, later)
    view = world.view(untagged)
    assert not view.peerings and not view.status


def test_a_vpc_that_is_untagged_loses_its_peerings_and_routes_and_the_others_keep_theirs(
    world: World,
) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    leaver = world.vpc(THIRD, HOME, mesh="prod", cidrs=[world.cidr()])
    world.until_connected(one, two, leaver)
    kept = world.peering(one, two).id

    world.untag(leaver)

    world.until_clean(leaver)
    world.until_disconnected(one, leaver)
    world.until_disconnected(two, leaver)
    world.until_connected(one, two)
    assert world.peering(one, two).id == kept


def test_a_vpc_whose_tag_changes_to_another_mesh_moves_there(world: World) -> None:
    other, mover = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, HOME, mesh="prod")
    staging = world.vpc(THIRD, AWAY, mesh="staging")
    world.until_connected(other, mover)

    world.tag(mover, "staging")

    world.until_connected(mover, staging, meshes="staging")
    world.until_disconnected(other, mover)
    assert "prod" not in world.until_status(mover, "joined staging")


def test_a_deleted_member_leaves_no_route_in_the_other_members(world: World) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    deleted = world.vpc(THIRD, HOME, mesh="prod")
    world.until_connected(one, two, deleted)

    world.delete_vpc(deleted)

    world.until_disconnected(one, deleted)
    world.until_disconnected(two, deleted)
    world.eventually(lambda: checks.dangling_routes(world.snapshot(one, two)))
    world.until_connected(one, two)


def test_vpcs_that_join_at_the_same_instant_share_exactly_one_peering_per_pair(world: World) -> None:
    vpcs = [world.vpc(HUB, HOME), world.vpc(SECOND, AWAY), world.vpc(THIRD, HOME)]
    clients = [world.ec2(vpc) for vpc in vpcs]
    start = threading.Barrier(len(vpcs))

    def join(ec2: object, vpc: str) -> None:
        start.wait()
        ec2.create_tags(Resources=[vpc], Tags=[{"Key": "peerd:env", "Value": "prod"}])

    joins = [
        threading.Thread(target=join, args=(ec2, vpc.id)) for ec2, vpc in zip(clients, vpcs, strict=True)
    ]
    for thread in joins:
        thread.start()
    for thread in joins:
        thread.join()

    world.until_connected(*vpcs)
    world.until_idle()
    peerings = {peering.id for view in world.snapshot(*vpcs).values() for peering in view.peerings}
    assert len(peerings) == 3, f"peerings, including deleted ones: {peerings}"
