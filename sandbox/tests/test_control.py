"""The control plane: what it obeys, and how it refuses what it does not understand."""

import json
import threading
from typing import Any

import pytest

from sandbox.control import CallLog, ControlPlane, Faults, parse_fault
from sandbox.settings import SETTINGS

CALLER = "arn:aws:sts::111111111111:assumed-role/peerd-spoke/peerd"


_QUIET = {"due": 0, "delayed": 0, "working": 0, "failed": 0}


class Plane:
    """A control plane whose other ends only take notes."""

    def __init__(self) -> None:
        self.faults, self.calls = Faults(), CallLog()
        self.dropped: list[bool] = []
        self.events, self.messages = 0, dict[str, int]()
        self.keys: list[tuple[str, ...]] = []
        self._plane = ControlPlane(
            self.faults,
            self.calls,
            sweep=lambda: ["sweep -> queue"],
            drop_events=self.dropped.append,
            kill_functions=lambda: {"killed": 3, "working": 1},
            activity=lambda: {"events": self.events, "queues": {"q": _QUIET | self.messages}},
            advance_queues=lambda failed: {"advanced": 3 if failed else 2},
            register_key=lambda *key: self.keys.append(key),
        )

    def ask(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        sent = raw if raw is not None else json.dumps(body).encode()
        answer = self._plane.answer(method, f"/_sandbox{path}", sent)
        return answer.status, json.loads(answer.body)


@pytest.fixture
def plane() -> Plane:
    return Plane()


def take(plane: Plane, service: str = "ec2", action: str = "DescribeVpcs") -> str | None:
    fault = plane.faults.take(service, action, "111111111111", "us-east-1", CALLER)
    return fault.code if fault else None


def test_a_fault_ends_after_its_times_and_one_without_times_never_ends(plane: Plane) -> None:
    plane.ask("POST", "/faults", [{"code": "A", "times": 2}, {"code": "B"}])
    assert [take(plane) for _ in range(4)] == ["A", "A", "B", "B"]


@pytest.mark.parametrize(
    ("fault", "hits"),
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
    plane: Plane, fault: dict[str, Any], hits: bool
) -> None:
    plane.ask("POST", "/faults", [fault | {"code": "X"}])
    assert (take(plane) == "X") is hits


def struck(plane: Plane, *faults: dict[str, Any], calls: int = 1000) -> list[str | None]:
    plane.ask("POST", "/faults", list(faults))
    return [take(plane) for _ in range(calls)]


def test_a_fault_with_a_percent_strikes_that_share_of_the_calls(plane: Plane) -> None:
    assert 250 < struck(plane, {"code": "A", "percent": 30}).count("A") < 350
    assert struck(plane, {"code": "A", "percent": 100}).count("A") == 1000
    assert 0 < struck(plane, {"code": "A", "percent": 1}).count("A") < 30


def test_the_same_faults_posted_again_strike_the_same_calls_and_another_seed_strikes_others(
    plane: Plane,
) -> None:
    fault = {"code": "A", "percent": 50}
    first = struck(plane, fault)
    assert struck(plane, fault) == first == struck(plane, fault | {"seed": 0})
    assert struck(plane, fault | {"seed": 1}) != first


def test_a_call_that_a_fault_spares_goes_on_to_the_next_fault(plane: Plane) -> None:
    taken = struck(plane, {"code": "A", "percent": 50}, {"code": "B", "percent": 50}, {"code": "C"})
    assert None not in taken
    assert 450 < taken.count("A") < 550
    assert 200 < taken.count("B") < 300


def test_the_times_of_a_fault_count_its_strikes_and_not_the_calls_that_it_spares(plane: Plane) -> None:
    taken = struck(plane, {"code": "A", "percent": 20, "times": 10})
    assert taken.count("A") == 10
    assert taken[:10].count("A") < 10


def test_a_new_list_of_faults_replaces_the_old_one(plane: Plane) -> None:
    plane.ask("POST", "/faults", [{"code": "Old"}])
    plane.ask("POST", "/faults", [{"code": "New", "service": "sts"}])
    assert (take(plane), take(plane, "sts")) == (None, "New")
    plane.ask("POST", "/faults", [])
    assert take(plane, "sts") is None


@pytest.mark.parametrize(
    ("fault", "named"),
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
def test_a_fault_that_makes_no_sense_is_refused_by_the_name_of_its_field_and_changes_nothing(
    plane: Plane, fault: Any, named: str
) -> None:
    plane.ask("POST", "/faults", [{"code": "Kept"}])
    status, answer = plane.ask("POST", "/faults", [{"code": "Fine"}, fault])
    assert status == 400
    assert answer["error"].startswith(named)
    assert take(plane) == "Kept"


def test_a_fault_has_ec2s_own_status_unless_it_names_another() -> None:
    assert parse_fault({"code": "RequestLimitExceeded"}, "f").answer_status == 503
    assert parse_fault({"code": "UnauthorizedOperation"}, "f").answer_status == 403
    assert parse_fault({"code": "InvalidVpcID.NotFound"}, "f").answer_status == 400
    assert parse_fault({"code": "Unavailable", "status": 500}, "f").answer_status == 500


def test_the_call_log_is_listed_and_emptied(plane: Plane) -> None:
    plane.calls.add("ec2", "CreateVpc", "222222222222", "eu-west-1", "arn:someone", "VpcLimitExceeded")
    status, (call,) = plane.ask("GET", "/calls")
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
    assert plane.ask("DELETE", "/calls") == (200, {})
    assert plane.ask("GET", "/calls") == (200, [])


def test_settings_are_changed_by_name_and_the_others_stay(plane: Plane) -> None:
    before = plane.ask("GET", "/settings")[1]
    try:
        status, after = plane.ask("POST", "/settings", {"provisioning_ms": 7})
        assert (status, after) == (200, before | {"provisioning_ms": 7})
    finally:
        plane.ask("POST", "/settings", before)
    assert plane.ask("GET", "/settings") == (200, before)


@pytest.mark.parametrize(
    "body", [{"latency": 1}, {"latency_ms": -1}, {"latency_ms": "1"}, {"latency_ms": True}]
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(plane: Plane, body: dict[str, Any]) -> None:
    status, answer = plane.ask("POST", "/settings", body)
    assert status == 400
    assert next(iter(body)) in answer["error"]


def test_the_clock_jumps_ahead(plane: Plane) -> None:
    before = SETTINGS.clock()
    status, _ = plane.ask("POST", "/clock", {"advance_s": 3600})
    assert status == 200
    assert 3600 <= SETTINGS.clock() - before < 3660


@pytest.mark.parametrize("seconds", [-1, "60", None, True])
def test_the_clock_does_not_take_anything_else_for_seconds(plane: Plane, seconds: Any) -> None:
    status, answer = plane.ask("POST", "/clock", {"advance_s": seconds})
    assert status == 400
    assert answer["error"].startswith("advance_s: must be a number of seconds")


def test_events_are_dropped_and_let_through_again(plane: Plane) -> None:
    assert plane.ask("POST", "/events/drop", {"drop": True}) == (200, {"drop": True})
    assert plane.ask("POST", "/events/drop", {"drop": False}) == (200, {"drop": False})
    assert plane.dropped == [True, False]
    status, answer = plane.ask("POST", "/events/drop", {"drop": "yes"})
    assert (status, answer["error"]) == (400, 'drop: must be true or false, is "yes"')


def test_a_sweep_says_what_it_sent(plane: Plane) -> None:
    assert plane.ask("POST", "/sweep", {}) == (200, {"sent": ["sweep -> queue"]})


def test_a_kill_says_how_many_processes_it_ended_and_how_many_of_them_worked(plane: Plane) -> None:
    assert plane.ask("POST", "/kill", {}) == (200, {"killed": 3, "working": 1})
    assert plane.ask("GET", "/kill") == (405, {"error": "/_sandbox/kill takes POST, not GET"})


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
def test_activity_is_busy_while_something_is_in_flight_and_waiting_for_what_comes_later(
    plane: Plane, events: int, messages: dict[str, int], state: str
) -> None:
    plane.events, plane.messages = events, messages
    status, activity = plane.ask("GET", "/activity")
    assert (status, activity["state"], activity["events"]) == (200, state, events)
    assert activity["queues"] == {"q": _QUIET | messages}


def test_changes_count_the_calls_that_change_something(plane: Plane) -> None:
    for action in ("DescribeVpcs", "CreateVpc", "GetItem", "PutItem", "AssumeRole"):
        plane.calls.add("any", action, "1", "r", "arn:someone", None)
    assert plane.ask("POST", "/changes", {"after": 1, "within_ms": 20_000}) == (200, {"changes": 2})
    assert plane.ask("GET", "/activity")[1]["changes"] == 2


def test_a_wait_for_changes_ends_with_the_next_one_or_when_its_time_is_over(plane: Plane) -> None:
    assert plane.ask("POST", "/changes", {"after": 0, "within_ms": 1}) == (200, {"changes": 0})
    later = threading.Timer(0.05, plane.calls.add, ("ec2", "CreateVpc", "1", "r", "arn:someone", None))
    later.start()
    assert plane.ask("POST", "/changes", {"after": 0, "within_ms": 20_000}) == (200, {"changes": 1})


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"after": -1, "within_ms": 1}, "after: must be a whole number"),
        ({"after": 1}, "within_ms: must be a whole number"),
        ({"after": 1, "within_ms": True}, "within_ms: must be a whole number"),
        ({"after": 1, "within_ms": 30_001}, "within_ms: must be at most 30000"),
    ],
)
def test_a_wait_that_makes_no_sense_is_refused_by_its_field(
    plane: Plane, body: dict[str, Any], named: str
) -> None:
    status, answer = plane.ask("POST", "/changes", body)
    assert (status, answer["error"].startswith(named)) == (400, True), answer


