"""Security groups and their rules."""

import uuid

from sandbox.tests.conformance.probe import (
    FIRST,
    HOME,
    SECOND,
    check,
    client,
    failure,
    make_vpc,
    record,
    refused,
    tags,
)


def run() -> None:
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
