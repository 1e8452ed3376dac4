"""Security groups that let the members of a mesh in: their tags say whom and what, and the rules follow."""

import json
from typing import NamedTuple

import pytest

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, ALLOW, MANAGED_BY, PORTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.groups import Group, from_peers, group, neighbours
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
# Nobody here has these addresses: https://datatracker.ietf.org/doc/html/rfc5737
NOBODYS = "192.0.2.0/24"
QUOTA = 60


class Pair(NamedTuple):
    """Two members of prod, the only ones, with blocks of both families, and the world that they are in."""

    world: World
    one: Vpc
    two: Vpc

    def group(self, allow: str | None = "prod", ports: str | None = None) -> Group:
        """A group in the VPC of the one."""
        return group(self.world, self.one, allow, ports)

    def wanted(self, *what: str) -> set[str]:
        """What such a group lets in that lets in this from the other."""
        return {text for each in what for text in from_peers(self.world, each, self.two)}


@pytest.fixture(scope="module")
def pair(shared_world: World) -> Pair:
    """Two connected members of prod, which the tests that need no more share."""
    one, two = (
        shared_world.vpc(account, region, mesh="prod", ipv6=True)
        for account, region in ((HUB, HOME), (SECOND, AWAY))
    )
    shared_world.until_connected(one, two)
    return Pair(shared_world, one, two)


def told_of_quota(peerd: Peerd, mesh: str, full: Group) -> list[str]:
    """What the findings of a mesh say about the quota of a group."""
    seen = json.loads(peerd.ok("status", mesh, "--json"))["meshes"][0]
    return [it["text"] for it in seen["findings"] if (it["kind"], it["subject"]) == ("quota", full.id)]


def test_a_group_that_allows_a_mesh_opens_for_its_peers_in_both_families_and_no_other_group_does(
    pair: Pair, world: World
) -> None:
    stranger = world.vpc(THIRD, HOME)
    silent, elsewhere, opens = pair.group(allow=None), group(world, stranger, allow="prod"), pair.group()

    rules = opens.until_open(pair.wanted("all"), "prod")

    assert len(rules) == 2
    for rule in rules.values():
        assert rule.tags == {MANAGED_BY: "peerd", "peerd:env/prod": "", "Name": "peerd"}
    assert silent.rules() == elsewhere.rules() == []


def test_ports_are_honoured_and_follow_their_tag_in_place(pair: Pair) -> None:
    narrow = pair.group(ports="tcp/443 udp/53 icmp")
    before = narrow.until_open(pair.wanted("tcp/443", "udp/53", "icmp"), "prod")

    narrow.tag(PORTS, "tcp/443,tcp/8000-8100")

    after = narrow.until_open(pair.wanted("tcp/443", "tcp/8000-8100"), "prod")
    for text in pair.wanted("tcp/443"):
        assert after[text].id == before[text].id
    narrow.tag(PORTS, "tcp")
    narrow.until_open(pair.wanted("tcp"), "prod")
    narrow.untag(PORTS)
    narrow.until_open(pair.wanted("all"), "prod")


def test_a_group_that_no_longer_allows_a_mesh_keeps_what_somebody_let_in_by_hand(pair: Pair) -> None:
    busy, wanted = pair.group(allow=None), pair.wanted("all")
    same, other = min(wanted), f"tcp/22 {NOBODYS}"
    busy.let_in(same, other)
    busy.tag(ALLOW, "prod")
    busy.until_open(wanted - {same}, "prod")
    assert busy.by_hand() == {same, other}

    busy.revoke(*(rule for rule in busy.rules() if rule.text == same and not rule.managed))
    busy.until_open(wanted, "prod")
    busy.untag(ALLOW)

    busy.until_shut()
    assert busy.by_hand() == {other}


def test_a_rule_that_somebody_revokes_or_changes_is_put_right_within_seconds(pair: Pair) -> None:
    tampered, wanted = pair.group(ports="tcp/443"), pair.wanted("tcp/443")
    rules = tampered.until_open(wanted, "prod")

    tampered.revoke(*rules.values())

    again = tampered.until_open(wanted, "prod")
    assert not {rule.id for rule in rules.values()} & {rule.id for rule in again.values()}
    (v4,) = (rule for text, rule in again.items() if ":" not in text)
    tampered.change(v4, f"tcp/22 {NOBODYS}")
    assert tampered.not_open(wanted, "prod")
    tampered.until_open(wanted, "prod")


