"""Security groups and their rules."""

import uuid
from typing import Any

from sandbox.tests.conformance.probe import (
    FIRST,
    HOME,
    SECOND,
    as_dict,
    check,
    client,
    failure,
    make_vpc,
    record,
    refused,
    tags,
)

NO_RULE = "sgr-0123456789abcdef0"


def run() -> None:
    """Runs all checks; each part creates its own groups."""
    rules_and_quota()
    sources()
    rules_by_id()
    pages()
    groups_and_vpcs()


def make_group(vpc: str, name: str = "g", **group_tags: str) -> str:
    """Creates a group with a unique name."""
    more: dict[str, Any] = {}
    if group_tags:
        more["TagSpecifications"] = [{"ResourceType": "security-group", "Tags": tags(group_tags)}]
    made = client("ec2", FIRST, HOME).create_security_group(
        GroupName=name + uuid.uuid4().hex[:6], Description="d", VpcId=vpc, **more
    )
    return made["GroupId"]


def from_v4(protocol: str, cidr: str, port: int | None = None) -> list[dict[str, Any]]:
    """Returns one permission for an IPv4 CIDR block."""
    ports = {} if port is None else {"FromPort": port, "ToPort": port}
    return [{"IpProtocol": protocol, **ports, "IpRanges": [{"CidrIp": cidr}]}]


def from_v6(protocol: str, cidr: str, port: int | None = None) -> list[dict[str, Any]]:
    """Returns one permission for an IPv6 CIDR block."""
    ports = {} if port is None else {"FromPort": port, "ToPort": port}
    return [{"IpProtocol": protocol, **ports, "Ipv6Ranges": [{"CidrIpv6": cidr}]}]


def ingress(group: str) -> list[dict[str, Any]]:
    """Returns the ingress rules of a group."""
    wanted = [{"Name": "group-id", "Values": [group]}]
    found = client("ec2", FIRST, HOME).describe_security_group_rules(Filters=wanted)["SecurityGroupRules"]
    return [rule for rule in found if not rule["IsEgress"]]


def sources() -> None:
    """CIDR blocks in canonical form, protocols by name."""
    e = client("ec2", FIRST, HOME)
    g = make_group(make_vpc(FIRST, HOME, "10.111.0.0/16")["VpcId"])
    authorize = e.authorize_security_group_ingress
    authorize(GroupId=g, IpPermissions=from_v4("tcp", "100.68.0.18/18", 443))
    authorize(GroupId=g, IpPermissions=from_v6("tcp", "2600:1F18:0::1/56", 443))
    seen = sorted(rule.get("CidrIpv4") or rule["CidrIpv6"] for rule in ingress(g))
    check("sg.CIDRs canonical", seen == ["100.68.0.0/18", "2600:1f18::/56"], seen)
    for cidr in ("100.68.0.18/18", "100.68.0.0/18"):
        refused(
            f"sg.duplicate of {cidr}",
            "InvalidPermission.Duplicate",
            authorize,
            GroupId=g,
            IpPermissions=from_v4("tcp", cidr, 443),
        )
    refused(
        "sg.malformed CIDR",
        "InvalidParameterValue",
        authorize,
        GroupId=g,
        IpPermissions=from_v4("tcp", "10.0.0.0/99", 443),
    )
    r = authorize(GroupId=g, IpPermissions=from_v4("-1", "10.112.0.0/16"))["SecurityGroupRules"][0]
    check("sg.all protocols", (r["IpProtocol"], r["FromPort"], r["ToPort"]) == ("-1", -1, -1), r)
    x = failure(authorize, GroupId=g, IpPermissions=from_v4("icmp", "10.112.0.0/16", -1))
    check("sg.icmp", x is None, x)
    x = failure(authorize, GroupId=g, IpPermissions=from_v6("icmpv6", "2600:1f18::/56"))
    check("sg.icmpv6 without ports", x is None, x)
    refused(
        "sg.tcp without ports",
        "InvalidParameterValue",
        authorize,
        GroupId=g,
        IpPermissions=from_v4("tcp", "10.113.0.0/16"),
    )
    before = len(ingress(g))
    several = from_v4("tcp", "10.114.0.0/16", 80) + from_v4("tcp", "100.68.0.0/18", 443)
    refused(
        "sg.one duplicate of several",
        "InvalidPermission.Duplicate",
        authorize,
        GroupId=g,
        IpPermissions=several,
    )
    check("sg.none of several added", len(ingress(g)) == before, len(ingress(g)) - before)
    several[1:] = from_v4("tcp", "10.114.0.0/16", 81)
    r = authorize(GroupId=g, IpPermissions=several)["SecurityGroupRules"]
    check("sg.several answered", len(r) == 2, r)


