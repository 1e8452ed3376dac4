"""What can be turned at run time: delays, quotas, and the clock. Holds values only; others obey them."""

import math
import threading
import time
from collections.abc import Mapping
from typing import Any

# Settings that are durations in milliseconds, and quotas. AWS's defaults of today stand in
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
_DEFAULTS: dict[str, int] = {
    "latency_ms": 0,
    "provisioning_ms": 0,
    "visibility_ms": 0,
    "stale_ms": 0,
    "quota_peerings": 50,
    "quota_routes": 500,
    "quota_rules": 60,
}


class Settings:
    """Settings by name, safe to read and write from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = dict(_DEFAULTS)
        self._advanced = 0.0

    def __getattr__(self, name: str) -> int:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def as_dict(self) -> dict[str, int]:
        """All settings as they are."""
        with self._lock:
            return dict(self._values)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Changes some settings, or none of them: ValueError names the field that is wrong."""
        for name, value in changes.items():
            if name not in _DEFAULTS:
                raise ValueError(f"{name}: no such setting; there are {', '.join(_DEFAULTS)}")
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name}: must be a whole number, 0 or more, is {value!r}")
        with self._lock:
            self._values.update(changes)

    def clock(self) -> float:
        """Seconds since the epoch, as EC2 sees it: the wall clock and what it was advanced by."""
        return time.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Lets time pass for EC2: requests expire, dead peerings age out."""
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not is_number or not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"advance_s: must be a number of seconds, 0 or more, is {seconds!r}")
        with self._lock:
            self._advanced += seconds


SETTINGS = Settings()
