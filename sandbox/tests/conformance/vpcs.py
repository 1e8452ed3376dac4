"""VPCs, their CIDR blocks, filters, pagination and tags."""

from typing import Any

from botocore.exceptions import ClientError

from sandbox.tests.conformance.probe import (
    AWAY,
    FAR,
    FIRST,
    HOME,
    THIRD,
    as_dict,
    check,
    client,
    make_vpc,
    record,
    refused,
    tags,
)


def run() -> None:
    """Runs all checks; later ones count the resources of earlier ones."""
    for a, r, c in ((FIRST, HOME, "10.0.0.0/16"), (FIRST, AWAY, "10.1.0.0/16"), (FIRST, FAR, "10.2.0.0/16")):
        v = make_vpc(a, r, c, f"vpc-{r}")
        check(
            f"vpc.create {r} + TagSpecifications",
            as_dict(v.get("Tags")).get("probe:mesh") == "prod",
            v.get("Tags"),
        )
    e = client("ec2", FIRST, HOME)
    v = make_vpc(FIRST, HOME, "10.3.0.0/16", "cidrs")["VpcId"]
    blocks(e, v)
    d = make_vpc(FIRST, HOME, "10.5.0.0/16", "six", AmazonProvidedIpv6CidrBlock=True)
    d = e.describe_vpcs(VpcIds=[d["VpcId"]])["Vpcs"][0]
    check(
        "vpc.IPv6 at create", bool(d.get("Ipv6CidrBlockAssociationSet")), d.get("Ipv6CidrBlockAssociationSet")
    )
    filtered(e, v)
    paged(e)
    tagged(e, v)
    refused(
        "vpc.limit 5 per region",
        "VpcLimitExceeded",
        lambda: [make_vpc(THIRD, FAR, f"10.{20 + i}.0.0/16", "pg") for i in range(6)],
    )


def blocks(e: Any, v: str) -> None:
    """CIDR blocks that are associated and disassociated."""
    try:
        r = e.associate_vpc_cidr_block(VpcId=v, CidrBlock="10.4.0.0/16")
        st = r.get("CidrBlockAssociation", {}).get("CidrBlockState", {}).get("State")
        d = e.describe_vpcs(VpcIds=[v])["Vpcs"][0]
        check(
            "vpc.second CIDR AssociateVpcCidrBlock",
            sorted(x["CidrBlock"] for x in d["CidrBlockAssociationSet"]) == ["10.3.0.0/16", "10.4.0.0/16"],
            f"assoc state={st}; described={d['CidrBlockAssociationSet']}",
        )
        refused(
            "vpc.second CIDR overlapping refused",
            "InvalidVpc.Range",
            e.associate_vpc_cidr_block,
            VpcId=v,
            CidrBlock="10.4.0.0/17",
        )
        try:
            e.disassociate_vpc_cidr_block(AssociationId=r["CidrBlockAssociation"]["AssociationId"])
            d = e.describe_vpcs(VpcIds=[v])["Vpcs"][0]
            check(
                "vpc.DisassociateVpcCidrBlock",
                [
                    x["CidrBlock"]
                    for x in d["CidrBlockAssociationSet"]
                    if x["CidrBlockState"]["State"] == "associated" and x["CidrBlock"] != "10.4.0.0/17"
                ]
                == ["10.3.0.0/16"],
                [(x["CidrBlock"], x["CidrBlockState"]["State"]) for x in d["CidrBlockAssociationSet"]],
            )
        except (ClientError, KeyError) as x:
            record("vpc.DisassociateVpcCidrBlock", "wrong", x)
        r = e.associate_vpc_cidr_block(VpcId=v, AmazonProvidedIpv6CidrBlock=True)
        d = e.describe_vpcs(VpcIds=[v])["Vpcs"][0]
        i6 = d.get("Ipv6CidrBlockAssociationSet")
        check("vpc.IPv6 Amazon-provided", bool(i6) and i6[0].get("Ipv6CidrBlock", "").endswith("/56"), i6)
    except ClientError as x:
        record("vpc.second CIDR AssociateVpcCidrBlock", "missing", x)


def filtered(e: Any, v: str) -> None:
    """Filters of the describe call."""
    f = e.describe_vpcs(Filters=[{"Name": "tag-key", "Values": ["probe:mesh"]}])["Vpcs"]
    check("vpc.filter tag-key", len(f) == 3, len(f))
    f = e.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["cidrs"]}])["Vpcs"]
    check("vpc.filter tag:Name", [x["VpcId"] for x in f] == [v], len(f))
    f = e.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["vpc-*"]}])["Vpcs"]
    check("vpc.filter tag wildcard", len(f) == 1, len(f))
    f = e.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.3.0.0/16"]}])["Vpcs"]
    check("vpc.filter cidr", len(f) == 1, len(f))
    f = e.describe_vpcs(
        Filters=[
            {"Name": "tag-key", "Values": ["probe:mesh"]},
            {"Name": "tag:Name", "Values": ["six", "cidrs"]},
        ]
    )["Vpcs"]
    check("vpc.filters AND/OR", len(f) == 2, len(f))


def paged(e: Any) -> None:
    """Pagination, an unknown id, and a dry run."""
    for i in range(8):
        make_vpc(FIRST, HOME, f"10.{20 + i}.0.0/16", "pg")
    p = e.describe_vpcs(MaxResults=5)
    n = len(p["Vpcs"])
    tot = sum(
        len(x["Vpcs"]) for x in e.get_paginator("describe_vpcs").paginate(PaginationConfig={"PageSize": 5})
    )
    check(
        "vpc.pagination",
        n == 5 and "NextToken" in p and tot >= 11,
        f"page={n} token={'NextToken' in p} total={tot}",
    )
    refused("vpc.NotFound", "InvalidVpcID.NotFound", e.describe_vpcs, VpcIds=["vpc-0123456789abcdef0"])
    refused("vpc.DryRun create", "DryRunOperation", e.create_vpc, CidrBlock="10.99.0.0/16", DryRun=True)


def tagged(e: Any, v: str) -> None:
    """Tags that are set, deleted and rejected."""
    e.create_tags(Resources=[v], Tags=tags({"k1": "v1", "k2": "v2"}))
    d = as_dict(e.describe_vpcs(VpcIds=[v])["Vpcs"][0]["Tags"])
    check("tags.create", d.get("k1") == "v1" and d.get("k2") == "v2", d)
    e.delete_tags(Resources=[v], Tags=[{"Key": "k1", "Value": "other"}, {"Key": "k2"}])
    d = as_dict(e.describe_vpcs(VpcIds=[v])["Vpcs"][0]["Tags"])
    check("tags.delete (value must match)", d.get("k1") == "v1" and "k2" not in d, d)
    refused(
        "tags.create on missing resource",
        "InvalidVpcID.NotFound",
        e.create_tags,
        Resources=["vpc-0123456789abcdef0"],
        Tags=tags({"a": "b"}),
    )
    refused(
        "tags.aws: prefix refused",
        ["InvalidParameterValue"],
        e.create_tags,
        Resources=[v],
        Tags=tags({"aws:x": "b"}),
    )
    refused(
        "tags.>50 refused",
        "TagLimitExceeded",
        e.create_tags,
        Resources=[v],
        Tags=tags({f"t{i}": "b" for i in range(51)}),
    )
    d = e.describe_tags(Filters=[{"Name": "resource-id", "Values": [v]}])["Tags"]
    check("tags.describe_tags", any(t["Key"] == "probe:mesh" for t in d), len(d))
