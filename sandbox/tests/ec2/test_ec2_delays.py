"""Delays: provisioning, new resources that are not visible yet, and stale reads."""

from sandbox.settings import SETTINGS
from sandbox.tests.ec2.sides import Refused, Side

Pair = tuple[str, str]
RefusedType = type[Refused]


def test_an_accepted_peering_is_provisioning_during_the_delay(ours: Side, theirs: Side, pair: Pair) -> None:
    SETTINGS.update({"provisioning_ms": 60_000})
    peering = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    assert theirs.accept(peering)["Status"]["Code"] == "provisioning"
    assert ours.state(peering) == "provisioning"
    SETTINGS.advance(61)
    assert ours.state(peering) == theirs.state(peering) == "active"


def test_a_new_peering_is_visible_to_the_accepter_only_after_the_delay(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    SETTINGS.update({"visibility_ms": 60_000})
    peering = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    assert (ours.state(peering), theirs.state(peering)) == ("initiating-request", None)
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        theirs.accept(peering)
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        theirs.ec2.create_tags(Resources=[peering], Tags=[{"Key": "Name", "Value": "x"}])
    SETTINGS.advance(61)
    theirs.accept(peering)
    assert ours.state(peering) == "active"


def test_a_new_vpc_and_its_tables_are_described_only_after_the_delay(
    ours: Side, refused: RefusedType
) -> None:
    SETTINGS.update({"visibility_ms": 60_000})
    vpc = ours.vpc("10.1.0.0/16", tags={"Name": "new"})
    tagged = [{"Name": "tag:Name", "Values": ["new"]}]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    with refused("InvalidVpcID.NotFound"):
        ours.ec2.describe_vpcs(VpcIds=[vpc])
    assert ours.ec2.describe_vpcs(Filters=tagged)["Vpcs"] == []
    assert ours.ec2.describe_route_tables(Filters=of_vpc)["RouteTables"] == []
    SETTINGS.advance(61)
    assert len(ours.ec2.describe_vpcs(Filters=tagged)["Vpcs"]) == 1
    assert len(ours.ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]) == 1


def test_stale_reads_return_earlier_tags(ours: Side) -> None:
    vpc = ours.vpc("10.1.0.0/16", tags={"Name": "before"})
    SETTINGS.advance(3600)
    SETTINGS.update({"stale_ms": 60_000})
    ours.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "after"}])

    def name() -> str:
        return ours.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"][0]["Value"]

    assert name() == "before"
    SETTINGS.advance(61)
    assert name() == "after"


def test_stale_reads_return_earlier_peerings_and_routes(
    ours: Side, theirs: Side, pair: Pair, peering: str
) -> None:
    table = ours.main_table(pair[0])
    SETTINGS.advance(3600)
    SETTINGS.update({"stale_ms": 60_000})
    ours.ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="10.2.0.0/16", VpcPeeringConnectionId=peering
    )
    assert "10.2.0.0/16" not in ours.routes(table)
    SETTINGS.advance(61)
    assert ours.routes(table)["10.2.0.0/16"] == "active"
    theirs.delete(peering)
    assert ours.state(peering) == "active"
    assert ours.routes(table)["10.2.0.0/16"] == "active"
    SETTINGS.advance(61)
    assert ours.state(peering) == "deleted"
    assert ours.routes(table)["10.2.0.0/16"] == "blackhole"


def test_stale_reads_omit_the_local_route_of_a_disassociated_cidr_block(ours: Side) -> None:
    vpc = ours.vpc("10.1.0.0/16", "10.11.0.0/16")
    (described,) = ours.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    association = described["CidrBlockAssociationSet"][1]["AssociationId"]
    table = ours.main_table(vpc)
    SETTINGS.advance(3600)
    SETTINGS.update({"stale_ms": 60_000})
    ours.ec2.disassociate_vpc_cidr_block(AssociationId=association)
    SETTINGS.advance(61)
    assert set(ours.routes(table)) == {"10.1.0.0/16"}


def test_deleting_a_peering_between_regions_takes_as_long_as_provisioning(
    ours: Side, theirs: Side, peering: str
) -> None:
    SETTINGS.update({"provisioning_ms": 60_000})
    ours.delete(peering)
    assert theirs.state(peering) == "deleting"
    SETTINGS.advance(61)
    assert theirs.state(peering) == "deleted"
