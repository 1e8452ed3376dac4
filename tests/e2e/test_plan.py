"""`peerd plan` and `peerd apply`: the engine from a laptop, with a file alone or with the stack's table."""

import json
from pathlib import Path

import pytest

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import READS, World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
ROLE = "sandbox-admin"


@pytest.fixture
def alone(world: World) -> World:
    """A world in which no function is woken: whatever happens, the command line did it."""
    world.control.drop_events(True)
    return world


def written(folder: Path, mesh: str, **policy: object) -> str:
    """A peerd.toml with one mesh."""
    file = folder / "peerd.toml"
    lines = [
        f"accounts = {json.dumps(ACCOUNTS)}",
        f"regions = {json.dumps(REGIONS)}",
        f'role = "{ROLE}"',
        f"[meshes.{mesh}]",
        *(f"{key} = {json.dumps(value)}" for key, value in policy.items()),
    ]
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def test_with_a_file_alone_a_mesh_is_planned_applied_and_taken_down(
    alone: World, peerd: Peerd, tmp_path: Path
) -> None:
    file = written(tmp_path, "solo")
    one, two = alone.vpc(HUB, HOME, mesh="solo"), alone.vpc(SECOND, AWAY, mesh="solo")
    three = alone.vpc(THIRD, HOME, mesh="solo")

    alone.control.forget_calls()
    plan = peerd.run("plan", "--file", file, "--detailed-exitcode")

    assert plan.code == 2 and plan.out.startswith("solo: to be done\n")
    reads = [call for call in alone.control.calls() if call["action"] in READS]
    assert f" calls after {len(reads)} reads, " in plan.out
    assert plan.out.count("+ peering") == 3 and plan.out.count("+ route") == 6
    assert "at the least by EC2's rates" in plan.out
    assert not judge.not_apart(alone.see(one, two), one, two), "a plan changes nothing"
    refused = peerd.run("apply", "--file", file)
    assert refused.code == 1 and "nobody is there to ask; say --yes" in refused.err

    applied = peerd.run("apply", "--file", file, "--yes")

    assert applied.code == 0 and "solo: applied" in applied.out
    assert not judge.not_all_connected(alone.see(one, two, three), (one, two, three))
    assert alone.status(one) == "joined solo"
    again = peerd.run("plan", "--file", file, "--detailed-exitcode")
    assert (again.code, again.out.splitlines()[0]) == (0, "solo: nothing is to be done")

    for vpc in (one, two, three):
        alone.untag(vpc)
    peerd.ok("apply", "--file", file, "--yes")
    assert not judge.not_clean(alone.see(one), one) and not judge.not_clean(alone.see(two), two)


def test_a_plan_that_was_kept_is_applied_only_while_it_holds(
    alone: World, peerd: Peerd, tmp_path: Path
) -> None:
    file, kept = written(tmp_path, "kept"), str(tmp_path / "plan.json")
    one, two = alone.vpc(HUB, HOME, mesh="kept"), alone.vpc(SECOND, AWAY, mesh="kept")
    peerd.ok("plan", "--file", file, "--out", kept)
    alone.untag(two)

    stale = peerd.run("apply", kept, "--file", file)

    assert stale.code == 1 and "the plan holds no more, since AWS is not as it was" in stale.err
    assert "no more: + peering" in stale.err
    assert not judge.not_apart(alone.see(one, two), one, two)
    alone.tag(two, "kept")
    peerd.ok("apply", kept, "--file", file)
    assert not judge.not_connected(alone.see(one, two), one, two)
    for vpc in (one, two):
        alone.untag(vpc)
    peerd.ok("apply", "--file", file, "--yes")


def test_with_a_stack_its_table_says_which_meshes_there_are_and_a_pause_holds_here_too(
    alone: World, peerd: Peerd, mesh: str
) -> None:
    peerd.ok("mesh", "declare", mesh, "--paused")
    alone.quiet()
    one, two = alone.vpc(HUB, HOME, mesh=mesh), alone.vpc(SECOND, AWAY, mesh=mesh)
    here = ("--stack", "peerd", "--role", ROLE)

    paused = peerd.run("plan", mesh, *here, "--detailed-exitcode")

    assert paused.code == 0 and f"{mesh}: paused; when it resumes" in paused.out
    assert "+ route" in paused.out
    unknown = peerd.run("plan", "nosuch", *here)
    assert unknown.code == 1 and "mesh nosuch is not declared" in unknown.err
    alone.control.drop_events(False)
    peerd.ok("mesh", "resume", mesh)
    alone.sweep_until_connected(one, two)
    alone.quiet()
    assert peerd.run("plan", mesh, *here, "--detailed-exitcode").code == 0
    kept = json.loads(peerd.ok("plan", mesh, *here, "--json"))
    assert kept["meshes"][mesh] == {"paused": False, "steps": [], "findings": [], "waits": []}


def test_what_is_wrong_with_the_file_or_the_role_is_said_with_what_to_do(
    alone: World, peerd: Peerd, tmp_path: Path
) -> None:
    wrong = peerd.run("plan", "--file", written(tmp_path, "solo", topology="ring"))
    assert wrong.code == 1 and "[meshes.solo]: policy field `topology`: unknown variant `ring`" in wrong.err
    nameless = peerd.run("plan", "--stack", "peerd")
    assert nameless.code == 1 and "name the role to assume in each account by --role" in nameless.err
    missing = peerd.run("plan", "--file", str(tmp_path / "nosuch.toml"))
    assert missing.code == 1 and "nosuch.toml not read" in missing.err

    file = written(tmp_path, "solo")
    Path(file).write_text(Path(file).read_text().replace(ROLE, "nobody"))
    gaps = peerd.ok("plan", "--file", file)
    assert gaps.count("! gap") == 6 and "nothing is to be done" in gaps
