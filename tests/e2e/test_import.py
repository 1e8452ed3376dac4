"""`peerd import`: converts the file of the Python peerd into policies, tags and adopted peerings."""

import json
from typing import Any

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.organization import Organization
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
ROLE = "sandbox-admin"


def legacy_member(vpc: Vpc, **more: Any) -> dict[str, Any]:
    """Returns the entry of a VPC in the Python peerd's file."""
    return {"account_id": vpc.account, "vpc_id": vpc.id, "region": vpc.region} | more


def legacy_config(environment: str, *entries: dict[str, Any], role: str = ROLE) -> str:
    """Returns a file with one environment. JSON is valid YAML."""
    metadata = {
        "resource_owner": "net",
        "business_unit": "PaaS",
        "service_name": "peerd",
        "support": "net@example.com",
        "common_principal_name": role,
        "role_session_name": "peerd",
    }
    return json.dumps({"metadata": metadata, "environments": {environment: entries}})


def create_legacy_peering(world: World, environment: str, one: Vpc, other: Vpc) -> str:
    """Creates a peering as the Python peerd does, with tags on both sides and routes in eligible tables."""
    peering = world.create_peering(one, other)
    tags = {"peerd_created": "true", "peerd_environment": environment, "resource_owner": "net"}
    for here, there in ((one, other), (other, one)):
        ec2, table = world.ec2(here), world.main_table(here)
        own_tags = tags | {"Name": f"peerd peering to {there.account} {there.id} {there.region}"}
        ec2.create_tags(Resources=[peering], Tags=[{"Key": k, "Value": v} for k, v in own_tags.items()])
        ec2.create_tags(Resources=[table], Tags=[{"Key": "peerd_eligible", "Value": "true"}])
        for block in world.view(there).blocks:
            ec2.create_route(RouteTableId=table, DestinationCidrBlock=block, VpcPeeringConnectionId=peering)
    return peering


def tags_of(world: World, vpc: Vpc) -> dict[str, str]:
    """Returns the tags of a VPC."""
    (found,) = world.ec2(vpc).describe_vpcs(VpcIds=[vpc.id])["Vpcs"]
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}


def test_a_file_is_planned_first_and_then_imported_without_an_interruption(
    world: World, peerd: Peerd, mesh: str
) -> None:
    one, two, three = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY), world.vpc(THIRD, HOME)
    adopted = create_legacy_peering(world, mesh, one, two)
    before = {vpc: world.routes(vpc) for vpc in (one, two)}
    (block,) = world.view(three).blocks
    half = block.replace("/20", "/21")
    file = legacy_config(
        mesh,
        legacy_member(one),
        legacy_member(two),
        legacy_member(three, cidr_overrides=[half], note="advertises half"),
    )

    plan = peerd.run("import", "-", stdin=file)

    assert plan.code == 0 and "nothing was changed; to make the changes, add --apply" in plan.err
    assert f"it adopts {adopted}" in plan.out
    assert f"+ tags of {three.id} ({THIRD}/{HOME}): peerd:cidrs={half}, peerd:env={mesh}" in plan.out
    assert "1 mesh, 3 VPCs to tag, 1 peering to adopt, 0 notes\n" in plan.out
    assert "peerd:env" not in tags_of(world, one) and mesh not in peerd.ok("mesh", "list")

    peerd.ok("import", "-", "--apply", stdin=file)

    world.eventually(
        lambda: [] if f"* peering {adopted}" in peerd.ok("status", mesh) else ["the adoption is not pending"]
    )
    world.until_idle()
    assert "- route" not in peerd.ok("status", mesh)
    assert {vpc: world.routes(vpc) for vpc in (one, two)} == before
    world.ec2(three).create_tags(
        Resources=[world.main_table(three)], Tags=[{"Key": "peerd_eligible", "Value": "true"}]
    )

    peerd.ok("mesh", "resume", mesh, "--yes")

    for vpc in (one, two, three):
        world.until_status(vpc, f"joined {mesh}")
    assert (world.peering(one, two).id, world.peering(one, two).managed) == (adopted, True)
    assert world.routes(one) == before[one] | {half: world.peering(one, three).id}
    assert world.routes(two) == before[two] | {half: world.peering(two, three).id}
    assert world.peering(one, two).tags["peerd_created"] == "false", (
        "else the Python peerd deletes the peering"
    )
    world.until_idle()
    assert "0 meshes, 0 VPCs to tag, 0 peerings to adopt" in peerd.ok("import", "-", stdin=file)


