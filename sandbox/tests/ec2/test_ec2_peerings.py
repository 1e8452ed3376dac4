"""The lifecycle of a peering: permissions, states, and visibility."""

import pytest

from sandbox.settings import SETTINGS
from sandbox.tests.ec2.sides import Refused, Side

HOUR, DAY = 3600, 24 * 3600
Pair = tuple[str, str]
RefusedType = type[Refused]


def _request(ours: Side, theirs: Side, pair: Pair) -> str:
    return ours.request(pair[0], theirs, pair[1])["VpcPeeringConnectionId"]


def test_create_returns_initiating_request_and_both_sides_then_see_it_pending(
    ours: Side, theirs: Side, pair: Pair
) -> None:
    created = ours.request(pair[0], theirs, pair[1])
    assert created["Status"]["Code"] == "initiating-request"
    peering = created["VpcPeeringConnectionId"]
    assert ours.state(peering) == theirs.state(peering) == "pending-acceptance"
    (seen,) = theirs.peerings()
    assert "ExpirationTime" in seen
    assert "CidrBlock" not in seen["AccepterVpcInfo"]


def test_an_active_peering_has_every_cidr_block_of_both_vpcs(ours: Side, theirs: Side) -> None:
    a, b = ours.vpc("10.1.0.0/16", "10.11.0.0/16"), theirs.vpc("10.2.0.0/16", "10.12.0.0/16")
    peering = _request(ours, theirs, (a, b))
    theirs.accept(peering)
    (seen,) = ours.peerings(status_code="active")
    assert {block["CidrBlock"] for block in seen["RequesterVpcInfo"]["CidrBlockSet"]} == {
        "10.1.0.0/16",
        "10.11.0.0/16",
    }
    assert {block["CidrBlock"] for block in seen["AccepterVpcInfo"]["CidrBlockSet"]} == {
        "10.2.0.0/16",
        "10.12.0.0/16",
    }
    assert "ExpirationTime" not in seen


def test_a_third_region_of_the_requester_does_not_see_it(ours: Side, peering: str) -> None:
    assert Side(ours.account, "ap-south-1").state(peering) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["10.1.0.0/16"], ["10.1.0.0/16"]),
        (["10.1.0.0/16"], ["10.1.128.0/17"]),
        (["10.1.0.0/16", "10.9.0.0/16"], ["10.2.0.0/16", "10.9.1.0/24"]),
    ],
)
def test_an_overlap_of_any_two_cidr_blocks_fails_the_peering_after_the_create_call(
    ours: Side, theirs: Side, first: list[str], second: list[str]
) -> None:
    peering = _request(ours, theirs, (ours.vpc(*first), theirs.vpc(*second)))
    assert ours.state(peering) == "failed"
    assert theirs.state(peering) is None


