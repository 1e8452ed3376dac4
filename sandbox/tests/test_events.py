"""CloudTrail records and tag changes: their formats, and when there are none."""

import json
import threading
from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox import cloudtrail
from sandbox.ec2.identity import Principal
from sandbox.events import EventEmitter, TagHistory, tagged_resources
from sandbox.wire import AwsRequest, Response, parse_request

ACCOUNT, REGION = "222222222222", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sandbox-admin"
SESSION = Principal(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/sandbox-admin/someone", ROLE)
USER = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/someone", None)


def ec2_request(action: str, **parameters: str) -> AwsRequest:
    headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Authorization", f"AWS4-HMAC-SHA256 Credential=ASIAKEY/20260101/{REGION}/ec2/aws4_request, x"),
    ]
    form = {"Action": action, "Version": "2016-11-15"} | {
        k.replace("_", "."): v for k, v in parameters.items()
    }
    return parse_request("POST", "/", headers, urlencode(form).encode())


def xml(action: str, inner: str) -> Response:
    body = f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{inner}</{action}Response>'
    return Response(200, [], body.encode())


def detail_of(
    request: AwsRequest, inner: str = "<return>true</return>", principal: Principal = SESSION
) -> dict[str, Any]:
    return cloudtrail.record(request, xml(request.action, inner), principal, None)


TAGS = {"TagSpecification_1_ResourceType": "vpc", "TagSpecification_1_Tag_1_Key": "peerd:env"} | {
    "TagSpecification_1_Tag_1_Value": "prod"
}


def test_create_vpc_is_recorded_with_typed_elements_and_empty_sets() -> None:
    inner = """<requestId>r-1</requestId><vpc><vpcId>vpc-1</vpcId><ownerId>222222222222</ownerId>
      <isDefault>false</isDefault><cidrBlockAssociationSet><item><cidrBlock>10.0.0.0/16</cidrBlock>
      <cidrBlockState><state>associated</state></cidrBlockState></item></cidrBlockAssociationSet>
      <ipv6CidrBlockAssociationSet/><tagSet/></vpc>"""
    detail = detail_of(ec2_request("CreateVpc", CidrBlock="10.0.0.0/16", **TAGS), inner)
    assert detail["requestParameters"] == {
        "cidrBlock": "10.0.0.0/16",
        "tagSpecificationSet": {
            "items": [{"resourceType": "vpc", "tags": [{"key": "peerd:env", "value": "prod"}]}]
        },
    }
    assert detail["responseElements"] == {
        "requestId": "r-1",
        "vpc": {
            "vpcId": "vpc-1",
            "ownerId": "222222222222",
            "isDefault": False,
            "cidrBlockAssociationSet": {
                "items": [{"cidrBlock": "10.0.0.0/16", "cidrBlockState": {"state": "associated"}}]
            },
            "ipv6CidrBlockAssociationSet": {},
            "tagSet": {},
        },
    }


def test_create_tags_and_delete_tags_name_their_resources_and_tags() -> None:
    request = ec2_request(
        "CreateTags", ResourceId_1="vpc-1", ResourceId_2="vpc-2", Tag_1_Key="a", Tag_1_Value="b"
    )
    assert detail_of(request)["requestParameters"] == {
        "resourcesSet": {"items": [{"resourceId": "vpc-1"}, {"resourceId": "vpc-2"}]},
        "tagSet": {"items": [{"key": "a", "value": "b"}]},
    }
    assert detail_of(request)["responseElements"] == {"_return": True}
    request = ec2_request("DeleteTags", ResourceId_1="vpc-1", Tag_1_Key="a")
    assert detail_of(request)["requestParameters"] == {
        "resourcesSet": {"items": [{"resourceId": "vpc-1"}]},
        "tagSet": {"items": [{"key": "a"}]},
    }


def test_list_items_keep_their_numbers_order_beyond_nine() -> None:
    tags = {f"Tag_{n}_Key": f"k{n}" for n in range(1, 12)}
    detail = detail_of(ec2_request("DeleteTags", ResourceId_1="vpc-1", **tags))
    keys = [tag["key"] for tag in detail["requestParameters"]["tagSet"]["items"]]
    assert keys == [f"k{n}" for n in range(1, 12)]


