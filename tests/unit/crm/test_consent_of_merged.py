"""CAP-9, CAP-11: what somebody says is theirs, while they are made one with another, are one, and are parted again."""

import json
from dataclasses import replace

import pytest

from revops.crm.consent import CONSENTS, RecordConsent, SendGate, refusal
from revops.crm.events import events
from revops.crm.merging import MERGES
from revops.crm.model import Lead
from revops.crm.reading import move_identity
from revops.crm.store import LEADS, person_key
from revops.crm.submission import ConsentStatement
from revops.kernel import Unavailable
from revops.table import begin, claim_key
from tests.builders.crm import CALL, submission
from tests.builders.merging import NO, YES, Desk

OTHERS = "asha.rao@gmail.com"


def _two(
    desk: Desk, first: tuple[ConsentStatement, ...] = YES, second: tuple[ConsentStatement, ...] = YES
) -> tuple[Lead, Lead]:
    """Two leads of one person; the second said its word later."""
    return desk.lead(phone="", consents=first), desk.lead(email=OTHERS, phone="", consents=second)


def _enter(desk: Desk, lead: Lead, message: str, channel: str = "email") -> None:
    transaction = begin(CALL, desk.clock.now())
    SendGate(desk.table, desk.clock).enter(transaction, lead.person_id, channel, message)
    desk.table.commit(transaction)


def _leave(desk: Desk, lead: Lead, message: str) -> None:
    transaction = begin(CALL, desk.clock.now())
    SendGate(desk.table, desk.clock).leave(transaction, lead.person_id, message)
    desk.table.commit(transaction)


def _agrees(desk: Desk, lead: Lead) -> bool:
    record = CONSENTS.require(desk.table, lead.person_id)
    assert record.marketing is (refusal(record, "email") == "" or record.do_not_disturb)
    return record.marketing


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("R3", "R19", "S21")
@pytest.mark.parametrize("look", ["ROLES", "CONSENT", "SENDING", "commit"])
def test_a_withdrawal_while_two_are_made_one_holds_for_the_one(look: str) -> None:
    desk = Desk()
    first, second = _two(desk)
    desk.meanwhile(look, second, lambda: desk.merge(first.id, second.id, CALL))
    desk.say(second.person_id, [desk.no()], CALL)
    assert desk.now(second).merged_into == first.id, "the merge came in between"
    assert not _agrees(desk, first)
    assert not desk.now(first).gdpr_consent


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("R3", "R19", "S21")
def test_nor_is_it_lost_when_the_one_goes_into_a_third() -> None:
    desk = Desk()
    first, second = _two(desk)
    third = desk.lead(email="rao@gmx.de", phone="", consents=YES)
    desk.merge(second.id, first.id, CALL)
    desk.meanwhile("ROLES", second, lambda: desk.merge(third.id, second.id, CALL))
    desk.say(first.person_id, [desk.no()], CALL)
    assert not _agrees(desk, third)


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.parametrize("by_form", [False, True])
def test_what_the_other_refused_before_is_no_word_of_theirs(by_form: bool) -> None:
    """The one refused, the other agreed, they are one, and the other withdraws: said once, it holds for both when they
    are parted; said again, it adds nothing."""
    desk = Desk()
    second = desk.lead(email=OTHERS, phone="", consents=YES)
    first = desk.lead(phone="", consents=NO)
    record = desk.merge(first.id, second.id, CALL)
    assert not _agrees(desk, first)
    for _ in range(2):
        desk.clock.advance(minutes=5)
        if by_form:
            desk.submit(submission(email=OTHERS, phone="", consents=NO), CALL)
        else:
            desk.say(second.person_id, [desk.no()], CALL)
    assert [said.granted for said in CONSENTS.require(desk.table, first.person_id).entries].count(False) == 2
    desk.undo(record.id, CALL)
    assert not _agrees(desk, second)
    assert not desk.now(second).gdpr_consent


