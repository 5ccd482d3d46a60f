"""Pairs of leads that may be one person, waiting for a word, and what was said of them (CAP-11).

| item | pk | sk | read by |
|---|---|---|---|
| pair | DUP#<id> | DUPLICATE | the two leads: its id is made of theirs |

| index | partition | sort | list |
|---|---|---|---|
| gsi1 | DUPS#OWNER#<owner>, DUPS#BETWEEN#<owner of the newer> | found | pairs of one owner's leads, of two owners' |
| gsi2, gsi4 | DUPS#OF#<lead> | found | a lead's pairs: as the newer one, as the older one |
| gsi3 | DUPS#ALL#<shard> | found | everybody's pairs |

Only a waiting pair stands in an index. One that was decided stays as the memory of it: it is never proposed again.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import AwareDatetime

from revops.access import Policy, Reach, Resource
from revops.crm.lookalikes import MOST
from revops.crm.model import Lead, MatchDecision, MatchEvidence, MatchVerdict
from revops.crm.policies.matching import MatchRules, check_of, matcher
from revops.crm.reading import features_of
from revops.crm.store import LEADS, standing
from revops.kernel import CallContext, Clock, NotFound, Refused, time_text
from revops.table import (
    ConditionFailed,
    CursorSigner,
    Entity,
    EntityKind,
    Index,
    Key,
    Query,
    Table,
    Transaction,
    begin,
    commit_update,
    merge_pages,
    present,
    query_all,
    shard_of,
)

SHARDS = 4


class PairStatus(StrEnum):
    """What was said of a pair."""

    OPEN = "Open"
    MERGED = "Merged"
    DIFFERENT = "Different"


class DuplicatePair(Entity):
    """Two leads that resemble each other. `lead_id` is the newer one. `undone` when they were merged and the merge was
    undone: such a pair is never merged by the system again."""

    lead_id: str
    other_id: str
    owner_id: str
    other_owner_id: str
    score: float
    decision: MatchDecision
    flags: tuple[str, ...] = ()
    evidence: tuple[MatchEvidence, ...] = ()
    status: PairStatus = PairStatus.OPEN
    decided_by: str = ""
    decided_at: AwareDatetime | None = None
    merge_id: str = ""
    undone: bool = False


def pair_id(one: str, other: str) -> str:
    """The id of the pair of two leads, in either order."""
    digest = hashlib.sha256("\0".join(sorted((one, other))).encode()).digest()
    return "DUP_" + base64.b32encode(digest).decode()[:26]


def _key(identifier: str) -> Key:
    return Key(f"DUP#{identifier}", "DUPLICATE")


def _index(pair: DuplicatePair) -> Index:
    if pair.status is not PairStatus.OPEN:
        return {}
    found = f"{time_text(pair.created_at)}#{pair.id}"
    kind = "OWNER" if pair.owner_id == pair.other_owner_id else "BETWEEN"
    return {
        "gsi1": (f"DUPS#{kind}#{pair.owner_id}", found),
        "gsi2": (f"DUPS#OF#{pair.lead_id}", found),
        "gsi3": (f"DUPS#ALL#{shard_of(pair.id, SHARDS)}", found),
        "gsi4": (f"DUPS#OF#{pair.other_id}", found),
    }


PAIRS = EntityKind[DuplicatePair](kind="DUPLICATE", title="pair of leads", model=DuplicatePair, key=_key, index=_index)


def pairs_between(table: Table, ones: Sequence[str], others: Sequence[str]) -> list[DuplicatePair]:
    """The pairs, waiting or decided, of any of the one with any of the other leads."""
    keys = dict.fromkeys(_key(pair_id(one, other)) for one in ones for other in others if one != other)
    return PAIRS.load_all(present(table.get_many(list(keys)))) if keys else []


def proposed(lead: Lead, other: Lead, told: MatchVerdict, now: AwareDatetime) -> DuplicatePair:
    """The pair of two leads, waiting."""
    newer, older = (lead, other) if (lead.created_at, lead.id) > (other.created_at, other.id) else (other, lead)
    return DuplicatePair(
        id=pair_id(lead.id, other.id),
        created_at=now,
        modified_at=now,
        lead_id=newer.id,
        other_id=older.id,
        owner_id=newer.owner_id,
        other_owner_id=older.owner_id,
        score=told.score,
        decision=told.decision,
        flags=told.flags,
        evidence=told.evidence,
    )


def listed_with(
    table: Table, transaction: Transaction, lead: Lead, others: Iterable[Lead], rules: MatchRules, now: AwareDatetime
) -> Lead:
    """A lead that got what others are known by: it resembles each of them, however little else is alike, and waits with
    each in the list. The pairs are added to the transaction; whom somebody told apart from it is left out."""
    told = {each.lead_id: each for each in lead.resembles}
    for other in others:
        pair = PAIRS.get(table, pair_id(lead.id, other.id))
        if pair is not None and pair.status is not PairStatus.OPEN:
            continue
        found = matcher(rules).verdict(other.person_id, other.id, features_of(lead), features_of(other))
        if found.decision is MatchDecision.DIFFERENT:
            found = found.model_copy(update={"decision": MatchDecision.REVIEW})
        if pair is None:
            PAIRS.create(transaction, proposed(lead, other, found, now))
        told = {other.id: found} | {name: each for name, each in told.items() if name != other.id}
    resembles = tuple(told.values())[:MOST]
    return lead.model_copy(update={"resembles": resembles, "duplicate_check": check_of(resembles)})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting pair with both leads as they stand now; the newer one first."""

    pair: DuplicatePair
    lead: Lead
    other: Lead


