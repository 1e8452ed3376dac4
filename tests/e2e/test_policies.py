"""The policies that an operator declares with `peerd mesh`, and the tags other than `peerd:env`."""

import ipaddress
import json

import pytest

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, HUB, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.world import World, hub_outputs

_, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def set_tag(world: World, vpc: Vpc, resource: str, key: str, value: str) -> None:
    """Sets a tag that peerd reads."""
    world.ec2(vpc).create_tags(Resources=[resource], Tags=[{"Key": key, "Value": value}])


def peering_destinations(world: World, vpc: Vpc, table: str | None = None) -> set[str]:
    """Returns the destinations of the peering routes in a table, by default the main table."""
    tables = world.view(vpc).tables
    chosen = next(it for it in tables if it.id == table) if table else tables[0]
    return {route.destination for route in chosen.routes if route.target.startswith("pcx-")}


def until_routed(world: World, vpc: Vpc, wanted: set[str], table: str | None = None) -> None:
    """Waits until the peering routes of a table have exactly these destinations."""

    def problems() -> list[str]:
        found = peering_destinations(world, vpc, table)
        return (
            []
            if found == wanted
            else [f"{vpc} {table or 'main'} has peering routes to {found}, not {wanted}"]
        )

    world.eventually(problems)


def test_a_mesh_that_an_operator_declares_forms_immediately(world: World, peerd: Peerd, mesh: str) -> None:
    one, other = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_status(one, f"refused {mesh}", "not declared")
    world.until_status(other, f"refused {mesh}", "not declared")
    missing = peerd.run("mesh", "show", mesh)
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == f"error: {mesh} is not declared; `peerd mesh declare {mesh}` declares it\n"

    result = peerd.run("mesh", "declare", mesh)

    assert (result.code, result.out, result.err) == (0, "", f"{mesh}: declared; it is being reconciled\n")
    world.until_connected(one, other, meshes=mesh)
    assert json.loads(peerd.ok("mesh", "show", mesh))["topology"] == "full-mesh"
    listed = {
        it["mesh"]: it["declared_by"] for it in json.loads(peerd.ok("mesh", "list", "--json"))["meshes"]
    }
    assert (listed[mesh], listed["prod"]) == ("policy", "stack")


def test_in_hub_and_spoke_spokes_reach_hubs_only_and_only_the_policy_makes_hubs(
    world: World, peerd: Peerd, mesh: str
) -> None:
    hub, one, other = (world.vpc(account, HOME, mesh=mesh) for account in ACCOUNTS)
    peerd.declare(mesh, topology="hub-and-spoke", hubs={"accounts": [hub.account]})

    world.until_connected(hub, one)
    world.until_connected(hub, other)
    world.until_status(one, f"joined {mesh}")
    assert not checks.isolation_problems(world.snapshot(one, other), one, other)

    set_tag(world, one, one.id, "peerd:role", "hub")
    said = f"refused {mesh}: peerd:role is hub, and the policy of {mesh} does not name it in `hubs`"
    world.until_status(one, said)
    world.until_idle()
    assert not checks.isolation_problems(world.snapshot(one, other), one, other)

    peerd.declare(mesh, topology="hub-and-spoke", hubs={"vpcs": [hub.id, one.id]})
    world.until_connected(hub, one, other)


def test_a_vpc_is_admitted_by_account_and_region_and_a_change_applies_immediately(
    world: World, peerd: Peerd, mesh: str
) -> None:
    inside, remote = world.vpc(HUB, HOME, mesh=mesh), world.vpc(HUB, AWAY, mesh=mesh)
    other = world.vpc(THIRD, HOME, mesh=mesh)
    peerd.declare(mesh, admit={"accounts": [HUB]})
    world.until_connected(inside, remote)
    world.until_status(other, f"refused {mesh}", f"account {THIRD} is not admitted")

    peerd.declare(mesh, admit={"regions": [HOME]})

    world.until_connected(inside, other)
    world.until_disconnected(inside, remote)
    world.until_status(remote, f"refused {mesh}", f"Region {AWAY} is not admitted")


