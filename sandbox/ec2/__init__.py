"""EC2, STS, Organizations, Service Quotas and CloudTrail: moto, patched where peerd needs AWS's behavior.

Each rule cites its source. The gateway implements faults, latency, events and the call log, and calls the
application from one thread at a time, since moto's state is not thread-safe.
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
    """Applies the patches to moto; a second call changes nothing."""
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
    # moto warns that its service model lacks AccessDenied, which every AWS service returns.
    warnings.filterwarnings("ignore", message="Exception.*does not match an error shape")
    _installed = True


def application() -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Returns the WSGI application of the five services."""
    install()
    return DomainDispatcherApplication(create_backend_app)
