"""The whole sandbox as a process, with a stand-in for the functions: its start, its services, its end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.client.control import Control
from sandbox.client.process import SandboxFailed, SandboxProcess
from sandbox.client.sessions import Sessions
from sandbox.deploy import ACCOUNTS, EXTERNAL_ID, HUB, REGIONS

STAND_IN = Path(__file__).parent / "fixtures" / "bootstrap"
FUNCTIONS = ("vpc-events", "peering-events", "drift-repair")
# Guards against a hang; how long the machine takes is not what is tested.
READY_WITHIN_S = 300
EVENTUALLY_S = 120
SPOKE_ROLE = "arn:aws:iam::222222222222:role/peerd-spoke"


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    for name in FUNCTIONS:
        shutil.copy(STAND_IN, folder / name)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A running sandbox and what the tests ask of it."""

    def __init__(self, process: SandboxProcess, endpoint: str) -> None:
        self.process = process
        self.endpoint = endpoint
        self.control = Control(endpoint)
        self.sessions = Sessions(endpoint)

    def said(self, function: str) -> list[dict[str, Any]]:
        log = self.process.state / "peerd-sandbox" / f"peerd-{function}.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def bodies(self, function: str) -> list[dict[str, Any]]:
        return [json.loads(body) for line in self.said(function) for body in line.get("batch", [])]

    def count(self, state: str) -> int:
        return self.control.activity()["queues"]["peerd-drift-repair"][state]

    def is_idle(self) -> bool:
        return self.control.activity()["state"] == "idle"

    def purge(self, function: str) -> None:
        queues = self.sessions.client("sqs")
        queues.purge_queue(QueueUrl=queues.get_queue_url(QueueName=f"peerd-{function}")["QueueUrl"])

    def send(self, function: str, body: dict[str, Any], delay: int = 0) -> None:
        queues = self.sessions.client("sqs")
        url = queues.get_queue_url(QueueName=f"peerd-{function}")["QueueUrl"]
        queues.send_message(QueueUrl=url, MessageBody=json.dumps(body), DelaySeconds=delay)


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + EVENTUALLY_S
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still not after {EVENTUALLY_S} s; last seen: {seen!r}"
        time.sleep(0.02)
    return seen


@pytest.fixture(scope="module")
def sandbox(functions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    process = SandboxProcess(functions, tmp_path_factory.mktemp("state"), free_port())
    try:
        yield Running(process, process.wait_ready(READY_WITHIN_S))
    finally:
        code = process.stop()
    assert code == 0


# ---------------------------------------------------------------- what it serves


def test_every_stack_is_complete_and_the_call_log_begins_empty(sandbox: Running) -> None:
    assert sandbox.control.calls() == []
    for account in ACCOUNTS:
        for region in REGIONS:
            stacks = sandbox.sessions.client("cloudformation", account, region).describe_stacks()["Stacks"]
            hub = {"peerd"} if (account, region) == (HUB, REGIONS[0]) else set()
            assert {s["StackName"]: s["StackStatus"] for s in stacks} == dict.fromkeys(
                {"peerd-spoke"} | hub, "CREATE_COMPLETE"
            )


def test_a_tagged_vpc_reaches_the_function_as_both_events_with_its_own_account_and_region(
    sandbox: Running,
) -> None:
    ec2 = sandbox.sessions.client("ec2", "222222222222", "eu-west-1")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "peerd:env", "Value": "prod"}]}]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]

    def arrived() -> dict[str, dict[str, Any]] | None:
        found = {e["source"]: e for e in sandbox.bodies("vpc-events") if vpc in json.dumps(e)}
        return found if len(found) == 2 else None

    events = eventually(arrived)
    assert {(e["account"], e["region"]) for e in events.values()} == {("222222222222", "eu-west-1")}
    assert events["aws.tag"]["resources"] == [f"arn:aws:ec2:eu-west-1:222222222222:vpc/{vpc}"]
    assert events["aws.tag"]["detail"]["tags"] == {"peerd:env": "prod"}
    identity = events["aws.ec2"]["detail"]["userIdentity"]
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == (
        "arn:aws:iam::222222222222:role/sandbox-admin"
    )
    ec2.delete_vpc(VpcId=vpc)


