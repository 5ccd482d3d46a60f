"""Two leads of one person made one, and two again (CAP-11).

| item | pk | sk | read by |
|---|---|---|---|
| merge | MERGE#<id> | MERGE | the merged lead, which names it |

Each way is one transaction under the versions of both leads, so of two merges of one lead one stands, and merging A
into B while somebody merges B into A ends in one. The merged lead stays where it is with all it held: it leaves the
lists and says where it went, and its submissions, tasks, activities and match entries are found with the survivor. Its
claims, its person's consents and its person's roles go to the survivor.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime

from revops.access import Policy, Resource
from revops.crm.consent import CONSENTS, ConsentRecord
from revops.crm.duplicates import PAIRS, DuplicatePair, PairStatus, pair_id, pairs_between
from revops.crm.merged_consents import join_consents, part_consents
from revops.crm.model import Lead
from revops.crm.policies.matching import check_of
from revops.crm.policies.merging import (
    CHOSEN,
    Difference,
    apart,
    require_mergeable,
    together,
)
from revops.crm.reading import claims_of, features_of, validity
from revops.crm.response import add_watch
from revops.crm.store import LEADS, add_match_entries, person_key, remove_match_entries, vacant_keys
from revops.kernel import CallContext, Clock, Conflict, Invalid, NotFound, Refused
from revops.table import (
    ConditionFailed,
    Entity,
    EntityKind,
    Key,
    Table,
    Transaction,
    begin,
    claim,
    claim_holder,
    claim_key,
    present,
)

_ATTEMPTS = 5


class MergeRecord(Entity):
    """A merge: both leads and what their persons had said as they were, and what was made of them. It is what undoing
    goes by, and it keeps the values that did not come to stand."""

    survivor: Lead
    merged: Lead
    result: Lead
    differences: tuple[Difference, ...] = ()
    survivor_consents: ConsentRecord | None = None
    merged_consents: ConsentRecord | None = None
    result_consents: ConsentRecord | None = None
    claims: tuple[tuple[str, str], ...] = ()
    pairs: tuple[str, ...] = ()
    automatic: bool = False
    merged_by: str = ""
    undone_at: AwareDatetime | None = None
    undone_by: str = ""


MERGES = EntityKind[MergeRecord](
    kind="MERGE", title="merge", model=MergeRecord, key=lambda identifier: Key(f"MERGE#{identifier}", "MERGE")
)


class MergeLeads:
    """Merges one lead into another."""

    def __init__(self, table: Table, clock: Clock, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy

    def __call__(
        self,
        survivor_id: str,
        other_id: str,
        call: CallContext,
        values: Mapping[str, str] | None = None,
        *,
        automatic: bool = False,
        read: Mapping[str, int] | None = None,
    ) -> MergeRecord:
        """The merge that joins the two, also when they were joined before, whichever way round. `values` names, by
        field, the lead whose value is to stand; otherwise it is the survivor's. `read`: the versions compared. Raises
        NotFound and Forbidden for leads that are not the caller's to read and to change, Refused with the reason,
        VersionConflict for one that is not as `read`, Unavailable while a message to either is on its way."""
        for _ in range(_ATTEMPTS):
            survivor, other = (self._allowed(lead_id, call) for lead_id in (survivor_id, other_id))
            if (done := self._done(survivor, other)) is not None:
                return done
            require_mergeable(survivor, other, read or {})
            theirs = _chosen(values or {}, survivor, other)
            transaction = begin(call, self._clock.now())
            record = self._compose(transaction, survivor, other, theirs, call, automatic=automatic)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # one of the two was changed: look again
            return record
        raise Conflict("the leads keep changing; try again shortly")

    def _allowed(self, lead_id: str, call: CallContext) -> Lead:
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        return lead

    def _done(self, survivor: Lead, other: Lead) -> MergeRecord | None:
        for gone, stands in ((other, survivor), (survivor, other)):
            if gone.merged_into == stands.id:
                return MERGES.get(self._table, gone.merge_id)
        return None

    def _compose(
        self,
        transaction: Transaction,
        survivor: Lead,
        other: Lead,
        theirs: frozenset[str],
        call: CallContext,
        *,
        automatic: bool,
    ) -> MergeRecord:
        now = self._clock.now()
        changes, differences = together(survivor, other, theirs)
        number = max(survivor.version, other.version)  # grows with every merge of the two, whichever way round
        merge_id = f"MRG_{pair_id(survivor.id, other.id)[4:]}{number:02d}"
        mine, others = (CONSENTS.get(self._table, lead.person_id) for lead in (survivor, other))
        consents = join_consents(self._table, transaction, (survivor, mine), (other, others), now)
        result = _joined(survivor, changes, consents, now)
        LEADS.update(transaction, result)
        LEADS.update(transaction, other.revised(now, merged_into=survivor.id, merge_id=merge_id))
        move_roles(self._table, transaction, other.person_id, survivor.person_id)
        record = MergeRecord(
            id=merge_id,
            created_at=now,
            modified_at=now,
            survivor=survivor,
            merged=other,
            result=result,
            differences=differences,
            survivor_consents=mine,
            merged_consents=others,
            result_consents=consents,
            claims=tuple(self._move_claims(transaction, other, survivor)),
            pairs=tuple(self._close_pairs(transaction, survivor, other, merge_id, call)),
            automatic=automatic,
            merged_by=call.principal.id,
        )
        fresh = sorted(set(features_of(result).blocking_keys()) - set(features_of(survivor).blocking_keys()))
        add_match_entries(transaction, fresh, survivor.person_id, survivor.id, vacant_keys(self._table, fresh))
        MERGES.create(transaction, record)
        return record

    def _move_claims(self, transaction: Transaction, other: Lead, survivor: Lead) -> Iterator[tuple[str, str]]:
        """What the other lead, and those that went into it, are known by belongs to the survivor from now on."""
        gone = LEADS.load_all(present(self._table.get_many([LEADS.key(each) for each in other.merged_from])))
        for name, value in dict.fromkeys(each for lead in (other, *gone) for each in claims_of(lead)):
            if hand_over(self._table, transaction, (name, value), other.id, survivor.id):
                yield name, value

    def _close_pairs(
        self, transaction: Transaction, survivor: Lead, other: Lead, merge_id: str, call: CallContext
    ) -> Iterator[str]:
        now = self._clock.now()
        sides = (survivor.id, *survivor.merged_from), (other.id, *other.merged_from)
        for pair in pairs_between(self._table, *sides):
            if pair.status is PairStatus.OPEN:
                who = {"decided_by": call.principal.id, "decided_at": now, "merge_id": merge_id}
                PAIRS.update(transaction, pair.revised(now, status=PairStatus.MERGED, **who))
                yield pair.id


class UndoMerge:
    """Makes two leads of one again."""

    def __init__(self, table: Table, clock: Clock, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy

    def read(self, merge_id: str, call: CallContext) -> MergeRecord:
        """A merge. Raises NotFound unless the caller may read both leads."""
        record = MERGES.require(self._table, merge_id)
        for lead_id in (record.survivor.id, record.merged.id):
            lead = LEADS.require(self._table, lead_id)
            if not self._policy.reads(call.principal, Resource.LEADS, lead.owner_id):
                raise NotFound("merge", merge_id)
        return record

    def __call__(self, merge_id: str, call: CallContext) -> MergeRecord:
        """The merge as undone, also when it was before. What was changed since the merge stays with the survivor.
        Raises Refused, saying what stands in the way."""
        for _ in range(_ATTEMPTS):
            record = self.read(merge_id, call)
            if record.undone_at is not None:
                return record
            survivor, merged = (LEADS.require(self._table, each.id) for each in (record.survivor, record.merged))
            for lead in (survivor, merged):
                self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead.id}")
            require_undoable(record, survivor)
            transaction = begin(call, self._clock.now())
            undone = self._compose(transaction, record, survivor, merged, call)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue
            return undone
        raise Conflict("the leads keep changing; try again shortly")

    def _compose(
        self, transaction: Transaction, record: MergeRecord, survivor: Lead, merged: Lead, call: CallContext
    ) -> MergeRecord:
        now = self._clock.now()
        mine, theirs = part_consents(
            self._table,
            transaction,
            (record.survivor, record.survivor_consents),
            (record.merged, record.merged_consents),
            record.result_consents,
            now,
        )
        changes = apart(survivor, record.result, record.survivor)
        changes["gdpr_consent"] = mine.marketing
        restored = survivor.revised(now, **_parted(survivor, changes, now))
        again = merged.revised(now, merged_into="", merge_id="", gdpr_consent=theirs.marketing)
        for lead in (restored, again):
            LEADS.update(transaction, lead)
            add_watch(transaction, lead)  # whoever looked while they were one removed it
        move_roles(self._table, transaction, record.merged.person_id, "", lead_id=merged.id)
        self._part_claims(transaction, record, survivor, restored)
        stale = set(features_of(survivor).blocking_keys()) - set(features_of(restored).blocking_keys())
        remove_match_entries(self._table, transaction, sorted(stale), survivor.person_id)
        for pair in self._pairs(record):
            PAIRS.update(
                transaction,
                pair.revised(now, status=PairStatus.OPEN, undone=True, decided_by="", decided_at=None, merge_id=""),
            )
        undone = record.revised(now, undone_at=now, undone_by=call.principal.id)
        MERGES.update(transaction, undone)
        return undone

    def _pairs(self, record: MergeRecord) -> list[DuplicatePair]:
        keys = [PAIRS.key(each) for each in record.pairs]
        found = PAIRS.load_all(present(self._table.get_many(keys))) if keys else []
        return [pair for pair in found if pair.status is PairStatus.MERGED and pair.merge_id == record.id]

    def _part_claims(self, transaction: Transaction, record: MergeRecord, survivor: Lead, restored: Lead) -> None:
        """Raises Refused for what both would be known by."""
        taken = set(claims_of(restored))
        for name, value in record.claims:
            if (name, value) in taken:
                raise Refused(f"lead {survivor.id} is known by the {name} of the merged lead since; change that first")
            if not hand_over(self._table, transaction, (name, value), survivor.id, record.merged.id):
                raise Refused(f"the {name} of the merged lead belongs to another lead by now")
        for name, value in taken - set(record.claims):
            holder = claim_holder(self._table.get(claim_key(name, value)))
            if holder is None:
                claim(transaction, name, value, survivor.id)
            elif holder != survivor.id:
                raise Refused(f"the {name} that lead {survivor.id} had belongs to another lead by now")


def _joined(survivor: Lead, changes: dict[str, Any], consents: ConsentRecord, now: datetime) -> Lead:
    """The survivor with what it gets, its flags and its score brought up to that."""
    if "resembles" in changes:
        changes["duplicate_check"] = check_of(changes["resembles"])
    changes["gdpr_consent"] = consents.marketing
    return survivor.revised(now, **(changes | validity(survivor, changes)), rescore_at=now)


def _parted(survivor: Lead, changes: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What the survivor is again, its status and its score brought up to that: either may have followed the merge."""
    fields = {name: value for name, value in changes.items() if name not in ("validation_status", "missing")}
    return fields | validity(survivor, fields) | {"rescore_at": now}


