"""ministack with the patches of the sandbox (`python -m sandbox.ministack_child`).

Every patch describes the behavior of AWS. ministack is pinned to one version (requirements.txt), since the
patches replace internal functions; `install` fails at start-up if one of them no longer exists. Three
variables configure it: PEERD_SANDBOX_GATEWAY_PORT, PEERD_SANDBOX_EMITTER (the secret that permits aws.*
events), and PEERD_SANDBOX_LOGS (a directory).
"""

import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import ministack.app
from ministack.core import lambda_runtime
from ministack.core.concurrency import esm_wake
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge, lambda_svc, sqs
from ministack.services.cloudformation import changesets, engine, handlers, stacks

from sandbox import ministack_activity, ministack_policies, ministack_resources
from sandbox.ministack_host import ACTIVITY_PATH, ADVANCE_FAILED_PATH, ADVANCE_PATH, KILL_PATH

EMITTER_FIELD = "SandboxEmitter"
# The poll interval for delayed messages and batching windows. ministack polls once a second; AWS polls
# continuously.
_POLL_INTERVAL_S = 0.05
# AWS's maximum batch size of a standard queue. More than 10 require a batching window:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
_MAX_BATCH = 10_000
_MAX_BATCH_WITHOUT_WINDOW = 10
# Calls on a rule, and the field with its name.
_RULE_CALLS = {
    "_describe_rule": "Name",
    "_enable_rule": "Name",
    "_disable_rule": "Name",
    "_list_targets_by_rule": "Rule",
}


def install() -> None:
    """Patches ministack. Raises AttributeError if a patched name does not exist."""
    _patch(eventbridge, "_put_events", _permit_gateway_events(eventbridge._put_events))
    _patch(eventbridge, "_dispatch_to_event_bus", _deliver_to_bus)
    ministack_resources.install()  # before the policies: a changed policy is published
    ministack_policies.install()
    for call, field in _RULE_CALLS.items():
        _patch(eventbridge, call, _requiring_rule(getattr(eventbridge, call), field))
    _patch(sqs, "_receive_messages_for_esm", ministack_activity.receiving(_receive_batch))
    _patch(lambda_svc, "_run_sqs_batch", ministack_activity.running(lambda_svc._run_sqs_batch))
    _patch(sqs, "_delete_messages_for_esm", _delete_batch)
    _patch(sqs, "_dlq_sweep", _in_place(sqs._dlq_sweep))
    _patch(lambda_runtime, "execution_credentials", _role_credentials)
    _patch(lambda_svc, "execution_credentials", _role_credentials)
    _patch(lambda_runtime.ProvidedWorker, "_pump_output", _tee(lambda_runtime.ProvidedWorker._pump_output))
    _patch(ministack.app, "app", _with_control_requests(ministack.app.app))
    evaluate = _resolving_values(engine._evaluate_conditions)
    for module in (changesets, engine, handlers, stacks):
        _patch(module, "_evaluate_conditions", evaluate)
    # Queue URLs contain the public endpoint, not the private port of this process.
    _patch(sqs, "DEFAULT_PORT", os.environ["PEERD_SANDBOX_GATEWAY_PORT"])
    _patch(sqs, "_CANONICAL_NETLOC", f"{sqs.DEFAULT_HOST}:{sqs.DEFAULT_PORT}")


def _patch(owner: Any, name: str, replacement: Any) -> None:
    getattr(owner, name)
    setattr(owner, name, replacement)


# ---------------------------------------------------------------- EventBridge


