"""Rules for every call: pagination, dry runs, and reserved tags."""

import pytest
from botocore.config import Config

from sandbox.tests.ec2.sides import Refused, Side, client

RefusedType = type[Refused]


def test_pages_have_the_requested_size_and_contain_every_vpc(ours: Side) -> None:
    created = {ours.vpc(f"10.{number}.0.0/16", tags={"of": "pages"}) for number in range(12)}
    wanted = [{"Name": "tag:of", "Values": ["pages"]}]
    pages = list(
        ours.ec2.get_paginator("describe_vpcs").paginate(Filters=wanted, PaginationConfig={"PageSize": 5})
    )
    assert [len(page["Vpcs"]) for page in pages] == [5, 5, 2]
    assert {vpc["VpcId"] for page in pages for vpc in page["Vpcs"]} == created


@pytest.mark.parametrize(
    ("call", "size"),
    [
        ("describe_vpcs", 4),
        ("describe_vpcs", 1001),
        ("describe_route_tables", 101),
        ("describe_vpc_peering_connections", 1001),
    ],
)
def test_an_invalid_page_size_is_rejected(ours: Side, call: str, size: int, refused: RefusedType) -> None:
    unchecked = client("ec2", ours.account, config=Config(parameter_validation=False))
    with refused("InvalidParameterValue"):
        getattr(unchecked, call)(MaxResults=size)


def test_an_invalid_token_is_rejected(ours: Side, refused: RefusedType) -> None:
    with refused("InvalidNextToken"):
        ours.ec2.describe_vpcs(MaxResults=5, NextToken="invalid")


def test_a_dry_run_returns_its_error_and_changes_nothing(
    ours: Side, peering: str, refused: RefusedType
) -> None:
    before = len(ours.ec2.describe_vpcs()["Vpcs"])
    with refused("DryRunOperation"):
        ours.ec2.create_vpc(CidrBlock="10.9.0.0/16", DryRun=True)
    with refused("DryRunOperation"):
        ours.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering, DryRun=True)
    assert len(ours.ec2.describe_vpcs()["Vpcs"]) == before
    assert ours.state(peering) == "active"


def test_reserved_tag_keys_are_rejected_in_every_call_that_tags(ours: Side, refused: RefusedType) -> None:
    vpc = ours.vpc("10.1.0.0/16")
    with refused("InvalidParameterValue"):
        ours.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "aws:mine", "Value": "x"}])
    with refused("InvalidParameterValue"):
        ours.vpc("10.2.0.0/16", tags={"aws:mine": "x"})


def test_an_unknown_filter_of_peerings_is_rejected(ours: Side, refused: RefusedType) -> None:
    with refused("InvalidParameterValue") as error:
        ours.peerings(no_such="x")
    assert "no-such" in error.message


@pytest.mark.parametrize(
    ("name", "value", "matches"),
    [
        ("requester-vpc-info.cidr-block", "10.1.0.0/16", True),
        ("accepter-vpc-info.cidr-block", "10.1.0.0/16", False),
        ("status-code", "act*", True),
        ("status-code", "pending-acceptance", False),
    ],
)
def test_filters_of_peerings_limit_the_result(
    ours: Side, peering: str, name: str, value: str, matches: bool
) -> None:
    found = ours.ec2.describe_vpc_peering_connections(Filters=[{"Name": name, "Values": [value]}])
    assert [one["VpcPeeringConnectionId"] for one in found["VpcPeeringConnections"]] == [peering] * matches
