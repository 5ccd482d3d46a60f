"""Lead intake through its public door, over the in-memory table."""

import threading
from collections import Counter
from typing import Any

import pytest

from revops.crm.consent import CONSENTS
from revops.crm.engagement import RecordEngagement
from revops.crm.model import Channel, DuplicateCheck, Lead, SpamScore, ValidationStatus
from revops.crm.policies.engagement import MOST
from revops.crm.reading import Reading
from revops.crm.rechecking import RecheckLead
from revops.crm.store import LEADS, MATCH, match_key
from revops.crm.submission import AttributionClaim, ConsentStatement
from revops.kernel import Conflict, Invalid
from revops.settings import SettingsReader
from revops.table import Delete, Key, Row, Transaction
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, FixedRoster, submission, submissions_of, submit_lead
from tests.builders.memory_table import MemoryTable


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-12", "LEAD-1", "LEAD-3")
def test_a_complete_lead_is_owned_scored_and_keeps_its_script() -> None:
    table = MemoryTable()
    receipt = submit_lead(table)(submission(first_name="राहुल", last_name="पाटील", company="ABC टेक"), CALL)
    lead = LEADS.require(table, receipt.lead.id)
    assert receipt.created
    assert (lead.first_name, lead.last_name, lead.company) == ("राहुल", "पाटील", "ABC टेक")
    assert lead.owner_id == "sdr-1"
    assert lead.assignment.rule == "round-robin"
    assert lead.score_card is not None
    assert lead.score == 15 + 15 + 12 + 12 + 25 == sum(part.points for part in lead.score_card.points)
    assert lead.gdpr_consent
    record = CONSENTS.require(table, lead.person_id)
    assert [(said.channel, said.granted, said.wording_version, said.ip) for said in record.entries] == [
        ("email", True, "2026-03", "203.0.113.9")
    ]
    assert lead.validation_status is ValidationStatus.VALID
    assert not lead.attribution.derived


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(
    "address", ["ASHA.RAO@NORDLICHT.EXAMPLE", " asha.rao@nordlicht.example ", "asha.rao@Nordlicht.example"]
)
def test_the_same_mail_is_the_same_lead_however_it_is_written(address: str) -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    first = submit(submission(), CALL)
    second = submit(submission(email=address, phone="", first_name="A."), CALL)
    assert not second.created
    assert second.lead.id == first.lead.id
    assert second.lead.first_name == "Asha", "a repeat must not rename anybody"
    assert len(submissions_of(table, first.lead.id)) == 1


@pytest.mark.mission("CAP-10")
def test_what_somebody_known_says_beside_the_fields_of_a_lead_is_kept() -> None:
    table, clock = MemoryTable(), ManualClock()
    submit = submit_lead(table, clock=clock)

    def says(**beside: str) -> Lead:
        clock.advance(seconds=1)
        return submit(submission(channel=Channel.FORM, metadata=beside), CALL).lead

    lead = says(message="Prices?")
    again = says(message="Call me", budget_year="2027")
    assert again.metadata == {"message": "Prices?", "budget_year": "2027"}, "what stands is not overwritten"
    [further] = submissions_of(table, lead.id)
    assert further.metadata == {"message": "Call me"}
    more = {f"field_{number}": "x" for number in range(20)}
    full = says(**more)
    assert len(full.metadata) == 20
    assert more.items() <= (full.metadata | submissions_of(table, lead.id)[0].metadata).items()
    assert says(**more).version == full.version, "the same again changes nothing"
    assert full.engagement == lead.engagement, "words alone are worth no points"


