"""What EC2's calls need: the resources and condition keys that AWS evaluates."""

from typing import Any
from urllib.parse import urlencode

import pytest

from sandbox.ec2.identity import principal
from sandbox.iam import ec2_checks
from sandbox.tests.ec2.sides import Side, specification
from sandbox.wire import parse_request

MARK = {"peerd:managed-by": "peerd"}
MARKING = {
    "TagSpecification.1.ResourceType": "vpc-peering-connection",
    "TagSpecification.1.Tag.1.Key": "peerd:managed-by",
    "TagSpecification.1.Tag.1.Value": "peerd",
}


def needed(side: Side, action: str, **parameters: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns the action, the resource type and id, and the keys of each check of a request."""
    scope = f"{side.account}/20260101/{side.region}/ec2/aws4_request"
    headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
    ]
    body = urlencode({"Action": action, **parameters}).encode()
    request = parse_request("POST", "/", headers, body)
    checks = ec2_checks.checks(request, principal(side.account))
    for check in checks:
        if check.resource != "*":
            assert check.resource.startswith(f"arn:aws:ec2:{side.region}:{side.account}:")
    return [(it.action.removeprefix("ec2:"), it.resource.rpartition(":")[2], dict(it.keys)) for it in checks]


def arn(side: Side, vpc: str) -> str:
    return f"arn:aws:ec2:{side.region}:{side.account}:vpc/{vpc}"


def test_a_read_needs_the_action_on_any_resource(ours: Side) -> None:
    assert needed(ours, "DescribeVpcs") == [("DescribeVpcs", "*", {"ec2:Region": "us-east-1"})]
    assert needed(ours, "LaunchMissiles") == [("LaunchMissiles", "*", {})]


def test_a_request_for_a_peering_needs_the_requesters_vpc_the_peering_and_its_tags(
    ours: Side, theirs: Side
) -> None:
    vpc = ours.vpc("10.1.0.0/16", tags={"peerd:env": "prod"})
    peer = theirs.vpc("10.2.0.0/16")
    to_peer = {"PeerVpcId": peer, "PeerOwnerId": theirs.account, "PeerRegion": theirs.region}

    of_vpc, of_peering, of_tags = needed(ours, "CreateVpcPeeringConnection", VpcId=vpc, **to_peer, **MARKING)

    assert of_vpc[:2] == ("CreateVpcPeeringConnection", f"vpc/{vpc}")
    assert of_vpc[2]["aws:ResourceTag/peerd:env"] == "prod"
    assert of_peering == (
        "CreateVpcPeeringConnection",
        "vpc-peering-connection/*",
        {
            "ec2:Region": "us-east-1",
            "ec2:RequesterVpc": arn(ours, vpc),
            "ec2:AccepterVpc": arn(theirs, peer),
            "aws:TagKeys": ["peerd:managed-by"],
            "aws:RequestTag/peerd:managed-by": "peerd",
        },
    )
    assert of_tags == (
        "CreateTags",
        "vpc-peering-connection/*",
        {
            "ec2:Region": "us-east-1",
            "ec2:CreateAction": "CreateVpcPeeringConnection",
            "aws:TagKeys": ["peerd:managed-by"],
            "aws:RequestTag/peerd:managed-by": "peerd",
        },
    )
    assert len(needed(ours, "CreateVpcPeeringConnection", VpcId=vpc, **to_peer)) == 2


def test_an_acceptance_needs_the_accepters_vpc_and_its_own_side_of_the_peering(
    ours: Side, theirs: Side
) -> None:
    vpc, peer = ours.vpc("10.1.0.0/16"), theirs.vpc("10.2.0.0/16", tags={"peerd:env": "prod"})
    peering = ours.request(vpc, theirs, peer, tags=MARK)["VpcPeeringConnectionId"]

    of_peering, of_vpc = needed(theirs, "AcceptVpcPeeringConnection", VpcPeeringConnectionId=peering)

    assert of_vpc[:2] == ("AcceptVpcPeeringConnection", f"vpc/{peer}")
    assert of_vpc[2]["aws:ResourceTag/peerd:env"] == "prod"
    assert of_peering[1] == f"vpc-peering-connection/{peering}"
    assert of_peering[2]["ec2:RequesterVpc"] == arn(ours, vpc)
    assert of_peering[2]["ec2:AccepterVpc"] == arn(theirs, peer)
    assert not [key for key in of_peering[2] if "Tag/" in key], "the tags of the requester's side"
    ((_, _, keys),) = needed(ours, "DeleteVpcPeeringConnection", VpcPeeringConnectionId=peering)
    assert keys["aws:ResourceTag/peerd:managed-by"] == "peerd"
    ours.delete(peering)
    theirs.ec2.delete_vpc(VpcId=peer)
    assert len(needed(theirs, "AcceptVpcPeeringConnection", VpcPeeringConnectionId=peering)) == 1


@pytest.mark.parametrize("action", ["CreateRoute", "ReplaceRoute", "DeleteRoute"])
def test_a_change_of_a_route_needs_the_table_whatever_its_destination_and_target(
    ours: Side, action: str
) -> None:
    vpc = ours.vpc("10.1.0.0/16")
    table = ours.main_table(vpc)
    ((_, resource, keys),) = needed(
        ours, action, RouteTableId=table, DestinationCidrBlock="10.2.0.0/16", GatewayId="igw-1"
    )
    assert resource == f"route-table/{table}"
    assert keys == {"ec2:Region": "us-east-1", "ec2:RouteTableID": table, "ec2:Vpc": arn(ours, vpc)}


def test_a_new_rule_is_evaluated_only_if_it_gets_tags_and_a_revoked_one_never(ours: Side) -> None:
    vpc = ours.vpc("10.1.0.0/16")
    group = ours.ec2.create_security_group(
        GroupName="g", Description="d", VpcId=vpc, **specification("security-group", {"peerd:allow": "prod"})
    )["GroupId"]
    tagged = {**MARKING, "TagSpecification.1.ResourceType": "security-group-rule"}

    of_group, of_rule, of_tags = needed(ours, "AuthorizeSecurityGroupIngress", GroupId=group, **tagged)

    assert of_group[1] == f"security-group/{group}"
    assert of_group[2]["aws:ResourceTag/peerd:allow"] == "prod"
    assert of_rule[:2] == ("AuthorizeSecurityGroupIngress", "security-group-rule/*")
    assert of_rule[2] == {"aws:TagKeys": ["peerd:managed-by"], "ec2:Region": "us-east-1"} | {
        "aws:RequestTag/peerd:managed-by": "peerd"
    }
    assert of_tags[:2] == ("CreateTags", "security-group-rule/*")
    assert of_tags[2]["ec2:CreateAction"] == "AuthorizeSecurityGroupIngress"
    untagged = needed(ours, "AuthorizeSecurityGroupIngress", GroupId=group)
    revoked = needed(ours, "RevokeSecurityGroupIngress", GroupId=group, **{"SecurityGroupRuleId.1": "sgr-1"})
    assert [resource for _, resource, _ in [*untagged, *revoked]] == [f"security-group/{group}"] * 2


def test_tags_need_each_resource_with_its_present_and_its_requested_tags(ours: Side) -> None:
    vpc = ours.vpc("10.1.0.0/16", tags={"peerd:env": "prod"})
    resources = {"ResourceId.1": vpc, "ResourceId.2": ours.main_table(vpc)}
    tag = {"Tag.1.Key": "peerd:status", "Tag.1.Value": "joined prod"}

    of_vpc, of_table = needed(ours, "CreateTags", **resources, **tag)

    assert of_table[1] == f"route-table/{resources['ResourceId.2']}"
    assert of_vpc[1] == f"vpc/{vpc}"
    assert of_vpc[2]["aws:ResourceTag/peerd:env"] == "prod"
    assert of_vpc[2]["aws:RequestTag/peerd:status"] == "joined prod"
    assert of_vpc[2]["aws:TagKeys"] == ["peerd:status"]
    assert "ec2:CreateAction" not in of_vpc[2]
    ((_, _, keys),) = needed(ours, "DeleteTags", **{"ResourceId.1": vpc})
    assert "aws:TagKeys" not in keys, "DeleteTags without keys removes all tags"


def test_a_resource_that_does_not_exist_is_left_to_ec2s_own_error(ours: Side) -> None:
    for action, parameter, resource in (
        ("DeleteVpcPeeringConnection", "VpcPeeringConnectionId", "pcx-1"),
        ("DeleteRoute", "RouteTableId", "rtb-1"),
        ("CreateTags", "ResourceId.1", "vpc-1"),
        ("DeleteTags", "ResourceId.1", "sgr-1"),
        ("RevokeSecurityGroupIngress", "GroupId", "sg-1"),
    ):
        assert needed(ours, action, **{parameter: resource}) == []


def test_tags_of_a_resource_of_an_unknown_type_need_the_action_on_any_resource(ours: Side) -> None:
    tag = {"Tag.1.Key": "a", "Tag.1.Value": "b"}
    ((_, resource, _),) = needed(ours, "CreateTags", **{"ResourceId.1": "subnet-1"}, **tag)
    assert resource == "*"


def test_the_entries_of_a_prefix_list_need_the_list_of_its_owner(ours: Side) -> None:
    own = ours.ec2.create_managed_prefix_list(
        PrefixListName="l", MaxEntries=1, AddressFamily="IPv4", Entries=[{"Cidr": "10.0.0.0/8"}]
    )["PrefixList"]["PrefixListId"]
    ((_, resource, _),) = needed(ours, "GetManagedPrefixListEntries", PrefixListId=own)
    assert resource == f"prefix-list/{own}"
