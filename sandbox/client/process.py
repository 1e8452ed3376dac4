"""Starts `python -m sandbox` as a child process and stops it.

Two threads read the pipes of the child from the start, so that a full pipe never blocks the sandbox, and keep
the last lines for failure messages.
"""

import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

from sandbox.ports import free_port

DEFAULT_PORT = 4566
_READY = re.compile(r"^sandbox ready: (http://\S+)$")
_KEPT_LINES = 200


class SandboxFailed(RuntimeError):
    """The sandbox did not start; the message ends with its last output."""


def choose_port(preferred: int = DEFAULT_PORT) -> int:
    """Returns PEERD_SANDBOX_PORT if it is set, else the preferred port if it is free, else any free port."""
    if named := os.environ.get("PEERD_SANDBOX_PORT"):
        return int(named)
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", preferred))
        return preferred
    return free_port()


class SandboxProcess:
    """A sandbox that belongs to this process. `state` is the directory of its logs while it runs."""

    def __init__(
        self, functions: Path, state: Path, port: int, on_progress: Callable[[str], None] | None = None
    ) -> None:
        self.state = state
        self.tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._on_progress = on_progress or (lambda line: None)
        self._is_ready = threading.Event()
        self._ready: queue.Queue[str | None] = queue.Queue()
        command = [sys.executable, "-m", "sandbox", "--functions", str(functions), "--state", str(state)]
        # A separate session: Ctrl-C in the terminal reaches only this process, which then stops the sandbox.
        self._child = subprocess.Popen(
            command,
            env=os.environ
            | {
                "PEERD_SANDBOX_PORT": str(port),
                "PEERD_SANDBOX_PARENT": str(os.getpid()),
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._watch_stdout, args=(self._child.stdout,), daemon=True).start()
        self._stderr = threading.Thread(target=self._watch_stderr, args=(self._child.stderr,), daemon=True)
        self._stderr.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_ready(self, within: float) -> str:
        """Waits until the sandbox reports that it is ready, and returns its endpoint."""
        try:
            endpoint = self._ready.get(timeout=within)
        except queue.Empty:
            raise SandboxFailed(
                f"the sandbox was not ready after {within:.0f} s\n{self.recent_output()}"
            ) from None
        if endpoint is None:
            code = self._child.wait()
            self._stderr.join(timeout=2)  # the reason may still be in the pipe
            raise SandboxFailed(
                f"the sandbox exited with code {code} before it was ready\n{self.recent_output()}"
            )
        self._is_ready.set()
        return endpoint

    def stop(self, within: float = 120) -> int:
        """Sends SIGTERM and returns the exit code; kills the process group after the time limit."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(timeout=within)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            return self._child.wait()

    @property
    def exit_code(self) -> int | None:
        """Returns the exit code, or None while the sandbox runs."""
        return self._child.poll()

    def recent_output(self) -> str:
        """Returns the last lines that the sandbox wrote to stderr."""
        return "\n".join(f"  | {line}" for line in self.tail) or "  (no output)"

    def logs(self, lines: int = 40) -> str:
        """Returns the last log lines of each function of the running sandbox."""
        parts = []
        for log in sorted(self.state.rglob("peerd-*.log")):
            last = log.read_text(errors="replace").splitlines()[-lines:]
            parts += [f"{log.relative_to(self.state)}:"] + [f"  | {line}" for line in last]
        return "\n".join(parts) or "  (no log files)"

    def _watch_stdout(self, pipe: IO[str]) -> None:
        for line in pipe:
            if found := _READY.match(line.rstrip("\n")):
                self._ready.put(found[1])
        self._ready.put(None)

    def _watch_stderr(self, pipe: IO[str]) -> None:
        for line in pipe:
            self.tail.append(line.rstrip("\n"))
            if not self._is_ready.is_set():
                self._on_progress(line.rstrip("\n"))
