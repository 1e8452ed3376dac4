"""`python -m sandbox --functions DIR`: a local AWS with peerd deployed in it, until it is interrupted.

Prints one line on stdout when it is ready; all other output goes to stderr. Stops every process that it
started, also when it fails. Its files are in one directory: a temporary directory is removed at the end; in a
given directory (--state) the logs are kept.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

STARTED = time.monotonic()
ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 4566


class StartFailed(RuntimeError):
    """The sandbox cannot start; the message has the reason and a remedy."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM. Not an Exception, so that no handler of failures catches it."""


def progress(text: str) -> None:
    print(f"sandbox: {time.monotonic() - STARTED:5.1f} s  {text}", file=sys.stderr, flush=True)


def main() -> int:
    options = _parse_options()
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    if parent := os.environ.get("PEERD_SANDBOX_PARENT"):
        threading.Thread(target=_stop_with_parent, args=(int(parent),), daemon=True).start()
    state = None
    try:
        listener = _listen(_port())
        state = _create_state(options.state)
        _run(options, state, listener)
    except Interrupted:
        return 0
    except StartFailed as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    finally:
        # A second interrupt must not stop the clean-up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if state is not None:
            _remove_state(state, keep_logs=options.state is not None)
    return 0


def _run(options: argparse.Namespace, state: Path, listener: socket.socket) -> None:
    # A late import, since it takes seconds: an invalid option or a port in use is reported before it.
    from sandbox import running

    try:
        directories = running.Directories(options.templates, options.functions, state)
        with running.Sandbox(directories, listener, options.verbose) as sandbox:
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
        help="directory of the functions' binaries from cargo build (default: %(default)s)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="directory for its files; the logs are kept (default: a temporary directory)",
    )
    parser.add_argument(
        "--templates",
        type=Path,
        default=ROOT,
        metavar="DIR",
        help="directory of template.yaml and spoke.yaml",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="also print the logs of the functions and of ministack"
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
            "set PEERD_SANDBOX_PORT to use another port"
        ) from error
    return listener


def _create_state(given: Path | None) -> Path:
    """Creates a directory for the sandbox: a subdirectory of the given one, which may have other files."""
    if given is None:
        return Path(tempfile.mkdtemp(prefix="peerd-sandbox-")).resolve()
    state = given.resolve() / "peerd-sandbox"
    try:
        shutil.rmtree(state, ignore_errors=True)  # from an earlier run
        state.mkdir(parents=True)
    except OSError as error:
        raise StartFailed(f"cannot create the directory {state} (--state): {error.strerror}") from error
    return state


def _remove_state(state: Path, keep_logs: bool) -> None:
    if not keep_logs:
        shutil.rmtree(state)
        return
    for entry in state.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.suffix != ".log":
            entry.unlink()


def _stop_with_parent(parent: int) -> None:
    """Stops the sandbox, as SIGTERM does, when the process that started it has ended without stopping it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
