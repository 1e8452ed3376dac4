"""The judge that all other tests rely on finds each fault that it is there to find. Needs no sandbox."""

from dataclasses import replace

from sandbox.client import judge
from sandbox.client.model import (
    ALLOW,
    ENV,
    FOR_MESH,
    MANAGED_BY,
    STATUS,
    IngressRule,
    Peering,
    Route,
    RouteTable,
    SecurityGroup,
    Snapshot,
    Vpc,
    VpcView,
)

ONE = Vpc("111111111111", "us-east-1", "vpc-1")
TWO = Vpc("222222222222", "eu-west-1", "vpc-2")
TAGS = {MANAGED_BY: "peerd", ENV: "prod", "Name": "peerd vpc-1 - vpc-2"}
PEERING = Peering("pcx-1", "active", ONE, TWO, TAGS)


def view(vpc: Vpc, blocks: set[str], routes: set[str], peering: Peering = PEERING) -> VpcView:
    """A VPC whose main table sends these destinations over the peering."""
    main = RouteTable(
        f"rtb-{vpc}", True, False, tuple(Route(block, "pcx-1", "active") for block in sorted(routes))
    )
    gateway = RouteTable(f"rtb-gw-{vpc}", False, True, ())
    return VpcView(vpc, frozenset(blocks), {STATUS: "joined prod"}, (main, gateway), (peering,))


def whole() -> dict[Vpc, VpcView]:
    """Two VPCs connected as they should be."""
    return {
        ONE: view(ONE, {"10.0.0.0/16", "2001:db8::/56"}, {"10.1.0.0/16"}),
        TWO: view(TWO, {"10.1.0.0/16"}, {"10.0.0.0/16", "2001:0db8:0::/56"}),
    }


def faults(snapshot: Snapshot, meshes: str = "prod") -> str:
    """What the judge says about the pair, in one line."""
    return "; ".join(judge.not_connected(snapshot, ONE, TWO, meshes))


def with_peering(at: Vpc, **changes: object) -> dict[Vpc, VpcView]:
    """The whole pair, with the peering changed as one side sees it."""
    snapshot = whole()
    snapshot[at] = replace(snapshot[at], peerings=(replace(PEERING, **changes),))
    return snapshot


def test_a_pair_that_is_connected_on_both_sides_has_no_problem() -> None:
    assert faults(whole()) == ""
    assert judge.dead_routes(whole()) == []


def test_a_missing_route_for_one_block_is_found_on_either_side() -> None:
    snapshot = whole()
    snapshot[TWO] = view(TWO, {"10.1.0.0/16"}, {"10.0.0.0/16"})
    assert "rtb-vpc-2 of vpc-2 lacks the route 2001:db8::/56 -> pcx-1" in faults(snapshot)


def test_a_route_to_another_target_or_a_blackhole_is_found() -> None:
    for route in (Route("10.1.0.0/16", "igw-1", "active"), Route("10.1.0.0/16", "pcx-1", "blackhole")):
        snapshot = whole()
        snapshot[ONE] = replace(snapshot[ONE], tables=(RouteTable("rtb-1", True, False, (route,)),))
        assert "rtb-1 of vpc-1 has 10.1.0.0/16" in faults(snapshot)


def test_a_table_that_lacks_routes_beside_one_that_has_them_is_found() -> None:
    snapshot = whole()
    bare = RouteTable("rtb-bare", False, False, ())
    snapshot[ONE] = replace(snapshot[ONE], tables=(*snapshot[ONE].tables, bare))
    assert "rtb-bare of vpc-1 lacks the route 10.1.0.0/16" in faults(snapshot)


def test_a_peering_that_is_not_active_not_managed_or_of_another_mesh_is_found() -> None:
    assert "should be active" in faults(with_peering(TWO, status="provisioning"))
    assert "lacks the managed tag on the side of vpc-2" in faults(with_peering(TWO, tags={}))
    assert f"should wear {ENV}=staging" in faults(whole(), "staging")
    assert "same Name" in faults(with_peering(TWO, tags=TAGS | {"Name": "mine"}))


def test_two_live_peerings_or_none_are_found() -> None:
    snapshot = whole()
    second = replace(PEERING, id="pcx-2")
    snapshot[ONE] = replace(snapshot[ONE], peerings=(PEERING, second))
    assert "should share one live peering" in faults(snapshot)
    assert "should share one live peering" in faults(with_peering(ONE, status="deleted"))


def test_a_vpc_that_is_gone_is_not_connected_but_is_apart_and_clean() -> None:
    snapshot = {ONE: whole()[ONE]}
    assert faults(snapshot) == "vpc-2 does not exist"
    gone: Snapshot = {}
    assert judge.not_apart(gone, ONE, TWO) == [] and judge.not_clean(gone, ONE) == []


def test_what_is_left_after_a_leave_is_found() -> None:
    snapshot = with_peering(ONE, status="deleted")
    left = "; ".join(judge.not_apart(snapshot, ONE, TWO))
    assert "vpc-1 still has route 10.1.0.0/16 -> pcx-1" in left
    assert "vpc-2 still has pcx-1 (active)" in left
    assert any(STATUS in problem for problem in judge.not_clean(snapshot, ONE))
    assert "vpc-1 has a dead route 10.1.0.0/16 -> pcx-1" in "; ".join(judge.dead_routes(snapshot))


def test_a_live_managed_peering_of_a_pair_that_nobody_wants_is_an_orphan() -> None:
    assert judge.orphans([PEERING], [ONE, TWO]) == []
    assert "pcx-1 (active) between vpc-1 and vpc-2" in judge.orphans([PEERING], [ONE])[0]
    assert judge.orphans([replace(PEERING, status="deleted"), replace(PEERING, tags={})], []) == []


def test_a_rule_of_peerds_that_nobody_asks_for_is_found() -> None:
    def strays(allow: str, *meshes: str, members: tuple[Vpc, ...] = (ONE,)) -> list[str]:
        tags = {MANAGED_BY: "peerd"} | {FOR_MESH + mesh: "" for mesh in meshes}
        rules = (IngressRule("sgr-1", "all 10.1.0.0/16", tags), IngressRule("sgr-2", "tcp/22 ::/0", {}))
        return judge.stray_rules([SecurityGroup("sg-1", ONE, {ALLOW: allow}, rules)], members)

    assert strays("prod", "prod") == strays("prod, staging", "staging") == []
    assert strays("prod", "prod", "staging") == strays("staging", "prod", "staging") != []
    assert "lets in all 10.1.0.0/16 for no mesh" in strays("prod")[0]
    assert strays("prod", "prod", members=(TWO,)) == [
        "sg-1 of vpc-1 lets in all 10.1.0.0/16 for prod, unasked"
    ]


def test_routes_that_stand_are_counted_against_those_that_a_full_mesh_wants() -> None:
    members = [ONE, TWO]
    assert len(judge.wanted_routes(whole(), members)) == 3
    assert judge.standing_routes(whole(), members) == judge.wanted_routes(whole(), members)
    assert len(judge.standing_routes(with_peering(TWO, status="provisioning"), members)) == 1
    assert list(judge.active_peerings(whole(), members)) == ["pcx-1"]