def test_queues_are_advanced_with_or_without_the_messages_that_failed(plane: Plane) -> None:
    assert plane.ask("POST", "/queues/advance", {"failed": False}) == (200, {"advanced": 2})
    assert plane.ask("POST", "/queues/advance", {"failed": True}) == (200, {"advanced": 3})
    assert plane.ask("POST", "/queues/advance", {})[1]["error"].startswith("failed: must be true or false")


def test_a_functions_key_must_be_whole(plane: Plane) -> None:
    key = {"access_key": "ASIA1", "account": "1" * 12, "role_arn": "arn:r", "session_name": "f"}
    assert plane.ask("POST", "/function-keys", key) == (200, {})
    assert plane.keys == [("ASIA1", "1" * 12, "arn:r", "f")]
    del key["role_arn"]
    assert plane.ask("POST", "/function-keys", key)[1]["error"].startswith("role_arn: must be a string")


def test_a_body_that_is_not_json_and_a_path_or_method_that_does_not_exist_are_refused(plane: Plane) -> None:
    assert plane.ask("POST", "/faults", raw=b"[{")[1]["error"].startswith("the body is not JSON")
    assert plane.ask("POST", "/faults", {"code": "X"})[1]["error"].startswith("the body must be a JSON list")
    status, answer = plane.ask("PUT", "/calls")
    assert (status, answer["error"]) == (405, "/_sandbox/calls takes DELETE or GET, not PUT")
    status, answer = plane.ask("GET", "/call")
    assert status == 404
    assert "/_sandbox/calls" in answer["error"]


def test_health_is_answered(plane: Plane) -> None:
    assert plane.ask("GET", "/health") == (200, {"status": "ok"})