def test_cidr_associations_are_recorded_in_the_wrapped_format() -> None:
    request = ec2_request("AssociateVpcCidrBlock", VpcId="vpc-1", CidrBlock="10.1.0.0/16")
    detail = detail_of(request, "<vpcId>vpc-1</vpcId>")
    assert detail["requestParameters"] == {
        "AssociateVpcCidrBlockRequest": {"VpcId": "vpc-1", "CidrBlock": "10.1.0.0/16"}
    }
    assert detail["responseElements"]["AssociateVpcCidrBlockResponse"]["vpcId"] == "vpc-1"
    request = ec2_request("DisassociateVpcCidrBlock", AssociationId="vpc-cidr-assoc-1")
    detail = detail_of(request, "<vpcId>vpc-1</vpcId>")
    assert detail["requestParameters"] == {
        "DisassociateVpcCidrBlockRequest": {"AssociationId": "vpc-cidr-assoc-1"}
    }
    assert detail["responseElements"]["DisassociateVpcCidrBlockResponse"]["vpcId"] == "vpc-1"


def test_security_group_permissions_are_recorded_with_numbers_and_nested_items() -> None:
    permission = {
        "IpPermissions_1_IpProtocol": "tcp",
        "IpPermissions_1_FromPort": "443",
        "IpPermissions_1_IpRanges_1_CidrIp": "10.0.0.0/8",
    }
    detail = detail_of(ec2_request("AuthorizeSecurityGroupIngress", GroupId="sg-1", **permission))
    assert detail["requestParameters"] == {
        "groupId": "sg-1",
        "ipPermissions": {
            "items": [
                {"ipProtocol": "tcp", "fromPort": 443, "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}
            ]
        },
    }


def test_rules_that_are_revoked_by_id_are_recorded_as_items_with_their_group() -> None:
    ids = {"SecurityGroupRuleId_1": "sgr-1", "SecurityGroupRuleId_2": "sgr-2"}
    revoked = "<revokedSecurityGroupRuleSet><item><securityGroupRuleId>sgr-1</securityGroupRuleId></item>"
    inner = f"<return>true</return>{revoked}</revokedSecurityGroupRuleSet>"
    detail = detail_of(ec2_request("RevokeSecurityGroupIngress", GroupId="sg-1", **ids), inner)
    assert detail["requestParameters"] == {
        "groupId": "sg-1",
        "securityGroupRuleIds": {
            "items": [{"securityGroupRuleId": "sgr-1"}, {"securityGroupRuleId": "sgr-2"}]
        },
    }
    assert detail["responseElements"] == {
        "_return": True,
        "revokedSecurityGroupRuleSet": {"items": [{"securityGroupRuleId": "sgr-1"}]},
    }


def test_modified_rules_are_recorded_in_the_wrapped_format_with_their_numbers() -> None:
    def change(number: int) -> dict[str, str]:
        prefix = f"SecurityGroupRule_{number}_SecurityGroupRule"
        return {
            f"{prefix}Id": f"sgr-{number}",
            f"{prefix}_IpProtocol": "tcp",
            f"{prefix}_FromPort": "22",
            f"{prefix}_CidrIpv4": "10.0.0.0/8",
        }

    def recorded(*numbers: int) -> Any:
        changes = {key: value for number in numbers for key, value in change(number).items()}
        detail = detail_of(ec2_request("ModifySecurityGroupRules", GroupId="sg-1", **changes))
        (wrapped,) = detail["requestParameters"].values()
        assert list(detail["requestParameters"]) == ["ModifySecurityGroupRulesRequest"]
        assert wrapped["GroupId"] == "sg-1"
        return wrapped["SecurityGroupRule"]

    rule = {"IpProtocol": "tcp", "FromPort": 22, "CidrIpv4": "10.0.0.0/8"}
    assert recorded(1) == {"SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": rule, "tag": 1}
    assert [(it["SecurityGroupRuleId"], it["tag"]) for it in recorded(1, 2)] == [("sgr-1", 1), ("sgr-2", 2)]


def test_a_failed_call_is_recorded_with_its_code_and_null_elements() -> None:
    request = ec2_request("DeleteVpc", VpcId="vpc-1")
    error = b"<Error><Code>DependencyViolation</Code><Message>in use</Message></Error>"
    body = b"<Response><Errors>" + error + b"</Errors></Response>"
    detail = cloudtrail.record(request, Response(400, [], body), SESSION, cloudtrail.failure(body))
    assert detail["errorCode"] == "Client.DependencyViolation"
    assert detail["errorMessage"] == "in use"
    assert detail["responseElements"] is None
    assert detail["requestParameters"] == {"vpcId": "vpc-1"}


def test_a_successful_call_has_no_error_code() -> None:
    assert "errorCode" not in detail_of(ec2_request("DeleteVpc", VpcId="vpc-1"))


def test_an_assumed_role_is_recorded_with_its_session_issuer_and_a_user_without() -> None:
    request = ec2_request("DeleteVpc", VpcId="vpc-1")
    identity = detail_of(request)["userIdentity"]
    assert (identity["type"], identity["arn"]) == ("AssumedRole", SESSION.arn)
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == ROLE
    identity = detail_of(request, principal=USER)["userIdentity"]
    assert identity["type"] == "IAMUser"
    assert "sessionContext" not in identity


def test_the_record_contains_the_region_and_the_account() -> None:
    detail = detail_of(ec2_request("DeleteVpc", VpcId="vpc-1"))
    assert detail["awsRegion"] == REGION
    assert detail["recipientAccountId"] == ACCOUNT
    assert detail["eventSource"] == "ec2.amazonaws.com"
    assert detail["readOnly"] is False


@pytest.mark.parametrize(
    ("action", "write"),
    [
        ("DescribeVpcs", False),
        ("GetSubnetCidrReservations", False),
        ("CreateVpc", True),
        ("DeleteRoute", True),
    ],
)
def test_only_writes_are_recorded(action: str, write: bool) -> None:
    assert cloudtrail.is_write(action) is write


# ---------------------------------------------------------------- tag changes


class Tags:
    """The current tags of resources."""

    def __init__(self) -> None:
        self.current: dict[str, dict[str, str]] = {}
        self.history = TagHistory(lambda account, region, resource: dict(self.current.get(resource, {})))

    def change(self, resource: str) -> dict[str, Any] | None:
        event = self.history.change(ACCOUNT, REGION, resource)
        return event.detail if event else None


def test_a_tag_change_contains_the_changed_keys_and_all_current_tags() -> None:
    tags = Tags()
    tags.current["vpc-1"] = {"peerd:env": "prod", "Name": "x"}
    assert tags.change("vpc-1") == {
        "changed-tag-keys": ["Name", "peerd:env"],
        "service": "ec2",
        "resource-type": "vpc",
        "version": 1,
        "tags": {"peerd:env": "prod", "Name": "x"},
    }
    tags.current["vpc-1"] = {"Name": "y"}
    detail = tags.change("vpc-1")
    assert detail is not None
    assert (detail["changed-tag-keys"], detail["tags"]) == (["Name", "peerd:env"], {"Name": "y"})


def test_versions_increase_per_resource() -> None:
    tags = Tags()
    versions = []
    for resource in ("vpc-1", "vpc-1", "vpc-2", "vpc-1"):
        tags.current.setdefault(resource, {})[f"k{len(versions)}"] = "v"
        detail = tags.change(resource)
        versions.append(detail["version"] if detail else None)
    assert versions == [1, 2, 1, 3]


def test_setting_an_existing_tag_emits_no_event() -> None:
    tags = Tags()
    tags.current["vpc-1"] = {"a": "b"}
    assert tags.change("vpc-1") is not None
    assert tags.change("vpc-1") is None


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("rtb-1", "route-table"),
        ("sg-1", "security-group"),
        ("sgr-1", "security-group-rule"),
        ("pcx-1", "vpc-peering-connection"),
        ("eni-1", None),
    ],
)
def test_the_resource_type_follows_from_the_id_and_other_types_emit_no_event(
    resource: str, kind: str | None
) -> None:
    tags = Tags()
    tags.current[resource] = {"a": "b"}
    detail = tags.change(resource)
    assert (detail["resource-type"] if detail else None) == kind