def test_a_mesh_admits_the_members_that_its_policy_allows_and_the_next_one_when_one_leaves(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh, admit={"members": 2})
    first = world.vpc(HUB, HOME, mesh=mesh)
    world.until_status(first, f"joined {mesh}")
    second = world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(first, second)

    third = world.vpc(THIRD, HOME, mesh=mesh)

    world.until_status(third, f"refused {mesh}", "mesh is full (2 members)")
    assert not checks.connection_problems(world.snapshot(first, second), first, second)

    world.untag(first)
    world.until_connected(second, third)


def test_only_admitted_cidr_blocks_are_routed_and_excluded_ones_are_omitted(
    world: World, peerd: Peerd, mesh: str
) -> None:
    block = world.cidr()
    lower, upper = halves(block)
    one = world.vpc(HUB, HOME, mesh=mesh)
    world.vpc(SECOND, HOME, cidr=block, cidrs=["100.64.0.0/20", "172.20.0.0/20"], mesh=mesh)
    admit = {"cidrs": ["10.0.0.0/8", "100.64.0.0/10"]}
    peerd.declare(mesh, admit=admit, routes={"exclude": ["100.64.0.0/10", upper]})

    until_routed(world, one, {lower})

    peerd.declare(mesh, admit=admit)
    until_routed(world, one, {block, "100.64.0.0/20"})


def test_a_vpc_advertises_parts_of_its_own_cidr_blocks_in_place(
    world: World, peerd: Peerd, mesh: str
) -> None:
    block = world.cidr()
    lower, upper = halves(block)
    one, other = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, cidr=block, mesh=mesh)
    peerd.declare(mesh)
    world.until_connected(one, other)
    peering = world.peering(one, other).id

    set_tag(world, other, other.id, "peerd:cidrs", f"{lower} {upper}")
    until_routed(world, one, {lower, upper})
    set_tag(world, other, other.id, "peerd:cidrs", f"{upper},0.0.0.0/0")
    world.until_status(
        other, f"refused {mesh}", "`0.0.0.0/0` in peerd:cidrs is not within its own CIDR blocks"
    )
    world.until_idle()
    until_routed(world, one, {lower, upper})  # the word may be a typo
    set_tag(world, other, other.id, "peerd:cidrs", upper)
    until_routed(world, one, {upper})

    assert world.peering(one, other).id == peering


def test_routes_are_added_to_the_tables_that_the_policy_and_their_own_tags_select(
    world: World, peerd: Peerd, mesh: str
) -> None:
    block = world.cidr()
    one, other = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, cidr=block, mesh=mesh)
    managed, eligible = world.route_table(one), world.route_table(one)
    set_tag(world, one, managed, "peerd:routes", "manage")
    set_tag(world, one, eligible, "peerd_eligible", "true")
    peerd.declare(mesh, routes={"tables": "main"})
    until_routed(world, one, {block})
    until_routed(world, one, {block}, managed)
    until_routed(world, one, set(), eligible)

    peerd.declare(mesh, routes={"tables": "tagged"})
    until_routed(world, one, {block}, eligible)
    until_routed(world, one, set())

    set_tag(world, one, managed, "peerd:routes", "ignore")
    world.until_idle()
    world.ec2(one).delete_route(RouteTableId=managed, DestinationCidrBlock=block)
    set_tag(world, one, eligible, "peerd:routes", "manage")
    world.until_idle()
    assert peering_destinations(world, one, managed) == set(), "peerd ignores the table"
    assert peering_destinations(world, one, eligible) == {block}
    assert world.peering(one, other).managed


def test_the_tags_of_a_policy_are_set_on_both_sides(world: World, peerd: Peerd, mesh: str) -> None:
    one, other = world.vpc(HUB, HOME, mesh=mesh), world.vpc(THIRD, AWAY, mesh=mesh)
    peerd.declare(mesh, tags={"team": "network"})
    world.until_connected(one, other)

    peerd.declare(mesh, tags={"team": "platform"})

    def problems() -> list[str]:
        values = [world.peering(vpc, peer).tags.get("team") for vpc, peer in ((one, other), (other, one))]
        return [] if values == ["platform", "platform"] else [f"the sides have team={values}"]

    world.eventually(problems)


