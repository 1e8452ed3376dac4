"""Waits for a state. No wait has a limit in seconds: it ends when the sandbox has no work left.

The control plane reports the work in flight. While there is any, a wait takes as long as the machine needs.
When there is none, the remaining problems are permanent, and the wait fails with a list of them.
"""

import time
from collections.abc import Callable

from sandbox.client.control import Control

Problems = Callable[[], list[str]]
"""Returns the remaining problems, one line each."""

# Limits for the follow-ups of a mesh, and for the sweeps that a mesh needs under faults.
MAX_ADVANCES = 60
MAX_RETRIES = 100
# A poll takes several calls. After a change the next poll waits this long, since changes come in bursts.
_PAUSE_S = 0.1
# The poll interval for what changes with time alone, such as a peering that is provisioning.
_POLL_INTERVAL_S = 1.0


def until(control: Control, problems: Problems) -> float:
    """Polls until no problem remains; returns the elapsed seconds."""
    started = time.monotonic()
    idle_since: float | None = None
    while True:
        activity = control.activity()  # read before the poll: if it is idle, the poll shows the final state
        now = time.monotonic()
        idle_since = (idle_since or now) if activity["state"] == "idle" else None
        remaining = problems()
        if not remaining:
            return time.monotonic() - started
        if idle_since is not None and now - idle_since >= _settling_seconds(control):
            raise AssertionError(_failure(remaining, "nothing is in flight"))
        control.changes(after=activity["changes"], within=_POLL_INTERVAL_S)
        time.sleep(_PAUSE_S)


def until_idle(control: Control) -> None:
    """Waits until peerd has no work left; makes delayed messages due immediately."""
    advances = 0
    while (activity := control.activity())["state"] != "idle":
        delayed = {name: it["delayed"] for name, it in activity["queues"].items() if it["delayed"]}
        if activity["state"] == "busy":
            control.changes(after=activity["changes"], within=_PAUSE_S)
        elif not delayed:
            return  # the queue redelivers failed messages, but not before the test ends
        elif advances == MAX_ADVANCES:
            raise AssertionError(f"peerd keeps sending itself messages: {delayed}")
        else:
            control.advance_queues()
            advances += 1


def sweep_until(control: Control, problems: Problems) -> float:
    """Polls until no problem remains; starts a sweep whenever the sandbox is not busy."""

    def sweep() -> None:
        control.sweep()
        control.advance_queues()

    return retry_until(control, problems, sweep)


def retry_until(control: Control, problems: Problems, retry: Callable[[], object]) -> float:
    """Polls until no problem remains; calls `retry` whenever the sandbox is not busy."""
    started = time.monotonic()
    retries = 0
    while True:
        activity = control.activity()
        remaining = problems()
        if not remaining:
            return time.monotonic() - started
        if activity["state"] != "busy":
            if retries == MAX_RETRIES:
                raise AssertionError(_failure(remaining, f"{retries} sweeps or retries were not enough"))
            retry()
            retries += 1
        control.changes(after=activity["changes"], within=_POLL_INTERVAL_S)
        time.sleep(_PAUSE_S)


def until_drained(control: Control) -> None:
    """Waits until no message is left; redelivers failed messages immediately."""
    for _ in range(MAX_ADVANCES):
        until_idle(control)
        if not control.advance_queues(failed=True):
            return
    raise AssertionError(f"messages keep failing: {control.activity()}")


def _settling_seconds(control: Control) -> float:
    """Returns the seconds after which time alone changes nothing."""
    settings = control.current_settings()
    return sum(settings[name] for name in ("provisioning_ms", "visibility_ms", "stale_ms")) / 1000


def _failure(remaining: list[str], reason: str) -> str:
    return f"{reason}, and still:\n  " + "\n  ".join(remaining)
