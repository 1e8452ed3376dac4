"""One sandbox for each worker of a session, and a `World` for each test."""

import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from sandbox.client.control import Control
from sandbox.client.process import SandboxProcess
from sandbox.client.sessions import Sessions
from sandbox.ports import free_port
from tests.e2e.cli import Peerd
from tests.e2e.organization import Organization, organization
from tests.e2e.world import World, address_ranges

ROOT = Path(__file__).parents[2]
READY_WITHIN = 600.0
_numbers = count(1)
_process = pytest.StashKey[SandboxProcess]()


def pytest_configure(config: pytest.Config) -> None:
    """Handles SIGTERM like Ctrl-C, so that the session stops its sandbox."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs the long tests first, and the tests that share a world on one worker (--dist loadgroup)."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        if isinstance(item, pytest.Function) and "shared_world" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


def functions_directory() -> Path:
    """Returns the directory of the Lambda binaries."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


@pytest.fixture
def unused_port() -> int:
    """A port that nothing listens on."""
    return free_port()


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of the sandbox: PEERD_SANDBOX_URL, else a sandbox that the session starts."""
    if running := os.environ.get("PEERD_SANDBOX_URL"):
        yield running.rstrip("/")
        return
    state = tmp_path_factory.mktemp("sandbox") / "state"
    with SandboxProcess(functions_directory(), state, free_port()) as sandbox:
        request.config.stash[_process] = sandbox
        yield sandbox.wait_ready(READY_WITHIN)
        code = sandbox.stop()
    assert code == 0, f"the sandbox exited with code {code} after SIGTERM\n{sandbox.recent_output()}"


@pytest.fixture(scope="session")
def sessions(endpoint: str) -> Sessions:
    """The AWS clients of the tests."""
    return Sessions(endpoint)


@pytest.fixture(scope="session")
def control(endpoint: str) -> Control:
    """The control plane of the sandbox."""
    return Control(endpoint)


@pytest.fixture(scope="session")
def ranges() -> Iterator[str]:
    """CIDR blocks, each used once."""
    return address_ranges()


@pytest.fixture(scope="session")
def peerd(endpoint: str) -> Peerd:
    """The command line of peerd."""
    return Peerd(functions_directory() / "peerd", endpoint)


def _world(sessions: Sessions, control: Control, ranges: Iterator[str]) -> Iterator[World]:
    world = World(sessions, control, ranges)
    before = control.current_settings()
    control.clear_calls()
    try:
        yield world
    finally:
        control.settings(**before)
        world.clean_up()
        world.until_idle()
    dead_letters = {name: count for name, count in world.dead_letters().items() if count}
    assert not dead_letters, f"messages in the dead-letter queues: {dead_letters}"


@pytest.fixture
def world(sessions: Sessions, control: Control, ranges: Iterator[str]) -> Iterator[World]:
    """A world that the fixture deletes after the test, after checking that peerd left nothing."""
    yield from _world(sessions, control, ranges)


@pytest.fixture
def mesh(peerd: Peerd, world: World) -> Iterator[str]:
    """The name of an undeclared mesh. The fixture deletes its policy before its VPCs leave."""
    name = f"declared-{next(_numbers)}"
    yield name
    peerd.run("mesh", "undeclare", name, "--yes")


@pytest.fixture
def units(sessions: Sessions) -> Iterator[Organization]:
    """The organization. The accounts of a test leave its units before the VPCs leave their meshes."""
    with organization(sessions) as units:
        yield units


@pytest.fixture(scope="module")
def shared_world(sessions: Sessions, control: Control, ranges: Iterator[str]) -> Iterator[World]:
    """A world that the tests of one module share."""
    yield from _world(sessions, control, ranges)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Adds the last log lines of the functions to the report of a failed test."""
    report = yield
    sandbox = item.config.stash.get(_process, None)
    if report.failed and sandbox is not None:
        report.sections.append(("the sandbox's logs", sandbox.logs()))
    return report
