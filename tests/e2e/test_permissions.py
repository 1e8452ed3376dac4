"""The deployed policies: peerd needs each of their statements and actions, and no others.

One scenario makes every call that peerd makes. The sandbox records what AWS would authorize, and the tests
evaluate that again with a statement or an action less: something that was allowed must then be denied.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import pytest

from sandbox.client.control import Control
from sandbox.client.model import ACCOUNTS, MANAGED_BY, REGIONS, Vpc
from sandbox.client.sessions import Sessions
from sandbox.iam.evaluate import decide
from sandbox.iam.model import Check, Recorded
from sandbox.iam.policies import Policies, Statement
from tests.e2e.cli import Peerd
from tests.e2e.organization import organization
from tests.e2e.security_groups import Group, create_group
from tests.e2e.test_dns import set_dns_hostnames, until_options
from tests.e2e.world import World, address_ranges

pytestmark = pytest.mark.xdist_group("permissions")  # one scenario for all tests

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
WEB = {"ports": ["tcp/443"]}


@dataclass(frozen=True)
class Deployment:
    """The policies, and what was authorized with them."""

    policies: Policies
    recorded: list[Recorded]

    def denied_with(self, changed: Policies) -> list[Recorded]:
        """Returns what was allowed and would be denied with other policies."""
        return [
            it
            for it in self.recorded
            if it.decision.allowed and not decide(it.caller, it.check, changed).allowed
        ]

    def statements(self) -> dict[str, list[Statement]]:
        """Returns the statements of the templates that allow: the copies of each in the accounts and Regions.

        A statement that denies is never needed: `EncryptedOnly` denies what no client of AWS does.
        """
        found: dict[str, list[Statement]] = {}
        for statement in self.policies.statements():
            if statement.effect == "Allow" and re.search(r"[:/]peerd(-|$)", statement.holder):
                found.setdefault(_name(statement), []).append(statement)
        return found


def _name(statement: Statement) -> str:
    """Returns the name of a statement in its template, without generated parts."""
    if "SharedPolicy" in statement.policy:
        return f"{statement.sid} of SharedPolicy"
    name = re.sub(rf"-({'|'.join(REGIONS)})$", "", str(statement))
    return re.sub(r"SweepRole-\w+", "SweepRole", name).removesuffix("-dead-letters")


@pytest.fixture(scope="module")
def deployment(sessions: Sessions, control: Control, peerd: Peerd) -> Iterator[Deployment]:
    """The policies and authorizations of a scenario in which peerd makes every call that it makes."""
    control.kill()  # a function that starts has its role assumed
    control.clear_decisions()
    world = World(sessions, control, address_ranges("100.64.0.0/10"))
    try:
        _run_scenario(world, peerd)
        yield Deployment(control.policies(), control.decisions())
    finally:
        world.clean_up()
        world.until_idle()
        for mesh in ("permissions", "other"):
            peerd.run("mesh", "undeclare", mesh, "--yes")


def _run_scenario(world: World, peerd: Peerd) -> None:
    peerd.declare("permissions", dns="on", tags={"team": "network"}, security_groups=WEB)
    peerd.declare("other", security_groups=WEB)
    places = ((HUB, HOME), (SECOND, AWAY), (THIRD, HOME))
    one, two, three = (set_dns_hostnames(world, world.vpc(*place, mesh="permissions")) for place in places)
    world.until_connected(one, two, three)
    until_options(world, one, two, [True, True])
    _change_routes(world, one, two)
    _change_rules(world, one, two)
    peerd.declare("permissions", dns="on", tags={"team": "platform"}, security_groups=WEB)
    world.until_settled(one, two, three)
    world.control.sweep()
    world.until_idle()
    report = peerd.run("doctor")
    assert report.code == 0, report.out
    _adopt_and_release(world, peerd, one)
    _scan_disabled_region(world, peerd)
    with organization(world.sessions) as units:
        world.vpc(units.account(units.unit()), HOME)
        world.control.sweep()
        world.until_idle()
    world.untag(three)
    world.until_clean(three)
    world.control.sweep()
    world.until_idle()


def _change_routes(world: World, one: Vpc, two: Vpc) -> None:
    """A route is created in a table with a prefix list, and replaced after its peering was deleted."""
    ec2, table, (block,) = world.ec2(one), world.main_table(one), world.view(two).blocks
    entries = [{"Cidr": "198.51.100.0/24", "Description": "documentation"}]
    created = ec2.create_managed_prefix_list(
        PrefixListName="elsewhere", MaxEntries=1, AddressFamily="IPv4", Entries=entries
    )
    prefix_list = {"DestinationPrefixListId": created["PrefixList"]["PrefixListId"]}
    ec2.create_route(RouteTableId=table, GatewayId=world.internet_gateway(one), **prefix_list)
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock=block)
    world.until_connected(one, two)
    ec2.delete_route(RouteTableId=table, **prefix_list)
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=world.peering(one, two).id)
    world.until_connected(one, two)


def _change_rules(world: World, one: Vpc, two: Vpc) -> None:
    """A rule is created, marked for a second mesh, gets its lost owner again, and is revoked."""
    group = create_group(world, one, "permissions")
    world.eventually(lambda: [] if group.managed_rules() else ["no rule"])
    for vpc in (one, two):
        world.tag(vpc, "permissions,other")
    group.tag("peerd:allow", "permissions,other")
    rule = f"tcp/443 {min(world.view(two).blocks)}"
    world.eventually(lambda: _mesh_problems(group, rule, {"permissions", "other"}))
    for vpc in (one, two):
        world.tag(vpc, "permissions")
    world.eventually(lambda: _mesh_problems(group, rule, {"permissions"}))
    # Of two runs that remove the same tag, the second would be denied once the rule has no owner.
    world.until_idle()
    group.retag(group.managed_rules()[rule], {}, remove=[MANAGED_BY])
    world.control.sweep()
    world.eventually(lambda: [] if rule in group.managed_rules() else ["its owner is missing"])
    group.untag("peerd:allow")
    world.eventually(lambda: list(group.managed_rules()))


def _scan_disabled_region(world: World, peerd: Peerd) -> None:
    """A Region whose calls are denied is looked up."""
    scope = (SECOND, "--region", "me-central-1")
    peerd.ok("account", "add", *scope)
    world.control.sweep()
    world.until_idle()
    peerd.ok("account", "remove", *scope, "--yes")


def _mesh_problems(group: Group, rule: str, meshes: set[str]) -> list[str]:
    found = group.managed_rules()[rule].meshes
    return [] if found == meshes else [f"{rule} is for {sorted(found)}, not {sorted(meshes)}"]


def _adopt_and_release(world: World, peerd: Peerd, one: Vpc) -> None:
    other = world.vpc(SECOND, HOME)
    peering = world.create_peering(one, other)
    world.tag(other, "permissions")
    world.until_status(one, "refused permissions", f"foreign peering {peering}")
    peerd.ok("adopt", peering, "--mesh", "permissions")
    world.until_connected(one, other)
    # Of two runs that release the same peering at the same time, the second would be denied.
    world.until_idle()
    peerd.ok("release", peering, "--mesh", "permissions")
    for end, peer in ((one, other), (other, one)):
        world.eventually(
            lambda end=end, peer=peer: [f"{peering} is managed"] if world.peering(end, peer).managed else []
        )
    world.untag(other)
    world.until_idle()


def is_without_external_id(check: Check) -> bool:
    """Returns whether a role is assumed without the external id, which `peerd doctor` tries and must fail."""
    return check.action == "sts:AssumeRole" and "sts:ExternalId" not in check.keys


def test_peerd_is_denied_nothing_but_a_role_without_its_external_id(deployment: Deployment) -> None:
    denied = [(it.caller.arn, it.check) for it in deployment.recorded if not it.decision.allowed]
    assert [it for it in denied if not is_without_external_id(it[1])] == []
    assert denied


def test_without_any_one_statement_something_is_denied(deployment: Deployment) -> None:
    unneeded = {
        name
        for name, copies in deployment.statements().items()
        if not deployment.denied_with(reduce(Policies.without, _last_first(copies), deployment.policies))
    }
    assert unneeded == set()


def test_without_any_one_action_of_a_statement_something_is_denied(deployment: Deployment) -> None:
    unneeded = []
    for name, copies in deployment.statements().items():
        actions = sorted({action for it in copies for action in deployment.policies.actions(it)})
        for action in actions:
            changed = reduce(
                lambda policies, it, action=action: policies.without_action(it, action),
                copies,
                deployment.policies,
            )
            if not deployment.denied_with(changed):
                unneeded.append(f"{action} in {name}")
    assert unneeded == []


def _last_first(statements: list[Statement]) -> list[Statement]:
    """Removing one statement moves the ones after it."""
    return sorted(statements, key=lambda it: -it.index)
