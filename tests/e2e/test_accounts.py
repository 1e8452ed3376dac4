"""Accounts: found in the organisation, admitted by unit, registered by hand, suspended, removed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.client import judge
from sandbox.client.control import Control
from sandbox.client.model import ACCOUNTS, REGIONS
from sandbox.client.sessions import Sessions
from tests.e2e.cli import Peerd
from tests.e2e.organization import Organization, organization
from tests.e2e.waiting import until_quiet
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


@pytest.fixture(autouse=True)
def _registered(peerd: Peerd, control: Control) -> Iterator[None]:
    """Removes the accounts that a test registered, when its VPCs and the accounts themselves have left."""
    yield
    control.sweep()
    until_quiet(control)
    for account in json.loads(peerd.ok("account", "list", "--json"))["accounts"]:
        if account["account"] not in ACCOUNTS and not account["removed"]:
            peerd.ok("account", "remove", account["account"])


@pytest.fixture
def units(sessions: Sessions) -> Iterator[Organization]:
    """The organization. The accounts of the test leave its units before the VPCs leave their meshes."""
    with organization(sessions) as known:
        yield known


def known(peerd: Peerd, account: str) -> dict[str, Any] | None:
    """What `peerd account list` says of an account."""
    accounts = json.loads(peerd.ok("account", "list", "--json"))["accounts"]
    return next((it for it in accounts if it["account"] == account), None)


def gaps(peerd: Peerd, mesh: str) -> dict[str, dict[str, Any]]:
    """The gaps that are open of a mesh, by scope."""
    (seen,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]
    return {it["subject"]: it for it in seen["findings"] if it["kind"] == "gap"}


def test_a_new_account_of_the_organisation_is_found_by_the_sweep_and_its_vpc_joins(
    world: World, peerd: Peerd, units: Organization
) -> None:
    world.control.drop_events(True)
    unit = units.unit()
    account = units.account(unit)
    ours, theirs = world.vpc(HUB, HOME, mesh="prod"), world.vpc(account, HOME, mesh="prod")

    world.sweep_until_connected(ours, theirs)

    assert known(peerd, account) == {
        "account": account,
        "known_by": ["organisation"],
        "regions": sorted(REGIONS),
        "units": [unit, units.meshes],
        "state": None,
        "removed": False,
    }


def test_a_mesh_admits_by_unit_and_lets_go_of_an_account_that_moves_out(
    world: World, peerd: Peerd, mesh: str, units: Organization
) -> None:
    inside, outside = units.unit(), units.unit()
    first, second, third = units.account(inside), units.account(inside), units.account(outside)
    peerd.declare(mesh, admit={"units": [inside]})
    one, two = world.vpc(first, HOME, mesh=mesh), world.vpc(second, HOME, mesh=mesh)
    other = world.vpc(third, HOME, mesh=mesh)
    world.sweep_until_connected(one, two)
    world.until_status(other, f"refused {mesh}", f"account {third} is in no admitted organisational unit")
    assert not judge.not_apart(world.see(one, other), one, other)

    units.move(third, inside)
    world.sweep_until_connected(one, two, other)
    units.move(second, outside)

    world.sweep_until(lambda: judge.not_apart(world.see(one, two), one, two))
    world.until_status(two, f"refused {mesh}")
    assert not judge.not_connected(world.see(one, other), one, other)


def test_a_unit_that_peerd_does_not_look_at_opens_nothing_closes_nothing_and_is_reported(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.settle(one, two)
    before = world.peering(one, two).id

    peerd.declare(mesh, admit={"units": ["ou-zzzz-zzzzzzzz"]})
    three = world.vpc(THIRD, HOME, mesh=mesh)

    for vpc in (one, two, three):
        world.until_status(vpc, f"refused {mesh}", "who is in ou-zzzz-zzzzzzzz is not known")
    world.control.sweep()
    world.quiet()
    assert world.peering(one, two).id == before
    assert not judge.not_connected(world.see(one, two), one, two)
    assert not judge.not_apart(world.see(one, three), one, three)
    assert "OrganizationalUnits" in peerd.ok("status", mesh)


def test_a_suspended_account_is_a_gap_that_says_so_and_since_when_until_it_is_removed(
    world: World, peerd: Peerd, mesh: str, units: Organization
) -> None:
    account = units.account(units.unit())
    peerd.declare(mesh)
    ours, theirs = world.vpc(HUB, HOME, mesh=mesh), world.vpc(account, HOME, mesh=mesh)
    world.sweep_until_connected(ours, theirs)
    world.quiet()
    before = world.peering(ours, theirs).id

    units.close(account)
    denied = {"service": "sts", "action": "AssumeRole", "account": account, "principal": "*drift-repair*"}
    closed = {"service": "ec2", "action": "*", "account": account, "principal": "*peerd-spoke*"}
    world.control.faults(
        denied | {"code": "AccessDenied", "status": 403},
        closed | {"code": "UnauthorizedOperation", "status": 403},
    )
    where = f"{account}/{HOME}"
    world.sweep_until(lambda: [] if list(gaps(peerd, mesh)) == [where] else [f"{gaps(peerd, mesh)}"])
    world.sweep_until(lambda: [] if "SUSPENDED" in str(gaps(peerd, mesh)) else [f"{gaps(peerd, mesh)}"])

    (gap,) = gaps(peerd, mesh).values()
    assert gap["text"].startswith(f"{account} is SUSPENDED in its organisation: ")
    assert gap["age_seconds"] < 60
    assert world.peering(ours, theirs).id == before

    peerd.ok("account", "remove", account)

    world.eventually(lambda: [f"{it} is open" for it in gaps(peerd, mesh)])
    world.eventually(lambda: [f"{it} stands" for it in world.look(ours).live_peerings(theirs)])
    world.eventually(lambda: judge.dead_routes(world.see(ours)))


def test_an_account_that_nobody_named_is_registered_by_its_first_event(
    world: World, peerd: Peerd, units: Organization
) -> None:
    account = units.account(units.root)
    ours = world.vpc(HUB, HOME, mesh="prod")
    world.until_status(ours, "joined prod")

    theirs = world.vpc(account, HOME, mesh="prod")

    world.until_connected(ours, theirs)
    listed = known(peerd, account)
    assert listed is not None and (listed["known_by"], listed["regions"]) == (["registration"], [HOME])


def test_an_account_that_is_registered_by_hand_is_looked_at_at_once_and_one_in_use_is_not_removed(
    world: World, peerd: Peerd, units: Organization
) -> None:
    ours = world.vpc(HUB, HOME, mesh="prod")
    world.until_status(ours, "joined prod")
    world.control.drop_events(True)
    account = units.account(units.root)
    theirs = world.vpc(account, HOME, mesh="prod")
    assert known(peerd, account) is None

    peerd.ok("account", "add", account, "--region", HOME)

    world.until_connected(ours, theirs)
    listed = known(peerd, account)
    assert listed is not None and (listed["known_by"], listed["regions"]) == (["registration"], [HOME])
    refused = peerd.run("account", "remove", HUB)
    assert refused.code == 1 and f"{HUB} is in the stack parameter Accounts" in refused.err
    world.untag(theirs)
    world.sweep_until(lambda: judge.not_clean(world.see(theirs), theirs))
    peerd.ok("account", "remove", account)
    removed = known(peerd, account)
    assert removed is not None and (removed["known_by"], removed["removed"]) == ([], True)


def test_a_region_that_an_account_has_not_switched_on_is_no_gap_and_an_account_without_a_role_is_one(
    world: World, peerd: Peerd, mesh: str
) -> None:
    off, nowhere = "me-central-1", "999999999999"
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.settle(one, two)

    peerd.ok("account", "add", SECOND, "--region", off)
    peerd.ok("account", "add", nowhere, "--region", HOME)

    try:
        world.sweep_until(lambda: [] if gaps(peerd, mesh) else ["no gap yet"])
        assert list(gaps(peerd, mesh)) == [f"{nowhere}/{HOME}"]
        asked = [call for call in world.peerd_calls() if (call["account"], call["region"]) == (SECOND, off)]
        assert asked and all(call["error"] == "AuthFailure" for call in asked)
    finally:
        peerd.ok("account", "remove", nowhere)
        peerd.ok("account", "remove", SECOND, "--region", off)