@pytest.mark.mission("CAP-9", "CAP-11")
def test_said_before_a_third_came_and_went_it_still_holds() -> None:
    desk = Desk()
    second = desk.lead(email=OTHERS, phone="", consents=YES)
    first, third = desk.lead(phone="", consents=NO), desk.lead(email="rao@gmx.de", phone="", consents=NO)
    earlier = desk.merge(first.id, second.id, CALL)
    desk.say(second.person_id, [desk.no()], CALL)
    later = desk.merge(first.id, third.id, CALL)
    desk.say(second.person_id, [desk.no()], CALL)
    desk.undo(later.id, CALL)
    desk.say(second.person_id, [desk.no()], CALL)
    desk.undo(earlier.id, CALL)
    assert not _agrees(desk, second)
    assert CONSENTS.require(desk.table, first.person_id).joined == 0


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("R3", "R19", "S21")
@pytest.mark.parametrize("before", [YES, NO])
@pytest.mark.parametrize("look", ["ROLES", "CONSENT", "SENDING", "commit"])
def test_a_withdrawal_while_a_merge_is_undone_is_the_persons_whose_it_is(
    look: str, before: tuple[ConsentStatement, ...]
) -> None:
    """Undone after a look of who records it: also where the survivor had refused already, which is not the other's."""
    desk = Desk()
    first, second = _two(desk, before, YES)
    record = desk.merge(first.id, second.id, CALL)
    desk.meanwhile(look, second if look == "ROLES" else first, lambda: desk.undo(record.id, CALL))
    desk.say(second.person_id, [desk.no()], CALL)
    assert MERGES.require(desk.table, record.id).undone_at is not None, "the undoing came in between"
    assert not CONSENTS.require(desk.table, second.person_id).marketing
    assert not desk.now(second).gdpr_consent
    assert desk.now(second).merged_into == ""


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("R3", "R19", "S21")
@pytest.mark.parametrize("said", [YES, NO])
@pytest.mark.parametrize("look", ["LEAD", "CONSENT", "commit"])
def test_a_submission_while_a_merge_is_undone_speaks_for_the_one_who_sent_it(
    look: str, said: tuple[ConsentStatement, ...]
) -> None:
    desk = Desk()
    said_before = NO if said == YES else YES
    first, second = _two(desk, said_before, said_before)
    record = desk.merge(first.id, second.id, CALL)
    desk.meanwhile(look, first, lambda: desk.undo(record.id, CALL))
    desk.submit(submission(email=second.email, phone="", consents=said), CALL)
    assert MERGES.require(desk.table, record.id).undone_at is not None, "the undoing came in between"
    assert CONSENTS.require(desk.table, second.person_id).marketing is (said == YES)
    assert desk.now(second).gdpr_consent is (said == YES)
    if said == YES:  # nobody is agreed for
        assert not CONSENTS.require(desk.table, first.person_id).marketing


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("R3", "R19", "S21")
@pytest.mark.parametrize("look", ["LEAD", "CONSENT", "commit"])
def test_a_refusal_by_form_while_a_merge_with_one_who_refused_is_undone_is_kept(look: str) -> None:
    desk = Desk()
    second = desk.lead(email=OTHERS, phone="", consents=YES)
    first = desk.lead(phone="", consents=NO)
    record = desk.merge(first.id, second.id, CALL)
    desk.meanwhile(look, first, lambda: desk.undo(record.id, CALL))
    desk.submit(submission(email=OTHERS, phone="", consents=NO), CALL)
    assert MERGES.require(desk.table, record.id).undone_at is not None, "the undoing came in between"
    assert not _agrees(desk, second)


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("R19")
def test_a_claim_that_is_given_up_while_its_submission_is_read_is_claimed_again() -> None:
    desk = Desk()
    lead = desk.lead(email=OTHERS, phone="+919876543210", consents=YES)

    def clear() -> None:
        transaction, before = begin(CALL, desk.clock.now()), desk.now(lead)
        after = before.revised(desk.clock.now(), email="")
        LEADS.update(transaction, after)
        move_identity(desk.table, transaction, before, after)
        desk.table.commit(transaction)

    desk.table.after = (claim_key("email", OTHERS), clear)
    desk.submit(submission(email=OTHERS, phone="", consents=NO), CALL)
    assert desk.table.after is None
    assert desk.now(lead).email == OTHERS
    assert not _agrees(desk, lead)


