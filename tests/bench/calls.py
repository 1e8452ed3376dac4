"""The calls of peerd in the log of the sandbox: which, how many, when, and which of them were refused."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_SPOKE = re.compile(r":assumed-role/peerd-spoke/")
_FUNCTION = re.compile(r":assumed-role/peerd-(vpc-events|peering-events|drift-repair)/")
_READS = ("Describe", "Get", "List")


@dataclass(frozen=True)
class Call:
    """One call of the log. `time` is the time of its response."""

    time: float
    service: str
    action: str
    error: str | None

    @property
    def is_write(self) -> bool:
        """Returns whether the call changes something."""
        return not self.action.startswith(_READS)

    @property
    def is_route(self) -> bool:
        """Returns whether the call created a route."""
        return self.action == "CreateRoute" and self.error is None


@dataclass(frozen=True)
class Log:
    """The calls of peerd, in the order of their responses."""

    ec2: tuple[Call, ...]
    other: tuple[Call, ...]

    @property
    def routes(self) -> int:
        """Returns the number of routes that were created."""
        return sum(call.is_route for call in self.ec2)

    @property
    def last_route(self) -> float:
        """Returns the time at which the last route existed."""
        return max(call.time for call in self.ec2 if call.is_route)

    @property
    def successful_tags(self) -> list[float]:
        """Returns the times at which CreateTags succeeded."""
        return [call.time for call in self.ec2 if call.action == "CreateTags" and call.error is None]

    def until(self, time: float) -> "Log":
        """Returns the calls up to a time."""
        return Log(_until(self.ec2, time), _until(self.other, time))

    def by_action(self) -> dict[str, int]:
        """Returns the number of EC2 calls of each API, the most frequent first."""
        return _counted(call.action for call in self.ec2)

    def refused(self) -> dict[str, int]:
        """Returns the number of EC2 calls that returned each error code."""
        return _counted(f"{call.action}: {call.error}" for call in self.ec2 if call.error)

    def of_service(self, service: str) -> dict[str, int]:
        """Returns the number of calls to a service of the hub, by API."""
        return _counted(call.action for call in self.other if call.service == service)

    def first(self, condition: Callable[[Call], bool]) -> float:
        """Returns the time of the first EC2 call that meets a condition."""
        return min(call.time for call in self.ec2 if condition(call))


def read(entries: Iterable[dict[str, Any]]) -> Log:
    """Returns peerd's calls among the entries of the sandbox's log."""
    ec2, other = [], []
    for entry in entries:
        principal = entry["principal"] or ""
        call = Call(entry["time"], entry["service"], entry["action"], entry["error"])
        if call.service == "ec2" and _SPOKE.search(principal):
            ec2.append(call)
        elif call.service != "ec2" and _FUNCTION.search(principal):
            other.append(call)
    return Log(_in_order(ec2), _in_order(other))


def describes_as_one(actions: dict[str, int]) -> dict[str, int]:
    """Returns the counts with all describe calls in one entry."""
    summed: Counter[str] = Counter()
    for action, count in actions.items():
        summed["Describe*" if action.startswith("Describe") else action] += count
    return dict(summed)


def _until(calls: Iterable[Call], time: float) -> tuple[Call, ...]:
    return tuple(call for call in calls if call.time <= time)


def _in_order(calls: Iterable[Call]) -> tuple[Call, ...]:
    return tuple(sorted(calls, key=lambda call: call.time))


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())
