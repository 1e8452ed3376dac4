"""The deployed policies: those of the roles, and those of queues and event buses."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

TRUST = "trust policy"
RESOURCE = "resource policy"


@dataclass(frozen=True)
class Role:
    """The documents of one role, as JSON text; `policies` are its identity policies by name."""

    trust: str
    policies: Mapping[str, str] = field(default_factory=dict)
    boundary: str | None = None


@dataclass(frozen=True)
class Statement:
    """A statement of a deployed policy: whose policy, which one, and its position and Sid there."""

    holder: str
    policy: str
    index: int
    sid: str
    effect: str

    def __str__(self) -> str:
        name = self.holder.rpartition(":")[2]
        return f"{self.sid or f'statement {self.index + 1}'} of {self.policy} of {name}"


@dataclass(frozen=True)
class Policies:
    """All policies by ARN. A snapshot: ministack sends another one after each change."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Policies":
        """Parses JSON data; raises KeyError or TypeError if it has another form."""
        roles = {arn: Role(**role) for arn, role in given["roles"].items()}
        return cls(roles, dict(given["resources"]))

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON data."""
        return {
            "roles": {arn: vars(role) for arn, role in self.roles.items()},
            "resources": dict(self.resources),
        }

    def resource_policy(self, resource: str) -> str | None:
        """Returns the policy of a resource; that of a role is its trust policy."""
        role = self.roles.get(resource)
        return role.trust if role else self.resources.get(resource)

    def statements(self) -> Iterator[Statement]:
        """Returns every statement of every policy."""
        for arn, role in self.roles.items():
            for name, document in {TRUST: role.trust, **role.policies}.items():
                yield from _statements(arn, name, document)
        for arn, document in self.resources.items():
            yield from _statements(arn, RESOURCE, document)

    def actions(self, statement: Statement) -> list[str]:
        """Returns the actions of a statement."""
        actions = _listed(self._document(statement))[statement.index]["Action"]
        return [actions] if isinstance(actions, str) else actions

    def conditions(self, statement: Statement) -> list[tuple[str, str]]:
        """Returns the operator and the key of each condition of a statement."""
        blocks = _listed(self._document(statement))[statement.index].get("Condition", {})
        return [(operator, key) for operator, keys in blocks.items() for key in keys]

    def without(self, statement: Statement) -> "Policies":
        """Returns these policies without one statement."""
        kept = _listed(self._document(statement))
        del kept[statement.index]
        return self._with(statement, kept)

    def without_action(self, statement: Statement, action: str) -> "Policies":
        """Returns these policies without one action of a statement."""
        statements = _listed(self._document(statement))
        kept = [it for it in self.actions(statement) if it != action]
        statements[statement.index] |= {"Action": kept or ["none:None"]}
        return self._with(statement, statements)

    def without_condition(self, statement: Statement, operator: str, key: str) -> "Policies":
        """Returns these policies without one condition of a statement."""
        statements = _listed(self._document(statement))
        del statements[statement.index]["Condition"][operator][key]
        return self._with(statement, statements)

    def _document(self, statement: Statement) -> str:
        if statement.policy == RESOURCE:
            return self.resources[statement.holder]
        role = self.roles[statement.holder]
        return role.trust if statement.policy == TRUST else role.policies[statement.policy]

    def _with(self, statement: Statement, statements: list[dict[str, Any]]) -> "Policies":
        """Returns these policies with other statements in the document of `statement`."""
        arn, document = statement.holder, json.dumps({"Version": "2012-10-17", "Statement": statements})
        if statement.policy == RESOURCE:
            return replace(self, resources={**self.resources, arn: document})
        role = self.roles[arn]
        if statement.policy == TRUST:
            role = replace(role, trust=document)
        else:
            role = replace(role, policies={**role.policies, statement.policy: document})
        return replace(self, roles={**self.roles, arn: role})


def _statements(holder: str, policy: str, document: str) -> Iterator[Statement]:
    for index, statement in enumerate(_listed(document)):
        yield Statement(holder, policy, index, statement.get("Sid", ""), statement["Effect"])


def _listed(document: str) -> list[dict[str, Any]]:
    statements = json.loads(document)["Statement"]
    return [statements] if isinstance(statements, dict) else statements
