"""DNS names across peerings, where a mesh says that they resolve."""

import json

import pytest

from sandbox.client.model import ACCOUNTS, HUB, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.world import World

_, SECOND, _ = ACCOUNTS
HOME, AWAY = REGIONS


def with_names(world: World, vpc: Vpc, on: bool = True) -> Vpc:
    """Switches DNS host names of a VPC on or off; EC2 makes VPCs without."""
    world.ec2(vpc).modify_vpc_attribute(VpcId=vpc.id, EnableDnsHostnames={"Value": on})
    return vpc


def options(world: World, one: Vpc, other: Vpc) -> list[bool]:
    """Whether names of the one resolve for the other, and the other way round, each as its owner sees it."""

    def option(mine: Vpc, peer: Vpc) -> bool:
        peering = world.peering(mine, peer).id
        answer = world.ec2(mine).describe_vpc_peering_connections(VpcPeeringConnectionIds=[peering])
        (seen,) = answer["VpcPeeringConnections"]
        ends = (seen["RequesterVpcInfo"], seen["AccepterVpcInfo"])
        (own,) = (end for end in ends if end["VpcId"] == mine.id)
        return bool(own.get("PeeringOptions", {}).get("AllowDnsResolutionFromRemoteVpc"))

    return [option(one, other), option(other, one)]


def until_options(world: World, one: Vpc, other: Vpc, wanted: list[bool]) -> None:
    """Waits until both options are so."""

    def problems() -> list[str]:
        found = options(world, one, other)
        return [] if found == wanted else [f"the options are {found}, not {wanted}"]

    world.eventually(problems)


@pytest.mark.parametrize(("account", "region"), [(SECOND, AWAY), (HUB, HOME)])
def test_names_resolve_both_ways_where_a_mesh_says_so_and_no_longer_where_it_says_off(
    world: World, peerd: Peerd, mesh: str, account: str, region: str
) -> None:
    peerd.declare(mesh, dns="on")
    one = with_names(world, world.vpc(HUB, HOME, mesh=mesh))
    other = with_names(world, world.vpc(account, region, mesh=mesh))
    world.until_connected(one, other)
    until_options(world, one, other, [True, True])
    peering = world.peering(one, other).id

    peerd.declare(mesh)
    world.settle(one, other)
    assert options(world, one, other) == [True, True], "a mesh that says nothing leaves them as they are"

    peerd.declare(mesh, dns="off")
    until_options(world, one, other, [False, False])
    assert world.peering(one, other).id == peering


def test_an_option_that_somebody_switched_off_is_on_again_within_seconds(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh, dns="on")
    one, other = (with_names(world, world.vpc(account, HOME, mesh=mesh)) for account in (HUB, SECOND))
    world.until_connected(one, other)
    until_options(world, one, other, [True, True])
    peering = world.peering(one, other)
    side = "Requester" if peering.requester == one else "Accepter"

    world.ec2(one).modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=peering.id,
        **{f"{side}PeeringConnectionOptions": {"AllowDnsResolutionFromRemoteVpc": False}},
    )

    until_options(world, one, other, [True, True])


def test_a_vpc_without_host_names_is_told_of_and_its_peerings_follow_when_it_gets_them(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh, dns="on")
    one, other = with_names(world, world.vpc(HUB, HOME, mesh=mesh)), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, other)
    world.until_status(one, f"joined {mesh}")

    def told() -> list[dict[str, str]]:
        seen = json.loads(peerd.ok("status", mesh, "--json"))["meshes"][0]
        return [it for it in seen["findings"] if it["kind"] == "dns"]

    world.eventually(lambda: [] if told() else ["no finding"])
    (finding,) = told()
    assert other.id in finding["subject"]
    assert "enableDnsHostnames is off" in finding["text"]
    assert options(world, one, other) == [False, False]

    with_names(world, other)

    until_options(world, one, other, [True, True])
    world.eventually(lambda: [str(it) for it in told()])
