"""Whom a person resembles: candidates by the keys they share, compared and explained (CAP-11)."""

from collections.abc import Iterable

from revops.crm.known import known_today
from revops.crm.model import Lead, MatchDecision, MatchVerdict
from revops.crm.policies.matching import Features, MatchRules, matcher, nameless
from revops.crm.reading import features_of
from revops.crm.store import LEADS, lead_key, matched_lead, standing
from revops.table import Query, Table, present, query_all

MOST = 5
"""How many lookalikes a lead names."""


def lookalikes(
    table: Table,
    person: Features,
    rules: MatchRules,
    *,
    but: str = "",
    consistent: bool = False,
    vacant: frozenset[str] = frozenset(),
) -> tuple[MatchVerdict, ...]:
    """Who else a person resembles, best first, at most five. A lead that was merged is compared as it was and named by
    the one it went into; `but` is the person's own lead."""
    found = candidates(table, person, rules, consistent=consistent, vacant=vacant)
    return among(table, found, person, rules, but=but)


def among(
    table: Table, leads: Iterable[Lead], person: Features, rules: MatchRules, *, but: str = ""
) -> tuple[MatchVerdict, ...]:
    """Whom of some leads a person resembles, as `lookalikes` says it."""
    compared, found = matcher(rules), dict[str, MatchVerdict]()
    one = compared.values(person)
    for lead in leads:
        features = features_of(lead)
        if lead.id == but:
            continue
        other = compared.values(features)
        if compared.score(one, other) is None and not nameless(one, other):
            continue
        stands = standing(table, lead)
        if stands is None or stands.id == but:
            continue
        told = compared.verdict(stands.person_id, stands.id, person, features)
        best = found.get(stands.id)
        if told.decision is not MatchDecision.DIFFERENT and (best is None or told.score > best.score):
            found[stands.id] = told
    return tuple(sorted(found.values(), key=lambda each: -each.score)[:MOST])


def reached_at(table: Table, phone: str) -> list[Lead]:
    """The leads whose people are reached at a number (E.164), as they stand; those with an e-mail too, who hold no
    claim on it (CAP-11)."""
    today = (standing(table, lead) for lead in known_at(table, phone))
    return [lead for lead in today if lead is not None]


def known_at(table: Table, phone: str) -> list[Lead]:
    """The leads that have a number (E.164), those that went into another one too, each as it is itself."""
    (key,) = Features("", "", "", None, phone).blocking_keys()
    named = {matched_lead(row): None for row in query_all(table, Query(pk=f"MATCH#{key}", limit=100, consistent=True))}
    found = LEADS.load_all(present(table.get_many([lead_key(lead_id) for lead_id in named if lead_id])))
    return [lead for lead in known_today(table, found) if features_of(lead).phone == phone]


def candidates(
    table: Table,
    person: Features,
    rules: MatchRules,
    *,
    consistent: bool = False,
    vacant: frozenset[str] = frozenset(),
) -> Iterable[Lead]:
    """The leads that share a key with a person, at most as many as the rules say; nobody is asked for under a `vacant`
    one. While somebody waits for an answer the person's own keys are asked; those with the names swapped are when it is
    looked at again after the commit. What few share comes first: behind a switchboard of hundreds stand those with the
    same name at the company."""
    keys = [key for key in (person.search_keys() if consistent else person.blocking_keys()) if key not in vacant]
    queries = (Query(pk=f"MATCH#{key}", limit=rules.max_candidates, consistent=consistent) for key in keys)
    pages = sorted((table.query(query).rows for query in queries), key=len)
    named = dict.fromkeys(lead_id for rows in pages for row in rows if (lead_id := matched_lead(row)))
    leads = [lead_key(lead_id) for lead_id in list(named)[: rules.max_candidates]]
    return known_today(table, LEADS.load_all(present(table.get_many(leads, False)))) if leads else []
