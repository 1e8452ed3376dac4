"""Security groups: the ingress rules follow the tags of the group and the CIDR blocks of the peers."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, ALLOW, MANAGED_BY, PORTS, REGIONS, IngressRule, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.security_groups import Group, adjacent_cidrs, create_group, rules_from_peers
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
# A documentation block that no test uses: https://datatracker.ietf.org/doc/html/rfc5737
UNUSED_CIDR = "192.0.2.0/24"
QUOTA = 60
# The mesh of the pair that several tests share, and the ports that its policy admits.
MESH = "opened"
ADMITTED = {"ports": ["icmp", "tcp/1-2000", "tcp/8000-8100", "udp/53"]}
WEB = "tcp/443"


class Pair(NamedTuple):
    """The only two members of a mesh, with CIDR blocks of both families, and their world."""

    world: World
    one: Vpc
    two: Vpc

    def create_group(self, allow: str | None = MESH, ports: str | None = WEB) -> Group:
        """Creates a group in the first VPC."""
        return create_group(self.world, self.one, allow, ports)

    def wanted(self, *ports: str) -> set[str]:
        """Returns the rules that allow these ports from the second VPC."""
        return {text for port in ports for text in rules_from_peers(self.world, port, self.two)}


@pytest.fixture(scope="module")
def pair(shared_world: World, peerd: Peerd) -> Iterator[Pair]:
    """Two connected members of a mesh that several tests share."""
    peerd.declare(MESH, security_groups=ADMITTED)
    one, two = (
        shared_world.vpc(account, region, mesh=MESH, ipv6=True)
        for account, region in ((HUB, HOME), (SECOND, AWAY))
    )
    shared_world.until_connected(one, two)
    yield Pair(shared_world, one, two)
    peerd.ok("mesh", "undeclare", MESH, "--yes")


@pytest.fixture
def opened(mesh: str, peerd: Peerd) -> str:
    """A mesh whose policy admits ports."""
    peerd.declare(mesh, security_groups=ADMITTED)
    return mesh


def quota_findings(peerd: Peerd, mesh: str, group: Group) -> list[str]:
    """Returns the texts of the quota findings of a group."""
    status = json.loads(peerd.ok("status", mesh, "--json"))["meshes"][0]
    of_group = [it for it in status["findings"] if it["kind"] == "quota" and group.id in it["subject"]]
    return [it["text"] for it in of_group]


def test_a_group_that_allows_a_mesh_gets_rules_for_its_peers_in_both_families_and_no_other_does(
    pair: Pair, world: World
) -> None:
    other = world.vpc(THIRD, HOME)
    untagged, outside, allowing = (
        pair.create_group(allow=None),
        create_group(world, other, allow=MESH),
        pair.create_group(),
    )

    rules = allowing.until_rules(pair.wanted(WEB), MESH)

    assert len(rules) == 2
    for rule in rules.values():
        assert rule.tags == {MANAGED_BY: "peerd", f"peerd:env/{MESH}": "", "Name": "peerd"}
    assert untagged.rules() == outside.rules() == []


def test_rules_use_the_ports_of_the_tag_and_follow_it_in_place(pair: Pair) -> None:
    group = pair.create_group(ports="tcp/443 udp/53 icmp")
    before = group.until_rules(pair.wanted("tcp/443", "udp/53", "icmp"), MESH)

    group.tag(PORTS, "tcp/443,tcp/8000-8100")

    after = group.until_rules(pair.wanted("tcp/443", "tcp/8000-8100"), MESH)
    for text in pair.wanted("tcp/443"):
        assert after[text].id == before[text].id
    group.untag(PORTS)
    group.until_rules(pair.wanted(*ADMITTED["ports"]), MESH)


def test_a_group_opens_no_port_that_the_policy_does_not_admit_and_none_without_a_policy(
    pair: Pair, peerd: Peerd
) -> None:
    group = pair.create_group(ports="tcp/22-53 tcp/3306 all")
    group.until_rules(pair.wanted("tcp/22-53"), MESH)
    findings = json.loads(peerd.ok("status", MESH, "--json"))["meshes"][0]["findings"]
    texts = {it["text"] for it in findings if group.id in it["subject"]}
    assert f"tcp/3306 in peerd:ports is more than the policy of {MESH} allows" in texts
    assert any("`all` in peerd:ports is invalid" in text for text in texts)

    peerd.declare(MESH)
    group.until_no_rules()

    peerd.declare(MESH, security_groups=ADMITTED)
    group.until_rules(pair.wanted("tcp/22-53"), MESH)


def test_a_group_is_opened_only_for_what_its_vpc_routes_to_the_peer(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh, security_groups=ADMITTED, routes={"tables": "tagged"})
    one, two = (world.vpc(account, HOME, mesh=mesh) for account in (HUB, SECOND))
    group = create_group(world, one, allow=mesh, ports=WEB)
    world.until_status(two, f"joined {mesh}")
    world.until_idle()
    assert group.rules() == []

    tags = [{"Key": "peerd:routes", "Value": "manage"}]
    world.ec2(one).create_tags(Resources=[world.main_table(one)], Tags=tags)

    group.until_rules(rules_from_peers(world, WEB, two), mesh)


def test_a_group_that_no_longer_allows_a_mesh_keeps_its_unmanaged_rules(pair: Pair) -> None:
    group, wanted = pair.create_group(allow=None), pair.wanted(WEB)
    same, other = min(wanted), f"tcp/22 {UNUSED_CIDR}"
    group.allow(same, other)
    group.tag(ALLOW, MESH)
    group.until_rules(wanted - {same}, MESH)
    assert group.unmanaged_rules() == {same, other}

    group.revoke(*(rule for rule in group.rules() if rule.text == same and not rule.managed))
    group.until_rules(wanted, MESH)
    group.untag(ALLOW)

    group.until_no_rules()
    assert group.unmanaged_rules() == {other}


def until_reported(pair: Pair, peerd: Peerd, rule: IngressRule, reported: bool = True) -> None:
    """Waits until a rule is reported as unsealed, or no longer is."""

    def problems() -> list[str]:
        findings = json.loads(peerd.ok("status", MESH, "--json"))["meshes"][0]["findings"]
        texts = [it["text"] for it in findings if rule.id in it["subject"]]
        return [] if any("no valid seal" in text for text in texts) is reported else [f"findings: {texts}"]

    pair.world.control.sweep()
    pair.world.eventually(problems)
    pair.world.until_idle()


def test_a_manually_revoked_or_modified_rule_is_restored(pair: Pair, peerd: Peerd) -> None:
    group, wanted = pair.create_group(ports="tcp/443"), pair.wanted("tcp/443")
    rules = group.until_rules(wanted, MESH)

    group.revoke(*rules.values())

    again = group.until_rules(wanted, MESH)
    assert not {rule.id for rule in rules.values()} & {rule.id for rule in again.values()}
    (v4,) = (rule for text, rule in again.items() if ":" not in text)
    group.modify(v4, f"tcp/22 {UNUSED_CIDR}")
    pair.world.eventually(lambda: sorted(wanted - group.managed_rules().keys()))
    until_reported(pair, peerd, v4)
    assert group.managed_rules()[f"tcp/22 {UNUSED_CIDR}"].id == v4.id, "peerd did not make this permission"
    group.revoke(v4)
    group.until_rules(wanted, MESH)


def test_a_forged_ownership_tag_on_a_rule_is_reported_and_the_rule_stays(pair: Pair, peerd: Peerd) -> None:
    group, other = pair.create_group(), f"tcp/22 {UNUSED_CIDR}"
    group.until_rules(pair.wanted(WEB), MESH)
    group.allow(other)
    (forged,) = (rule for rule in group.rules() if rule.text == other)

    group.retag(forged, {MANAGED_BY: "peerd", f"peerd:env/{MESH}": ""})

    until_reported(pair, peerd, forged)
    assert forged.id in {rule.id for rule in group.rules()}
    group.retag(forged, {}, remove=[MANAGED_BY])
    until_reported(pair, peerd, forged, reported=False)
    assert group.unmanaged_rules() == {other}


def test_a_rule_that_lost_its_tags_is_tagged_again_or_revoked(pair: Pair) -> None:
    group = pair.create_group()
    rules = group.until_rules(pair.wanted(WEB), MESH)

    def strip() -> None:
        for rule in rules.values():
            group.retag(rule, {}, remove=[MANAGED_BY, f"peerd:env/{MESH}"])

    strip()
    pair.world.control.sweep()
    again = group.until_rules(pair.wanted(WEB), MESH)
    assert {rule.id for rule in again.values()} == {rule.id for rule in rules.values()}
    strip()
    group.tag(PORTS, "udp/53")
    group.until_rules(pair.wanted("udp/53"), MESH)
    pair.world.eventually(lambda: sorted(group.unmanaged_rules()))


def test_rules_over_quota_are_reported_and_added_when_there_is_capacity(pair: Pair, peerd: Peerd) -> None:
    group, wanted = (
        pair.create_group(allow=None, ports="tcp/1000 tcp/2000"),
        pair.wanted("tcp/1000", "tcp/2000"),
    )
    unmanaged = [f"tcp/{port} {UNUSED_CIDR}" for port in range(1, QUOTA)]
    group.allow(*unmanaged)

    group.tag(ALLOW, MESH)

    v6 = {text for text in wanted if ":" in text}
    pair.world.eventually(
        lambda: (
            [] if v6 < group.managed_rules().keys() < wanted else [f"its rules are {group.managed_rules()}"]
        )
    )
    pair.world.eventually(lambda: [] if quota_findings(peerd, MESH, group) else ["no finding"])
    assert v6 < group.managed_rules().keys() < wanted
    assert group.unmanaged_rules() == set(unmanaged)

    group.revoke(*(rule for rule in group.rules() if not rule.managed))

    group.until_rules(wanted, MESH)
    pair.world.eventually(lambda: quota_findings(peerd, MESH, group))


def test_a_group_whose_event_was_lost_gets_its_rules_from_a_sweep_and_the_next_one_writes_nothing(
    pair: Pair,
) -> None:
    control = pair.world.control
    control.drop_events(True)
    group = pair.create_group()
    control.drop_events(False)

    pair.world.sweep_until(lambda: group.rule_problems(pair.wanted(WEB), MESH))

    pair.world.until_idle()
    control.clear_calls()
    control.sweep()
    pair.world.eventually(lambda: [] if pair.world.peerd_calls() else ["the sweep has not started"])
    pair.world.until_idle()
    assert pair.world.peerd_writes() == []
    assert checks.orphaned_rules(pair.world.groups(pair.one), [pair.one]) == []


def test_adjacent_cidr_blocks_share_one_rule_until_one_of_them_leaves(world: World, opened: str) -> None:
    first, second, both = adjacent_cidrs(world)
    far, one = world.vpc(HUB, AWAY, mesh=opened), world.vpc(HUB, HOME, mesh=opened)
    world.vpc(SECOND, HOME, cidr=first, mesh=opened)
    leaver = world.vpc(THIRD, HOME, cidr=second, mesh=opened)
    allowing, (from_far,) = (
        create_group(world, one, allow=opened, ports=WEB),
        rules_from_peers(world, WEB, far),
    )
    rules = allowing.until_rules({f"{WEB} {both}", from_far}, opened)

    world.untag(leaver)

    left = allowing.until_rules({f"{WEB} {first}", from_far}, opened)
    assert left[from_far].id == rules[from_far].id


def test_a_group_gets_rules_when_its_vpc_joins_and_loses_them_when_it_leaves(
    world: World, opened: str
) -> None:
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, HOME, mesh=opened)
    group = create_group(world, one, allow=opened, ports=WEB)
    world.until_status(two, f"joined {opened}")
    assert group.rules() == []

    world.tag(one, opened)
    group.until_rules(rules_from_peers(world, WEB, two), opened)

    world.untag(one)
    group.until_no_rules()


def test_a_rule_that_two_meshes_share_is_kept_when_one_mesh_releases_it(
    world: World, opened: str, peerd: Peerd
) -> None:
    peerd.declare("shared", security_groups=ADMITTED)
    one, two = (world.vpc(account, HOME, mesh=f"{opened}+shared") for account in (HUB, SECOND))
    allowing = create_group(world, one, allow=f"{opened}, shared", ports=WEB)
    wanted = rules_from_peers(world, WEB, two)
    (rule,) = allowing.until_rules(wanted, opened, "shared").values()

    world.tag(two, opened)
    (kept,) = allowing.until_rules(wanted, opened).values()
    allowing.tag(ALLOW, "shared")

    assert kept.id == rule.id
    allowing.until_no_rules()
    peerd.declare("shared")


def test_a_quota_below_the_known_value_is_reported_and_the_rules_within_it_are_kept(
    world: World, peerd: Peerd, opened: str
) -> None:
    world.control.settings(quota_rules=1)
    one, two = (world.vpc(account, HOME, mesh=opened) for account in (HUB, SECOND))
    group = create_group(world, one, allow=opened, ports="tcp/1000 tcp/2000")
    wanted = rules_from_peers(world, "tcp/1000", two) | rules_from_peers(world, "tcp/2000", two)

    world.eventually(lambda: [] if quota_findings(peerd, opened, group) else ["no finding"])
    assert len(group.managed_rules()) == 1
    assert group.managed_rules().keys() < wanted

    world.control.settings(quota_rules=QUOTA)
    world.sweep_until(lambda: group.rule_problems(wanted, opened) + quota_findings(peerd, opened, group))


def test_a_drain_revokes_the_rules_of_a_mesh_and_a_resume_restores_them(
    world: World, peerd: Peerd, opened: str
) -> None:
    mesh = opened
    one, two = (world.vpc(account, HOME, mesh=mesh) for account in (HUB, SECOND))
    allowing = create_group(world, one, allow=mesh, ports=WEB)
    wanted = rules_from_peers(world, WEB, two)
    allowing.until_rules(wanted, mesh)

    peerd.ok("mesh", "drain", mesh, "--yes")
    allowing.until_no_rules()

    peerd.ok("mesh", "resume", mesh)
    allowing.until_rules(wanted, mesh)
