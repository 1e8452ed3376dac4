"""A sandbox of its own for each measurement, the VPCs in it, and waits for states."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from sandbox.client import checks
from sandbox.client.control import Control
from sandbox.client.model import ACCOUNTS, ENV, REGIONS, Scope, Vpc
from sandbox.client.observe import observe
from sandbox.client.process import SandboxProcess
from sandbox.client.sessions import Sessions
from sandbox.ports import free_port
from tests.bench import calls
from tests.e2e.cli import Peerd
from tests.e2e.world import address_ranges

MESH = "prod"
TABLES = 2
"""Route tables of each VPC: the main one and another."""
SCOPES = tuple(Scope(account, region) for account in ACCOUNTS for region in REGIONS)
_READY_WITHIN_S = 300
# How many changes, or seconds, a wait lets pass before it looks at the state again.
_BURST = 40
_POLL_S = 0.5


@dataclass
class Lab:
    """A running sandbox: its clients, its control plane, and the command line of peerd."""

    sessions: Sessions
    control: Control
    peerd: Peerd
    _ranges: Iterator[str]

    # -- VPCs ------------------------------------------------------------------------------------------------

    def create_vpcs(self, scopes: Sequence[Scope]) -> list[Vpc]:
        """Creates a VPC in each of these scopes, with `TABLES` route tables and no tag."""
        return [self._create_vpc(scope) for scope in scopes]

    def _create_vpc(self, scope: Scope) -> Vpc:
        ec2 = self.sessions.ec2(scope)
        vpc = Vpc(scope.account, scope.region, ec2.create_vpc(CidrBlock=next(self._ranges))["Vpc"]["VpcId"])
        for _ in range(TABLES - 1):
            ec2.create_route_table(VpcId=vpc.id)
        return vpc

    def tag(self, meshes: Mapping[Vpc, str]) -> tuple[float, float]:
        """Tags each VPC with its mesh, all at the same time; returns when the first and the last call ran."""
        with ThreadPoolExecutor(len(meshes)) as pool:
            started = time.time()
            list(pool.map(self._tag, meshes.keys(), meshes.values()))
        return started, time.time()

    def _tag(self, vpc: Vpc, mesh: str) -> None:
        tags = [{"Key": ENV, "Value": mesh}]
        self.sessions.ec2(vpc.scope).create_tags(Resources=[vpc.id], Tags=tags)

    def tag_unnoticed(self, meshes: Mapping[Vpc, str]) -> None:
        """Tags each VPC with its mesh; the events of these calls are lost."""
        self.control.drop_events(True)
        self.tag(meshes)
        self.control.drop_events(False)

    def untag(self, vpc: Vpc) -> None:
        """Removes the tag of the mesh."""
        self.sessions.ec2(vpc.scope).delete_tags(Resources=[vpc.id], Tags=[{"Key": ENV}])

    # -- the deployment --------------------------------------------------------------------------------------

    def deploy(self, meshes: Sequence[str], accounts: Sequence[str] = ACCOUNTS) -> None:
        """Changes the stack parameters `Meshes` and `Accounts`, as far as the functions read them."""
        functions = self.sessions.client("lambda")
        for function in functions.list_functions()["Functions"]:
            variables = function["Environment"]["Variables"]
            variables |= {"PEERD_MESHES": ",".join(meshes), "PEERD_ACCOUNTS": ",".join(accounts)}
            functions.update_function_configuration(
                FunctionName=function["FunctionName"], Environment={"Variables": variables}
            )
        self.control.kill()  # a running process has the old variables

    # -- observations ----------------------------------------------------------------------------------------

    def log(self) -> calls.Log:
        """Returns the calls of peerd since the log was last cleared."""
        return calls.read(self.control.calls())

    def mesh_problems(self, vpcs: Sequence[Vpc]) -> list[str]:
        """Returns why some pair of these is not connected."""
        return checks.full_mesh_problems(observe(self.sessions, vpcs), vpcs)

    # -- waits -----------------------------------------------------------------------------------------------

    @contextmanager
    def delayed_ec2(self, milliseconds: int) -> Iterator[None]:
        """Delays the response of each EC2 call."""
        faults = [{"service": "ec2", "delay_ms": milliseconds}] if milliseconds else []
        with self.control.injected_faults(*faults):
            yield

    def until_routes(self, wanted: int, within: float) -> calls.Log:
        """Waits until peerd has created that many routes; returns the log."""

        def are_created(state: str) -> bool:
            return state != "busy" and self.log().routes >= wanted

        self._until(are_created, within, lambda: f"{self.log().routes} of {wanted} routes exist")
        return self.log()

    def until_swept(self) -> None:
        """Starts a sweep and waits until it and its follow-ups are done."""
        self.control.sweep()
        self.skip_delays()

    def until_idle(self, within: float) -> bool:
        """Waits until no message is in flight, delayed ones included; returns whether that is so in time."""
        try:
            self._until(lambda state: state == "idle", within, str)
        except TimeoutError:
            return False
        return True

    def skip_delays(self) -> None:
        """Waits until no message is in flight; delivers the delayed ones immediately."""

        def is_idle(state: str) -> bool:
            if state == "waiting":
                self.control.advance_queues(failed=True)
            return state == "idle"

        self._until(is_idle, 300, lambda: f"in flight: {self.control.activity()['queues']}")

    def _until(self, done: Callable[[str], bool], within: float, problem: Callable[[], str]) -> None:
        deadline = time.monotonic() + within
        while True:
            activity = self.control.activity()
            if done(activity["state"]):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {within:.0f} s: {problem()}")
            self.control.changes(after=activity["changes"] + _BURST, within=_POLL_S)


def spread(size: int, scopes: Sequence[Scope] = SCOPES) -> list[Scope]:
    """Returns the scope of each of `size` VPCs that are spread evenly over these scopes."""
    return list(islice(cycle(scopes), size))


@contextmanager
def started(binaries: Path) -> Iterator[Lab]:
    """Starts a sandbox with these binaries, and stops it."""
    with (
        tempfile.TemporaryDirectory(prefix="peerd-bench-") as state,
        SandboxProcess(binaries, Path(state), free_port()) as process,
    ):
        endpoint = process.wait_ready(_READY_WITHIN_S)
        lab = Lab(
            Sessions(endpoint), Control(endpoint), Peerd(binaries / "peerd", endpoint), address_ranges()
        )
        for scope in SCOPES:
            lab.sessions.ec2(scope)  # before anything is measured: a new client parses EC2's service model
        yield lab