@pytest.mark.mission("CAP-9", "CAP-11", "LEAD-5")
@pytest.mark.fault("R19", "S21")
def test_who_closed_the_gate_of_the_one_does_not_open_the_others() -> None:
    """While a withdrawal waits for a message to the survivor, the two are parted, and somebody else closes the gate of
    the one who withdraws: that one stays closed as long as they said."""
    desk = Desk()
    both = (*YES, ConsentStatement(channel="whatsapp", granted=True))
    first, second = _two(desk, both, both)
    record = desk.merge(first.id, second.id, CALL)
    _enter(desk, first, "MSG_1")

    def dies(_: float) -> None:
        raise TimeoutError

    def parted(_: float) -> None:
        _leave(desk, first, "MSG_1")
        desk.undo(record.id, CALL)
        _enter(desk, second, "MSG_2")
        with pytest.raises(TimeoutError):
            RecordConsent(desk.table, desk.clock, sleep=dies)(second.person_id, [desk.no()], CALL)
        _leave(desk, second, "MSG_2")

    RecordConsent(desk.table, desk.clock, sleep=parted)(second.person_id, [desk.no()], CALL)
    assert refusal(CONSENTS.require(desk.table, second.person_id), "email")
    with pytest.raises(Unavailable):
        _enter(desk, second, "MSG_3", "whatsapp")


@pytest.mark.mission("CAP-9", "CAP-11", "LEAD-5")
@pytest.mark.fault("R19", "S21")
def test_who_waits_again_after_a_parting_closes_the_other_gate_too() -> None:
    desk = Desk()
    both = (*YES, ConsentStatement(channel="whatsapp", granted=True))
    first, second = _two(desk, both, both)
    record = desk.merge(first.id, second.id, CALL)
    _enter(desk, first, "MSG_1")

    def part() -> None:
        _leave(desk, first, "MSG_1")
        desk.undo(record.id, CALL)
        _enter(desk, second, "MSG_2")

    def leave() -> None:
        _leave(desk, second, "MSG_2")
        with pytest.raises(Unavailable):
            _enter(desk, second, "MSG_3", "whatsapp")

    waits = [part, leave]
    RecordConsent(desk.table, desk.clock, sleep=lambda _: waits.pop(0)())(second.person_id, [desk.no()], CALL)
    assert not waits
    assert refusal(CONSENTS.require(desk.table, second.person_id), "email")
    _enter(desk, second, "MSG_3", "whatsapp")


@pytest.mark.mission("CAP-9", "CAP-11", "LEAD-5")
@pytest.mark.parametrize("who_had_it", ["the survivor", "the merged one"])
@pytest.mark.parametrize("lifted_first", [False, True])
def test_do_not_disturb_said_while_two_are_one_holds_for_both(who_had_it: str, lifted_first: bool) -> None:
    """Also where it stood already, by the wish of one of them."""
    desk = Desk()
    first, second = _two(desk)
    had = first if who_had_it == "the survivor" else second
    desk.say(had.person_id, (), CALL, do_not_disturb=True)
    record = desk.merge(first.id, second.id, CALL)
    if lifted_first:
        desk.say(first.person_id, (), CALL, do_not_disturb=False)
    said = [desk.say(first.person_id, (), CALL, do_not_disturb=True) for _ in range(2)]
    assert said[0] == said[1], "said again it adds nothing"
    desk.undo(record.id, CALL)
    for lead in (first, second):
        assert refusal(CONSENTS.require(desk.table, lead.person_id), "email") == "do not disturb"


