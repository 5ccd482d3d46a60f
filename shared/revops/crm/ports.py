"""What the CRM asks of others."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from revops.table import Transaction


class Roster(Protocol):
    """Who takes new leads, and who of those that rules and accounts name is there."""

    def sdrs(self) -> Sequence[str]:
        """The ids of the SDRs present, in a stable order."""
        ...

    def present(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        """Those of some users, whatever their role, who are active and not absent."""
        ...

    def active(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        """Those of some users who are active, there or absent."""
        ...

    def sellers(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        """Those of some users who are active and not absent, and whose role lets them own leads and accounts."""
        ...

    def zone(self, user_id: str) -> str:
        """The time zone of a user; empty when it is not known."""
        ...

    def open_leads(self, user_ids: AbstractSet[str]) -> Mapping[str, int]:
        """How many leads each of some users works on, as counted lately."""
        ...


class AccountUses(Protocol):
    """What stands on an account outside the CRM."""

    def hold_unused(self, transaction: Transaction, account_id: str) -> str:
        """Adds the condition that no customer at the billing provider is the account's; answers the customer that
        there is, else an empty text."""
        ...