def test_a_pause_suppresses_every_change_until_the_mesh_resumes(
    world: World, peerd: Peerd, mesh: str
) -> None:
    block = world.cidr()
    one, other = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, cidr=block, mesh=mesh)
    peerd.declare(mesh)
    world.until_settled(one, other)
    peerd.ok("mesh", "pause", mesh)

    world.ec2(one).delete_route(RouteTableId=world.main_table(one), DestinationCidrBlock=block)
    late = world.vpc(THIRD, HOME, mesh=mesh)
    world.control.sweep()
    world.until_idle()
    assert peering_destinations(world, one) == set()
    assert not world.view(late).peerings and not world.status(late)
    pending = peerd.ok("status", mesh).partition("pending until the mesh is resumed")[2]
    assert f"{block} -> " in pending and late.id in pending

    peerd.ok("mesh", "resume", mesh)
    world.until_connected(one, other, late)


def test_a_drain_tears_a_mesh_down_and_keeps_its_tags(world: World, peerd: Peerd, mesh: str) -> None:
    vpcs = [world.vpc(account, HOME, mesh=mesh) for account in ACCOUNTS]
    peerd.declare(mesh)
    world.until_connected(*vpcs)

    peerd.ok("mesh", "drain", mesh, "--yes")

    for vpc in vpcs:
        world.until_status(vpc, f"refused {mesh}", "draining")
        assert world.view(vpc).tags["peerd:env"] == mesh
    world.until_disconnected(vpcs[0], vpcs[1])
    world.until_disconnected(vpcs[1], vpcs[2])
    peerd.ok("mesh", "resume", mesh)
    world.until_connected(*vpcs)


def test_an_invalid_stored_policy_freezes_its_own_mesh_only(world: World, peerd: Peerd, mesh: str) -> None:
    one, other = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    peerd.declare(mesh)
    world.until_settled(one, other)
    world.sessions.client("dynamodb").update_item(
        TableName=hub_outputs(world.sessions)["TableName"],
        Key={"pk": {"S": "meshes"}, "sk": {"S": mesh}},
        UpdateExpression="SET policy.topology = :ring",
        ExpressionAttributeValues={":ring": {"S": "ring"}},
    )

    world.untag(other)
    prod = [world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")]
    world.until_connected(*prod)
    world.until_idle()

    assert world.peering(one, other).managed
    result = peerd.run("mesh", "pause", mesh)
    assert result.code == 1 and "policy field `topology`: unknown variant `ring`" in result.err
    peerd.declare(mesh)
    world.until_disconnected(one, other)


def test_a_manually_created_peering_is_adopted_and_released_without_an_interruption(
    world: World, peerd: Peerd, mesh: str
) -> None:
    blocks = world.cidr(), world.cidr()
    one, other = world.vpc(HUB, HOME, cidr=blocks[0]), world.vpc(SECOND, AWAY, cidr=blocks[1])
    peering = world.create_peering(one, other)
    world.ec2(one).create_route(
        RouteTableId=world.main_table(one), DestinationCidrBlock=blocks[1], VpcPeeringConnectionId=peering
    )
    world.tag(one, mesh)
    world.tag(other, mesh)
    peerd.declare(mesh)
    world.until_status(one, f"refused {mesh}", f"foreign peering {peering}")

    assert refusal(peerd, "release", peering, mesh) == [
        f"{peering} is not peerd's own, so there is nothing to release"
    ]
    result = peerd.run("adopt", peering, "--mesh", mesh)

    assert (result.code, result.err) == (0, f"{mesh}: adopts {peering}; it is being reconciled\n")
    world.until_connected(one, other, meshes=mesh)
    assert world.peering(one, other).id == peering
    assert refusal(peerd, "adopt", peering, mesh) == [f"{peering} is peerd's own already"]

    peerd.ok("release", peering, "--mesh", mesh)
    world.eventually(lambda: [f"{peering} is managed"] if world.peering(one, other).managed else [])
    world.eventually(lambda: [f"{peering} is managed"] if world.peering(other, one).managed else [])
    world.untag(other)
    world.until_idle()
    assert (peering_destinations(world, one), peering_destinations(world, other)) == (
        {blocks[1]},
        {blocks[0]},
    )
    world.ec2(one).delete_route(RouteTableId=world.main_table(one), DestinationCidrBlock=blocks[1])
    world.ec2(other).delete_route(RouteTableId=world.main_table(other), DestinationCidrBlock=blocks[0])


def test_an_adoption_or_release_that_would_have_no_effect_is_refused(
    world: World, peerd: Peerd, mesh: str
) -> None:
    one, other = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY)
    peering = world.create_peering(one, other)
    peerd.declare(mesh)
    nowhere = "pcx-00000000000000000 is in none of the accounts and Regions that could be read"

    for verb in ("adopt", "release"):
        assert refusal(peerd, verb, "pcx-00000000000000000", mesh) == [nowhere]
    (problem,) = refusal(peerd, "adopt", peering, mesh)
    assert problem.startswith(other.id) and problem.endswith(f"does not request {mesh}")
    assert json.loads(peerd.ok("mesh", "show", mesh)).get("adopt", []) == []
    peerd.ok("adopt", peering, "--mesh", mesh, "--yes")
    assert json.loads(peerd.ok("mesh", "show", mesh))["adopt"] == [peering]


