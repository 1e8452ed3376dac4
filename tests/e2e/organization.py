"""The organisation of the hub, as its administrator changes it."""

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
    """Units and accounts; those of one test are out of peerd's sight when it ends."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._api: Any = sessions.client("organizations")
        self.root = self._api.list_roots()["Roots"][0]["Id"]
        (self.meshes,) = [unit["Id"] for unit in self._units(self.root) if unit["Name"] == UNIT]
        self._where: dict[str, str] = {}

    def unit(self) -> str:
        """A new unit within the one that the deployment was given."""
        made = self._api.create_organizational_unit(ParentId=self.meshes, Name=f"unit-{next(_numbers)}")
        return made["OrganizationalUnit"]["Id"]

    def account(self, unit: str) -> str:
        """A new account in a unit, with the spoke's stack, as a StackSet that deploys by unit gives it."""
        name = f"account-{next(_numbers)}"
        made = self._api.create_account(AccountName=name, Email=f"{name}@example.com")
        account = made["CreateAccountStatus"]["AccountId"]
        self._where[account] = self.root
        cloudformation = self._sessions.client("cloudformation", account)
        create_spoke(cloudformation, (account, HOME_REGION), SPOKE.read_text())
        self.move(account, unit)
        return account

    def move(self, account: str, unit: str) -> None:
        """Moves an account to a unit."""
        self._api.move_account(
            AccountId=account, SourceParentId=self._where[account], DestinationParentId=unit
        )
        self._where[account] = unit

    def close(self, account: str) -> None:
        """Closes an account, which AWS then calls suspended."""
        self._api.close_account(AccountId=account)

    def _units(self, parent: str) -> list[dict[str, str]]:
        return self._api.list_organizational_units_for_parent(ParentId=parent)["OrganizationalUnits"]

    def leave(self) -> None:
        """Moves the accounts of the test to where peerd does not look."""
        for account in self._where:
            self.move(account, self.root)


@contextmanager
def organization(sessions: Sessions) -> Iterator[Organization]:
    """The organisation, for one test."""
    known = Organization(sessions)
    try:
        yield known
    finally:
        known.leave()
