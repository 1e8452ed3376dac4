"""The summary: the existing peerings and routes, or the diagnostics of a mesh that did not converge."""

from collections.abc import Mapping

from sandbox.client import checks
from sandbox.client.model import Snapshot, Vpc
from sandbox.client.observe import observe
from sandbox.client.process import SandboxProcess
from sandbox.client.sessions import Sessions
from sandbox.demo.display import Display
from sandbox.demo.scenario import NotConverged, Timings

_SHOWN_PROBLEMS = 25


def print_tables(sessions: Sessions, display: Display, names: dict[Vpc, str], members: list[Vpc]) -> str:
    """Prints the existing peerings and routes, and returns their counts for the last line."""
    snapshot = observe(sessions, members)
    peerings = checks.active_peerings(snapshot, members)
    display.table(
        "peerings",
        ("id", "requester", "accepter", "state", "mesh"),
        [
            (it.id, _place(names, it.requester), _place(names, it.accepter), it.status, it.tags["peerd:env"])
            for it in sorted(peerings.values(), key=lambda it: (names[it.requester], names[it.accepter]))
        ],
    )
    display.table(
        "routes", ("VPC", "table", "destination", "target", "to", "state"), _routes(snapshot, names)
    )
    routes = checks.active_routes(snapshot, members)
    return f"{len(snapshot)} VPCs, {len(peerings)} peerings, {len(routes)} routes"


def last_line(counts: str, timings: Timings) -> str:
    """Returns the line that reports success."""
    return (
        f"converged: {counts}; mesh formed in {timings.formed:.1f} s, "
        f"route healed in {timings.healed:.1f} s, clean-up in {timings.left:.1f} s"
    )


def print_failure(
    display: Display, failure: NotConverged, sessions: Sessions, sandbox: SandboxProcess
) -> None:
    """Prints what is missing, the status tags of the VPCs, and the last log lines of the functions."""
    display.note(f"\nnot converged. {failure}. Remaining problems, as Describe calls show them:")
    shown = failure.problems[:_SHOWN_PROBLEMS]
    for problem in shown:
        display.note(f"  {_named(problem, failure.names)}")
    if more := len(failure.problems) - len(shown):
        display.note(f"  and {more} more")
    display.note("\nstatus of each VPC (tag peerd:status):")
    for vpc, view in observe(sessions, failure.names).items():
        display.note(f"  {failure.names[vpc]} {vpc}: {view.status or '(nothing)'}")
    display.note(f"\nthe last lines of the logs:\n{sandbox.logs()}")


def _named(text: str, names: Mapping[Vpc, str]) -> str:
    for vpc, name in names.items():
        text = text.replace(vpc.id, name)
    return text


def _place(names: dict[Vpc, str], vpc: Vpc) -> str:
    return f"{names.get(vpc, vpc.id)} ({vpc.account}, {vpc.region})"


def _routes(snapshot: Snapshot, names: dict[Vpc, str]) -> list[tuple[str, ...]]:
    rows = []
    for vpc, view in sorted(snapshot.items(), key=lambda it: names[it[0]]):
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
