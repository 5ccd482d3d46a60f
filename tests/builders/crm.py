"""Leads and people, invented."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from revops.crm.intake import SubmitLead
from revops.crm.model import Channel
from revops.crm.store import Submission
from revops.crm.submission import AttributionClaim, ConsentStatement, LeadSubmission
from revops.kernel import CallContext, Clock, IdFactory, Principal, Role
from revops.settings import SettingsReader
from revops.table import Query, Table
from tests.builders.clock import ManualClock, seeded_ids

CALL = CallContext(Principal("user-1", Role.ADMIN), request_id="req-1", ip="203.0.113.9", user_agent="tests")


class FixedRoster:
    """A roster of given SDRs. Everybody else is there and sells as well, but for those in `away`, those who have left
    (`gone`), and those in `others`."""

    def __init__(self, *people: str, away: Iterable[str] = (), gone: Iterable[str] = ()) -> None:
        self.people = list(people)
        self.gone = set(gone)
        self.away = set(away) | self.gone
        self.others: set[str] = set()
        self.working: dict[str, int] = {}

    def sdrs(self) -> list[str]:
        return [user for user in self.people if user not in self.away]

    def present(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        return frozenset(user_ids - self.away)

    def active(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        return frozenset(user_ids - self.gone)

    def sellers(self, user_ids: AbstractSet[str]) -> frozenset[str]:
        return frozenset(user_ids - self.away - self.others)

    def zone(self, user_id: str) -> str:
        return ""

    def open_leads(self, user_ids: AbstractSet[str]) -> dict[str, int]:
        return {user: self.working.get(user, 0) for user in user_ids}


def submission(**changes: Any) -> LeadSubmission:
    """A complete, valid lead from a partner."""
    fields: dict[str, Any] = {
        "channel": Channel.PARTNER,
        "first_name": "Asha",
        "last_name": "Rao",
        "company": "Nordlicht GmbH",
        "email": "asha.rao@nordlicht.example",
        "phone": "+49 30 901820",
        "country": "DE",
        "company_size": "50-100",
        "industry": "Software",
        "budget_range": "10k-50k",
        "timeline": "0-3 months",
        "authority_level": "Decision Maker",
        "consents": (ConsentStatement(channel="email", granted=True, wording_version="2026-03"),),
        "attribution": AttributionClaim(source="Partner One", campaign="autumn", medium="referral", term="crm"),
    }
    return LeadSubmission.model_validate(fields | changes)


def submissions_of(table: Table, lead_id: str, limit: int = 100) -> list[Submission]:
    """The further submissions of a lead, newest first."""
    page = table.query(Query(pk=f"LEAD#{lead_id}", begins="SUBMISSION#", descending=True, limit=limit, consistent=True))
    return [Submission.model_validate_json(row.doc) for row in page.rows]


def submit_lead(
    table: Table,
    *people: str,
    clock: Clock | None = None,
    ids: IdFactory | None = None,
    roster: FixedRoster | None = None,
    sleep: Callable[[float], None] = lambda _: None,
) -> SubmitLead:
    """The intake use case over a table, with people to take the leads."""
    return SubmitLead(
        table,
        clock or ManualClock(),
        ids or seeded_ids(1),
        SettingsReader(table, ttl=0),
        roster or FixedRoster(*(people or ("sdr-1", "sdr-2"))),
        sleep=sleep,
    )
