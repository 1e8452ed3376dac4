"""`peerd plan` and `peerd apply`: the engine on a laptop, with a file or with the stack's table."""

import json
import re
from pathlib import Path

import pytest

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd, write_config
from tests.e2e.world import READS, World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
ROLE = "sandbox-admin"
STEPS = re.compile(r"^    [+*-] ", re.MULTILINE)


@pytest.fixture
def eventless_world(world: World) -> World:
    """A world that drops all events, so that only the command line makes changes."""
    world.control.drop_events(True)
    return world


def write_mesh(folder: Path, mesh: str, **policy: object) -> str:
    """Writes a peerd.toml with one mesh and returns its path."""
    lines = [
        f"accounts = {json.dumps(ACCOUNTS)}",
        f"regions = {json.dumps(REGIONS)}",
        f'role = "{ROLE}"',
        f"[meshes.{mesh}]",
        *(f"{key} = {json.dumps(value)}" for key, value in policy.items()),
    ]
    return write_config(folder, "\n".join(lines) + "\n")


def test_with_a_file_alone_a_mesh_is_planned_applied_and_torn_down(
    eventless_world: World, peerd: Peerd, tmp_path: Path
) -> None:
    file = write_mesh(tmp_path, "solo")
    one, two = eventless_world.vpc(HUB, HOME, mesh="solo"), eventless_world.vpc(SECOND, AWAY, mesh="solo")
    three = eventless_world.vpc(THIRD, HOME, mesh="solo")

    eventless_world.control.clear_calls()
    plan = peerd.run("plan", "--file", file, "--detailed-exitcode")

    assert plan.code == 2 and plan.out.startswith("solo: changes pending\n")
    calls = [call for call in eventless_world.control.calls() if call["action"] in READS]
    reads = [call for call in calls if ":assumed-role/peerd-" not in call["principal"]]
    assert f" {len(reads)} reads and " in plan.out
    assert plan.out.count("+ peering") == 3 and plan.out.count("+ route") == 6
    assert "at EC2's API rate limits" in plan.out
    assert not checks.isolation_problems(eventless_world.snapshot(one, two), one, two), (
        "a plan makes no changes"
    )
    refused = peerd.run("apply", "--file", file)
    assert refused.code == 1 and "nothing was changed: stdin is not a terminal; pass --yes" in refused.err

    applied = peerd.run("apply", "--file", file, "--yes")

    assert applied.code == 0 and "solo: applied" in applied.out
    assert not checks.full_mesh_problems(eventless_world.snapshot(one, two, three), (one, two, three))
    assert eventless_world.status(one) == "joined solo"
    again = peerd.run("plan", "--file", file, "--detailed-exitcode")
    assert (again.code, again.out.splitlines()[0]) == (0, "solo: no changes")

    for vpc in (one, two, three):
        eventless_world.untag(vpc)
    peerd.ok("apply", "--file", file, "--yes")
    assert not checks.cleanup_problems(eventless_world.snapshot(one), one) and not checks.cleanup_problems(
        eventless_world.snapshot(two), two
    )


def test_a_saved_plan_is_applied_only_while_it_is_current(
    eventless_world: World, peerd: Peerd, tmp_path: Path
) -> None:
    file, saved = write_mesh(tmp_path, "saved"), str(tmp_path / "plan.json")
    one, two = eventless_world.vpc(HUB, HOME, mesh="saved"), eventless_world.vpc(SECOND, AWAY, mesh="saved")
    peerd.ok("plan", "--file", file, "--out", saved)
    eventless_world.untag(two)

    stale = peerd.run("apply", saved, "--file", file)

    assert stale.code == 1 and "the saved plan is out of date" in stale.err
    assert "no longer: + peering" in stale.err
    assert not checks.isolation_problems(eventless_world.snapshot(one, two), one, two)
    eventless_world.tag(two, "saved")
    peerd.ok("apply", saved, "--file", file)
    assert not checks.connection_problems(eventless_world.snapshot(one, two), one, two)
    for vpc in (one, two):
        eventless_world.untag(vpc)
    peerd.ok("apply", "--file", file, "--yes")