def rules_by_id() -> None:
    """Rules that are tagged, found, modified and revoked by id."""
    e = client("ec2", FIRST, HOME)
    g = make_group(make_vpc(FIRST, HOME, "10.115.0.0/16")["VpcId"])
    rule_tags = {"probe:by": "probe", "probe:for/prod": ""}
    r = e.authorize_security_group_ingress(
        GroupId=g,
        IpPermissions=from_v4("tcp", "10.116.0.0/16", 443),
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags(rule_tags)}],
    )["SecurityGroupRules"][0]
    rule = r["SecurityGroupRuleId"]
    check("sg.rule tagged at authorize", as_dict(r.get("Tags")) == rule_tags, r)
    check("sg.rule owner", r.get("GroupOwnerId") == FIRST, r.get("GroupOwnerId"))
    by_tag = [{"Name": "tag:probe:by", "Values": ["probe"]}, {"Name": "group-id", "Values": [g]}]
    d = e.describe_security_group_rules(Filters=by_tag)["SecurityGroupRules"]
    check("sg.rules by tag", [it["SecurityGroupRuleId"] for it in d] == [rule], d)
    refused(
        "sg.rules by what is no filter",
        "InvalidParameterValue",
        e.describe_security_group_rules,
        Filters=[{"Name": "ip-protocol", "Values": ["tcp"]}],
    )
    e.create_tags(Resources=[rule], Tags=tags({"probe:for/staging": ""}))
    e.delete_tags(Resources=[rule], Tags=[{"Key": "probe:for/prod"}])
    current = as_dict(ingress(g)[0]["Tags"])
    check("sg.rule tags changed", current == {"probe:by": "probe", "probe:for/staging": ""}, current)
    refused(
        "sg.tag unknown rule",
        "InvalidSecurityGroupRuleId.NotFound",
        e.create_tags,
        Resources=[NO_RULE],
        Tags=tags({"a": "b"}),
    )
    change = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "10.117.9.9/16"}
    updates = [{"SecurityGroupRuleId": rule, "SecurityGroupRule": change}]
    e.modify_security_group_rules(GroupId=g, SecurityGroupRules=updates)
    seen = ingress(g)[0]
    check("sg.modify", (seen["FromPort"], seen["CidrIpv4"]) == (22, "10.117.0.0/16"), seen)
    refused(
        "sg.revoke unknown id",
        "InvalidSecurityGroupRuleId.NotFound",
        e.revoke_security_group_ingress,
        GroupId=g,
        SecurityGroupRuleIds=[NO_RULE],
    )
    r = e.revoke_security_group_ingress(GroupId=g, SecurityGroupRuleIds=[rule])
    check("sg.revoke by id", ingress(g) == [], ingress(g))
    check(
        "sg.revoke returns the revoked rules",
        [it["SecurityGroupRuleId"] for it in r.get("RevokedSecurityGroupRules", [])] == [rule],
        r.get("RevokedSecurityGroupRules"),
    )
    refused(
        "sg.revoke unknown group",
        "InvalidGroup.NotFound",
        e.revoke_security_group_ingress,
        GroupId="sg-0123456789abcdef0",
        SecurityGroupRuleIds=[rule],
    )


def pages() -> None:
    """Filters and pagination of the describe calls."""
    e = client("ec2", FIRST, HOME)
    v = make_vpc(FIRST, HOME, "10.118.0.0/16")["VpcId"]
    made = [make_group(v, f"p{i}", **{"probe:allow": "prod"}) for i in range(6)]
    make_group(v, "none")
    f = [{"Name": "tag-key", "Values": ["probe:allow"]}]
    d = e.describe_security_groups(Filters=f)["SecurityGroups"]
    check("sg.filter tag-key", sorted(it["GroupId"] for it in d) == sorted(made), len(d))
    p = e.describe_security_groups(Filters=f, MaxResults=5)
    rest = e.describe_security_groups(Filters=f, NextToken=p.get("NextToken", ""))
    sizes = [len(it["SecurityGroups"]) for it in (p, rest)]
    check("sg.pagination", "NextToken" in p and sizes == [5, 1], sizes)
    for port in range(1, 7):
        e.authorize_security_group_ingress(
            GroupId=made[0], IpPermissions=from_v4("tcp", "10.119.0.0/16", port)
        )
    f = [{"Name": "group-id", "Values": made[:1]}]
    paginator = e.get_paginator("describe_security_group_rules")
    sizes = [
        len(it["SecurityGroupRules"])
        for it in paginator.paginate(Filters=f, PaginationConfig={"PageSize": 5})
    ]
    check("sg.rules pagination", sizes == [5, 2], sizes)


