"""A client of the sandbox's control plane: faults, settings, the call log, sweeps, events, kills, clocks."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.iam.model import Recorded
from sandbox.iam.policies import Policies


class ControlError(RuntimeError):
    """The control plane rejected a request; the message comes from the control plane."""


class Control:
    """One method per documented request of `/_sandbox/`."""

    def __init__(self, endpoint: str) -> None:
        self._base = endpoint.rstrip("/") + "/_sandbox"

    def faults(self, *faults: dict[str, Any]) -> None:
        """Replaces all faults with these; without arguments, clears them."""
        self._request("POST", "/faults", list(faults))

    @contextmanager
    def injected_faults(self, *faults: dict[str, Any]) -> Iterator[None]:
        """Replaces all faults with these, and clears them at the end."""
        self.faults(*faults)
        try:
            yield
        finally:
            self.faults()

    def list_faults(self) -> list[dict[str, Any]]:
        """Returns the faults of the last post, each with its remaining `times`."""
        return self._request("GET", "/faults")

    def settings(self, **settings: int) -> None:
        """Changes these settings and keeps the others."""
        self._request("POST", "/settings", settings)

    def current_settings(self) -> dict[str, int]:
        """Returns the current settings."""
        return self._request("GET", "/settings")

    def calls(self) -> list[dict[str, Any]]:
        """Returns the AWS calls since the log was last cleared."""
        return self._request("GET", "/calls")

    def clear_calls(self) -> None:
        """Clears the call log."""
        self._request("DELETE", "/calls")

    def decisions(self) -> list[Recorded]:
        """Returns the distinct authorizations since they were last cleared."""
        return [Recorded.parse(it) for it in self._request("GET", "/decisions")]

    def clear_decisions(self) -> None:
        """Clears the recorded authorizations."""
        self._request("DELETE", "/decisions")

    def policies(self) -> Policies:
        """Returns the deployed policies."""
        return Policies.parse(self._request("GET", "/policies"))

    def activity(self) -> dict[str, Any]:
        """Returns what is in flight; `state` is `busy`, `waiting` (delayed or failed messages) or `idle`."""
        return self._request("GET", "/activity")

    def changes(self, after: int, within: float) -> int:
        """Returns the number of mutating calls as soon as it exceeds `after`, or after `within` seconds."""
        body = {"after": after, "within_ms": round(within * 1000)}
        return self._request("POST", "/changes", body)["changes"]

    def advance_queues(self, failed: bool = False) -> int:
        """Makes every delayed message, and optionally every failed one, due now; returns how many."""
        return self._request("POST", "/queues/advance", {"failed": failed})["advanced"]

    def sweep(self) -> None:
        """Invokes the target of the schedule now."""
        self._request("POST", "/sweep", {})

    def drop_events(self, drop: bool) -> None:
        """Starts or stops dropping every event."""
        self._request("POST", "/events/drop", {"drop": drop})

    def kill(self) -> dict[str, int]:
        """Kills the functions' processes; returns how many were `killed`, and how many were `working`."""
        return self._request("POST", "/kill", {})

    def advance_clock(self, seconds: int) -> None:
        """Advances EC2's clock. It cannot be turned back."""
        self._request("POST", "/clock", {"advance_s": seconds})

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace").strip()
            raise ControlError(f"{method} {path} returned {error.code}: {detail}") from error
        return json.loads(text) if text.strip() else None
