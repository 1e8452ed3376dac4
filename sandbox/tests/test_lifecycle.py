"""The sandbox as a process: its start and its end, with a stub for the functions."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from sandbox.client.process import SandboxFailed, SandboxProcess
from sandbox.ports import free_port
from sandbox.tests.running import EVENTUALLY_S, READY_WITHIN_S, eventually


def processes_containing(text: str) -> list[str]:
    """Returns the other processes whose command line or environment contains `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if text.encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                found.append(entry.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has exited, or belongs to another user
    return found


def start(functions: Path, port: int, *options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--functions", str(functions), *options],
        env=os.environ | {"PEERD_SANDBOX_PORT": str(port)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not Path("/proc").exists(), reason="requires /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process_and_removes_every_file(
    functions: Path, tmp_path: Path, signal_number: int
) -> None:
    port = free_port()
    child = start(functions, port, TMPDIR=str(tmp_path))
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == f"sandbox ready: http://127.0.0.1:{port}\n"
        assert len(processes_containing(str(tmp_path))) >= 5  # itself, ministack and three functions
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_sandbox/health") as answer:
            assert json.loads(answer.read()) == {"status": "ok"}
        child.send_signal(signal_number)
        stdout, stderr = child.communicate(timeout=EVENTUALLY_S)
    finally:
        child.kill()
    assert (child.returncode, stdout) == (0, ""), stderr
    assert "Traceback" not in stderr
    eventually(lambda: not processes_containing(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="requires /proc")
def test_an_interrupt_during_the_start_leaves_nothing(functions: Path, tmp_path: Path) -> None:
    child = start(functions, free_port(), TMPDIR=str(tmp_path))
    try:
        assert child.stderr is not None
        assert "respond" in child.stderr.readline()  # sam deploy runs now
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=EVENTUALLY_S)
    finally:
        child.kill()
    assert child.returncode == 0, stderr
    eventually(lambda: not processes_containing(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="requires /proc")
def test_the_children_of_a_killed_sandbox_exit(functions: Path, tmp_path: Path) -> None:
    child = start(functions, free_port(), "--state", str(tmp_path))
    assert child.stdout is not None
    assert child.stdout.readline().startswith("sandbox ready")
    child.kill()
    child.wait()
    eventually(lambda: not processes_containing(str(tmp_path)))


STARTER = """
import sys, time
from pathlib import Path
from sandbox.client.process import SandboxProcess

process = SandboxProcess(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
print(process.wait_ready(300), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="searches /proc for leftover processes")
def test_a_sandbox_whose_starter_was_killed_stops(functions: Path, tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(functions), str(tmp_path), str(free_port())],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    assert starter.stdout.readline().startswith("http://")
    starter.kill()
    starter.wait()
    eventually(lambda: not processes_containing(str(tmp_path)))


def failed_start(functions: Path, port: int, tmp_path: Path, *options: str) -> str:
    child = start(functions, port, *options, TMPDIR=str(tmp_path))
    stdout, stderr = child.communicate(timeout=READY_WITHIN_S)
    assert (child.returncode, stdout) == (1, "")
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []
    return stderr


def test_a_port_in_use_is_reported_and_stops_the_start(functions: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in failed_start(functions, port, tmp_path)


def test_a_missing_binary_is_reported_and_stops_the_start(functions: Path, tmp_path: Path) -> None:
    missing = functions / "missing"
    assert f"{missing}/" in failed_start(missing, free_port(), tmp_path)


def test_a_template_that_cannot_be_deployed_is_reported_and_stops_the_start(
    functions: Path, tmp_path: Path
) -> None:
    root = Path(__file__).parent.parent.parent
    templates = functions / "templates"
    templates.mkdir()
    shutil.copy(root / "template.yaml", templates)
    (templates / "spoke.yaml").write_text("Resources: {Broken: {Type: 'AWS::Nonesuch::Thing'}}")
    output = failed_start(functions, free_port(), tmp_path, "--templates", str(templates))
    assert "spoke.yaml in" in output
    assert "failed" in output


def test_a_sandbox_that_fails_reports_the_reason_to_its_parent(functions: Path, tmp_path: Path) -> None:
    with (
        SandboxProcess(functions / "missing", tmp_path, free_port()) as process,
        pytest.raises(SandboxFailed, match="is missing or not executable"),
    ):
        process.wait_ready(READY_WITHIN_S)
