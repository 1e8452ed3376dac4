"""Waiting for a distributed system: look, and look again, until nothing is wrong or time is up."""

import time
from collections.abc import Callable


def wait_until(
    problems: Callable[[], list[str]], within: float, every: float = 0.25
) -> tuple[float, list[str]]:
    """Looks until nothing is wrong or time is up: the seconds that passed, and what was last seen wrong."""
    start = time.monotonic()
    while True:
        last = problems()
        passed = time.monotonic() - start
        if not last or passed > within:
            return passed, last
        time.sleep(every)
