"""What stands on an account, a contact or a deal: deals, orders (LEAD-8).

Whoever builds on one notes it here in the same transaction, and whoever undoes the conversion that made it proves here
that nothing stands on it.

| item | pk | sk | read by |
|---|---|---|---|
| what stands on it | ACC#<id>, CON#<id>, OPP#<id> | BUILT_ON | account, contact or deal |

The note is written under the version that was read, by those who build and by those who undo. So an order and the
undoing of its account never pass each other: one of the two looks again. It names the first things and then only says
that there are more, and such a note never becomes empty again.
"""

import json
from dataclasses import dataclass

from revops.crm.store import ACCOUNTS, CONTACTS, OPPORTUNITIES
from revops.table import ABSENT, Key, Row, Table, Transaction

BUILT_ON = "BUILT_ON"
_NAMED = 20


@dataclass(frozen=True, slots=True)
class BuiltOn:
    """What stands on a record, as it was read. `more` when there is more than is named."""

    key: Key
    version: int
    ids: tuple[str, ...] = ()
    more: bool = False

    @property
    def nothing(self) -> bool:
        return not self.ids and not self.more

    def write(self, transaction: Transaction, ids: tuple[str, ...]) -> None:
        """Adds the note with other ids to a transaction, under the version that was read."""
        more = self.more or len(ids) > _NAMED
        doc = json.dumps({"ids": ids[:_NAMED], "more": more})
        row = Row(pk=self.key.pk, sk=self.key.sk, kind=BUILT_ON, version=self.version + 1, doc=doc)
        transaction.put(row, self.version or ABSENT)

    def add(self, transaction: Transaction, identifier: str) -> None:
        """Adds that something stands on it."""
        self.write(transaction, (*self.ids, identifier))

    def remove(self, transaction: Transaction, identifier: str) -> None:
        """Adds that something stands on it no longer."""
        self.write(transaction, tuple(each for each in self.ids if each != identifier))

    def hold(self, transaction: Transaction) -> None:
        """Adds the note as it is: whoever builds on it meanwhile, or did, makes one of the two look again."""
        self.write(transaction, self.ids)


def built_on_account(table: Table, account_id: str) -> BuiltOn:
    """What stands on an account, strongly consistent."""
    return _read(table, ACCOUNTS.key(account_id).pk)


def built_on_contact(table: Table, contact_id: str) -> BuiltOn:
    """What stands on a contact, strongly consistent."""
    return _read(table, CONTACTS.key(contact_id).pk)


def built_on_deal(table: Table, opportunity_id: str) -> BuiltOn:
    """What stands on a deal, strongly consistent."""
    return _read(table, OPPORTUNITIES.key(opportunity_id).pk)


def _read(table: Table, pk: str) -> BuiltOn:
    key = Key(pk, BUILT_ON)
    row = table.get(key)
    if row is None:
        return BuiltOn(key, 0)
    doc = json.loads(row.doc)
    return BuiltOn(key, row.version, tuple(doc["ids"]), doc["more"])
