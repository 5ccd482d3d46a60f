"""The consent record, what stands in it, and the gate that messages pass."""

import json
from datetime import timedelta

import pytest

from revops.crm.consent import (
    CONSENTS,
    LEASE,
    MOST,
    PATIENCE,
    SEND_WITHIN,
    SENDING,
    Consent,
    ConsentRecord,
    RecordConsent,
    SendGate,
    news_of,
    refusal,
)
from revops.crm.events import events
from revops.crm.store import LEADS
from revops.kernel import NotFound, Refused, Unavailable, time_text
from revops.table import ConditionFailed, Contention, Transaction, begin
from tests.builders.clock import ManualClock
from tests.builders.engagement import LEAD, PERSON, PUBLIC, consent, place_lead, record_of
from tests.builders.memory_table import MemoryTable

CALL_SECONDS = 8
"""How long the call of a sender takes at most."""


class Bench:
    """A person with a consent, unless told. Sleeping passes time."""

    def __init__(self, *said: Consent) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        place_lead(self.table, self.clock, *(said or (consent(self.clock),)))
        self.slept: list[float] = []
        self.record = RecordConsent(self.table, self.clock, sleep=self.sleep)
        self.gate = SendGate(self.table, self.clock)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds=seconds)

    def say(self, channel: str = "email", *, granted: bool = False, **more: str) -> ConsentRecord:
        return self.record(PERSON, [consent(self.clock, channel, granted=granted, **more)], PUBLIC)

    def enter(self, message: str = "MSG_1", channel: str = "email") -> None:
        transaction = begin(PUBLIC, self.clock.now())
        self.gate.enter(transaction, PERSON, channel, message)
        self.table.commit(transaction)

    def leave(self, message: str = "MSG_1") -> None:
        transaction = begin(PUBLIC, self.clock.now())
        self.gate.leave(transaction, PERSON, message)
        if transaction.operations:
            self.table.commit(transaction)


# ── what stands ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-9")
def test_the_last_statement_about_a_channel_and_a_purpose_is_the_one_in_force() -> None:
    bench = Bench(consent(ManualClock()), consent(ManualClock(), "whatsapp"), consent(ManualClock(), purpose="service"))
    bench.say("email")
    bench.say("email", granted=True, wording_version="2026-09")
    bench.say("whatsapp")
    record = record_of(bench.table)
    assert [(said.channel, said.purpose, said.granted) for said in record.in_force] == [
        ("email", "marketing", True),
        ("whatsapp", "marketing", False),
        ("email", "service", True),
    ]
    assert len(record.entries) == 6, "nothing is ever taken out"
    assert record.marketing


def test_a_statement_is_new_when_it_is_the_first_the_opposite_or_in_other_words() -> None:
    clock = ManualClock()
    given, taken = consent(clock), consent(clock, granted=False)
    renewed, unworded = consent(clock, wording_version="2026-09"), consent(clock, wording_version="")
    record = ConsentRecord(id=PERSON, created_at=clock.now(), modified_at=clock.now(), entries=(given,))
    assert news_of(None, [given, given]) == (given,)
    assert news_of(record, [given, unworded]) == ()
    assert news_of(record, [renewed, renewed]) == (renewed,)
    assert news_of(record, [taken, given]) == (taken, given), "one after the other: it stands granted"
    assert news_of(record, [given, taken, taken]) == (taken,)


def test_a_record_that_cannot_grow_still_takes_the_withdrawal() -> None:
    clock = ManualClock()
    many = tuple(consent(clock, wording_version=str(n)) for n in range(MOST))
    record = ConsentRecord(id=PERSON, created_at=clock.now(), modified_at=clock.now(), entries=many)
    assert news_of(record, [consent(clock, wording_version="one more"), consent(clock, "sms")]) == ()
    taken = consent(clock, granted=False)
    assert news_of(record, [taken]) == (taken,)


