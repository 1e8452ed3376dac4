"""The scenario: a mesh forms, a route is restored, a VPC leaves. Describe calls end each step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.client import checks
from sandbox.client.model import Vpc
from sandbox.client.observe import observe
from sandbox.client.polling import wait_until
from sandbox.client.sessions import Sessions
from sandbox.demo import vpcs
from sandbox.demo.display import Display, Step
from sandbox.demo.vpcs import DEMO_VPCS, MESH

FORM_WITHIN = 180.0
HEAL_WITHIN = 90.0
LEAVE_WITHIN = 90.0
_POLL_INTERVAL_S = 0.3


class NotConverged(RuntimeError):
    """A step exceeded its time limit. Holds the remaining problems and the names of the VPCs."""

    def __init__(self, step: str, seconds: float, problems: list[str], names: Mapping[Vpc, str]) -> None:
        super().__init__(f"{step}: not done after {seconds:.0f} s")
        self.problems = problems
        self.names = names


@dataclass(frozen=True)
class Timings:
    """The duration of each step in seconds, from the client's call to the Describe calls with its result."""

    formed: float
    healed: float
    left: float


class Scenario:
    """Runs the steps on a display. `names` maps each VPC to the name that the display uses."""

    def __init__(self, sessions: Sessions, display: Display) -> None:
        self._sessions = sessions
        self._display = display
        self.names: dict[Vpc, str] = {}

    def run(self) -> tuple[Timings, list[Vpc]]:
        """Runs all steps and returns their timings and the remaining members."""
        self._create()
        members = list(self.names)
        formed = self._form(members)
        healed = self._heal(*self._named("web", "batch"))
        (leaver,) = self._named("archive")
        left = self._leave(leaver, [vpc for vpc in members if vpc != leaver])
        return Timings(formed, healed, left), [vpc for vpc in members if vpc != leaver]

    def _create(self) -> None:
        with self._display.step("create six VPCs in three accounts and two Regions"):
            for spec in DEMO_VPCS:
                self.names[vpcs.create(self._sessions, spec)] = spec.name
        rows = [
            (name, vpc.account, vpc.region, vpc.id, ", ".join(spec.blocks), spec.features)
            for (vpc, name), spec in zip(self.names.items(), DEMO_VPCS, strict=True)
        ]
        self._display.table("six VPCs", ("name", "account", "Region", "id", "addresses", "also"), rows)
        self._display.note()

    def _form(self, members: list[Vpc]) -> float:
        pairs = len(members) * (len(members) - 1) // 2
        self._display.note(
            f"The demonstration adds the tag peerd:env={MESH} to each VPC. "
            "An event invokes a Lambda function,\nwhich peers every pair "
            "and adds a route for every CIDR block to every route table."
        )
        with self._display.step(
            f"tag six VPCs peerd:env={MESH}; {pairs} peerings and their routes appear"
        ) as step:
            return self._show_progress(step, members, pairs)

    def _show_progress(self, step: Step, members: list[Vpc], pairs: int) -> float:
        def problems() -> list[str]:
            snapshot = observe(self._sessions, members)
            wanted = checks.desired_routes(snapshot, members)
            step.gauges(
                peerings=(len(checks.active_peerings(snapshot, members)), pairs),
                routes=(len(checks.active_routes(snapshot, members)), len(wanted)),
            )
            return checks.full_mesh_problems(snapshot, members, MESH)

        problems()
        return self._measure(
            lambda: [vpcs.join(self._sessions, vpc) for vpc in members],
            problems,
            FORM_WITHIN,
            "the mesh forms",
        )

    def _heal(self, source: Vpc, destination: Vpc) -> float:
        snapshot = observe(self._sessions, (source, destination))
        table = snapshot[source].tables[0].id
        block = min(snapshot[destination].blocks)
        here, there = self.names[source], self.names[destination]
        self._display.note(
            f"The demonstration deletes a route. peerd restores the route from {here} to {there}."
        )
        with self._display.step(f"delete the route {block} from {table} of {here}; peerd restores it"):
            return self._measure(
                lambda: self._sessions.ec2(source.scope).delete_route(
                    RouteTableId=table, DestinationCidrBlock=block
                ),
                lambda: checks.connection_problems(
                    observe(self._sessions, (source, destination)), source, destination
                ),
                HEAL_WITHIN,
                "the route is restored",
            )

    def _leave(self, leaver: Vpc, others: list[Vpc]) -> float:
        name = self.names[leaver]

        def problems() -> list[str]:
            snapshot = observe(self._sessions, [leaver, *others])
            return (
                checks.cleanup_problems(snapshot, leaver)
                + [
                    problem
                    for other in others
                    for problem in checks.isolation_problems(snapshot, leaver, other)
                ]
                + checks.full_mesh_problems(snapshot, others, MESH)
            )

        self._display.note(
            f"The demonstration removes the tag of {name}. peerd deletes the peerings and routes of {name}."
        )
        with self._display.step(f"untag {name}; peerd deletes its peerings, its routes and the routes to it"):
            return self._measure(
                lambda: vpcs.leave(self._sessions, leaver), problems, LEAVE_WITHIN, "the VPC leaves"
            )

    def _measure(
        self, action: Callable[[], object], problems: Callable[[], list[str]], within: float, step: str
    ) -> float:
        """Runs the action and returns the seconds until no problem remains."""
        results = []

        def poll() -> list[str]:
            if not results:
                results.append(action())
            return problems()

        seconds, remaining = wait_until(poll, within, _POLL_INTERVAL_S)
        if remaining:
            raise NotConverged(step, seconds, remaining, self.names)
        return seconds

    def _named(self, *names: str) -> list[Vpc]:
        return [vpc for wanted in names for vpc, name in self.names.items() if name == wanted]