def test_a_saved_plan_permits_nothing_that_it_does_not_contain(
    eventless_world: World, peerd: Peerd, tmp_path: Path
) -> None:
    file, saved = write_mesh(tmp_path, "bound"), tmp_path / "plan.json"
    one, two = eventless_world.vpc(HUB, HOME, mesh="bound"), eventless_world.vpc(SECOND, AWAY, mesh="bound")
    peerd.ok("plan", "--file", file, "--out", str(saved))
    plan = json.loads(saved.read_text())

    saved.write_text(json.dumps(plan | {"meshes": {}}))
    emptied = peerd.run("apply", str(saved), "--file", file)
    saved.write_text(json.dumps(plan | {"origin": plan["origin"] | {"account": THIRD}}))
    foreign = peerd.run("apply", str(saved), "--file", file)
    saved.write_text(json.dumps(plan))
    Path(file).write_text(Path(file).read_text() + "\n# edited\n")
    edited = peerd.run("apply", str(saved), "--file", file)
    implicit = peerd.run("apply", "--yes", directory=tmp_path)

    assert emptied.code == 0 and "applied" not in emptied.out
    assert foreign.code == 1 and "another account of the caller" in foreign.err
    assert edited.code == 1 and "another source" in edited.err
    assert implicit.code == 1 and "pass --file" in implicit.err
    assert not checks.isolation_problems(eventless_world.snapshot(one, two), one, two)


def test_a_role_of_one_account_is_refused_before_anything_is_read(peerd: Peerd, tmp_path: Path) -> None:
    file = write_mesh(tmp_path, "solo")
    Path(file).write_text(Path(file).read_text().replace(ROLE, f"arn:aws:iam::{HUB}:role/{ROLE}"))

    refused = peerd.run("plan", "--file", file)

    assert refused.code == 1 and "belongs to one account" in refused.err


