"""The policies in ministack, for the gateway, and the authorization of what AWS services do in ministack.

Every change of a policy sends all policies to the gateway before the call that made it returns, so that the
gateway never asks: a request to ministack from within ministack's event loop would wait for itself.
"""

import json
import os
import threading
import urllib.request
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import eventbridge, iam, lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from sandbox.iam.events import EVENTS, LAMBDA, SCHEDULER, event_keys

POLICIES_PATH = "/_sandbox/policies"
AUTHORIZE_PATH = "/_sandbox/authorize"
_TIMEOUT_S = 60
# Calls that cannot change a policy.
_READS = ("Get", "List", "Simulate", "Generate")
_POLICY_TYPES = ("AWS::IAM::", "AWS::SQS::", "AWS::Events::EventBus")
_POLICY_STEPS = ("create", "update", "delete")
_publishing = threading.Lock()


def install() -> None:
    """Patches ministack: policies of event buses, publication, deliveries only as authorized."""
    _patch_handlers(iam._IAM_HANDLERS, [name for name in iam._IAM_HANDLERS if not name.startswith(_READS)])
    for name in ("CreateQueue", "DeleteQueue", "SetQueueAttributes", "AddPermission", "RemovePermission"):
        _patch_handlers(sqs._HANDLERS, [name])
    for name in ("_put_permission", "_remove_permission", "_delete_event_bus"):
        setattr(eventbridge, name, _publishing_after(getattr(eventbridge, name)))
    buses = provisioners._RESOURCE_HANDLERS["AWS::Events::EventBus"]
    for step in ("create", "update"):
        buses[step] = _with_bus_policy(buses[step], properties=1 if step == "create" else 2)
    for kind, steps in provisioners._RESOURCE_HANDLERS.items():
        if kind.startswith(_POLICY_TYPES):
            _patch_handlers(steps, [step for step in _POLICY_STEPS if step in steps])
    eventbridge._invoke_target = _invoking_as_authorized(eventbridge._invoke_target)


def _patch_handlers(handlers: dict[str, Any], names: list[str]) -> None:
    for name in names:
        handlers[name] = _publishing_after(handlers[name])


def _publishing_after(change: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*args: Any, **kwargs: Any) -> Any:
        result = change(*args, **kwargs)
        publish()
        return result

    return changed


def _with_bus_policy(step: Callable[..., Any], properties: int) -> Callable[..., Any]:
    """Stores the policy of an event bus, a property of the resource type that ministack ignores.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-eventbus.html
    """

    def stored(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        policy = args[properties].get("Policy")
        if policy:
            document = json.loads(policy) if isinstance(policy, str) else policy
            eventbridge._event_bus_policies[result[0]] = document
        else:
            eventbridge._event_bus_policies.pop(result[0], None)
        return result

    return stored


# ---------------------------------------------------------------- publication


def publish() -> None:
    """Sends all policies to the gateway."""
    with _publishing:  # the last one that is sent is the newest
        _post(POLICIES_PATH, {"roles": _roles(), "resources": {**_queues(), **_buses()}})


def _roles() -> dict[str, Any]:
    found = {}
    for (account, _), role in list(iam._roles._data.items()):
        policies = {name: _text(document) for name, document in role["InlinePolicies"].items()}
        for arn in role["AttachedPolicies"]:
            document = iam_evaluator._resolve_managed_policy_document(arn, account)
            policies[arn.rpartition("/")[2]] = _text(document)
        boundary = role.get("PermissionsBoundary")
        found[role["Arn"]] = {
            "trust": _text(role["AssumeRolePolicyDocument"]),
            "policies": policies,
            "boundary": _text(iam_evaluator._resolve_managed_policy_document(boundary, account))
            if boundary
            else None,
        }
    return found


def _queues() -> dict[str, str]:
    queues = [queue["attributes"] for queue in list(sqs._queues._data.values())]
    return {queue["QueueArn"]: _text(queue["Policy"]) for queue in queues if queue.get("Policy")}


def _buses() -> dict[str, str]:
    return {
        f"arn:aws:events:{region}:{account}:event-bus/{name}": json.dumps(_with_account_principals(policy))
        for (account, region, name), policy in list(eventbridge._event_bus_policies._data.items())
        if policy["Statement"]
    }


def _with_account_principals(policy: dict[str, Any]) -> dict[str, Any]:
    """PutPermission takes an account id, which stands for the account's root in the policy.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html
    """
    changed = []
    for statement in policy["Statement"]:
        principal = statement["Principal"]
        is_account = isinstance(principal, str) and principal != "*"
        changed.append(statement | {"Principal": {"AWS": principal} if is_account else principal})
    return policy | {"Statement": changed}


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document or {"Statement": []})


