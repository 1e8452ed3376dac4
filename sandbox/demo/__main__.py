"""`python -m sandbox.demo --functions DIR`.

Exit code 0 when the mesh converged, 1 when it did not or the sandbox failed, 130 after Ctrl-C.
"""

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.client.process import SandboxFailed, SandboxProcess, choose_port
from sandbox.client.sessions import Sessions
from sandbox.demo import ending, screen
from sandbox.demo.story import NotConverged, Story

READY_WITHIN = 120.0


def main() -> int:
    """Runs the demonstration and answers its exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    display = screen.choose()
    display.title("peerd: tag a VPC, and the mesh forms")
    with tempfile.TemporaryDirectory(prefix="peerd-demo-") as folder:
        try:
            return _run(display, arguments.functions, Path(folder) / "state")
        except SandboxFailed as failure:
            display.say(f"the sandbox did not start: {failure}")
            return 1
        except KeyboardInterrupt:
            display.say("interrupted; everything is stopped")
            return 130


def _run(display: screen.Screen, functions: Path, state: Path) -> int:
    display.say(
        "What you see: a small AWS on this machine, with peerd deployed into it as into the real one."
    )
    with ExitStack() as stack:
        with display.step(
            "start the sandbox: EC2, EventBridge, SQS, Lambda, DynamoDB, CloudFormation"
        ) as step:
            sandbox = stack.enter_context(SandboxProcess(functions, state, choose_port(), step.detail))
            # Runs before the sandbox is stopped: a second Ctrl-C in the middle would leave processes behind.
            stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
            endpoint = sandbox.wait_ready(READY_WITHIN)
        sessions = Sessions(endpoint)
        story = Story(sessions, display)
        try:
            measured, members = story.tell()
        except NotConverged as failure:
            ending.explain(display, failure, sessions, sandbox)
            return 1
        except (BotoCoreError, ClientError) as error:
            display.say(f"an AWS call that should have worked did not: {error}\n{sandbox.said()}")
            return 1
        counts = ending.show_tables(sessions, display, story.names, members)
    if sandbox.exit_code != 0:
        display.say(f"the sandbox did not stop cleanly (exit code {sandbox.exit_code}):\n{sandbox.said()}")
        return 1
    print(f"\n{ending.last_line(counts, measured)}", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.demo", description="The main job of peerd, live."
    )
    parser.add_argument(
        "--functions", type=Path, required=True, help="the folder with the binaries that `cargo build` made"
    )
    return parser.parse_args()


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