def test_with_a_stack_its_table_defines_the_meshes_and_a_pause_applies_to_the_plan(
    eventless_world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.ok("mesh", "declare", mesh, "--paused")
    eventless_world.until_idle()
    one, two = eventless_world.vpc(HUB, HOME, mesh=mesh), eventless_world.vpc(SECOND, AWAY, mesh=mesh)
    options = ("--stack", "peerd", "--role", ROLE)

    paused = peerd.run("plan", mesh, *options, "--detailed-exitcode")

    assert paused.code == 6 and f"{mesh}: paused; pending changes" in paused.out
    assert paused.out.splitlines()[-2:] == [
        "Held back:",
        f"  {mesh}: paused, with {len(STEPS.findall(paused.out))} changes pending",
    ]
    assert "+ route" in paused.out
    unknown = peerd.run("plan", "nosuch", *options)
    assert unknown.code == 1 and "mesh nosuch is not declared" in unknown.err
    eventless_world.control.drop_events(False)
    peerd.ok("mesh", "resume", mesh)
    eventless_world.sweep_until_connected(one, two)
    eventless_world.until_idle()
    assert peerd.run("plan", mesh, *options, "--detailed-exitcode").code == 0
    plan = json.loads(peerd.ok("plan", mesh, *options, "--json"))
    assert plan["meshes"][mesh] == {"paused": False, "steps": [], "findings": [], "waits": [], "held": []}


def test_an_error_in_the_file_or_the_role_is_reported_with_a_remedy(
    eventless_world: World, peerd: Peerd, tmp_path: Path
) -> None:
    invalid = peerd.run("plan", "--file", write_mesh(tmp_path, "solo", topology="ring"))
    assert (
        invalid.code == 1 and "[meshes.solo]: policy field `topology`: unknown variant `ring`" in invalid.err
    )
    no_role = peerd.run("plan", "--stack", "peerd")
    assert no_role.code == 1 and "name the role to assume in each account with --role" in no_role.err
    no_mesh = peerd.run("apply", "prod", "--stack", "peerd", "--role", ROLE)
    assert no_mesh.code == 1 and "`peerd apply` takes a saved plan, and no mesh" in no_mesh.err
    missing = peerd.run("plan", "--file", str(tmp_path / "nosuch.toml"))
    assert missing.code == 1 and "nosuch.toml not read" in missing.err

    file = write_mesh(tmp_path, "solo")
    Path(file).write_text(Path(file).read_text().replace(ROLE, "no-such-role"))
    unreadable = peerd.run("plan", "--file", file)
    assert unreadable.code == 5 and unreadable.out.startswith("solo: unknown: not everything could be read\n")
    assert "\nNot read: 6 of 6 scopes\n" in unreadable.out
    denied = f"  {HUB}/{HOME}: the role no-such-role cannot be assumed (AccessDenied: sts:AssumeRole)"
    assert denied in unreadable.out.splitlines()
    applied = peerd.run("apply", "--file", file, "--yes")
    assert applied.code == 5 and denied in applied.out.splitlines()


def test_one_account_that_cannot_be_read_is_never_counted_as_fine(
    eventless_world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    eventless_world.until_idle()
    options = (mesh, "--stack", "peerd", "--role", ROLE)
    fault = {"service": "ec2", "action": "Describe*", "account": SECOND, "code": "UnauthorizedOperation"}
    with eventless_world.control.injected_faults(fault | {"status": 403}):
        plan = peerd.run("plan", *options, "--detailed-exitcode")
    assert plan.code == 5 and plan.out.startswith(f"{mesh}: unknown: not everything could be read\n")
    assert "\nNot read: 2 of 6 scopes\n" in plan.out
    assert plan.err.startswith(
        f"from stack peerd, as arn:aws:iam::{HUB}:user/anybody, with the role {ROLE} in "
    )
    assert peerd.run("plan", *options, "--detailed-exitcode").code == 0


def test_what_is_held_back_is_listed_and_has_its_own_exit_code(
    eventless_world: World, peerd: Peerd, tmp_path: Path
) -> None:
    file = write_mesh(tmp_path, "held", **{"deletes.count": 0, "deletes.percent": 0})
    one, two = eventless_world.vpc(HUB, HOME, mesh="held"), eventless_world.vpc(SECOND, AWAY, mesh="held")
    three = eventless_world.vpc(THIRD, HOME, mesh="held")
    eventless_world.control.settings(quota_routes=1)
    full = peerd.run("apply", "--file", file, "--yes")
    eventless_world.control.settings(quota_routes=500)
    assert full.code == 6 and "\nHeld back:\n  held: rtb-" in full.out and ": no capacity for " in full.out
    peerd.ok("apply", "--file", file, "--yes")
    assert not checks.full_mesh_problems(eventless_world.snapshot(one, two, three), (one, two, three))

    eventless_world.untag(one)

    applied = peerd.run("apply", "--file", file, "--yes")
    assert applied.code == 6 and "this run would delete 2 of 3" in applied.out.split("\nHeld back:\n")[1]
    plan = peerd.run("plan", "--file", file, "--detailed-exitcode")
    assert plan.code == 6 and plan.out.startswith("held: changes are held back\n")
    assert "  held: this run would delete 2 of 3 peerings" in plan.out.split("\nHeld back:\n")[1]
    write_mesh(tmp_path, "held")
    for vpc in (two, three):
        eventless_world.untag(vpc)
    peerd.ok("apply", "--file", file, "--yes")


def test_a_file_beside_the_name_of_a_deployment_is_no_silent_choice(peerd: Peerd, tmp_path: Path) -> None:
    write_mesh(tmp_path, "solo")
    for options in (("--stack", "peerd", "--role", ROLE), ("--role", ROLE)):
        refused = peerd.run("plan", *options, directory=tmp_path)
        assert refused.code == 1 and "there is a peerd.toml here" in refused.err


def test_a_file_that_is_given_takes_precedence_over_the_name_of_a_deployment(
    eventless_world: World, peerd: Peerd, tmp_path: Path
) -> None:
    file = write_mesh(tmp_path, "solo")
    eventless_world.vpc(HUB, HOME, mesh="solo")
    eventless_world.vpc(SECOND, AWAY, mesh="solo")

    plans = [
        peerd.run("plan", "--file", file, "--stack", "nosuch"),
        peerd.run("plan", "--file", file, PEERD_STACK="nosuch"),
    ]

    assert [plan.code for plan in plans] == [0, 0]
    for plan in plans:
        assert plan.err.startswith(f"from {file}, as ")
        assert plan.out.startswith("solo: changes pending\n") and "+ peering" in plan.out


def test_apply_uses_no_file_of_the_current_directory(
    eventless_world: World, peerd: Peerd, tmp_path: Path
) -> None:
    write_mesh(tmp_path, "solo")
    eventless_world.control.clear_calls()

    refused = peerd.run("apply", "--yes", directory=tmp_path)

    assert refused.code == 1 and "uses no file that it is not given: pass --file peerd.toml" in refused.err
    operator = [it for it in eventless_world.control.calls() if ":assumed-role/peerd-" not in it["principal"]]
    assert operator == [], "no role that the file names is assumed"
