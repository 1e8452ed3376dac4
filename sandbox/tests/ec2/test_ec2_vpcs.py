"""VPCs: the CIDR blocks that can be associated, and the effects of a deletion."""

from sandbox.tests.ec2.sides import Refused, Side

Pair = tuple[str, str]
RefusedType = type[Refused]


def _associate(side: Side, vpc: str, cidr: str) -> str:
    response = side.ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=cidr)
    return response["CidrBlockAssociation"]["AssociationId"]


def test_a_cidr_block_that_overlaps_one_of_the_vpc_is_rejected(ours: Side, refused: RefusedType) -> None:
    vpc = ours.vpc("10.1.0.0/16")
    with refused("InvalidVpc.Range"):
        _associate(ours, vpc, "10.1.128.0/17")


def test_a_cidr_block_that_overlaps_one_of_an_active_peer_is_rejected(
    ours: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    with refused("InvalidVpc.Range"):
        _associate(ours, pair[0], "10.2.128.0/17")
    _associate(ours, pair[0], "10.11.0.0/16")


def test_a_requester_cannot_add_a_cidr_block_while_its_request_is_pending(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    ours.request(pair[0], theirs, pair[1])
    with refused("OperationNotPermitted"):
        _associate(ours, pair[0], "10.11.0.0/16")


def test_an_overlapping_cidr_block_of_the_accepter_fails_the_pending_request(
    ours: Side, theirs: Side, pair: Pair
) -> None:
    peering = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    _associate(theirs, pair[1], "10.12.0.0/16")
    assert ours.state(peering) == "pending-acceptance"
    _associate(theirs, pair[1], "10.1.128.0/17")
    assert ours.state(peering) == "failed"


def test_a_cidr_block_must_be_smaller_than_the_destinations_of_existing_routes(
    ours: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    table = ours.main_table(pair[0])
    ours.ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="10.64.0.0/16", VpcPeeringConnectionId=peering
    )
    with refused("InvalidVpc.Range"):
        _associate(ours, pair[0], "10.64.0.0/16")
    _associate(ours, pair[0], "10.64.128.0/17")


def test_a_local_route_is_created_and_deleted_with_its_cidr_block(ours: Side) -> None:
    vpc = ours.vpc("10.1.0.0/16")
    table = ours.main_table(vpc)
    association = _associate(ours, vpc, "10.11.0.0/16")
    assert set(ours.routes(table)) == {"10.1.0.0/16", "10.11.0.0/16"}
    ours.ec2.disassociate_vpc_cidr_block(AssociationId=association)
    assert set(ours.routes(table)) == {"10.1.0.0/16"}


def test_a_vpc_with_only_its_default_resources_can_be_deleted(ours: Side, refused: RefusedType) -> None:
    vpc = ours.vpc("10.1.0.0/16", "10.11.0.0/16", tags={"Name": "gone"})
    ours.ec2.delete_vpc(VpcId=vpc)
    with refused("InvalidVpcID.NotFound"):
        ours.ec2.describe_vpcs(VpcIds=[vpc])


def test_deleting_a_vpc_deletes_its_peerings_and_turns_the_routes_of_peers_into_blackholes(
    ours: Side, theirs: Side, pair: Pair, peering: str
) -> None:
    table = theirs.main_table(pair[1])
    theirs.ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="10.1.0.0/16", VpcPeeringConnectionId=peering
    )
    ours.ec2.delete_vpc(VpcId=pair[0])
    assert theirs.state(peering) == "deleted"
    assert theirs.routes(table)["10.1.0.0/16"] == "blackhole"


def test_a_vpc_with_a_pending_request_of_another_account_cannot_be_deleted(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    peering = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    with refused("DependencyViolation") as error:
        theirs.ec2.delete_vpc(VpcId=pair[1])
    assert peering in error.message
    ours.ec2.delete_vpc(VpcId=pair[0])
    assert theirs.state(peering) == "deleted"
    theirs.ec2.delete_vpc(VpcId=pair[1])


def test_a_vpc_that_cannot_be_deleted_keeps_its_peerings(
    ours: Side, theirs: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    ours.ec2.create_subnet(VpcId=pair[0], CidrBlock="10.1.1.0/24")
    with refused("DependencyViolation"):
        ours.ec2.delete_vpc(VpcId=pair[0])
    assert theirs.state(peering) == "active"
