"""Decides a check: identity policies, a permissions boundary, and the policy of the resource.

ministack evaluates the statements. How the policies combine:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from functools import lru_cache
from typing import Any

from ministack.core.iam_evaluator import (
    EvalContext,
    EvalResult,
    ParsedStatement,
    combine_resource_policy,
    evaluate,
    evaluate_resource_policy,
    parse_policy_document,
)

from sandbox.iam.model import Caller, Check, Decision
from sandbox.iam.policies import Policies

ASSUME_ROLE = "sts:AssumeRole"
# AWS permits these calls whatever the policies say.
_ALWAYS_ALLOWED = {"sts:GetCallerIdentity", "sts:GetSessionToken"}
_ALLOWED, _DENIED = "Allow", "Deny"


def decide(caller: Caller, check: Check, policies: Policies) -> Decision:
    """Returns whether AWS permits this action on this resource, and if not, AWS's reason."""
    if check.action in _ALWAYS_ALLOWED:
        return Decision(True)
    context = _context(caller, check)
    policy = policies.resource_policy(check.resource)
    if caller.service is not None:
        result = evaluate_resource_policy(policy, context, service=caller.service)
        return _decision(check, result, of_resource=True)
    limits = _limits(caller, policies)
    identity = evaluate(context, _identity_policies(caller, policies), *limits)
    if check.action != ASSUME_ROLE and policy is None and _owner(check) in ("", caller.account):
        return _decision(check, identity)
    # A trust policy has to permit also the callers of the role's own account.
    result = combine_resource_policy(
        identity, context, policy, _owner(check), required=check.action == ASSUME_ROLE, limits=tuple(limits)
    )
    return _decision(check, result, of_resource=identity.decision == _ALLOWED)


def _decision(check: Check, result: EvalResult, of_resource: bool = False) -> Decision:
    if result.decision == _ALLOWED:
        return Decision(True)
    kind = "a resource-based policy" if of_resource else "an identity-based policy"
    if result.decision == _DENIED:
        return Decision(False, f"with an explicit deny in {kind}")
    kind = kind.removeprefix("an ").removeprefix("a ")
    return Decision(False, f"because no {kind} allows the {check.action} action")


def _context(caller: Caller, check: Check) -> EvalContext:
    keys: dict[str, Any] = {name.lower(): value for name, value in check.keys.items()}
    keys.setdefault("aws:tagkeys", None)  # absent, not empty
    if caller.function:
        keys["lambda:sourcefunctionarn"] = caller.function
    return EvalContext(
        principal_arn=caller.principal,
        principal_type="Service" if caller.service else "AssumedRole" if caller.role else "User",
        principal_account=caller.account,
        action=check.action,
        resource_arn=check.resource,
        region=check.region,
        secure_transport=True,  # AWS's endpoints are called with TLS
        service_context=keys,
    )


def _identity_policies(caller: Caller, policies: Policies) -> list[list[ParsedStatement]]:
    """Returns the policies of the caller's role. Other principals are administrators of their account."""
    if caller.role is None:
        return [[ParsedStatement("", _ALLOWED, actions=["*"], resources=["*"])]]
    role = policies.roles.get(caller.role)
    return [_parsed(document) for document in role.policies.values()] if role else []


def _limits(caller: Caller, policies: Policies) -> list[list[list[ParsedStatement]]]:
    role = policies.roles.get(caller.role or "")
    return [[_parsed(role.boundary)]] if role and role.boundary is not None else []


@lru_cache(maxsize=1024)
def _parsed(document: str) -> list[ParsedStatement]:
    return parse_policy_document(document)


def _owner(check: Check) -> str:
    """Returns the account in the resource's ARN; empty if it does not matter.

    EC2's resources of other accounts are shared with the caller, such as the prefix lists of AWS.
    """
    return "" if check.action.startswith("ec2:") else (check.resource.split(":") + [""] * 5)[4]
