"""Runs `peerd doctor`, and breaks one thing of a deployment at a time.

A context manager breaks a thing and repairs it at the end, so that the next test finds a healthy deployment.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sandbox.client.model import DEPLOYMENT, HOME_REGION, HUB
from sandbox.client.sessions import Sessions
from tests.e2e.cli import Peerd
from tests.e2e.world import World, hub_outputs

HUB_PLACE = "the hub"
FUNCTIONS = ("vpc-events", "peering-events", "drift-repair")
# Calls of the user who runs `peerd doctor`, and of the role that the function assumes in each account.
BY_OPERATOR = {"principal": "*:user/*"}
BY_SPOKE_ROLE = {"principal": f"*:assumed-role/{DEPLOYMENT}-spoke/*"}
DENIED = {"code": "AccessDeniedException", "message": "not authorized", "status": 403}
DENIED_BY_EC2 = {"code": "UnauthorizedOperation", "message": "You are not authorized", "status": 403}


class Problem(NamedTuple):
    """A check that does not pass; `place` is `the hub` or a scope such as `222222222222/eu-west-1`."""

    place: str
    text: str
    remedy: str


class Doctor:
    """Runs `peerd doctor --json` of a deployment; its exit code must agree with its checks."""

    def __init__(self, peerd: Peerd) -> None:
        self._peerd = peerd

    def report(self, *arguments: str) -> dict[str, Any]:
        """Returns the JSON of a run."""
        result = self._peerd.run("doctor", "--json", *arguments)
        report = json.loads(result.out)
        failed = any(check["result"] == "fail" for _, check in _checks(report))
        assert report["healthy"] is not failed
        assert result.code == (1 if failed else 0), result.err
        return report

    def problems(self, *arguments: str) -> list[Problem]:
        """Returns every check that fails or warns."""
        checks = _checks(self.report(*arguments))
        found = [(place, it) for place, it in checks if it["result"] != "pass"]
        assert all(it["remedy"] for _, it in found), found
        return [Problem(place, it["text"], it["remedy"]) for place, it in found]

    def names(self, *expected: tuple[str, str]) -> None:
        """Fails unless exactly these checks fail or warn: each a place and a pattern of the whole text."""
        problems = self.problems()
        unexpected = [it for it in problems if not any(_matches(it, one) for one in expected)]
        missing = [one for one in expected if not any(_matches(it, one) for it in problems)]
        assert not unexpected and not missing, f"unexpected: {unexpected}; missing: {missing}"

    def texts(self, place: str) -> list[str]:
        """Returns the texts of all checks of a place."""
        return [check["text"] for at, check in _checks(self.report()) if at == place]


def _checks(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for check in report["hub"]:
        yield HUB_PLACE, check
    for scope in report["scopes"]:
        for check in scope["checks"]:
            yield f"{scope['account']}/{scope['region']}", check


def _matches(problem: Problem, expected: tuple[str, str]) -> bool:
    place, pattern = expected
    return problem.place == place and re.fullmatch(pattern, problem.text, re.DOTALL) is not None


@contextmanager
def temporarily(change: Callable[[], object], revert: Callable[[], object]) -> Iterator[None]:
    """Makes a change and reverts it at the end."""
    change()
    try:
        yield
    finally:
        revert()


def until_sweep_recorded(world: World, peerd: Peerd) -> None:
    """Runs a sweep and waits until its time is recorded; a new sandbox has none."""
    world.control.sweep()
    world.eventually(lambda: [] if "last sweep" in peerd.ok("status") else ["no sweep is recorded"])


# ---------------------------------------------------------------- roles


@contextmanager
def changed_trust(world: World, account: str, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """Changes the only statement of the trust policy of a spoke's role."""
    iam, name = world.sessions.client("iam", account), f"{DEPLOYMENT}-spoke"
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    changed = json.loads(json.dumps(trust))
    change(changed["Statement"][0])
    with _policy(iam.update_assume_role_policy, trust, changed, RoleName=name):
        # The processes of the functions keep the credentials of the role for an hour.
        world.until_idle()
        world.control.kill()
        yield
    world.control.kill()


