"""The exact output of every command, and of errors, compared with __snapshots__.

`pytest tests/e2e/test_words.py --snapshot-update` saves the current output; review the difference.
"""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e import cli
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
STACK_OPTIONS = ("--stack", "peerd", "--role", "sandbox-admin")
NAMES = re.compile(r"(vpc|pcx|rtb|acl|sg)-[0-9a-f]{8,17}|10\.\d+\.\d+\.0/\d+|(?:declared|e2e)-\d+")
COUNTS = re.compile(r"\d+(?= reads| of peerd's)|(?<=the other )\d+")
MESSAGES = re.compile(r"\d+ messages?(?=, and no dead)")
TABLE = re.compile(r"(?<=peerd-Table-)[0-9A-Z]+")
SWEEP = re.compile(r"(last sweep(?: was)?) \d+ (?:second|minute)s? ago|no sweep yet")
TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?")
RunCommand = Callable[..., str]


@pytest.fixture
def normalize() -> Callable[[str], str]:
    """Replaces ids, CIDR blocks and times with placeholders, so that two runs have the same output."""
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        kind = found[1] or ("block" if found[0].startswith("10.") else "the-" + found[0].split("-")[0])
        count = sum(known.startswith(kind) for known in names.values())
        return names.setdefault(found[0], f"{kind}-{count + 1}")

    def normalize(output: str) -> str:
        output = COUNTS.sub("N", TIMES.sub("TIME", NAMES.sub(name, output)))
        output = TABLE.sub("GENERATED", MESSAGES.sub("N messages", output))
        output = output.replace("UPDATE_COMPLETE", "CREATE_COMPLETE")  # Other tests update the stack.
        return SWEEP.sub(lambda found: f"{found[1] or 'last sweep'} N seconds ago", output)

    return normalize


@pytest.fixture
def run_command(peerd: Peerd, tmp_path: Path, normalize: Callable[[str], str]) -> RunCommand:
    """Runs a command and returns its exit code, stdout and stderr."""

    def run_command(*command: str, stdin: str = "", **environment: str | None) -> str:
        result = peerd.run(*command, stdin=stdin, **environment)
        parts = [f"exit {result.code}", *(["stdout", result.out] if result.out else [])]
        parts += ["stderr", result.err] if result.err else []
        return normalize("\n".join(parts).replace(str(tmp_path), "FOLDER"))

    return run_command


@pytest.fixture
def pair(world: World, mesh: str, peerd: Peerd) -> tuple[Vpc, Vpc]:
    """Two connected members of a mesh, in two accounts and Regions."""
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, two)
    world.until_idle()
    return one, two


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[[str], str]:
    """Writes a peerd.toml."""
    return partial(cli.write_config, tmp_path)


def backend_config(role: str) -> str:
    """Returns a peerd.toml with two accounts and no mesh."""
    return f'accounts = ["{HUB}", "{SECOND}"]\nregions = ["{HOME}"]\nrole = "{role}"\n'


def fault(
    world: World, service: str, action: str, code: str, status: int = 403
) -> AbstractContextManager[None]:
    """Makes an AWS call fail."""
    return world.control.injected_faults(
        {"service": service, "action": action, "code": code, "status": status}
    )


def test_what_is_said_of_a_mesh_that_is_well(
    mesh: str, pair: tuple[Vpc, Vpc], run_command: RunCommand, snapshot: SnapshotAssertion
) -> None:
    one, two = (vpc.id for vpc in pair)
    for name, command in {
        "status": ["status", mesh],
        "mesh show": ["mesh", "show", mesh],
        "plan": ["plan", mesh, *STACK_OPTIONS],
        "explain": ["explain", one, two, *STACK_OPTIONS],
        "map as mermaid": ["map", mesh, *STACK_OPTIONS, "--format", "mermaid"],
        "map as dot": ["map", mesh, *STACK_OPTIONS, "--format", "dot"],
    }.items():
        assert run_command(*command) == snapshot(name=name)


def test_what_is_said_of_what_is_due_and_then_done(
    world: World, mesh: str, pair: tuple[Vpc, Vpc], run_command: RunCommand, snapshot: SnapshotAssertion
) -> None:
    one, two = pair
    world.control.drop_events(True)
    try:
        for vpc, peer in ((one, two), (two, one)):
            (block,) = world.view(peer).blocks
            world.ec2(vpc).delete_route(RouteTableId=world.main_table(vpc), DestinationCidrBlock=block)
        assert run_command("plan", mesh, *STACK_OPTIONS) == snapshot(name="plan")
        assert run_command("explain", one.id, two.id, *STACK_OPTIONS) == snapshot(name="explain")
        assert run_command("apply", *STACK_OPTIONS, "--yes") == snapshot(name="apply")
        assert run_command("history", mesh, "--runs", "1") == snapshot(name="history")
    finally:
        world.control.drop_events(False)


def test_what_is_said_of_a_bad_tag(
    world: World,
    peerd: Peerd,
    mesh: str,
    pair: tuple[Vpc, Vpc],
    run_command: RunCommand,
    snapshot: SnapshotAssertion,
) -> None:
    one, _ = pair
    invalid = world.vpc(THIRD, HOME, mesh="prod!")
    world.until_status(invalid, "refused prod!")
    assert world.status(invalid) == snapshot(name="status")
    assert run_command("explain", one.id, invalid.id, *STACK_OPTIONS) == snapshot(name="explain")
    world.untag(invalid)
    world.until_clean(invalid)


def test_what_is_said_of_an_account_that_cannot_be_read(
    mesh: str,
    pair: tuple[Vpc, Vpc],
    run_command: RunCommand,
    snapshot: SnapshotAssertion,
    write_config: Callable[[str], str],
) -> None:
    one, two = pair
    config = write_config(backend_config("nosuch") + f"[meshes.{mesh}]\n")
    assert run_command("plan", "--file", config) == snapshot(name="plan")
    assert run_command("explain", one.id, two.id, "--file", config) == snapshot(name="explain")
    assert run_command("doctor", "--file", config) == snapshot(name="doctor")


