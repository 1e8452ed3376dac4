"""A running sandbox: starts its components in order, waits, and stops them.

ministack starts while this process imports moto, which takes longest. The gateway starts before the stacks
are deployed, since `sam deploy` uses it.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox import deploy
from sandbox.control import CallLog, ControlPlane, Faults
from sandbox.ministack_host import MinistackFailed, MinistackHost
from sandbox.proxy import Proxy

if TYPE_CHECKING:
    from sandbox.events import EventEmitter

FAILURES = (deploy.DeploymentFailed, MinistackFailed)
_POLL_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Directories:
    """The directories of the templates, of the functions' binaries, and of the sandbox's files."""

    templates: Path
    functions: Path
    state: Path


class Sandbox:
    """The sandbox, as a context manager that always stops its processes."""

    def __init__(self, directories: Directories, listener: socket.socket, verbose: bool) -> None:
        self._project = deploy.Project(directories.templates, directories.functions)
        self._state = directories.state
        self._listener = listener
        self._verbose = verbose
        self._port = listener.getsockname()[1]
        self._ministack: MinistackHost | None = None
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ministack is not None:
            self._ministack.stop()

    def start(self, progress: Callable[[str], None]) -> None:
        """Returns when the stacks are deployed and the functions receive events."""
        deploy.check_binaries(self._project)
        self._ministack = ministack = MinistackHost(self._state, self._port, deploy.HUB, deploy.HUB_REGION)
        if self._verbose:
            threading.Thread(target=self._tee_logs, name="sandbox-logs", daemon=True).start()
        calls = self._serve(ministack)
        ministack.wait_ready()
        progress("gateway, moto and ministack respond")
        private = f"http://127.0.0.1:{ministack.port}"
        deploy.deploy_all(self.endpoint, private, self._project, self._state, progress)
        calls.clear()  # the log starts with the calls of users

    def wait(self) -> None:
        """Waits for an interrupt; raises MinistackFailed if ministack exits."""
        while self._ministack is not None and self._ministack.is_running():
            time.sleep(_POLL_INTERVAL_S)
        raise MinistackFailed(
            "ministack exited unexpectedly; its log is ministack.log in the directory of --state"
        )

    def _serve(self, ministack: MinistackHost) -> CallLog:
        # Imported here, since the import of moto takes more than a second, during which ministack starts.
        from sandbox import cloudtrail, ec2, gateway
        from sandbox.ec2 import identity, trails
        from sandbox.events import EventEmitter
        from sandbox.iam.authorizer import Authorizer

        ec2.install()
        proxy = Proxy(ministack.port)
        authorizer = Authorizer()
        emitter = EventEmitter(proxy, ministack.emitter, gateway.read_tags, trails.is_logged)
        faults, calls = Faults(), CallLog()
        clients = deploy.Clients(f"http://127.0.0.1:{ministack.port}")
        control = ControlPlane(
            faults,
            calls,
            authorizer,
            sweep=lambda: deploy.fire_schedules(clients, authorizer.authorize_delivery),
            drop_events=emitter.drop,
            kill_functions=ministack.kill_functions,
            activity=lambda: _activity(emitter, ministack),
            advance_queues=ministack.advance_queues,
            register_key=identity.register_key,
        )
        app = gateway.Gateway(
            ec2.application(), proxy, emitter, faults, calls, control, authorizer, ministack.kill_functions
        )
        server = gateway.make_server(app, self._listener)
        threading.Thread(target=server.run, name="sandbox-gateway", daemon=True).start()
        threading.Thread(target=cloudtrail.load_model, name="sandbox-model", daemon=True).start()
        return calls

    def _tee_logs(self) -> None:
        """Copies new lines of every log to stderr."""
        read: dict[Path, int] = {}
        while True:
            for log in sorted(self._state.glob("*.log")):
                with log.open("rb") as file:
                    file.seek(read.get(log, 0))
                    for line in file:
                        print(f"{log.stem}: {line.decode(errors='replace').rstrip()}", file=sys.stderr)
                    read[log] = file.tell()
            time.sleep(_POLL_INTERVAL_S)


def _activity(emitter: "EventEmitter", ministack: MinistackHost) -> dict[str, Any]:
    """Returns the pending events and the messages of each queue, without missing anything in flight.

    An event that is delivered between the two reads of the counts is in its queue by then, and an event that
    a function causes between them increases the count of emitted events.
    """
    emitted, pending = emitter.counts()
    queues = ministack.queue_activity()
    emitted_now, pending_now = emitter.counts()
    return {"events": max(pending, pending_now, emitted_now - emitted), "queues": queues}
