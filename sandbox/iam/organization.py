"""The organization in the condition keys: `aws:PrincipalOrgID`, `aws:PrincipalOrgPaths`, `aws:ResourceOrgID`.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from collections.abc import Mapping
from dataclasses import dataclass

from moto.organizations.models import organizations_backends

from sandbox.iam.model import Check, Value

# AWS does not provide the keys of the resource's account for these calls, which involve two accounts.
_WITHOUT_RESOURCE_KEYS = {"ec2:AcceptVpcPeeringConnection", "ec2:CreateVpcPeeringConnection"}


@dataclass(frozen=True)
class Membership:
    """The organization of an account, and the path of units to the account."""

    organization: str
    path: str


def membership(account: str) -> Membership | None:
    """Returns the membership of an account, or None if it is in no organization."""
    for by_partition in list(organizations_backends.values()):
        for backend in list(by_partition.values()):
            known = next((it for it in list(backend.accounts) if it.id == account), None)
            if backend.org is not None and known is not None:
                return Membership(backend.org.id, _path(backend, known.parent_id))
    return None


def _path(backend: object, parent: str) -> str:
    parents = {unit.id: getattr(unit, "parent_id", None) for unit in list(backend.ou)}
    units: list[str] = []
    current: str | None = parent
    while current is not None and current not in units:
        units.append(current)
        current = parents.get(current)
    return "/".join([backend.org.id, *reversed(units)]) + "/"


def principal_keys(account: str) -> Mapping[str, Value]:
    """Returns the keys of the caller's organization; none for an account without one."""
    known = membership(account)
    if known is None:
        return {}
    return {"aws:PrincipalOrgID": known.organization, "aws:PrincipalOrgPaths": [known.path]}


def resource_keys(check: Check) -> Mapping[str, Value]:
    """Returns the keys of the organization of the account that owns the resource."""
    account = (check.resource.split(":") + [""] * 5)[4]
    known = membership(account) if account and check.action not in _WITHOUT_RESOURCE_KEYS else None
    return {"aws:ResourceOrgID": known.organization, "aws:ResourceOrgPaths": [known.path]} if known else {}
