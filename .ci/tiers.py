"""Passes the output of `make test` on and ends with a table: each tier, its tests and its seconds."""

import re
import sys
import time

TIER = re.compile(r"^tier: (\S+)$")
# The closing lines of cargo test and of pytest.
COUNTS = re.compile(r"^(?:test result: .*|=* ?.*\b(?:passed|failed|error).* in [\d.]+s.*)$")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|ignored|skipped)\b")


def main() -> None:
    """Reads lines until there are no more; a failing tier still has its row."""
    rows: list[tuple[str, float, dict[str, int]]] = []
    for line in sys.stdin:
        print(line, end="", flush=True)
        if tier := TIER.match(line):
            rows.append((tier[1], time.monotonic(), {}))
        elif rows and COUNTS.match(line.rstrip()):
            counts = rows[-1][2]
            for number, outcome in COUNT.findall(line):
                counts[outcome] = counts.get(outcome, 0) + int(number)
    ends = [*(began for _, began, _ in rows[1:]), time.monotonic()][: len(rows)]
    print(f"\n{'tier':<14}{'tests':>8}{'seconds':>10}")
    for (tier, began, counts), end in zip(rows, ends, strict=True):
        ran = sum(counts.get(outcome, 0) for outcome in ("passed", "failed", "error", "errors"))
        others = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n and outcome != "passed")
        print(f"{tier:<14}{ran or '-':>8}{end - began:>10.0f}  {others}".rstrip())


main()
