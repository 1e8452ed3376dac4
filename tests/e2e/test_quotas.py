"""AWS's quotas: read before anything is asked for, kept to, and told when they are scarce or used up."""

import json
from typing import Any

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.groups import from_peers, group
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
# What AWS grants whoever has not asked for more.
AT_FIRST = {"quota_peerings": 50, "quota_routes": 500, "quota_rules": 60}


def quota_findings(peerd: Peerd, mesh: str = "prod") -> dict[str, str]:
    """What is said of quotas, by the VPC, table or group of which it is said."""
    (seen,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]
    return {it["subject"]: it["text"] for it in seen["findings"] if it["kind"] == "quota"}


def refused_for_a_quota(world: World) -> list[dict[str, Any]]:
    """Calls of peerd's that AWS has refused because a quota was used up."""
    return [call for call in world.peerd_calls() if "LimitExceeded" in (call["error"] or "")]


def about(vpc: Vpc) -> str:
    """How a finding names a VPC."""
    return f"{vpc.id} ({vpc.account}/{vpc.region})"


def test_who_joined_first_stays_and_who_does_not_fit_is_named_and_joins_when_more_is_granted(
    world: World, peerd: Peerd
) -> None:
    world.control.settings(quota_peerings=1)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    first = world.peering(one, two).id

    third = world.vpc(THIRD, HOME, mesh="prod")

    world.until_status(third, "refused prod with", "has no room for more peerings")
    full = f"no room for {third.id}: AWS grants 1 peerings of a VPC"
    world.eventually(lambda: _unlike(quota_findings(peerd), {about(one): full, about(two): full}))
    assert world.peering(one, two).id == first
    assert not judge.not_connected(world.see(one, two), one, two)
    assert not refused_for_a_quota(world), "peerd knew before it asked"

    world.control.settings(**AT_FIRST)
    world.sweep_until_connected(one, two, third)
    world.eventually(lambda: [it for it in [world.status(third)] if it != "joined prod"])
    world.eventually(lambda: _unlike(quota_findings(peerd), {}))


def test_a_full_route_table_keeps_its_routes_and_names_those_for_which_it_has_no_room(
    world: World, peerd: Peerd
) -> None:
    world.control.settings(quota_routes=1)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)

    third = world.vpc(THIRD, HOME, mesh="prod")

    world.until_status(third, "refused prod with", "has no room for more routes")
    (block,) = world.look(third).blocks
    full = f"no room for {block} of {third.id}: AWS grants 1 routes of a table, of IPv4 and of IPv6 each"
    world.eventually(lambda: [] if quota_findings(peerd).get(world.main_table(one)) == full else ["not told"])
    assert not judge.not_connected(world.see(one, two), one, two)
    assert not refused_for_a_quota(world)

    world.control.settings(**AT_FIRST)
    world.sweep_until_connected(one, two, third)


def test_a_quota_of_which_four_fifths_are_taken_is_told_before_it_is_used_up(
    world: World, peerd: Peerd
) -> None:
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    opens = group(world, one, allow="prod", ports="tcp/1")
    opens.until_open(from_peers(world, "tcp/1", two), "prod")
    assert quota_findings(peerd) == {}

    opens.let_in(*(f"tcp/{port} 192.0.2.0/24" for port in range(1, 48)))

    world.control.sweep()
    text = "four fifths are taken: AWS grants 60 ingress rules of a security group, of IPv4 and of IPv6 each"
    world.eventually(lambda: _unlike(quota_findings(peerd), {opens.id: text}))


def test_where_quotas_may_not_be_read_what_aws_grants_at_first_is_believed_and_its_refusals_are_told(
    world: World, peerd: Peerd
) -> None:
    denied = {"service": "servicequotas", "action": "*", "code": "AccessDeniedException", "status": 400}
    world.control.faults(denied | {"times": 1000})
    world.control.settings(quota_peerings=1)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)

    third = world.vpc(THIRD, HOME, mesh="prod")

    world.until_status(third, "refused prod with", "a quota of AWS is used up")
    assert refused_for_a_quota(world)
    assert not judge.not_connected(world.see(one, two), one, two)


def _unlike(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return [] if found == wanted else [f"found {found}"]
