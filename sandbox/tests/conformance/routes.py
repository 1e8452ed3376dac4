"""Routes and route tables: targets, duplicates, blackholes, quotas, prefix lists."""

from typing import Any

from botocore.exceptions import ClientError

from sandbox.tests.conformance.probe import (
    AWAY,
    FIRST,
    HOME,
    SECOND,
    THIRD,
    as_dict,
    check,
    client,
    describe_peering,
    failure,
    make_vpc,
    record,
    refused,
    request_peering,
    route_to,
    tables_of,
    tags,
)


def run() -> None:
    """Runs all checks; later ones use the route tables and peerings of earlier ones."""
    a = make_vpc(FIRST, HOME, "10.70.0.0/16", "ra", AmazonProvidedIpv6CidrBlock=True)["VpcId"]
    b = make_vpc(SECOND, AWAY, "10.71.0.0/16", "rb", AmazonProvidedIpv6CidrBlock=True)["VpcId"]
    e = client("ec2", FIRST, HOME)
    main_table(a)
    rt = e.create_route_table(
        VpcId=a,
        TagSpecifications=[
            {"ResourceType": "route-table", "Tags": tags({"peerd:route": "yes", "Name": "app"})}
        ],
    )["RouteTable"]
    rid = rt["RouteTableId"]
    tables(e, a, rid, rt)
    pid = request_peering(FIRST, HOME, a, SECOND, AWAY, b)["VpcPeeringConnectionId"]
    over_one_peering(e, rid, pid)
    c = make_vpc(THIRD, HOME, "10.72.0.0/16", "rc")["VpcId"]
    pid2 = request_peering(FIRST, HOME, a, THIRD, HOME, c)["VpcPeeringConnectionId"]
    client("ec2", THIRD, HOME).accept_vpc_peering_connection(VpcPeeringConnectionId=pid2)
    duplicate(e, rid, pid2)
    with_host_bits(e, c)
    replaced(e, rid, pid, pid2)
    of_ipv6(e, rid, pid)
    within_the_vpc(e, rid, pid)
    to_a_wrong_target(e, rid, pid, c)
    missing_or_dry(e, rid, pid)
    filtered(e, rid, pid)
    to_prefix_lists(e, rid, pid)
    up_to_the_quota(e, a, pid)
    without_a_peering(e, rid, pid)
    without_a_peer(e, a, c, rid, pid2)


def main_table(a: str) -> None:
    """Every VPC has a main table with local routes."""
    main = tables_of(FIRST, HOME, a)
    check(
        "rtb.main exists w/ local route",
        len(main) == 1 and main[0]["Routes"][0]["GatewayId"] == "local",
        main[0]["Routes"] if main else main,
    )
    check(
        "rtb.local IPv6 route",
        bool(main) and any("DestinationIpv6CidrBlock" in r for r in main[0]["Routes"]),
        list(main[0]["Routes"]) if main else "",
    )


def tables(e: Any, a: str, rid: str, rt: dict[str, Any]) -> None:
    """Route tables, their tags, filters and pagination."""
    check("rtb.create + tags", as_dict(rt.get("Tags")).get("peerd:route") == "yes", rt.get("Tags"))
    for _ in range(6):
        e.create_route_table(VpcId=a)
    f = e.describe_route_tables(Filters=[{"Name": "tag:peerd:route", "Values": ["yes"]}])["RouteTables"]
    check("rtb.filter tag:", [x["RouteTableId"] for x in f] == [rid], len(f))
    f = e.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [a]}])["RouteTables"]
    check("rtb.filter vpc-id", len(f) == 8, len(f))
    f = e.describe_route_tables(
        Filters=[{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [a]}]
    )["RouteTables"]
    check("rtb.filter association.main", len(f) == 1, len(f))
    p = e.describe_route_tables(MaxResults=5)
    tot = sum(
        len(x["RouteTables"])
        for x in e.get_paginator("describe_route_tables").paginate(PaginationConfig={"PageSize": 5})
    )
    check(
        "rtb.pagination",
        len(p["RouteTables"]) == 5 and "NextToken" in p and tot >= 8,
        f"page={len(p['RouteTables'])} token={'NextToken' in p} total={tot}",
    )


