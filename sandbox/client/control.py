"""Asks the sandbox's control plane: faults, settings, the call log, sweeps, lost events, kills, clocks."""

import json
import urllib.error
import urllib.request
from typing import Any


class ControlError(RuntimeError):
    """The control plane refused a request; the message is its own."""


class Control:
    """One method per documented request of `/_sandbox/`."""

    def __init__(self, endpoint: str) -> None:
        self._base = endpoint.rstrip("/") + "/_sandbox"

    def faults(self, *faults: dict[str, Any]) -> None:
        """Replaces every fault by these; none clears them."""
        self._ask("POST", "/faults", list(faults))

    def listed_faults(self) -> list[dict[str, Any]]:
        """Every fault that was posted last, with the `times` that are left of it."""
        return self._ask("GET", "/faults")

    def settings(self, **settings: int) -> None:
        """Changes these settings and leaves the others."""
        self._ask("POST", "/settings", settings)

    def current_settings(self) -> dict[str, int]:
        """All settings as they are now."""
        return self._ask("GET", "/settings")

    def calls(self) -> list[dict[str, Any]]:
        """The AWS calls since the log was last emptied."""
        return self._ask("GET", "/calls")

    def forget_calls(self) -> None:
        """Empties the call log."""
        self._ask("DELETE", "/calls")

    def activity(self) -> dict[str, Any]:
        """What is in flight: `state` is `busy`, `waiting` (for delayed or failed messages only) or `idle`."""
        return self._ask("GET", "/activity")

    def changes(self, after: int, within: float) -> int:
        """How many calls may have changed something: as soon as more than `after`, or these seconds later."""
        body = {"after": after, "within_ms": round(within * 1000)}
        return self._ask("POST", "/changes", body)["changes"]

    def advance_queues(self, failed: bool = False) -> int:
        """Makes every delayed message due now, and on request those that failed; returns how many."""
        return self._ask("POST", "/queues/advance", {"failed": failed})["advanced"]

    def sweep(self) -> None:
        """Fires the schedule's target now."""
        self._ask("POST", "/sweep", {})

    def drop_events(self, drop: bool) -> None:
        """Loses every event from now on, or none."""
        self._ask("POST", "/events/drop", {"drop": drop})

    def kill(self) -> dict[str, int]:
        """Kills the functions' processes: how many were `killed`, and how many of those were `working`."""
        return self._ask("POST", "/kill", {})

    def advance_clock(self, seconds: int) -> None:
        """Lets EC2's clock jump ahead. There is no way back."""
        self._ask("POST", "/clock", {"advance_s": seconds})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace").strip()
            raise ControlError(f"{method} {path} answered {error.code}: {detail}") from error
        return json.loads(text) if text.strip() else None
