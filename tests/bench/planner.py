"""Plans of converged deployments: time and memory, without AWS."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.bench.machine import ROOT


@cache
def _binary() -> Path:
    """Builds the program that plans, with the profile of the simulator, and returns it."""
    build = ["cargo", "build", "--locked", "--quiet", "--profile", "sim"]
    subprocess.run([*build, "-p", "peerd-testkit", "--bin", "plan_bench"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "sim" / "plan_bench"


def measure(meshes: int, members: int) -> dict[str, Any]:
    """Plans every mesh of a deployment with two route tables for each VPC; nothing may be to do."""
    load = os.getloadavg()[0]
    command = [_binary(), str(meshes), str(members), "2"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {**json.loads(printed), "members": members, "load": load}
