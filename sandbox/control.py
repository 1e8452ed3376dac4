"""The control plane `/_sandbox/*`: faults, the call log, settings, the sweep, events, kills, clocks.

It stores the faults and the call log and handles the control requests. The gateway applies the faults.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sandbox.iam.denials import denial_message
from sandbox.iam.model import Delivery
from sandbox.iam.policies import Policies
from sandbox.settings import SETTINGS
from sandbox.wire import Response

if TYPE_CHECKING:
    from sandbox.iam.authorizer import Authorizer  # its import takes a second: see running


class BadRequest(ValueError):
    """An invalid control request; the message names the field."""


@dataclass
class Fault:
    """A fault for `percent` of the matching calls. `times` counts down; None means no limit."""

    service: str = "*"
    action: str = "*"
    account: str = "*"
    region: str = "*"
    principal: str = "*"
    times: int | None = None
    percent: int = 100
    seed: int | None = None
    code: str | None = None
    status: int | None = None
    message: str | None = None
    delay_ms: int = 0
    when: str = "before"
    kill: bool = False

    @property
    def fails(self) -> bool:
        """Returns whether the call returns an error, rather than only a late response."""
        return self.code is not None or self.kill

    @property
    def error_code(self) -> str:
        return self.code or "InternalFailure"

    @property
    def error_status(self) -> int:
        """Returns EC2's status: 503 for throttling, 500 for server errors, 403 or 400 for client errors."""
        known = {"RequestLimitExceeded": 503, "InternalFailure": 500, "UnauthorizedOperation": 403}
        return self.status or known.get(self.error_code, 400)

    @property
    def error_message(self) -> str:
        return self.message or "The sandbox was configured to return this error (POST /_sandbox/faults)."

    def matches(self, service: str, action: str, account: str, region: str, principal: str) -> bool:
        wanted = (self.service, self.action, self.account, self.region, self.principal)
        given = (service, action, account, region, principal)
        return all(fnmatchcase(value, pattern) for value, pattern in zip(given, wanted, strict=True))


class Faults:
    """The list of faults. The first that matches a call, is not used up and does not skip it, applies.

    Each fault has its own random generator for `percent`: the same list affects the same calls of a sequence.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, random.Random]] = []

    def replace(self, faults: list[Fault]) -> None:
        seeded = [(fault, random.Random(_or(fault.seed, index))) for index, fault in enumerate(faults)]
        with self._lock:
            self._faults = seeded

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault, _ in self._faults]

    def match(self, service: str, action: str, account: str, region: str, principal: str) -> Fault | None:
        with self._lock:
            for fault, rng in self._faults:
                if fault.times == 0 or not fault.matches(service, action, account, region, principal):
                    continue
                if rng.randrange(100) >= fault.percent:
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


_MAX_WAIT_MS = 30_000
# The prefixes of read calls.
_READS = ("Describe", "Get", "List", "Query", "Scan", "BatchGet", "AssumeRole", "Head", "Receive")


class CallLog:
    """The AWS calls since the last reset, and the number of mutating calls since the start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._calls: list[dict[str, Any]] = []
        self._changes = 0

    def add(
        self, service: str, action: str, account: str, region: str, principal: str, error: str | None
    ) -> None:
        call = {
            "time": time.time(),
            "service": service,
            "action": action,
            "account": account,
            "region": region,
            "principal": principal,
            "error": error,
        }
        with self._lock:
            self._calls.append(call)
            if not action.startswith(_READS):
                self._changes += 1
                self._changed.notify_all()

    def changes(self, after: int, within: float) -> int:
        """Returns the number of mutating calls, as soon as it exceeds `after` or after `within` seconds."""
        with self._lock:
            self._changed.wait_for(lambda: self._changes > after, timeout=within)
            return self._changes

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        with self._lock:
            self._calls = []


_FAULT_FIELDS: dict[str, type] = {
    "service": str,
    "action": str,
    "account": str,
    "region": str,
    "principal": str,
    "times": int,
    "percent": int,
    "seed": int,
    "code": str,
    "status": int,
    "message": str,
    "delay_ms": int,
    "when": str,
    "kill": bool,
}
_KINDS = {str: "a string", int: "a whole number", bool: "true or false"}


