"""What a call of a service other than EC2 needs: its action, its resources and its condition keys."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.ec2.identity import Principal
from sandbox.iam.events import event_keys
from sandbox.iam.model import Check, Value
from sandbox.iam.organization import membership
from sandbox.wire import AwsRequest

Build = Callable[["ServiceCall"], Iterator[Check]]


class ServiceCall:
    """One request with its parameters, in any of the protocols except CBOR."""

    def __init__(self, request: AwsRequest, caller: Principal) -> None:
        self.service, self.operation = request.service, request.action
        self.account, self.region = caller.account, request.region
        self.path = unquote(request.path)
        self.fields = {**request.form, **_body(request)}

    def text(self, name: str) -> str:
        """Returns a parameter, or an empty string."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def arn(self, resource: str, region: str | None = None, account: str = "") -> str:
        """Returns an ARN of the service; by default of the caller's account and Region."""
        region = self.region if region is None else region
        return f"arn:aws:{self.service}:{region}:{account or self.account}:{resource}"

    def check(self, resource: str, keys: Mapping[str, Value] | None = None, action: str = "") -> Check:
        """Returns a check; by default of the action with the name of the operation."""
        name = action or f"{self.service}:{self.operation}"
        return Check(name, resource, dict(keys or {}), self.region)


def checks(request: AwsRequest, caller: Principal) -> list[Check]:
    """Returns the checks of a request. An operation that is not known is checked for the resource `*`."""
    call = ServiceCall(request, caller)
    build = _BUILDERS.get(f"{call.service}:{call.operation}", _of_anything)
    return list(build(call))


def _body(request: AwsRequest) -> dict[str, Any]:
    if "json" not in request.header("content-type") or not request.body:
        return {}
    try:
        given = json.loads(request.body)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _of_anything(call: ServiceCall) -> Iterator[Check]:
    yield call.check("*")


# ---------------------------------------------------------------- STS


def _assume_role(call: ServiceCall) -> Iterator[Check]:
    keys = {"sts:RoleSessionName": call.text("RoleSessionName")}
    if "ExternalId" in call.fields:
        keys["sts:ExternalId"] = call.text("ExternalId")
    yield call.check(call.text("RoleArn"), keys)


# ---------------------------------------------------------------- DynamoDB

_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def _on_item(call: ServiceCall) -> Iterator[Check]:
    yield _item(call, call.operation, call.fields)


def _in_transaction(call: ServiceCall) -> Iterator[Check]:
    """A transaction needs the permission of each of its writes.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    for item in call.fields.get("TransactItems", []):
        for kind, operation in _TRANSACTION.items():
            if kind in item:
                enclosing: dict[str, Value] = (
                    {} if kind == "ConditionCheck" else {"dynamodb:EnclosingOperation": call.operation}
                )
                yield _item(call, operation, item[kind], enclosing)


def _item(
    call: ServiceCall, operation: str, item: Mapping[str, Any], more: Mapping[str, Value] | None = None
) -> Check:
    keys: dict[str, Value] = dict(more or {})
    leading = _partition_key(item)
    if leading is not None:
        keys["dynamodb:LeadingKeys"] = [leading]
    table = item.get("TableName", "").rpartition("/")[2]
    return call.check(call.arn(f"table/{table}"), keys, action=f"dynamodb:{operation}")


def _partition_key(item: Mapping[str, Any]) -> str | None:
    """Returns the partition key, which peerd's table calls `pk`: of the item, or of a query for `:pk`."""
    stored = item.get("Key") or item.get("Item") or {}
    value = stored.get("pk") or item.get("ExpressionAttributeValues", {}).get(":pk", {})
    if item.get("KeyConditionExpression") and not item["KeyConditionExpression"].startswith("pk = :pk"):
        return None
    return value.get("S")


def _on_table(call: ServiceCall) -> Iterator[Check]:
    yield call.check(call.arn(f"table/{call.text('TableName').rpartition('/')[2]}"))


# ---------------------------------------------------------------- SQS and EventBridge


