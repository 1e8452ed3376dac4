"""The control plane: its requests, and the errors for invalid ones."""

import json
import threading
from typing import Any

import pytest

from sandbox.control import CallLog, ControlPlane, Faults, parse_fault
from sandbox.iam.authorizer import Authorizer
from sandbox.settings import SETTINGS

CALLER = "arn:aws:sts::111111111111:assumed-role/peerd-spoke/peerd"


_EMPTY_QUEUE = {"due": 0, "delayed": 0, "working": 0, "failed": 0}


class Plane:
    """A control plane with stubs for the other components."""

    def __init__(self) -> None:
        self.faults, self.calls, self.authorizer = Faults(), CallLog(), Authorizer()
        self.dropped: list[bool] = []
        self.events, self.messages = 0, dict[str, int]()
        self.keys: list[tuple[str, ...]] = []
        self._plane = ControlPlane(
            self.faults,
            self.calls,
            self.authorizer,
            sweep=lambda: ["sweep -> queue"],
            drop_events=self.dropped.append,
            kill_functions=lambda: {"killed": 3, "working": 1},
            activity=lambda: {"events": self.events, "queues": {"q": _EMPTY_QUEUE | self.messages}},
            advance_queues=lambda failed: {"advanced": 3 if failed else 2},
            register_key=lambda *key: self.keys.append(key),
        )

    def request(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        sent = raw if raw is not None else json.dumps(body).encode()
        response = self._plane.handle(method, f"/_sandbox{path}", sent)
        return response.status, json.loads(response.body)


@pytest.fixture
def plane() -> Plane:
    return Plane()


def match(plane: Plane, service: str = "ec2", action: str = "DescribeVpcs") -> str | None:
    fault = plane.faults.match(service, action, "111111111111", "us-east-1", CALLER)
    return fault.code if fault else None


def test_a_fault_expires_after_its_times_and_one_without_times_never_expires(plane: Plane) -> None:
    plane.request("POST", "/faults", [{"code": "A", "times": 2}, {"code": "B"}])
    assert [match(plane) for _ in range(4)] == ["A", "A", "B", "B"]


@pytest.mark.parametrize(
    ("fault", "matches"),
    [
        ({}, True),
        ({"service": "ec2"}, True),
        ({"service": "sts"}, False),
        ({"action": "Describe*"}, True),
        ({"action": "describe*"}, False),
        ({"account": "1111*", "region": "us-*"}, True),
        ({"account": "222222222222"}, False),
        ({"region": "eu-west-1"}, False),
        ({"principal": "*:assumed-role/peerd-*"}, True),
        ({"principal": "*:assumed-role/sandbox-admin/*"}, False),
        ({"service": None, "account": None}, True),
    ],
)
def test_a_fault_matches_by_globs_and_a_missing_field_matches_all(
    plane: Plane, fault: dict[str, Any], matches: bool
) -> None:
    plane.request("POST", "/faults", [fault | {"code": "X"}])
    assert (match(plane) == "X") is matches


def match_calls(plane: Plane, *faults: dict[str, Any], calls: int = 1000) -> list[str | None]:
    plane.request("POST", "/faults", list(faults))
    return [match(plane) for _ in range(calls)]


def test_a_fault_with_a_percent_applies_to_that_share_of_the_calls(plane: Plane) -> None:
    assert 250 < match_calls(plane, {"code": "A", "percent": 30}).count("A") < 350
    assert match_calls(plane, {"code": "A", "percent": 100}).count("A") == 1000
    assert 0 < match_calls(plane, {"code": "A", "percent": 1}).count("A") < 30


def test_the_same_faults_posted_again_affect_the_same_calls_and_another_seed_affects_others(
    plane: Plane,
) -> None:
    fault = {"code": "A", "percent": 50}
    first = match_calls(plane, fault)
    assert match_calls(plane, fault) == first == match_calls(plane, fault | {"seed": 0})
    assert match_calls(plane, fault | {"seed": 1}) != first


def test_a_call_that_a_fault_skips_is_matched_with_the_next_fault(plane: Plane) -> None:
    codes = match_calls(plane, {"code": "A", "percent": 50}, {"code": "B", "percent": 50}, {"code": "C"})
    assert None not in codes
    assert 450 < codes.count("A") < 550
    assert 200 < codes.count("B") < 300


def test_the_times_of_a_fault_count_injected_faults_and_not_skipped_calls(plane: Plane) -> None:
    codes = match_calls(plane, {"code": "A", "percent": 20, "times": 10})
    assert codes.count("A") == 10
    assert codes[:10].count("A") < 10


def test_a_new_list_of_faults_replaces_the_old_one(plane: Plane) -> None:
    plane.request("POST", "/faults", [{"code": "Old"}])
    plane.request("POST", "/faults", [{"code": "New", "service": "sts"}])
    assert (match(plane), match(plane, "sts")) == (None, "New")
    plane.request("POST", "/faults", [])
    assert match(plane, "sts") is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"cod": "X"}, "faults[1].cod: no such field"),
        ({"code": "X", "times": "2"}, "faults[1].times: must be a whole number"),
        ({"code": "X", "times": True}, "faults[1].times: must be a whole number"),
        ({"code": "X", "times": -1}, "faults[1].times: must not be negative"),
        ({"code": "X", "percent": 0}, "faults[1].percent: must be a share of the calls (1 to 100), is 0"),
        ({"code": "X", "percent": 101}, "faults[1].percent: must be a share of the calls (1 to 100), is 101"),
        ({"code": "X", "percent": 1.5}, "faults[1].percent: must be a whole number"),
        ({"code": "X", "percent": "30"}, "faults[1].percent: must be a whole number"),
        ({"code": "X", "seed": -1}, "faults[1].seed: must not be negative"),
        ({"code": "X", "seed": True}, "faults[1].seed: must be a whole number"),
        ({"code": 5}, "faults[1].code: must be a string"),
        ({"code": "X", "status": 200}, "faults[1].status: must be an HTTP error status"),
        ({"code": "X", "when": "later"}, "faults[1].when: must be"),
        ({"kill": 1}, "faults[1].kill: must be true or false"),
        ({"kill": False}, "faults[1]: needs a code"),
        ({"service": "ec2"}, "faults[1]: needs a code"),
        ("X", "faults[1]: must be an object"),
    ],
)
def test_an_invalid_fault_is_rejected_with_the_name_of_its_field_and_changes_nothing(
    plane: Plane, fault: Any, error: str
) -> None:
    plane.request("POST", "/faults", [{"code": "Kept"}])
    status, response = plane.request("POST", "/faults", [{"code": "Fine"}, fault])
    assert status == 400
    assert response["error"].startswith(error)
    assert match(plane) == "Kept"