def parse_fault(given: Any, where: str) -> Fault:
    """Parses a Fault from JSON; a missing or null field has its default value."""
    if not isinstance(given, dict):
        raise BadRequest(f"{where}: must be an object, is {json.dumps(given)}")
    values = {}
    for name, value in given.items():
        if name not in _FAULT_FIELDS:
            raise BadRequest(f"{where}.{name}: no such field; there are {', '.join(_FAULT_FIELDS)}")
        if value is None:
            continue
        wanted = _FAULT_FIELDS[name]
        if type(value) is not wanted:
            raise BadRequest(f"{where}.{name}: must be {_KINDS[wanted]}, is {json.dumps(value)}")
        if wanted is int and value < 0:
            raise BadRequest(f"{where}.{name}: must not be negative, is {value}")
        values[name] = value
    fault = Fault(**values)
    if fault.when not in ("before", "after"):
        raise BadRequest(f'{where}.when: must be "before" or "after", is {json.dumps(fault.when)}')
    if not 1 <= fault.percent <= 100:
        raise BadRequest(f"{where}.percent: must be a share of the calls (1 to 100), is {fault.percent}")
    if fault.status is not None and not 400 <= fault.status <= 599:
        raise BadRequest(f"{where}.status: must be an HTTP error status (400 to 599), is {fault.status}")
    if not fault.fails and not fault.delay_ms:
        raise BadRequest(
            f"{where}: needs a code (the error to answer), a delay_ms (how long to wait) or a kill, has none"
        )
    return fault


