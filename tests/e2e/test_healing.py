"""peerd reverts manual changes of its peerings and routes, and reports and keeps foreign routes."""

import ipaddress
import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


class Mesh(NamedTuple):
    """Three connected members and their world."""

    world: World
    one: Vpc
    two: Vpc
    three: Vpc

    def block(self, vpc: Vpc) -> str:
        """Returns the only CIDR block of a member."""
        (block,) = self.world.view(vpc).blocks
        return block

    def until_healed(self) -> None:
        """Waits until all three are connected and no route is dangling."""
        members = (self.one, self.two, self.three)
        self.world.until_connected(*members)
        self.world.eventually(lambda: checks.dangling_routes(self.world.snapshot(*members)))


@pytest.fixture(scope="module")
def _module_mesh(shared_world: World) -> Mesh:
    vpcs = (
        shared_world.vpc(account, region, mesh="prod")
        for account, region in ((HUB, HOME), (SECOND, AWAY), (THIRD, HOME))
    )
    return Mesh(shared_world, *vpcs)


@pytest.fixture
def mesh(_module_mesh: Mesh) -> Iterator[Mesh]:
    """A mesh of three members that is connected when the test starts."""
    _module_mesh.until_healed()
    yield _module_mesh
    _module_mesh.world.control.faults()


def test_a_route_that_a_user_adds_to_peerds_peering_is_deleted_and_is_in_the_history(
    mesh: Mesh, peerd: Peerd
) -> None:
    ec2, table = mesh.world.ec2(mesh.one), mesh.world.main_table(mesh.one)
    peering = mesh.world.peering(mesh.one, mesh.two).id
    part = str(next(ipaddress.ip_network(mesh.block(mesh.two)).subnets(new_prefix=24)))

    mesh.world.until_idle()  # A run that connects the mesh could delete the route before its event.
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=part, VpcPeeringConnectionId=peering)

    def missing_in_history() -> list[str]:
        lines = [
            f"  triggered by CreateRoute of {table} by arn:aws:",
            f"  - route {table} in {HUB}/{HOME} {part} -> {peering}\n",
        ]
        history = peerd.ok("history", "prod", "--runs", "30")
        return [line for line in lines if line not in history]

    mesh.world.eventually(missing_in_history)
    mesh.until_healed()


def test_a_deleted_route_is_restored(mesh: Mesh) -> None:
    ec2, table = mesh.world.ec2(mesh.one), mesh.world.main_table(mesh.one)

    ec2.delete_route(RouteTableId=table, DestinationCidrBlock=mesh.block(mesh.two))

    assert checks.connection_problems(mesh.world.snapshot(mesh.one, mesh.two), mesh.one, mesh.two)
    mesh.until_healed()


def test_a_route_replaced_with_another_managed_peering_is_restored(mesh: Mesh) -> None:
    wrong = mesh.world.peering(mesh.one, mesh.three).id

    mesh.world.ec2(mesh.one).replace_route(
        RouteTableId=mesh.world.main_table(mesh.one),
        DestinationCidrBlock=mesh.block(mesh.two),
        VpcPeeringConnectionId=wrong,
    )

    mesh.until_healed()
    assert mesh.world.routes(mesh.one)[mesh.block(mesh.two)] != wrong


def test_a_route_replaced_with_a_foreign_target_is_reported_and_left_until_it_is_deleted(mesh: Mesh) -> None:
    world, one, block = mesh.world, mesh.one, mesh.block(mesh.two)
    table, gateway = world.main_table(one), world.internet_gateway(one)

    world.ec2(one).replace_route(RouteTableId=table, DestinationCidrBlock=block, GatewayId=gateway)

    world.until_status(one, "refused prod", mesh.two.id, block)
    world.control.sweep()
    world.until_idle()
    assert world.routes(one)[block] == gateway
    assert not checks.connection_problems(world.snapshot(one, mesh.three), one, mesh.three)

    world.ec2(one).delete_route(RouteTableId=table, DestinationCidrBlock=block)
    mesh.until_healed()
    world.eventually(lambda: [it for it in [world.status(one)] if it != "joined prod"])


def test_a_deleted_peering_is_recreated_and_no_route_stays_a_blackhole(mesh: Mesh) -> None:
    deleted = mesh.world.peering(mesh.one, mesh.two).id

    mesh.world.ec2(mesh.two).delete_vpc_peering_connection(VpcPeeringConnectionId=deleted)

    states = {route.target: route.state for route in mesh.world.view(mesh.one).tables[0].routes}
    assert states.get(deleted, "blackhole") == "blackhole"
    mesh.until_healed()
    assert mesh.world.peering(mesh.one, mesh.two).id != deleted


