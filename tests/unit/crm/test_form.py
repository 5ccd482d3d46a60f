"""The public form: unknown fields go into bounded metadata, and nothing typed into it breaks anything (CAP-10)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from revops.crm.model import Attribution, Channel
from revops.crm.store import LEADS
from revops.crm.submission import FormSubmission, LeadSubmission, PartnerSubmission, attribution_of
from tests.builders.crm import CALL, submit_lead
from tests.builders.memory_table import MemoryTable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=90)
WIDE = "\ufdfa"  # one character that stands for eighteen


def bounded(metadata: dict[str, str]) -> bool:
    return len(metadata) <= 20 and all(1 <= len(name) <= 60 and len(text) <= 500 for name, text in metadata.items())


@pytest.mark.mission("CAP-10")
@pytest.mark.fault("S13")
@given(st.dictionaries(NAMES.filter(lambda name: name not in FormSubmission.model_fields), VALUES, max_size=30), VALUES)
def test_whatever_is_unknown_is_kept_within_bounds(unknown: dict[str, Any], metadata: Any) -> None:
    said = FormSubmission.model_validate({"email": "a@b.example", "metadata": metadata, **unknown})
    assert bounded(said.metadata)
    assert said.email == "a@b.example"


@pytest.mark.mission("CAP-10")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"utm_content": "x", "metadata": {"page": "/a"}}, {"page": "/a", "utm_content": "x"}),
        ({"metadata": "text"}, {"metadata": "text"}),
        ({"metadata": None}, {}),
        ({"metadata": {"a": {"b": [1, None]}}}, {"a": '{"b": [1, null]}'}),
        (
            {"newsletter": True, "fax": None, "metadata": {"seats": 5, "floor": None}},
            {"seats": "5", "newsletter": "true"},
        ),
        ({"": "x", " ": "y", "\u200b": "z"}, {}),
        ({"a ": "first", " a": "second", "a": "third"}, {"a": "first"}),
        ({"x" * 60 + "1": "first", "x" * 60 + "2": "second"}, {"x" * 60: "first"}),
        (
            {"owner_id": "me", "score": 100, "status": "Converted"},
            {"owner_id": "me", "score": "100", "status": "Converted"},
        ),
        ({WIDE * 60: WIDE * 600}, None),
        ({f"k{n}": "v" for n in range(50)}, {f"k{n}": "v" for n in range(20)}),
        ({"metadata": {f"k{n}": "v" for n in range(50)}, "utm": "late"}, {f"k{n}": "v" for n in range(20)}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_unknown_fields_stand_in_metadata(sent: dict[str, Any], kept: dict[str, str] | None) -> None:
    metadata = FormSubmission.model_validate(sent).metadata
    assert bounded(metadata)
    if kept is not None:
        assert metadata == kept


@pytest.mark.mission("CAP-8", "CAP-10")
def test_a_null_is_a_field_that_was_not_filled_in() -> None:
    claim = {"source": "Fair", "campaign": None, "medium": "event", "term": None}
    empty = dict.fromkeys(("first_name", "phone", "country", "authority_level", "custom_fields", "consent"))
    said = FormSubmission.model_validate({"email": "a@b.example", "attribution": claim, **empty})
    assert (said.first_name, said.phone, said.consent, said.custom_fields) == ("", "", (), {})
    assert said.attribution is not None
    assert (said.attribution.source, said.attribution.campaign, said.attribution.term) == ("Fair", "", "")
    assert FormSubmission.model_validate({"email": "a@b.example", "attribution": None}).attribution is None


@pytest.mark.mission("CAP-8")
@pytest.mark.fault("S13")
@pytest.mark.parametrize("campaign", ["c" * 121, "c" * 100_000, WIDE * 120, " \u200b" * 300 + "c"])
def test_a_long_campaign_loses_no_lead_of_the_form(campaign: str) -> None:
    said = FormSubmission.model_validate({"email": "a@b.example", "attribution": {"campaign": campaign}})
    assert said.attribution is not None
    assert len(said.attribution.campaign) <= 120
    with pytest.raises(ValidationError):
        PartnerSubmission.model_validate({"email": "a@b.example", "attribution": {"campaign": "c" * 121}})


@pytest.mark.fault("S2")
@pytest.mark.parametrize("field", ["owner_id", "score", "status", "id", "version", "metadata", "person_id", "channel"])
def test_a_partner_sets_nothing_but_what_a_partner_may(field: str) -> None:
    with pytest.raises(ValidationError):
        PartnerSubmission.model_validate({"email": "a@b.example", field: "x"})


@pytest.mark.fault("S2")
def test_what_a_form_calls_owner_or_score_decides_nothing() -> None:
    said = FormSubmission.model_validate(
        {"email": "a@b.example", "country": "IN", "owner_id": "me", "score": 100, "status": "Qualified", "version": 9}
    )
    lead = submit_lead(MemoryTable())(LeadSubmission.of(said, Channel.FORM), CALL).lead
    assert (lead.owner_id, lead.status, lead.version) == ("sdr-1", "New", 1)
    assert lead.score < 100


@pytest.mark.fault("S13", "S14")
@pytest.mark.parametrize("field", ["first_name", "company", "job_title", "industry"])
def test_a_line_is_measured_as_it_is_written_out(field: str) -> None:
    with pytest.raises(ValidationError):
        FormSubmission.model_validate({field: WIDE * 120})
    with pytest.raises(ValidationError):
        FormSubmission.model_validate({field: "x" * 121})
    assert len(getattr(FormSubmission.model_validate({field: "x" * 120}), field)) == 120


@pytest.mark.mission("CAP-8")
@pytest.mark.fault("S13")
@given(
    st.fixed_dictionaries(
        {
            name: st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
            for name in ("source", "campaign", "medium")
        }
    ),
    st.text(max_size=300),
)
def test_an_attribution_always_stands_whatever_was_claimed_or_referred(claim: dict[str, str], referrer: str) -> None:
    try:
        said = FormSubmission.model_validate({"email": "a@b.example", "attribution": claim})
    except ValidationError:
        return
    stands = attribution_of(LeadSubmission.of(said, Channel.FORM, referrer=referrer))
    assert isinstance(stands, Attribution)
    assert stands.source
    assert stands.derived is not all(said.attribution and getattr(said.attribution, name) for name in claim)


@pytest.mark.fault("S17")
@given(
    st.dictionaries(
        st.sampled_from(["first_name", "last_name", "company", "industry", "email", "phone", "country"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(["LEAD#1", "a|b", "#", "\0"]),
        max_size=7,
    ),
    st.text(max_size=20),
)
def test_no_text_of_a_submission_stands_in_any_key(fields: dict[str, str], key: str) -> None:
    table = MemoryTable()
    marked = {
        name: f"QQ{text}QQ" if name not in ("email", "phone", "country") else text for name, text in fields.items()
    }
    try:
        said = FormSubmission.model_validate({**marked, "email": "qqa@qqb.example", "country": "IN"})
    except ValidationError:
        return
    submission = LeadSubmission.of(said, Channel.FORM, idempotency_key=f"QQ{key}")
    lead = submit_lead(table)(submission, CALL).lead
    for row in table.rows.values():
        text = " ".join([row.pk, row.sk, *(part for entry in row.index.values() for part in entry)])
        assert "qq" not in text.casefold()
    assert LEADS.require(table, lead.id).email == "qqa@qqb.example"
