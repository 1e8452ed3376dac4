"""VPCs: which blocks they take while they are peered, and what their deletion does."""

from sandbox.tests.ec2.sides import Refused, Side

Pair = tuple[str, str]
RefusedType = type[Refused]


def _associate(side: Side, vpc: str, cidr: str) -> str:
    answer = side.ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=cidr)
    return answer["CidrBlockAssociation"]["AssociationId"]


def test_a_block_that_overlaps_one_of_the_vpc_is_refused(ours: Side, refused: RefusedType) -> None:
    vpc = ours.vpc("10.1.0.0/16")
    with refused("InvalidVpc.Range"):
        _associate(ours, vpc, "10.1.128.0/17")


def test_a_block_that_overlaps_an_active_peers_is_refused(
    ours: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    with refused("InvalidVpc.Range"):
        _associate(ours, pair[0], "10.2.128.0/17")
    _associate(ours, pair[0], "10.11.0.0/16")


def test_a_requester_takes_no_block_while_its_request_waits_for_an_answer(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    ours.request(pair[0], theirs, pair[1])
    with refused("OperationNotPermitted"):
        _associate(ours, pair[0], "10.11.0.0/16")


def test_a_block_of_the_accepter_that_overlaps_fails_the_waiting_request(
    ours: Side, theirs: Side, pair: Pair
) -> None:
    peering = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    _associate(theirs, pair[1], "10.12.0.0/16")
    assert ours.state(peering) == "pending-acceptance"
    _associate(theirs, pair[1], "10.1.128.0/17")
    assert ours.state(peering) == "failed"


def test_a_block_must_be_smaller_than_the_destinations_of_the_vpcs_routes(
    ours: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    table = ours.main_table(pair[0])
    ours.ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="10.64.0.0/16", VpcPeeringConnectionId=peering
    )
    with refused("InvalidVpc.Range"):
        _associate(ours, pair[0], "10.64.0.0/16")
    _associate(ours, pair[0], "10.64.128.0/17")


def test_a_block_brings_its_local_route_and_takes_it_away(ours: Side) -> None:
    vpc = ours.vpc("10.1.0.0/16")
    table = ours.main_table(vpc)
    association = _associate(ours, vpc, "10.11.0.0/16")
    assert set(ours.routes(table)) == {"10.1.0.0/16", "10.11.0.0/16"}
    ours.ec2.disassociate_vpc_cidr_block(AssociationId=association)
    assert set(ours.routes(table)) == {"10.1.0.0/16"}


def test_a_vpc_with_nothing_but_what_it_was_born_with_can_be_deleted(
    ours: Side, refused: RefusedType
) -> None:
    vpc = ours.vpc("10.1.0.0/16", "10.11.0.0/16", tags={"Name": "gone"})
    ours.ec2.delete_vpc(VpcId=vpc)
    with refused("InvalidVpcID.NotFound"):
        ours.ec2.describe_vpcs(VpcIds=[vpc])


def test_deleting_a_vpc_deletes_its_peerings_and_leaves_the_peers_routes_as_blackholes(
    ours: Side, theirs: Side, pair: Pair, peering: str
) -> None:
    table = theirs.main_table(pair[1])
    theirs.ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="10.1.0.0/16", VpcPeeringConnectionId=peering
    )
    ours.ec2.delete_vpc(VpcId=pair[0])
    assert theirs.state(peering) == "deleted"
    assert theirs.routes(table)["10.1.0.0/16"] == "blackhole"


def test_a_vpc_is_not_deleted_while_another_account_asks_to_peer_with_it(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    peering = ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]
    with refused("DependencyViolation") as why:
        theirs.ec2.delete_vpc(VpcId=pair[1])
    assert peering in why.message
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