def over_one_peering(e: Any, rid: str, pid: str) -> None:
    """Routes before and after the peering is active."""
    x = failure(
        e.create_route, RouteTableId=rid, DestinationCidrBlock="10.71.0.0/16", VpcPeeringConnectionId=pid
    )
    r = None if x else route_to(FIRST, HOME, rid, "10.71.0.0/16")
    check("route.on pending pcx -> blackhole", x is None and r and r.get("State") == "blackhole", x or r)
    client("ec2", SECOND, AWAY).accept_vpc_peering_connection(VpcPeeringConnectionId=pid)
    if x:
        e.create_route(RouteTableId=rid, DestinationCidrBlock="10.71.0.0/16", VpcPeeringConnectionId=pid)
    r = route_to(FIRST, HOME, rid, "10.71.0.0/16")
    check(
        "route.via active pcx -> active",
        r
        and r.get("State") == "active"
        and r.get("VpcPeeringConnectionId") == pid
        and r.get("Origin") == "CreateRoute",
        r,
    )
    refused(
        "route.duplicate same target refused",
        "RouteAlreadyExists",
        e.create_route,
        RouteTableId=rid,
        DestinationCidrBlock="10.71.0.0/16",
        VpcPeeringConnectionId=pid,
    )


def duplicate(e: Any, rid: str, pid2: str) -> None:
    """A route to an existing destination is rejected."""
    refused(
        "route.duplicate other target refused",
        "RouteAlreadyExists",
        e.create_route,
        RouteTableId=rid,
        DestinationCidrBlock="10.71.0.0/16",
        VpcPeeringConnectionId=pid2,
    )


def with_host_bits(e: Any, c: str) -> None:
    """Host bits are cleared."""
    hb = e.create_route_table(VpcId=make_vpc(FIRST, HOME, "10.170.0.0/16")["VpcId"])["RouteTable"][
        "RouteTableId"
    ]
    hp = request_peering(
        FIRST, HOME, e.describe_route_tables(RouteTableIds=[hb])["RouteTables"][0]["VpcId"], THIRD, HOME, c
    )["VpcPeeringConnectionId"]
    client("ec2", THIRD, HOME).accept_vpc_peering_connection(VpcPeeringConnectionId=hp)
    x = failure(
        e.create_route, RouteTableId=hb, DestinationCidrBlock="10.73.1.5/16", VpcPeeringConnectionId=hp
    )
    check(
        "route.host bits set -> canonical form",
        x is None and route_to(FIRST, HOME, hb, "10.73.0.0/16") is not None,
        x
        or [
            r.get("DestinationCidrBlock")
            for r in e.describe_route_tables(RouteTableIds=[hb])["RouteTables"][0]["Routes"]
        ],
    )


def replaced(e: Any, rid: str, pid: str, pid2: str) -> None:
    """A route moves to another peering and back."""
    e.replace_route(RouteTableId=rid, DestinationCidrBlock="10.71.0.0/16", VpcPeeringConnectionId=pid2)
    r = route_to(FIRST, HOME, rid, "10.71.0.0/16")
    check("route.ReplaceRoute", r and r.get("VpcPeeringConnectionId") == pid2, r)
    refused(
        "route.ReplaceRoute missing",
        "InvalidParameterValue",
        e.replace_route,
        RouteTableId=rid,
        DestinationCidrBlock="10.199.0.0/16",
        VpcPeeringConnectionId=pid2,
    )
    e.replace_route(RouteTableId=rid, DestinationCidrBlock="10.71.0.0/16", VpcPeeringConnectionId=pid)


def of_ipv6(e: Any, rid: str, pid: str) -> None:
    """IPv6 destinations."""
    x = failure(
        e.create_route,
        RouteTableId=rid,
        DestinationIpv6CidrBlock="2600:1f18:1:100::/56",
        VpcPeeringConnectionId=pid,
    )
    r = None if x else route_to(FIRST, HOME, rid, "2600:1f18:1:100::/56")
    check("route.IPv6 via pcx", r and r.get("VpcPeeringConnectionId") == pid, x or r)
    refused(
        "route.IPv6 duplicate refused",
        "RouteAlreadyExists",
        e.create_route,
        RouteTableId=rid,
        DestinationIpv6CidrBlock="2600:1f18:1:100::/56",
        VpcPeeringConnectionId=pid,
    )
    x = failure(e.delete_route, RouteTableId=rid, DestinationIpv6CidrBlock="2600:1f18:1:100::/56")
    r = route_to(FIRST, HOME, rid, "2600:1f18:1:100::/56")
    check("route.IPv6 delete", x is None and r is None, x or r)


