"""Attacks: what an account, a tag or an event cannot do."""

from collections.abc import Iterator

import pytest

from sandbox.client import checks
from sandbox.client.control import Control
from sandbox.client.model import ACCOUNTS, MANAGED_BY, REGIONS, SEAL
from sandbox.client.sessions import Sessions
from tests.e2e.cli import Peerd
from tests.e2e.organization import Organization, organization
from tests.e2e.waiting import until_idle
from tests.e2e.world import World, hub_outputs

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


@pytest.fixture
def units(sessions: Sessions, control: Control) -> Iterator[Organization]:
    """The organization. The next sweep no longer lists the accounts of a test."""
    with organization(sessions) as units:
        yield units
    control.sweep()
    until_idle(control)


def test_an_account_that_no_one_registered_does_not_join_by_its_role_and_a_tag(
    world: World, peerd: Peerd, mesh: str, units: Organization
) -> None:
    peerd.declare(mesh)
    outsider = units.account(units.root)  # in the organization, and in no unit of the deployment
    ours = world.vpc(HUB, HOME, mesh=mesh)

    theirs = world.vpc(outsider, HOME, mesh=mesh)

    world.until_status(ours, f"joined {mesh}")
    world.control.sweep()
    world.until_idle()
    assert not world.view(ours).live_peerings(theirs)
    assert not [call for call in world.peerd_calls() if call["account"] == outsider]
    assert outsider not in peerd.ok("account", "list")
    peerd.ok("account", "block", outsider)  # ends a finding about it, if the bus delivered its event
    world.until_idle()


