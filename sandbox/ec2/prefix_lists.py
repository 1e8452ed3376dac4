"""Managed prefix lists: the version and the size are validated before a change.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyManagedPrefixList.html
"""

from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.managed_prefixes import ManagedPrefixListBackend

from sandbox.ec2.errors import client_error


def install() -> None:
    """Patches moto's prefix lists with the validation."""
    backend = ManagedPrefixListBackend
    backend.modify_managed_prefix_list = _validated(backend.modify_managed_prefix_list)


def _validated(modify: Callable[..., Any]) -> Callable[..., Any]:
    def modify_managed_prefix_list(
        self: EC2Backend,
        add_entry: list[dict[str, str]],
        remove_entry: list[dict[str, str]],
        prefix_list_id: str | None = None,
        current_version: str | None = None,
        prefix_list_name: str | None = None,
    ) -> Any:
        known = self.managed_prefix_lists.get(prefix_list_id)
        if known is None:
            raise client_error(
                "InvalidPrefixListID.NotFound", f"The prefix list ID '{prefix_list_id}' does not exist"
            )
        if current_version is not None and int(current_version) != known.version:
            message = f"{prefix_list_id} is at version {known.version}, not {current_version}"
            raise client_error("PrefixListVersionMismatch", message)
        removed = {entry["Cidr"] for entry in remove_entry or []}
        kept = [entry for entry in known.entries.get(known.version, []) if entry["Cidr"] not in removed]
        if known.max_entries and len(kept) + len(add_entry or []) > int(known.max_entries):
            message = f"{prefix_list_id} takes {known.max_entries} entries"
            raise client_error("PrefixListMaxEntriesExceeded", message)
        name = prefix_list_name or known.prefix_list_name
        return modify(self, add_entry, remove_entry, prefix_list_id, current_version, name)

    return modify_managed_prefix_list