@contextmanager
def without_statements(sessions: Sessions, account: str, *sids: str) -> Iterator[None]:
    """Removes statements from the policy of a spoke's role."""
    iam, names = sessions.client("iam", account), {"RoleName": f"{DEPLOYMENT}-spoke", "PolicyName": "mesh"}
    policy = iam.get_role_policy(**names)["PolicyDocument"]
    kept = [it for it in policy["Statement"] if it["Sid"] not in sids]
    assert len(kept) == len(policy["Statement"]) - len(sids), f"the policy has not all of {sids}"

    with _policy(iam.put_role_policy, policy, policy | {"Statement": kept}, **names):
        yield


def _policy(put: Callable[..., object], before: Any, after: Any, **names: str) -> Any:
    return temporarily(
        lambda: put(PolicyDocument=json.dumps(after), **names),
        lambda: put(PolicyDocument=json.dumps(before), **names),
    )


# ---------------------------------------------------------------- rules


class Rule:
    """A rule of EventBridge."""

    def __init__(
        self, sessions: Sessions, account: str, region: str, name: str, bus: str = "default"
    ) -> None:
        self._events = sessions.client("events", account, region)
        self._name, self._bus = {"Name": name, "EventBusName": bus}, {"Rule": name, "EventBusName": bus}

    def disabled(self) -> Any:
        """Disables the rule."""
        return temporarily(
            lambda: self._events.disable_rule(**self._name), lambda: self._events.enable_rule(**self._name)
        )

    def without_targets(self) -> Any:
        """Removes the targets."""
        targets = self._targets()
        return temporarily(
            lambda: self._events.remove_targets(**self._bus, Ids=[it["Id"] for it in targets]),
            lambda: self._events.put_targets(**self._bus, Targets=targets),
        )

    def with_another_target(self, arn: str) -> Any:
        """Replaces the targets with another one."""
        targets = self._targets()
        changed = [it | {"Arn": arn} for it in targets]
        return temporarily(
            lambda: self._events.put_targets(**self._bus, Targets=changed),
            lambda: self._events.put_targets(**self._bus, Targets=targets),
        )

    @contextmanager
    def deleted(self) -> Iterator[None]:
        """Deletes the rule."""
        rule, targets = self._events.describe_rule(**self._name), self._targets()
        self._events.remove_targets(**self._bus, Ids=[it["Id"] for it in targets])
        self._events.delete_rule(**self._name)
        try:
            yield
        finally:
            kept = {key: rule[key] for key in ("EventPattern", "Description", "State")}
            self._events.put_rule(**self._name, **kept)
            self._events.put_targets(**self._bus, Targets=targets)

    def is_enabled(self) -> bool:
        """Returns whether the rule is enabled."""
        return self._events.describe_rule(**self._name)["State"] == "ENABLED"

    def _targets(self) -> list[dict[str, Any]]:
        return self._events.list_targets_by_rule(**self._bus)["Targets"]


# ---------------------------------------------------------------- queues and the table


def dead_letter(sessions: Sessions, function: str) -> Any:
    """Sends a message to a dead-letter queue."""
    sqs = sessions.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{DEPLOYMENT}-{function}-dead-letters")["QueueUrl"]
    return temporarily(
        lambda: sqs.send_message(QueueUrl=url, MessageBody="{}"), lambda: sqs.purge_queue(QueueUrl=url)
    )


@contextmanager
def unread_queue(sessions: Sessions, function: str) -> Iterator[str]:
    """Disables the event source mapping of a function, and returns the URL of its queue."""
    functions, sqs = sessions.client("lambda"), sessions.client("sqs")
    name = f"{DEPLOYMENT}-{function}"
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield url
    finally:
        sqs.purge_queue(QueueUrl=url)
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@contextmanager
def last_sweep(sessions: Sessions, at: int | None) -> Iterator[None]:
    """Replaces the recorded time of the last sweep, in milliseconds; None removes it."""
    dynamodb, table = sessions.client("dynamodb"), hub_outputs(sessions)["TableName"]
    key = {"pk": {"S": "sweep"}, "sk": {"S": "sweep"}}
    before = dynamodb.get_item(TableName=table, Key=key)["Item"]
    dynamodb.delete_item(TableName=table, Key=key)
    if at is not None:
        dynamodb.put_item(TableName=table, Item=key | {"at": {"N": str(at)}})
    try:
        yield
    finally:
        dynamodb.put_item(TableName=table, Item=before)


def scope(account: str = HUB, region: str = HOME_REGION) -> str:
    """Returns the place of a scope's checks."""
    return f"{account}/{region}"
