"""The last pages: the tables of what stands now, or all that is known when the mesh did not converge."""

from collections.abc import Mapping

from sandbox.client import judge
from sandbox.client.model import Snapshot, Vpc
from sandbox.client.observe import observe
from sandbox.client.process import SandboxProcess
from sandbox.client.sessions import Sessions
from sandbox.demo.screen import Screen
from sandbox.demo.story import Measured, NotConverged

_SHOWN_PROBLEMS = 25


def show_tables(sessions: Sessions, screen: Screen, names: dict[Vpc, str], members: list[Vpc]) -> str:
    """Prints what Describe says now and answers the count of it, for the last line."""
    seen = observe(sessions, members)
    peerings = judge.active_peerings(seen, members)
    screen.table(
        "peerings",
        ("id", "requester", "accepter", "state", "mesh"),
        [
            (it.id, _place(names, it.requester), _place(names, it.accepter), it.status, it.tags["peerd:env"])
            for it in sorted(peerings.values(), key=lambda it: (names[it.requester], names[it.accepter]))
        ],
    )
    screen.table("routes", ("VPC", "table", "destination", "target", "to", "state"), _routes(seen, names))
    routes = judge.standing_routes(seen, members)
    return f"{len(seen)} VPCs, {len(peerings)} peerings, {len(routes)} routes"


def last_line(counts: str, measured: Measured) -> str:
    """The line that says that it worked."""
    return (
        f"converged: {counts}; mesh formed in {measured.formed:.1f} s, "
        f"route healed in {measured.healed:.1f} s, clean-up in {measured.left:.1f} s"
    )


def explain(screen: Screen, failure: NotConverged, sessions: Sessions, sandbox: SandboxProcess) -> None:
    """Says what is missing, what peerd says about it, and what the functions last logged."""
    screen.say(f"\nnot converged. {failure}. Still wrong, as Describe calls show it:")
    shown = failure.problems[:_SHOWN_PROBLEMS]
    for problem in shown:
        screen.say(f"  {_named(problem, failure.names)}")
    if more := len(failure.problems) - len(shown):
        screen.say(f"  and {more} more")
    screen.say("\nwhat peerd says of each VPC (tag peerd:status):")
    for vpc, view in observe(sessions, failure.names).items():
        screen.say(f"  {failure.names[vpc]} {vpc}: {view.status or '(nothing)'}")
    screen.say(f"\nthe last lines of the logs:\n{sandbox.logs()}")


def _named(text: str, names: Mapping[Vpc, str]) -> str:
    for vpc, name in names.items():
        text = text.replace(vpc.id, name)
    return text


def _place(names: dict[Vpc, str], vpc: Vpc) -> str:
    return f"{names.get(vpc, vpc.id)} ({vpc.account}, {vpc.region})"


def _routes(seen: Snapshot, names: dict[Vpc, str]) -> list[tuple[str, ...]]:
    rows = []
    for vpc, view in sorted(seen.items(), key=lambda it: names[it[0]]):
        ends = {it.id: it.accepter if it.requester == vpc else it.requester for it in view.peerings}
        for table in view.tables:
            for route in sorted(
                table.routes, key=lambda route: (":" in route.destination, route.destination)
            ):
                peer = ends.get(route.target)
                to = names.get(peer, peer.id) if peer else ""
                kind = f"{table.id} (main)" if table.main else table.id
                rows.append((names[vpc], kind, route.destination, route.target, to, route.state))
    return rows
