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
from sandbox.demo import summary
from sandbox.demo.display import Display, choose_display
from sandbox.demo.scenario import NotConverged, Scenario

READY_WITHIN = 600.0


def main() -> int:
    """Runs the demonstration and returns its exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    display = choose_display()
    display.title("peerd: tag a VPC, and the mesh forms")
    with tempfile.TemporaryDirectory(prefix="peerd-demo-") as directory:
        try:
            return _run(display, arguments.functions, Path(directory) / "state")
        except SandboxFailed as failure:
            display.note(f"the sandbox did not start: {failure}")
            return 1
        except KeyboardInterrupt:
            display.note("interrupted; everything is stopped")
            return 130


def _run(display: Display, functions: Path, state: Path) -> int:
    display.note(
        "The demonstration runs a local AWS on this machine and deploys peerd into it as into the real one."
    )
    with ExitStack() as stack:
        with display.step(
            "start the sandbox: EC2, EventBridge, SQS, Lambda, DynamoDB, CloudFormation"
        ) as step:
            sandbox = stack.enter_context(SandboxProcess(functions, state, choose_port(), step.detail))
            # Runs before the sandbox stops: a second Ctrl-C during the stop would leave processes behind.
            stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
            endpoint = sandbox.wait_ready(READY_WITHIN)
        sessions = Sessions(endpoint)
        scenario = Scenario(sessions, display)
        try:
            timings, members = scenario.run()
        except NotConverged as failure:
            summary.print_failure(display, failure, sessions, sandbox)
            return 1
        except (BotoCoreError, ClientError) as error:
            display.note(f"an AWS call failed unexpectedly: {error}\n{sandbox.recent_output()}")
            return 1
        counts = summary.print_tables(sessions, display, scenario.names, members)
    if sandbox.exit_code != 0:
        display.note(
            f"the sandbox did not stop cleanly (exit code {sandbox.exit_code}):\n{sandbox.recent_output()}"
        )
        return 1
    print(f"\n{summary.last_line(counts, timings)}", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.demo", description="The main job of peerd, live."
    )
    parser.add_argument(
        "--functions", type=Path, required=True, help="the directory with the binaries from `cargo build`"
    )
    return parser.parse_args()


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
