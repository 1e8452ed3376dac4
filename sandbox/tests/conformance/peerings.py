"""Peering connections: the handshake across accounts and Regions, duplicates, filters, options, quotas."""

from typing import Any

from botocore.exceptions import ClientError

from sandbox.tests.conformance.probe import (
    AWAY,
    FAR,
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
    tags,
)


def run() -> None:
    """Runs all checks; later ones use the peerings of earlier ones."""
    a = make_vpc(FIRST, HOME, "10.50.0.0/16", "pa")
    b = make_vpc(SECOND, AWAY, "10.51.0.0/16", "pb")
    bb = make_vpc(SECOND, HOME, "10.52.0.0/16", "pbb")
    va, vb, vbb = a["VpcId"], b["VpcId"], bb["VpcId"]
    p = request_peering(FIRST, HOME, va, SECOND, AWAY, vb, {"peerd:side": "requester"})
    pid = p["VpcPeeringConnectionId"]
    requested(p)
    seen_and_accepted(pid)
    tagged(pid)
    repeated(pid, va, vb)
    failing(va, vb)
    p2 = request_peering(FIRST, HOME, va, SECOND, HOME, vbb)["VpcPeeringConnectionId"]
    filtered(pid, p2, vbb)
    with_options(pid, p2)
    rejected(p2)
    dry(pid, va, vbb)
    deleted(pid, va, vb)
    within_one_account()
    paged()
    up_to_the_quota()


def requested(p: dict[str, Any]) -> None:
    """The response of a create call."""
    check(
        "pcx.create x-account x-region",
        p["Status"]["Code"] in ("initiating-request", "pending-acceptance"),
        p["Status"],
    )
    ri, ai = p.get("RequesterVpcInfo", {}), p.get("AccepterVpcInfo", {})
    check(
        "pcx.create infos",
        (ri.get("OwnerId"), ri.get("Region"), ai.get("OwnerId"), ai.get("Region"))
        == (FIRST, HOME, SECOND, AWAY),
        {"r": ri, "a": ai},
    )
    check("pcx.create has CidrBlockSet", bool(ri.get("CidrBlockSet")), ri.get("CidrBlockSet"))
    check("pcx.ExpirationTime while pending", "ExpirationTime" in p, p.get("ExpirationTime"))


def seen_and_accepted(pid: str) -> None:
    """The visibility of a request, and the account and Region that may accept it."""
    pr, pa = None, None
    try:
        pr, pa = describe_peering(FIRST, HOME, pid), describe_peering(SECOND, AWAY, pid)
    except ClientError as x:
        record("pcx.describe", "wrong", x)
    check("pcx.visible requester", bool(pr), pr and pr["Status"])
    check("pcx.visible accepter (x-region)", bool(pa), pa and pa["Status"])
    e = failure(describe_peering, SECOND, HOME, pid)
    check("pcx.invisible in 3rd region", (e and "NotFound" in e[0]) or (e is None and not failure.value), e)
    refused(
        "pcx.describe unknown id",
        "InvalidVpcPeeringConnectionID.NotFound",
        client("ec2", FIRST, HOME).describe_vpc_peering_connections,
        VpcPeeringConnectionIds=["pcx-0123456789abcdef0"],
    )
    if pa:
        check(
            "pcx.tags per side (accepter sees none)",
            as_dict(pa.get("Tags")) == {},
            f"requester={as_dict(pr.get('Tags'))} accepter={as_dict(pa.get('Tags'))}",
        )
    refused(
        "pcx.accept by requester refused",
        "OperationNotPermitted",
        client("ec2", FIRST, HOME).accept_vpc_peering_connection,
        VpcPeeringConnectionId=pid,
    )
    e = failure(client("ec2", SECOND, HOME).accept_vpc_peering_connection, VpcPeeringConnectionId=pid)
    check("pcx.accept in wrong region refused", e is not None, e)
    if describe_peering(FIRST, HOME, pid)["Status"]["Code"] != "pending-acceptance":
        record("pcx.state pending-acceptance", "wrong", describe_peering(FIRST, HOME, pid)["Status"])
    try:
        r = client("ec2", SECOND, AWAY).accept_vpc_peering_connection(VpcPeeringConnectionId=pid)[
            "VpcPeeringConnection"
        ]
        check("pcx.accept by accepter", r["Status"]["Code"] in ("provisioning", "active"), r["Status"])
    except ClientError as x:
        record("pcx.accept by accepter", "wrong", x)
    sr, sa = describe_peering(FIRST, HOME, pid), describe_peering(SECOND, AWAY, pid)
    check(
        "pcx.active on both sides",
        (sr and sr["Status"]["Code"], sa and sa["Status"]["Code"]) == ("active", "active"),
        (sr and sr["Status"], sa and sa["Status"]),
    )
    if sr:
        check(
            "pcx.CidrBlockSet when active",
            bool(sr["AccepterVpcInfo"].get("CidrBlockSet")),
            {"acc": sr["AccepterVpcInfo"], "req": sr["RequesterVpcInfo"]},
        )
    refused(
        "pcx.accept twice refused",
        ["InvalidStateTransition", "OperationNotPermitted"],
        client("ec2", SECOND, AWAY).accept_vpc_peering_connection,
        VpcPeeringConnectionId=pid,
    )


