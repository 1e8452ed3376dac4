"""`python -m sandbox --functions DIR`: a local AWS with peerd deployed in it, until it is interrupted.

Prints one line on stdout when it is ready; all else goes to stderr. Ends every process that it started, also
when it fails. Its files are in one folder: a temporary one is removed at the end, in a given one (--state)
the logs are kept.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

STARTED = time.monotonic()
ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 4566


class StartFailed(RuntimeError):
    """The sandbox cannot start; the message says why and what to do."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM. Not an Exception, so that nothing on the way takes it for a failure."""


def progress(text: str) -> None:
    print(f"sandbox: {time.monotonic() - STARTED:5.1f} s  {text}", file=sys.stderr, flush=True)


def main() -> int:
    options = _parse_options()
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    state = None
    try:
        listener = _listen(_port())
        state = _make_state(options.state)
        _run(options, state, listener)
    except Interrupted:
        return 0
    except StartFailed as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    finally:
        # A second interrupt must not cut the clearing up short.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if state is not None:
            _clear_state(state, keep_logs=options.state is not None)
    return 0


def _run(options: argparse.Namespace, state: Path, listener: socket.socket) -> None:
    # Imported late: it takes seconds, which a wrong option or a port in use need not wait for.
    from sandbox import running

    try:
        places = running.Places(options.templates, options.functions, state)
        with running.Sandbox(places, listener, options.verbose) as sandbox:
            sandbox.start(progress)
            print(f"sandbox ready: {sandbox.endpoint}", flush=True)
            sandbox.wait()
    except running.FAILURES as error:
        raise StartFailed(str(error)) from error


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--functions",
        type=Path,
        default=_default_functions(),
        metavar="DIR",
        help="folder of the functions' binaries, as cargo build leaves them (default: %(default)s)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="folder for its files; its logs stay (default: a temporary one)",
    )
    parser.add_argument(
        "--templates", type=Path, default=ROOT, metavar="DIR", help="folder of template.yaml and spoke.yaml"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show the logs of the functions and of ministack, too"
    )
    return parser.parse_args()


def _default_functions() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


def _port() -> int:
    given = os.environ.get("PEERD_SANDBOX_PORT") or str(DEFAULT_PORT)
    if not given.isdigit() or not 0 < int(given) < 65536:
        raise StartFailed(f"PEERD_SANDBOX_PORT must be a port number, is {given!r}")
    return int(given)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise StartFailed(
            f"cannot listen on 127.0.0.1:{port}: {error.strerror}; is another sandbox running? "
            "PEERD_SANDBOX_PORT names another port"
        ) from error
    return listener


def _make_state(given: Path | None) -> Path:
    """A folder of the sandbox's own: never the given one itself, which may hold other things."""
    if given is None:
        return Path(tempfile.mkdtemp(prefix="peerd-sandbox-")).resolve()
    state = given.resolve() / "peerd-sandbox"
    try:
        shutil.rmtree(state, ignore_errors=True)  # of an earlier run
        state.mkdir(parents=True)
    except OSError as error:
        raise StartFailed(f"cannot make the folder {state} (--state): {error.strerror}") from error
    return state


def _clear_state(state: Path, keep_logs: bool) -> None:
    if not keep_logs:
        shutil.rmtree(state)
        return
    for entry in state.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.suffix != ".log":
            entry.unlink()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