class ReadDuplicates:
    """Pairs that wait, for whoever may read both sides. Anybody else sees nothing of them (S19)."""

    def __init__(self, table: Table, policy: Policy, cursors: Callable[[], CursorSigner]) -> None:
        self._table = table
        self._policy = policy
        self._cursors = cursors

    def page(self, limit: int, cursor: str, call: CallContext) -> tuple[list[Waiting], str]:
        """A page, the newest first, and the cursor of the next. A page may be shorter than its limit: owners are
        looked at as they stand now, and pairs that became one lead are left out. Raises Forbidden for who may read no
        lead at all."""
        self._policy.require_any(call.principal, Resource.LEADS)
        binding = {"who": call.principal.id, "list": "duplicates"}
        positions = self._cursors().open(cursor, binding) if cursor else {}
        partitions = self._partitions(call)
        rows, after = merge_pages(self._table, partitions, positions, limit)
        pairs = PAIRS.load_all(present(self._table.get_many([row.key for row in rows])))
        return self._seen(pairs, call), self._cursors().sign(after, binding) if after else ""

    def one(self, identifier: str, call: CallContext) -> Waiting:
        """A pair, waiting or decided. Raises NotFound unless the caller may read both leads."""
        pair = PAIRS.get(self._table, identifier)
        seen = self._seen([pair], call, decided=True) if pair is not None else []
        if not seen:
            raise NotFound("pair of leads", identifier)
        return seen[0]

    def _partitions(self, call: CallContext) -> dict[str, Query]:
        owners = self._policy.readable_owners(call.principal, Resource.LEADS)
        if owners is None:
            names = {f"{shard}": ("gsi3", f"DUPS#ALL#{shard}") for shard in range(SHARDS)}
        else:
            names = {f"o:{owner}": ("gsi1", f"DUPS#OWNER#{owner}") for owner in owners}
            if self._policy.grant(call.principal, Resource.LEADS).read is Reach.TEAM:
                names |= {f"b:{owner}": ("gsi1", f"DUPS#BETWEEN#{owner}") for owner in owners}
        return {name: Query(pk=pk, index=index, descending=True) for name, (index, pk) in names.items()}

    def _seen(self, pairs: Sequence[DuplicatePair], call: CallContext, *, decided: bool = False) -> list[Waiting]:
        ids = dict.fromkeys(each for pair in pairs for each in (pair.lead_id, pair.other_id))
        rows = self._table.get_many([LEADS.key(each) for each in ids])
        leads = {lead.id: lead for lead in LEADS.load_all(present(rows))}
        found = []
        for pair in pairs:
            sides = [self._side(leads.get(each), pair) for each in (pair.lead_id, pair.other_id)]
            readable = [side for side in sides if side and self._reads(side, call)]
            if len(readable) == 2 and (decided or (readable[0].id != readable[1].id and pair.status == "Open")):
                found.append(Waiting(pair, readable[0], readable[1]))
        return found

    def _side(self, lead: Lead | None, pair: DuplicatePair) -> Lead | None:
        """A lead of a waiting pair is the one it went into; of a decided pair it is the one that was decided on."""
        if lead is None or pair.status is not PairStatus.OPEN:
            return lead
        return standing(self._table, lead)

    def _reads(self, lead: Lead, call: CallContext) -> bool:
        return self._policy.reads(call.principal, Resource.LEADS, lead.owner_id)