def test_dropped_events_reach_no_function(sandbox: Running) -> None:
    ec2 = sandbox.sessions.client("ec2", "333333333333", "us-east-1")
    sandbox.control.drop_events(True)
    try:
        lost = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    finally:
        sandbox.control.drop_events(False)
    told = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    eventually(lambda: told in json.dumps(sandbox.bodies("vpc-events")))
    assert lost not in json.dumps(sandbox.bodies("vpc-events"))
    for vpc in (lost, told):
        ec2.delete_vpc(VpcId=vpc)


def test_a_sweep_sends_the_schedules_own_input_to_its_queue(sandbox: Running) -> None:
    before = sandbox.bodies("drift-repair").count({"peerd": 1, "attempt": 0, "work": {"sweep": {}}})
    sandbox.control.sweep()
    eventually(
        lambda: (
            sandbox.bodies("drift-repair").count({"peerd": 1, "attempt": 0, "work": {"sweep": {}}}) > before
        )
    )


def test_a_message_is_taken_at_once_and_a_delayed_one_when_its_time_has_come(sandbox: Running) -> None:
    sent = time.time()
    sandbox.send("drift-repair", {"which": "delayed"}, delay=2)
    sandbox.send("drift-repair", {"which": "prompt"})
    eventually(lambda: {"which": "delayed"} in sandbox.bodies("drift-repair"))
    taken = {
        which: next(s["at"] for s in sandbox.said("drift-repair") if which in str(s.get("batch")))
        for which in ("prompt", "delayed")
    }
    assert taken["prompt"] < taken["delayed"]
    assert taken["delayed"] - sent >= 2


def test_a_delayed_message_comes_due_when_the_clock_of_the_queues_is_advanced(sandbox: Running) -> None:
    eventually(sandbox.is_idle)
    sandbox.send("drift-repair", {"which": "in ten minutes"}, delay=600)
    activity = sandbox.control.activity()
    assert activity["state"] == "waiting"
    assert activity["queues"]["peerd-drift-repair"] == {"due": 0, "delayed": 1, "working": 0, "failed": 0}

    assert sandbox.control.advance_queues() == 1

    eventually(lambda: {"which": "in ten minutes"} in sandbox.bodies("drift-repair"))
    eventually(sandbox.is_idle)
    assert sandbox.control.advance_queues() == 0


def test_a_message_that_failed_is_told_from_one_that_is_worked_on_and_comes_again_when_asked(
    sandbox: Running, tmp_path: Path
) -> None:
    eventually(sandbox.is_idle)
    work, goes_on = {"raise": True, "until": str(tmp_path / "go")}, tmp_path / "go"
    sandbox.send("drift-repair", work)
    eventually(lambda: sandbox.count("working") == 1)
    assert sandbox.control.activity()["state"] == "busy"
    goes_on.touch()
    eventually(lambda: sandbox.count("failed") == 1)

    assert (sandbox.control.advance_queues(), sandbox.control.advance_queues(failed=True)) == (0, 1)

    eventually(lambda: sandbox.bodies("drift-repair").count(work) == 2)
    eventually(lambda: sandbox.count("failed") == 1)
    sandbox.purge("drift-repair")


def test_a_call_is_in_flight_until_its_events_have_been_worked_on(sandbox: Running) -> None:
    eventually(sandbox.is_idle)
    ec2 = sandbox.sessions.client("ec2", "222222222222", "eu-west-1")
    before = sandbox.control.activity()["changes"]
    vpc = ec2.create_vpc(CidrBlock="10.4.0.0/16")["Vpc"]["VpcId"]
    assert sandbox.control.changes(after=before, within=30) > before
    eventually(sandbox.is_idle)
    assert vpc in json.dumps(sandbox.bodies("vpc-events"))
    ec2.delete_vpc(VpcId=vpc)


def test_what_comes_within_the_batching_window_comes_in_one_batch_beyond_ten(sandbox: Running) -> None:
    for n in range(25):
        sandbox.send("peering-events", {"storm": n})
    eventually(lambda: len([b for b in sandbox.bodies("peering-events") if "storm" in b]) == 25)
    sizes = [len(s["batch"]) for s in sandbox.said("peering-events") if "storm" in str(s.get("batch"))]
    assert max(sizes) > 10


