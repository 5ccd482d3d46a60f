"""Two leads of one person made one, and two again."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from revops.access import Policy
from revops.crm.activities import ActivityType, LogActivity, NewActivity
from revops.crm.consent import CONSENTS, Consent, SendGate
from revops.crm.duplicates import PAIRS, pair_id
from revops.crm.merging import MERGES
from revops.crm.model import Channel, DuplicateCheck, Lead, LeadStatus, ValidationStatus
from revops.crm.rescoring import RescoreLeads
from revops.crm.response import response_key
from revops.crm.service import LeadChange, LeadQuery, ReadLeads
from revops.crm.store import LEADS, merged_into, person_key
from revops.kernel import CallContext, Forbidden, NotFound, Principal, Refused, Role, Unavailable
from revops.table import CursorSigner, Transaction, begin, holder_of
from tests.builders.clock import seeded_ids
from tests.builders.crm import CALL, submission, submissions_of
from tests.builders.merging import NO, YES, Desk, sdr


@pytest.mark.mission("CAP-11")
def test_the_survivor_gets_what_it_lacks_and_what_differs_is_kept_on_the_merge() -> None:
    desk = Desk()
    first, second = desk.two()
    record = desk.merge(first.id, second.id, CALL)
    survivor, merged = desk.now(first), desk.now(second)
    assert (survivor.job_title, survivor.email, survivor.phone) == ("CTO", first.email, first.phone)
    assert {(each.field, each.kept, each.other) for each in record.differences} == {
        ("email", "asha.rao@nordlicht.example", "asha.rao@gmail.com"),
        ("phone", "+49 30 901820", "+49 30 901821"),
    }
    assert MERGES.require(desk.table, record.id).merged == second
    assert merged.merged_into == first.id
    assert merged.email == "asha.rao@gmail.com", "nothing is taken from the merged lead"
    assert survivor.merged_from == (second.id,)


@pytest.mark.mission("CAP-11")
def test_the_value_to_stand_can_be_chosen_field_by_field() -> None:
    desk = Desk()
    first, second = desk.two()
    desk.merge(first.id, second.id, CALL, {"phone": second.id, "email": first.id})
    assert (desk.now(first).phone, desk.now(first).email) == (second.phone, first.email)


@pytest.mark.mission("CAP-11")
def test_the_merged_lead_leaves_the_lists_and_is_found_as_the_survivor() -> None:
    desk = Desk()
    first, second = desk.two()
    desk.merge(first.id, second.id, CALL)
    read = ReadLeads(desk.table, Policy(), lambda: CursorSigner(b"local-signing-key"))
    assert [lead.id for lead in read.list(LeadQuery(), sdr("sdr-1")).leads] == [first.id]
    assert [lead.id for lead in read.list(LeadQuery(email=second.email), sdr("sdr-1")).leads] == [first.id]
    again = desk.submit(submission(email=second.email), CALL)
    assert (again.created, again.lead.id) == (False, first.id)
    assert len(submissions_of(desk.table, first.id)) == 1
    alike = desk.lead(email="asha.rao@gmx.de", phone="+49 30 901821")
    assert [told.lead_id for told in alike.resembles] == [first.id], (
        "compared with the merged one, told as the survivor"
    )


@pytest.mark.mission("CAP-9", "CAP-11")
def test_a_refusal_of_either_is_not_overruled_by_an_older_grant_of_the_other() -> None:
    desk = Desk()
    granted = desk.lead(consents=YES)
    refused = desk.lead(email="asha.rao@gmail.com", consents=NO)
    desk.merge(refused.id, granted.id, CALL)
    record = CONSENTS.require(desk.table, refused.person_id)
    assert [said.granted for said in record.entries] == [True, False]
    assert not record.marketing
    assert not desk.now(refused).gdpr_consent


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("S21")
def test_a_later_grant_by_the_public_form_does_not_lift_a_refusal() -> None:
    desk = Desk()
    refused = desk.lead(consents=NO)
    stranger = desk.lead(email="asha.rao@gmail.com", consents=YES, channel=Channel.FORM, attribution=None)
    desk.merge(refused.id, stranger.id, CALL)
    record = CONSENTS.require(desk.table, refused.person_id)
    assert [said.granted for said in record.entries] == [False, True, False]
    assert not record.marketing


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_what_is_said_to_a_merged_person_is_said_to_the_survivor() -> None:
    desk = Desk()
    first, second = desk.two()
    desk.merge(first.id, second.id, CALL)
    no = Consent(channel="email", purpose="marketing", granted=False, at=desk.clock.now())
    desk.say(second.person_id, [no], CALL)  # the unsubscribe link of a mail from before the merge
    assert merged_into(desk.table, second.person_id)[0] == first.person_id
    assert not CONSENTS.require(desk.table, first.person_id).marketing
    assert not desk.now(first).gdpr_consent
    with pytest.raises(Refused):
        SendGate(desk.table, desk.clock).enter(begin(CALL, desk.clock.now()), second.person_id, "email", "MSG_1")


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
@pytest.mark.parametrize("side", [0, 1])
def test_a_merge_waits_for_a_message_that_is_on_its_way(side: int) -> None:
    desk = Desk()
    pair = desk.two()
    transaction = begin(CALL, desk.clock.now())
    SendGate(desk.table, desk.clock).enter(transaction, pair[side].person_id, "email", "MSG_1")
    desk.table.commit(transaction)
    before = desk.facts()
    with pytest.raises(Unavailable):
        desk.merge(pair[0].id, pair[1].id, CALL)
    assert desk.facts() == before
    desk.clock.advance(seconds=13)
    desk.merge(pair[0].id, pair[1].id, CALL)


@pytest.mark.mission("CAP-11")
def test_merging_again_and_the_other_way_round_is_the_same_merge() -> None:
    desk = Desk()
    first, second = desk.two()
    record = desk.merge(first.id, second.id, CALL)
    after = desk.facts()
    assert desk.merge(first.id, second.id, CALL).id == record.id
    assert desk.merge(second.id, first.id, CALL).id == record.id
    assert desk.facts() == after


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R19")
def test_a_into_b_and_b_into_a_at_once_end_in_one() -> None:
    desk = Desk()
    first, second = desk.two()

    def the_other_way(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.merge(second.id, first.id, CALL)

    desk.table.before_commit = the_other_way
    record = desk.merge(first.id, second.id, CALL)
    assert record.survivor.id == second.id, "the one that was quicker stands"
    assert desk.now(first).merged_into == second.id
    assert desk.now(second).merged_into == ""


def _changes(desk: Desk, first: Lead, second: Lead) -> list[Callable[[], object]]:
    withdrawn = Consent(channel="email", purpose="marketing", granted=False, at=desk.clock.now())
    third = desk.lead(email="rao@nordlicht.example", last_name="Rao-Meier")
    return [
        lambda: desk.change(first.id, LeadChange(version=desk.now(first).version, job_title="CEO"), CALL),
        lambda: desk.change(second.id, LeadChange(version=desk.now(second).version, industry="Mining"), CALL),
        lambda: desk.say(first.person_id, [withdrawn], CALL),
        lambda: desk.say(second.person_id, [withdrawn], CALL),
        lambda: desk.merge(third.id, second.id, CALL),
        lambda: desk.submit(submission(email=second.email, timeline="now", interest_product="API"), CALL),
    ]


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R3", "R19", "S21")
@pytest.mark.parametrize("which", range(6))
def test_nothing_that_happens_in_between_is_lost(which: int) -> None:
    """Whatever is committed between the look and the commit of a merge, the merge sees it or fails."""
    desk = Desk()
    first, second = desk.two()
    between = _changes(desk, first, second)[which]

    def meanwhile(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        between()

    desk.table.before_commit = meanwhile
    try:
        desk.merge(first.id, second.id, CALL)
    except Refused:
        assert which == 4, "only another merge of the same lead stands in the way"
        assert desk.now(second).merged_into not in ("", first.id)
        return
    survivor = desk.now(first)
    assert desk.now(second).merged_into == first.id
    record = CONSENTS.require(desk.table, first.person_id)
    assert record.marketing == (which not in (2, 3)) == survivor.gdpr_consent
    if which == 0:
        assert survivor.job_title == "CEO"
    if which == 1:
        assert survivor.industry == "Mining"
    if which == 5:
        assert survivor.interest_product == "API"


@pytest.mark.mission("CAP-11")
def test_undone_at_once_everything_is_as_it_was() -> None:
    desk = Desk()
    first, second = desk.two()
    desk.recheck(second.id, "event-1")
    for lead in (first, second):
        desk.watch(lead, CALL)
    assert desk.now(second).duplicate_check is DuplicateCheck.PENDING
    before = desk.facts()
    record = desk.merge(first.id, second.id, CALL)
    assert desk.facts() != before
    undone = desk.undo(record.id, CALL)
    assert undone.undone_at is not None
    after = desk.facts()
    pair = PAIRS.require(desk.table, pair_id(first.id, second.id))
    assert pair.undone
    for facts in (before, after):
        facts.pop(PAIRS.key(pair.id))
    roles = person_key(second.person_id)
    assert after.pop(roles)[1]["lead"] == before.pop(roles)[1]["lead"] == second.id
    assert after == before
    assert desk.undo(record.id, CALL) == undone, "undoing again is the same undoing"
    assert holder_of(desk.table, "email", "asha.rao@gmail.com") == second.id


@pytest.mark.mission("CAP-11", "CAP-14")
def test_a_restored_lead_is_watched_again_for_its_target() -> None:
    """It left the due index when it was looked at as a merged one; nobody has been in touch with it all the same."""
    desk = Desk()
    first, second = desk.two()
    for lead in (first, second):
        desk.watch(lead, CALL)
    record = desk.merge(first.id, second.id, CALL)
    desk.clock.advance(days=3)
    assert desk.escalate("p1") == {"looked_at": 2, "missed": 1}
    assert response_key(second.id) not in desk.table.rows
    desk.undo(record.id, CALL)
    assert desk.escalate("p2") == {"looked_at": 1, "missed": 1}
    assert desk.now(second).response != second.response
    desk.clock.advance(days=3)
    assert desk.escalate("p3") == {"looked_at": 0, "missed": 0}


@pytest.mark.mission("CAP-11", "CAP-14")
def test_a_survivor_whose_touch_was_the_other_leads_is_watched_again_and_the_touched_one_is_not() -> None:
    desk = Desk()
    first, second = desk.two()
    desk.watch(first, CALL)
    touched = desk.change(second.id, LeadChange(version=1, status=LeadStatus.CONTACTED), CALL)
    record = desk.merge(first.id, second.id, CALL)
    desk.clock.advance(days=3)
    assert desk.escalate("p1") == {"looked_at": 1, "missed": 0}
    desk.undo(record.id, CALL)
    assert desk.escalate("p2") == {"looked_at": 1, "missed": 1}
    assert desk.now(first).response != first.response
    assert desk.now(second).response == touched.response


@pytest.mark.mission("CAP-11", "CRM-5")
def test_the_survivors_timeline_shows_what_was_done_with_all_that_were_merged_into_it() -> None:
    desk = Desk()
    leads = [desk.lead(email=f"asha.rao@p{n}.example", phone="") for n in range(3)]
    log = LogActivity(desk.table, desk.clock, seeded_ids(6), Policy())
    subjects: list[str] = []
    for number in range(7):
        desk.clock.advance(minutes=1)
        subjects.insert(0, f"Note {number}")
        log(NewActivity(type=ActivityType.NOTE, about=leads[number % 3].id, subject=f"Note {number}"), CALL)
    first = desk.merge(leads[1].id, leads[0].id, CALL)
    last = desk.merge(leads[2].id, leads[1].id, CALL)
    for limit in (1, 2, 3, 25):
        assert _subjects(desk, leads[2], limit) == subjects
    assert _subjects(desk, leads[0], 25) == ["Note 6", "Note 3", "Note 0"], "the merged lead shows its own"
    desk.undo(last.id, CALL)
    assert _subjects(desk, leads[2], 25) == ["Note 5", "Note 2"]
    assert _subjects(desk, leads[1], 2) == ["Note 6", "Note 4", "Note 3", "Note 1", "Note 0"]
    desk.undo(first.id, CALL)
    assert _subjects(desk, leads[1], 25) == ["Note 4", "Note 1"]


def _subjects(desk: Desk, lead: Lead, limit: int) -> list[str]:
    found, cursor = list[str](), ""
    while True:
        page = desk.timeline(lead.id, limit, cursor, CALL)
        assert len(page.activities) <= limit
        found += [activity.subject for activity in page.activities]
        cursor = page.next_cursor
        if not cursor:
            return found


@pytest.mark.mission("CAP-11")
def test_two_that_were_parted_can_be_joined_the_other_way_round() -> None:
    desk = Desk()
    first, second = desk.two()
    _touch(desk, second, 4)
    record = desk.merge(first.id, second.id, CALL)
    desk.undo(record.id, CALL)
    _touch(desk, first, record.merged.version - desk.now(first).version)
    assert desk.now(first).version == record.merged.version
    again = desk.merge(second.id, first.id, CALL)
    assert again.id != record.id
    assert desk.now(first).merged_into == second.id


def _touch(desk: Desk, lead: Lead, times: int) -> None:
    for _ in range(times):
        version = desk.now(lead).version
        desk.change(lead.id, LeadChange(version=version, job_title=f"Title {version}"), CALL)


@pytest.mark.mission("CAP-11")
def test_all_that_was_ever_merged_is_known_by_the_last_survivor() -> None:
    desk = Desk()
    leads = [desk.lead(email=f"asha.rao@p{n}.example", phone="") for n in range(4)]
    merges = [desk.merge(leads[n + 1].id, leads[n].id, CALL) for n in range(3)]
    assert desk.now(leads[3]).merged_from == tuple(lead.id for lead in leads[:3])
    for lead in leads:
        assert holder_of(desk.table, "email", lead.email) == leads[3].id
    for record in reversed(merges):
        desk.undo(record.id, CALL)
    for lead in leads:
        assert holder_of(desk.table, "email", lead.email) == lead.id


@pytest.mark.mission("CAP-11", "LEAD-3")
def test_the_score_that_followed_a_merge_follows_its_undoing() -> None:
    desk = Desk()
    first = desk.lead(authority_level=None, budget_range="", timeline="", phone="")
    second = desk.lead(email="asha.rao@gmail.com")
    rescore, was = RescoreLeads(desk.table, desk.clock, desk.settings), desk.now(first).score
    record = desk.merge(first.id, second.id, CALL)
    desk.clock.advance(minutes=1)
    rescore("p1")
    assert desk.now(first).score > was
    desk.undo(record.id, CALL)
    desk.clock.advance(minutes=1)
    rescore("p2")
    assert desk.now(first).score == was


@pytest.mark.mission("CAP-10", "CAP-11")
def test_what_an_undoing_takes_away_is_missing_again() -> None:
    desk = Desk()
    first = desk.lead(phone="", first_name="")
    second = desk.lead(email="asha.rao@gmail.com", first_name="")
    record = desk.merge(first.id, second.id, CALL)
    desk.change(first.id, LeadChange(version=desk.now(first).version, first_name="Asha"), CALL)
    assert desk.now(first).validation_status is ValidationStatus.VALID
    desk.undo(record.id, CALL)
    stands = desk.now(first)
    assert (stands.phone, stands.validation_status, stands.missing) == ("", ValidationStatus.PENDING, ("phone",))


@pytest.mark.mission("CAP-11")
def test_what_was_changed_since_stays_with_the_survivor() -> None:
    desk = Desk()
    first, second = desk.two()
    record = desk.merge(first.id, second.id, CALL)
    desk.change(first.id, LeadChange(version=desk.now(first).version, timeline="next year"), CALL)
    no = Consent(channel="email", purpose="marketing", granted=False, at=desk.clock.now() + timedelta(minutes=1))
    desk.say(first.person_id, [no], CALL)
    desk.undo(record.id, CALL)
    assert (desk.now(first).timeline, desk.now(first).job_title) == ("next year", "")
    for lead in (first, second):
        assert not CONSENTS.require(desk.table, lead.person_id).marketing, "a withdrawal holds for both"
        assert not desk.now(lead).gdpr_consent


@pytest.mark.mission("CAP-11")
def test_an_undoing_that_cannot_be_says_why() -> None:
    desk = Desk()
    first, second = desk.two()
    third = desk.lead(email="rao@gmx.de", phone="")
    earlier = desk.merge(first.id, second.id, CALL)
    later = desk.merge(first.id, third.id, CALL)
    with pytest.raises(Refused, match="undo the last merge first"):
        desk.undo(earlier.id, CALL)
    other = desk.lead(email="else@gmx.de", phone="")
    final = desk.merge(other.id, first.id, CALL)
    with pytest.raises(Refused, match="itself merged"):
        desk.undo(later.id, CALL)
    for record in (final, later, earlier):
        desk.undo(record.id, CALL)
    for lead in (first, second, third, other):
        assert desk.now(lead).merged_into == ""
        assert desk.now(lead).merged_from == ()
        assert holder_of(desk.table, "email", lead.email) == lead.id


@pytest.mark.mission("CAP-11", "SAFE-1")
@pytest.mark.fault("S1", "S19")
def test_only_who_may_change_both_merges_them_and_nobody_else_learns_of_either() -> None:
    desk = Desk("a", "b")
    mine, theirs = desk.lead(), desk.lead(email="asha.rao@gmail.com")
    with pytest.raises(NotFound) as hidden:
        desk.merge(mine.id, theirs.id, sdr("a"))
    with pytest.raises(NotFound) as absent:
        desk.merge(mine.id, "LEAD_nobody", sdr("a"))
    assert str(hidden.value).replace(theirs.id, "") == str(absent.value).replace("LEAD_nobody", "")
    with pytest.raises(Forbidden):
        desk.merge(mine.id, theirs.id, CallContext(Principal("s", Role.SUPPORT)))
    record = desk.merge(mine.id, theirs.id, CALL)
    with pytest.raises(NotFound):
        desk.undo(record.id, sdr("a"))
    with pytest.raises(Forbidden):
        desk.undo(record.id, CallContext(Principal("s", Role.SUPPORT)))


@pytest.mark.mission("CAP-11", "LEAD-8")
def test_a_converted_lead_survives() -> None:
    desk = Desk()
    first, second = desk.two()
    transaction = begin(CALL, desk.clock.now())
    LEADS.update(transaction, desk.now(second).revised(desk.clock.now(), status=LeadStatus.CONVERTED))
    desk.table.commit(transaction)
    with pytest.raises(Refused, match="let it survive"):
        desk.merge(first.id, second.id, CALL)
    desk.merge(second.id, first.id, CALL)
    assert desk.now(first).merged_into == second.id
    with pytest.raises(Refused):
        desk.change(first.id, LeadChange(version=desk.now(first).version, job_title="CEO"), CALL)
