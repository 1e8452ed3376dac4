"""Routes and route tables: canonical destinations, no silent overwrite, blackholes, quotas.

https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html
"""

import ipaddress
from collections.abc import Callable
from typing import Any

from moto.ec2.exceptions import InvalidRouteTableIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import Route, RouteBackend, RouteTable

from sandbox.ec2.errors import client_error
from sandbox.ec2.timeline import Timeline, is_describing, read_time
from sandbox.ec2.vpcs import is_visible
from sandbox.settings import SETTINGS


def install() -> None:
    """Patches moto's route tables with the rules below."""
    RouteTable.__init__ = _with_visibility_delay(RouteTable.__init__)
    RouteTable.record_history = _record_history
    RouteTable.routes = property(_routes)
    Route.state = property(_state)
    RouteBackend.create_route = _recording_history(_validated(RouteBackend.create_route))
    RouteBackend.replace_route = _recording_history(
        _canonical(_requiring_own_peering(RouteBackend.replace_route))
    )
    RouteBackend.delete_route = _recording_history(_canonical(RouteBackend.delete_route))
    RouteBackend.describe_route_tables = _only_visible(RouteBackend.describe_route_tables)


def _with_visibility_delay(init: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: RouteTable, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.visible_from = SETTINGS.clock() + SETTINGS.visibility_ms / 1000
        self.history = Timeline[list[Route]]([])

    return __init__


def _routes(self: RouteTable) -> list[Route]:
    """A Describe call may omit a new route for a while: https://github.com/hashicorp/terraform/issues/9756"""
    return (
        self.history.at(read_time()) if is_describing() and SETTINGS.stale_ms else list(self._routes.values())
    )


def _state(self: Route) -> str:
    """A route to a peering that is not active is a blackhole, before and after the peering was active.

    https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-routing.html
    """
    return (
        "blackhole"
        if self.vpc_pcx is not None and self.vpc_pcx.status_at(read_time()) != "active"
        else "active"
    )


def _record_history(self: RouteTable) -> None:
    # Copies each route, since ReplaceRoute changes a route in place.
    self.history.set([_copy(route) for route in self._routes.values()])


def _recording_history(change: Callable[..., Any]) -> Callable[..., Any]:
    def changed(self: EC2Backend, route_table_id: str, *args: Any, **kwargs: Any) -> Any:
        result = change(self, route_table_id, *args, **kwargs)
        self.route_tables[route_table_id].record_history()
        return result

    return changed


def _copy(route: Route) -> Route:
    copy = Route.__new__(Route)
    copy.__dict__.update(route.__dict__)
    return copy


def _canonical(change: Callable[..., Any]) -> Callable[..., Any]:
    """AWS clears host bits: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html"""

    def changed(
        self: EC2Backend,
        route_table_id: str,
        destination: str | None = None,
        ipv6: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        destination = kwargs.pop("destination_cidr_block", destination)
        ipv6 = kwargs.pop("destination_ipv6_cidr_block", ipv6)
        return change(self, route_table_id, _block(destination, 4), _block(ipv6, 6), *args, **kwargs)

    return changed


def _block(text: str | None, version: int) -> str | None:
    if not text:
        return None
    try:
        block = ipaddress.ip_network(text, strict=False)
    except ValueError:
        block = None
    if block is None or block.version != version:
        name = "destinationCidrBlock" if version == 4 else "destinationIpv6CidrBlock"
        raise client_error(
            "InvalidParameterValue",
            f"Value ({text}) for parameter {name} is invalid. This is not a valid CIDR block.",
        )
    return str(block)


def _validated(create: Callable[..., Route]) -> Callable[..., Route]:
    def create_route(
        self: EC2Backend,
        route_table_id: str,
        destination_cidr_block: str | None = None,
        destination_ipv6_cidr_block: str | None = None,
        destination_prefix_list_id: str | None = None,
        **target: Any,
    ) -> Route:
        v4, v6 = _block(destination_cidr_block, 4), _block(destination_ipv6_cidr_block, 6)
        if not target.get("local"):
            _refuse(self, self.get_route_table(route_table_id), v4, v6, destination_prefix_list_id, target)
        return create(self, route_table_id, v4, v6, destination_prefix_list_id, **target)

    return create_route


def _refuse(
    backend: EC2Backend,
    table: RouteTable,
    v4: str | None,
    v6: str | None,
    prefix_list: str | None,
    target: dict[str, Any],
) -> None:
    destination = v4 or v6 or prefix_list
    routes = table._routes.values()
    for route in routes:
        if destination in (
            route.destination_cidr_block,
            route.destination_ipv6_cidr_block,
            route.destination_prefix_list_id,
        ):
            raise client_error("RouteAlreadyExists", f"The route identified by {destination} already exists.")
    if any("igw-" in (one.get("GatewayId") or "") for one in table.associations):
        raise client_error(
            "InvalidParameterValue", f"{table.id} is associated with a gateway and takes no such route"
        )
    if peering_id := target.get("vpc_peering_connection_id"):
        peering = _peering_of(backend, table, peering_id)
        if not peering.is_live:
            raise client_error(
                "InvalidStateTransition", f"VpcPeeringConnection {peering_id} is {peering.status}"
            )
        if (v4 or v6) and _is_within_vpc(table, ipaddress.ip_network(v4 or v6)):
            # https://github.com/hashicorp/terraform/issues/26018
            raise client_error(
                "InvalidParameterValue",
                "Route target is not supported. This route only supports interface and instance targets.",
            )
    # IPv4 and IPv6 have separate counts: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
    same_family = [
        route for route in routes if not route.local and bool(route.destination_ipv6_cidr_block) == bool(v6)
    ]
    if len(same_family) >= SETTINGS.quota_routes:
        raise client_error(
            "RouteLimitExceeded", f"The maximum number of routes has been reached in {table.id}."
        )


def _requiring_own_peering(replace: Callable[..., Any]) -> Callable[..., Any]:
    def replace_route(self: EC2Backend, route_table_id: str, *destination: str | None, **target: Any) -> Any:
        if peering_id := target.get("vpc_peering_connection_id"):
            _peering_of(self, self.get_route_table(route_table_id), peering_id)
        return replace(self, route_table_id, *destination, **target)

    return replace_route


def _peering_of(backend: EC2Backend, table: RouteTable, peering_id: str) -> Any:
    peering = backend.get_vpc_peering_connection(peering_id)
    if table.vpc_id not in (peering.requester.id, peering.accepter.id):
        # https://github.com/hashicorp/terraform/issues/2185
        message = f"route table {table.id} and network gateway {peering_id} belong to different networks"
        raise client_error("InvalidParameterValue", message)
    return peering


def _is_within_vpc(table: RouteTable, block: Any) -> bool:
    local = (
        route.destination_cidr_block or route.destination_ipv6_cidr_block
        for route in table._routes.values()
        if route.local
    )
    own = (ipaddress.ip_network(text) for text in local if text)
    return any(block.version == mine.version and block != mine and block.subnet_of(mine) for mine in own)


def _only_visible(describe: Callable[..., list[RouteTable]]) -> Callable[..., list[RouteTable]]:
    def describe_route_tables(
        self: EC2Backend, route_table_ids: list[str] | None = None, filters: Any = None
    ) -> list[RouteTable]:
        for table_id in route_table_ids or []:
            if table_id not in self.route_tables or not is_visible(self.route_tables[table_id]):
                raise InvalidRouteTableIdError(table_id)
        return [table for table in describe(self, route_table_ids, filters) if is_visible(table)]

    return describe_route_tables
