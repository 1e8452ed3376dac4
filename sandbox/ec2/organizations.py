"""Organizations and Service Quotas, as far as an account's own view of them goes.

Only the management account (or a delegated administrator) may list accounts, and an account outside of an
organisation is told so: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
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


def install() -> None:
    """Lays the rules over moto's two services."""
    for name in ("list_accounts", "list_accounts_for_parent"):
        setattr(OrganizationsResponse, name, _of_management(getattr(OrganizationsResponse, name)))
    ServiceQuotasResponse.list_service_quotas = _list_service_quotas
    ServiceQuotasBackend.get_service_quota = _enforced(ServiceQuotasBackend.get_service_quota)


def _of_management(call: Callable[[OrganizationsResponse], str]) -> Callable[[OrganizationsResponse], str]:
    def checked(self: OrganizationsResponse) -> str:
        if self.organizations_backend.org is None:
            if self.current_account not in organizations_backends.master_accounts:
                raise AWSOrganizationsNotInUseException
            message = "You don't have permissions to access this resource."
            raise OrganizationsClientError("AccessDeniedException", message)
        return call(self)

    return checked


def _list_service_quotas(self: ServiceQuotasResponse) -> str:
    """The quotas that apply: the defaults, but for those that the settings turn."""
    service = str(json.loads(self.body).get("ServiceCode"))
    defaults = self.backend.list_aws_default_service_quotas(service)
    return json.dumps({"Quotas": [_as_enforced(quota) for quota in defaults]})


def _enforced(get: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        return _as_enforced(get(self, service_code, quota_code))

    return get_service_quota


def _as_enforced(quota: dict[str, Any]) -> dict[str, Any]:
    """What Service Quotas says is what EC2 enforces."""
    turned = {
        "L-7E9ECCDB": SETTINGS.quota_peerings,
        "L-93826ACB": SETTINGS.quota_routes,
        "L-0EA8095F": SETTINGS.quota_rules,
    }
    value = turned.get(quota["QuotaCode"])
    return quota if value is None else quota | {"Value": float(value)}
