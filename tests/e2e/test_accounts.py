"""Accounts: found in the organization, admitted by unit, registered manually, suspended, removed."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.client import checks
from sandbox.client.control import Control
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.organization import Organization
from tests.e2e.waiting import until_idle
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


@pytest.fixture(autouse=True)
def _remove_registered_accounts(peerd: Peerd, control: Control) -> Iterator[None]:
    """Removes the accounts that a test registered, after its VPCs and accounts are gone."""
    yield
    control.sweep()
    until_idle(control)
    for account in json.loads(peerd.ok("account", "list", "--json"))["accounts"]:
        if account["account"] not in ACCOUNTS and not account["removed"]:
            peerd.ok("account", "remove", account["account"], "--yes")


def account_entry(peerd: Peerd, account: str) -> dict[str, Any] | None:
    """Returns the entry of an account in `peerd account list`, or None."""
    accounts = json.loads(peerd.ok("account", "list", "--json"))["accounts"]
    return next((it for it in accounts if it["account"] == account), None)


def unreadable_scopes(peerd: Peerd, mesh: str) -> dict[str, dict[str, Any]]:
    """Returns the open findings of kind `unreadable` of a mesh, by scope."""
    (status,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]
    return {it["subject"]: it for it in status["findings"] if it["kind"] == "unreadable"}


def test_a_new_account_of_the_organization_is_found_by_the_sweep_and_its_vpc_joins(
    world: World, peerd: Peerd, units: Organization
) -> None:
    world.control.drop_events(True)
    unit = units.unit()
    account = units.account(unit)
    ours, theirs = world.vpc(HUB, HOME, mesh="prod"), world.vpc(account, HOME, mesh="prod")

    world.sweep_until_connected(ours, theirs)

    assert account_entry(peerd, account) == {
        "account": account,
        "known_by": ["organization"],
        "regions": sorted(REGIONS),
        "units": [unit, units.meshes],
        "state": None,
        "removed": False,
        "blocked": False,
        "unreadable": False,
    }


def test_a_mesh_admits_by_unit_and_removes_an_account_that_moves_out(
    world: World, peerd: Peerd, mesh: str, units: Organization
) -> None:
    inside, outside = units.unit(), units.unit()
    first, second, third = units.account(inside), units.account(inside), units.account(outside)
    peerd.declare(mesh, admit={"units": [inside]})
    one, two = world.vpc(first, HOME, mesh=mesh), world.vpc(second, HOME, mesh=mesh)
    other = world.vpc(third, HOME, mesh=mesh)
    world.sweep_until_connected(one, two)
    world.until_status(other, f"refused {mesh}", f"account {third} is in no admitted organizational unit")
    assert not checks.isolation_problems(world.snapshot(one, other), one, other)

    units.move(third, inside)
    world.sweep_until_connected(one, two, other)
    units.move(second, outside)

    world.sweep_until(lambda: checks.isolation_problems(world.snapshot(one, two), one, two))
    world.until_status(two, f"refused {mesh}")
    assert not checks.connection_problems(world.snapshot(one, other), one, other)


def test_a_unit_that_peerd_does_not_read_changes_no_peering_and_is_reported(
    world: World, peerd: Peerd, mesh: str
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.until_settled(one, two)
    before = world.peering(one, two).id

    peerd.declare(mesh, admit={"units": ["ou-zzzz-zzzzzzzz"]})
    three = world.vpc(THIRD, HOME, mesh=mesh)

    for vpc in (one, two, three):
        world.until_status(vpc, f"refused {mesh}", "the accounts in ou-zzzz-zzzzzzzz are not known")
    world.control.sweep()
    world.until_idle()
    assert world.peering(one, two).id == before
    assert not checks.connection_problems(world.snapshot(one, two), one, two)
    assert not checks.isolation_problems(world.snapshot(one, three), one, three)
    assert "OrganizationalUnits" in peerd.ok("status", mesh)


def test_a_suspended_account_is_reported_as_unreadable_with_its_age_until_it_is_removed(
    world: World, peerd: Peerd, mesh: str, units: Organization
) -> None:
    began = time.monotonic()
    account = units.account(units.unit())
    peerd.declare(mesh)
    ours, theirs = world.vpc(HUB, HOME, mesh=mesh), world.vpc(account, HOME, mesh=mesh)
    world.sweep_until_connected(ours, theirs)
    world.until_idle()
    before = world.peering(ours, theirs).id

    units.close(account)
    denied = {"service": "sts", "action": "AssumeRole", "account": account, "principal": "*drift-repair*"}
    closed = {"service": "ec2", "action": "*", "account": account, "principal": "*peerd-spoke*"}
    world.control.faults(
        denied | {"code": "AccessDenied", "status": 403},
        closed | {"code": "UnauthorizedOperation", "status": 403},
    )
    scope = f"{account}/{HOME}"
    world.sweep_until(
        lambda: (
            [] if list(unreadable_scopes(peerd, mesh)) == [scope] else [f"{unreadable_scopes(peerd, mesh)}"]
        )
    )
    world.sweep_until(
        lambda: (
            []
            if "SUSPENDED" in str(unreadable_scopes(peerd, mesh))
            else [f"{unreadable_scopes(peerd, mesh)}"]
        )
    )

    (finding,) = unreadable_scopes(peerd, mesh).values()
    assert finding["text"].startswith(f"{account} is SUSPENDED in its organization: ")
    assert finding["age_seconds"] <= time.monotonic() - began
    assert world.peering(ours, theirs).id == before

    peerd.ok("account", "remove", account, "--yes")

    world.eventually(lambda: [f"{it} is open" for it in unreadable_scopes(peerd, mesh)])
    world.eventually(lambda: [f"{it} exists" for it in world.view(ours).live_peerings(theirs)])
    world.eventually(lambda: checks.dangling_routes(world.snapshot(ours)))
    # AWS deletes what a closed account has. peerd neither scans it nor gets its events any more.
    world.delete_vpc(theirs)


def test_a_manually_registered_account_is_scanned_immediately_and_a_configured_account_is_not_removed(
    world: World, peerd: Peerd, units: Organization
) -> None:
    ours = world.vpc(HUB, HOME, mesh="prod")
    world.until_status(ours, "joined prod")
    world.control.drop_events(True)
    account = units.account(units.root)
    theirs = world.vpc(account, HOME, mesh="prod")
    assert account_entry(peerd, account) is None

    peerd.ok("account", "add", account, "--region", HOME)

    world.until_connected(ours, theirs)
    listed = account_entry(peerd, account)
    assert listed is not None and (listed["known_by"], listed["regions"]) == (["registration"], [HOME])
    refused = peerd.run("account", "remove", HUB)
    assert refused.code == 1 and f"{HUB} is in the stack parameter Accounts" in refused.err
    world.untag(theirs)
    world.sweep_until(lambda: checks.cleanup_problems(world.snapshot(theirs), theirs))
    peerd.ok("account", "remove", account, "--yes")
    removed = account_entry(peerd, account)
    assert removed is not None and (removed["known_by"], removed["removed"]) == ([], True)


def test_a_region_that_is_not_enabled_is_not_reported_and_an_account_without_a_role_is(
    world: World, peerd: Peerd, mesh: str
) -> None:
    disabled, roleless = "me-central-1", "999999999999"
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.until_settled(one, two)

    peerd.ok("account", "add", SECOND, "--region", disabled)
    peerd.ok("account", "add", roleless, "--region", HOME)

    try:
        world.sweep_until(lambda: [] if unreadable_scopes(peerd, mesh) else ["no finding yet"])
        assert list(unreadable_scopes(peerd, mesh)) == [f"{roleless}/{HOME}"]
        calls = [
            call for call in world.peerd_calls() if (call["account"], call["region"]) == (SECOND, disabled)
        ]
        assert calls and all(call["error"] == "AuthFailure" for call in calls)
    finally:
        peerd.ok("account", "remove", roleless, "--yes")
        peerd.ok("account", "remove", SECOND, "--region", disabled)