@pytest.mark.mission("CAP-9", "CAP-11", "LEAD-5")
def test_do_not_disturb_said_since_a_merge_and_taken_back_holds_for_both_when_they_are_parted() -> None:
    """One may have said it and the other taken it back, as with a refusal."""
    desk = Desk()
    first, second = _two(desk)
    record = desk.merge(first.id, second.id, CALL)
    desk.say(first.person_id, (), CALL, do_not_disturb=True)
    desk.say(second.person_id, (), CALL, do_not_disturb=False)
    assert _agrees(desk, first)
    desk.undo(record.id, CALL)
    for lead in (first, second):
        assert refusal(CONSENTS.require(desk.table, lead.person_id), "email") == "do not disturb"


@pytest.mark.mission("CAP-9", "LEAD-5")
def test_do_not_disturb_of_who_never_said_a_word_is_said_once() -> None:
    desk = Desk()
    lead = desk.lead(phone="", country="US", consents=())
    said = [desk.say(lead.person_id, (), CALL, do_not_disturb=True) for _ in range(2)]
    assert said[0] == said[1]


@pytest.mark.mission("CAP-9", "CAP-11", "LEAD-5")
def test_do_not_disturb_that_nobody_said_since_is_again_whose_it_was() -> None:
    desk = Desk()
    first, second = _two(desk)
    desk.say(second.person_id, (), CALL, do_not_disturb=True)
    record = desk.merge(first.id, second.id, CALL)
    assert refusal(CONSENTS.require(desk.table, first.person_id), "email") == "do not disturb"
    desk.undo(record.id, CALL)
    assert refusal(CONSENTS.require(desk.table, first.person_id), "email") == ""
    assert refusal(CONSENTS.require(desk.table, second.person_id), "email") == "do not disturb"


@pytest.mark.mission("CAP-9", "CAP-11", "LEAD-5")
def test_do_not_disturb_said_before_a_third_came_and_went_holds() -> None:
    desk = Desk()
    first, second = _two(desk)
    third = desk.lead(email="rao@gmx.de", phone="", consents=YES)
    desk.say(third.person_id, (), CALL, do_not_disturb=True)
    earlier = desk.merge(first.id, second.id, CALL)
    desk.say(first.person_id, (), CALL, do_not_disturb=True)
    desk.undo(desk.merge(first.id, third.id, CALL).id, CALL)
    desk.undo(earlier.id, CALL)
    for lead in (first, second, third):
        assert refusal(CONSENTS.require(desk.table, lead.person_id), "email") == "do not disturb"


