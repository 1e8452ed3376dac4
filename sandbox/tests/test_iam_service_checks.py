"""What the calls of the other services need: actions, resources and condition keys."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox.ec2.identity import principal
from sandbox.iam import service_checks
from sandbox.wire import AwsRequest, parse_request

HUB = "111111111111"


def signed(service: str, body: bytes, path: str = "/", method: str = "POST", **headers: str) -> AwsRequest:
    scope = f"{HUB}/20260101/us-east-1/{service}/aws4_request"
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    return parse_request(method, path, list(given.items()), body)


def needed(request: AwsRequest) -> list[tuple[str, str, dict[str, Any]]]:
    checks = service_checks.checks(request, principal(HUB))
    return [(it.action, it.resource, dict(it.keys)) for it in checks]


def of_json(service: str, target: str, **parameters: Any) -> list[tuple[str, str, dict[str, Any]]]:
    body = json.dumps(parameters).encode()
    return needed(signed(service, body, Content_Type="application/x-amz-json-1.0", X_Amz_Target=target))


def of_query(service: str, **parameters: str) -> list[tuple[str, str, dict[str, Any]]]:
    body = urlencode(parameters).encode()
    return needed(signed(service, body, Content_Type="application/x-www-form-urlencoded"))


def test_an_assumption_of_a_role_states_the_external_id_and_the_session_name() -> None:
    role = "arn:aws:iam::222222222222:role/peerd-spoke"
    parameters = {"Action": "AssumeRole", "RoleArn": role, "RoleSessionName": "peerd"}
    name = {"sts:RoleSessionName": "peerd"}
    assert of_query("sts", **parameters) == [("sts:AssumeRole", role, name)]
    with_id = of_query("sts", **parameters, ExternalId="secret")
    assert with_id == [("sts:AssumeRole", role, name | {"sts:ExternalId": "secret"})]


TABLE = f"arn:aws:dynamodb:us-east-1:{HUB}:table/index"
KEY = {"pk": {"S": "mesh#prod"}, "sk": {"S": "findings"}}


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("GetItem", {"Key": KEY}),
        ("UpdateItem", {"Key": KEY, "ExpressionAttributeValues": {":pk": {"S": "other"}}}),
        ("PutItem", {"Item": KEY | {"more": {"S": "x"}}}),
        (
            "Query",
            {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": {":pk": {"S": "mesh#prod"}, ":prefix": {"S": "vpc#"}},
            },
        ),
    ],
)
def test_a_call_on_an_item_needs_the_table_and_states_the_partition_key(
    operation: str, parameters: dict[str, Any]
) -> None:
    found = of_json("dynamodb", f"DynamoDB_20120810.{operation}", TableName="index", **parameters)
    assert found == [(f"dynamodb:{operation}", TABLE, {"dynamodb:LeadingKeys": ["mesh#prod"]})]


def test_a_transaction_needs_the_permission_of_each_of_its_writes() -> None:
    items = [
        {"Put": {"TableName": "index", "Item": KEY}},
        {"Update": {"TableName": "index", "Key": {"pk": {"S": "meshes"}}}},
        {"Delete": {"TableName": "index", "Key": KEY}},
        {"ConditionCheck": {"TableName": "index", "Key": KEY}},
    ]
    found = of_json("dynamodb", "DynamoDB_20120810.TransactWriteItems", TransactItems=items)
    enclosing = {"dynamodb:EnclosingOperation": "TransactWriteItems"}
    of_mesh, of_meshes = ({"dynamodb:LeadingKeys": [key]} for key in ("mesh#prod", "meshes"))
    assert found == [
        ("dynamodb:PutItem", TABLE, enclosing | of_mesh),
        ("dynamodb:UpdateItem", TABLE, enclosing | of_meshes),
        ("dynamodb:DeleteItem", TABLE, enclosing | of_mesh),
        ("dynamodb:ConditionCheckItem", TABLE, of_mesh),
    ]


@pytest.mark.parametrize(
    ("operation", "action"), [("SendMessage", "SendMessage"), ("DeleteMessageBatch", "DeleteMessage")]
)
def test_a_call_on_a_queue_needs_the_queue_of_the_account_in_its_url(operation: str, action: str) -> None:
    url = "http://127.0.0.1:4566/222222222222/work"
    expected = [(f"sqs:{action}", "arn:aws:sqs:us-east-1:222222222222:work", {})]
    assert of_json("sqs", f"AmazonSQS.{operation}", QueueUrl=url) == expected
    assert of_query("sqs", Action=operation, QueueUrl=url) == expected


def test_each_event_needs_its_bus_and_states_its_source() -> None:
    other = "arn:aws:events:us-east-1:222222222222:event-bus/peerd"
    entries = [
        {"Source": "peerd", "DetailType": "peerd Mesh Changed", "EventBusName": "peerd"},
        {"Source": "peerd", "DetailType": "x", "EventBusName": other},
        {"Source": "mine", "DetailType": "x"},
    ]
    found = of_json("events", "AWSEvents.PutEvents", Entries=entries)
    own = f"arn:aws:events:us-east-1:{HUB}:event-bus"
    assert [(action, bus) for action, bus, _ in found] == [
        ("events:PutEvents", bus) for bus in (f"{own}/peerd", other, f"{own}/default")
    ]
    assert found[0][2] == {
        "events:source": ["peerd"],
        "events:detail-type": "peerd Mesh Changed",
        "events:eventBusInvocation": "false",
    }


def test_the_other_calls_need_the_resource_that_they_name() -> None:
    rule = f"arn:aws:events:us-east-1:{HUB}:rule"
    assert of_json("events", "AWSEvents.DescribeRule", Name="r")[0][1] == f"{rule}/r"
    listed = of_json("events", "AWSEvents.ListTargetsByRule", Rule="r", EventBusName="b")
    assert listed[0][:2] == ("events:ListTargetsByRule", f"{rule}/b/r")
    trail = of_json("cloudtrail", "CloudTrail_20131101.GetTrailStatus", Name="events")
    assert trail[0][1] == f"arn:aws:cloudtrail:us-east-1:{HUB}:trail/events"
    parent = of_json("organizations", "AWSOrganizationsV20161128.ListAccountsForParent", ParentId="ou-1")
    assert parent[0][1].startswith(f"arn:aws:organizations::{HUB}:ou/")
    invoked = needed(signed("lambda", b"{}", "/2015-03-31/functions/peerd-drift-repair/invocations"))
    function = f"arn:aws:lambda:us-east-1:{HUB}:function:peerd-drift-repair"
    assert invoked == [("lambda:InvokeFunction", function, {})]
    for operation in ("DescribeTable", "DescribeContinuousBackups"):
        table = of_json("dynamodb", f"DynamoDB_20120810.{operation}", TableName="index")
        assert table == [(f"dynamodb:{operation}", TABLE, {})]
    bus = of_json("events", "AWSEvents.DescribeEventBus", Name="peerd")
    assert bus == [("events:DescribeEventBus", f"arn:aws:events:us-east-1:{HUB}:event-bus/peerd", {})]
    stack = of_query("cloudformation", Action="DescribeStacks", StackName="peerd")
    assert stack[0][1] == f"arn:aws:cloudformation:us-east-1:{HUB}:stack/peerd/*"


@pytest.mark.parametrize("group", ["default", "other"])
def test_a_schedule_is_named_with_its_group(group: str) -> None:
    query = "" if group == "default" else f"?groupName={group}"
    found = needed(signed("scheduler", b"", f"/schedules/peerd-sweep{query}", "GET"))
    schedule = f"arn:aws:scheduler:us-east-1:{HUB}:schedule/{group}/peerd-sweep"
    assert found == [("scheduler:GetSchedule", schedule, {})]


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("GetFunctionConcurrency", "/2019-09-30/functions/peerd-drift-repair/concurrency"),
        ("GetFunctionConfiguration", "/2015-03-31/functions/peerd-drift-repair/configuration"),
    ],
)
def test_a_setting_of_a_function_needs_the_function(operation: str, path: str) -> None:
    function = f"arn:aws:lambda:us-east-1:{HUB}:function:peerd-drift-repair"
    assert needed(signed("lambda", b"", path, "GET")) == [(f"lambda:{operation}", function, {})]


def test_any_other_call_needs_the_action_on_any_resource() -> None:
    assert of_json("dynamodb", "DynamoDB_20120810.Scan", TableName="index") == [("dynamodb:Scan", "*", {})]
    assert needed(signed("dynamodb", b"\xa1", Content_Type="application/cbor"))[0][1] == "*"
