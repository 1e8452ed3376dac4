"""What a running sandbox serves: events, queues, invocations, trails, rules, roles."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.deploy import ACCOUNTS, HUB, REGIONS
from sandbox.tests.running import (
    FUNCTIONS,
    RunningSandbox,
    assert_only_later_events_arrive,
    eventually,
)


def test_every_stack_is_complete_and_the_call_log_is_empty_at_the_start(sandbox: RunningSandbox) -> None:
    assert sandbox.control.calls() == []
    for account in ACCOUNTS:
        for region in REGIONS:
            stacks = sandbox.sessions.client("cloudformation", account, region).describe_stacks()["Stacks"]
            hub = {"peerd"} if (account, region) == (HUB, REGIONS[0]) else set()
            assert {s["StackName"]: s["StackStatus"] for s in stacks} == dict.fromkeys(
                {"peerd-spoke"} | hub, "CREATE_COMPLETE"
            )


def test_a_tagged_vpc_reaches_the_function_as_both_events_with_its_own_account_and_region(
    sandbox: RunningSandbox,
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


def test_dropped_events_reach_no_function(sandbox: RunningSandbox) -> None:
    ec2 = sandbox.sessions.client("ec2", "333333333333", "us-east-1")
    sandbox.control.drop_events(True)
    try:
        lost = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    finally:
        sandbox.control.drop_events(False)
    assert_only_later_events_arrive(sandbox, ec2, lost)


def test_a_sweep_sends_the_input_of_the_schedule_to_its_queue(sandbox: RunningSandbox) -> None:
    before = sandbox.bodies("drift-repair").count({"peerd": 1, "attempt": 0, "work": {"sweep": {}}})
    sandbox.control.sweep()
    eventually(
        lambda: (
            sandbox.bodies("drift-repair").count({"peerd": 1, "attempt": 0, "work": {"sweep": {}}}) > before
        )
    )


def test_a_message_is_received_immediately_and_a_delayed_one_after_its_delay(sandbox: RunningSandbox) -> None:
    sent = time.time()
    sandbox.send("drift-repair", {"which": "delayed"}, delay=2)
    sandbox.send("drift-repair", {"which": "prompt"})
    eventually(lambda: {"which": "delayed"} in sandbox.bodies("drift-repair"))
    received_at = {
        which: next(s["at"] for s in sandbox.log_lines("drift-repair") if which in str(s.get("batch")))
        for which in ("prompt", "delayed")
    }
    assert received_at["prompt"] < received_at["delayed"]
    assert received_at["delayed"] - sent >= 2


def test_a_delayed_message_is_due_when_the_clock_of_the_queues_is_advanced(sandbox: RunningSandbox) -> None:
    eventually(sandbox.is_idle)
    sandbox.send("drift-repair", {"which": "in ten minutes"}, delay=600)
    activity = sandbox.control.activity()
    assert activity["state"] == "waiting"
    assert activity["queues"]["peerd-drift-repair"] == {"due": 0, "delayed": 1, "working": 0, "failed": 0}

    assert sandbox.control.advance_queues() == 1

    eventually(lambda: {"which": "in ten minutes"} in sandbox.bodies("drift-repair"))
    eventually(sandbox.is_idle)
    assert sandbox.control.advance_queues() == 0


def test_a_failed_message_is_distinguished_from_a_working_one_and_redelivered_on_request(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    eventually(sandbox.is_idle)
    work, continue_file = {"raise": True, "until": str(tmp_path / "go")}, tmp_path / "go"
    sandbox.send("drift-repair", work)
    eventually(lambda: sandbox.count("working") == 1)
    assert sandbox.control.activity()["state"] == "busy"
    continue_file.touch()
    eventually(lambda: sandbox.count("failed") == 1)

    assert (sandbox.control.advance_queues(), sandbox.control.advance_queues(failed=True)) == (0, 1)

    eventually(lambda: sandbox.bodies("drift-repair").count(work) == 2)
    eventually(lambda: sandbox.count("failed") == 1)
    sandbox.purge("drift-repair")


def test_a_call_is_in_flight_until_its_events_are_processed(sandbox: RunningSandbox) -> None:
    eventually(sandbox.is_idle)
    ec2 = sandbox.sessions.client("ec2", "222222222222", "eu-west-1")
    before = sandbox.control.activity()["changes"]
    vpc = ec2.create_vpc(CidrBlock="10.4.0.0/16")["Vpc"]["VpcId"]
    assert sandbox.control.changes(after=before, within=30) > before
    eventually(sandbox.is_idle)
    assert vpc in json.dumps(sandbox.bodies("vpc-events"))
    ec2.delete_vpc(VpcId=vpc)


def test_messages_within_the_batching_window_are_received_in_batches_of_more_than_ten(
    sandbox: RunningSandbox,
) -> None:
    for n in range(25):
        sandbox.send("peering-events", {"storm": n})
    eventually(lambda: len([b for b in sandbox.bodies("peering-events") if "storm" in b]) == 25)
    sizes = [len(s["batch"]) for s in sandbox.log_lines("peering-events") if "storm" in str(s.get("batch"))]
    assert max(sizes) > 10


def test_messages_are_processed_concurrently(sandbox: RunningSandbox, tmp_path: Path) -> None:
    def started() -> list[dict[str, Any]]:
        return [line for line in sandbox.log_lines("drift-repair") if "slow" in str(line.get("batch"))]

    for n in range(3):  # messages that wait at the same time would be one batch
        sandbox.send("drift-repair", {"slow": n, "until": str(tmp_path / "go")})
        eventually(lambda count=n + 1: len(started()) == count)  # none of them has finished
    assert len({line["pid"] for line in started()}) == 3
    (tmp_path / "go").touch()
    eventually(sandbox.is_idle)


def test_a_function_that_crashed_is_restarted_for_the_next_message(sandbox: RunningSandbox) -> None:
    sandbox.send("drift-repair", {"crash": True})
    eventually(lambda: {"crash": True} in sandbox.bodies("drift-repair"))
    sandbox.send("drift-repair", {"after": "the crash"})
    eventually(lambda: {"after": "the crash"} in sandbox.bodies("drift-repair"))
    eventually(lambda: sandbox.count("failed") == 1)
    sandbox.purge("drift-repair")


def test_a_kill_ends_the_functions_only_and_the_working_message_is_redelivered(
    sandbox: RunningSandbox, tmp_path: Path
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
    pids = [
        line["pid"]
        for line in sandbox.log_lines("drift-repair")
        if work in map(json.loads, line.get("batch", []))
    ]
    assert len(set(pids)) == 2


def allow_polling(sandbox: RunningSandbox, role: str, queue: str) -> None:
    """Permits a role to receive the messages of another queue."""
    statement = {"Effect": "Allow", "Action": "sqs:*", "Resource": f"arn:aws:sqs:us-east-1:{HUB}:{queue}"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    sandbox.sessions.client("iam").put_role_policy(RoleName=role, PolicyName=queue, PolicyDocument=document)


def test_a_message_that_keeps_failing_goes_to_the_dead_letter_queue_and_its_batch_does_not(
    sandbox: RunningSandbox,
) -> None:
    queues, functions = sandbox.sessions.client("sqs"), sandbox.sessions.client("lambda")
    dead_letters = queues.create_queue(QueueName="test-dead")["QueueUrl"]
    redrive = json.dumps(
        {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{HUB}:test-dead", "maxReceiveCount": 2}
    )
    url = queues.create_queue(
        QueueName="test-work", Attributes={"VisibilityTimeout": "1", "RedrivePolicy": redrive}
    )["QueueUrl"]
    allow_polling(sandbox, "peerd-drift-repair", "test-work")
    mapping = functions.create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:us-east-1:{HUB}:test-work",
        FunctionName="peerd-drift-repair",
        BatchSize=10,
        MaximumBatchingWindowInSeconds=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    for body in ({"fail": True}, {"fine": True}):
        queues.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    message = eventually(lambda: queues.receive_message(QueueUrl=dead_letters).get("Messages"))[0]
    assert json.loads(message["Body"]) == {"fail": True}
    assert sandbox.bodies("drift-repair").count({"fail": True}) == 2
    assert sandbox.bodies("drift-repair").count({"fine": True}) == 1
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def invoke(sandbox: RunningSandbox, event: dict[str, Any]) -> tuple[str | None, Any]:
    functions = sandbox.sessions.client("lambda")
    response = functions.invoke(FunctionName="peerd-drift-repair", Payload=json.dumps(event))
    return response.get("FunctionError"), json.loads(response["Payload"].read())


def test_an_invoked_function_responds_and_its_failure_is_reported(sandbox: RunningSandbox) -> None:
    assert invoke(sandbox, {"echo": {"a": [1, None]}}) == (None, {"a": [1, None]})
    failed, error = invoke(sandbox, {"Records": [{"messageId": "1", "body": '{"raise": true}'}]})
    assert (failed, error["errorType"]) == ("Unhandled", "Asked")


def test_an_invocation_neither_waits_for_working_messages_nor_delays_them(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    sandbox.send("drift-repair", {"beside": "an invocation", "until": str(tmp_path / "go")})
    eventually(lambda: "an invocation" in str(sandbox.bodies("drift-repair")))
    assert invoke(sandbox, {"echo": "immediately"}) == (None, "immediately")
    assert sandbox.count("working") == 1
    (tmp_path / "go").touch()
    eventually(sandbox.is_idle)


def test_calls_emit_events_only_while_a_trail_logs_and_tag_changes_always_do(sandbox: RunningSandbox) -> None:
    trails = sandbox.sessions.client("cloudtrail", "333333333333")
    ec2 = sandbox.sessions.client("ec2", "333333333333", "eu-west-1")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "peerd:env", "Value": "prod"}]}]
    trails.stop_logging(Name="management-events")
    try:
        vpc = ec2.create_vpc(CidrBlock="10.3.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    finally:
        trails.start_logging(Name="management-events")
    ec2.delete_vpc(VpcId=vpc)

    def events_of_vpc() -> list[str]:
        events = [event for event in sandbox.bodies("vpc-events") if vpc in json.dumps(event)]
        return [event["detail"].get("eventName", "tags") for event in events]

    eventually(lambda: "DeleteVpc" in events_of_vpc())
    assert sorted(events_of_vpc()) == ["DeleteVpc", "tags"]


def test_a_rule_is_described_with_its_target_until_it_is_deleted(sandbox: RunningSandbox) -> None:
    bus = f"arn:aws:events:us-east-1:{HUB}:event-bus/peerd"
    for account in ACCOUNTS:
        for region in REGIONS:
            events = sandbox.sessions.client("events", account, region)
            for rule in ("peerd-vpc-tags", "peerd-network-calls"):
                assert events.describe_rule(Name=rule)["State"] == "ENABLED"
                (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
                assert target["Arn"] == bus
    events = sandbox.sessions.client("events", "333333333333", "us-east-1")
    original = events.describe_rule(Name="peerd-vpc-tags")
    targets = events.list_targets_by_rule(Rule="peerd-vpc-tags")["Targets"]
    try:
        events.disable_rule(Name="peerd-vpc-tags")
        assert events.describe_rule(Name="peerd-vpc-tags")["State"] == "DISABLED"
        events.enable_rule(Name="peerd-vpc-tags")
        assert events.describe_rule(Name="peerd-vpc-tags")["State"] == "ENABLED"
        events.remove_targets(Rule="peerd-vpc-tags", Ids=[target["Id"] for target in targets])
        assert events.list_targets_by_rule(Rule="peerd-vpc-tags")["Targets"] == []
        events.delete_rule(Name="peerd-vpc-tags")
        not_found = "ResourceNotFoundException.*does not exist on EventBus default"
        for call, name in (
            (events.describe_rule, "Name"),
            (events.disable_rule, "Name"),
            (events.list_targets_by_rule, "Rule"),
        ):
            with pytest.raises(ClientError, match=not_found):
                call(**{name: "peerd-vpc-tags"})
    finally:
        events.put_rule(Name="peerd-vpc-tags", EventPattern=original["EventPattern"], State="ENABLED")
        events.put_targets(Rule="peerd-vpc-tags", Targets=targets)


def test_a_fault_removes_the_permission_for_one_action(sandbox: RunningSandbox) -> None:
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


def test_a_function_calls_aws_as_its_own_role(sandbox: RunningSandbox) -> None:
    sandbox.control.clear_calls()
    sandbox.send("drift-repair", {"describe": True})
    call = eventually(lambda: [c for c in sandbox.control.calls() if c["action"] == "DescribeVpcs"])[0]
    assert call["principal"] == f"arn:aws:sts::{HUB}:assumed-role/peerd-drift-repair/peerd-drift-repair"
    # Its role has no permission for EC2.
    assert (call["account"], call["region"], call["error"]) == (HUB, "us-east-1", "UnauthorizedOperation")


def test_ordinary_callers_cannot_put_events_of_aws_services(sandbox: RunningSandbox) -> None:
    entry = {"Source": "aws.ec2", "DetailType": "x", "Detail": "{}"}
    response = sandbox.sessions.client("events").put_events(Entries=[entry])
    assert response["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