def within_the_vpc(e: Any, rid: str, pid: str) -> None:
    """Destinations within the VPC's own CIDR block."""
    x = failure(
        e.create_route, RouteTableId=rid, DestinationCidrBlock="10.70.1.0/24", VpcPeeringConnectionId=pid
    )
    record("route.inside own VPC CIDR", "note", x or route_to(FIRST, HOME, rid, "10.70.1.0/24"))
    refused(
        "route.equal to local refused",
        ["RouteAlreadyExists", "InvalidParameterValue"],
        e.create_route,
        RouteTableId=rid,
        DestinationCidrBlock="10.70.0.0/16",
        VpcPeeringConnectionId=pid,
    )


def to_a_wrong_target(e: Any, rid: str, pid: str, c: str) -> None:
    """Peerings that are unknown or of other VPCs, and unknown route tables."""
    refused(
        "route.unknown pcx",
        "InvalidVpcPeeringConnectionID.NotFound",
        e.create_route,
        RouteTableId=rid,
        DestinationCidrBlock="10.80.0.0/16",
        VpcPeeringConnectionId="pcx-0123456789abcdef0",
    )
    foreign = request_peering(SECOND, HOME, make_vpc(SECOND, HOME, "10.81.0.0/16")["VpcId"], THIRD, HOME, c)[
        "VpcPeeringConnectionId"
    ]
    x = failure(
        e.create_route, RouteTableId=rid, DestinationCidrBlock="10.81.0.0/16", VpcPeeringConnectionId=foreign
    )
    check("route.pcx of other VPCs refused", x is not None, x)
    # A VPC with a pending request of another account cannot be deleted; `without_a_peer` deletes this one.
    client("ec2", THIRD, HOME).reject_vpc_peering_connection(VpcPeeringConnectionId=foreign)
    other = e.create_route_table(VpcId=make_vpc(FIRST, HOME, "10.82.0.0/16")["VpcId"])["RouteTable"][
        "RouteTableId"
    ]
    x = failure(
        e.create_route, RouteTableId=other, DestinationCidrBlock="10.71.0.0/16", VpcPeeringConnectionId=pid
    )
    check("route.pcx not of this VPC refused", x is not None, x)
    refused(
        "route.unknown route table",
        "InvalidRouteTableID.NotFound",
        e.create_route,
        RouteTableId="rtb-0123456789abcdef0",
        DestinationCidrBlock="10.80.0.0/16",
        VpcPeeringConnectionId=pid,
    )


def missing_or_dry(e: Any, rid: str, pid: str) -> None:
    """A dry run changes nothing; a route that does not exist cannot be deleted."""
    refused(
        "route.DryRun",
        "DryRunOperation",
        e.create_route,
        RouteTableId=rid,
        DestinationCidrBlock="10.83.0.0/16",
        VpcPeeringConnectionId=pid,
        DryRun=True,
    )
    refused(
        "route.delete missing",
        "InvalidRoute.NotFound",
        e.delete_route,
        RouteTableId=rid,
        DestinationCidrBlock="10.199.0.0/16",
    )


def filtered(e: Any, rid: str, pid: str) -> None:
    """Filters on the routes."""
    f = e.describe_route_tables(Filters=[{"Name": "route.vpc-peering-connection-id", "Values": [pid]}])[
        "RouteTables"
    ]
    check(
        "rtb.filter route.vpc-peering-connection-id",
        len(f) >= 1 and rid in [x["RouteTableId"] for x in f] and len(f) < 4,
        len(f),
    )
    f = e.describe_route_tables(
        Filters=[{"Name": "route.destination-cidr-block", "Values": ["10.71.0.0/16"]}]
    )["RouteTables"]
    check("rtb.filter route.destination-cidr-block", rid in [x["RouteTableId"] for x in f], len(f))