def test_a_resource_created_with_tags_is_found_in_the_response() -> None:
    made = detail_of(
        ec2_request("CreateVpc", CidrBlock="10.0.0.0/16", **TAGS), "<vpc><vpcId>vpc-9</vpcId></vpc>"
    )
    assert tagged_resources(made) == ["vpc-9"]
    plain = detail_of(ec2_request("CreateVpc", CidrBlock="10.0.0.0/16"), "<vpc><vpcId>vpc-9</vpcId></vpc>")
    assert tagged_resources(plain) == []


def test_a_group_and_rules_created_with_tags_are_found_in_the_response() -> None:
    made = detail_of(ec2_request("CreateSecurityGroup", GroupName="g", **TAGS), "<groupId>sg-9</groupId>")
    assert tagged_resources(made) == ["sg-9"]
    rules = "".join(
        f"<item><groupId>sg-9</groupId><securityGroupRuleId>{rule}</securityGroupRuleId></item>"
        for rule in ("sgr-8", "sgr-9")
    )
    inner = f"<return>true</return><securityGroupRuleSet>{rules}</securityGroupRuleSet>"
    made = detail_of(ec2_request("AuthorizeSecurityGroupIngress", GroupId="sg-9", **TAGS), inner)
    assert tagged_resources(made) == ["sgr-8", "sgr-9"]
    plain = detail_of(ec2_request("AuthorizeSecurityGroupIngress", GroupId="sg-9"), inner)
    assert tagged_resources(plain) == []