def tagged(pid: str) -> None:
    """The accepter tags its own side."""
    try:
        client("ec2", SECOND, AWAY).create_tags(Resources=[pid], Tags=tags({"peerd:side": "accepter"}))
        tr, ta = (
            as_dict(describe_peering(FIRST, HOME, pid).get("Tags")),
            as_dict(describe_peering(SECOND, AWAY, pid).get("Tags")),
        )
        check(
            "pcx.tags independent after CreateTags",
            tr == {"peerd:side": "requester"} and ta == {"peerd:side": "accepter"},
            f"req={tr} acc={ta}",
        )
    except ClientError as x:
        record("pcx.tags independent after CreateTags", "wrong", x)


def repeated(pid: str, va: str, vb: str) -> None:
    """The same request again, and the reverse one."""
    e = failure(request_peering, FIRST, HOME, va, SECOND, AWAY, vb)
    check(
        "pcx.duplicate same direction -> same id",
        e is None and failure.value["VpcPeeringConnectionId"] == pid,
        e or f"{failure.value['VpcPeeringConnectionId']} is {failure.value['Status']['Code']}, not {pid}",
    )
    e = failure(request_peering, SECOND, AWAY, vb, FIRST, HOME, va)
    if e:
        record("pcx.reverse dup: created, accept refused", "wrong", e)
    else:
        rv = failure.value["VpcPeeringConnectionId"]
        e2 = failure(client("ec2", FIRST, HOME).accept_vpc_peering_connection, VpcPeeringConnectionId=rv)
        check(
            "pcx.reverse dup: created, accept refused",
            rv != pid and e2 and e2[0] == "VpcPeeringConnectionAlreadyExists",
            e2 or "second connection became active",
        )


def failing(va: str, vb: str) -> None:
    """Requests that AWS creates and then fails, and one that it rejects."""
    o = make_vpc(THIRD, HOME, "10.50.128.0/17", "ov")["VpcId"]
    e = failure(request_peering, FIRST, HOME, va, THIRD, HOME, o)
    if e:
        record("pcx.overlap -> failed", "wrong", e)
    else:
        q = describe_peering(FIRST, HOME, failure.value["VpcPeeringConnectionId"])
        check(
            "pcx.overlap -> failed",
            bool(q) and q["Status"]["Code"] == "failed",
            f"create={failure.value['Status']} describe={q and q['Status']}",
        )
    e = failure(request_peering, FIRST, HOME, va, THIRD, HOME, "vpc-0aaaaaaaaaaaaaaaa")
    if e:
        record(
            "pcx.peer VPC does not exist -> failed",
            "wrong",
            f"{e} (AWS x-account: created, then status failed)",
        )
    else:
        q = describe_peering(FIRST, HOME, failure.value["VpcPeeringConnectionId"])
        check("pcx.peer VPC does not exist -> failed", q["Status"]["Code"] == "failed", q["Status"])
    refused(
        "pcx.own VPC does not exist",
        "InvalidVpcID.NotFound",
        request_peering,
        FIRST,
        HOME,
        "vpc-0aaaaaaaaaaaaaaaa",
        SECOND,
        AWAY,
        vb,
    )