def to_prefix_lists(e: Any, rid: str, pid: str) -> None:
    """Managed prefix lists and routes to them."""
    try:
        pl = e.create_managed_prefix_list(
            PrefixListName="peers",
            AddressFamily="IPv4",
            MaxEntries=10,
            Entries=[{"Cidr": "10.90.0.0/16", "Description": "x"}],
            TagSpecifications=[{"ResourceType": "prefix-list", "Tags": tags({"probe:mesh": "prod"})}],
        )["PrefixList"]
        plid = pl["PrefixListId"]
        check("pl.create", pl.get("Version") == 1, (pl.get("State"), pl.get("Version"), pl.get("Tags")))
        m = e.modify_managed_prefix_list(
            PrefixListId=plid,
            CurrentVersion=1,
            AddEntries=[{"Cidr": "10.91.0.0/16"}],
            RemoveEntries=[{"Cidr": "10.90.0.0/16"}],
        )["PrefixList"]
        en = [x["Cidr"] for x in e.get_managed_prefix_list_entries(PrefixListId=plid)["Entries"]]
        check(
            "pl.modify + entries",
            en == ["10.91.0.0/16"] and m.get("Version") == 2,
            (en, m.get("Version"), m.get("State")),
        )
        refused(
            "pl.stale CurrentVersion refused",
            ["PrefixListVersionMismatch", "IncorrectState"],
            e.modify_managed_prefix_list,
            PrefixListId=plid,
            CurrentVersion=1,
            AddEntries=[{"Cidr": "10.92.0.0/16"}],
        )
        refused(
            "pl.over MaxEntries refused",
            ["PrefixListMaxEntriesExceeded", "InvalidParameterValue"],
            e.modify_managed_prefix_list,
            PrefixListId=plid,
            CurrentVersion=2,
            AddEntries=[{"Cidr": f"10.1.{i}.0/24"} for i in range(12)],
        )
        x = failure(
            e.create_route, RouteTableId=rid, DestinationPrefixListId=plid, VpcPeeringConnectionId=pid
        )
        r = None if x else route_to(FIRST, HOME, rid, plid)
        check("pl.route via pcx", r is not None, x or r)
        d = e.describe_managed_prefix_lists(Filters=[{"Name": "owner-id", "Values": [FIRST]}])["PrefixLists"]
        check("pl.describe filter", len(d) == 1, len(d))
    except (ClientError, KeyError) as x:
        record("pl.create", "missing", x)


def up_to_the_quota(e: Any, a: str, pid: str) -> None:
    """Routes of one table are limited."""
    n = 0
    x = None
    big = e.create_route_table(VpcId=a)["RouteTable"]["RouteTableId"]
    for i in range(51):
        x = failure(
            e.create_route,
            RouteTableId=big,
            DestinationCidrBlock=f"172.20.{i}.0/24",
            VpcPeeringConnectionId=pid,
        )
        if x:
            break
        n += 1
    check("route.quota 50 per table enforced", bool(x) and x[0] == "RouteLimitExceeded", f"{n} made; {x}")


def without_a_peering(e: Any, rid: str, pid: str) -> None:
    """The routes to a deleted peering."""
    client("ec2", SECOND, AWAY).delete_vpc_peering_connection(VpcPeeringConnectionId=pid)
    r = route_to(FIRST, HOME, rid, "10.71.0.0/16")
    check("route.blackhole after pcx deleted", r and r.get("State") == "blackhole", r)
    x = failure(e.delete_route, RouteTableId=rid, DestinationCidrBlock="10.71.0.0/16")
    check("route.DeleteRoute", x is None and route_to(FIRST, HOME, rid, "10.71.0.0/16") is None, x)
    x = failure(
        e.create_route, RouteTableId=rid, DestinationCidrBlock="10.84.0.0/16", VpcPeeringConnectionId=pid
    )
    check("route.to deleted pcx refused", x is not None, x)


def without_a_peer(e: Any, a: str, c: str, rid: str, pid2: str) -> None:
    """The routes to a deleted peer VPC."""
    e.create_route(RouteTableId=rid, DestinationCidrBlock="10.72.0.0/16", VpcPeeringConnectionId=pid2)
    d = client("ec2", THIRD, HOME)
    x = failure(d.delete_vpc, VpcId=c)
    if x:
        record("route.blackhole after peer VPC deleted", "wrong", x)
    else:
        st = None
        try:
            st = describe_peering(FIRST, HOME, pid2)["Status"]
        except ClientError as y:
            st = y
        r = route_to(FIRST, HOME, rid, "10.72.0.0/16")
        check(
            "route.blackhole after peer VPC deleted",
            r and r.get("State") == "blackhole",
            f"pcx={st} route={r}",
        )
    refused("vpc.delete with dependencies refused", "DependencyViolation", e.delete_vpc, VpcId=a)
