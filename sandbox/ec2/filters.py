"""Filters: a resource matches when any of its values matches any of the filter's patterns.

moto requires all of a resource's tag keys, or all of the filter's patterns, to match.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

from moto.ec2 import utils


def install() -> None:
    """Patches moto's filter for resources with several values."""
    utils.is_filter_matching = _any_matching(utils.is_filter_matching)


def matches_any(values: Iterable[str], patterns: Iterable[str]) -> bool:
    """Returns whether any value matches any pattern; `*` and `?` are wildcards, case-sensitive."""
    patterns = list(patterns)
    return any(fnmatch.fnmatchcase(value, pattern) for value in values for pattern in patterns)


def _any_matching(matching: Callable[..., bool]) -> Callable[..., bool]:
    def is_filter_matching(obj: Any, name: str, patterns: Any) -> bool:
        values = obj.get_filter_value(name)
        several = isinstance(values, (list, tuple, set, frozenset)) and isinstance(patterns, list)
        if several and all(isinstance(value, str) for value in values):
            return matches_any(values, patterns)
        return matching(obj, name, patterns)

    return is_filter_matching
