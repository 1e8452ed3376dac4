"""Values over time, for what AWS shows late: the value now, and the value as a stale read still has it."""

import bisect
import contextvars
from typing import Generic, TypeVar

from sandbox.settings import SETTINGS

T = TypeVar("T")

# The moment as of which the call in hand reads; none outside describes, which read what is.
_reading_at: contextvars.ContextVar[float | None] = contextvars.ContextVar("reading_at", default=None)


class reading_stale:
    """Within it, reads are as old as `stale_ms` says."""

    def __enter__(self) -> None:
        self._token = _reading_at.set(SETTINGS.clock() - SETTINGS.stale_ms / 1000)

    def __exit__(self, *_: object) -> None:
        _reading_at.reset(self._token)


def moment() -> float:
    """The moment as of which to read."""
    at = _reading_at.get()
    return SETTINGS.clock() if at is None else at


def is_describing() -> bool:
    """Whether the call in hand is a describe."""
    return _reading_at.get() is not None


class Timeline(Generic[T]):
    """What a thing was, is, and unless changed will be."""

    def __init__(self, first: T, at: float | None = None) -> None:
        self._times = [SETTINGS.clock() if at is None else at]
        self._values = [first]

    def set(self, value: T, at: float | None = None) -> None:
        """From `at` (now, if not given) the value is this; what was planned for later is dropped."""
        at = SETTINGS.clock() if at is None else at
        keep = bisect.bisect_right(self._times, at)
        self._times[keep:], self._values[keep:] = [at], [value]

    def at(self, moment: float) -> T:
        """The value at a moment; before the first one, the first one."""
        return self._values[max(0, bisect.bisect_right(self._times, moment) - 1)]

    def since(self, moment: float) -> float:
        """When the value that held at a moment began to hold."""
        return self._times[max(0, bisect.bisect_right(self._times, moment) - 1)]

    @property
    def now(self) -> T:
        """The value at this moment."""
        return self.at(SETTINGS.clock())
