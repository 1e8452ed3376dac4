"""Routes: canonical destinations, no silent overwrite, blackholes, gateway tables and quotas."""

from typing import Any

import pytest

from sandbox.settings import SETTINGS
from sandbox.tests.ec2.sides import Refused, Side

Pair = tuple[str, str]
RefusedType = type[Refused]


def _add(side: Side, table: str, destination: str, peering: str, **more: Any) -> None:
    family = "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
    side.ec2.create_route(RouteTableId=table, **{family: destination}, VpcPeeringConnectionId=peering, **more)


@pytest.fixture
def table(ours: Side, pair: Pair) -> str:
    """The main route table of our VPC."""
    return ours.main_table(pair[0])


@pytest.mark.parametrize(
    ("given", "kept"),
    [("10.2.3.4/16", "10.2.0.0/16"), ("2600:1f16:0:2::1/56", "2600:1f16::/56")],
)
def test_a_destination_is_stored_in_canonical_form(
    ours: Side, table: str, peering: str, given: str, kept: str
) -> None:
    _add(ours, table, given, peering)
    assert ours.routes(table)[kept] == "active"


@pytest.mark.parametrize("destination", ["10.2.0.0/16", "2600:1f16::/56"])
def test_a_duplicate_destination_is_rejected(
    ours: Side, table: str, peering: str, destination: str, refused: RefusedType
) -> None:
    _add(ours, table, destination, peering)
    with refused("RouteAlreadyExists"):
        _add(ours, table, destination, peering)


def test_the_local_route_cannot_be_overridden(
    ours: Side, table: str, peering: str, refused: RefusedType
) -> None:
    with refused("RouteAlreadyExists"):
        _add(ours, table, "10.1.0.0/16", peering)
    with refused("InvalidParameterValue"):
        _add(ours, table, "10.1.1.0/24", peering)


def test_ipv6_in_the_ipv4_parameter_is_rejected(
    ours: Side, table: str, peering: str, refused: RefusedType
) -> None:
    with refused("InvalidParameterValue") as error:
        ours.ec2.create_route(RouteTableId=table, DestinationCidrBlock="::/0", VpcPeeringConnectionId=peering)
    assert "not a valid CIDR block" in error.message


def test_a_route_is_a_blackhole_unless_its_peering_is_active(
    ours: Side, theirs: Side, pair: Pair, table: str
) -> None:
    pending = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    _add(ours, table, "10.2.0.0/16", pending)
    assert ours.routes(table)["10.2.0.0/16"] == "blackhole"
    theirs.accept(pending)
    assert ours.routes(table)["10.2.0.0/16"] == "active"
    theirs.delete(pending)
    assert ours.routes(table)["10.2.0.0/16"] == "blackhole"


def test_a_route_needs_a_live_peering_of_its_own_vpc(
    ours: Side, theirs: Side, pair: Pair, table: str, peering: str, refused: RefusedType
) -> None:
    other = ours.main_table(ours.vpc("10.3.0.0/16"))
    with refused("InvalidParameterValue") as error:
        _add(ours, other, "10.2.0.0/16", peering)
    assert "belong to different networks" in error.message
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        _add(ours, table, "10.2.0.0/16", "pcx-00000000000000000")
    theirs.delete(peering)
    with refused("InvalidStateTransition"):
        _add(ours, table, "10.2.0.0/16", peering)


def test_a_route_cannot_be_replaced_with_a_peering_of_other_vpcs(
    ours: Side, theirs: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    vpc = ours.vpc("10.3.0.0/16")
    table = ours.main_table(vpc)
    own = ours.request(vpc, theirs, pair[1])["VpcPeeringConnectionId"]
    theirs.accept(own)
    _add(ours, table, "10.2.0.0/16", own)
    with refused("InvalidParameterValue"):
        ours.ec2.replace_route(
            RouteTableId=table, DestinationCidrBlock="10.2.0.0/16", VpcPeeringConnectionId=peering
        )


def test_a_route_is_replaced_and_deleted_by_any_notation_of_its_destination(
    ours: Side, theirs: Side, pair: Pair, table: str, peering: str, refused: RefusedType
) -> None:
    _add(ours, table, "10.2.0.0/16", peering)
    gateway = ours.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ours.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=pair[0])
    ours.ec2.replace_route(RouteTableId=table, DestinationCidrBlock="10.2.9.9/16", GatewayId=gateway)
    (seen,) = ours.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    (route,) = [one for one in seen["Routes"] if one["DestinationCidrBlock"] == "10.2.0.0/16"]
    assert route["GatewayId"] == gateway
    assert "VpcPeeringConnectionId" not in route
    ours.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="10.2.9.9/16")
    with refused("InvalidRoute.NotFound"):
        ours.ec2.delete_route(RouteTableId=table, DestinationCidrBlock="10.2.0.0/16")


def test_a_route_has_its_origin(ours: Side, table: str, peering: str) -> None:
    _add(ours, table, "10.2.0.0/16", peering)
    (seen,) = ours.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    origins = {route["DestinationCidrBlock"]: route["Origin"] for route in seen["Routes"]}
    assert origins == {"10.1.0.0/16": "CreateRouteTable", "10.2.0.0/16": "CreateRoute"}


def test_routes_are_counted_per_table_and_family(
    ours: Side, table: str, peering: str, refused: RefusedType
) -> None:
    SETTINGS.update({"quota_routes": 2})
    _add(ours, table, "10.2.0.0/16", peering)
    _add(ours, table, "10.3.0.0/16", peering)
    with refused("RouteLimitExceeded"):
        _add(ours, table, "10.4.0.0/16", peering)
    _add(ours, table, "2600:1f16::/56", peering)


def test_a_gateway_table_has_its_gateway_and_rejects_peering_routes(
    ours: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    gateway = ours.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ours.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=pair[0])
    edge = ours.ec2.create_route_table(VpcId=pair[0])["RouteTable"]["RouteTableId"]
    ours.ec2.associate_route_table(RouteTableId=edge, GatewayId=gateway)
    (seen,) = ours.ec2.describe_route_tables(RouteTableIds=[edge])["RouteTables"]
    assert [one.get("GatewayId") for one in seen["Associations"]] == [gateway]
    with refused("InvalidParameterValue"):
        _add(ours, edge, "10.2.0.0/16", peering)


def test_tables_are_found_by_the_peering_that_they_route_to(ours: Side, table: str, peering: str) -> None:
    _add(ours, table, "10.2.0.0/16", peering)
    wanted = [{"Name": "route.vpc-peering-connection-id", "Values": [peering]}]
    found = ours.ec2.describe_route_tables(Filters=wanted)["RouteTables"]
    assert [one["RouteTableId"] for one in found] == [table]