class TellApart:
    """Somebody's word that a pair is two people: remembered, and never proposed again."""

    def __init__(self, table: Table, clock: Clock, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy

    def __call__(self, waiting: Waiting, call: CallContext) -> DuplicatePair:
        """The pair as decided. Raises Forbidden for who may not change both leads, Refused when it was merged.
        Saying so twice is the same as once."""
        for lead in (waiting.lead, waiting.other):
            what = f"lead {lead.id}"
            self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, what)
        for _ in range(5):
            pair = PAIRS.require(self._table, waiting.pair.id)
            if pair.status is PairStatus.DIFFERENT:
                return pair
            if pair.status is PairStatus.MERGED:
                raise Refused("the two were merged; undo the merge first", {"merge_id": pair.merge_id})
            now = self._clock.now()
            transaction = begin(call, now)
            said = {"status": PairStatus.DIFFERENT, "decided_by": call.principal.id, "decided_at": now}
            decided = pair.revised(now, **said)
            PAIRS.update(transaction, decided)
            for other_pair in self._also_waiting(waiting):  # what is said of two leads is said of all in them
                PAIRS.update(transaction, other_pair.revised(now, **said))
            for lead, other in ((waiting.lead, waiting.other), (waiting.other, waiting.lead)):
                keys = [LEADS.key(each) for each in (lead.id, *lead.merged_from)]
                for each in LEADS.load_all(present(self._table.get_many(keys))):
                    self._forget(transaction, each, {other.id, *other.merged_from})
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue
            return decided
        raise Refused("the leads keep changing; try again shortly")

    def _also_waiting(self, waiting: Waiting) -> list[DuplicatePair]:
        ones, others = ((lead.id, *lead.merged_from) for lead in (waiting.lead, waiting.other))
        found = pairs_between(self._table, ones, others)
        return [pair for pair in found if pair.status is PairStatus.OPEN and pair.id != waiting.pair.id]

    def _forget(self, transaction: Transaction, lead: Lead, others: set[str]) -> None:
        left = tuple(told for told in lead.resembles if told.lead_id not in others)
        if left != lead.resembles:
            now = self._clock.now()
            LEADS.update(transaction, lead.revised(now, resembles=left, duplicate_check=check_of(left)))


class FollowOwners:
    """Lets the waiting pairs of a lead follow its owner, so that they stand in the list of whoever owns it now."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, lead_id: str, call: CallContext) -> int:
        """How many pairs were written. Owners are read from the leads as they stand: repeating it does nothing."""
        places = (Query(pk=f"DUPS#OF#{lead_id}", index=index, documents=False) for index in ("gsi2", "gsi4"))
        keys = dict.fromkeys(row.key for place in places for row in query_all(self._table, place))
        written = 0
        for pair in PAIRS.load_all(present(self._table.get_many(list(keys)))) if keys else []:
            owners = [LEADS.require(self._table, each).owner_id for each in (pair.lead_id, pair.other_id)]
            if pair.status is not PairStatus.OPEN or owners == [pair.owner_id, pair.other_owner_id]:
                continue
            now = self._clock.now()
            transaction = begin(call, now)
            followed = pair.revised(now, owner_id=owners[0], other_owner_id=owners[1])
            PAIRS.update(transaction, followed)
            commit_update(self._table, transaction, PAIRS, followed)
            written += 1
        return written
