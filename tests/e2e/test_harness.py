"""The checks that the other tests use detect each problem. Needs no sandbox."""

from dataclasses import replace

from sandbox.client import checks
from sandbox.client.model import (
    ALLOW,
    ENV,
    MANAGED_BY,
    MESH_KEY_PREFIX,
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
    """Returns a VPC whose main table routes these destinations to the peering."""
    main = RouteTable(
        f"rtb-{vpc}", True, False, tuple(Route(block, "pcx-1", "active") for block in sorted(routes))
    )
    gateway = RouteTable(f"rtb-gw-{vpc}", False, True, ())
    return VpcView(vpc, frozenset(blocks), {STATUS: "joined prod"}, (main, gateway), (peering,))


def connected() -> dict[Vpc, VpcView]:
    """Returns two correctly connected VPCs."""
    return {
        ONE: view(ONE, {"10.0.0.0/16", "2001:db8::/56"}, {"10.1.0.0/16"}),
        TWO: view(TWO, {"10.1.0.0/16"}, {"10.0.0.0/16", "2001:0db8:0::/56"}),
    }


def problems(snapshot: Snapshot, meshes: str = "prod") -> str:
    """Returns the problems of the pair on one line."""
    return "; ".join(checks.connection_problems(snapshot, ONE, TWO, meshes))


def with_peering(at: Vpc, **changes: object) -> dict[Vpc, VpcView]:
    """Returns the connected pair with the peering changed on one side."""
    snapshot = connected()
    snapshot[at] = replace(snapshot[at], peerings=(replace(PEERING, **changes),))
    return snapshot


def test_a_pair_that_is_connected_on_both_sides_has_no_problem() -> None:
    assert problems(connected()) == ""
    assert checks.dangling_routes(connected()) == []


def test_a_missing_route_for_one_block_is_found_on_either_side() -> None:
    snapshot = connected()
    snapshot[TWO] = view(TWO, {"10.1.0.0/16"}, {"10.0.0.0/16"})
    assert "rtb-vpc-2 of vpc-2 lacks the route 2001:db8::/56 -> pcx-1" in problems(snapshot)


def test_a_route_to_another_target_or_a_blackhole_is_found() -> None:
    for route in (Route("10.1.0.0/16", "igw-1", "active"), Route("10.1.0.0/16", "pcx-1", "blackhole")):
        snapshot = connected()
        snapshot[ONE] = replace(snapshot[ONE], tables=(RouteTable("rtb-1", True, False, (route,)),))
        assert "rtb-1 of vpc-1 has 10.1.0.0/16" in problems(snapshot)


def test_a_table_that_lacks_routes_beside_one_that_has_them_is_found() -> None:
    snapshot = connected()
    empty = RouteTable("rtb-empty", False, False, ())
    snapshot[ONE] = replace(snapshot[ONE], tables=(*snapshot[ONE].tables, empty))
    assert "rtb-empty of vpc-1 lacks the route 10.1.0.0/16" in problems(snapshot)


def test_a_peering_that_is_not_active_not_managed_or_of_another_mesh_is_found() -> None:
    assert "should be active" in problems(with_peering(TWO, status="provisioning"))
    assert "lacks the managed tag on the side of vpc-2" in problems(with_peering(TWO, tags={}))
    assert f"should carry {ENV}=staging" in problems(connected(), "staging")
    assert "same Name" in problems(with_peering(TWO, tags=TAGS | {"Name": "mine"}))


def test_two_live_peerings_or_none_are_found() -> None:
    snapshot = connected()
    second = replace(PEERING, id="pcx-2")
    snapshot[ONE] = replace(snapshot[ONE], peerings=(PEERING, second))
    assert "should have one live peering" in problems(snapshot)
    assert "should have one live peering" in problems(with_peering(ONE, status="deleted"))


def test_a_deleted_vpc_is_not_connected_but_is_isolated_and_clean() -> None:
    snapshot = {ONE: connected()[ONE]}
    assert problems(snapshot) == "vpc-2 does not exist"
    empty: Snapshot = {}
    assert checks.isolation_problems(empty, ONE, TWO) == [] and checks.cleanup_problems(empty, ONE) == []


def test_leftovers_of_a_vpc_that_left_are_found() -> None:
    snapshot = with_peering(ONE, status="deleted")
    left = "; ".join(checks.isolation_problems(snapshot, ONE, TWO))
    assert "vpc-1 still has route 10.1.0.0/16 -> pcx-1" in left
    assert "vpc-2 still has pcx-1 (active)" in left
    assert any(STATUS in problem for problem in checks.cleanup_problems(snapshot, ONE))
    assert "vpc-1 has a dangling route 10.1.0.0/16 -> pcx-1" in "; ".join(checks.dangling_routes(snapshot))


def test_a_live_managed_peering_outside_the_mesh_is_an_orphan() -> None:
    assert checks.orphaned_peerings([PEERING], [ONE, TWO]) == []
    assert "pcx-1 (active) between vpc-1 and vpc-2" in checks.orphaned_peerings([PEERING], [ONE])[0]
    assert checks.orphaned_peerings([replace(PEERING, status="deleted"), replace(PEERING, tags={})], []) == []


def test_a_managed_rule_that_no_tag_requests_is_found() -> None:
    def orphaned(allow: str, *meshes: str, members: tuple[Vpc, ...] = (ONE,)) -> list[str]:
        tags = {MANAGED_BY: "peerd"} | {MESH_KEY_PREFIX + mesh: "" for mesh in meshes}
        rules = (IngressRule("sgr-1", "all 10.1.0.0/16", tags), IngressRule("sgr-2", "tcp/22 ::/0", {}))
        return checks.orphaned_rules([SecurityGroup("sg-1", ONE, {ALLOW: allow}, rules)], members)

    assert orphaned("prod", "prod") == orphaned("prod, staging", "staging") == []
    assert orphaned("prod", "prod", "staging") == orphaned("staging", "prod", "staging") != []
    assert "allows all 10.1.0.0/16 for no mesh" in orphaned("prod")[0]
    assert orphaned("prod", "prod", members=(TWO,)) == [
        "sg-1 of vpc-1 allows all 10.1.0.0/16 for prod, unrequested"
    ]


def test_active_routes_are_compared_with_the_routes_of_a_full_mesh() -> None:
    members = [ONE, TWO]
    assert len(checks.desired_routes(connected(), members)) == 3
    assert checks.active_routes(connected(), members) == checks.desired_routes(connected(), members)
    assert len(checks.active_routes(with_peering(TWO, status="provisioning"), members)) == 1
    assert list(checks.active_peerings(connected(), members)) == ["pcx-1"]