@pytest.mark.mission("CAP-9", "LEAD-5")
def test_why_a_message_may_not_be_sent() -> None:
    bench = Bench()
    assert refusal(record_of(bench.table), "email") == ""
    assert refusal(None, "email") == "no marketing consent for email"
    assert refusal(record_of(bench.table), "whatsapp") == "no marketing consent for whatsapp"
    assert refusal(record_of(bench.table), "email", "service") == "no service consent for email"
    bench.record(PERSON, (), PUBLIC, do_not_disturb=True)
    assert refusal(record_of(bench.table), "email") == "do not disturb"
    bench.record(PERSON, (), PUBLIC, do_not_disturb=False)
    assert refusal(record_of(bench.table), "email") == ""
    bench.say()
    assert refusal(record_of(bench.table), "email").startswith("marketing consent for email withdrawn or refused on")


# ── recording ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-9")
def test_the_flag_of_the_lead_follows_in_the_same_transaction() -> None:
    bench = Bench()
    before = LEADS.require(bench.table, LEAD)
    assert before.gdpr_consent
    bench.say("whatsapp", granted=True)
    assert LEADS.require(bench.table, LEAD) == before, "it says the same, so it is left alone"
    commits = len(bench.table.changes)
    bench.say("email")
    bench.say("whatsapp")
    assert not LEADS.require(bench.table, LEAD).gdpr_consent
    kinds = [change.kind for change in bench.table.changes[commits:]]
    assert kinds == ["CONSENT", "CONSENT", "LEAD"]


def test_saying_the_same_again_writes_nothing() -> None:
    bench = Bench()
    bench.say()
    commits = len(bench.table.changes)
    assert bench.say() == record_of(bench.table)
    assert bench.record(PERSON, (), PUBLIC, do_not_disturb=False) == record_of(bench.table)
    assert len(bench.table.changes) == commits


@pytest.mark.parametrize("person", ["PER_NOBODY", "", "P" * 5000])
def test_nobody_says_nothing(person: str) -> None:
    bench = Bench()
    with pytest.raises(NotFound):
        bench.record(person, [consent(bench.clock, granted=False)], PUBLIC)


@pytest.mark.fault("R6")
@pytest.mark.parametrize("meddled", ["record", "lead"])
def test_what_changes_meanwhile_is_looked_at_again(meddled: str) -> None:
    bench = Bench()

    def meddle(_: Transaction) -> None:
        bench.table.before_commit = lambda _: None
        now = bench.clock.now()
        transaction = begin(PUBLIC, now)
        if meddled == "lead":
            LEADS.update(transaction, LEADS.require(bench.table, LEAD).revised(now, job_title="CTO"))
        else:
            CONSENTS.update(transaction, record_of(bench.table).revised(now, do_not_disturb=True))
        bench.table.commit(transaction)

    bench.table.before_commit = meddle
    bench.say()
    record, lead = record_of(bench.table), LEADS.require(bench.table, LEAD)
    assert refusal(record, "email")
    assert (record.do_not_disturb, lead.job_title) == ((True, "") if meddled == "record" else (False, "CTO"))
    assert not lead.gdpr_consent


@pytest.mark.fault("R6")
def test_a_withdrawal_that_meets_others_in_one_moment_is_tried_again() -> None:
    bench = Bench()

    def meets(_: Transaction) -> None:
        bench.table.before_commit = lambda _: None
        raise Contention("others touch the same items")

    bench.table.before_commit = meets
    bench.say()
    assert refusal(record_of(bench.table), "email")


# ── the gate ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lease_outlasts_the_longest_call_and_a_withdrawal_outwaits_a_lease() -> None:
    assert SEND_WITHIN + timedelta(seconds=CALL_SECONDS) + timedelta(seconds=2) <= LEASE < PATIENCE