def require_undoable(record: MergeRecord, survivor: Lead) -> None:
    """Raises Refused, saying why a merge cannot be undone as things stand."""
    if survivor.merged_into:
        raise Refused(
            f"lead {survivor.id} was itself merged since; undo that merge first", {"merge_id": survivor.merge_id}
        )
    if survivor.merged_from[-1:] != (record.merged.id,):
        raise Refused("another lead was merged into the survivor since; undo the last merge first")
    if survivor.conversion not in (None, record.result.conversion):
        raise Refused("the survivor was converted since; undo the conversion first")


def hand_over(table: Table, transaction: Transaction, named: tuple[str, str], holder: str, to: str) -> bool:
    """Adds the move of a claim from one lead to another; False when that lead does not hold it."""
    row = table.get(claim_key(*named))
    if row is None or claim_holder(row) != holder:
        return False
    transaction.put(
        replace(row, doc=json.dumps(json.loads(row.doc) | {"holder": to}), version=row.version + 1), row.version
    )
    return True


def move_roles(table: Table, transaction: Transaction, person_id: str, into: str, *, lead_id: str = "") -> None:
    """A merged person has no role of their own and says whose they are; a restored one is a lead again."""
    row = table.get(person_key(person_id))
    if row is None:
        raise NotFound("person", person_id)
    roles = json.loads(row.doc)
    if into and roles.get("contact"):
        raise Refused("the person of the lead to be merged is a contact; let their lead survive")
    doc = json.dumps(roles | {"lead": lead_id, "merged_into": into})
    transaction.put(replace(row, doc=doc, version=row.version + 1), row.version)


def _chosen(values: Mapping[str, str], survivor: Lead, other: Lead) -> frozenset[str]:
    """Fields whose other value is to stand. Raises Invalid for a field or a lead that is not of this merge."""
    for name, lead_id in values.items():
        if name not in CHOSEN:
            raise Invalid.field(f"values.{name}", "known-field", "no field with a value to choose", ", ".join(CHOSEN))
        if lead_id not in (survivor.id, other.id):
            raise Invalid.field(f"values.{name}", "one-of-the-two", "neither of the two leads", "the id of one of them")
    return frozenset(name for name, lead_id in values.items() if lead_id == other.id)
