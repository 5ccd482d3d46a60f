"""What people do that is worth points: each thing once, in a bounded list on the lead (LEAD-3, LEAD-5, CAP-6).

| claim | value | holder |
|---|---|---|
| `engagement` | lead, event, ref | lead |

The list on the lead is what scoring and nurture read; `policies.engagement` says which events stand on it. That the
same event about the same thing counts once is proved by a claim in the same transaction, which no list has to remember
and which stays: the repeat of an event that has long left the list still counts nothing.
"""

import random
import time
from collections.abc import Callable
from datetime import datetime

from revops.crm.model import Engagement, LeadStatus
from revops.crm.policies.engagement import kept
from revops.crm.store import LEADS, standing_at
from revops.kernel import CallContext, Clock, Invalid, Unavailable
from revops.table import ConditionFailed, Contention, Table, attempts, begin, claim, claim_key, release

_ATTEMPTS = 20


class RecordEngagement:
    """Counts what a person did, once, and has the lead scored anew."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

    def __call__(
        self,
        lead_id: str,
        event: str,
        ref: str,
        call: CallContext,
        at: datetime | None = None,
        minutes: int | None = None,
    ) -> bool:
        """True when this call counted it; False when the same event with the same `ref` counted before, or when there
        is nobody to count it for: the lead is not there, or was converted and is archived. What a merged lead did is
        the lead's it was merged into. `at` is when it happened, now unless told; a time to come is now. Raises Invalid
        without a `ref`, Unavailable when the lead never rests."""
        value = _value(lead_id, event, ref)
        for _ in attempts(_ATTEMPTS, self._sleep, self._jitter):
            if self.counted(lead_id, event, ref):
                return False
            lead = standing_at(self._table, lead_id)
            if lead is None or lead.status is LeadStatus.CONVERTED:
                return False
            now = self._clock.now()
            transaction = begin(call, now)
            claim(transaction, "engagement", value, lead.id)
            done = Engagement(event=event, at=min(at or now, now), ref=ref, minutes=minutes)
            events = kept((*lead.engagement, done))
            if events != lead.engagement:  # else it is the one that would go
                LEADS.update(transaction, lead.revised(now, engagement=events, rescore_at=now))
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue
            return True
        raise Unavailable("this lead is being changed by many; try again shortly", retry_after=1)

    def counted(self, lead_id: str, event: str, ref: str) -> bool:
        """Whether it counted, by whatever call. Raises Invalid without a `ref`."""
        return self._table.get(claim_key("engagement", _value(lead_id, event, ref))) is not None

    def take_back(
        self, lead_id: str, event: str, ref: str, call: CallContext, *, since: datetime | None = None
    ) -> bool:
        """Uncounts what turned out to be no person's doing, so that it may still count once when a person does it.
        `since` spares what happened before. False when there is nothing to take back."""
        value = _value(lead_id, event, ref)
        for _ in attempts(_ATTEMPTS, self._sleep, self._jitter):
            row = self._table.get(claim_key("engagement", value))
            if row is None:
                return False
            lead = standing_at(self._table, lead_id)
            counted = [done for done in lead.engagement if (done.event, done.ref) == (event, ref)] if lead else []
            if lead is None or not counted or any(since and done.at < since for done in counted):
                return False
            now = self._clock.now()
            others = tuple(done for done in lead.engagement if done not in counted)
            transaction = begin(call, now)
            release(transaction, "engagement", value)
            LEADS.update(transaction, lead.revised(now, engagement=others, rescore_at=now))
            try:
                self._table.commit(transaction)
            except (ConditionFailed, Contention):
                continue
            return True
        raise Unavailable("this lead is being changed by many; try again shortly", retry_after=1)


def _value(lead_id: str, event: str, ref: str) -> str:
    """What the claim is on. The lead that was named, not the one it was merged into: a link keeps naming the former."""
    if not ref:
        raise Invalid.field(
            "ref", "LEAD-3 engagement", "says what was done to", "the id of a message, a page, a meeting"
        )
    return f"{lead_id}|{event}|{ref}"
