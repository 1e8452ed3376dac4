"""The output of `peerd` on a terminal, which the tests open as a pseudo-terminal of 60 columns."""

import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.client.model import HOME_REGION
from tests.e2e.cli import Peerd
from tests.e2e.world import World

COLUMNS = 60
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command whose stdin, stdout and stderr are one pseudo-terminal."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}
        )
        os.close(theirs)
        self.output = ""

    def read(self) -> bool:
        """Reads what the command printed, and returns whether it may print more."""
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # Linux: the command closed the terminal.
            return False
        self.output += data.decode().replace("\r\n", "\n")
        return bool(data)

    def until_closed(self) -> str:
        """Returns all output of the command."""
        while self.read():
            pass
        return self.output

    def until(self, text: str) -> None:
        """Reads until the output has the text."""
        while text not in self.output:
            assert self.read(), f"the command ended without {text!r}: {self.output!r}"

    def close(self) -> None:
        """Ends the command."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def terminal(peerd: Peerd, *arguments: str, **environment: str) -> Iterator[Terminal]:
    """Runs a command on a terminal, and ends it with the block."""
    opened = Terminal([str(peerd.binary), *arguments], peerd.environment | environment)
    try:
        yield opened
    finally:
        opened.close()


def test_a_terminal_shows_colors_unless_no_color_is_set(peerd: Peerd) -> None:
    with terminal(peerd, "status", "no-such-mesh") as shown:
        colored = shown.until_closed()
    with terminal(peerd, "status", "no-such-mesh", NO_COLOR="1") as shown:
        plain = shown.until_closed()

    assert "\x1b[35merror:\x1b[0m" in colored
    assert not re.search(r"\x1b\[[0-9;]*m", plain) and "error: no mesh named" in plain


def test_a_terminal_shows_no_line_that_is_wider_than_it(peerd: Peerd) -> None:
    with terminal(peerd, "status", "no-such-mesh") as shown:
        lines = ESCAPE.sub("", shown.until_closed()).splitlines()
    piped = peerd.run("status", "no-such-mesh").err.splitlines()

    assert max(map(len, piped)) > COLUMNS >= max(map(len, lines))
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(piped).split())


def test_a_command_that_waits_for_aws_shows_its_progress(peerd: Peerd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with terminal(peerd, "status", AWS_ENDPOINT_URL=endpoint, AWS_REGION=HOME_REGION) as shown:
            shown.until("calling AWS")


def test_a_watched_status_is_printed_again_after_a_change_until_it_is_interrupted(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    world.until_idle()
    vpc = world.vpc()
    with terminal(peerd, "status", mesh, "--watch") as shown:
        shown.until(f"{mesh}: active")
        assert vpc.id not in shown.output and shown.process.poll() is None

        world.tag(vpc, mesh)

        shown.until(vpc.id)
        assert shown.output.count(f"{mesh}: active") > 1 and shown.process.poll() is None
        shown.process.send_signal(signal.SIGINT)
        shown.until_closed()
        assert shown.process.wait() in (-signal.SIGINT, 128 + signal.SIGINT)