# ---------------------------------------------------------------- authorization


def refusal(delivery: dict[str, Any]) -> str | None:
    """Returns None if a service may make a delivery (`sandbox.iam.model.Delivery`), else AWS's reason."""
    answer = _post(AUTHORIZE_PATH, delivery)
    return None if answer["allowed"] else answer["reason"]


def _invoking_as_authorized(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """A rule or schedule reaches a bus or queue only if the policies permit it; AWS would retry for hours."""

    def invoke_target(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> Any:
        delivery = _delivery(target, event, rule)
        if delivery and (reason := refusal(delivery)):
            eventbridge.logger.warning("%s -> %s: not delivered: %s", rule["Arn"], target["Arn"], reason)
            return None
        return invoke(target, event, rule, view)

    return invoke_target


def _delivery(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any] | None:
    """Returns what a target needs, or None for a target without a policy here.

    A bus needs the permissions of the target's role, a queue those of its own policy for EventBridge:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html. Without a role, a bus
    needs its own policy's permission for the account.
    """
    _, _, service, region, _, resource = target["Arn"].split(":", 5)
    _, _, origin, _, account, name = rule["Arn"].split(":", 5)
    delivery = {"account": account, "source": rule["Arn"], "role": target.get("RoleArn")}
    if origin == "scheduler":
        delivery |= {"source": f"arn:aws:scheduler:{region}:{account}:schedule-group/{name.split('/')[1]}"}
    if service == "sqs":
        sends = {"action": "sqs:SendMessage", "resource": target["Arn"], "region": region}
        return {**delivery, "service": SCHEDULER if origin == "scheduler" else EVENTS, "checks": [sends]}
    if service == "events" and resource.startswith("event-bus/"):
        keys = event_keys(event["Source"], event["DetailType"], forwarded=True)
        puts = {"action": "events:PutEvents", "resource": target["Arn"], "keys": keys, "region": region}
        return {**delivery, "service": EVENTS if delivery["role"] else None, "checks": [puts]}
    return None


def poll_refusal(queue_arn: str) -> str | None:
    """Returns None if Lambda may poll a queue with the role of the queue's function, else AWS's reason.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions
    """
    mapping = next((it for it in lambda_svc._esms.values() if it.get("EventSourceArn") == queue_arn), None)
    function = mapping and lambda_svc._functions.get(mapping["FunctionArn"].rpartition(":")[2])
    if not function:
        return None
    _, _, _, region, account, _ = queue_arn.split(":", 5)
    actions = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    checks = [{"action": action, "resource": queue_arn, "region": region} for action in actions]
    return refusal({"account": account, "role": function["config"]["Role"], "checks": checks})


def start_refusal(config: dict[str, Any]) -> str | None:
    """Returns None if Lambda may assume the role of a function, else AWS's reason.

    The role's permission to write the log is evaluated too. Without it the function runs, as on AWS.
    """
    function, role = config["FunctionArn"], config["Role"]
    _, _, _, region, account, _ = function.split(":", 5)
    delivery = {"account": account, "source": function, "service": LAMBDA, "role": role, "checks": []}
    reason = refusal(delivery)
    if reason is None:
        group = config.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        stream = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:sandbox"
        actions = ("logs:CreateLogStream", "logs:PutLogEvents")
        checks = [{"action": action, "resource": stream, "region": region} for action in actions]
        if unlogged := refusal({"account": account, "role": role, "checks": checks}):
            lambda_svc.logger.warning("%s: AWS would write no log: %s", config["FunctionName"], unlogged)
    return reason


def _post(path: str, body: Any) -> Any:
    port = os.environ["PEERD_SANDBOX_GATEWAY_PORT"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=json.dumps(body).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        return json.loads(response.read())
