"""A running sandbox with a stub for the functions, as the tests use it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.client.control import Control
from sandbox.client.process import SandboxProcess
from sandbox.client.sessions import Sessions

STUB_FUNCTION = Path(__file__).parent / "fixtures" / "bootstrap"
FUNCTIONS = ("vpc-events", "peering-events", "drift-repair")
# Limits against a hang; the tests do not measure how long the machine takes.
READY_WITHIN_S = 300
EVENTUALLY_S = 120
SPOKE_ROLE = "arn:aws:iam::222222222222:role/peerd-spoke"


class RunningSandbox:
    """A running sandbox with the operations of the tests."""

    def __init__(self, process: SandboxProcess, endpoint: str) -> None:
        self.process = process
        self.endpoint = endpoint
        self.control = Control(endpoint)
        self.sessions = Sessions(endpoint)

    def log_lines(self, function: str) -> list[dict[str, Any]]:
        log = self.process.state / "peerd-sandbox" / f"peerd-{function}.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def bodies(self, function: str) -> list[dict[str, Any]]:
        return [json.loads(body) for line in self.log_lines(function) for body in line.get("batch", [])]

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


def eventually(poll: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + EVENTUALLY_S
    while not (result := poll()):
        assert time.monotonic() < deadline, f"still not after {EVENTUALLY_S} s; last result: {result!r}"
        time.sleep(0.02)
    return result


def assert_only_later_events_arrive(sandbox: RunningSandbox, ec2: Any, lost: str) -> None:
    """Fails unless the event of a new VPC arrives and that of the VPC `lost` never did; deletes both VPCs."""
    delivered = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    eventually(lambda: delivered in json.dumps(sandbox.bodies("vpc-events")))
    assert lost not in json.dumps(sandbox.bodies("vpc-events"))
    for vpc in (lost, delivered):
        ec2.delete_vpc(VpcId=vpc)