def _of_queue(call: ServiceCall) -> Iterator[Check]:
    account, _, name = urlsplit(call.text("QueueUrl")).path.strip("/").rpartition("/")
    action = f"sqs:{call.operation.removesuffix('Batch')}"
    yield call.check(call.arn(name, account=account), action=action)


def _put_events(call: ServiceCall) -> Iterator[Check]:
    """Each entry is checked: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html"""
    for entry in call.fields.get("Entries", []):
        bus = str(entry.get("EventBusName") or "default")
        arn = bus if bus.startswith("arn:") else call.arn(f"event-bus/{bus}")
        yield call.check(
            arn, event_keys(entry.get("Source", ""), entry.get("DetailType", ""), forwarded=False)
        )


def _of_rule(call: ServiceCall) -> Iterator[Check]:
    name, bus = call.text("Name") or call.text("Rule"), call.text("EventBusName") or "default"
    yield call.check(call.arn(f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}"))


def _of_bus(call: ServiceCall) -> Iterator[Check]:
    bus = call.text("Name") or "default"
    yield call.check(bus if bus.startswith("arn:") else call.arn(f"event-bus/{bus}"))


# ---------------------------------------------------------------- the other services


def _of_schedule(call: ServiceCall) -> Iterator[Check]:
    """The group is part of the ARN, and a parameter of the query string.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html
    """
    name = call.path.rpartition("/")[2]
    yield call.check(call.arn(f"schedule/{call.text('groupName') or 'default'}/{name}"))


def _of_trail(call: ServiceCall) -> Iterator[Check]:
    name = call.text("Name") or call.text("TrailName")
    yield call.check(name if name.startswith("arn:") else call.arn(f"trail/{name}"))


def _of_parent(call: ServiceCall) -> Iterator[Check]:
    """The id of an organization is part of the ARN: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_arns.html"""
    parent = call.text("ParentId")
    kind = "root" if parent.startswith("r-") else "ou"
    known = membership(call.account)
    yield call.check(call.arn(f"{kind}/{known.organization if known else '*'}/{parent}", region=""))


def _of_function(call: ServiceCall) -> Iterator[Check]:
    name = call.path.partition("/functions/")[2].partition("/")[0]
    action = "lambda:InvokeFunction" if call.operation == "Invoke" else ""
    arn = name if name.startswith("arn:") else call.arn(f"function:{name}")
    yield call.check(arn, action=action)


def _of_stack(call: ServiceCall) -> Iterator[Check]:
    name = call.text("StackName")
    yield call.check(call.arn(f"stack/{name}/*") if name else "*")


def _of_secret(call: ServiceCall) -> Iterator[Check]:
    secret = call.text("SecretId")
    yield call.check(secret if secret.startswith("arn:") else call.arn(f"secret:{secret}-*"))


_QUEUE_CALLS = (
    "SendMessage",
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "GetQueueAttributes",
)
_BUILDERS: Mapping[str, Build] = {
    "sts:AssumeRole": _assume_role,
    "dynamodb:TransactWriteItems": _in_transaction,
    **{f"dynamodb:{name}": _on_item for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")},
    **{f"sqs:{name}": _of_queue for name in _QUEUE_CALLS},
    **{f"dynamodb:{name}": _on_table for name in ("DescribeTable", "DescribeContinuousBackups")},
    "events:PutEvents": _put_events,
    "events:DescribeEventBus": _of_bus,
    "events:DescribeRule": _of_rule,
    "events:ListTargetsByRule": _of_rule,
    "cloudtrail:GetTrailStatus": _of_trail,
    "cloudtrail:GetEventSelectors": _of_trail,
    "organizations:ListAccountsForParent": _of_parent,
    "organizations:ListOrganizationalUnitsForParent": _of_parent,
    "lambda:Invoke": _of_function,
    "lambda:GetFunctionConcurrency": _of_function,
    "lambda:GetFunctionConfiguration": _of_function,
    "scheduler:GetSchedule": _of_schedule,
    "cloudformation:DescribeStacks": _of_stack,
    "secretsmanager:GetSecretValue": _of_secret,
}