def test_a_blackhole_route_to_the_cidr_block_of_a_member_is_replaced(mesh: Mesh) -> None:
    world, one, block = mesh.world, mesh.one, mesh.block(mesh.two)
    table = world.route_table(one)
    mesh.until_healed()
    deleted = world.peering(one, mesh.two).id

    world.control.drop_events(True)
    world.ec2(one).delete_vpc_peering_connection(VpcPeeringConnectionId=deleted)
    world.control.drop_events(False)
    blackholes = [it for it in world.view(one).tables if any(route.target == deleted for route in it.routes)]
    assert table in {it.id for it in blackholes}, "the routes of a deleted peering stay as blackholes"
    world.ec2(one).delete_route(RouteTableId=world.main_table(one), DestinationCidrBlock=block)

    mesh.until_healed()


@pytest.fixture
def newcomer(mesh: Mesh, world: World) -> Vpc:
    """A new member whose peering with the second member stays pending, because accepting it fails."""
    faults = [
        {"service": "ec2", "action": "AcceptVpcPeeringConnection", "code": "InternalError", "status": 500}
    ]
    mesh.world.control.faults(*faults)
    return world.vpc(THIRD, AWAY, mesh="prod")


def _until_pending(mesh: Mesh, newcomer: Vpc) -> str:
    def not_pending() -> list[str]:
        found = mesh.world.view(newcomer).live_peerings(mesh.two)
        pending = [it for it in found if it.status == "pending-acceptance"]
        return [] if pending else [f"no pending peering yet: {found}"]

    mesh.world.eventually(not_pending)
    return mesh.world.peering(newcomer, mesh.two).id


def test_a_rejected_peering_is_requested_again(mesh: Mesh, newcomer: Vpc) -> None:
    world, rejected = mesh.world, _until_pending(mesh, newcomer)
    accepter = world.peering(newcomer, mesh.two).accepter
    world.until_status(newcomer, "waiting prod")

    world.ec2(accepter).reject_vpc_peering_connection(VpcPeeringConnectionId=rejected)
    world.control.faults()

    world.until_connected(mesh.one, mesh.two, mesh.three, newcomer)
    assert world.peering(newcomer, mesh.two).id != rejected
    world.until_status(newcomer, "joined prod")


def test_an_expired_peering_request_is_requested_again(mesh: Mesh, newcomer: Vpc) -> None:
    world, expired = mesh.world, _until_pending(mesh, newcomer)

    world.control.advance_clock(7 * 24 * 3600 + 60)
    statuses = {peering.id: peering.status for peering in world.view(newcomer).peerings}
    assert statuses.get(expired) == "expired"
    world.control.faults()
    world.control.sweep()

    world.until_connected(mesh.one, mesh.two, mesh.three, newcomer)
    assert world.peering(newcomer, mesh.two).id != expired


@pytest.mark.long
def test_a_principal_that_keeps_deleting_a_route_is_reported_and_peerd_backs_off(
    world: World, peerd: Peerd
) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    table, block = world.main_table(one), next(iter(world.view(two).blocks))
    route = {"RouteTableId": table, "DestinationCidrBlock": block}

    # Reverts within 20 seconds of the creation count once, so this takes more than a minute. One of two
    # concurrent runs may restore the route while the other already backs off: the state after both counts.
    while block in world.routes(one):
        world.ec2(one).delete_route(**route)
        world.until_idle()
    assert "another principal reverts it" in world.status(one)

    (finding,) = [it for it in findings(peerd, "prod") if it["kind"] == "conflict"]
    assert finding["subject"] == f"route to {block} in {table}"
    assert finding["text"].startswith("reverted 4 times within 2 hours, most recently by arn:aws:sts::")
    assert f":{HUB}:assumed-role/sandbox-admin/" in finding["text"]
    assert f"triggered by DeleteRoute of {table} by arn:aws:sts::{HUB}" in peerd.ok("history", "prod")
    world.until_idle()
    world.control.clear_calls()
    world.control.sweep()
    world.until_idle()
    assert block not in world.routes(one)
    assert "CreateRoute" not in {call["action"] for call in world.peerd_writes()}


def findings(peerd: Peerd, mesh: str) -> list[dict[str, str]]:
    """Returns the open findings of a mesh."""
    (status,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]
    return list(status["findings"])
