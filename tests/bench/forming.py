"""Forms meshes, by events or by a sweep, and counts the calls of peerd until the last route and after it."""

import os
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from sandbox.client.model import Scope, Vpc
from tests.bench import bound, cpu, lab
from tests.bench.bound import Bound
from tests.bench.calls import Log

EVENTS, SWEEP = "events", "sweep"
FOLLOW_UPS_WITHIN_S = 60
FORMED_WITHIN_S = 900
Row = dict[str, Any]


def measure(binaries: Path, size: int, trigger: str, delay_ms: int) -> Row:
    """Forms one mesh of `size` VPCs in a new sandbox."""
    scopes = lab.spread(size)
    with lab.started(binaries) as running:
        return _form(running, {lab.MESH: scopes}, trigger, delay_ms)


def measure_storm(binaries: Path, meshes: int, members: int) -> Row:
    """Forms several meshes at the same time, by events, in a new sandbox."""
    scopes = lab.spread(meshes * members)
    names = [f"storm-{number}" for number in range(meshes)]
    with lab.started(binaries) as running:
        running.deploy(names)
        parts = [scopes[number * members :][:members] for number in range(meshes)]
        return _form(running, dict(zip(names, parts, strict=True)), EVENTS, 0)


def _form(running: lab.Lab, meshes: dict[str, Sequence[Scope]], trigger: str, delay_ms: int) -> Row:
    members = {name: running.create_vpcs(scopes) for name, scopes in meshes.items()}
    running.until_swept()  # every function has handled a message, and every mesh has its record
    wanted = bound.forming_together(meshes.values(), lab.TABLES)
    with running.delayed_ec2(delay_ms):
        load = os.getloadavg()[0]
        before = cpu.seconds()
        started, tagged = _start(running, members, trigger)
        formed = running.until_routes(wanted.routes, FORMED_WITHIN_S)
        elapsed, used = time.time() - started, cpu.since(before)
        is_idle = running.until_idle(FOLLOW_UPS_WITHIN_S)
        log = running.log()
    for vpcs in members.values():
        if problems := running.mesh_problems(vpcs):
            raise AssertionError("\n".join(problems[:10]))
    return {
        "vpcs": sum(len(vpcs) for vpcs in members.values()),
        "meshes": len(members),
        "trigger": trigger,
        "delay_ms": delay_ms,
        "load": load,
        "bound": wanted.total,
        "bound_by_action": wanted.by_action(),
        "tagged_s": tagged - started,
        "seconds": _seconds(formed, started),
        "spans": _spans(formed, started),
        "cpu": {"elapsed_s": elapsed, **used},
        "formed": _counts(log.until(_complete(log, wanted))),
        "settled": _counts(log) | {"idle": is_idle},
    }


def _start(running: lab.Lab, members: dict[str, list[Vpc]], trigger: str) -> tuple[float, float]:
    """Tags the VPCs, or starts a sweep for VPCs with tags; returns when that began and when it was done."""
    tags = {vpc: name for name, vpcs in members.items() for vpc in vpcs}
    if trigger == EVENTS:
        running.control.clear_calls()
        return running.tag(tags)
    running.tag_unnoticed(tags)
    running.control.clear_calls()
    started = time.time()
    running.control.sweep()
    return started, time.time()


def _complete(log: Log, wanted: Bound) -> float:
    """Returns when every route, tag and status of the bound existed."""
    tags = sorted(log.successful_tags)[: wanted.accepter_tags + wanted.statuses]
    return max(log.last_route, *tags)


def _seconds(log: Log, started: float) -> dict[str, float]:
    """Returns the seconds from the start to the steps of the run."""
    first_call = min(call.time for call in chain(log.ec2, log.other))
    first_write = log.first(lambda call: call.is_write)
    times = {"first_call": first_call, "first_write": first_write, "last_route": log.last_route}
    return {name: at - started for name, at in times.items()}


def _spans(log: Log, started: float) -> dict[str, list[float]]:
    """Returns the seconds from the start to the first and to the last call of each API that writes."""
    times: dict[str, list[float]] = {}
    for call in log.ec2:
        if call.is_write:
            times.setdefault(call.action, []).append(call.time - started)
    return {action: [min(at), max(at)] for action, at in times.items()}


def _counts(log: Log) -> Row:
    return {
        "calls": len(log.ec2),
        "by_action": log.by_action(),
        "refused": log.refused(),
        "dynamodb": log.of_service("dynamodb"),
        "sqs": log.of_service("sqs"),
    }