def test_public_addresses_of_a_member_are_reported_and_not_routed(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    one = world.vpc(HUB, HOME, mesh=mesh)
    two = world.vpc(SECOND, AWAY, mesh=mesh, cidrs=["8.8.0.0/16"])
    refused = f"refused {mesh}: 8.8.0.0/16 is not in the ranges that {mesh} admits"

    world.until_status(two, refused)

    world.until_idle()
    assert "8.8.0.0/16" not in world.routes(one)
    peerd.declare(mesh, admit={"cidrs": ["private", "8.8.0.0/16"]})
    world.until_settled(one, two)


def test_mesh_names_that_no_one_declared_cost_a_sweep_nothing(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_settled(one, two)

    def cost_of_a_sweep() -> int:
        world.control.clear_calls()
        world.control.sweep()
        world.eventually(lambda: [] if world.peerd_calls() else ["the sweep has not started"])
        world.until_idle()
        return len(world.peerd_calls())

    cost_of_a_sweep()  # the first sweep of a deployment records the meshes of its parameter
    before = cost_of_a_sweep()
    world.control.clear_calls()
    world.tag(one, " ".join([mesh, *(f"flood-{number}" for number in range(20))]))
    world.until_status(one, "refused +13")
    world.until_idle()
    assert len(world.peerd_calls()) <= 100
    assert cost_of_a_sweep() <= before
    world.tag(one, mesh)
    world.until_status(one, f"joined {mesh}")


def test_a_mesh_whose_policy_is_lost_is_frozen_and_not_opened(world: World, peerd: Peerd) -> None:
    mesh = "shared"  # of the stack's parameter, with a default policy that admits every account
    peerd.declare(mesh, admit={"accounts": [HUB, SECOND]})
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    outside = world.vpc(THIRD, HOME, mesh=mesh)
    world.until_connected(one, two)
    world.until_status(outside, f"refused {mesh}")

    world.sessions.client("dynamodb").delete_item(
        TableName=hub_outputs(world.sessions)["TableName"], Key={"pk": {"S": "meshes"}, "sk": {"S": mesh}}
    )
    world.control.sweep()

    said = "the table has no record of this mesh, and peerings of it exist: its policy was lost"
    world.eventually(lambda: [] if said in peerd.ok("status", mesh) else ["no finding"])
    world.until_idle()
    assert not world.view(one).live_peerings(outside)
    assert world.peering(one, two).managed
    peerd.declare(mesh)
    world.until_connected(one, two, outside)
    peerd.ok("mesh", "undeclare", mesh, "--yes")


def test_the_ownership_tag_of_another_deployment_on_one_side_is_reported(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, two)
    peering, ec2 = world.peering(one, two).id, world.ec2(two)
    ec2.create_tags(Resources=[peering], Tags=[{"Key": MANAGED_BY, "Value": "other"}])

    world.control.sweep()

    said = f"{peering} has the tag {MANAGED_BY}=other in {SECOND}/{AWAY}"
    world.eventually(lambda: [] if said in peerd.ok("status", mesh) else ["no finding"])
    world.until_idle()
    assert not any(world.dead_letters().values())
    assert world.peering(one, two).id == peering
    ec2.delete_tags(Resources=[peering], Tags=[{"Key": MANAGED_BY}])
    world.control.sweep()
    world.until_settled(one, two)


def test_peerds_tags_and_a_copied_seal_on_a_foreign_peering_change_nothing(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, two)
    three, four = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY, cidr=(block := world.cidr()))
    foreign, table = world.create_peering(three, four), world.main_table(three)
    world.ec2(three).create_route(
        RouteTableId=table, DestinationCidrBlock=block, VpcPeeringConnectionId=foreign
    )
    tags = [{"Key": key, "Value": value} for key, value in world.peering(one, two).tags.items()]
    assert SEAL in {tag["Key"] for tag in tags}
    for side in (three, four):
        world.ec2(side).create_tags(Resources=[foreign], Tags=tags)

    world.control.sweep()

    said = f"{foreign} has peerd's tags but no valid seal"
    world.eventually(lambda: [] if said in peerd.ok("status", mesh) else ["no finding"])
    world.until_idle()
    assert (world.peering(three, four).id, world.peering(three, four).status) == (foreign, "active")
    assert world.routes(three)[block] == foreign
    for side in (three, four):
        world.ec2(side).delete_tags(Resources=[foreign], Tags=[{"Key": MANAGED_BY}])
    world.control.sweep()
    world.eventually(lambda: ["the finding is open"] if said in peerd.ok("status", mesh) else [])


def test_a_peering_without_its_ownership_tag_is_recognized_by_its_seal(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, two)
    peering = world.peering(one, two)

    def strip() -> None:
        for side in (one, two):
            world.ec2(side).delete_tags(Resources=[peering.id], Tags=[{"Key": MANAGED_BY}])

    strip()
    world.control.sweep()
    world.until_settled(one, two)
    assert world.peering(one, two).id == peering.id and world.peering(two, one).managed
    strip()
    for vpc in (one, two):
        world.untag(vpc)
    world.until_disconnected(one, two)


def test_an_account_that_the_policy_excludes_is_cut_off_without_its_help(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    ours, theirs = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.until_connected(ours, theirs)
    _deny_role(world, SECOND)

    peerd.declare(mesh, admit={"accounts": [HUB, THIRD]})

    world.eventually(lambda: [f"{it} exists" for it in world.view(ours).live_peerings(theirs)])
    world.eventually(lambda: checks.dangling_routes(world.snapshot(ours)))
    world.control.faults()
    world.control.sweep()
    world.until_status(theirs, f"refused {mesh}", f"account {SECOND} is not admitted")


def test_a_blocked_account_is_cut_off_without_its_help_and_does_not_come_back(
    world: World, peerd: Peerd, mesh: str, units: Organization
) -> None:
    account = units.account(units.unit())
    peerd.declare(mesh)
    ours, theirs = world.vpc(HUB, HOME, mesh=mesh), world.vpc(account, HOME, mesh=mesh)
    world.sweep_until_connected(ours, theirs)
    _deny_role(world, account)

    unasked = peerd.run("account", "block", account)
    assert unasked.code == 1 and f"{mesh}: deletes 1 peering, 1 route" in unasked.err
    peerd.ok("account", "block", account, "--yes")

    world.eventually(lambda: [f"{it} exists" for it in world.view(ours).live_peerings(theirs)])
    world.eventually(lambda: checks.dangling_routes(world.snapshot(ours)))
    world.control.faults()
    world.tag(theirs, mesh)
    world.control.sweep()
    world.until_idle()
    assert not world.view(ours).live_peerings(theirs)
    refused = peerd.run("account", "add", account)
    assert refused.code == 1 and f"peerd account unblock {account}" in refused.err
    peerd.ok("account", "unblock", account)
    world.until_connected(ours, theirs)


def _deny_role(world: World, account: str) -> None:
    """Denies the role of an account, as if the account had deleted it."""
    denied = {"code": "AccessDenied", "status": 403}
    world.control.faults({"service": "sts", "action": "AssumeRole", "account": account, **denied})
