"""Polls until no problem remains or the time limit is reached."""

import time
from collections.abc import Callable


def wait_until(
    problems: Callable[[], list[str]], within: float, every: float = 0.25
) -> tuple[float, list[str]]:
    """Polls until no problem remains or `within` seconds pass; returns the seconds and the problems."""
    start = time.monotonic()
    while True:
        last = problems()
        elapsed = time.monotonic() - start
        if not last or elapsed > within:
            return elapsed, last
        time.sleep(every)
