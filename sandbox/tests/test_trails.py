"""Trails: which exist, where they are visible, what they log; and dry runs, which check permissions."""

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import ec2
from sandbox.ec2 import trails
from sandbox.tests.ec2.sides import Side, client

HOME, AWAY = "us-east-1", "eu-west-1"
_ACCOUNTS = itertools.count(710_000_000_000)
RECORD = {"eventCategory": "Management", "eventSource": "ec2.amazonaws.com", "readOnly": False}


class Trails:
    """CloudTrail of one account, in its home Region and in another Region."""

    def __init__(self) -> None:
        self.account = str(next(_ACCOUNTS))
        self.home, self.away = (client("cloudtrail", self.account, region) for region in (HOME, AWAY))

    @property
    def first(self) -> str:
        return f"arn:aws:cloudtrail:{HOME}:{self.account}:trail/{trails.FIRST_TRAIL}"

    def logs(self, region: str = HOME, **record: Any) -> bool:
        return trails.is_logged(self.account, region, RECORD | record)

    def set_selectors(self, **selectors: Any) -> None:
        self.home.put_event_selectors(TrailName=trails.FIRST_TRAIL, **selectors)


@pytest.fixture
def account() -> Trails:
    ec2.install()
    return Trails()


def error_code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error.value.response["Error"]["Code"]


def names(response: dict[str, Any]) -> list[str]:
    return [trail["Name"] for trail in response["trailList"]]


# ---------------------------------------------------------------- the trails of an account


def test_every_account_starts_with_a_trail_that_logs_everywhere(account: Trails) -> None:
    (trail,) = account.away.describe_trails()["trailList"]
    assert (trail["TrailARN"], trail["HomeRegion"]) == (account.first, HOME)
    assert (trail["IsMultiRegionTrail"], trail["HasCustomEventSelectors"]) == (True, False)
    assert account.away.get_trail_status(Name=account.first)["IsLogging"] is True
    response = account.away.get_event_selectors(TrailName=account.first)
    assert "AdvancedEventSelectors" not in response
    (selector,) = response["EventSelectors"]
    assert (selector["ReadWriteType"], selector["IncludeManagementEvents"]) == ("All", True)
    assert account.logs(HOME)
    assert account.logs(AWAY)


def test_a_shadow_trail_is_omitted_on_request_and_found_by_its_arn_only(account: Trails) -> None:
    assert names(account.home.describe_trails(includeShadowTrails=False)) == [trails.FIRST_TRAIL]
    assert names(account.away.describe_trails(includeShadowTrails=False)) == []
    assert names(account.away.describe_trails(trailNameList=[trails.FIRST_TRAIL])) == []
    assert names(account.away.describe_trails(trailNameList=[account.first])) == [trails.FIRST_TRAIL]
    assert names(account.home.describe_trails(trailNameList=["other", trails.FIRST_TRAIL])) == [
        trails.FIRST_TRAIL
    ]
    assert error_code(account.away.get_trail_status, Name=trails.FIRST_TRAIL) == "TrailNotFoundException"
    assert (
        error_code(account.away.get_event_selectors, TrailName=trails.FIRST_TRAIL) == "TrailNotFoundException"
    )


def test_a_trail_is_changed_in_its_home_region_only(account: Trails) -> None:
    for call in (account.away.stop_logging, account.away.start_logging, account.away.delete_trail):
        assert error_code(call, Name=account.first) == "InvalidHomeRegionException"
        assert error_code(call, Name=trails.FIRST_TRAIL) == "TrailNotFoundException"
    assert account.logs(AWAY)


def test_a_stopped_or_deleted_trail_logs_nothing_and_other_accounts_are_unaffected(account: Trails) -> None:
    account.home.stop_logging(Name=trails.FIRST_TRAIL)
    assert account.away.get_trail_status(Name=account.first)["IsLogging"] is False
    assert not account.logs(AWAY)
    account.home.start_logging(Name=account.first)
    assert account.logs(AWAY)
    account.home.delete_trail(Name=account.first)
    assert account.away.describe_trails()["trailList"] == []
    assert not account.logs(HOME)
    assert error_code(account.home.delete_trail, Name=trails.FIRST_TRAIL) == "TrailNotFoundException"
    assert Trails().logs(AWAY)


