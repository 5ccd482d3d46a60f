"""What two people said about being contacted, once they are one and once they are two again (CAP-9, CAP-11)."""

import json
from datetime import datetime
from typing import Any

from revops.crm.consent import CONSENTS, SENDING, ConsentRecord
from revops.crm.model import Lead
from revops.crm.policies.merging import consents_together, refused_since
from revops.kernel import Unavailable, parse_time
from revops.table import ABSENT, Key, Table, Transaction

Speaker = tuple[Lead, ConsentRecord | None]
"""A lead, and what its person had said."""


def join_consents(
    table: Table, transaction: Transaction, survivor: Speaker, other: Speaker, now: datetime
) -> ConsentRecord:
    """The survivor's record takes in the other's; the other's is closed, so that nothing is said or sent there. Raises
    Unavailable while a message to either is on its way."""
    (lead, mine), (gone, theirs) = survivor, other
    for each in (lead, gone):
        _require_quiet(table, transaction, each.person_id, now)
    _write(transaction, gone, theirs, _said(theirs) | {"do_not_disturb": True}, now)
    if mine is None and theirs is None:
        return _write(transaction, lead, None, _said(None), now)
    entries, quiet = consents_together(mine, theirs, now)
    joined = {"joined": len(entries), "quiet_said": False}
    return _write(transaction, lead, mine, {"entries": entries, "do_not_disturb": quiet, **joined}, now)


def part_consents(
    table: Table,
    transaction: Transaction,
    survivor: Speaker,
    merged: Speaker,
    result: ConsentRecord | None,
    now: datetime,
) -> tuple[ConsentRecord, ConsentRecord]:
    """Each person has again what they had said; `result` is what the two had said as one. Of what was said since, a
    refusal and the wish not to be disturbed hold for both, also where they were taken back, and an agreement for
    neither: nobody knows whose it was. Raises Unavailable as `join_consents`."""
    (stands, had), (restored, theirs_had) = survivor, merged
    for each in (stands, restored):
        _require_quiet(table, transaction, each.person_id, now)
    mine, theirs = (CONSENTS.get(table, each.person_id) for each in (stands, restored))
    since = refused_since(mine.entries if mine else (), result.entries if result else ())
    quiet = {"do_not_disturb": True, "quiet_said": True} if mine is not None and mine.quiet_said else {}

    def again(said: dict[str, Any]) -> dict[str, Any]:
        return said | {"entries": (*said["entries"], *since)} | quiet

    return (
        _write(transaction, stands, mine, again(_said(had)), now),
        _write(transaction, restored, theirs, again(_said(theirs_had)), now),
    )


def _require_quiet(table: Table, transaction: Transaction, person_id: str, now: datetime) -> None:
    """Adds the proof that no message to a person is on its way (LEAD-5, I11). Raises Unavailable while one is."""
    key = Key(f"PERSON#{person_id}", SENDING)
    sending = table.get(key)
    if sending is not None and parse_time(json.loads(sending.doc)["until"]) > now:
        raise Unavailable("a message to one of the two is on its way; try again shortly", retry_after=12)
    transaction.check(key, ABSENT if sending is None else sending.version)


def _write(
    transaction: Transaction, lead: Lead, record: ConsentRecord | None, said: dict[str, Any], now: datetime
) -> ConsentRecord:
    """Writes a person's record even when it says nothing: a statement that is made meanwhile fails on it and is made
    again where it belongs."""
    if record is None:
        fresh = ConsentRecord(id=lead.person_id, created_at=now, modified_at=now, lead_id=lead.id, **said)
        CONSENTS.create(transaction, fresh)
        return fresh
    changed = record.revised(now, **said)
    CONSENTS.update(transaction, changed)
    return changed


def _said(record: ConsentRecord | None) -> dict[str, Any]:
    if record is None:
        return {"entries": (), "do_not_disturb": False, "joined": 0, "quiet_said": False}
    return {name: getattr(record, name) for name in ("entries", "do_not_disturb", "joined", "quiet_said")}