def test_a_fault_has_the_status_of_ec2_unless_it_sets_another() -> None:
    assert parse_fault({"code": "RequestLimitExceeded"}, "f").error_status == 503
    assert parse_fault({"code": "UnauthorizedOperation"}, "f").error_status == 403
    assert parse_fault({"code": "InvalidVpcID.NotFound"}, "f").error_status == 400
    assert parse_fault({"code": "Unavailable", "status": 500}, "f").error_status == 500


def test_the_call_log_is_listed_and_cleared(plane: Plane) -> None:
    plane.calls.add("ec2", "CreateVpc", "222222222222", "eu-west-1", "arn:someone", "VpcLimitExceeded")
    status, (call,) = plane.request("GET", "/calls")
    assert status == 200
    assert call.pop("time") > 0
    assert call == {
        "service": "ec2",
        "action": "CreateVpc",
        "account": "222222222222",
        "region": "eu-west-1",
        "principal": "arn:someone",
        "error": "VpcLimitExceeded",
    }
    assert plane.request("DELETE", "/calls") == (200, {})
    assert plane.request("GET", "/calls") == (200, [])


def test_settings_are_changed_by_name_and_the_others_are_kept(plane: Plane) -> None:
    before = plane.request("GET", "/settings")[1]
    try:
        status, after = plane.request("POST", "/settings", {"provisioning_ms": 7})
        assert (status, after) == (200, before | {"provisioning_ms": 7})
    finally:
        plane.request("POST", "/settings", before)
    assert plane.request("GET", "/settings") == (200, before)


@pytest.mark.parametrize(
    "body", [{"latency": 1}, {"latency_ms": -1}, {"latency_ms": "1"}, {"latency_ms": True}]
)
def test_an_invalid_setting_is_rejected_with_its_name(plane: Plane, body: dict[str, Any]) -> None:
    status, response = plane.request("POST", "/settings", body)
    assert status == 400
    assert next(iter(body)) in response["error"]


def test_the_clock_is_advanced(plane: Plane) -> None:
    before = SETTINGS.clock()
    status, _ = plane.request("POST", "/clock", {"advance_s": 3600})
    assert status == 200
    assert 3600 <= SETTINGS.clock() - before < 3660


@pytest.mark.parametrize("seconds", [-1, "60", None, True])
def test_the_clock_rejects_anything_but_a_number_of_seconds(plane: Plane, seconds: Any) -> None:
    status, response = plane.request("POST", "/clock", {"advance_s": seconds})
    assert status == 400
    assert response["error"].startswith("advance_s: must be a number of seconds")


def test_events_are_dropped_and_delivered_again(plane: Plane) -> None:
    assert plane.request("POST", "/events/drop", {"drop": True}) == (200, {"drop": True})
    assert plane.request("POST", "/events/drop", {"drop": False}) == (200, {"drop": False})
    assert plane.dropped == [True, False]
    status, response = plane.request("POST", "/events/drop", {"drop": "yes"})
    assert (status, response["error"]) == (400, 'drop: must be true or false, is "yes"')


