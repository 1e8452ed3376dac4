"""The story: a mesh forms, a route heals, a VPC leaves. Each step ends when Describe calls say so."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.client import judge
from sandbox.client.model import Vpc
from sandbox.client.observe import observe
from sandbox.client.polling import wait_until
from sandbox.client.sessions import Sessions
from sandbox.demo import cast
from sandbox.demo.cast import CAST, MESH
from sandbox.demo.screen import Screen, Step

FORM_WITHIN = 180.0
HEAL_WITHIN = 90.0
LEAVE_WITHIN = 90.0
_EVERY = 0.3


class NotConverged(RuntimeError):
    """A step did not come to its end in time. Holds what was still wrong, and who was there."""

    def __init__(self, step: str, seconds: float, problems: list[str], names: Mapping[Vpc, str]) -> None:
        super().__init__(f"{step}: not done after {seconds:.0f} s")
        self.problems = problems
        self.names = names


@dataclass(frozen=True)
class Measured:
    """How long each step took, in seconds, from the outsider's call to the Describe that showed the end."""

    formed: float
    healed: float
    left: float


class Story:
    """Tells it on a screen. `names` maps each VPC to what the reader knows it by."""

    def __init__(self, sessions: Sessions, screen: Screen) -> None:
        self._sessions = sessions
        self._screen = screen
        self.names: dict[Vpc, str] = {}

    def tell(self) -> tuple[Measured, list[Vpc]]:
        """Everything, and then the times and the members that remain."""
        self._create()
        members = list(self.names)
        formed = self._form(members)
        healed = self._heal(*self._named("web", "batch"))
        (leaver,) = self._named("archive")
        left = self._leave(leaver, [vpc for vpc in members if vpc != leaver])
        return Measured(formed, healed, left), [vpc for vpc in members if vpc != leaver]

    def _create(self) -> None:
        with self._screen.step("create six VPCs in three accounts and two Regions"):
            for character in CAST:
                self.names[cast.create(self._sessions, character)] = character.name
        rows = [
            (name, vpc.account, vpc.region, vpc.id, ", ".join(one.blocks), one.special)
            for (vpc, name), one in zip(self.names.items(), CAST, strict=True)
        ]
        self._screen.table("six VPCs", ("name", "account", "Region", "id", "addresses", "also"), rows)
        self._screen.say()

    def _form(self, members: list[Vpc]) -> float:
        pairs = len(members) * (len(members) - 1) // 2
        self._screen.say(
            f"Each VPC gets the tag peerd:env={MESH}, and nothing else is done by hand. What you see: "
            "an event wakes a Lambda,\n"
            "which peers every pair and routes every block of addresses in every route table."
        )
        with self._screen.step(
            f"tag six VPCs peerd:env={MESH}; {pairs} peerings and their routes appear"
        ) as step:
            return self._watch(step, members, pairs)

    def _watch(self, step: Step, members: list[Vpc], pairs: int) -> float:
        def problems() -> list[str]:
            seen = observe(self._sessions, members)
            wanted = judge.wanted_routes(seen, members)
            step.gauges(
                peerings=(len(judge.active_peerings(seen, members)), pairs),
                routes=(len(judge.standing_routes(seen, members)), len(wanted)),
            )
            return judge.not_all_connected(seen, members, MESH)

        problems()
        return self._measure(
            lambda: [cast.join(self._sessions, vpc) for vpc in members],
            problems,
            FORM_WITHIN,
            "the mesh forms",
        )

    def _heal(self, at: Vpc, towards: Vpc) -> float:
        seen = observe(self._sessions, (at, towards))
        table = seen[at].tables[0].id
        block = min(seen[towards].blocks)
        here, there = self.names[at], self.names[towards]
        self._screen.say(
            f"Somebody deletes a route by hand. What you see: {here} finds its way to {there} again."
        )
        with self._screen.step(f"delete the route {block} from {table} of {here}; it comes back"):
            return self._measure(
                lambda: self._sessions.ec2(at.scope).delete_route(
                    RouteTableId=table, DestinationCidrBlock=block
                ),
                lambda: judge.not_connected(observe(self._sessions, (at, towards)), at, towards),
                HEAL_WITHIN,
                "the route comes back",
            )

    def _leave(self, leaver: Vpc, others: list[Vpc]) -> float:
        name = self.names[leaver]

        def problems() -> list[str]:
            seen = observe(self._sessions, [leaver, *others])
            return (
                judge.not_clean(seen, leaver)
                + [problem for other in others for problem in judge.not_apart(seen, leaver, other)]
                + judge.not_all_connected(seen, others, MESH)
            )

        self._screen.say(
            f"The tag of {name} is removed. What you see: every trace of it goes; the others do not notice."
        )
        with self._screen.step(f"untag {name}; its peerings, its routes and the routes to it go"):
            return self._measure(
                lambda: cast.leave(self._sessions, leaver), problems, LEAVE_WITHIN, "the traces go"
            )

    def _measure(
        self, act: Callable[[], object], problems: Callable[[], list[str]], within: float, what: str
    ) -> float:
        """The seconds from just before the act to the first look that found nothing wrong."""
        acted = []

        def look() -> list[str]:
            if not acted:
                acted.append(act())
            return problems()

        seconds, left = wait_until(look, within, _EVERY)
        if left:
            raise NotConverged(what, seconds, left, self.names)
        return seconds

    def _named(self, *names: str) -> list[Vpc]:
        return [vpc for wanted in names for vpc, name in self.names.items() if name == wanted]
