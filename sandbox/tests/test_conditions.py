"""The conditions of the templates: without any one of them, a call that is denied would be allowed.

tests/e2e/test_permissions.py shows that peerd needs each statement. This is the reverse: each condition of a
statement that allows keeps something out. A condition that denies nothing alone is named below, with what
denies the same, so that a new one does not go unnoticed.
"""

import re
from dataclasses import dataclass
from functools import cache, reduce

import pytest

from sandbox.iam.policies import Policies, Statement
from sandbox.tests import deployment
from sandbox.tests.deployment import ACCOUNT, HUB, LISTED, Call, session
from sandbox.tests.network import calls_of_peerd, hostile_calls

pytestmark = pytest.mark.xdist_group("network")  # each worker would make its own

_ROLES = ("peerd-spoke", "peerd-operator-apply")
# A condition that denies nothing alone, and the one that denies the same: without both, a call is allowed
# that is denied without the second. AWS evaluates both for the same call.
_MARK, _SOURCE = "StringEquals aws:RequestTag/peerd:managed-by", "StringEquals aws:SourceAccount"
_FORWARD, _SWEEP = "statement 1 of peerd-forward-us-east-1", "statement 1 of peerd-SweepRole-GENERATED"
BACKED_UP = {
    f"{_SOURCE} of {_FORWARD}": f"ArnLike aws:SourceArn of {_FORWARD}",
    f"{_SOURCE} of {_SWEEP}": f"ArnEquals aws:SourceArn of {_SWEEP}",
}
for _role in _ROLES:
    BACKED_UP |= {
        f"{_MARK} of MarkNewPeerings of {_role}": f"{_MARK} of CreateMarkedPeerings of {_role}",
        f"{_MARK} of MakeMarkedRules of {_role}": f"{_MARK} of MarkNewRules of {_role}",
        f"{_MARK} of MarkNewRules of {_role}": f"{_MARK} of MakeMarkedRules of {_role}",
    }
# Conditions whose hostile calls AWS refuses anyway, according to its documentation: CreateTags requires tags,
# PutEvents requires a source, and no caller may state a source of AWS.
SECOND_LINE = {
    *(f"Null aws:TagKeys of RetagMarkedPeerings of {_role}" for _role in _ROLES),
    *(f"Null events:source of {it} of peerd" for it in ("Accounts", "Units")),
    *(f"StringEquals events:eventBusInvocation of {it} of peerd" for it in ("Accounts", "Units")),
    *(f"Null events:source of PublishOnTheBus of {it}" for it in ("SharedPolicy", "peerd-operator-apply")),
}
_REFUSED_ANYWAY = ("without a source", "tag a peering with nothing", "makes up")


@dataclass(frozen=True)
class Condition:
    """A condition in all copies of its statement: those of the accounts, and of the functions."""

    operator: str
    key: str
    statements: tuple[Statement, ...]

    def removed_from(self, policies: Policies) -> Policies:
        return reduce(
            lambda changed, it: changed.without_condition(it, self.operator, self.key),
            self.statements,
            policies,
        )


def conditions(policies: Policies) -> dict[str, Condition]:
    """Returns the conditions of the statements that allow, by name."""
    found: dict[str, tuple[str, str, list[Statement]]] = {}
    for statement in policies.statements():
        if statement.effect == "Allow":
            for operator, key in policies.conditions(statement):
                name = f"{operator} {key} of {_name(statement)}"
                found.setdefault(name, (operator, key, []))[2].append(statement)
    return {name: Condition(operator, key, tuple(of)) for name, (operator, key, of) in found.items()}


def _name(statement: Statement) -> str:
    """Returns the name of a statement, the same for its copies."""
    holder = re.split(r"[:/]", statement.holder)[-1]
    shared = statement.policy == "SharedPolicy"
    return f"{statement.sid or f'statement {statement.index + 1}'} of {'SharedPolicy' if shared else holder}"


POLICIES = deployment.everything()
CONDITIONS = conditions(POLICIES)


@cache
def hostile() -> list[Call]:
    return list(deployment.hostile_calls(hostile_calls()))


def opened(policies: Policies) -> set[str]:
    """Returns the hostile calls that the policies allow."""
    return {call.name for call in hostile() if call.is_allowed(policies)}


def removed(*names: str) -> Policies:
    """Returns the policies without the conditions."""
    return reduce(lambda policies, name: CONDITIONS[name].removed_from(policies), names, POLICIES)


def test_every_hostile_call_is_denied() -> None:
    assert len(hostile()) > 80
    assert all(call.checks for call in hostile()), "a call without checks would be allowed"
    assert opened(POLICIES) == set()


@pytest.mark.parametrize("role", _ROLES)
def test_the_conditions_permit_every_call_that_peerd_makes(role: str) -> None:
    calls = [Call(name, session(role, ACCOUNT), checks) for name, checks in calls_of_peerd().items()]
    assert all(call.checks for call in calls)
    assert [call.name for call in calls if not call.is_allowed(POLICIES)] == []


@pytest.mark.parametrize("name", sorted(CONDITIONS.keys() - BACKED_UP.keys()))
def test_without_a_condition_a_hostile_call_is_allowed(name: str) -> None:
    allowed = opened(removed(name))
    assert allowed
    real = {call for call in allowed if not any(words in call for words in _REFUSED_ANYWAY)}
    assert (not real) == (name in SECOND_LINE), f"{name} denies {sorted(allowed)}"


@pytest.mark.parametrize(("name", "other"), BACKED_UP.items())
def test_a_condition_that_is_backed_up_is_needed_only_without_the_other(name: str, other: str) -> None:
    assert opened(removed(name)) == set()
    assert opened(removed(name, other)) > opened(removed(other))


def test_every_hostile_call_is_denied_by_one_condition_or_by_two_that_back_up_each_other() -> None:
    changed = [removed(name) for name in CONDITIONS] + [removed(*pair) for pair in BACKED_UP.items()]
    assert set().union(*map(opened, changed)) == {it.name for it in hostile()}


def test_the_named_conditions_exist() -> None:
    assert {*BACKED_UP, *BACKED_UP.values(), *SECOND_LINE} <= CONDITIONS.keys()
    assert {HUB, LISTED, ACCOUNT} <= {it.holder.split(":")[4] for it in POLICIES.statements()}