def _permit_gateway_events(put_events: Any) -> Any:
    """Only AWS services put events of source aws.*; the gateway acts as CloudTrail and the tag service.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    """
    secret = os.environ["PEERD_SANDBOX_EMITTER"]

    def put(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        emitted = data.pop(EMITTER_FIELD, None) == secret
        return put_events(data, allow_aws_source=allow_aws_source or emitted)

    return put


def _requiring_rule(call: Any, field: str) -> Any:
    """A call on a rule that does not exist fails; in ministack it succeeds.

    The error message: https://github.com/turbot/steampipe-plugin-aws/issues/1591
    """

    def checked(data: dict[str, Any]) -> Any:
        name, bus = data.get(field), data.get("EventBusName", "default")
        if eventbridge._rule_key(name, bus) in eventbridge._rules:
            return call(data)
        message = f"Rule {name} does not exist on EventBus {bus}."
        return eventbridge.error_response_json("ResourceNotFoundException", message, 400)

    return checked


def _deliver_to_bus(
    spec: Any, event: dict[str, Any], rule: dict[str, Any], path: set[str], payload: Any = None
) -> None:
    """Delivers to a bus of any account and Region; the event keeps its original account and Region.

    ministack delivers within one account and Region only, and overwrites the Region. An event from another
    account is not forwarded to a third one:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
    """
    bus = spec.resource.removeprefix("event-bus/")
    origin = (get_account_id(), get_region())
    if event.get("Account", origin[0]) != origin[0] and spec.account_id != origin[0]:
        eventbridge.logger.warning("%s: not forwarded, it came from account %s", spec, event["Account"])
        return
    rule_key = eventbridge._rule_key(rule.get("Name"), rule.get("EventBusName", "default"))
    step = "/".join((*origin, str(rule_key)))
    if step in path:
        eventbridge.logger.warning("%s: not delivered, this rule already forwarded it", spec)
        return
    with request_scope(spec.account_id, spec.region):
        if bus != "default" and bus not in eventbridge._event_buses:
            eventbridge.logger.warning("%s: not delivered, the event bus does not exist", spec)
            return
        forwarded = event | {
            "EventBusName": bus,
            "Account": event.get("Account", origin[0]),
            "Region": event.get("Region", origin[1]),
            "_DispatchPath": [*path, step],
        }
        if payload is not None:
            forwarded["Detail"] = payload
        eventbridge._dispatch_event(forwarded)


# ---------------------------------------------------------------- CloudFormation


def _resolving_values(evaluate: Any) -> Any:
    """Conditions may compare pseudo parameters and the results of functions; ministack compares their names.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html
    """

    def resolved(value: Any, template: dict[str, Any], parameters: dict[str, Any]) -> Any:
        if isinstance(value, list):
            return [resolved(item, template, parameters) for item in value]
        if not isinstance(value, dict):
            return value
        is_pseudo = str(value.get("Ref", "")).startswith("AWS::")
        if is_pseudo or value.keys() & {"Fn::Join", "Fn::Sub", "Fn::FindInMap", "Fn::Split"}:
            return engine._resolve_refs(value, {}, parameters, {}, template.get("Mappings", {}), "", "")
        return {key: resolved(item, template, parameters) for key, item in value.items()}

    def evaluate_all(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
        conditions = resolved(template.get("Conditions", {}), template, parameters)
        return evaluate(template | {"Conditions": conditions}, parameters)

    return evaluate_all


# ---------------------------------------------------------------- SQS event sources


def _receive_batch(queue_url: str, batch_size: int) -> list[dict[str, Any]]:
    """Returns up to BatchSize messages, after the oldest of them has waited for the batching window.

    ministack limits a batch to 10 and has no window. The window ends early when the batch is full:
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html#invocation-eventsourcemapping-batching
    """
    window = _batching_window(queue_url)
    max_size = min(int(batch_size or 1), _MAX_BATCH if window else _MAX_BATCH_WITHOUT_WINDOW)
    queue = sqs._get_q(queue_url)
    now = time.time()
    waiting = [message for message in list(queue["messages"]) if message["visible_at"] <= now]
    if any(message["receive_count"] for message in waiting):
        sqs._dlq_sweep(queue)  # only received messages can exceed maxReceiveCount; see _delete_batch
    oldest = min((message["visible_at"] for message in waiting), default=now)
    if not waiting or (len(waiting) < max_size and now - oldest < window):
        return []
    if reason := ministack_policies.poll_refusal(queue["attributes"]["QueueArn"]):
        sqs.logger.warning("%s is not polled: %s", queue_url, reason)
        return []
    return sqs._collect_msgs(queue, max_size, int(queue["attributes"].get("VisibilityTimeout", "30")))


def _delete_batch(queue_url: str, receipt_handles: set[str]) -> None:
    """Deletes in place.

    ministack replaces the list in one thread while another thread appends new messages, so that it can lose a
    message.
    """
    messages = sqs._get_q(queue_url)["messages"]
    for message in list(messages):
        if message.get("receipt_handle") in receipt_handles:
            messages.remove(message)


def _in_place(dlq_sweep: Any) -> Any:
    """Removes dead letters from their queue in place, for the same reason as `_delete_batch`."""

    def sweep(queue: dict[str, Any]) -> None:
        messages = list(queue["messages"])
        copy = queue | {"messages": messages}
        dlq_sweep(copy)
        kept = {id(message) for message in copy["messages"]}
        for message in messages:
            if id(message) not in kept:
                with contextlib.suppress(ValueError):  # its last delivery has just succeeded
                    queue["messages"].remove(message)

    return sweep


def _batching_window(queue_url: str) -> float:
    queue_arn = sqs._get_q(queue_url)["attributes"].get("QueueArn")
    for mapping in lambda_svc._esms.values():
        if mapping.get("EventSourceArn") == queue_arn:
            return float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
    return 0.0


def _keep_polling() -> None:
    while True:
        time.sleep(_POLL_INTERVAL_S)
        esm_wake.set()


# ---------------------------------------------------------------- functions


def _role_credentials(config: dict[str, Any]) -> dict[str, str]:
    """Returns keys of the function's role, after registering them; ministack uses the account's key.

    Raises RuntimeError if the role's trust policy does not permit Lambda to assume it.
    """
    role_arn, function_arn = config["Role"], config["FunctionArn"]
    if reason := ministack_policies.start_refusal(config):
        raise RuntimeError(f"{config['FunctionName']} does not start: {reason}")
    account = function_arn.split(":")[4]
    digest = hashlib.sha256(f"{function_arn} {role_arn}".encode()).hexdigest().upper()
    access_key = f"ASIA{digest[:16]}"
    _register_key(
        {
            "access_key": access_key,
            "account": account,
            "role_arn": role_arn,
            "session_name": config["FunctionName"],
            "function_arn": function_arn,
        }
    )
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": digest[16:56],
        "AWS_SESSION_TOKEN": f"sandbox-{digest[:32]}",
    }


def _register_key(key: dict[str, str]) -> None:
    port = os.environ["PEERD_SANDBOX_GATEWAY_PORT"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/_sandbox/function-keys", data=json.dumps(key).encode(), method="POST"
    )
    urllib.request.urlopen(request, timeout=5).close()


class _TeedStream:
    """The output of a function, copied line by line to its log file while ministack reads it."""

    def __init__(self, stream: Any, log: Path) -> None:
        self._stream = stream
        self._log = log.open("ab", buffering=0)

    def readline(self) -> bytes:
        line = self._stream.readline()
        self._log.write(line)
        return line

    def close(self) -> None:
        self._stream.close()
        self._log.close()


def _tee(pump_output: Any) -> Any:
    """Writes the log of a function to a file immediately; ministack shows it after the invocation."""
    folder = Path(os.environ["PEERD_SANDBOX_LOGS"])

    def pump(worker: Any, stream: Any, log_queue: Any) -> None:
        pump_output(worker, _TeedStream(stream, folder / f"{worker.func_name}.log"), log_queue)

    return pump


def _with_control_requests(app: Any) -> Any:
    """Handles requests of the sandbox's control plane in addition to those of AWS clients."""
    handlers = {
        KILL_PATH: _kill_functions,
        ACTIVITY_PATH: ministack_activity.activity,
        ADVANCE_PATH: lambda: ministack_activity.advance(failed=False),
        ADVANCE_FAILED_PATH: lambda: ministack_activity.advance(failed=True),
    }

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        handler = handlers.get(scope["path"]) if scope["type"] == "http" else None
        if handler is None:
            await app(scope, receive, send)
            return
        body = json.dumps(handler()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return handle


def _kill_functions() -> dict[str, int]:
    """Kills the functions' processes; returns when they have exited.

    On AWS, too, a process may exit at any time. The queue redelivers its messages after the visibility
    timeout, and the next invocation starts another process; ministack implements both.
    """
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
        processes = [(worker._proc, worker.in_use) for worker in workers]
    running = [(process, in_use) for process, in_use in processes if process and process.poll() is None]
    for process, _ in running:
        process.kill()
    for process, _ in running:
        process.wait()
    return {"killed": len(running), "working": sum(in_use for _, in_use in running)}


def _end_with_parent(parent: int) -> None:
    """Exits when the parent is gone: a killed gateway cannot stop its children."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    threading.Thread(
        target=_end_with_parent, args=(os.getppid(),), name="sandbox-parent", daemon=True
    ).start()
    install()
    threading.Thread(target=_keep_polling, name="sandbox-poll", daemon=True).start()
    sys.argv = ["ministack"]
    ministack.app.main()


if __name__ == "__main__":
    main()
