"""Values over time, for eventual consistency: the current value, and the value that a stale read returns."""

import bisect
import contextvars
from typing import Generic, TypeVar

from sandbox.settings import SETTINGS

T = TypeVar("T")

# The time whose state the current Describe call reads; None outside Describe calls.
_reading_at: contextvars.ContextVar[float | None] = contextvars.ContextVar("reading_at", default=None)


class stale_reads:
    """A context in which reads are `stale_ms` old."""

    def __enter__(self) -> None:
        self._token = _reading_at.set(SETTINGS.clock() - SETTINGS.stale_ms / 1000)

    def __exit__(self, *_: object) -> None:
        _reading_at.reset(self._token)


def read_time() -> float:
    """Returns the time whose state to read."""
    at = _reading_at.get()
    return SETTINGS.clock() if at is None else at


def is_describing() -> bool:
    """Returns whether the current call is a Describe call."""
    return _reading_at.get() is not None


class Timeline(Generic[T]):
    """The past, current and scheduled values of a property."""

    def __init__(self, first: T, at: float | None = None) -> None:
        self._times = [SETTINGS.clock() if at is None else at]
        self._values = [first]

    def set(self, value: T, at: float | None = None) -> None:
        """Sets the value from `at` on (by default now), and drops the values scheduled after that."""
        at = SETTINGS.clock() if at is None else at
        keep = bisect.bisect_right(self._times, at)
        self._times[keep:], self._values[keep:] = [at], [value]

    def at(self, time: float) -> T:
        """Returns the value at a time; before the first change, the first value."""
        return self._values[max(0, bisect.bisect_right(self._times, time) - 1)]

    def since(self, time: float) -> float:
        """Returns when the value at a time was set."""
        return self._times[max(0, bisect.bisect_right(self._times, time) - 1)]

    @property
    def now(self) -> T:
        """Returns the current value."""
        return self.at(SETTINGS.clock())
