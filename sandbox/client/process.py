"""Starts `python -m sandbox` as a child process and ends it again.

It reads the child's two pipes from the start, so that a sandbox that talks a lot never blocks on a full one,
and keeps the last lines for whoever has to explain a failure.
"""

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

DEFAULT_PORT = 4566
_READY = re.compile(r"^sandbox ready: (http://\S+)$")
_KEPT_LINES = 200


class SandboxFailed(RuntimeError):
    """The sandbox did not start; the message ends with what it said."""


def choose_port(preferred: int = DEFAULT_PORT) -> int:
    """The port that PEERD_SANDBOX_PORT names, else the preferred one if it is free, else any free one."""
    if named := os.environ.get("PEERD_SANDBOX_PORT"):
        return int(named)
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise SandboxFailed("no port is free on 127.0.0.1")


class SandboxProcess:
    """A sandbox that belongs to this process. `state` is the folder that keeps its logs while it runs."""

    def __init__(
        self, functions: Path, state: Path, port: int, on_progress: Callable[[str], None] | None = None
    ) -> None:
        self.state = state
        self.tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._on_progress = on_progress or (lambda line: None)
        self._is_ready = threading.Event()
        self._ready: queue.Queue[str | None] = queue.Queue()
        command = [sys.executable, "-m", "sandbox", "--functions", str(functions), "--state", str(state)]
        # A session of its own: Ctrl-C at the terminal reaches us alone, and we end the sandbox in order.
        self._child = subprocess.Popen(
            command,
            env=os.environ | {"PEERD_SANDBOX_PORT": str(port), "PYTHONUNBUFFERED": "1"},
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
        """The endpoint, as soon as the sandbox says that it is ready."""
        try:
            endpoint = self._ready.get(timeout=within)
        except queue.Empty:
            raise SandboxFailed(f"the sandbox was not ready after {within:.0f} s\n{self.said()}") from None
        if endpoint is None:
            code = self._child.wait()
            self._stderr.join(timeout=2)  # the reason may still be in the pipe
            raise SandboxFailed(f"the sandbox ended with exit code {code} before it was ready\n{self.said()}")
        self._is_ready.set()
        return endpoint

    def stop(self, within: float = 30) -> int:
        """Ends the sandbox as its user would and answers its exit code; kills what has not ended in time."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(timeout=within)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            return self._child.wait()

    @property
    def exit_code(self) -> int | None:
        """How it ended, or nothing while it runs."""
        return self._child.poll()

    def said(self) -> str:
        """The last lines that the sandbox wrote on stderr."""
        return "\n".join(f"  | {line}" for line in self.tail) or "  (it said nothing)"

    def logs(self, lines: int = 40) -> str:
        """The last lines that each function of the running sandbox logged."""
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
