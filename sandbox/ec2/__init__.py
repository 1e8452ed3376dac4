"""EC2, STS, Organizations, Service Quotas and CloudTrail: moto, with what moto lacks of AWS and peerd needs.

Each rule stands beside its source. Faults, latency, events and the call log are the gateway's; the gateway
also calls the application from one thread at a time, which moto's state needs.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from sandbox.ec2 import (
    calls,
    filters,
    groups,
    identity,
    organizations,
    peering_calls,
    peerings,
    prefix_lists,
    regions,
    routes,
    tags,
    trails,
    vpcs,
)

_installed = False


def install() -> None:
    """Lays the overlay over moto; a second call changes nothing."""
    global _installed
    if _installed:
        return
    for part in (
        identity,
        filters,
        regions,
        tags,
        vpcs,
        prefix_lists,
        groups,
        routes,
        peerings,
        peering_calls,
        calls,
        organizations,
        trails,
    ):
        part.install()
    # moto warns that its own service model lacks AccessDenied, which every AWS service answers.
    warnings.filterwarnings("ignore", message="Exception.*does not match an error shape")
    _installed = True


def application() -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """The WSGI application of the five services."""
    install()
    return DomainDispatcherApplication(create_backend_app)