@pytest.mark.mission("LEAD-3", "CAP-11")
def test_a_form_of_somebody_known_takes_no_rarer_event_away() -> None:
    table, clock = MemoryTable(), ManualClock()
    submit = submit_lead(table, clock=clock)
    lead = submit(submission(channel=Channel.PARTNER, job_title=""), CALL).lead
    record = RecordEngagement(table, clock, sleep=lambda _: None)
    record(lead.id, "webinar_attended", "w", CALL)
    for number in range(MOST):
        clock.advance(seconds=1)
        record(lead.id, "page_view", f"/{number}", CALL)
    again = submit(submission(channel=Channel.FORM, job_title="CTO"), CALL).lead
    assert Counter(done.event for done in again.engagement) == {"webinar_attended": 1, "page_view": MOST - 2, "form": 1}


@pytest.mark.mission("CAP-10", "CAP-11")
def test_what_somebody_known_says_otherwise_than_it_stands_is_kept() -> None:
    table, clock = MemoryTable(), ManualClock()
    submit = submit_lead(table, clock=clock)
    lead = submit(submission(authority_level=None), CALL).lead

    def says(**fields: Any) -> dict[str, str]:
        clock.advance(seconds=1)
        assert submit(submission(**fields), CALL).lead.id == lead.id
        return submissions_of(table, lead.id)[0].fields

    same = {"email": "ASHA.RAO@nordlicht.example", "phone": "030 901820", "first_name": " asha"}
    assert says(**same, authority_level="Champion") == {}, "what was empty stands on the lead now"
    assert says(phone="+49 30 901899", last_name="Ray", authority_level="User") == {
        "phone": "+49 30 901899",
        "last_name": "Ray",
        "authority_level": "User",
    }
    assert says(phone="12", company="") == {"phone": "12", "authority_level": "Decision Maker"}
    stands = LEADS.require(table, lead.id)
    assert (stands.phone, stands.last_name, stands.authority_level) == ("+49 30 901820", "Rao", "Champion")


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R18")
def test_of_64_simultaneous_submissions_one_makes_a_lead_and_63_refer_to_it() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    barrier = threading.Barrier(64)
    created: list[bool] = []

    def one() -> None:
        barrier.wait()
        created.append(submit(submission(), CALL).created)

    threads = [threading.Thread(target=one) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leads = [row for row in table.rows.values() if row.kind == "LEAD"]
    assert len(leads) == 1
    assert created.count(True) == 1
    assert len(submissions_of(table, LEADS.load(leads[0]).id)) == 63


@pytest.mark.mission("CAP-11")
def test_colleagues_behind_one_switchboard_and_one_role_mailbox_stay_two_people() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    submit(submission(email="info@nordlicht.example"), CALL)
    other = submit(submission(email="info@nordlicht.example", first_name="Bo", last_name="Lind"), CALL)
    third = submit(submission(email="bo@nordlicht.example", first_name="Eva", last_name="Ek"), CALL)
    assert other.created
    assert third.created
    assert third.lead.duplicate_check is DuplicateCheck.PASS


@pytest.mark.mission("CAP-11")
def test_a_phone_is_exclusive_for_a_person_without_mail() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    first = submit(submission(email=""), CALL)
    second = submit(submission(email="", phone="030 901820", first_name="X"), CALL)
    assert first.lead.validation_status is ValidationStatus.PENDING
    assert second.lead.id == first.lead.id


@pytest.mark.mission("CAP-11")
def test_people_behind_one_switchboard_who_name_their_lines_are_each_a_lead() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    for first, last, line in (("Anna", "Berg", "ext. 12"), ("Bernd", "Kohl", "x34")):
        said = submission(email="", first_name=first, last_name=last, phone=f"+49 30 901820 {line}")
        assert submit(said, CALL).created
    again = submit(submission(email="", first_name="Berta", last_name="Kohl", phone="+49 30 901820"), CALL)
    assert again.created, "the switchboard's number itself is nobody's yet"


@pytest.mark.mission("CAP-11", "CAP-10")
def test_a_lookalike_is_kept_as_pending_and_explained() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    first = submit(submission(), CALL)
    alike = submit(submission(email="asha.r@nordlicht.example", last_name="Raó"), CALL).lead
    assert alike.duplicate_check is DuplicateCheck.PENDING
    assert alike.resembles[0].lead_id == first.lead.id
    assert {part.field for part in alike.resembles[0].evidence} == {
        "first_name",
        "last_name",
        "company",
        "phone",
        "email",
    }


@pytest.mark.mission("CAP-11")
def test_lookalikes_that_raced_past_each_other_are_found_after_the_commit() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    once = Reading.of(submission(), CALL).features.blocking_keys()
    for each in once:  # somebody was the first under each of their keys, and left: neither is stopped by the other
        table.rows[match_key(each)] = Row(pk=match_key(each).pk, sk=match_key(each).sk, kind=MATCH, doc="{}")
    elsewhere = submit_lead(table, roster=FixedRoster(), ids=seeded_ids(2))  # takes no ticket of the same turn

    def another_meanwhile(_: Transaction) -> None:
        table.before_commit = lambda _: None
        elsewhere(submission(email="asha.r@nordlicht.example"), CALL)

    table.before_commit = another_meanwhile
    first = submit(submission(), CALL).lead
    assert first.duplicate_check is DuplicateCheck.PASS, "the other was not there yet when this one looked"
    RecheckLead(table, ManualClock(), SettingsReader(table, ttl=0))(first.id, "event-1")
    checked = LEADS.require(table, first.id)
    assert checked.duplicate_check is DuplicateCheck.PENDING
    assert len(checked.resembles) == 1


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize("country", ["DE", "Germany", "United Kingdom", "NO", "is"])
def test_a_collected_lead_from_europe_needs_a_statement_of_consent(country: str) -> None:
    with pytest.raises(Invalid) as refusal:
        submit_lead(MemoryTable())(submission(country=country, consents=()), CALL)
    assert refusal.value.issues[0].field == "consent"
    assert "CAP-9" in refusal.value.issues[0].rule


@pytest.mark.mission("CAP-9")
def test_a_refusal_of_marketing_is_a_statement_too() -> None:
    said_no = (ConsentStatement(channel="email", granted=False),)
    lead = submit_lead(MemoryTable())(submission(consents=said_no), CALL).lead
    assert not lead.gdpr_consent


@pytest.mark.mission("CAP-8")
def test_a_partner_must_say_where_the_lead_came_from() -> None:
    with pytest.raises(Invalid) as refusal:
        submit_lead(MemoryTable())(submission(attribution=AttributionClaim(source="x", medium="y")), CALL)
    assert [issue.field for issue in refusal.value.issues] == ["attribution.campaign", "attribution.term"]


@pytest.mark.mission("CAP-8")
def test_the_form_gets_a_derived_attribution_from_its_referrer() -> None:
    lead = submit_lead(MemoryTable())(
        submission(channel=Channel.FORM, attribution=None, referrer="https://search.example/q?x=1"), CALL
    ).lead
    assert lead.attribution.derived
    assert lead.attribution.source == "search.example"


@pytest.mark.mission("CAP-10")
def test_an_incomplete_but_reachable_person_is_kept_as_pending() -> None:
    lead = submit_lead(MemoryTable())(submission(last_name="", phone=""), CALL).lead
    assert lead.validation_status is ValidationStatus.PENDING
    assert lead.missing == ("last_name", "phone")


@pytest.mark.mission("CAP-10")
@pytest.mark.parametrize(
    ("phone", "country", "why"),
    [
        ("12", "Germany", "not a telephone number in Germany"),
        ("030 901820", "Atlantis", "not a telephone number with a prefix such as +44, and Atlantis is no country that"),
        ("030 901820", " ", "not a telephone number with a prefix such as +44, and no country is given"),
    ],
)
def test_a_phone_that_cannot_be_read_says_why(phone: str, country: str, why: str) -> None:
    lead = submit_lead(MemoryTable())(submission(phone=phone, country=country), CALL).lead
    assert lead.validation_status is ValidationStatus.INVALID
    assert lead.missing[-1].startswith(f"phone: {why}")


@pytest.mark.mission("CAP-10")
def test_nobody_can_be_kept_who_cannot_be_reached() -> None:
    with pytest.raises(Invalid) as refusal:
        submit_lead(MemoryTable())(submission(email="not an address", phone="12"), CALL)
    assert refusal.value.issues[0].message == (
        "neither a usable e-mail nor a usable phone: email is not an e-mail address and phone is not a telephone "
        "number in DE"
    )
    with pytest.raises(Invalid, match=r"phone$"):
        submit_lead(MemoryTable())(submission(email="", phone=" "), CALL)


@pytest.mark.mission("CAP-5")
def test_a_partner_key_gives_the_same_answer_again_and_refuses_another_content() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    first = submit(submission(idempotency_key="k1"), CALL)
    again = submit(submission(idempotency_key="k1"), CALL)
    assert again.created
    assert again.lead.id == first.lead.id
    assert len([row for row in table.rows.values() if row.kind == "SUBMISSION"]) == 0
    with pytest.raises(Conflict):
        submit(submission(idempotency_key="k1", company="Other"), CALL)


@pytest.mark.mission("CAP-11")
def test_a_name_that_is_completed_is_no_longer_found_by_what_it_was_before() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    submit(submission(email="asha.k@gmail.com", last_name=""), CALL)  # the first under the key they share
    lead = submit(submission(email="asha.rao@gmail.com", phone="", last_name=""), CALL).lead
    removed: list[Key] = []
    table.before_commit = lambda said: removed.extend(o.key for o in said.operations if isinstance(o, Delete))
    assert submit(submission(email="asha.rao@gmail.com", phone=""), CALL).lead.last_name == "Rao"
    assert [key.sk for key in removed] == [lead.person_id]
    assert removed[0] not in table.rows


@pytest.mark.mission("CAP-12")
def test_round_robin_is_fair_to_within_one_and_skips_nobody() -> None:
    table = MemoryTable()
    submit = submit_lead(table, "a", "b", "c")
    owners = [submit(submission(email=f"p{n}@nordlicht.example"), CALL).lead.owner_id for n in range(100)]
    counts = [owners.count(user) for user in "abc"]
    assert max(counts) - min(counts) <= 1


@pytest.mark.mission("CAP-10")
def test_spam_is_scored_with_its_reasons() -> None:
    lead = submit_lead(MemoryTable())(
        submission(company="Buy https://x.example", metadata={"honeypot": "1"}), CALL
    ).lead
    assert lead.spam_score is SpamScore.HIGH
    assert "a link in a name (+30)" in lead.spam_reasons


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize(
    "said",
    [
        {"country": "", "phone": "+49 30 901820"},
        {"country": "Atlantis", "phone": "+47 22 12 34 56"},
        {"country": "", "phone": "", "email": "asha@nordlicht.de"},
    ],
)
def test_where_no_country_is_said_the_phone_or_the_mail_says_it(said: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        submit_lead(MemoryTable())(submission(consents=(), **said), CALL)
    assert "CAP-9" in refusal.value.issues[0].rule


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_the_public_form_cannot_turn_a_refusal_into_consent_but_can_withdraw_one() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    yes, no = (ConsentStatement(channel="email", granted=True),), (ConsentStatement(channel="email", granted=False),)
    lead = submit(submission(consents=yes), CALL).lead
    form = {"channel": Channel.FORM, "attribution": None}
    assert not submit(submission(consents=no, **form), CALL).lead.gdpr_consent
    assert not submit(submission(consents=yes, **form), CALL).lead.gdpr_consent
    assert submit(submission(consents=yes), CALL).lead.gdpr_consent, "a partner with a key answers for what it says"
    said = CONSENTS.require(table, lead.person_id).entries
    assert [each.granted for each in said] == [True, False, True], "nothing is taken out of the record"
