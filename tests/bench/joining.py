"""One VPC after the other joins a mesh and leaves it: the time from its tag to its last route."""

import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from sandbox.client import checks
from sandbox.client.model import Scope, Vpc
from sandbox.client.observe import observe
from tests.bench import bound, lab
from tests.bench.calls import Log
from tests.bench.forming import FOLLOW_UPS_WITHIN_S, FORMED_WITHIN_S

_WITHIN_S = 120


def measure(binaries: Path, members: int, repetitions: int, delay_ms: int) -> Iterator[dict[str, Any]]:
    """Forms a mesh of `members` VPCs in a new sandbox; then VPCs join it, each after the last one left."""
    scopes = lab.spread(members)
    with lab.started(binaries) as running:
        running.tag(dict.fromkeys(running.create_vpcs(scopes), lab.MESH))
        running.until_routes(bound.forming(scopes, lab.TABLES).routes, FORMED_WITHIN_S)
        running.skip_delays()
        homes = islice(cycle(lab.SCOPES), repetitions)
        for home in homes:
            yield _join(running, scopes, home, delay_ms)


def _join(running: lab.Lab, members: list[Scope], home: Scope, delay_ms: int) -> dict[str, Any]:
    wanted = bound.joining(members, home, lab.TABLES)
    (vpc,) = running.create_vpcs([home])
    running.skip_delays()
    running.control.clear_calls()
    load = os.getloadavg()[0]
    with running.delayed_ec2(delay_ms):
        started, _ = running.tag({vpc: lab.MESH})
        log = running.until_routes(wanted.routes, _WITHIN_S)
        running.until_idle(FOLLOW_UPS_WITHIN_S)
        settled = running.log()
    _leave(running, vpc)
    return {
        "members": len(members),
        "delay_ms": delay_ms,
        "load": load,
        "bound": wanted.total,
        "calls_until_last_route": len(log.until(log.last_route).ec2),
        "calls": len(settled.ec2),
        "refused": settled.refused(),
        **_steps(log, started),
    }


def _leave(running: lab.Lab, vpc: Vpc) -> None:
    running.untag(vpc)
    running.skip_delays()
    if problems := checks.cleanup_problems(observe(running.sessions, [vpc]), vpc):
        raise AssertionError("\n".join(problems[:10]))


def _steps(log: Log, started: float) -> dict[str, float]:
    """Returns the seconds from the tag to the last route, and their parts."""
    first_call = min(call.time for call in (*log.ec2, *log.other))
    first_write = log.first(lambda call: call.is_write)
    return {
        "total_s": log.last_route - started,
        "event_path_s": first_call - started,
        "decision_s": first_write - first_call,
        "calls_s": log.last_route - first_write,
    }
