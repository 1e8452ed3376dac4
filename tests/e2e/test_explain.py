"""`peerd explain`: the first thing to mend, and everything that two VPCs need."""

import json
from typing import Any

from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
HERE = ("--stack", "peerd", "--role", "sandbox-admin")


def explained(peerd: Peerd, one: Vpc, other: Vpc) -> dict[str, Any]:
    """What is said of two VPCs, as a program hears it."""
    return json.loads(peerd.ok("explain", one.id, other.id, *HERE, "--json"))


def not_so(peerd: Peerd, one: Vpc, other: Vpc) -> list[str]:
    """What keeps two VPCs apart."""
    return [it["text"] for it in explained(peerd, one, other)["checks"] if it["holds"] == "no"]


def test_two_members_reach_each_other_until_a_route_or_an_acl_is_in_the_way(
    world: World, peerd: Peerd
) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    subnet = world.ec2(one).create_subnet(VpcId=one.id, CidrBlock=next(iter(world.look(one).blocks)))
    world.settle(one, two)
    reach = explained(peerd, one, two)
    assert reach["reach"] is True
    assert f"{world.peering(one, two).id} is active" in [it["text"] for it in reach["checks"]]
    lets_in = f"no security group of {one.id} lets {two.id} in"
    assert lets_in in [it["text"] for it in reach["checks"] if it["holds"] == "partly"]

    (block,) = world.look(two).blocks
    acls = world.ec2(one).describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [one.id]}])
    (acl,) = [it["NetworkAclId"] for it in acls["NetworkAcls"]]
    rule = {"NetworkAclId": acl, "RuleNumber": 1, "Egress": False}
    world.ec2(one).create_network_acl_entry(**rule, CidrBlock=block, Protocol="-1", RuleAction="deny")
    text = f"{acl} before 1 subnets of {one.id} lets nothing through from {block} of {two.id}"
    assert not_so(peerd, one, two) == [text]
    world.ec2(one).delete_network_acl_entry(**rule)
    world.ec2(one).delete_subnet(SubnetId=subnet["Subnet"]["SubnetId"])

    world.control.drop_events(True)
    table = world.main_table(one)
    world.ec2(one).delete_route(RouteTableId=table, DestinationCidrBlock=block)
    assert not_so(peerd, one, two) == [f"{table} of {one.id} has no route to {block}"]
    said = peerd.ok("explain", one.id, two.id, *HERE)
    assert "do not reach each other\nfirst: " in said
    world.sweep_until_connected(one, two)


def test_of_two_that_no_mesh_connects_it_is_said_why(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh, admit={"accounts": [HUB]})
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh="prod")
    world.until_status(two, "joined prod")
    assert not_so(peerd, one, two) == [f"{one.id} asks for {mesh}, and {two.id} for prod"]

    world.tag(two, mesh)

    assert not_so(peerd, one, two) == [f"{mesh} does not take {two.id}: account {SECOND} is not admitted"]
    nowhere = peerd.run("explain", one.id, "vpc-00000000", *HERE)
    assert (
        nowhere.code == 1 and "vpc-00000000 is in no account and Region in which peerd looks" in nowhere.err
    )
