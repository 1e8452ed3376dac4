"""`peerd explain`: the first problem to fix, and every condition of a connection."""

import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.security_groups import create_group
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
STACK_OPTIONS = ("--stack", "peerd", "--role", "sandbox-admin")


def explain(peerd: Peerd, one: Vpc, other: Vpc) -> dict[str, Any]:
    """Returns the JSON of `peerd explain` for two VPCs."""
    return json.loads(peerd.ok("explain", one.id, other.id, *STACK_OPTIONS, "--json"))


def failed_checks(peerd: Peerd, one: Vpc, other: Vpc) -> list[str]:
    """Returns the failed checks of two VPCs."""
    return [it["text"] for it in explain(peerd, one, other)["checks"] if it["result"] == "fail"]


def test_two_members_reach_each_other_until_a_route_is_missing_or_a_network_acl_denies(
    world: World, peerd: Peerd
) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    subnet = world.ec2(one).create_subnet(VpcId=one.id, CidrBlock=next(iter(world.view(one).blocks)))
    world.until_settled(one, two)
    result = explain(peerd, one, two)
    assert result["reachable"] == "no", "the default security groups allow nothing"
    assert peerd.run("explain", one.id, two.id, *STACK_OPTIONS, "--exit-code").code == 8
    for vpc, peer in ((one, two), (two, one)):
        group = create_group(world, vpc, allow=None)
        group.allow(*(f"tcp/443 {cidr}" for cidr in world.view(peer).blocks))
    result = explain(peerd, one, two)
    assert result["reachable"] == "yes"
    assert peerd.run("explain", one.id, two.id, *STACK_OPTIONS, "--exit-code").code == 0
    assert f"{world.peering(one, two).id} is active" in [it["text"] for it in result["checks"]]

    (block,) = world.view(two).blocks
    acls = world.ec2(one).describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [one.id]}])
    (acl,) = [it["NetworkAclId"] for it in acls["NetworkAcls"]]
    rule = {"NetworkAclId": acl, "RuleNumber": 1, "Egress": False}
    world.ec2(one).create_network_acl_entry(**rule, CidrBlock=block, Protocol="-1", RuleAction="deny")
    text = f"rule 1 of {acl} (1 subnet of {one.id}) denies traffic from {block} of {two.id}"
    assert failed_checks(peerd, one, two) == [text]
    world.ec2(one).delete_network_acl_entry(**rule)
    world.ec2(one).delete_subnet(SubnetId=subnet["Subnet"]["SubnetId"])

    world.until_idle()
    world.control.drop_events(True)
    table = world.main_table(one)
    world.ec2(one).delete_route(RouteTableId=table, DestinationCidrBlock=block)
    result = peerd.run("explain", one.id, two.id, *STACK_OPTIONS, "--exit-code")
    assert result.code == 8
    assert f"cannot reach each other\nblocking: {table} of {one.id} has no route to {block}\n" in result.out
    world.sweep_until_connected(one, two)


@contextmanager
def network_interface(world: World, vpc: Vpc, group: str) -> Iterator[tuple[str, str]]:
    """Creates a subnet with a network interface, and yields the interface's id and its address."""
    ec2 = world.ec2(vpc)
    block = str(next(ipaddress.ip_network(next(iter(world.view(vpc).blocks))).subnets(new_prefix=24)))
    subnet = ec2.create_subnet(VpcId=vpc.id, CidrBlock=block)["Subnet"]["SubnetId"]
    made = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]
    try:
        yield made["NetworkInterfaceId"], made["PrivateIpAddress"]
    finally:
        ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
        ec2.delete_subnet(SubnetId=subnet)


def test_explain_follows_a_packet_from_address_to_address(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_settled(one, two)
    ours, theirs = (create_group(world, vpc, allow=None) for vpc in (one, two))

    def ask(*arguments: str) -> dict[str, Any]:
        return json.loads(peerd.ok("explain", *arguments, *STACK_OPTIONS, "--json"))

    with (
        network_interface(world, one, ours.id) as (client, source),
        network_interface(world, two, theirs.id) as (server, target),
    ):
        https = ask(source, target, "--port", "tcp/443")
        refused = f"no security group of {server} ({theirs.id}) allows tcp/443 from {source}"
        assert [it["text"] for it in https["checks"] if it["result"] == "fail"] == [refused]

        theirs.allow(f"tcp/443 {source}/32")
        https = ask(client, server, "--port", "tcp/443")
        assert https["reachable"] == "yes" and https["traffic"] == "tcp/443"
        assert https["addresses"] == [source, target]
        assert ask(source, target, "--port", "tcp/22")["reachable"] == "no"
        assert ask(one.id, target, "--port", "tcp/443")["reachable"] == "yes"

        world.ec2(two).create_tags(Resources=[two.id], Tags=[{"Key": "Name", "Value": f"billing-{mesh}"}])
        assert ask(source, f"billing-{mesh}")["vpcs"][1]["id"] == two.id
    within = peerd.run("explain", one.id, one.id, *STACK_OPTIONS)
    assert within.code == 1 and f"both ends are in {one.id}" in within.err
    nowhere = peerd.run("explain", source, "203.0.113.9", *STACK_OPTIONS)
    assert nowhere.code == 1 and "203.0.113.9 is in none of the accounts and Regions" in nowhere.err


def test_explain_looks_at_longer_routes_and_at_peerings_of_others(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_settled(one, two)
    (block,), table, gateway = world.view(two).blocks, world.main_table(one), world.internet_gateway(one)
    part = str(next(ipaddress.ip_network(block).subnets(new_prefix=24)))
    world.ec2(one).create_route(RouteTableId=table, DestinationCidrBlock=part, GatewayId=gateway)
    diverted = f"{table} of {one.id} routes {part}, a part of {block}, to {gateway}"
    checks = explain(peerd, one, two)["checks"]
    assert diverted in [it["text"] for it in checks if it["result"] == "warn"]
    world.ec2(one).delete_route(RouteTableId=table, DestinationCidrBlock=part)

    peering = world.peering(one, two).id
    peerd.ok("release", peering, "--mesh", mesh)
    for vpc, peer in ((one, two), (two, one)):
        world.eventually(
            lambda vpc=vpc, peer=peer: ["it is managed"] if world.peering(vpc, peer).managed else []
        )
    world.until_idle()

    assert failed_checks(peerd, one, two) == []
    assert f"{peering} is active; peerd does not own it" in [
        it["text"] for it in explain(peerd, one, two)["checks"]
    ]


def test_explain_reports_why_no_mesh_connects_two_vpcs(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh, admit={"accounts": [HUB]})
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh="prod")
    world.until_status(two, "joined prod")
    assert failed_checks(peerd, one, two) == [f"{one.id} requests {mesh}, and {two.id} requests prod"]

    world.tag(two, mesh)

    assert failed_checks(peerd, one, two) == [
        f"{mesh} does not admit {two.id}: account {SECOND} is not admitted"
    ]
    unknown = peerd.run("explain", one.id, "vpc-00000000", *STACK_OPTIONS)
    assert unknown.code == 1 and "vpc-00000000 is in none of the accounts and Regions" in unknown.err
