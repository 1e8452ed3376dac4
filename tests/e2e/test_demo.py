"""`make run`: the last line of the demonstration, and its plain output."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.demo.display import PlainDisplay, choose_display
from tests.e2e.conftest import ROOT, functions_directory

LAST_LINE = re.compile(
    r"converged: 5 VPCs, 10 peerings, (\d+) routes; "
    r"mesh formed in [\d.]+ s, route healed in [\d.]+ s, clean-up in [\d.]+ s"
)


def test_the_demonstration_converges_and_reports_it_on_its_last_line(
    unused_port: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.demo", "--functions", str(functions_directory())],
        cwd=ROOT,
        env=os.environ | {"PEERD_SANDBOX_PORT": str(unused_port), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    last = LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
    assert last, done.stdout[-400:]
    # 5 VPCs with 5 + 2 + 1 CIDR blocks; each of the 6 route tables has the blocks of the other four.
    assert int(last[1]) == 39
    assert list(tmp_path.iterdir()) == [], "the demonstration left files behind"


def test_without_a_terminal_a_gauge_prints_a_line_only_when_it_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PlainDisplay().step("tag them") as step:
        for done in (0, 0, 1):
            step.gauges(peerings=(done, 3))

    lines = [line[len("12:00:00  ") :] for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == ["tag them ...", "  peerings 0/3", "  peerings 1/3"]
    assert lines[3].startswith("tag them: done in ") and len(lines) == 4


def test_no_color_chooses_plain_lines_even_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not isinstance(choose_display(), PlainDisplay)

    monkeypatch.setenv("NO_COLOR", "1")
    assert isinstance(choose_display(), PlainDisplay)
