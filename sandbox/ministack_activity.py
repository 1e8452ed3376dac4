"""The messages in flight in ministack, and a queue clock that can be advanced (a part of `ministack_child`).

This covers the queues that are event sources of functions. Each message is in one of four states:
`due` (visible now), `delayed` (sent with a delay that is not over), `working` (an invocation has it), or
`failed` (hidden until its visibility timeout ends, after an invocation that failed or was killed).
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.concurrency import esm_wake
from ministack.core.responses import request_scope
from ministack.services import lambda_svc, sqs

Receive = Callable[[str, int], list[dict[str, Any]]]

# Held while messages change their state, so that no reader sees a message between two states.
_lock = threading.Lock()
_working: set[str] = set()


def receiving(receive: Receive) -> Receive:
    """Wraps the receipt of a batch: its messages are `working` as soon as they are hidden."""

    def received(queue_url: str, batch_size: int) -> list[dict[str, Any]]:
        with _lock:
            batch = receive(queue_url, batch_size)
            _working.update(message["id"] for message in batch)
            return batch

    return received


def running(run_batch: Callable[..., None]) -> Callable[..., None]:
    """Wraps the invocation for a batch: when it ends, its messages are deleted or failed."""

    def run(esm: Any, function: Any, event: Any, batch: list[dict[str, Any]], *rest: Any) -> None:
        try:
            run_batch(esm, function, event, batch, *rest)
        finally:
            with _lock:
                _working.difference_update(message["id"] for message in batch)

    return run


def activity() -> dict[str, dict[str, int]]:
    """Returns the number of messages in each state, by the name of the queue."""
    now = time.time()
    counts: dict[str, dict[str, int]] = {}
    with _lock:
        for name, queue in _source_queues():
            states = dict.fromkeys(("due", "delayed", "working", "failed"), 0)
            for message in list(queue["messages"]):
                states[_state(message, now)] += 1
            counts[name] = states
    return counts


def advance(failed: bool) -> dict[str, int]:
    """Makes every delayed message, and optionally every failed one, due now; returns how many."""
    states = ("delayed", "failed") if failed else ("delayed",)
    now = time.time()
    advanced = 0
    with _lock:
        for _, queue in _source_queues():
            for message in list(queue["messages"]):
                if _state(message, now) in states:
                    message["visible_at"] = now
                    advanced += 1
    esm_wake.set()
    return {"advanced": advanced}


def _state(message: dict[str, Any], now: float) -> str:
    if message["id"] in _working:
        return "working"
    if message["visible_at"] <= now:
        return "due"
    return "failed" if message["receive_count"] else "delayed"


def _source_queues() -> Iterator[tuple[str, dict[str, Any]]]:
    seen = set()
    for account, region, mapping in lambda_svc._iter_all_esms():
        arn = mapping.get("EventSourceArn", "")
        if ":sqs:" not in arn or arn in seen:
            continue
        seen.add(arn)
        name = arn.rpartition(":")[2]
        with request_scope(account, region):
            queue = sqs._queues.get(sqs._queue_url(name))
        if queue is not None:
            yield name, queue
