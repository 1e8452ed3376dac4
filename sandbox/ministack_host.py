"""Runs ministack (EventBridge, SQS, Lambda, Scheduler, DynamoDB, CloudFormation, IAM, S3) as a child process.

It starts the child on a private port of 127.0.0.1, waits until it responds, and stops it with its process
group, which contains the Lambda functions. The patches of ministack are in ministack_child.
"""

import contextlib
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sandbox.ports import free_port

# Variables of the user's shell that change the behavior of a child. No call leaves the machine, so that a
# proxy cannot work.
_NOT_INHERITED = (
    "AWS_",
    "SAM_CLI_",
    "PEERD_",
    "MINISTACK_",
    "LOCALSTACK_",
    "LAMBDA_",
    "S3_",
    "SERVICES",
    "AUTH",
)
_NOT_INHERITED += ("PERSIST_STATE", "EDGE_PORT", "USE_SSL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_START_WITHIN_S = 300
# The paths of the child's control requests, on its private port only.
KILL_PATH = "/_sandbox/kill"
ACTIVITY_PATH = "/_sandbox/queues"
ADVANCE_PATH = "/_sandbox/queues/advance"
ADVANCE_FAILED_PATH = "/_sandbox/queues/advance-failed"


class MinistackFailed(RuntimeError):
    """The child did not start; the message contains its output."""


class MinistackHost:
    """The child process. `port` is its port, `emitter` the secret that permits aws.* events."""

    def __init__(self, state: Path, gateway_port: int, hub_account: str, hub_region: str) -> None:
        self.port = free_port()
        self.emitter = secrets.token_hex(16)
        self.log = state / "ministack.log"
        scratch = state / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        endpoint = f"http://127.0.0.1:{gateway_port}"
        own = {
            "BIND_HOST": "127.0.0.1",  # the default is every interface
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": hub_region,
            "MINISTACK_ACCOUNT_ID": hub_account,
            "TMPDIR": str(scratch),  # the code of functions, the pid file
            "LOG_LEVEL": "INFO",
            # Listeners of unused services, on fixed ports of every interface.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PEERD_SANDBOX_GATEWAY_PORT": str(gateway_port),
            "PEERD_SANDBOX_EMITTER": self.emitter,
            "PEERD_SANDBOX_LOGS": str(state),
            # For the functions, which inherit it: every SDK call goes to the gateway.
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONUNBUFFERED": "1",
        }
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "sandbox.ministack_child"],
                env=inherited_environment() | own,
                cwd=Path(__file__).resolve().parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _START_WITHIN_S
        while not self._is_responding():
            if (code := self._child.poll()) is not None:
                raise MinistackFailed(f"ministack exited with code {code}:\n{self._last_lines()}")
            if time.monotonic() > deadline:
                raise MinistackFailed(
                    f"ministack did not respond within {_START_WITHIN_S} s:\n{self._last_lines()}"
                )
            time.sleep(0.03)

    def is_running(self) -> bool:
        return self._child.poll() is None

    def kill_functions(self) -> dict[str, int]:
        """Kills the functions' processes; returns how many, and how many of those had an invocation."""
        return self._post(KILL_PATH)

    def queue_activity(self) -> dict[str, dict[str, int]]:
        """Returns how many messages of each function's queue are due, delayed, working and failed."""
        return self._post(ACTIVITY_PATH)

    def advance_queues(self, failed: bool) -> dict[str, int]:
        """Makes every delayed message, and optionally every failed one, due now; returns how many."""
        return self._post(ADVANCE_FAILED_PATH if failed else ADVANCE_PATH)

    def _post(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stop(self) -> None:
        """Kills the child and its process group."""
        with contextlib.suppress(ProcessLookupError):  # the group may have exited
            # The child has no state to save, and a graceful exit takes seconds.
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def _is_responding(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:]) or "(no output)"


def inherited_environment() -> dict[str, str]:
    """Returns the environment of a child without its own variables."""
    return {key: value for key, value in os.environ.items() if not key.upper().startswith(_NOT_INHERITED)}