# ---------------------------------------------------------------- delivery


class Bus:
    """A stub for the proxy to ministack: records the entries, or fails on request."""

    def __init__(self) -> None:
        self.put: list[tuple[str, dict[str, Any]]] = []
        self.arrived = threading.Semaphore(0)
        self.failing = False
        self.is_logged = True

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        if self.failing:
            self.failing = False
            self.arrived.release()
            raise ConnectionRefusedError("gone")
        self.put.append((headers["Authorization"], json.loads(body)))
        self.arrived.release()
        return Response(200, [], b'{"FailedEntryCount": 0}')

    def wait(self, count: int) -> list[str]:
        for _ in range(count):
            assert self.arrived.acquire(timeout=120), "an event did not arrive"
        return [json.loads(body["Entries"][0]["Detail"]).get("eventName", "tags") for _, body in self.put]


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def emitter(bus: Bus) -> Any:
    made = EventEmitter(
        bus, "secret", lambda *_: {"peerd:env": "prod"}, lambda account, region, record: bus.is_logged
    )
    yield made
    made.stop()


def observe(
    emitter: EventEmitter, action: str, inner: str = "<return>true</return>", **parameters: str
) -> None:
    emitter.observe(ec2_request(action, **parameters), xml(action, inner), SESSION)


def test_events_arrive_in_order_on_the_bus_of_the_caller_with_the_secret_of_the_emitter(
    bus: Bus, emitter: EventEmitter
) -> None:
    observe(emitter, "CreateTags", ResourceId_1="vpc-1", Tag_1_Key="peerd:env", Tag_1_Value="prod")
    observe(emitter, "DescribeVpcs")
    observe(emitter, "DeleteVpc", VpcId="vpc-1")
    assert bus.wait(3) == ["CreateTags", "tags", "DeleteVpc"]
    authorization, body = bus.put[1]
    assert f"Credential={ACCOUNT}/20260101/{REGION}/events/" in authorization
    assert body["SandboxEmitter"] == "secret"
    assert body["Entries"][0]["Source"] == "aws.tag"
    assert body["Entries"][0]["Resources"] == [f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1"]


def test_a_call_that_no_trail_logs_emits_no_call_event_and_its_tag_change_does(
    bus: Bus, emitter: EventEmitter
) -> None:
    bus.is_logged = False
    observe(emitter, "CreateTags", ResourceId_1="vpc-1", Tag_1_Key="peerd:env", Tag_1_Value="prod")
    bus.is_logged = True
    observe(emitter, "DeleteVpc", VpcId="vpc-1")
    assert bus.wait(2) == ["tags", "DeleteVpc"]


def test_dropped_events_never_arrive_and_later_ones_do(bus: Bus, emitter: EventEmitter) -> None:
    emitter.drop(True)
    observe(emitter, "DeleteVpc", VpcId="vpc-1")
    emitter.drop(False)
    observe(emitter, "DeleteRoute", RouteTableId="rtb-1")
    assert bus.wait(1) == ["DeleteRoute"]


def test_an_undeliverable_event_is_reported_and_the_next_one_arrives(
    bus: Bus, emitter: EventEmitter, capsys: pytest.CaptureFixture[str]
) -> None:
    bus.failing = True
    observe(emitter, "DeleteVpc", VpcId="vpc-1")
    observe(emitter, "DeleteRoute", RouteTableId="rtb-1")
    assert bus.wait(2) == ["DeleteRoute"]
    assert "is lost: ConnectionRefusedError" in capsys.readouterr().err
