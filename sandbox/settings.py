"""Settings that can be changed at run time: delays, quotas, and the clock. Other modules apply them."""

import math
import threading
import time
from collections.abc import Mapping
from typing import Any

# Durations in milliseconds, and quotas with AWS's default values:
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
    """Thread-safe settings by name."""

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
        """Returns all settings."""
        with self._lock:
            return dict(self._values)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Changes some settings, or raises ValueError with the name of the invalid field and changes none."""
        for name, value in changes.items():
            if name not in _DEFAULTS:
                raise ValueError(f"{name}: no such setting; there are {', '.join(_DEFAULTS)}")
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name}: must be a whole number, 0 or more, is {value!r}")
        with self._lock:
            self._values.update(changes)

    def clock(self) -> float:
        """Returns EC2's time in seconds since the epoch: the wall clock plus the advanced seconds."""
        return time.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Advances EC2's time: requests expire, and deleted peerings disappear."""
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not is_number or not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"advance_s: must be a number of seconds, 0 or more, is {seconds!r}")
        with self._lock:
            self._advanced += seconds


SETTINGS = Settings()
