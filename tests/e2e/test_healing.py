"""What somebody breaks by hand heals, and what belongs to somebody else is reported and left alone."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


class Mesh(NamedTuple):
    """Three connected members and the world that they are in."""

    world: World
    one: Vpc
    two: Vpc
    three: Vpc

    def block(self, vpc: Vpc) -> str:
        """The only block of addresses of a member."""
        (block,) = self.world.look(vpc).blocks
        return block

    def heals(self) -> None:
        """Waits until all three are connected again, with no dead route anywhere."""
        members = (self.one, self.two, self.three)
        self.world.until_connected(*members)
        self.world.eventually(lambda: judge.dead_routes(self.world.see(*members)))


@pytest.fixture(scope="module")
def _three(shared_world: World) -> Mesh:
    vpcs = (
        shared_world.vpc(account, region, mesh="prod")
        for account, region in ((HUB, HOME), (SECOND, AWAY), (THIRD, HOME))
    )
    return Mesh(shared_world, *vpcs)


@pytest.fixture
def mesh(_three: Mesh) -> Iterator[Mesh]:
    """A mesh of three that is whole when the test begins."""
    _three.heals()
    yield _three
    _three.world.control.faults()


def test_a_deleted_route_comes_back(mesh: Mesh) -> None:
    ec2, table = mesh.world.ec2(mesh.one), mesh.world.main_table(mesh.one)

    ec2.delete_route(RouteTableId=table, DestinationCidrBlock=mesh.block(mesh.two))

    assert judge.not_connected(mesh.world.see(mesh.one, mesh.two), mesh.one, mesh.two)
    mesh.heals()


def test_a_route_that_somebody_sends_over_another_managed_peering_goes_back(mesh: Mesh) -> None:
    wrong = mesh.world.peering(mesh.one, mesh.three).id

    mesh.world.ec2(mesh.one).replace_route(
        RouteTableId=mesh.world.main_table(mesh.one),
        DestinationCidrBlock=mesh.block(mesh.two),
        VpcPeeringConnectionId=wrong,
    )

    mesh.heals()
    assert mesh.world.routes(mesh.one)[mesh.block(mesh.two)] != wrong


def test_a_route_that_somebody_points_elsewhere_is_reported_and_left_until_it_is_removed(mesh: Mesh) -> None:
    world, one, block = mesh.world, mesh.one, mesh.block(mesh.two)
    table, gateway = world.main_table(one), world.internet_gateway(one)

    world.ec2(one).replace_route(RouteTableId=table, DestinationCidrBlock=block, GatewayId=gateway)

    world.until_status(one, "refused prod", mesh.two.id, block)
    world.control.sweep()
    world.quiet()
    assert world.routes(one)[block] == gateway
    assert not judge.not_connected(world.see(one, mesh.three), one, mesh.three)

    world.ec2(one).delete_route(RouteTableId=table, DestinationCidrBlock=block)
    mesh.heals()
    world.eventually(lambda: [it for it in [world.status(one)] if it != "joined prod"])


def test_a_deleted_peering_is_made_anew_and_no_route_stays_blackholed(mesh: Mesh) -> None:
    dead = mesh.world.peering(mesh.one, mesh.two).id

    mesh.world.ec2(mesh.two).delete_vpc_peering_connection(VpcPeeringConnectionId=dead)

    states = {route.target: route.state for route in mesh.world.look(mesh.one).tables[0].routes}
    assert states.get(dead, "blackhole") == "blackhole"
    mesh.heals()
    assert mesh.world.peering(mesh.one, mesh.two).id != dead


def test_a_blackhole_that_somebody_left_for_the_addresses_of_a_member_is_taken_over(mesh: Mesh) -> None:
    world, one, block = mesh.world, mesh.one, mesh.block(mesh.two)
    table = world.route_table(one)
    mesh.heals()
    dead = world.peering(one, mesh.two).id

    world.control.drop_events(True)
    world.ec2(one).delete_vpc_peering_connection(VpcPeeringConnectionId=dead)
    world.control.drop_events(False)
    blackholes = [it for it in world.look(one).tables if any(route.target == dead for route in it.routes)]
    assert table in {it.id for it in blackholes}, "deleting a peering leaves its routes behind as blackholes"
    world.ec2(one).delete_route(RouteTableId=world.main_table(one), DestinationCidrBlock=block)

    mesh.heals()


@pytest.fixture
def newcomer(mesh: Mesh, world: World) -> Vpc:
    """A new member whose peering with the second one is stuck at the accepter, whichever of them that is."""
    faults = [
        {"service": "ec2", "action": "AcceptVpcPeeringConnection", "code": "InternalError", "status": 500}
    ]
    mesh.world.control.faults(*faults)
    return world.vpc(THIRD, AWAY, mesh="prod")


def _stuck(mesh: Mesh, newcomer: Vpc) -> str:
    def not_pending() -> list[str]:
        found = mesh.world.look(newcomer).live_peerings(mesh.two)
        pending = [it for it in found if it.status == "pending-acceptance"]
        return [] if pending else [f"no pending peering yet: {found}"]

    mesh.world.eventually(not_pending)
    return mesh.world.peering(newcomer, mesh.two).id


def test_a_rejected_peering_is_asked_for_again(mesh: Mesh, newcomer: Vpc) -> None:
    world, rejected = mesh.world, _stuck(mesh, newcomer)
    accepter = world.peering(newcomer, mesh.two).accepter
    world.until_status(newcomer, "waiting prod")

    world.ec2(accepter).reject_vpc_peering_connection(VpcPeeringConnectionId=rejected)
    world.control.faults()

    world.until_connected(mesh.one, mesh.two, mesh.three, newcomer)
    assert world.peering(newcomer, mesh.two).id != rejected
    world.until_status(newcomer, "joined prod")


def test_a_peering_that_expired_unaccepted_is_asked_for_again(mesh: Mesh, newcomer: Vpc) -> None:
    world, expired = mesh.world, _stuck(mesh, newcomer)

    world.control.advance_clock(7 * 24 * 3600 + 60)
    statuses = {peering.id: peering.status for peering in world.look(newcomer).peerings}
    assert statuses.get(expired) == "expired"
    world.control.faults()
    world.control.sweep()

    world.until_connected(mesh.one, mesh.two, mesh.three, newcomer)
    assert world.peering(newcomer, mesh.two).id != expired


@pytest.mark.long
def test_who_takes_a_route_out_again_and_again_is_named_and_not_fought(world: World, peerd: Peerd) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    table, block = world.main_table(one), next(iter(world.look(two).blocks))
    out = {"RouteTableId": table, "DestinationCidrBlock": block}

    def is_back_or_left_alone() -> list[str]:
        left_alone = "somebody keeps undoing it" in world.status(one)
        return [] if left_alone or block in world.routes(one) else [f"{table} has no route to {block}"]

    # What is undone within 20 seconds of being put in place counts once, so this takes over a minute.
    while "somebody keeps undoing it" not in world.status(one):
        if block in world.routes(one):
            world.ec2(one).delete_route(**out)
        world.eventually(is_back_or_left_alone)

    (told,) = [it for it in findings(peerd, "prod") if it["kind"] == "conflict"]
    assert told["subject"] == f"route to {block} in {table}"
    assert told["text"].startswith("put in place 4 times within two hours and undone, last by arn:aws:sts::")
    assert f":{HUB}:assumed-role/sandbox-admin/" in told["text"]
    assert f"woken by DeleteRoute of {table} by arn:aws:sts::{HUB}" in peerd.ok("history", "prod")
    world.quiet()
    world.control.forget_calls()
    world.control.sweep()
    world.quiet()
    assert block not in world.routes(one)
    assert "CreateRoute" not in {call["action"] for call in world.peerd_writes()}


def findings(peerd: Peerd, mesh: str) -> list[dict[str, str]]:
    """What is open of a mesh."""
    (seen,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]
    return list(seen["findings"])