def test_a_sweep_returns_what_it_sent(plane: Plane) -> None:
    assert plane.request("POST", "/sweep", {}) == (200, {"sent": ["sweep -> queue"]})


def test_a_kill_returns_how_many_processes_it_killed_and_how_many_were_working(plane: Plane) -> None:
    assert plane.request("POST", "/kill", {}) == (200, {"killed": 3, "working": 1})
    assert plane.request("GET", "/kill") == (405, {"error": "/_sandbox/kill takes POST, not GET"})


@pytest.mark.parametrize(
    ("events", "messages", "state"),
    [
        (0, {}, "idle"),
        (1, {}, "busy"),
        (0, {"due": 1}, "busy"),
        (0, {"working": 1}, "busy"),
        (0, {"delayed": 1}, "waiting"),
        (0, {"failed": 1}, "waiting"),
        (0, {"failed": 1, "working": 1}, "busy"),
    ],
)
def test_activity_is_busy_while_work_is_in_flight_and_waiting_while_work_is_delayed(
    plane: Plane, events: int, messages: dict[str, int], state: str
) -> None:
    plane.events, plane.messages = events, messages
    status, activity = plane.request("GET", "/activity")
    assert (status, activity["state"], activity["events"]) == (200, state, events)
    assert activity["queues"] == {"q": _EMPTY_QUEUE | messages}


def test_changes_count_the_mutating_calls(plane: Plane) -> None:
    for action in ("DescribeVpcs", "CreateVpc", "GetItem", "PutItem", "AssumeRole"):
        plane.calls.add("any", action, "1", "r", "arn:someone", None)
    assert plane.request("POST", "/changes", {"after": 1, "within_ms": 20_000}) == (200, {"changes": 2})
    assert plane.request("GET", "/activity")[1]["changes"] == 2


def test_a_wait_for_changes_ends_with_the_next_change_or_its_time_limit(plane: Plane) -> None:
    assert plane.request("POST", "/changes", {"after": 0, "within_ms": 1}) == (200, {"changes": 0})
    later = threading.Timer(0.05, plane.calls.add, ("ec2", "CreateVpc", "1", "r", "arn:someone", None))
    later.start()
    assert plane.request("POST", "/changes", {"after": 0, "within_ms": 20_000}) == (200, {"changes": 1})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"after": -1, "within_ms": 1}, "after: must be a whole number"),
        ({"after": 1}, "within_ms: must be a whole number"),
        ({"after": 1, "within_ms": True}, "within_ms: must be a whole number"),
        ({"after": 1, "within_ms": 30_001}, "within_ms: must be at most 30000"),
    ],
)
def test_an_invalid_wait_is_rejected_with_the_name_of_its_field(
    plane: Plane, body: dict[str, Any], error: str
) -> None:
    status, response = plane.request("POST", "/changes", body)
    assert (status, response["error"].startswith(error)) == (400, True), response


def test_queues_are_advanced_with_or_without_the_messages_that_failed(plane: Plane) -> None:
    assert plane.request("POST", "/queues/advance", {"failed": False}) == (200, {"advanced": 2})
    assert plane.request("POST", "/queues/advance", {"failed": True}) == (200, {"advanced": 3})
    assert plane.request("POST", "/queues/advance", {})[1]["error"].startswith(
        "failed: must be true or false"
    )


def test_a_function_key_must_be_complete(plane: Plane) -> None:
    names = ("access_key", "account", "role_arn", "session_name", "function_arn")
    key = dict(zip(names, ("ASIA1", "1" * 12, "arn:r", "f", "arn:f"), strict=True))
    assert plane.request("POST", "/function-keys", key) == (200, {})
    assert plane.keys == [tuple(key.values())]
    del key["role_arn"]
    assert plane.request("POST", "/function-keys", key)[1]["error"].startswith("role_arn: must be a string")


def test_a_body_that_is_not_json_and_an_unknown_path_or_method_are_rejected(plane: Plane) -> None:
    assert plane.request("POST", "/faults", raw=b"[{")[1]["error"].startswith("the body is not JSON")
    assert plane.request("POST", "/faults", {"code": "X"})[1]["error"].startswith(
        "the body must be a JSON list"
    )
    status, response = plane.request("PUT", "/calls")
    assert (status, response["error"]) == (405, "/_sandbox/calls takes DELETE or GET, not PUT")
    status, response = plane.request("GET", "/call")
    assert status == 404
    assert "/_sandbox/calls" in response["error"]


def test_health_is_ok(plane: Plane) -> None:
    assert plane.request("GET", "/health") == (200, {"status": "ok"})