def test_rules_that_do_not_fit_are_told_and_added_when_there_is_room(pair: Pair, peerd: Peerd) -> None:
    full, wanted = pair.group(allow=None, ports="tcp/1000 tcp/2000"), pair.wanted("tcp/1000", "tcp/2000")
    by_hand = [f"tcp/{port} {NOBODYS}" for port in range(1, QUOTA)]
    full.let_in(*by_hand)

    full.tag(ALLOW, "prod")

    v6 = {text for text in wanted if ":" in text}
    pair.world.eventually(lambda: [] if v6 < full.ours().keys() < wanted else [f"it has {full.ours()}"])
    pair.world.eventually(lambda: [] if told_of_quota(peerd, "prod", full) else ["no finding"])
    assert v6 < full.ours().keys() < wanted
    assert full.by_hand() == set(by_hand)

    full.revoke(*(rule for rule in full.rules() if not rule.managed))

    full.until_open(wanted, "prod")
    pair.world.eventually(lambda: told_of_quota(peerd, "prod", full))


def test_a_group_whose_event_was_lost_is_opened_by_the_sweep_and_the_next_one_writes_nothing(
    pair: Pair,
) -> None:
    control = pair.world.control
    control.drop_events(True)
    late = pair.group()
    control.drop_events(False)

    pair.world.sweep_until(lambda: late.not_open(pair.wanted("all"), "prod"))

    pair.world.quiet()
    control.forget_calls()
    control.sweep()
    pair.world.eventually(lambda: [] if pair.world.peerd_calls() else ["the sweep has not begun"])
    pair.world.quiet()
    assert pair.world.peerd_writes() == []
    assert judge.stray_rules(pair.world.groups(pair.one), [pair.one]) == []


def test_blocks_that_make_one_are_one_rule_until_one_of_them_leaves(world: World) -> None:
    first, second, both = neighbours(world)
    far, one = world.vpc(HUB, AWAY, mesh="staging"), world.vpc(HUB, HOME, mesh="staging")
    world.vpc(SECOND, HOME, cidr=first, mesh="staging")
    leaver = world.vpc(THIRD, HOME, cidr=second, mesh="staging")
    opens, (from_far,) = group(world, one, allow="staging"), from_peers(world, "all", far)
    rules = opens.until_open({f"all {both}", from_far}, "staging")

    world.untag(leaver)

    left = opens.until_open({f"all {first}", from_far}, "staging")
    assert left[from_far].id == rules[from_far].id


def test_a_group_opens_when_its_vpc_joins_and_shuts_when_it_leaves(world: World) -> None:
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, HOME, mesh="staging")
    follows = group(world, one, allow="staging")
    world.until_status(two, "joined staging")
    assert follows.rules() == []

    world.tag(one, "staging")
    follows.until_open(from_peers(world, "all", two), "staging")

    world.untag(one)
    follows.until_shut()


def test_what_two_meshes_want_is_one_rule_that_stays_when_one_lets_go(world: World) -> None:
    one, two = (world.vpc(account, HOME, mesh="staging+shared") for account in (HUB, SECOND))
    opens, wanted = group(world, one, allow="staging, shared"), from_peers(world, "all", two)
    (rule,) = opens.until_open(wanted, "staging", "shared").values()

    world.tag(two, "staging")
    (kept,) = opens.until_open(wanted, "staging").values()
    opens.tag(ALLOW, "shared")

    assert kept.id == rule.id
    opens.until_shut()


def test_a_quota_that_is_smaller_than_peerd_knows_is_told_and_leaves_what_fits(
    world: World, peerd: Peerd
) -> None:
    world.control.settings(quota_rules=1)
    one, two = (world.vpc(account, HOME, mesh="staging") for account in (HUB, SECOND))
    full = group(world, one, allow="staging", ports="tcp/1000 tcp/2000")
    wanted = from_peers(world, "tcp/1000", two) | from_peers(world, "tcp/2000", two)

    world.eventually(lambda: [] if told_of_quota(peerd, "staging", full) else ["no finding"])
    assert len(full.ours()) == 1
    assert full.ours().keys() < wanted

    world.control.settings(quota_rules=QUOTA)
    world.sweep_until(lambda: full.not_open(wanted, "staging") + told_of_quota(peerd, "staging", full))


def test_a_drain_shuts_the_groups_of_a_mesh_and_its_end_opens_them_again(
    world: World, peerd: Peerd, mesh: str
) -> None:
    one, two = (world.vpc(account, HOME, mesh=mesh) for account in (HUB, SECOND))
    opens = group(world, one, allow=mesh)
    peerd.declare(mesh)
    wanted = from_peers(world, "all", two)
    opens.until_open(wanted, mesh)

    peerd.ok("mesh", "drain", mesh)
    opens.until_shut()

    peerd.ok("mesh", "resume", mesh)
    opens.until_open(wanted, mesh)