@pytest.mark.mission("CAP-9", "CAP-11", "LEAD-5")
def test_do_not_disturb_said_while_three_are_one_holds_for_all_of_them() -> None:
    """Also for the one that is parted last, though the survivor's wish before the last merge was a joined one."""
    desk = Desk()
    first, second = _two(desk)
    third = desk.lead(email="rao@gmx.de", phone="", consents=YES)
    desk.say(first.person_id, (), CALL, do_not_disturb=True)
    records = [desk.merge(first.id, lead.id, CALL) for lead in (second, third)]
    desk.say(first.person_id, (), CALL, do_not_disturb=True)
    for record in reversed(records):
        desk.undo(record.id, CALL)
    for lead in (first, second, third):
        assert refusal(CONSENTS.require(desk.table, lead.person_id), "email") == "do not disturb"


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.parametrize("refused_since", [False, True])
def test_an_agreement_since_a_merge_is_not_put_over_the_survivors_own_refusal(refused_since: bool) -> None:
    desk = Desk()
    before = YES if refused_since else NO
    first, second = _two(desk, before, before)
    record = desk.merge(first.id, second.id, CALL)
    if refused_since:
        desk.clock.advance(minutes=1)
        desk.say(first.person_id, [desk.no()], CALL)
    desk.clock.advance(minutes=1)
    desk.submit(submission(email=OTHERS, phone="", consents=YES), CALL)
    assert _agrees(desk, first)
    desk.undo(record.id, CALL)
    assert not _agrees(desk, first)
    assert not _agrees(desk, second), "nor is it known to be the other's"


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.parametrize("others", [NO, ()])
def test_an_agreement_since_a_merge_is_not_that_of_who_never_said_a_word(
    others: tuple[ConsentStatement, ...],
) -> None:
    desk = Desk()
    other = desk.lead(email=OTHERS, phone="", country="US", consents=others)
    silent = desk.lead(phone="", country="US", consents=())
    record = desk.merge(silent.id, other.id, CALL)
    desk.clock.advance(minutes=1)
    desk.submit(submission(email=OTHERS, phone="", country="US", channel="partner", consents=YES), CALL)
    assert _agrees(desk, silent)
    before = len(desk.table.changes)
    desk.undo(record.id, CALL)
    for lead in (silent, other):
        assert not _agrees(desk, lead)
        assert not desk.now(lead).gdpr_consent
    spoken = [each for change in desk.table.changes[before:] for each in events(change)]
    assert [each.data["person_id"] for each in spoken if each.name == "ConsentWithdrawn"] == [silent.person_id]
    assert refusal(CONSENTS.require(desk.table, silent.person_id), "email") == "no marketing consent for email"


@pytest.mark.mission("CAP-9", "CAP-11", "BUS-1")
def test_nobody_agrees_anew_by_being_parted() -> None:
    """The survivor's own, older agreement is in force again: nobody is told that it was given now."""
    desk = Desk()
    first, second = _two(desk)
    record, before = desk.merge(first.id, second.id, CALL), len(desk.table.changes)
    desk.undo(record.id, CALL)
    for lead in (first, second):
        assert _agrees(desk, lead)
    spoken = [each.name for change in desk.table.changes[before:] for each in events(change)]
    assert "LeadUnmerged" in spoken
    assert not [name for name in spoken if name.startswith("Consent")]


@pytest.mark.mission("CAP-9", "CAP-11")
def test_a_refusal_of_one_is_not_put_on_another_who_was_parted_later() -> None:
    desk = Desk()
    first, second = _two(desk, NO, YES)
    third = desk.lead(email="rao@gmx.de", phone="", consents=YES)
    records = [desk.merge(first.id, lead.id, CALL) for lead in (second, third)]
    desk.clock.advance(minutes=1)
    desk.submit(submission(email="rao@gmx.de", phone="", channel="partner", consents=YES), CALL)
    for record in reversed(records):
        desk.undo(record.id, CALL)
    assert [_agrees(desk, lead) for lead in (first, second, third)] == [False, True, True]


@pytest.mark.mission("CAP-9", "CAP-11", "CAP-3")
@pytest.mark.parametrize("channel", ["form", "import"])
def test_what_somebody_else_may_have_said_lifts_no_refusal_by_a_merge(channel: str) -> None:
    desk = Desk()
    first = desk.lead(phone="", consents=NO)
    second = desk.lead(email=OTHERS, phone="", consents=YES, channel=channel)
    desk.merge(first.id, second.id, CALL)
    assert not _agrees(desk, first)
    assert channel in CONSENTS.require(desk.table, first.person_id).entries[-1].evidence


def test_people_who_went_into_each_other_in_a_ring_end_no_request() -> None:
    """No command makes a ring; a broken row must not hold a withdrawal up for ever."""
    desk = Desk()
    first, second = _two(desk)
    desk.merge(first.id, second.id, CALL)
    key = person_key(first.person_id)
    row = desk.table.rows[key]
    desk.table.rows[key] = replace(row, doc=json.dumps(json.loads(row.doc) | {"merged_into": second.person_id}))
    desk.say(second.person_id, [desk.no()], CALL)
