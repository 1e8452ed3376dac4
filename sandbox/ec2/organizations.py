"""Organizations and Service Quotas, from the point of view of one account.

Only the management account (or a delegated administrator) may list accounts, units and policies. AWS has a
separate error for accounts outside an organization: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
"""

import json
from collections.abc import Callable
from typing import Any

from moto.organizations.exceptions import AWSOrganizationsNotInUseException, OrganizationsClientError
from moto.organizations.models import organizations_backends
from moto.organizations.responses import OrganizationsResponse
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from sandbox.settings import SETTINGS

_OF_THE_MANAGEMENT_ACCOUNT = (
    "list_accounts",
    "list_accounts_for_parent",
    "list_organizational_units_for_parent",
    "list_parents",
    "list_policies",
    "list_policies_for_target",
    "list_targets_for_policy",
    "describe_policy",
)


def install() -> None:
    """Patches the two services of moto."""
    for name in _OF_THE_MANAGEMENT_ACCOUNT:
        setattr(OrganizationsResponse, name, _management_account_only(getattr(OrganizationsResponse, name)))
    ServiceQuotasResponse.list_service_quotas = _list_service_quotas
    ServiceQuotasBackend.get_service_quota = _enforced(ServiceQuotasBackend.get_service_quota)


def _management_account_only(
    call: Callable[[OrganizationsResponse], str],
) -> Callable[[OrganizationsResponse], str]:
    def checked(self: OrganizationsResponse) -> str:
        if self.organizations_backend.org is None:
            if self.current_account not in organizations_backends.master_accounts:
                raise AWSOrganizationsNotInUseException
            message = "You don't have permissions to access this resource."
            raise OrganizationsClientError("AccessDeniedException", message)
        return call(self)

    return checked


def _list_service_quotas(self: ServiceQuotasResponse) -> str:
    """Returns the applied quotas: the defaults, or the values of the settings."""
    service = str(json.loads(self.body).get("ServiceCode"))
    defaults = self.backend.list_aws_default_service_quotas(service)
    return json.dumps({"Quotas": [_applied_quota(quota) for quota in defaults]})


def _enforced(get: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        return _applied_quota(get(self, service_code, quota_code))

    return get_service_quota


def _applied_quota(quota: dict[str, Any]) -> dict[str, Any]:
    """Replaces the value with the setting that EC2 enforces."""
    settings = {
        "L-7E9ECCDB": SETTINGS.quota_peerings,
        "L-93826ACB": SETTINGS.quota_routes,
        "L-0EA8095F": SETTINGS.quota_rules,
    }
    value = settings.get(quota["QuotaCode"])
    return quota if value is None else quota | {"Value": float(value)}
