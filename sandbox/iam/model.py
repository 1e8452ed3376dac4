"""Who calls, and what one call needs: the terms of AWS's policy evaluation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# The value of a condition key. A list is a multivalued key, which only ForAllValues and ForAnyValue compare.
Value = str | list[str]


@dataclass(frozen=True)
class Caller:
    """A session of a role, another principal of an account, or an AWS service.

    `arn` is what error messages name. Policies name the role of a session, not the session. `function` is the
    Lambda function whose own credentials make the call.
    """

    arn: str
    account: str
    role: str | None = None
    service: str | None = None
    function: str | None = None

    @property
    def principal(self) -> str:
        """Returns the ARN that policies name: `aws:PrincipalArn`."""
        return self.role or self.arn


@dataclass(frozen=True)
class Check:
    """One authorization of a call: an action on a resource, with the condition keys of both."""

    action: str
    resource: str
    keys: Mapping[str, Value] = field(default_factory=dict)
    region: str = ""


@dataclass(frozen=True)
class Decision:
    """The result of a check, in the words of AWS's error messages."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True)
class Recorded:
    """A check that was made, its caller and its decision, so that it can be evaluated again."""

    caller: Caller
    check: Check
    decision: Decision

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON data."""
        return asdict(self)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Recorded":
        """Parses JSON data."""
        return cls(Caller(**given["caller"]), Check(**given["check"]), Decision(**given["decision"]))


@dataclass(frozen=True)
class Delivery:
    """What an AWS service does for an account: it assumes a role, or calls by itself with its principal.

    `source` is the ARN of the rule, schedule or function on behalf of which the service acts. Without a
    service and with a role, the service has assumed the role before. Without both, the account is the caller.
    """

    account: str
    checks: tuple[Check, ...]
    source: str = ""
    service: str | None = None
    role: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Delivery":
        """Parses JSON data; raises KeyError or TypeError if it has another form."""
        checks = tuple(Check(**check) for check in given["checks"])
        return cls(**{**given, "checks": checks})
