"""Organizations and Service Quotas, as far as an account's own view of them goes.

Only the management account (or a delegated administrator) may list accounts, and an account outside of an
organisation is told so: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
"""

import json
from collections.abc import Callable

from moto.organizations.exceptions import AWSOrganizationsNotInUseException, OrganizationsClientError
from moto.organizations.models import organizations_backends
from moto.organizations.responses import OrganizationsResponse
from moto.servicequotas.responses import ServiceQuotasResponse


def install() -> None:
    """Lays the rules over moto's two services."""
    for name in ("list_accounts", "list_accounts_for_parent"):
        setattr(OrganizationsResponse, name, _of_management(getattr(OrganizationsResponse, name)))
    ServiceQuotasResponse.list_service_quotas = _list_service_quotas


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
    """The quotas that apply; nobody raised one here, so they are the defaults."""
    service = str(json.loads(self.body).get("ServiceCode"))
    return json.dumps({"Quotas": self.backend.list_aws_default_service_quotas(service)})
