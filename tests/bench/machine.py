"""The machine, the versions and the binaries of a run."""

import hashlib
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BINARIES = ("vpc-events", "peering-events", "drift-repair", "peerd")
_KILOBYTES_PER_GB = 1 << 20


def describe(binaries: Path) -> dict[str, Any]:
    """Returns what a reader needs to compare two runs."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(
            int((_field(Path("/proc/meminfo"), "MemTotal") or "0").split()[0]) / _KILOBYTES_PER_GB
        ),
        "load": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rustc": _output("rustc", "--version"),
        "commit": _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "changed_files": _changed_files(),
        "binaries": {name: _digest(binaries / name) for name in BINARIES},
    }


def _changed_files() -> int:
    """Returns the number of files that differ from the commit, without those of the benchmarks."""
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain").splitlines()
    return sum("bench" not in line for line in changed)


def _field(file: Path, name: str) -> str:
    if not file.exists():
        return ""
    lines = (line.partition(":") for line in file.read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]