def filtered(pid: str, p2: str, vbb: str) -> None:
    """Filters of the describe call."""
    try:
        f = client("ec2", FIRST, HOME).describe_vpc_peering_connections(
            Filters=[{"Name": "status-code", "Values": ["pending-acceptance"]}]
        )["VpcPeeringConnections"]
        ids = [x["VpcPeeringConnectionId"] for x in f]
        check("pcx.filter status-code", p2 in ids and pid not in ids, f"{len(ids)} returned")
        f = client("ec2", FIRST, HOME).describe_vpc_peering_connections(
            Filters=[{"Name": "accepter-vpc-info.vpc-id", "Values": [vbb]}]
        )["VpcPeeringConnections"]
        check(
            "pcx.filter accepter-vpc-info.vpc-id",
            [x["VpcPeeringConnectionId"] for x in f] == [p2],
            f"{len(f)} returned",
        )
        f = client("ec2", FIRST, HOME).describe_vpc_peering_connections(
            Filters=[{"Name": "requester-vpc-info.owner-id", "Values": [THIRD]}]
        )["VpcPeeringConnections"]
        check("pcx.filter requester-vpc-info.owner-id", f == [], f"{len(f)} returned")
        f = client("ec2", FIRST, HOME).describe_vpc_peering_connections(
            Filters=[{"Name": "tag:peerd:side", "Values": ["requester"]}]
        )["VpcPeeringConnections"]
        check("pcx.filter tag", [x["VpcPeeringConnectionId"] for x in f] == [pid], f"{len(f)} returned")
        refused(
            "pcx.filter unknown name refused",
            "InvalidParameterValue",
            client("ec2", FIRST, HOME).describe_vpc_peering_connections,
            Filters=[{"Name": "bogus", "Values": ["x"]}],
        )
    except ClientError as x:
        record("pcx.filters", "wrong", x)


def with_options(pid: str, p2: str) -> None:
    """DNS options, separate for each side."""
    modify = client("ec2", FIRST, HOME).modify_vpc_peering_connection_options
    on = {"AllowDnsResolutionFromRemoteVpc": True}
    refused(
        "pcx.options on pending refused",
        ["OperationNotPermitted", "InvalidStateTransition"],
        modify,
        VpcPeeringConnectionId=p2,
        RequesterPeeringConnectionOptions=on,
    )
    refused(
        "pcx.options without DNS hostnames refused",
        ["InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"],
        modify,
        VpcPeeringConnectionId=pid,
        RequesterPeeringConnectionOptions=on,
    )
    try:
        seen = describe_peering(FIRST, HOME, pid)
        for end in (seen["RequesterVpcInfo"], seen["AccepterVpcInfo"]):
            client("ec2", end["OwnerId"], end["Region"]).modify_vpc_attribute(
                VpcId=end["VpcId"], EnableDnsHostnames={"Value": True}
            )
        r = modify(
            VpcPeeringConnectionId=pid,
            RequesterPeeringConnectionOptions=on,
        )
        po = describe_peering(FIRST, HOME, pid)["RequesterVpcInfo"].get("PeeringOptions", {})
        po2 = describe_peering(SECOND, AWAY, pid)["RequesterVpcInfo"].get("PeeringOptions", {})
        check(
            "pcx.options DNS requester side",
            po.get("AllowDnsResolutionFromRemoteVpc") is True
            and po2.get("AllowDnsResolutionFromRemoteVpc") is True,
            f"resp={r.get('RequesterPeeringConnectionOptions')} described A={po} B={po2}",
        )
    except ClientError as x:
        record("pcx.options DNS requester side", "wrong", x)
    refused(
        "pcx.options other account's side refused",
        ["OperationNotPermitted"],
        modify,
        VpcPeeringConnectionId=pid,
        AccepterPeeringConnectionOptions=on,
    )


def rejected(p2: str) -> None:
    """A request that the accepter rejects."""
    try:
        client("ec2", SECOND, HOME).reject_vpc_peering_connection(VpcPeeringConnectionId=p2)
        check(
            "pcx.reject",
            describe_peering(FIRST, HOME, p2)["Status"]["Code"] == "rejected",
            describe_peering(FIRST, HOME, p2)["Status"],
        )
    except ClientError as x:
        record("pcx.reject", "wrong", x)


