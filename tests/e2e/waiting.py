"""Waiting for a state. No wait has a limit in seconds: it ends when the sandbox has nothing left to do.

The control plane reports what is in flight. While something is, the machine may take as long as it needs; as
soon as nothing is, what is still wrong stays wrong, and the wait fails at once and says so.
"""

import time
from collections.abc import Callable

from sandbox.client.control import Control

Problems = Callable[[], list[str]]
"""What is still wrong, one line each."""

# Enough for every follow-up that a mesh has, and for every sweep that a mesh needs under faults.
MAX_ADVANCES = 60
MAX_NUDGES = 100
# A look costs several calls. After a change the next look waits for this long, since changes come in bursts.
_PAUSE_S = 0.1
# What only time changes (a peering that is provisioned) is looked at this often.
_LOOK_EVERY_S = 1.0


def until(control: Control, problems: Problems) -> float:
    """Looks until nothing is wrong, and answers after how many seconds that was."""
    began = time.monotonic()
    idle_since: float | None = None
    while True:
        activity = control.activity()  # before the look: what it then shows is what stays
        now = time.monotonic()
        idle_since = (idle_since or now) if activity["state"] == "idle" else None
        left = problems()
        if not left:
            return time.monotonic() - began
        if idle_since is not None and now - idle_since >= _settles_within(control):
            raise AssertionError(_still(left, "nothing is in flight any more"))
        control.changes(after=activity["changes"], within=_LOOK_EVERY_S)
        time.sleep(_PAUSE_S)


def until_quiet(control: Control) -> None:
    """Waits until peerd has nothing more to do, now or later: delayed messages come due at once."""
    advances = 0
    while (activity := control.activity())["state"] != "idle":
        delayed = {name: it["delayed"] for name, it in activity["queues"].items() if it["delayed"]}
        if activity["state"] == "busy":
            control.changes(after=activity["changes"], within=_PAUSE_S)
        elif not delayed:
            return  # what failed comes again, but not before the test ends
        elif advances == MAX_ADVANCES:
            raise AssertionError(f"peerd goes on sending itself messages: {delayed}")
        else:
            control.advance_queues()
            advances += 1


def sweep_until(control: Control, problems: Problems) -> float:
    """Looks until nothing is wrong; whenever nothing is being done, a sweep comes as by the schedule."""

    def sweep() -> None:
        control.sweep()
        control.advance_queues()

    return nudge_until(control, problems, sweep)


def nudge_until(control: Control, problems: Problems, nudge: Callable[[], object]) -> float:
    """Looks until nothing is wrong; whenever nothing is being done, it nudges."""
    began = time.monotonic()
    nudges = 0
    while True:
        activity = control.activity()
        left = problems()
        if not left:
            return time.monotonic() - began
        if activity["state"] != "busy":
            if nudges == MAX_NUDGES:
                raise AssertionError(_still(left, f"{nudges} sweeps or retries were not enough"))
            nudge()
            nudges += 1
        control.changes(after=activity["changes"], within=_LOOK_EVERY_S)
        time.sleep(_PAUSE_S)


def until_done(control: Control) -> None:
    """Waits until no message is left, those that failed included, which come again at once."""
    for _ in range(MAX_ADVANCES):
        until_quiet(control)
        if not control.advance_queues(failed=True):
            return
    raise AssertionError(f"messages keep failing: {control.activity()}")


def _settles_within(control: Control) -> float:
    """The seconds after which time alone changes nothing more."""
    settings = control.current_settings()
    return sum(settings[name] for name in ("provisioning_ms", "visibility_ms", "stale_ms")) / 1000


def _still(left: list[str], why: str) -> str:
    return f"{why}, and still:\n  " + "\n  ".join(left)