def test_a_new_trail_logs_after_its_start_and_in_its_own_region_only(account: Trails) -> None:
    account.home.delete_trail(Name=trails.FIRST_TRAIL)
    account.away.create_trail(Name="mine", S3BucketName="anything")
    assert (
        error_code(account.away.create_trail, Name="mine", S3BucketName="b") == "TrailAlreadyExistsException"
    )
    assert not account.logs(AWAY)
    account.away.start_logging(Name="mine")
    assert (account.logs(AWAY), account.logs(HOME)) == (True, False)
    assert names(account.home.describe_trails()) == []


# ---------------------------------------------------------------- event selectors


@pytest.mark.parametrize(
    ("selector", "logs"),
    [
        ({"ReadWriteType": "WriteOnly"}, True),
        ({"ReadWriteType": "ReadOnly"}, False),
        ({"IncludeManagementEvents": False}, False),
    ],
)
def test_event_selectors_select_what_is_logged(account: Trails, selector: dict[str, Any], logs: bool) -> None:
    account.set_selectors(EventSelectors=[selector])
    (kept,) = account.home.get_event_selectors(TrailName=trails.FIRST_TRAIL)["EventSelectors"]
    assert {"ReadWriteType", "IncludeManagementEvents", "DataResources"} <= kept.keys()
    assert account.home.describe_trails()["trailList"][0]["HasCustomEventSelectors"] is True
    assert account.logs(AWAY) is logs


@pytest.mark.parametrize(
    ("fields", "logs"),
    [
        ({"eventCategory": {"Equals": ["Management"]}}, True),
        ({"eventCategory": {"Equals": ["Data"]}}, False),
        ({"eventCategory": {"Equals": ["Management"]}, "readOnly": {"Equals": ["false"]}}, True),
        ({"eventCategory": {"Equals": ["Management"]}, "readOnly": {"Equals": ["true"]}}, False),
        ({"eventSource": {"NotEquals": ["kms.amazonaws.com"]}}, True),
        ({"eventSource": {"NotStartsWith": ["kms.", "ec2."]}}, False),
    ],
)
def test_advanced_selectors_select_by_every_field(
    account: Trails, fields: dict[str, Any], logs: bool
) -> None:
    selectors = [{"Field": name} | condition for name, condition in fields.items()]
    account.set_selectors(AdvancedEventSelectors=[{"FieldSelectors": selectors}])
    response = account.home.get_event_selectors(TrailName=trails.FIRST_TRAIL)
    assert "EventSelectors" not in response
    assert len(response["AdvancedEventSelectors"]) == 1
    assert account.logs(AWAY) is logs


def test_selectors_of_one_kind_replace_those_of_the_other(account: Trails) -> None:
    data = [{"Field": "eventCategory", "Equals": ["Data"]}]
    account.set_selectors(AdvancedEventSelectors=[{"FieldSelectors": data}])
    assert not account.logs()
    account.set_selectors(EventSelectors=[{"ReadWriteType": "All"}])
    assert account.logs()
    assert error_code(account.set_selectors) == "InvalidEventSelectorsException"


# ---------------------------------------------------------------- dry runs

