"""`python -m tests.bench`: measures peerd in sandboxes of its own and writes docs/benchmarks.md.

The results are in tests/bench/results.json; `--page` generates the page from them without measuring.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from tests.bench import document, forming, idle, joining, machine, planner, serial
from tests.bench.forming import EVENTS, SWEEP
from tests.bench.machine import ROOT

Row = dict[str, Any]
Measurement = Callable[[Path], Iterable[Row]]
_STARTED = time.monotonic()
_DELAYS_MS = (0, 100)
_IDLE = ((6, 1), (6, 3), (6, 10), (2, 3))
"""Scopes and meshes."""
_PLANNED = ((1, 50), (2, 50), (20, 50), (100, 50), (32, 126), (80, 126))
"""Meshes and members of each."""


class Interrupted(BaseException):
    """SIGTERM. Not an Exception, so that only the clean-up of contexts runs."""


def main() -> int:
    """Runs the selected measurements, and writes the results and the page."""
    signal.signal(signal.SIGTERM, _interrupt)
    options = _parse_options()
    out = options.out or (ROOT / "target" / "bench" if options.quick else ROOT)
    results_file = out / "tests" / "bench" / "results.json"
    is_partial = options.only or options.page
    results = json.loads(results_file.read_text()) if is_partial and results_file.exists() else {}
    if not options.page:
        with tempfile.TemporaryDirectory(prefix="peerd-bench-bin-") as folder:
            binaries = _copy_binaries(options.bin, Path(folder))
            measurements = _measurements(options.quick)
            for name in options.only or measurements:
                for part in _measure(name, measurements[name], binaries):
                    results |= {"quick": options.quick, name: part}
                    _write(results_file, json.dumps(results, indent=1) + "\n")
    for name, text in document.pages(results).items():
        _write(out / name, text)
        print(out / name)
    return 0


def _measure(name: str, rows: Measurement, binaries: Path) -> Iterator[dict[str, Any]]:
    """Yields the results so far after each row, so that an interrupted run keeps them."""
    about = machine.describe(binaries)
    _progress(f"{name}, load {about['load']:.1f}")
    started = time.monotonic()
    done = []
    for row in rows(binaries):
        done.append(row)
        _progress(f"  {name}: {len(done)}")
        yield {"about": about, "took_s": time.monotonic() - started, "rows": done}


def _measurements(quick: bool) -> dict[str, Measurement]:
    """Returns the measurements by name. The fast ones are first. A quick run has few repetitions."""
    few, joins = (1, 3) if quick else (3, 9)
    measurements: dict[str, Measurement] = {
        "serial": lambda bin: (serial.measure(bin, 12, delay) for delay in _DELAYS_MS),
        "forming_12": lambda bin: _form(bin, 12, _DELAYS_MS, few),
        "idle": lambda bin: (idle.measure(bin, *it) for it in _IDLE),
        "planner": lambda _: (planner.measure(*it) for it in _PLANNED[: 4 if quick else None]),
        "joining_10": lambda bin: _join(bin, 10, _DELAYS_MS, joins),
    }
    if not quick:
        measurements["storm"] = lambda bin: (forming.measure_storm(bin, 5, 10) for _ in range(few))
        measurements["forming_50"] = lambda bin: _form(bin, 50, (0,), 1)
        measurements["joining_49"] = lambda bin: _join(bin, 49, (0,), 5)
    return measurements


def _form(binaries: Path, size: int, delays: Sequence[int], repetitions: int) -> Iterator[Row]:
    for _, delay, trigger in product(range(repetitions), delays, (EVENTS, SWEEP)):
        yield forming.measure(binaries, size, trigger, delay)


def _join(binaries: Path, members: int, delays: Sequence[int], repetitions: int) -> Iterator[Row]:
    for delay in delays:
        yield from joining.measure(binaries, members, repetitions, delay)


def _copy_binaries(given: Path, folder: Path) -> Path:
    """Copies the binaries: a build during the run changes nothing."""
    for name in machine.BINARIES:
        shutil.copy2(given / name, folder / name)
    return folder


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _progress(text: str) -> None:
    print(f"{time.monotonic() - _STARTED:6.0f} s  {text}", file=sys.stderr, flush=True)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n\n")[0])
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    parser.add_argument(
        "--bin", type=Path, default=built, metavar="DIR", help="binaries (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions and no mesh of 50; writes to target/bench"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=_measurements(quick=False),
        help="measure only this; can be repeated",
    )
    parser.add_argument("--page", action="store_true", help="measure nothing; generate the page again")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write below DIR, not into the repository")
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
