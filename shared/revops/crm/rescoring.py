"""Rescoring as a scheduled job: what changed, what decay is about to change, and everybody open once the rules did.

| item | pk | sk | read by |
|---|---|---|---|
| how far everybody was rescored | RESCORE#<shard of the list of leads> | PLACE | shard |

Nobody who is not due is read, as long as the rules stay. A new table of points or a new model changes everybody's
score: then the open leads are walked through once, in the order of their creation, a stretch in every run.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from revops.crm.facts import facts_of
from revops.crm.model import CLOSED_STATUSES, Lead
from revops.crm.store import LEAD_SHARDS, LEADS, lead_keys_from
from revops.kernel import CallContext, Clock, parse_time, system_call, time_text
from revops.scoring import LearnedModel, Rules, ScoreCard, ScoringTable, score_lead
from revops.settings import SETTINGS, SettingsReader
from revops.table import ABSENT, ConditionFailed, Key, Row, Table, begin, due_now

RESCORE = "RESCORE"
IN_FORCE_AFTER = timedelta(seconds=90)
"""After this long nobody scores by the rules before: readers keep them for half a minute, a request lasts seconds."""
_TIME_TO_WALK = timedelta(seconds=25)
_PAGE = 100
_SAME_TIME = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a shard was walked for a pair of versions: `low` is where to go on, `began` when this pass began, `done`
    whether it reached the end, `settled` whether it began late enough to have met everybody."""

    table_version: int
    model_version: int
    began: datetime
    low: str = ""
    done: bool = False
    settled: bool = False
    version: int = 0

    @classmethod
    def of(cls, row: Row) -> Self:
        kept = json.loads(row.doc)
        return cls(**{**kept, "began": parse_time(kept["began"])}, version=row.version)

    def row(self, key: Key) -> Row:
        kept = {name: getattr(self, name) for name in ("table_version", "model_version", "low", "done", "settled")}
        doc = json.dumps({**kept, "began": time_text(self.began)})
        return Row(pk=key.pk, sk=key.sk, kind=RESCORE, version=self.version + 1, doc=doc)

    def follows(self, rules: Rules) -> bool:
        return (self.table_version, self.model_version) == (rules.table_version, rules.model_version)


class RescoreLeads:
    """Rescores what is due, and everybody open when the rules have changed (LEAD-4)."""

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings

    def __call__(self, period: str) -> dict[str, int]:
        """Counts of leads looked at and of scores that changed."""
        rules, call = Rules.in_force(self._settings), system_call("score_leads", period)
        counts = {"looked_at": 0, "changed": 0}
        now = self._clock.now()
        for lead in self._due():
            if lead.rescore_at is None or lead.rescore_at > now:
                continue  # the index lags; the row itself says it is not due any more
            counts["looked_at"] += 1
            counts["changed"] += self._rescore(lead, rules, call)
        end = now + _TIME_TO_WALK
        for shard in range(LEAD_SHARDS):
            for lead in self._walk(shard, rules, call, end):
                counts["looked_at"] += 1
                counts["changed"] += self._follow(lead, rules, call)
        return counts

    # -- what is due -------------------------------------------------------------------------------------------------

    def _due(self) -> Iterator[Lead]:
        yield from self._leads([due.key for due in due_now(self._table, "score", self._clock.now())])

    def _leads(self, keys: list[Key]) -> Iterator[Lead]:
        for start in range(0, len(keys), _PAGE):
            yield from filter(None, map(LEADS.readable, self._table.get_many(keys[start : start + _PAGE])))

    def _rescore(self, lead: Lead, rules: Rules, call: CallContext) -> bool:
        """Whether the score changed. A lead that changed meanwhile is left: it is due still, or again."""
        now = self._clock.now()
        card = score_lead(facts_of(lead), rules, now)
        transaction = begin(call, now)
        LEADS.update(transaction, lead.revised(now, score=card.score, score_card=card, rescore_at=card.changes_at))
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return False
        return card.score != lead.score

    # -- everybody, once the rules have changed ----------------------------------------------------------------------

    def _walk(self, shard: int, rules: Rules, call: CallContext, end: datetime) -> Iterator[Lead]:
        """The open leads of a shard that were scored by other rules, from where the last run stopped. A run that was
        overtaken by another one stops."""
        key = Key(f"RESCORE#{shard}", "PLACE")
        place = self._next_pass(self._table.get(key), rules)
        while place is not None and not place.done and self._clock.now() < end:
            found = lead_keys_from(self._table, shard, place.low, _PAGE)
            for lead in self._leads([at for _, at in found]):
                if lead.status not in CLOSED_STATUSES and not _scored_by(lead.score_card, rules):
                    yield lead
            done = len(found) < _PAGE
            low = place.low if not found else f"{found[-1][0]}~"
            settled = done and self._everybody_follows(place.began)
            place = self._keep(key, replace(place, low=low, done=done, settled=settled), call)

    def _next_pass(self, row: Row | None, rules: Rules) -> _Place | None:
        """Where to go on; None when everybody was met. A pass that began while some still scored by the old rules is
        followed by another one, once nobody does, over the leads created since."""
        now = self._clock.now()
        fresh = _Place(rules.table_version, rules.model_version, now)
        if row is None:
            return fresh if rules.table_version or rules.model_version else None
        place = _Place.of(row)
        if not place.follows(rules):
            return replace(fresh, version=place.version)
        if not place.done:
            return place
        if place.settled or not self._everybody_follows(now):
            return None
        return replace(fresh, low=time_text(place.began - IN_FORCE_AFTER), version=place.version)

    def _everybody_follows(self, began: datetime) -> bool:
        applied = [SETTINGS.get(self._table, document.SETTING) for document in (ScoringTable, LearnedModel)]
        return all(record is None or began >= record.modified_at + IN_FORCE_AFTER for record in applied)

    def _keep(self, key: Key, place: _Place, call: CallContext) -> _Place | None:
        transaction = begin(call, self._clock.now())
        transaction.put(place.row(key), place.version or ABSENT)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return None
        return replace(place, version=place.version + 1)

    def _follow(self, lead: Lead, rules: Rules, call: CallContext) -> bool:
        """Whether the score changed. What the new rules leave as it was is not written; a lead that somebody changes
        meanwhile is read again, because its change need not make it due."""
        latest: Lead | None = lead
        for _ in range(5):
            if latest is None:
                return False
            card = score_lead(facts_of(latest), rules, self._clock.now())
            if _same(latest.score_card, card):
                return False
            if self._rescore(latest, rules, call):
                return True
            latest = LEADS.get(self._table, lead.id)
        return False


def _scored_by(card: ScoreCard | None, rules: Rules) -> bool:
    return card is not None and (card.table_version, card.model_version) == (rules.table_version, rules.model_version)


def _same(before: ScoreCard | None, after: ScoreCard) -> bool:
    """Whether a lead's score, its parts and the next time of its decay are as they were."""
    if before is None:
        return False
    parts = ("score", "fit", "engagement", "learned")
    if any(getattr(before, part) != getattr(after, part) for part in parts):
        return False
    if before.changes_at is None or after.changes_at is None:
        return before.changes_at is after.changes_at
    return abs(before.changes_at - after.changes_at) < _SAME_TIME
