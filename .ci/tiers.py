"""Copies the output of `make test` and adds a table: each tier with its tests and its seconds."""

import re
import sys
import time

TIER = re.compile(r"^tier: (\S+)$")
# The summary lines of cargo test and of pytest.
COUNTS = re.compile(r"^(?:test result: .*|=* ?.*\b(?:passed|failed|error).* in [\d.]+s.*)$")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|ignored|skipped)\b")


def main() -> None:
    """Reads all lines; a failing tier also has a row."""
    rows: list[tuple[str, float, dict[str, int]]] = []
    for line in sys.stdin:
        print(line, end="", flush=True)
        if tier := TIER.match(line):
            rows.append((tier[1], time.monotonic(), {}))
        elif rows and COUNTS.match(line.rstrip()):
            counts = rows[-1][2]
            for number, outcome in COUNT.findall(line):
                counts[outcome] = counts.get(outcome, 0) + int(number)
    ends = [*(started for _, started, _ in rows[1:]), time.monotonic()][: len(rows)]
    print(f"\n{'tier':<14}{'tests':>8}{'seconds':>10}")
    for (tier, started, counts), end in zip(rows, ends, strict=True):
        ran = sum(counts.get(outcome, 0) for outcome in ("passed", "failed", "error", "errors"))
        others = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n and outcome != "passed")
        print(f"{tier:<14}{ran or '-':>8}{end - started:>10.0f}  {others}".rstrip())


main()