def groups_and_vpcs() -> None:
    """Dependencies that prevent a deletion."""
    e = client("ec2", FIRST, HOME)
    v = make_vpc(FIRST, HOME, "10.120.0.0/16")["VpcId"]
    g = make_group(v)
    refused("sg.VPC with a group", "DependencyViolation", e.delete_vpc, VpcId=v)
    f = [{"Name": "vpc-id", "Values": [v]}, {"Name": "group-name", "Values": ["default"]}]
    default = e.describe_security_groups(Filters=f)["SecurityGroups"][0]["GroupId"]
    refused("sg.default group stays", "CannotDelete", e.delete_security_group, GroupId=default)
    own = [rule.get("ReferencedGroupInfo", {}).get("GroupId") for rule in ingress(default)]
    check("sg.default group lets itself in", own == [default], own)
    e.delete_security_group(GroupId=g)
    x = failure(e.delete_vpc, VpcId=v)
    check("sg.VPC without groups", x is None, x)


def rules_and_quota() -> None:
    """Rules that are added, rejected, revoked and counted."""
    e = client("ec2", FIRST, HOME)
    v = make_vpc(FIRST, HOME, "10.110.0.0/16")["VpcId"]
    g = e.create_security_group(
        GroupName="g" + uuid.uuid4().hex[:6],
        Description="d",
        VpcId=v,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags({"peerd:sg": "1"})}],
    )["GroupId"]
    perm = [
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "IpRanges": [{"CidrIp": "10.111.0.0/16", "Description": "peerd"}],
        }
    ]
    r = e.authorize_security_group_ingress(GroupId=g, IpPermissions=perm)
    check("sg.authorize returns rules", bool(r.get("SecurityGroupRules")), r.get("SecurityGroupRules"))
    refused(
        "sg.duplicate refused",
        "InvalidPermission.Duplicate",
        e.authorize_security_group_ingress,
        GroupId=g,
        IpPermissions=perm,
    )
    x = failure(
        e.authorize_security_group_ingress,
        GroupId=g,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "Ipv6Ranges": [{"CidrIpv6": "2600:1f18::/56"}],
            }
        ],
    )
    check("sg.IPv6 ingress", x is None, x)
    d = e.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [g]}])["SecurityGroupRules"]
    check("sg.describe rules", sum(not r["IsEgress"] for r in d) == 2, len(d))
    x = failure(
        e.authorize_security_group_ingress,
        GroupId=g,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 22,
                "ToPort": 22,
                "UserIdGroupPairs": [
                    {
                        "GroupId": "sg-0123456789abcdef0",
                        "UserId": SECOND,
                        "VpcPeeringConnectionId": "pcx-0123456789abcdef0",
                    }
                ],
            }
        ],
    )
    record("sg.remote group ref via pcx", "note", x or "accepted")
    e.revoke_security_group_ingress(GroupId=g, IpPermissions=perm)
    d = e.describe_security_groups(GroupIds=[g])["SecurityGroups"][0]["IpPermissions"]
    check("sg.revoke", not any(p.get("IpRanges") for p in d), d)
    x = failure(e.revoke_security_group_ingress, GroupId=g, IpPermissions=perm)
    check(
        "sg.revoke unknown",
        (x and x[0] == "InvalidPermission.NotFound")
        or (
            x is None and (failure.value.get("UnknownIpPermissions") or failure.value.get("Return") is False)
        ),
        x or failure.value.get("UnknownIpPermissions"),
    )
    n = 0
    x = None
    for i in range(0, 65):
        x = failure(
            e.authorize_security_group_ingress,
            GroupId=g,
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": 1000 + i,
                    "ToPort": 1000 + i,
                    "IpRanges": [{"CidrIp": "10.111.0.0/16"}],
                }
            ],
        )
        if x:
            break
        n += 1
    check("sg.60 rules quota enforced", bool(x), f"{n}; {x}")