def test_messages_are_worked_on_beside_each_other(sandbox: Running, tmp_path: Path) -> None:
    for n in range(3):
        sandbox.send("drift-repair", {"slow": n, "until": str(tmp_path / "go")})

    def started() -> list[dict[str, Any]]:
        return [said for said in sandbox.said("drift-repair") if "slow" in str(said.get("batch"))]

    eventually(lambda: len(started()) == 3)  # none of them has ended
    assert len({said["pid"] for said in started()}) == 3
    (tmp_path / "go").touch()
    eventually(sandbox.is_idle)


def test_a_function_that_crashed_is_started_again_for_the_next_message(sandbox: Running) -> None:
    sandbox.send("drift-repair", {"crash": True})
    eventually(lambda: {"crash": True} in sandbox.bodies("drift-repair"))
    sandbox.send("drift-repair", {"after": "the crash"})
    eventually(lambda: {"after": "the crash"} in sandbox.bodies("drift-repair"))
    eventually(lambda: sandbox.count("failed") == 1)
    sandbox.purge("drift-repair")


def test_a_kill_ends_the_functions_alone_and_the_message_that_was_worked_on_comes_again(
    sandbox: Running, tmp_path: Path
) -> None:
    sandbox.send("drift-repair", {"which": "before the kill"})
    eventually(lambda: {"which": "before the kill"} in sandbox.bodies("drift-repair"))
    work = {"which": "killed", "until": str(tmp_path / "go")}
    sandbox.send("drift-repair", work)
    eventually(lambda: work in sandbox.bodies("drift-repair"))

    killed = sandbox.control.kill()

    assert killed["killed"] >= len(FUNCTIONS)
    assert killed["working"] >= 1
    assert sandbox.control.kill() == {"killed": 0, "working": 0}
    eventually(lambda: sandbox.count("failed") == 1)
    (tmp_path / "go").touch()
    assert sandbox.control.advance_queues(failed=True) == 1
    eventually(lambda: sandbox.bodies("drift-repair").count(work) == 2)
    eventually(sandbox.is_idle)
    taken = [
        said["pid"] for said in sandbox.said("drift-repair") if work in map(json.loads, said.get("batch", []))
    ]
    assert len(set(taken)) == 2


