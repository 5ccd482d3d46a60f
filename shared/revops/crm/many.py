"""Many submissions at once: who of them is known and whom the others resemble, in few requests."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import batched

from revops.crm.lookalikes import among
from revops.crm.model import Account, Lead, MatchVerdict
from revops.crm.policies.matching import MatchRules
from revops.crm.reading import Reading
from revops.crm.store import ACCOUNTS, LEADS, lead_key, match_key, matched_lead
from revops.settings import SettingsReader
from revops.table import Key, Query, Row, Table, claim_holder, claim_key

_IN_ONE_REQUEST = 100


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a submission: the lead that it repeats; else the account its mail domain belongs to, whom the
    person resembles, and under which of the person's blocking keys nobody stands."""

    lead: Lead | None = None
    account: Account | None = None
    resembles: tuple[MatchVerdict, ...] = ()
    vacant: frozenset[str] = frozenset()


class FindKnown:
    """Looks for many people together: their claims and candidates are each asked for once, however many share them.
    Nearly all keys that new people are looked for by are vacant, which one read of a hundred first entries tells; only
    the others are queried. All reads are strongly consistent: what the same caller wrote a moment ago is seen."""

    def __init__(self, table: Table, settings: SettingsReader, workers: Executor) -> None:
        self._table = table
        self._settings = settings
        self._workers = workers

    def __call__(self, readings: Sequence[Reading]) -> list[Known]:
        """What is known of each, in order."""
        pairs = sorted({pair for reading in readings for pair in _claims(reading)})
        searched = [reading.features.search_keys() for reading in readings]
        keys = list(dict.fromkeys(key for each in searched for key in each))
        rows = self._rows([*(claim_key(*pair) for pair in pairs), *map(match_key, keys)])
        holders = {pair: claim_holder(row) for pair, row in zip(pairs, rows, strict=False) if row is not None}
        taken = {key for key, row in zip(keys, rows[len(pairs) :], strict=True) if row is not None}
        leads = self._leads(holders.get(pair) or "" for reading in readings for pair in reading.claims)
        accounts = self._accounts(holder for (name, _), holder in holders.items() if name == "domain")
        known = [leads.get(_holder(reading, holders)) for reading in readings]
        asked = (key for lead, each in zip(known, searched, strict=True) if lead is None for key in each)
        candidates = self._candidates([key for key in dict.fromkeys(asked) if key in taken])
        found = []
        for reading, lead, each in zip(readings, known, searched, strict=True):
            if lead is not None:
                found.append(Known(lead))
                continue
            account = accounts.get(holders.get(("domain", reading.domain)) or "")
            alike = self._alike(reading, each, candidates) if candidates else ()
            found.append(Known(None, account, alike, frozenset(key for key in each if key not in taken)))
        return found

    def _rows(self, keys: Sequence[Key]) -> list[Row | None]:
        """One row or None per key, a hundred in a request."""
        parts = self._workers.map(self._table.get_many, batched(keys, _IN_ONE_REQUEST, strict=False))
        return [row for part in parts for row in part]

    def _leads(self, ids: Iterable[str]) -> dict[str, Lead]:
        keys = [lead_key(lead_id) for lead_id in dict.fromkeys(ids) if lead_id]
        return {lead.id: lead for lead in LEADS.load_all(self._table.get_many(keys))} if keys else {}

    def _accounts(self, ids: Iterable[str | None]) -> dict[str, Account]:
        keys = [ACCOUNTS.key(account_id) for account_id in dict.fromkeys(ids) if account_id]
        return {found.id: found for found in ACCOUNTS.load_all(self._table.get_many(keys))} if keys else {}

    def _candidates(self, keys: Sequence[str]) -> Mapping[str, list[Lead]]:
        """Search key → the leads that stand under it."""
        most = self._settings.read(MatchRules).max_candidates

        def named(key: str) -> list[str]:
            page = self._table.query(Query(pk=f"MATCH#{key}", limit=most, consistent=True))
            return [lead_id for row in page.rows if (lead_id := matched_lead(row))]

        under = dict(zip(keys, self._workers.map(named, keys), strict=True))
        leads = self._leads(lead_id for ids in under.values() for lead_id in ids)
        return {key: [leads[each] for each in ids if each in leads] for key, ids in under.items() if ids}

    def _alike(
        self, reading: Reading, keys: Sequence[str], candidates: Mapping[str, list[Lead]]
    ) -> tuple[MatchVerdict, ...]:
        rules = self._settings.read(MatchRules)
        fewest = sorted((candidates[key] for key in keys if key in candidates), key=len)
        leads = {lead.id: lead for found in fewest for lead in found}
        if not leads:
            return ()
        return among(self._table, list(leads.values())[: rules.max_candidates], reading.features, rules)


def _claims(reading: Reading) -> list[tuple[str, str]]:
    return [*reading.claims, *([("domain", reading.domain)] if reading.domain else [])]


def _holder(reading: Reading, holders: Mapping[tuple[str, str], str | None]) -> str:
    return next((holder for pair in reading.claims if (holder := holders.get(pair))), "")