@pytest.mark.fault("S21")
def test_nothing_passes_without_consent_and_nothing_is_written() -> None:
    bench = Bench()
    bench.say()
    commits = len(bench.table.changes)
    with pytest.raises(Refused, match="withdrawn"):
        bench.enter()
    with pytest.raises(Refused, match="no marketing consent"):
        bench.enter(channel="whatsapp")
    assert len(bench.table.changes) == commits


@pytest.mark.fault("S21")
def test_a_withdrawal_waits_for_the_message_that_is_on_its_way() -> None:
    bench = Bench()
    bench.enter()
    bench.say()
    assert sum(bench.slept) == pytest.approx(LEASE.total_seconds(), abs=0.5), "a sender that never came back"


@pytest.mark.fault("S21")
def test_a_withdrawal_goes_on_as_soon_as_the_message_has_left() -> None:
    bench = Bench()
    bench.enter()
    record = RecordConsent(bench.table, bench.clock, sleep=lambda _: bench.leave())
    record(PERSON, [consent(bench.clock, granted=False)], PUBLIC)
    assert not record_of(bench.table).marketing
    assert bench.clock.now() == ManualClock().now()


def test_a_grant_waits_for_nothing() -> None:
    bench = Bench()
    bench.enter()
    bench.say("whatsapp", granted=True)
    assert bench.slept == []


@pytest.mark.fault("S21")
def test_do_not_disturb_waits_as_a_withdrawal_does_and_lifting_it_does_not() -> None:
    bench = Bench()
    bench.enter()
    bench.record(PERSON, (), PUBLIC, do_not_disturb=True)
    assert bench.slept
    bench.slept.clear()
    with pytest.raises(Refused, match="do not disturb"):
        bench.enter("MSG_2")
    bench.record(PERSON, (), PUBLIC, do_not_disturb=False)
    assert bench.slept == []


@pytest.mark.fault("S21")
def test_one_message_at_a_time() -> None:
    bench = Bench(consent(ManualClock()), consent(ManualClock(), "whatsapp"))
    bench.enter("MSG_1")
    with pytest.raises(Unavailable) as later:
        bench.enter("MSG_2", "whatsapp")
    assert later.value.retry_after == LEASE.total_seconds()
    bench.leave("MSG_1")
    bench.enter("MSG_2", "whatsapp")
    bench.leave("MSG_1")  # who comes late does not end another message's way
    with pytest.raises(Unavailable):
        bench.enter("MSG_3")
    bench.clock.advance(seconds=LEASE.total_seconds())
    bench.enter("MSG_3")


@pytest.mark.fault("S21", "R6")
def test_of_a_message_and_a_withdrawal_that_race_one_fails() -> None:
    bench = Bench()
    transaction = begin(PUBLIC, bench.clock.now())
    bench.gate.enter(transaction, PERSON, "email", "MSG_1")
    bench.say()
    with pytest.raises(ConditionFailed):
        bench.table.commit(transaction)
    other = Bench()
    entered: list[int] = []

    def overtake(_: Transaction) -> None:
        other.table.before_commit = lambda _: None
        other.enter()
        entered.append(1)

    other.table.before_commit = overtake
    other.say()
    assert entered
    assert other.slept, "the withdrawal saw the lease and waited"


@pytest.mark.fault("R4")
def test_leaving_twice_is_leaving_once() -> None:
    bench = Bench()
    bench.enter()
    bench.leave()
    bench.leave()
    bench.enter("MSG_2")


@pytest.mark.fault("S21")
def test_who_waits_closes_the_gate_and_opens_it_again() -> None:
    """Senders that follow one another closely would keep a withdrawal waiting for ever."""
    bench = Bench(consent(ManualClock()), consent(ManualClock(), "whatsapp"))
    refused: list[str] = []

    def another(seconds: float) -> None:
        bench.clock.advance(seconds=seconds)
        bench.leave()
        with pytest.raises(Unavailable) as later:
            bench.enter("MSG_2", "whatsapp")
        refused.append(later.value.detail)

    bench.enter()
    RecordConsent(bench.table, bench.clock, sleep=another)(PERSON, [consent(bench.clock, granted=False)], PUBLIC)
    assert len(refused) == 1
    bench.enter("MSG_2", "whatsapp")
    with pytest.raises(Refused):
        bench.enter("MSG_3", "email")


