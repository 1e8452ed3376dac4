"""The organization of the hub, as its administrator changes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sandbox.client.model import HOME_REGION
from sandbox.client.sessions import Sessions
from sandbox.deploy import UNIT, create_spoke

SPOKE = Path(__file__).parents[2] / "spoke.yaml"
_numbers = count(1)


class Organization:
    """Organizational units and accounts; after a test its accounts are outside the units that peerd reads."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._api: Any = sessions.client("organizations")
        self.root = self._api.list_roots()["Roots"][0]["Id"]
        (self.meshes,) = [unit["Id"] for unit in self._units(self.root) if unit["Name"] == UNIT]
        self._parents: dict[str, str] = {}

    def unit(self) -> str:
        """Creates a unit in the deployment's unit and returns its id."""
        created = self._api.create_organizational_unit(ParentId=self.meshes, Name=f"unit-{next(_numbers)}")
        return created["OrganizationalUnit"]["Id"]

    def account(self, unit: str) -> str:
        """Creates an account in a unit with a spoke stack, as a StackSet does, and returns its id."""
        name = f"account-{next(_numbers)}"
        created = self._api.create_account(AccountName=name, Email=f"{name}@example.com")
        account = created["CreateAccountStatus"]["AccountId"]
        self._parents[account] = self.root
        cloudformation = self._sessions.client("cloudformation", account)
        create_spoke(cloudformation, (account, HOME_REGION), SPOKE.read_text())
        self.move(account, unit)
        return account

    def move(self, account: str, unit: str) -> None:
        """Moves an account to a unit."""
        self._api.move_account(
            AccountId=account, SourceParentId=self._parents[account], DestinationParentId=unit
        )
        self._parents[account] = unit

    def close(self, account: str) -> None:
        """Closes an account; its state is then suspended."""
        self._api.close_account(AccountId=account)

    def _units(self, parent: str) -> list[dict[str, str]]:
        return self._api.list_organizational_units_for_parent(ParentId=parent)["OrganizationalUnits"]

    def remove_accounts(self) -> None:
        """Moves the accounts of the test to the root, which peerd does not read."""
        for account in self._parents:
            self.move(account, self.root)


@contextmanager
def organization(sessions: Sessions) -> Iterator[Organization]:
    """Provides the organization to one test."""
    organization = Organization(sessions)
    try:
        yield organization
    finally:
        organization.remove_accounts()