def test_a_message_that_keeps_failing_goes_to_the_dead_letter_queue_and_its_batch_does_not(
    sandbox: Running,
) -> None:
    queues, functions = sandbox.sessions.client("sqs"), sandbox.sessions.client("lambda")
    dead = queues.create_queue(QueueName="test-dead")["QueueUrl"]
    redrive = json.dumps(
        {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{HUB}:test-dead", "maxReceiveCount": 2}
    )
    url = queues.create_queue(
        QueueName="test-work", Attributes={"VisibilityTimeout": "1", "RedrivePolicy": redrive}
    )["QueueUrl"]
    mapping = functions.create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:us-east-1:{HUB}:test-work",
        FunctionName="peerd-drift-repair",
        BatchSize=10,
        MaximumBatchingWindowInSeconds=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    for body in ({"fail": True}, {"fine": True}):
        queues.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    message = eventually(lambda: queues.receive_message(QueueUrl=dead).get("Messages"))[0]
    assert json.loads(message["Body"]) == {"fail": True}
    assert sandbox.bodies("drift-repair").count({"fail": True}) == 2
    assert sandbox.bodies("drift-repair").count({"fine": True}) == 1
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def invoke(sandbox: Running, event: dict[str, Any]) -> tuple[str | None, Any]:
    functions = sandbox.sessions.client("lambda")
    answer = functions.invoke(FunctionName="peerd-drift-repair", Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_a_function_that_is_invoked_answers_and_its_failure_is_told_as_one(sandbox: Running) -> None:
    assert invoke(sandbox, {"echo": {"a": [1, None]}}) == (None, {"a": [1, None]})
    failed, said = invoke(sandbox, {"Records": [{"messageId": "1", "body": '{"raise": true}'}]})
    assert (failed, said["errorType"]) == ("Unhandled", "Asked")


def test_an_invocation_does_not_wait_for_messages_that_are_worked_on_nor_hold_them_up(
    sandbox: Running, tmp_path: Path
) -> None:
    sandbox.send("drift-repair", {"beside": "an invocation", "until": str(tmp_path / "go")})
    eventually(lambda: "an invocation" in str(sandbox.bodies("drift-repair")))
    assert invoke(sandbox, {"echo": "at once"}) == (None, "at once")
    assert sandbox.count("working") == 1
    (tmp_path / "go").touch()
    eventually(sandbox.is_idle)


def test_calls_are_told_only_while_a_trail_logs_and_changes_of_tags_always(sandbox: Running) -> None:
    trails = sandbox.sessions.client("cloudtrail", "333333333333")
    ec2 = sandbox.sessions.client("ec2", "333333333333", "eu-west-1")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "peerd:env", "Value": "prod"}]}]
    trails.stop_logging(Name="management-events")
    try:
        vpc = ec2.create_vpc(CidrBlock="10.3.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    finally:
        trails.start_logging(Name="management-events")
    ec2.delete_vpc(VpcId=vpc)

    def told() -> list[str]:
        events = [event for event in sandbox.bodies("vpc-events") if vpc in json.dumps(event)]
        return [event["detail"].get("eventName", "tags") for event in events]

    eventually(lambda: "DeleteVpc" in told())
    assert sorted(told()) == ["DeleteVpc", "tags"]


def test_a_rule_is_described_with_its_target_until_it_is_gone(sandbox: Running) -> None:
    bus = f"arn:aws:events:us-east-1:{HUB}:event-bus/peerd"
    for account in ACCOUNTS:
        for region in REGIONS:
            events = sandbox.sessions.client("events", account, region)
            for rule in ("peerd-vpc-tags", "peerd-network-calls"):
                assert events.describe_rule(Name=rule)["State"] == "ENABLED"
                (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
                assert target["Arn"] == bus
    events = sandbox.sessions.client("events", "333333333333", "us-east-1")
    kept = events.describe_rule(Name="peerd-vpc-tags")
    targets = events.list_targets_by_rule(Rule="peerd-vpc-tags")["Targets"]
    try:
        events.disable_rule(Name="peerd-vpc-tags")
        assert events.describe_rule(Name="peerd-vpc-tags")["State"] == "DISABLED"
        events.enable_rule(Name="peerd-vpc-tags")
        assert events.describe_rule(Name="peerd-vpc-tags")["State"] == "ENABLED"
        events.remove_targets(Rule="peerd-vpc-tags", Ids=[target["Id"] for target in targets])
        assert events.list_targets_by_rule(Rule="peerd-vpc-tags")["Targets"] == []
        events.delete_rule(Name="peerd-vpc-tags")
        gone = "ResourceNotFoundException.*does not exist on EventBus default"
        for call, name in (
            (events.describe_rule, "Name"),
            (events.disable_rule, "Name"),
            (events.list_targets_by_rule, "Rule"),
        ):
            with pytest.raises(ClientError, match=gone):
                call(**{name: "peerd-vpc-tags"})
    finally:
        events.put_rule(Name="peerd-vpc-tags", EventPattern=kept["EventPattern"], State="ENABLED")
        events.put_targets(Rule="peerd-vpc-tags", Targets=targets)


def test_a_permission_is_missing_for_one_action_where_a_fault_says_so(sandbox: Running) -> None:
    sandbox.control.faults({"service": "ec2", "action": "CreateRoute", "code": "UnauthorizedOperation"})
    route = {"RouteTableId": "rtb-1", "DestinationCidrBlock": "10.0.0.0/8", "DryRun": True}
    ec2 = sandbox.sessions.client("ec2", "222222222222", "eu-west-1")
    try:
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            ec2.create_route(**route, GatewayId="igw-1")
        with pytest.raises(ClientError, match="DryRunOperation"):
            ec2.delete_route(**route)
    finally:
        sandbox.control.faults()


def test_a_function_calls_aws_as_its_own_role(sandbox: Running) -> None:
    sandbox.control.clear_calls()
    sandbox.send("drift-repair", {"describe": True})
    call = eventually(lambda: [c for c in sandbox.control.calls() if c["action"] == "DescribeVpcs"])[0]
    assert call["principal"] == f"arn:aws:sts::{HUB}:assumed-role/peerd-drift-repair/peerd-drift-repair"
    assert (call["account"], call["region"], call["error"]) == (HUB, "us-east-1", None)


def test_the_spoke_role_is_refused_to_strangers_and_roles_that_do_not_exist_to_everybody(
    sandbox: Running,
) -> None:
    sts = sandbox.sessions.client("sts", HUB)
    for role, why in ((SPOKE_ROLE, "its trust policy names"), (f"{SPOKE_ROLE}x", "does not exist")):
        with pytest.raises(ClientError, match="AccessDenied") as refused:
            sts.assume_role(RoleArn=role, RoleSessionName="stranger", ExternalId=EXTERNAL_ID)
        assert why in str(refused.value)


def test_ordinary_callers_cannot_put_events_of_aws_services(sandbox: Running) -> None:
    entry = {"Source": "aws.ec2", "DetailType": "x", "Detail": "{}"}
    answer = sandbox.sessions.client("events").put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


# ---------------------------------------------------------------- beginning and end


def processes_naming(text: str) -> list[str]:
    """The command lines and environments of all processes that name `text`, this one's own apart."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if text.encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                found.append(entry.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is not ours
    return found


def start(functions: Path, port: int, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--functions", str(functions), *options],
        env=os.environ | {"PEERD_SANDBOX_PORT": str(port)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for left processes in /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process_and_removes_every_file(
    functions: Path, tmp_path: Path, signal_number: int
) -> None:
    port = free_port()
    child = start(functions, port, TMPDIR=str(tmp_path))
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == f"sandbox ready: http://127.0.0.1:{port}\n"
        assert len(processes_naming(str(tmp_path))) >= 5  # itself, ministack and three functions
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_sandbox/health") as answer:
            assert json.loads(answer.read()) == {"status": "ok"}
        child.send_signal(signal_number)
        stdout, stderr = child.communicate(timeout=EVENTUALLY_S)
    finally:
        child.kill()
    assert (child.returncode, stdout) == (0, ""), stderr
    assert "Traceback" not in stderr
    eventually(lambda: not processes_naming(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for left processes in /proc")
def test_an_interrupt_while_it_starts_leaves_nothing(functions: Path, tmp_path: Path) -> None:
    child = start(functions, free_port(), TMPDIR=str(tmp_path))
    try:
        assert child.stderr is not None
        assert "answer" in child.stderr.readline()  # sam deploy runs now
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=EVENTUALLY_S)
    finally:
        child.kill()
    assert child.returncode == 0, stderr
    eventually(lambda: not processes_naming(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for left processes in /proc")
def test_a_killed_sandbox_takes_its_children_along(functions: Path, tmp_path: Path) -> None:
    child = start(functions, free_port(), "--state", str(tmp_path))
    assert child.stdout is not None
    assert child.stdout.readline().startswith("sandbox ready")
    child.kill()
    child.wait()
    eventually(lambda: not processes_naming(str(tmp_path)))


def failed_start(functions: Path, port: int, tmp_path: Path, *options: str) -> str:
    child = start(functions, port, *options, TMPDIR=str(tmp_path))
    stdout, stderr = child.communicate(timeout=READY_WITHIN_S)
    assert (child.returncode, stdout) == (1, "")
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []
    return stderr


def test_a_port_in_use_is_told_and_ends_it(functions: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in failed_start(functions, port, tmp_path)


def test_a_missing_binary_is_named_and_ends_it(functions: Path, tmp_path: Path) -> None:
    nowhere = functions / "nowhere"
    assert f"{nowhere}/" in failed_start(nowhere, free_port(), tmp_path)


def test_a_template_that_cannot_be_deployed_is_told_and_ends_it(functions: Path, tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    templates = functions / "templates"
    templates.mkdir()
    shutil.copy(root / "template.yaml", templates)
    (templates / "spoke.yaml").write_text("Resources: {Broken: {Type: 'AWS::Nonesuch::Thing'}}")
    said = failed_start(functions, free_port(), tmp_path, "--templates", str(templates))
    assert "spoke.yaml in" in said
    assert "failed" in said


def test_a_sandbox_that_fails_tells_its_starter_why(functions: Path, tmp_path: Path) -> None:
    with (
        SandboxProcess(functions / "nowhere", tmp_path, free_port()) as process,
        pytest.raises(SandboxFailed, match="is missing or not executable"),
    ):
        process.wait_ready(READY_WITHIN_S)