@pytest.mark.fault("R3", "S21")
def test_a_gate_that_was_closed_by_somebody_who_died_opens_by_itself() -> None:
    bench = Bench()

    def dies(seconds: float) -> None:
        raise TimeoutError

    bench.enter()
    with pytest.raises(TimeoutError):
        RecordConsent(bench.table, bench.clock, sleep=dies)(PERSON, [consent(bench.clock, granted=False)], PUBLIC)
    bench.leave()
    with pytest.raises(Unavailable):
        bench.enter("MSG_2")
    bench.clock.advance(seconds=PATIENCE.total_seconds())
    bench.enter("MSG_2")


def test_a_message_that_never_leaves_makes_a_withdrawal_try_again_later() -> None:
    bench = Bench()
    bench.enter()
    stuck = RecordConsent(bench.table, bench.clock, sleep=lambda _: None)
    with pytest.raises(Unavailable):
        stuck(PERSON, [consent(bench.clock, granted=False)], PUBLIC)
    assert record_of(bench.table).marketing


def test_the_lease_row_says_which_message_and_nothing_of_the_person() -> None:
    bench = Bench()
    bench.enter()
    [row] = [row for row in bench.table.rows.values() if row.kind == SENDING]
    assert row.key.pk == f"PERSON#{PERSON}"
    assert json.loads(row.doc) == {"message": "MSG_1", "until": time_text(bench.clock.now() + LEASE)}


# ── what it says to the world ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("BUS-1", "CAP-9")
def test_grants_and_withdrawals_are_published_each_under_its_own_id() -> None:
    bench = Bench(
        consent(ManualClock()), consent(ManualClock(), "whatsapp"), consent(ManualClock(), "sms", granted=False)
    )
    both = [consent(bench.clock, "email", granted=False), consent(bench.clock, "whatsapp", granted=False)]
    bench.record(PERSON, both, PUBLIC)
    bench.say("sms", granted=True)
    bench.record(PERSON, (), PUBLIC, do_not_disturb=True)
    bench.record(PERSON, (), PUBLIC, do_not_disturb=False)
    published = [each for change in bench.table.changes for each in events(change) if each.name.startswith("Consent")]
    assert [(each.name, each.data["channel"], each.data["purpose"]) for each in published] == [
        ("ConsentGranted", "email", "marketing"),
        ("ConsentGranted", "whatsapp", "marketing"),
        ("ConsentWithdrawn", "email", "marketing"),
        ("ConsentWithdrawn", "whatsapp", "marketing"),
        ("ConsentGranted", "sms", "marketing"),
        ("ConsentWithdrawn", "all", "all"),
    ]
    assert len({each.id for each in published}) == len(published)
    assert {(each.data["person_id"], each.data["lead_id"]) for each in published} == {(PERSON, LEAD)}


@pytest.mark.mission("BUS-1", "CAP-11")
def test_a_merge_that_joins_what_both_said_publishes_only_what_is_in_force_anew() -> None:
    bench = Bench()
    bench.clock.advance(days=2)
    bench.say()
    record, earlier = record_of(bench.table), ManualClock()
    earlier.advance(days=1)
    older, other = consent(earlier, wording_version="2026-01"), consent(earlier, "sms")
    given, taken = record.entries
    commits = len(bench.table.changes)
    transaction = begin(PUBLIC, bench.clock.now())
    CONSENTS.update(transaction, record.revised(bench.clock.now(), entries=(given, older, other, taken)))
    bench.table.commit(transaction)
    [change] = bench.table.changes[commits:]
    assert [(each.name, each.data["channel"]) for each in events(change)] == [("ConsentGranted", "sms")]
