"""Sweeps with nothing to do: EC2 calls against scopes and against meshes."""

import os
from pathlib import Path
from typing import Any

from sandbox.client.model import ACCOUNTS, Vpc
from tests.bench import lab

MEMBERS = 2
"""Members of each mesh, in different scopes if there are several."""


def measure(binaries: Path, scopes: int, meshes: int) -> dict[str, Any]:
    """Forms small meshes in a new sandbox and counts the calls of one sweep after that."""
    names = [f"idle-{number}" for number in range(meshes)]
    known = lab.SCOPES[:scopes]
    with lab.started(binaries) as running:
        running.deploy(names, sorted({scope.account for scope in known}))
        vpcs = running.create_vpcs(lab.spread(MEMBERS * meshes, known))
        tags: dict[Vpc, str] = {vpc: names[at // MEMBERS] for at, vpc in enumerate(vpcs)}
        running.tag(tags)
        running.skip_delays()
        running.until_swept()  # the first sweep may record what it sees for the first time
        load = os.getloadavg()[0]
        running.control.clear_calls()
        running.until_swept()
        log = running.log()
        problems = [
            it for at in range(meshes) for it in running.mesh_problems(vpcs[at * MEMBERS :][:MEMBERS])
        ]
    if problems:
        raise AssertionError("\n".join(problems[:10]))
    return {
        "scopes": scopes,
        "meshes": meshes,
        "accounts": len(ACCOUNTS[: (scopes + 1) // 2]),
        "load": load,
        "calls": len(log.ec2),
        "writes": sum(call.is_write for call in log.ec2),
        "by_action": log.by_action(),
        "dynamodb": log.of_service("dynamodb"),
        "sqs": log.of_service("sqs"),
    }
