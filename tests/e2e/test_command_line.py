"""What `peerd` shows of a running deployment."""

import json

from sandbox.client.model import ACCOUNTS, HUB, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import World

_, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_the_status_of_a_mesh_names_its_members_and_what_to_do_about_what_is_open(
    world: World, peerd: Peerd
) -> None:
    block = world.cidr()
    one, twin = world.vpc(HUB, HOME, cidr=block, mesh="prod"), world.vpc(THIRD, AWAY, cidr=block, mesh="prod")
    world.until_status(one, "refused prod", "overlaps")
    world.quiet()

    said = peerd.ok("status", "prod")

    assert said.startswith("prod: active, declared by stack\n\nMEMBER")
    assert all(word in said for word in (one.id, twin.id, block, "overlap: ", "what to do: disassociate"))
    overview = {it["mesh"]: it for it in json.loads(peerd.ok("status", "--json"))["meshes"]}
    assert {one.id, twin.id} <= {member["vpc"] for member in overview["prod"]["members"]}
    assert "overlap" in {finding["kind"] for finding in overview["prod"]["findings"]}
    assert peerd.ok("status").splitlines()[0].split() == ["MESH", "MODE", "MEMBERS", "FINDINGS"]


def test_the_history_of_a_mesh_tells_what_the_latest_runs_did(world: World, peerd: Peerd) -> None:
    one, other = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, HOME, mesh="prod")
    world.settle(one, other)
    peering = world.peering(one, other).id

    said = peerd.ok("history", "prod", "--runs", "5")

    assert f"-> {peering}" in said and f"  + peering {one.id}" in said
    runs = json.loads(peerd.ok("history", "prod", "--runs", "1", "--json"))["runs"]
    assert len(runs) == 1 and runs[0]["outcome"] in {"applied", "waiting"}
    assert peerd.ok("history", "nosuch") == ""


def test_a_mesh_that_nobody_knows_is_no_status(peerd: Peerd) -> None:
    said = peerd.run("status", "nosuch-at-all")

    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: nosuch-at-all is neither declared nor asked for")


def test_a_stack_that_is_none_of_peerds_is_named(peerd: Peerd) -> None:
    said = peerd.run("--stack", "nosuch", "mesh", "list")

    assert said.code == 1
    assert said.err.startswith(
        "error: stack nosuch not read; is it the hub's stack, in this Region and account?: "
    )


def test_an_error_that_people_meet_comes_with_the_next_step_apart_from_it(world: World, peerd: Peerd) -> None:
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    unknown = peerd.run("status", "--stack", "nosuch")
    assert unknown.code == 1
    assert "error: stack nosuch not read" in unknown.err and "hint: --stack NAME" in unknown.err
    keyless = peerd.run("status", **nowhere, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert keyless.code == 1 and "hint: no credentials were found: set AWS_PROFILE" in keyless.err
    homeless = peerd.run("status", **nowhere, AWS_REGION=None)
    assert homeless.code == 1 and "hint: no Region is set: set AWS_REGION" in homeless.err
    unreached = peerd.run("status", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert unreached.code == 1 and "hint: AWS was not reached" in unreached.err

    expired = {"service": "cloudformation", "action": "DescribeStacks", "code": "ExpiredToken", "status": 403}
    world.control.faults(expired)
    said = peerd.run("status")
    world.control.faults()
    assert said.code == 1 and "hint: the credentials have expired: log in again" in said.err
    assert not said.out


def test_shells_and_man_are_told_what_there_is(peerd: Peerd) -> None:
    assert "complete -F _peerd" in peerd.ok("completions", "bash")
    assert peerd.ok("man").startswith(".ie") and "explain" in peerd.ok("man")
    wrong = peerd.run("completions", "nosuch")
    assert wrong.code == 2 and "nosuch" in wrong.err
