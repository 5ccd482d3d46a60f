"""A batch of attendees: each row its verdict, attendance counted once, a key that ends in between stops the rest."""

from typing import Any

import pytest

from revops.channels.webinar import AttendeeVerdict, RowVerdict, TakeAttendees, WebinarBatch
from revops.crm.consent import CONSENTS
from revops.crm.engagement import RecordEngagement
from revops.crm.model import Lead
from revops.crm.store import LEADS
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submit_lead
from tests.builders.memory_table import MemoryTable

pytestmark = pytest.mark.mission("CAP-6")
FROM = {"source": "Webinar Tool", "campaign": "crm-basics", "medium": "webinar", "term": "crm"}
CONSENT = [{"channel": "email", "granted": True, "wording_version": "2026-03"}]


class Desk:
    def __init__(self) -> None:
        self.table = MemoryTable()
        clock = ManualClock()
        self.take = TakeAttendees(submit_lead(self.table, clock=clock), RecordEngagement(self.table, clock))

    def send(self, *attendees: dict[str, Any], **more: Any) -> list[AttendeeVerdict]:
        good = more.pop("still_good", lambda: True)
        batch = WebinarBatch.model_validate({"attribution": FROM, "consent": CONSENT, "attendees": attendees} | more)
        return self.take("crm-basics-1", batch, CALL, good)

    def lead(self, verdict: AttendeeVerdict) -> Lead:
        return LEADS.require(self.table, verdict.lead_id)


def person(number: int = 1, **more: Any) -> dict[str, Any]:
    names = {"first_name": f"Asha{number}", "last_name": "Rao", "company": "Nordlicht", "country": "DE"}
    return names | {"email": f"a{number}@nordlicht.example"} | more


@pytest.mark.mission("CAP-8", "CAP-9", "LEAD-3")
def test_attendance_counts_once_however_often_the_batch_comes() -> None:
    desk = Desk()
    [registered] = desk.send(person())
    [came] = desk.send(person(presence="attended", minutes=40))
    [again] = desk.send(person(presence="attended", minutes=40))
    assert [each.verdict for each in (registered, came, again)] == ["created", "created", "created"]
    lead = desk.lead(registered)
    assert [(done.event, done.minutes) for done in lead.engagement] == [
        ("webinar_registered", None),
        ("webinar_attended", 40),
    ]
    assert lead.attribution.source == "Webinar Tool"
    assert CONSENTS.require(desk.table, lead.person_id).marketing
    assert lead.metadata == {"webinar": "crm-basics-1"}


def test_a_row_that_breaks_a_rule_names_it_and_costs_no_other_row() -> None:
    desk = Desk()
    verdicts = desk.send(
        person(1),
        person(2, email="", phone=""),
        person(3, nickname="x"),
        person(4, presence="perhaps"),
        person(5, company="x" * 200),
        person(6),
    )
    assert [each.verdict for each in verdicts] == ["created", *["refused"] * 4, "created"]
    issues = [each.issues[0] for each in verdicts if each.issues]
    assert [(issue.field, issue.rule, issue.accepted) for issue in issues] == [
        ("email", "CAP-10 reachable", "one of the two"),
        ("nickname", "unknown-or-read-only", "leave it out"),
        ("presence", "enum", "'registered', 'attended' or 'missed'"),
        ("company", "string_too_long", ""),
    ]


def test_without_consent_or_origin_a_row_is_refused_and_its_own_word_counts_first() -> None:
    desk = Desk()
    [refused] = desk.send(person(), consent=[])
    assert "CAP-9" in refused.issues[0].rule
    [refused] = desk.send(person(), attribution=None)
    assert {issue.rule for issue in refused.issues} == {"CAP-8 attribution-required"}
    own = {"source": "Partner", "campaign": "c", "medium": "m", "term": "t"}
    [said_no] = desk.send(person(attribution=own, consent=[{"channel": "email", "granted": False}]))
    lead = desk.lead(said_no)
    assert (lead.attribution.source, lead.gdpr_consent) == ("Partner", False)


@pytest.mark.mission("CAP-5")
def test_a_key_revoked_in_the_middle_keeps_what_was_stored_and_says_where_it_stopped() -> None:
    desk = Desk()
    answers = iter([True, False])
    verdicts = desk.send(*(person(number) for number in range(35)), still_good=lambda: next(answers))
    assert [each.verdict for each in verdicts] == ["created"] * 20 + ["not_done"] * 15
    assert verdicts[-1].issues[0].rule == "CAP-5 revoked"
    assert all(verdict.verdict is not RowVerdict.NOT_DONE for verdict in desk.send(*(person(n) for n in range(35))))
