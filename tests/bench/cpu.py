"""The CPU time of the sandbox and of the functions, from /proc. Elsewhere than on Linux it is zero."""

import os
from pathlib import Path

GATEWAY, SERVICES, FUNCTIONS = "gateway", "services", "functions"
_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME, _PPID = 11, 12, 1


def seconds() -> dict[str, float]:
    """Returns the CPU seconds so far of the processes below this one, by part of the sandbox.

    The gateway has EC2 and STS, the services are the others of AWS, the functions are peerd's.
    """
    found = dict.fromkeys((GATEWAY, SERVICES, FUNCTIONS), 0.0)
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The second field is the command in brackets, which may contain spaces.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # the process has ended
        parents[int(process.name)] = int(fields[_PPID])
        used[int(process.name)] = (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS
    for pid, spent in used.items():
        if os.getpid() in _ancestors(pid, parents):
            found[_part(pid, parents)] += spent
    return found


def since(before: dict[str, float]) -> dict[str, float]:
    """Returns the CPU seconds since an earlier reading."""
    return {part: spent - before[part] for part, spent in seconds().items()}


def _ancestors(pid: int, parents: dict[int, int]) -> list[int]:
    found = []
    while (pid := parents.get(pid, 0)) and pid not in found:
        found.append(pid)
    return found


def _part(pid: int, parents: dict[int, int]) -> str:
    if parents[pid] == os.getpid():
        return GATEWAY
    return FUNCTIONS if _name(pid) == "bootstrap" else SERVICES


def _name(pid: int) -> str:
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name
    except OSError:
        return ""