def refusal(peerd: Peerd, verb: str, peering: str, mesh: str) -> list[str]:
    """The reasons for which the command changes nothing."""
    result = peerd.run(verb, peering, "--mesh", mesh)
    first, *reasons = result.err.splitlines()
    assert (result.code, first) == (1, "error: nothing was changed:"), result
    return [reason.strip() for reason in reasons]


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ('{"topology": "ring"}', "is not a valid policy: policy field `topology`: unknown variant `ring`"),
        (
            '{"admit": {"accounts": ["12"]}}',
            "policy field `admit.accounts[0]`: `12` is not a 12-digit account id",
        ),
        ('{"deletes": {"percent": 200}}', "policy field `deletes.percent`: 200 is more than 100 %"),
        ("{", "stdin is not a valid policy: the policy: EOF"),
        ("[]", "the policy: invalid type: sequence, expected an object with fields"),
        ('{"admit": []}', "policy field `admit`: invalid type: sequence, expected an object with fields"),
        (
            json.dumps({"admit": {"vpcs": [f"vpc-{n:017x}" for n in range(20_000)]}}),
            "the policy of never-declared has 469 KB, and 380 KB fit in the table: admit accounts or",
        ),
    ],
)
def test_an_invalid_policy_is_rejected_with_the_name_of_its_field(
    peerd: Peerd, policy: str, error: str
) -> None:
    result = peerd.run("mesh", "declare", "never-declared", "--policy", "-", stdin=policy)

    assert result.code == 1 and error in result.err, result.err
    assert "never-declared" not in peerd.ok("mesh", "list")


def test_what_a_policy_names_in_vain_draws_a_warning(peerd: Peerd, mesh: str) -> None:
    policy = {"admit": {"accounts": [HUB, "999999999999"], "regions": [HOME, "us-esat-1"]}}
    text = "\ufeff" + json.dumps(policy)  # a byte order mark, as some editors write it

    declared = peerd.run("mesh", "declare", mesh, "--policy", "-", stdin=text)

    assert declared.code == 0
    for named in ("`admit.accounts` names 999999999999", "`admit.regions` names us-esat-1"):
        assert f"warning: {mesh}: {named}, which peerd does not scan" in declared.err


def halves(block: str) -> tuple[str, str]:
    """Returns the two halves of a CIDR block."""
    lower, upper = ipaddress.ip_network(block).subnets()
    return str(lower), str(upper)