def test_an_unknown_account_of_the_file_is_registered(
    world: World, peerd: Peerd, units: Organization, mesh: str
) -> None:
    account = units.account(units.root)
    ours, theirs = world.vpc(HUB, HOME), world.vpc(account, HOME)
    file = legacy_config(mesh, legacy_member(ours), legacy_member(theirs))
    assert f"+ account {account} in {HOME}" in peerd.ok("import", "-", stdin=file)

    peerd.ok("import", "-", "--apply", stdin=file)

    assert account in peerd.ok("account", "list")
    peerd.ok("mesh", "resume", mesh, "--yes")
    world.until_status(theirs, f"joined {mesh}")
    world.untag(theirs)
    world.sweep_until(lambda: checks.cleanup_problems(world.snapshot(theirs), theirs))
    peerd.ok("account", "remove", account, "--yes")


def test_vpcs_that_the_role_cannot_tag_are_listed_with_the_command_that_tags_them(
    world: World, peerd: Peerd, mesh: str
) -> None:
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY)
    denied = {"service": "ec2", "action": "CreateTags", "account": SECOND, "status": 403}
    world.control.faults(denied | {"code": "UnauthorizedOperation", "principal": f"*{ROLE}/peerd*"})

    result = peerd.run(
        "import", "-", "--apply", stdin=legacy_config(mesh, legacy_member(one), legacy_member(two))
    )

    assert result.code == 3 and "1 of 2 VPCs are not tagged" in result.err
    tag = f"'Key=peerd:env,Value=\"{mesh}\"'"
    command = f"aws ec2 create-tags --region {AWAY} --resources {two.id} --tags {tag}"
    assert f"in account {SECOND}: {command}" in result.err
    assert tags_of(world, one)["peerd:env"] == mesh
    world.control.faults()
    peerd.ok("import", "-", "--apply", stdin=legacy_config(mesh, legacy_member(one), legacy_member(two)))
    assert tags_of(world, two)["peerd:env"] == mesh


def test_a_file_that_cannot_be_imported_is_rejected_with_the_reason_and_its_location(
    world: World, peerd: Peerd
) -> None:
    one = world.vpc(HUB, HOME)
    unquoted = legacy_config("prod/eu", legacy_member(one)).replace(f'"{HUB}"', HUB)
    invalid = peerd.run("import", "-", stdin=unquoted)
    assert invalid.code == 1 and "must be quoted" in invalid.err

    result = peerd.run(
        "import", "-", stdin=legacy_config("prod/eu", legacy_member(one, cidr_overrides=["192.0.2.0/24"]))
    )

    assert result.code == 1
    assert "name a mesh for it with --rename 'prod/eu=NAME'" in result.err
    file = legacy_config("prod/eu", legacy_member(one, cidr_overrides=["192.0.2.0/24"]))
    renamed = peerd.run("import", "-", "--rename", "prod/eu=imported", stdin=file)
    assert renamed.code == 1 and "none of its overrides is within its CIDR blocks" in renamed.err
    unreadable = peerd.ok("import", "-", "--rename", "prod/eu=imported", "--role", "no-such-role", stdin=file)
    assert f"! {HUB}/{HOME}: not read, so its CIDR blocks and peerings are unknown" in unreadable
    assert not checks.cleanup_problems(world.snapshot(one), one)