class ControlPlane:
    """Routes `/_sandbox/*`. The operations of other components are parameters.

    `sweep` invokes the schedule's targets and returns what it sent where; `drop_events` starts and stops
    dropping events; `kill_functions` kills the functions' processes and returns how many; `activity` counts
    the pending events, and the messages of each queue by state; `advance_queues` makes delayed messages due,
    and optionally failed ones; `register_key` registers an access key for the role of a Lambda function.
    `authorizer` has the deployed policies and the decisions.
    """

    def __init__(
        self,
        faults: Faults,
        calls: CallLog,
        authorizer: "Authorizer",
        sweep: Callable[[], list[str]],
        drop_events: Callable[[bool], None],
        kill_functions: Callable[[], dict[str, int]],
        activity: Callable[[], dict[str, Any]],
        advance_queues: Callable[[bool], dict[str, int]],
        register_key: Callable[[str, str, str, str, str], None],
    ) -> None:
        self._faults = faults
        self._calls = calls
        self._authorizer = authorizer
        self._activity = activity
        self._sweep = sweep
        self._drop_events = drop_events
        self._register_key = register_key
        self._routes: dict[tuple[str, str], Callable[[bytes], Any]] = {
            ("GET", "/_sandbox/health"): lambda body: {"status": "ok"},
            ("GET", "/_sandbox/faults"): lambda body: faults.listed(),
            ("POST", "/_sandbox/faults"): self._post_faults,
            ("GET", "/_sandbox/calls"): lambda body: calls.listed(),
            ("DELETE", "/_sandbox/calls"): lambda body: calls.clear() or {},
            ("GET", "/_sandbox/activity"): lambda body: self._get_activity(),
            ("POST", "/_sandbox/changes"): self._post_changes,
            ("POST", "/_sandbox/queues/advance"): lambda body: advance_queues(_flag(body, "failed")),
            ("GET", "/_sandbox/settings"): lambda body: SETTINGS.as_dict(),
            ("POST", "/_sandbox/settings"): self._post_settings,
            ("POST", "/_sandbox/sweep"): lambda body: {"sent": self._sweep()},
            ("POST", "/_sandbox/events/drop"): self._post_drop,
            ("POST", "/_sandbox/kill"): lambda body: kill_functions(),
            ("POST", "/_sandbox/clock"): self._post_clock,
            ("GET", "/_sandbox/decisions"): lambda body: [it.as_dict() for it in authorizer.recorded()],
            ("DELETE", "/_sandbox/decisions"): lambda body: authorizer.clear() or {},
            ("GET", "/_sandbox/policies"): lambda body: authorizer.policies.as_dict(),
            # For ministack, not for users: see ministack_child and ministack_policies.
            ("POST", "/_sandbox/function-keys"): self._post_function_key,
            ("POST", "/_sandbox/policies"): self._post_policies,
            ("POST", "/_sandbox/authorize"): self._post_delivery,
        }

    def handle(self, method: str, path: str, body: bytes) -> Response:
        handler = self._routes.get((method, path))
        if handler is None:
            return self._unknown(method, path)
        try:
            return _json(200, handler(body))
        except BadRequest as error:
            return _json(400, {"error": str(error)})

    def _unknown(self, method: str, path: str) -> Response:
        methods = sorted(known for known, at in self._routes if at == path)
        if methods:
            return _json(405, {"error": f"{path} takes {' or '.join(methods)}, not {method}"})
        paths = sorted({at for _, at in self._routes})
        return _json(404, {"error": f"{path} does not exist; there are {', '.join(paths)}"})

    def _post_faults(self, body: bytes) -> Any:
        given = _decode(body)
        if not isinstance(given, list):
            raise BadRequest(f"the body must be a JSON list of faults, is {json.dumps(given)[:80]}")
        self._faults.replace([parse_fault(fault, f"faults[{n}]") for n, fault in enumerate(given)])
        return self._faults.listed()

    def _post_settings(self, body: bytes) -> Any:
        given = _decode_object(body)
        try:
            SETTINGS.update(given)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        return SETTINGS.as_dict()

    def _post_drop(self, body: bytes) -> Any:
        drop = _flag(body, "drop")
        self._drop_events(drop)
        return {"drop": drop}

    def _get_activity(self) -> Any:
        activity = self._activity()
        in_flight = activity["events"] or any(q["due"] or q["working"] for q in activity["queues"].values())
        later = any(q["delayed"] or q["failed"] for q in activity["queues"].values())
        state = "busy" if in_flight else "waiting" if later else "idle"
        return {"state": state, "changes": self._calls.changes(0, 0), **activity}

    def _post_changes(self, body: bytes) -> Any:
        given = _decode_object(body)
        for name in ("after", "within_ms"):
            if type(given.get(name)) is not int or given[name] < 0:
                raise BadRequest(
                    f"{name}: must be a whole number, 0 or more, is {json.dumps(given.get(name))}"
                )
        if given["within_ms"] > _MAX_WAIT_MS:
            raise BadRequest(f"within_ms: must be at most {_MAX_WAIT_MS}, is {given['within_ms']}")
        return {"changes": self._calls.changes(given["after"], given["within_ms"] / 1000)}

    def _post_clock(self, body: bytes) -> Any:
        seconds = _decode_object(body).get("advance_s")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise BadRequest(f"advance_s: must be a number of seconds, 0 or more, is {json.dumps(seconds)}")
        SETTINGS.advance(seconds)
        return {"now": SETTINGS.clock()}

    def _post_function_key(self, body: bytes) -> Any:
        given = _decode_object(body)
        names = ("access_key", "account", "role_arn", "session_name", "function_arn")
        for name in names:
            if not isinstance(given.get(name), str):
                raise BadRequest(f"{name}: must be a string, is {json.dumps(given.get(name))}")
        self._register_key(*(given[name] for name in names))
        return {}

    def _post_policies(self, body: bytes) -> Any:
        given = _decode_object(body)
        try:
            self._authorizer.replace_policies(Policies.parse(given))
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRequest(
                f"the body must be the roles and resources with their policies: {error!r}"
            ) from error
        return {}

    def _post_delivery(self, body: bytes) -> Any:
        given = _decode_object(body)
        try:
            delivery = Delivery.parse(given)
        except (KeyError, TypeError) as error:
            raise BadRequest(f"the body must be a delivery: {error!r}") from error
        denied = self._authorizer.authorize_delivery(delivery)
        return {"allowed": denied is None, "reason": denial_message(denied) if denied else ""}


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


def _decode_object(body: bytes) -> dict[str, Any]:
    given = _decode(body)
    if not isinstance(given, dict):
        raise BadRequest(f"the body must be a JSON object, is {json.dumps(given)[:80]}")
    return given


def _flag(body: bytes, name: str) -> bool:
    given = _decode_object(body).get(name)
    if not isinstance(given, bool):
        raise BadRequest(f"{name}: must be true or false, is {json.dumps(given)}")
    return given


def _json(status: int, body: Any) -> Response:
    return Response(status, [("Content-Type", "application/json")], json.dumps(body).encode() + b"\n")
