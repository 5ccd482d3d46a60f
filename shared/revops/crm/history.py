"""Closed leads as scoring learns from them and replays them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from revops.crm.facts import facts_of
from revops.crm.model import CLOSED_STATUSES, Lead, LeadStatus
from revops.crm.store import LEADS, LeadList, closed_lead_keys
from revops.kernel import Clock
from revops.scoring.replay import Past
from revops.scoring.training.model import Example
from revops.table import Key, Table, merge_pages, present

_PAGE = 100


class LeadHistory:
    """Leads of the past: all that were won or lost, and a sample of the newest of any kind."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def examples(self, most: int) -> Sequence[Example]:
        """At most `most` closed leads, those created last, each with what it came with and what became of it."""
        return [
            Example(facts_of(lead).origin, lead.status is LeadStatus.CONVERTED, lead.closed_at or lead.modified_at)
            for lead in self._leads(closed_lead_keys(self._table, most))
            if lead.status in CLOSED_STATUSES
        ]

    def sample(self, most: int) -> list[Past]:
        """At most so many of the leads created last and, as those are on no list, of the converted ones: open ones as
        of now, closed ones as of their closing."""
        newest, now = LeadList(owners=None), self._clock.now()
        rows, _ = merge_pages(self._table, newest.partitions(), {}, most, newest.rank)
        converted = closed_lead_keys(self._table, most // 3, [LeadStatus.CONVERTED])
        keys = dict.fromkeys([*(row.key for row in rows), *converted])
        return [_past(lead, now) for lead in self._leads([*keys])]

    def _leads(self, keys: Sequence[Key]) -> Iterator[Lead]:
        for start in range(0, len(keys), _PAGE):
            yield from LEADS.load_all(present(self._table.get_many(keys[start : start + _PAGE], consistent=False)))


def _past(lead: Lead, now: datetime) -> Past:
    if lead.status not in CLOSED_STATUSES:
        return Past(lead.id, facts_of(lead), now)
    return Past(lead.id, facts_of(lead), lead.closed_at or lead.modified_at, lead.status is LeadStatus.CONVERTED)