def test_what_the_doctor_says(
    world: World,
    peerd: Peerd,
    run_command: RunCommand,
    snapshot: SnapshotAssertion,
    write_config: Callable[[str], str],
) -> None:
    world.control.sweep()
    world.eventually(lambda: [] if "last sweep" in peerd.ok("status") else ["no sweep is recorded"])
    world.until_idle()
    trail = world.sessions.client("cloudtrail", SECOND, HOME)
    trail.stop_logging(Name="management-events")
    try:
        assert run_command("doctor") == snapshot(name="without a trail")
    finally:
        trail.start_logging(Name="management-events")
    assert run_command("doctor", "--file", write_config(backend_config("sandbox-admin"))) == snapshot(
        name="without a deployment"
    )


def test_what_is_said_when_something_is_declared(
    mesh: str, run_command: RunCommand, snapshot: SnapshotAssertion
) -> None:
    for name, command in {
        "declare": ["mesh", "declare", mesh],
        "pause": ["mesh", "pause", mesh],
        "status": ["status", mesh],
        "resume": ["mesh", "resume", mesh],
        "drain": ["mesh", "drain", mesh],
        "declare what is draining": ["mesh", "declare", mesh],
        "adopt an unknown peering": ["adopt", "pcx-0000000a", "--mesh", mesh],
        "adopt": ["adopt", "pcx-0000000a", "--mesh", mesh, "--yes"],
        "release": ["release", "pcx-0000000a", "--mesh", mesh, "--yes"],
        "undeclare": ["mesh", "undeclare", mesh],
        "undeclare what is not declared": ["mesh", "undeclare", mesh],
        "resume what is not declared": ["mesh", "resume", mesh],
        "confirm nothing": ["confirm", mesh],
        "add an account": ["account", "add", "999999999999", "--region", HOME],
        "remove an account": ["account", "remove", "999999999999", "--region", HOME],
        "remove it again": ["account", "remove", "999999999999", "--region", HOME],
        "remove an unknown account": ["account", "remove", "888888888888"],
        "remove one of the stack's": ["account", "remove", THIRD, "--region", HOME],
        "redrive nothing": ["redrive"],
        "adopt for a mesh that is not there": ["adopt", "pcx-0000000a", "--mesh", mesh],
        "release from a mesh that is not there": ["release", "pcx-0000000a", "--mesh", mesh],
    }.items():
        assert run_command(*command) == snapshot(name=name)


def test_what_is_said_of_an_import(
    world: World, mesh: str, run_command: RunCommand, snapshot: SnapshotAssertion
) -> None:
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY)
    peering = world.create_peering(one, two)
    legacy_tags = {"peerd_created": "true", "peerd_environment": mesh}
    tags = [{"Key": key, "Value": value} for key, value in legacy_tags.items()]
    for vpc in (one, two):
        world.ec2(vpc).create_tags(Resources=[peering], Tags=tags)
    entries = [{"account_id": vpc.account, "vpc_id": vpc.id, "region": vpc.region} for vpc in (one, two)]
    metadata = {"common_principal_name": "sandbox-admin"}
    file = json.dumps({"metadata": metadata, "environments": {mesh: entries}})
    assert run_command("import", "-", stdin=file) == snapshot(name="plan")
    assert run_command("import", "-", stdin="environments: [") == snapshot(name="no YAML")


def test_what_the_demo_says(run_command: RunCommand, snapshot: SnapshotAssertion) -> None:
    assert run_command("demo") == snapshot


def test_errors_of_the_operators_own_making(
    run_command: RunCommand, write_config: Callable[[str], str], tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    for name, command in {
        "unknown command": ["paln"],
        "unknown mesh": ["status", "nosuch"],
        "unknown mesh in a plan": ["plan", "nosuch", *STACK_OPTIONS],
        "unknown VPC": ["explain", "vpc-00000000", "vpc-00000001", *STACK_OPTIONS],
        "no role": ["plan", "--stack", "peerd"],
        "no stack of that name": ["status", "--stack", "nosuch"],
        "bad file": ["plan", "--file", write_config('accounts = ["12"]\n')],
        "missing file": ["plan", "--file", str(tmp_path / "none.toml")],
        "bad mesh name": ["mesh", "declare", "pro d"],
        "bad policy": ["mesh", "declare", "prod", "--policy", "-"],
        "bad VPC": ["explain", "vpc-1", "vpc-!"],
        "bad plan": ["apply", "-", *STACK_OPTIONS],
    }.items():
        assert run_command(*command, stdin='{"topology": "ring"}') == snapshot(name=name)


NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
NO_CREDENTIALS = NO_METADATA | {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param(NO_CREDENTIALS, id="no credentials"),
        pytest.param(NO_METADATA | {"AWS_REGION": None}, id="no Region"),
        pytest.param({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, id="not reached"),
    ],
)
def test_errors_of_the_surroundings(
    run_command: RunCommand, environment: dict[str, str | None], snapshot: SnapshotAssertion
) -> None:
    assert run_command("status", **environment) == snapshot


@pytest.mark.parametrize(
    ("code", "status"),
    [("ExpiredToken", 403), ("InvalidClientTokenId", 403), ("AccessDenied", 403), ("Throttling", 400)],
)
def test_errors_of_aws(
    world: World, run_command: RunCommand, code: str, status: int, snapshot: SnapshotAssertion
) -> None:
    with fault(world, "cloudformation", "DescribeStacks", code, status):
        assert run_command("status") == snapshot