def test_a_request_to_an_unknown_vpc_fails_later_elsewhere_and_immediately_in_the_same_account(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    peering = ours.request(pair[0], theirs, "vpc-00000000000000000")["VpcPeeringConnectionId"]
    assert ours.state(peering) == "failed"
    with refused("InvalidVpcID.NotFound"):
        ours.request(pair[0], ours, "vpc-00000000000000000")


def test_a_repeated_request_returns_the_existing_peering(ours: Side, theirs: Side, pair: Pair) -> None:
    peering = _request(ours, theirs, pair)
    assert _request(ours, theirs, pair) == peering
    theirs.accept(peering)
    again = ours.request(pair[0], theirs, pair[1])
    assert (again["VpcPeeringConnectionId"], again["Status"]["Code"]) == (peering, "active")


def test_a_reverse_request_is_a_second_peering_that_cannot_be_accepted(
    ours: Side, theirs: Side, pair: Pair, peering: str, refused: RefusedType
) -> None:
    reverse = theirs.request(pair[1], ours, pair[0])["VpcPeeringConnectionId"]
    assert reverse != peering
    with refused("VpcPeeringConnectionAlreadyExists"):
        ours.accept(reverse)


def test_only_the_accepter_can_accept_in_its_own_region(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    peering = _request(ours, theirs, pair)
    with refused("OperationNotPermitted") as wrong_account:
        ours.accept(peering)
    assert "cannot accept" in wrong_account.message
    elsewhere = Side(ours.account, "eu-west-1")
    own = _request(ours, elsewhere, (pair[0], elsewhere.vpc("10.3.0.0/16")))
    with refused("OperationNotPermitted") as wrong_region:
        ours.accept(own)
    assert "must be accepted in region eu-west-1" in wrong_region.message


def test_a_peering_cannot_be_accepted_or_deleted_twice(
    ours: Side, theirs: Side, peering: str, refused: RefusedType
) -> None:
    with refused("InvalidStateTransition"):
        theirs.accept(peering)
    ours.delete(peering)
    with refused("InvalidStateTransition"):
        ours.delete(peering)


def test_a_request_is_deleted_by_its_requester_and_rejected_by_its_accepter(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    peering = _request(ours, theirs, pair)
    with refused("OperationNotPermitted"):
        theirs.delete(peering)
    theirs.ec2.reject_vpc_peering_connection(VpcPeeringConnectionId=peering)
    assert ours.state(peering) == "rejected"
    withdrawn = _request(ours, theirs, pair)
    ours.delete(withdrawn)
    assert theirs.state(withdrawn) == "deleted"


def test_an_unknown_id_is_rejected_with_the_error_code_of_ec2(ours: Side, refused: RefusedType) -> None:
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        ours.ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=["pcx-00000000000000000"])


def test_each_owner_sets_the_options_of_its_own_side_of_an_active_peering(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    peering = _request(ours, theirs, pair)
    dns = {"AllowDnsResolutionFromRemoteVpc": True}
    with refused("OperationNotPermitted") as early:
        ours.ec2.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=peering, RequesterPeeringConnectionOptions=dns
        )
    assert "is not active" in early.message
    theirs.accept(peering)
    with refused("OperationNotPermitted"):
        ours.ec2.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=peering, AccepterPeeringConnectionOptions=dns
        )
    for side, vpc in zip((ours, theirs), pair, strict=True):
        with refused("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"):
            ours.ec2.modify_vpc_peering_connection_options(
                VpcPeeringConnectionId=peering, RequesterPeeringConnectionOptions=dns
            )
        side.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    ours.ec2.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=peering, RequesterPeeringConnectionOptions=dns
    )
    (seen,) = theirs.peerings()
    assert seen["RequesterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] is True
    assert seen["AccepterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] is False


def test_no_more_than_25_requests_can_be_pending(ours: Side, theirs: Side, refused: RefusedType) -> None:
    vpc = ours.vpc("10.0.0.0/16")
    peers = [theirs.vpc(f"10.{number}.0.0/16") for number in range(1, 27)]
    first = [_request(ours, theirs, (vpc, peer)) for peer in peers[:25]]
    with refused("OutstandingVpcPeeringConnectionLimitExceeded"):
        _request(ours, theirs, (vpc, peers[25]))
    theirs.accept(first[0])
    _request(ours, theirs, (vpc, peers[25]))


def test_a_vpc_has_no_more_active_peerings_than_its_quota(
    ours: Side, theirs: Side, refused: RefusedType
) -> None:
    SETTINGS.update({"quota_peerings": 2})
    vpc = ours.vpc("10.0.0.0/16")
    peerings = [_request(ours, theirs, (vpc, theirs.vpc(f"10.{number}.0.0/16"))) for number in (1, 2, 3)]
    theirs.accept(peerings[0])
    theirs.accept(peerings[1])
    with refused("ActiveVpcPeeringConnectionPerVpcLimitExceeded"):
        theirs.accept(peerings[2])


def test_a_request_expires_after_a_week_and_is_visible_for_two_more_days(
    ours: Side, theirs: Side, pair: Pair, refused: RefusedType
) -> None:
    peering = _request(ours, theirs, pair)
    SETTINGS.advance(7 * DAY - HOUR)
    assert ours.state(peering) == "pending-acceptance"
    SETTINGS.advance(2 * HOUR)
    assert ours.state(peering) == theirs.state(peering) == "expired"
    with refused("InvalidStateTransition"):
        theirs.accept(peering)
    assert _request(ours, theirs, pair) != peering
    SETTINGS.advance(2 * DAY)
    assert ours.state(peering) is theirs.state(peering) is None


def test_an_accepted_peering_does_not_expire(ours: Side, peering: str) -> None:
    SETTINGS.advance(30 * DAY)
    assert ours.state(peering) == "active"


def test_a_failed_peering_is_visible_for_two_hours(ours: Side, theirs: Side) -> None:
    peering = _request(ours, theirs, (ours.vpc("10.1.0.0/16"), theirs.vpc("10.1.0.0/16")))
    SETTINGS.advance(2 * HOUR - 60)
    assert ours.state(peering) == "failed"
    SETTINGS.advance(120)
    assert ours.state(peering) is None


def test_a_deleted_peering_is_visible_to_the_deleter_for_two_hours_and_to_the_other_for_two_days(
    ours: Side, theirs: Side, peering: str
) -> None:
    theirs.delete(peering)
    SETTINGS.advance(3 * HOUR)
    assert (ours.state(peering), theirs.state(peering)) == ("deleted", None)
    SETTINGS.advance(2 * DAY)
    assert ours.state(peering) is None


def test_a_rejected_peering_is_visible_to_the_requester_for_two_days_and_to_the_accepter_for_two_hours(
    ours: Side, theirs: Side, pair: Pair
) -> None:
    peering = _request(ours, theirs, pair)
    theirs.ec2.reject_vpc_peering_connection(VpcPeeringConnectionId=peering)
    SETTINGS.advance(3 * HOUR)
    assert (ours.state(peering), theirs.state(peering)) == ("rejected", None)


def test_within_one_account_a_deleted_peering_is_visible_to_both_sides_for_two_hours(ours: Side) -> None:
    elsewhere = Side(ours.account, "eu-west-1")
    peering = _request(ours, elsewhere, (ours.vpc("10.1.0.0/16"), elsewhere.vpc("10.2.0.0/16")))
    elsewhere.accept(peering)
    ours.delete(peering)
    assert elsewhere.state(peering) == "deleted"
    SETTINGS.advance(3 * HOUR)
    assert ours.state(peering) is elsewhere.state(peering) is None


def test_each_side_has_its_own_tags(ours: Side, theirs: Side, pair: Pair) -> None:
    peering = ours.request(pair[0], theirs, pair[1], tags={"Name": "requester"})["VpcPeeringConnectionId"]
    assert (ours.tags(peering), theirs.tags(peering)) == ({"Name": "requester"}, {})
    theirs.ec2.create_tags(Resources=[peering], Tags=[{"Key": "Name", "Value": "accepter"}])
    assert (ours.tags(peering), theirs.tags(peering)) == ({"Name": "requester"}, {"Name": "accepter"})
    ours.ec2.delete_tags(Resources=[peering], Tags=[{"Key": "Name"}])
    assert (ours.tags(peering), theirs.tags(peering)) == ({}, {"Name": "accepter"})
    found = theirs.ec2.describe_vpc_peering_connections(
        Filters=[{"Name": "tag:Name", "Values": ["accepter"]}]
    )
    assert len(found["VpcPeeringConnections"]) == 1


def test_two_regions_of_one_account_have_their_own_tags(ours: Side) -> None:
    elsewhere = Side(ours.account, "eu-west-1")
    a, b = ours.vpc("10.1.0.0/16"), elsewhere.vpc("10.2.0.0/16")
    peering = ours.request(a, elsewhere, b, tags={"Name": "requester"})["VpcPeeringConnectionId"]
    assert elsewhere.tags(peering) == {}


def test_within_one_account_and_region_both_sides_share_one_set_of_tags(ours: Side) -> None:
    a, b = ours.vpc("10.1.0.0/16"), ours.vpc("10.2.0.0/16")
    peering = ours.request(a, ours, b, tags={"side": "requester"})["VpcPeeringConnectionId"]
    ours.ec2.create_tags(Resources=[peering], Tags=[{"Key": "side", "Value": "accepter"}])
    assert ours.tags(peering) == {"side": "accepter"}
    assert len(ours.peerings()) == 1
