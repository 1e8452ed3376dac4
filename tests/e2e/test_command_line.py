"""The output of `peerd` for a running deployment."""

import json
import re

from sandbox.client.model import ACCOUNTS, HUB, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import World

_, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_the_status_of_a_mesh_lists_its_members_and_a_remedy_for_each_open_finding(
    world: World, peerd: Peerd
) -> None:
    block = world.cidr()
    one, twin = world.vpc(HUB, HOME, cidr=block, mesh="prod"), world.vpc(THIRD, AWAY, cidr=block, mesh="prod")
    world.until_status(one, "refused prod", "overlaps")
    world.until_idle()

    output = peerd.ok("status", "prod")

    assert output.startswith("prod: active, declared by stack\n\nVPC ")
    assert all(word in output for word in (one.id, twin.id, block, "overlap: ", "fix: disassociate"))
    overview = {it["mesh"]: it for it in json.loads(peerd.ok("status", "--json"))["meshes"]}
    assert {one.id, twin.id} <= {member["vpc"] for member in overview["prod"]["members"]}
    assert "overlap" in {finding["kind"] for finding in overview["prod"]["findings"]}
    assert overview["prod"]["pairs"] == {"overlapping": 1}
    heading, *lines = peerd.ok("status").splitlines()
    assert heading.split("  ")[0] == "MESH" and "PAIRS ACTIVE" in heading and "UNREADABLE" in heading
    assert next(line for line in lines if line.startswith("prod")).split()[5:8] == ["0", "of", "1"]
    assert "sweep" in lines[-1]


def test_the_history_of_a_mesh_shows_what_the_latest_runs_did(world: World, peerd: Peerd) -> None:
    one, other = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, HOME, mesh="prod")
    world.until_settled(one, other)
    peering = world.peering(one, other).id

    output = peerd.ok("history", "prod", "--runs", "5")

    assert f"-> {peering}" in output
    assert re.search(rf"  \+ peering e2e-\d+ {one.id} \(", output), "the name is beside the id"
    runs = json.loads(peerd.ok("history", "prod", "--runs", "1", "--json"))["runs"]
    assert len(runs) == 1 and runs[0]["outcome"] in {"applied", "waiting"}


def test_a_mesh_that_does_not_exist_has_neither_a_status_nor_a_history(peerd: Peerd) -> None:
    for command in ("status", "history"):
        result = peerd.run(command, "nosuch-at-all")

        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("error: no mesh named `nosuch-at-all`")


def test_a_declared_mesh_without_runs_has_an_empty_history(peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh)

    assert peerd.ok("history", mesh) == ""
    assert json.loads(peerd.ok("history", mesh, "--json")) == {"mesh": mesh, "runs": []}


def test_a_history_of_no_runs_is_an_error_of_usage(peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh)

    none = peerd.run("history", mesh, "--runs", "0")

    assert (none.code, none.out) == (64, "") and "'0' for '--runs <N>'" in none.err
    assert peerd.run("history", mesh, "--runs", "1").code == 0


def test_status_waits_until_no_vpc_is_waiting_or_exits_with_6(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh)
    denied = {"service": "ec2", "action": "AcceptVpcPeeringConnection", "account": SECOND, "status": 403}
    world.control.faults(denied | {"code": "UnauthorizedOperation"})
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    listed = re.compile(rf"^{one.id} .* waiting ", re.MULTILINE)
    world.eventually(lambda: [] if listed.search(peerd.ok("status", mesh)) else [f"{one.id} is not listed"])

    waiting = peerd.run("status", mesh, "--wait", "1")

    assert waiting.code == 6 and listed.search(waiting.out)
    world.control.faults()
    world.sweep_until_connected(one, two)
    world.until_idle()
    assert peerd.run("status", mesh, "--wait", "60").code == 0


def test_the_version_names_the_commit_and_its_date(peerd: Peerd) -> None:
    pattern = r"peerd \d+\.\d+\.\d+( \([0-9a-f]{9,} \d{4}-\d\d-\d\d\))?\n"
    assert re.fullmatch(pattern, peerd.ok("--version"))


def test_output_is_colored_only_on_request(peerd: Peerd) -> None:
    plain = peerd.ok("demo")
    assert "\x1b" not in plain and "  + peering" in plain
    forced = peerd.run("demo", CLICOLOR_FORCE="1").out
    assert "\x1b[32m+ peering" in forced and re.sub(r"\x1b\[\d*m", "", forced) == plain
    assert "\x1b" not in peerd.run("demo", CLICOLOR_FORCE="0", NO_COLOR="1").out
    assert "\x1b" not in peerd.run("status", "--json", CLICOLOR_FORCE="1").out


def test_completions_and_the_man_page_describe_the_commands(peerd: Peerd) -> None:
    assert "complete -F _peerd" in peerd.ok("completions", "bash")
    assert peerd.ok("man").startswith(".ie") and "explain" in peerd.ok("man")
    invalid = peerd.run("completions", "nosuch")
    assert invalid.code == 64 and "nosuch" in invalid.err
