"""DNS resolution across peerings, for meshes whose policy enables it."""

import json

import pytest

from sandbox.client.model import ACCOUNTS, HUB, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.world import World

_, SECOND, _ = ACCOUNTS
HOME, AWAY = REGIONS


def set_dns_hostnames(world: World, vpc: Vpc, on: bool = True) -> Vpc:
    """Enables or disables the DNS hostnames of a VPC; they are disabled in a new VPC."""
    world.ec2(vpc).modify_vpc_attribute(VpcId=vpc.id, EnableDnsHostnames={"Value": on})
    return vpc


def dns_options(world: World, one: Vpc, other: Vpc) -> list[bool]:
    """Returns the DNS option of each side, as the owner of that side sees it."""

    def option(vpc: Vpc, peer: Vpc) -> bool:
        peering = world.peering(vpc, peer).id
        response = world.ec2(vpc).describe_vpc_peering_connections(VpcPeeringConnectionIds=[peering])
        (found,) = response["VpcPeeringConnections"]
        sides = (found["RequesterVpcInfo"], found["AccepterVpcInfo"])
        (own,) = (side for side in sides if side["VpcId"] == vpc.id)
        return bool(own.get("PeeringOptions", {}).get("AllowDnsResolutionFromRemoteVpc"))

    return [option(one, other), option(other, one)]


def until_options(world: World, one: Vpc, other: Vpc, wanted: list[bool]) -> None:
    """Waits until the options have these values."""

    def problems() -> list[str]:
        found = dns_options(world, one, other)
        return [] if found == wanted else [f"the options are {found}, not {wanted}"]

    world.eventually(problems)


@pytest.mark.parametrize(("account", "region"), [(SECOND, AWAY), (HUB, HOME)])
def test_names_resolve_both_ways_while_the_policy_enables_dns_and_not_after_it_disables_dns(
    world: World, peerd: Peerd, mesh: str, account: str, region: str
) -> None:
    peerd.declare(mesh, dns="on")
    one = set_dns_hostnames(world, world.vpc(HUB, HOME, mesh=mesh))
    other = set_dns_hostnames(world, world.vpc(account, region, mesh=mesh))
    world.until_connected(one, other)
    until_options(world, one, other, [True, True])
    peering = world.peering(one, other).id

    peerd.declare(mesh)
    world.until_settled(one, other)
    assert dns_options(world, one, other) == [True, True], "a policy without `dns` does not change them"

    peerd.declare(mesh, dns="off")
    until_options(world, one, other, [False, False])
    assert world.peering(one, other).id == peering


def test_a_manually_disabled_option_is_enabled_again(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh, dns="on")
    one, other = (set_dns_hostnames(world, world.vpc(account, HOME, mesh=mesh)) for account in (HUB, SECOND))
    world.until_connected(one, other)
    until_options(world, one, other, [True, True])
    peering = world.peering(one, other)
    side = "Requester" if peering.requester == one else "Accepter"

    world.ec2(one).modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=peering.id,
        **{f"{side}PeeringConnectionOptions": {"AllowDnsResolutionFromRemoteVpc": False}},
    )

    until_options(world, one, other, [True, True])


def test_a_vpc_without_dns_hostnames_is_reported_and_its_options_are_set_when_it_has_them(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh, dns="on")
    one, other = set_dns_hostnames(world, world.vpc(HUB, HOME, mesh=mesh)), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, other)
    world.until_status(one, f"joined {mesh}")

    def dns_findings() -> list[dict[str, str]]:
        status = json.loads(peerd.ok("status", mesh, "--json"))["meshes"][0]
        return [it for it in status["findings"] if it["kind"] == "dns"]

    world.eventually(lambda: [] if dns_findings() else ["no finding"])
    (finding,) = dns_findings()
    assert other.id in finding["subject"]
    assert "enableDnsHostnames is off" in finding["text"]
    assert dns_options(world, one, other) == [False, False]

    set_dns_hostnames(world, other)

    until_options(world, one, other, [True, True])
    world.eventually(lambda: [str(it) for it in dns_findings()])