PEERING, ROUTE = "pcx-11111111", {"RouteTableId": "rtb-11111111", "DestinationCidrBlock": "10.0.0.0/8"}
PERMISSION = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("describe_vpcs", {}),
        ("describe_vpc_attribute", {"VpcId": "vpc-11111111", "Attribute": "enableDnsSupport"}),
        ("describe_vpc_peering_connections", {}),
        ("describe_route_tables", {}),
        ("describe_security_groups", {}),
        ("describe_security_group_rules", {}),
        ("describe_regions", {}),
        ("get_managed_prefix_list_entries", {"PrefixListId": "pl-11111111"}),
        ("create_vpc_peering_connection", {"VpcId": "vpc-11111111", "PeerVpcId": "vpc-22222222"}),
        ("accept_vpc_peering_connection", {"VpcPeeringConnectionId": PEERING}),
        ("modify_vpc_peering_connection_options", {"VpcPeeringConnectionId": PEERING}),
        ("delete_vpc_peering_connection", {"VpcPeeringConnectionId": PEERING}),
        ("create_route", ROUTE | {"VpcPeeringConnectionId": PEERING}),
        ("replace_route", ROUTE | {"VpcPeeringConnectionId": PEERING}),
        ("delete_route", ROUTE),
        ("create_tags", {"Resources": ["vpc-11111111"], "Tags": [{"Key": "a", "Value": "b"}]}),
        ("delete_tags", {"Resources": ["vpc-11111111"], "Tags": [{"Key": "a"}]}),
        ("authorize_security_group_ingress", {"GroupId": "sg-11111111", "IpPermissions": [PERMISSION]}),
        ("revoke_security_group_ingress", {"GroupId": "sg-11111111", "IpPermissions": [PERMISSION]}),
    ],
)
def test_every_call_of_the_spoke_role_has_a_dry_run(call: str, parameters: dict[str, Any]) -> None:
    ec2.install()
    side = Side("719999999999", AWAY)
    with pytest.raises(ClientError) as error:
        getattr(side.ec2, call)(DryRun=True, **parameters)
    assert error.value.response["Error"]["Code"] == "DryRunOperation"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


def test_a_dry_run_changes_nothing() -> None:
    ec2.install()
    side = Side("719999999998", AWAY)
    vpc, peer, other_peer = (side.vpc(f"10.{number}.0.0/16", tags={"kept": "yes"}) for number in (1, 2, 3))
    for each in (vpc, peer):
        side.ec2.modify_vpc_attribute(VpcId=each, EnableDnsHostnames={"Value": True})
    table = side.main_table(vpc)
    active, pending = (
        side.request(vpc, side, other)["VpcPeeringConnectionId"] for other in (peer, other_peer)
    )
    side.accept(active)
    groups = side.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    ingress = {"GroupId": groups["SecurityGroups"][0]["GroupId"], "IpPermissions": [PERMISSION]}
    side.ec2.authorize_security_group_ingress(**ingress)
    route = {"RouteTableId": table, "DestinationCidrBlock": "10.2.0.0/16"}
    side.ec2.create_route(**route, VpcPeeringConnectionId=active)
    other_route = route | {"DestinationCidrBlock": "10.3.0.0/16", "VpcPeeringConnectionId": active}
    other_ingress = ingress | {"IpPermissions": [PERMISSION | {"ToPort": 3}]}
    options = {"AllowDnsResolutionFromRemoteVpc": True}

    def snapshot() -> tuple[Any, ...]:
        return (
            side.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"],
            side.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"],
            side.ec2.describe_security_group_rules()["SecurityGroupRules"],
            side.peerings(),
        )

    before = snapshot()
    calls = [
        (side.ec2.create_vpc_peering_connection, {"VpcId": peer, "PeerVpcId": other_peer}),
        (side.ec2.accept_vpc_peering_connection, {"VpcPeeringConnectionId": pending}),
        (
            side.ec2.modify_vpc_peering_connection_options,
            {"VpcPeeringConnectionId": active, "RequesterPeeringConnectionOptions": options},
        ),
        (side.ec2.delete_vpc_peering_connection, {"VpcPeeringConnectionId": active}),
        (side.ec2.create_route, other_route),
        (side.ec2.replace_route, route | {"GatewayId": "local"}),
        (side.ec2.delete_route, route),
        (side.ec2.create_tags, {"Resources": [vpc], "Tags": [{"Key": "a", "Value": "b"}]}),
        (side.ec2.delete_tags, {"Resources": [vpc], "Tags": [{"Key": "kept"}]}),
        (side.ec2.authorize_security_group_ingress, other_ingress),
        (side.ec2.revoke_security_group_ingress, ingress),
    ]
    for call, parameters in calls:
        with pytest.raises(ClientError, match="DryRunOperation"):
            call(DryRun=True, **parameters)
    assert snapshot() == before
