"""What people read, word for word: the output of every command, and errors. Kept in __snapshots__.

`pytest tests/e2e/test_words.py --snapshot-update` keeps what is said now; read the difference.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
HERE = ("--stack", "peerd", "--role", "sandbox-admin")
NAMES = re.compile(r"(vpc|pcx|rtb|acl|sg)-[0-9a-f]{8,17}|10\.\d+\.\d+\.0/\d+|(?:declared|e2e)-\d+")
COUNTS = re.compile(r"\d+(?= reads| seconds ago| minutes ago| of peerd's| messages wait)|(?<=the other )\d+")
TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?")
Say = Callable[..., str]


@pytest.fixture
def words() -> Callable[[str], str]:
    """Names ids, blocks and times by the order of their first appearance, so that two runs print the same."""
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        kind = found[1] or ("block" if found[0].startswith("10.") else "the-" + found[0].split("-")[0])
        count = sum(known.startswith(kind) for known in names.values())
        return names.setdefault(found[0], f"{kind}-{count + 1}")

    def words(said: str) -> str:
        return COUNTS.sub("N", TIMES.sub("TIME", NAMES.sub(name, said)))

    return words


@pytest.fixture
def say(peerd: Peerd, tmp_path: Path, words: Callable[[str], str]) -> Say:
    """Runs a command; answers its exit code, what it says on stdout, and what it says on stderr."""

    def say(*command: str, stdin: str = "", **environment: str | None) -> str:
        said = peerd.run(*command, stdin=stdin, **environment)
        parts = [f"exit {said.code}", *(["stdout", said.out] if said.out else [])]
        parts += ["stderr", said.err] if said.err else []
        return words("\n".join(parts).replace(str(tmp_path), "FOLDER"))

    return say


@pytest.fixture
def pair(world: World, mesh: str, peerd: Peerd) -> tuple[Vpc, Vpc]:
    """Two members of a mesh of their own, connected, in two accounts and Regions."""
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, two)
    world.quiet()
    return one, two


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """Writes a peerd.toml."""

    def written(text: str) -> str:
        file = tmp_path / "peerd.toml"
        file.write_text(text)
        return str(file)

    return written


def site(role: str) -> str:
    """A peerd.toml of two accounts, without a mesh."""
    return f'accounts = ["{HUB}", "{SECOND}"]\nregions = ["{HOME}"]\nrole = "{role}"\n'


@contextmanager
def fault(world: World, service: str, action: str, code: str, status: int = 403) -> Iterator[None]:
    """Has AWS refuse a call."""
    world.control.faults({"service": service, "action": action, "code": code, "status": status})
    try:
        yield
    finally:
        world.control.faults()


def test_what_is_said_of_a_mesh_that_is_well(
    mesh: str, pair: tuple[Vpc, Vpc], say: Say, snapshot: SnapshotAssertion
) -> None:
    one, two = (vpc.id for vpc in pair)
    for name, command in {
        "status": ["status", mesh],
        "mesh show": ["mesh", "show", mesh],
        "plan": ["plan", mesh, *HERE],
        "explain": ["explain", one, two, *HERE],
        "map as mermaid": ["map", mesh, *HERE, "--format", "mermaid"],
        "map as dot": ["map", mesh, *HERE, "--format", "dot"],
    }.items():
        assert say(*command) == snapshot(name=name)


def test_what_is_said_of_what_is_due_and_then_done(
    world: World, mesh: str, pair: tuple[Vpc, Vpc], say: Say, snapshot: SnapshotAssertion
) -> None:
    one, two = pair
    world.control.drop_events(True)
    try:
        for vpc, peer in ((one, two), (two, one)):
            (block,) = world.look(peer).blocks
            world.ec2(vpc).delete_route(RouteTableId=world.main_table(vpc), DestinationCidrBlock=block)
        assert say("plan", mesh, *HERE) == snapshot(name="plan")
        assert say("explain", one.id, two.id, *HERE) == snapshot(name="explain")
        assert say("apply", *HERE, "--yes") == snapshot(name="apply")
        assert say("history", mesh, "--runs", "1") == snapshot(name="history")
    finally:
        world.control.drop_events(False)


def test_what_is_said_of_a_bad_tag(
    world: World, peerd: Peerd, mesh: str, pair: tuple[Vpc, Vpc], say: Say, snapshot: SnapshotAssertion
) -> None:
    one, _ = pair
    odd = world.vpc(THIRD, HOME, mesh="prod!")
    world.until_status(odd, "refused prod!")
    assert world.status(odd) == snapshot(name="status")
    assert say("explain", one.id, odd.id, *HERE) == snapshot(name="explain")
    world.untag(odd)
    world.until_clean(odd)


def test_what_is_said_of_an_account_that_cannot_be_read(
    mesh: str, pair: tuple[Vpc, Vpc], say: Say, snapshot: SnapshotAssertion, written: Callable[[str], str]
) -> None:
    one, two = pair
    bare = written(site("nosuch") + f"[meshes.{mesh}]\n")
    assert say("plan", "--file", bare) == snapshot(name="plan")
    assert say("explain", one.id, two.id, "--file", bare) == snapshot(name="explain")
    assert say("doctor", "--file", bare) == snapshot(name="doctor")


def test_what_the_doctor_says(
    world: World, peerd: Peerd, say: Say, snapshot: SnapshotAssertion, written: Callable[[str], str]
) -> None:
    world.control.sweep()
    world.eventually(lambda: [] if "last sweep" in peerd.ok("status") else ["no sweep was noted"])
    world.quiet()
    trail = world.sessions.client("cloudtrail", SECOND, HOME)
    trail.stop_logging(Name="management-events")
    try:
        assert say("doctor") == snapshot(name="without a trail")
    finally:
        trail.start_logging(Name="management-events")
    assert say("doctor", "--file", written(site("sandbox-admin"))) == snapshot(name="without a deployment")


def test_what_is_said_when_something_is_declared(mesh: str, say: Say, snapshot: SnapshotAssertion) -> None:
    for name, command in {
        "declare": ["mesh", "declare", mesh],
        "pause": ["mesh", "pause", mesh],
        "status": ["status", mesh],
        "resume": ["mesh", "resume", mesh],
        "drain": ["mesh", "drain", mesh],
        "adopt": ["adopt", "pcx-0000000a", "--mesh", mesh],
        "release": ["release", "pcx-0000000a", "--mesh", mesh],
        "undeclare": ["mesh", "undeclare", mesh],
        "resume what is not declared": ["mesh", "resume", mesh],
        "confirm nothing": ["confirm", mesh],
        "add an account": ["account", "add", "999999999999", "--region", HOME],
        "remove an account": ["account", "remove", "999999999999", "--region", HOME],
        "remove it again": ["account", "remove", "999999999999", "--region", HOME],
        "remove one of the stack's": ["account", "remove", THIRD, "--region", HOME],
        "redrive nothing": ["redrive"],
        "adopt for a mesh that is not there": ["adopt", "pcx-0000000a", "--mesh", mesh],
        "release from a mesh that is not there": ["release", "pcx-0000000a", "--mesh", mesh],
    }.items():
        assert say(*command) == snapshot(name=name)


def test_what_is_said_of_an_import(world: World, mesh: str, say: Say, snapshot: SnapshotAssertion) -> None:
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY)
    peering = world.create_peering(one, two)
    worn = {"peerd_created": "true", "peerd_environment": mesh}
    tags = [{"Key": key, "Value": value} for key, value in worn.items()]
    for vpc in (one, two):
        world.ec2(vpc).create_tags(Resources=[peering], Tags=tags)
    entries = [{"account_id": vpc.account, "vpc_id": vpc.id, "region": vpc.region} for vpc in (one, two)]
    metadata = {"common_principal_name": "sandbox-admin"}
    file = json.dumps({"metadata": metadata, "environments": {mesh: entries}})
    assert say("import", "-", stdin=file) == snapshot(name="plan")
    assert say("import", "-", stdin="environments: [") == snapshot(name="no YAML")


def test_what_the_demo_says(say: Say, snapshot: SnapshotAssertion) -> None:
    assert say("demo") == snapshot


def test_errors_of_the_operators_own_making(
    say: Say, written: Callable[[str], str], tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    for name, command in {
        "unknown command": ["paln"],
        "unknown mesh": ["status", "nosuch"],
        "unknown mesh in a plan": ["plan", "nosuch", *HERE],
        "unknown VPC": ["explain", "vpc-00000000", "vpc-00000001", *HERE],
        "no role": ["plan", "--stack", "peerd"],
        "no stack of that name": ["status", "--stack", "nosuch"],
        "bad file": ["plan", "--file", written('accounts = ["12"]\n')],
        "missing file": ["plan", "--file", str(tmp_path / "none.toml")],
        "bad mesh name": ["mesh", "declare", "pro d"],
        "bad policy": ["mesh", "declare", "prod", "--policy", "-"],
        "bad VPC": ["explain", "vpc-1", "web"],
        "bad plan": ["apply", "-", *HERE],
    }.items():
        assert say(*command, stdin='{"topology": "ring"}') == snapshot(name=name)


NOWHERE = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
KEYLESS = NOWHERE | {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param(KEYLESS, id="no credentials"),
        pytest.param(NOWHERE | {"AWS_REGION": None}, id="no Region"),
        pytest.param({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, id="not reached"),
    ],
)
def test_errors_of_the_surroundings(
    say: Say, environment: dict[str, str | None], snapshot: SnapshotAssertion
) -> None:
    assert say("status", **environment) == snapshot


@pytest.mark.parametrize(
    ("code", "status"),
    [("ExpiredToken", 403), ("InvalidClientTokenId", 403), ("AccessDenied", 403), ("Throttling", 400)],
)
def test_errors_of_aws(world: World, say: Say, code: str, status: int, snapshot: SnapshotAssertion) -> None:
    with fault(world, "cloudformation", "DescribeStacks", code, status):
        assert say("status") == snapshot
