"""A sandbox with a stub for the functions, for each module."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.client.process import SandboxProcess
from sandbox.ports import free_port
from sandbox.tests.running import FUNCTIONS, READY_WITHIN_S, STUB_FUNCTION, RunningSandbox


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    for name in FUNCTIONS:
        shutil.copy(STUB_FUNCTION, folder / name)
    return folder


@pytest.fixture(scope="module")
def sandbox(functions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    process = SandboxProcess(functions, tmp_path_factory.mktemp("state"), free_port())
    try:
        yield RunningSandbox(process, process.wait_ready(READY_WITHIN_S))
    finally:
        code = process.stop()
    assert code == 0
