"""The allow-list a model learns from, and that what came later is not looked at."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from revops.crm.facts import facts_of
from revops.crm.model import AuthorityLevel, Lead, LeadStatus
from revops.scoring import LearnedModel
from revops.scoring.features import FIELDS, LEARNED_FROM, kept_first, seniority, size_band
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
SET_LATER = {
    "status", "stage", "contacted_at", "closed_at", "owner_id", "assignee_id", "assignment", "account_id", "score",
    "score_card", "qualification", "conversion", "nomination", "status_reason", "engagement", "rescore_at",
    "duplicate_check", "validation_status", "missing", "gdpr_consent", "version", "modified_at",
}  # fmt: skip
"""What is set on a lead while it is worked on: all of it knows the outcome, or follows from it."""


def a_lead() -> Lead:
    return submit_lead(MemoryTable())(submission(), CALL).lead


@pytest.mark.mission("LEAD-3", "LEAD-4")
def test_nothing_that_is_set_later_is_learned_from() -> None:
    assert not SET_LATER & LEARNED_FROM.keys()
    assert set(FIELDS) <= Lead.model_fields.keys() | {"source", "medium", "mail"}


@pytest.mark.mission("LEAD-4")
@pytest.mark.parametrize("name", sorted(SET_LATER | {"email", "last_name", "budget"}))
def test_a_model_that_looks_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="not what a lead came with"):
        LearnedModel.model_validate({"base_rate": 0.2, "fields": {name: {"values": {"x": 1.0}}}})


@pytest.mark.mission("LEAD-4")
def test_what_is_worked_into_a_lead_moves_nothing_that_is_learned() -> None:
    lead = a_lead()
    came = facts_of(lead).origin
    worked_on = lead.revised(
        NOW,
        status=LeadStatus.CONTACTED,
        contacted_at=NOW,
        budget_range="100k+",
        timeline="Immediate",
        authority_level=AuthorityLevel.ECONOMIC_BUYER,
        company_size="5000",
        job_title="Chief Executive",
        email="asha@gmail.com",
    )
    again = worked_on.revised(NOW, budget_range="1k-10k", industry="Retail", status=LeadStatus.QUALIFIED)
    for later in (worked_on, again):
        assert facts_of(later).origin == came
        assert facts_of(later).budget_range == later.budget_range
    assert again.as_created == {
        "budget_range": "10k-50k",
        "timeline": "0-3 months",
        "authority_level": "decision maker",
        "company_size": "50",
        "job_title": "",
        "industry": "software",
        "mail": "company",
    }


@pytest.mark.mission("LEAD-4")
def test_a_lead_nobody_changed_carries_nothing_extra() -> None:
    assert a_lead().as_created == {}
    same = a_lead().revised(NOW, budget_range="10K – 50K", score=12)
    assert same.as_created == {}, "the same value written otherwise is no change"


@pytest.mark.mission("LEAD-2", "LEAD-4")
def test_when_a_lead_is_closed_is_noted_and_when_it_is_opened_again() -> None:
    lead = a_lead().revised(NOW, status=LeadStatus.CONTACTED)
    assert lead.closed_at is None
    lost = lead.revised(NOW, status=LeadStatus.UNQUALIFIED)
    for_good = lost.revised(NOW + timedelta(days=3), status=LeadStatus.DISQUALIFIED, score=3)
    assert (lost.closed_at, for_good.closed_at) == (NOW, NOW)
    assert lost.revised(NOW, status=LeadStatus.RECYCLED).closed_at is None


@pytest.mark.parametrize(
    ("title", "level"),
    [
        ("CTO", "chief"), ("Chief Revenue Officer", "chief"), ("Co-Founder", "chief"), ("Geschäftsführerin", "chief"),
        ("Vice President Sales", "head"), ("VP of Ops", "head"), ("Director, IT", "head"),
        ("Vertriebsleiterin", "head"), ("Account Manager", "manager"),
        ("Tech Lead", "manager"), ("Intern", "junior"), ("Werkstudent", "junior"),
        ("Senior Vice President", "head"), ("Executive Vice-President, Sales", "head"),
        ("Assistant Vice President", "head"), ("Vice President and Co-Founder", "chief"),
        ("Product Owner", "other"), ("Senior Product-Owner", "other"), ("Product Owner & Co-Founder", "chief"),
        ("Business Owner", "chief"), ("Owner", "chief"), ("HR Business Partner", "other"),
        ("Partner Account Manager", "manager"), ("Managing Partner", "chief"), ("Partner, Tax", "chief"),
        ("Founder's Associate", "other"), ("Assistant to the CEO", "junior"), ("CEO Assistant", "junior"),
        ("Executive Assistant, CEO Office", "junior"), ("Assistenz des Geschäftsführers", "junior"),
        ("Assistant to the Head of Sales", "junior"), ("Assistant Director", "head"),
        ("Clerk", "other"), ("राहुल", "other"), ("  ", ""), ("", ""),
    ],
)  # fmt: skip
def test_levels_that_job_titles_speak_of(title: str, level: str) -> None:
    assert seniority(title) == level


@pytest.mark.parametrize(
    ("size", "band"),
    [("", ""), ("7", "1"), ("10-49", "10"), ("1,000+", "1000"), ("10k+", "1000"), ("50, 100", ""), ("none", "")],
)
def test_sizes_are_learned_in_bands(size: str, band: str) -> None:
    assert size_band(size) == band


def test_the_first_value_is_kept_once() -> None:
    empty = ("",) * len(FIELDS)
    first = kept_first({}, empty, ("50-100", *empty[1:]))
    assert first == {"company_size": ""}
    assert kept_first(first, ("50-100", *empty[1:]), ("5000", *empty[1:])) == first
