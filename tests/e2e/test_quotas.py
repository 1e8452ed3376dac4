"""AWS quotas: peerd reads them before it makes requests, respects them, and reports usage near the limit."""

import json
from typing import Any

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS, Vpc
from tests.e2e.cli import Peerd
from tests.e2e.security_groups import create_group, rules_from_peers
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
# The default values.
DEFAULT_QUOTAS = {"quota_peerings": 50, "quota_routes": 500, "quota_rules": 60}


def quota_findings(peerd: Peerd, mesh: str = "prod") -> dict[str, str]:
    """Returns the quota findings by their VPC, route table or security group."""
    (status,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]
    return {it["subject"]: it["text"] for it in status["findings"] if it["kind"] == "quota"}


def quota_errors(world: World) -> list[dict[str, Any]]:
    """Returns the calls of peerd that failed because of a quota."""
    return [call for call in world.peerd_calls() if "LimitExceeded" in (call["error"] or "")]


def finding_subject(vpc: Vpc) -> str:
    """Returns the subject of a finding about a VPC."""
    return f"{vpc.id} ({vpc.account}/{vpc.region})"


def test_the_earliest_members_keep_their_slots_and_a_member_over_quota_joins_after_an_increase(
    world: World, peerd: Peerd
) -> None:
    world.control.settings(quota_peerings=1)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)
    first = world.peering(one, two).id

    third = world.vpc(THIRD, HOME, mesh="prod")

    world.until_status(third, "refused prod with", "has reached its peering quota")
    full = f"no capacity for {third.id}: the quota is 1 active peerings per VPC"
    world.eventually(
        lambda: _difference(quota_findings(peerd), {finding_subject(one): full, finding_subject(two): full})
    )
    assert world.peering(one, two).id == first
    assert not checks.connection_problems(world.snapshot(one, two), one, two)
    assert not quota_errors(world), "peerd checks the quota before it makes a request"

    world.control.settings(**DEFAULT_QUOTAS)
    world.sweep_until_connected(one, two, third)
    world.eventually(lambda: [it for it in [world.status(third)] if it != "joined prod"])
    world.eventually(lambda: _difference(quota_findings(peerd), {}))


def test_a_full_route_table_keeps_its_routes_and_the_routes_over_quota_are_reported(
    world: World, peerd: Peerd
) -> None:
    world.control.settings(quota_routes=1)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)

    third = world.vpc(THIRD, HOME, mesh="prod")

    world.until_status(third, "refused prod with", "has reached its route quota")
    (block,) = world.view(third).blocks
    limit = "the quota is 1 routes per route table, for IPv4 and IPv6 each"
    full = f"no capacity for {block} of {third.id}: {limit}"
    subject = f"{world.main_table(one)} in {one.account}/{one.region}"
    world.eventually(lambda: [] if quota_findings(peerd).get(subject) == full else ["no finding"])
    assert not checks.connection_problems(world.snapshot(one, two), one, two)
    assert not quota_errors(world)

    world.control.settings(**DEFAULT_QUOTAS)
    world.sweep_until_connected(one, two, third)


def test_a_quota_that_is_80_percent_used_is_reported(world: World, peerd: Peerd, mesh: str) -> None:
    peerd.declare(mesh, security_groups={"ports": ["tcp/1"]})
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    world.until_connected(one, two)
    allowing = create_group(world, one, allow=mesh)
    allowing.until_rules(rules_from_peers(world, "tcp/1", two), mesh)
    assert quota_findings(peerd, mesh) == {}

    allowing.allow(*(f"tcp/{port} 192.0.2.0/24" for port in range(1, 48)))

    world.control.sweep()
    text = "80 % used: the quota is 60 ingress rules per security group, for IPv4 and IPv6 each"
    subject = f"{allowing.id} in {HUB}/{HOME}"
    world.eventually(lambda: _difference(quota_findings(peerd, mesh), {subject: text}))


def test_without_access_to_quotas_the_defaults_are_assumed_and_quota_errors_are_reported(
    world: World, peerd: Peerd
) -> None:
    denied = {"service": "servicequotas", "action": "*", "code": "AccessDeniedException", "status": 400}
    world.control.faults(denied | {"times": 1000})
    world.control.settings(quota_peerings=1)
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)

    third = world.vpc(THIRD, HOME, mesh="prod")

    world.until_status(third, "refused prod with", "an AWS quota is exceeded")
    assert quota_errors(world)
    assert not checks.connection_problems(world.snapshot(one, two), one, two)


def _difference(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return [] if found == wanted else [f"found {found}"]