def dry(pid: str, va: str, vbb: str) -> None:
    """Dry runs change nothing."""
    refused(
        "pcx.DryRun create",
        "DryRunOperation",
        client("ec2", FIRST, HOME).create_vpc_peering_connection,
        VpcId=va,
        PeerVpcId=vbb,
        PeerOwnerId=SECOND,
        DryRun=True,
    )
    refused(
        "pcx.DryRun delete",
        "DryRunOperation",
        client("ec2", FIRST, HOME).delete_vpc_peering_connection,
        VpcPeeringConnectionId=pid,
        DryRun=True,
    )


def deleted(pid: str, va: str, vb: str) -> None:
    """The accepter deletes the peering; the pair can then be peered again."""
    if (describe_peering(SECOND, AWAY, pid) or {}).get("Status", {}).get("Code") == "active":
        client("ec2", SECOND, AWAY).delete_vpc_peering_connection(VpcPeeringConnectionId=pid)
        try:
            s1, s2 = describe_peering(FIRST, HOME, pid), describe_peering(SECOND, AWAY, pid)
            check(
                "pcx.delete by accepter -> deleted, both see",
                s1 and s2 and s1["Status"]["Code"] == s2["Status"]["Code"] == "deleted",
                (s1 and s1["Status"], s2 and s2["Status"]),
            )
        except ClientError as x:
            record("pcx.delete by accepter -> deleted, both see", "wrong", f"not visible: {x}")
        refused(
            "pcx.delete twice refused",
            ["InvalidStateTransition", "InvalidVpcPeeringConnectionID.NotFound"],
            client("ec2", SECOND, AWAY).delete_vpc_peering_connection,
            VpcPeeringConnectionId=pid,
        )
        e = failure(request_peering, FIRST, HOME, va, SECOND, AWAY, vb, {"again": "1"})
        check("pcx.recreate after delete", e is None, e or failure.value["VpcPeeringConnectionId"] != pid)


def within_one_account() -> None:
    """Both sides in one account and Region."""
    x1, x2 = make_vpc(FIRST, HOME, "10.60.0.0/16")["VpcId"], make_vpc(FIRST, HOME, "10.61.0.0/16")["VpcId"]
    q = client("ec2", FIRST, HOME).create_vpc_peering_connection(VpcId=x1, PeerVpcId=x2)[
        "VpcPeeringConnection"
    ]["VpcPeeringConnectionId"]
    client("ec2", FIRST, HOME).accept_vpc_peering_connection(VpcPeeringConnectionId=q)
    check(
        "pcx.same account same region",
        describe_peering(FIRST, HOME, q)["Status"]["Code"] == "active",
        describe_peering(FIRST, HOME, q)["Status"],
    )


def paged() -> None:
    """Pagination of the describe call."""
    e = failure(client("ec2", FIRST, HOME).describe_vpc_peering_connections, MaxResults=5)
    check(
        "pcx.pagination",
        e is None
        and len(failure.value["VpcPeeringConnections"]) <= 5
        and (len(failure.value["VpcPeeringConnections"]) < 5 or "NextToken" in failure.value),
        e or (len(failure.value["VpcPeeringConnections"]), "NextToken" in failure.value),
    )


def up_to_the_quota() -> None:
    """Active peerings of one VPC are limited."""
    lim = make_vpc(THIRD, AWAY, "172.16.0.0/24", "lim")["VpcId"]
    n = 0
    e = None
    for i in range(51):
        w = make_vpc(SECOND, FAR, f"172.17.{i}.0/24", "lim")["VpcId"]
        e = failure(request_peering, THIRD, AWAY, lim, SECOND, FAR, w)
        if e:
            break
        n += 1
        e = failure(
            client("ec2", SECOND, FAR).accept_vpc_peering_connection,
            VpcPeeringConnectionId=failure.value["VpcPeeringConnectionId"],
        )
        if e:
            break
    check("pcx.quota 50 active per VPC enforced", e is not None, f"{n} made; {e}")
