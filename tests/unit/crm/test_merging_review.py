"""The review list: what gets there, who sees it, what is remembered, what the system merges by itself."""

import json
from typing import Any

import pytest

from revops.access import Policy
from revops.crm.duplicates import PAIRS, FollowOwners, PairStatus, ReadDuplicates, TellApart, Waiting, pair_id
from revops.crm.merging import MERGES, MergeLeads, UndoMerge
from revops.crm.model import Channel, DuplicateCheck, Lead
from revops.crm.policies.matching import NAMELESS, MatchRules
from revops.crm.rechecking import RecheckLead
from revops.crm.store import LEADS
from revops.kernel import CallContext, Forbidden, Invalid, NotFound, Principal, Refused, Role
from revops.settings import SettingsReader, SettingsRecord
from revops.settings.store import SETTINGS
from revops.table import CursorSigner, Transaction, begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

CELL = "+49 1515 1234567"
FORM: dict[str, Any] = {"channel": Channel.FORM, "attribution": None}


def who(identifier: str, role: Role = Role.SDR, *members: str) -> CallContext:
    return CallContext(Principal(identifier, role, members=frozenset(members)), request_id="r")


class Desk:
    def __init__(self, *owners: str) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.settings = SettingsReader(self.table, ttl=0)
        self.submit = submit_lead(self.table, clock=self.clock, roster=FixedRoster(*(owners or ("a",))))
        self.recheck = RecheckLead(self.table, self.clock, self.settings)
        self.read = ReadDuplicates(self.table, Policy(), lambda: CursorSigner(b"local-signing-key"))
        self.tell_apart = TellApart(self.table, self.clock, Policy())
        self.merge = MergeLeads(self.table, self.clock, Policy())
        self.undo = UndoMerge(self.table, self.clock, Policy())

    def lead(self, **said: Any) -> Lead:
        """A lead as it stands once the event of its creation was consumed."""
        self.clock.advance(minutes=1)
        lead = self.submit(submission(**said), CALL).lead
        self.recheck(lead.id, "event")
        return self.now(lead)

    def now(self, lead: Lead) -> Lead:
        return LEADS.require(self.table, lead.id)

    def change(self, lead: Lead, **fields: Any) -> None:
        """Somebody corrects what is known of a lead."""
        transaction = begin(CALL, self.clock.now())
        LEADS.update(transaction, self.now(lead).revised(self.clock.now(), **fields))
        self.table.commit(transaction)

    def listed(self, call: CallContext = CALL) -> list[Waiting]:
        return self.read.page(25, "", call)[0]

    def rules(self, **changes: Any) -> None:
        record = SettingsRecord(
            id="matching",
            created_at=self.clock.now(),
            modified_at=self.clock.now(),
            content=json.loads(MatchRules(**changes).model_dump_json()),
        )
        transaction = begin(CALL, self.clock.now())
        SETTINGS.create(transaction, record)
        self.table.commit(transaction)


def private(**said: Any) -> dict[str, Any]:
    return {"email": "asha.rao@gmail.com", "phone": "+49 30 901820", **said}


@pytest.mark.mission("CAP-2", "CAP-11")
def test_a_writer_without_a_name_who_gives_an_email_later_waits_in_the_list() -> None:
    desk, mobile = Desk(), "+49 1511 2345678"
    nobody = {"first_name": "", "last_name": "", "company": "", "email": "", "consents": (), "attribution": None}
    writer = desk.lead(channel=Channel.WHATSAPP, phone=mobile, **nobody)
    named = desk.lead(phone=mobile)
    assert (desk.now(writer).merged_into, named.duplicate_check) == ("", DuplicateCheck.PENDING)
    (waiting,) = desk.listed()
    assert (waiting.pair.lead_id, waiting.pair.other_id) == (named.id, writer.id)
    assert NAMELESS in waiting.pair.flags
    elsewhere = desk.lead(**private(phone="+49 1511 7654321", first_name="Ben", last_name="Low", company="South"))
    assert elsewhere.duplicate_check is DuplicateCheck.PASS


@pytest.mark.mission("CAP-11")
def test_a_resemblance_waits_in_the_list_with_its_evidence() -> None:
    desk = Desk()
    first, second = desk.lead(), desk.lead(**private())
    assert second.duplicate_check is DuplicateCheck.PENDING
    (waiting,) = desk.listed()
    assert (waiting.lead.id, waiting.other.id) == (second.id, first.id)
    assert {part.field for part in waiting.pair.evidence} >= {"first_name", "last_name", "company", "phone"}
    desk.recheck(first.id, "again")
    desk.recheck(second.id, "again")
    assert len(desk.listed()) == 1, "looked at from either side and again, it is one pair"


@pytest.mark.mission("CAP-11")
def test_told_apart_is_remembered_and_never_proposed_again() -> None:
    desk = Desk()
    first, second = desk.lead(), desk.lead(**private())
    decided = desk.tell_apart(desk.listed()[0], CALL)
    assert decided.status is PairStatus.DIFFERENT
    assert decided.decided_by == "user-1"
    assert desk.now(second).duplicate_check is DuplicateCheck.PASS
    for lead in (first, second):
        desk.recheck(lead.id, "again")
    assert desk.listed() == []
    assert desk.now(second).duplicate_check is DuplicateCheck.PASS
    assert desk.tell_apart(desk.read.one(decided.id, CALL), CALL) == decided


@pytest.mark.mission("CAP-11")
def test_what_is_said_of_a_survivor_is_said_of_all_that_went_into_it() -> None:
    desk = Desk()
    desk.rules(auto_merge=False)
    first, gone, other = desk.lead(), desk.lead(email="a.rao@web.de"), desk.lead(**private())
    record = desk.merge(first.id, gone.id, CALL)
    assert len(desk.listed()) == 2, "the one who is left resembles both"
    desk.tell_apart(desk.listed()[0], CALL)
    for lead in (first, other):
        desk.recheck(lead.id, "again")
    assert desk.listed() == []
    assert desk.now(other).duplicate_check is DuplicateCheck.PASS
    desk.undo(record.id, CALL)
    for lead in (first, gone):
        assert other.id not in {each.lead_id for each in desk.now(lead).resembles}


@pytest.mark.mission("CAP-11")
def test_who_is_certain_and_comes_from_a_known_sender_is_merged_by_the_system() -> None:
    desk = Desk()
    first = desk.lead(phone=CELL)
    second = desk.lead(**private(phone=CELL))
    assert second.merged_into == first.id
    record = MERGES.require(desk.table, second.merge_id)
    assert record.automatic
    assert record.merged_by == "system:recheck_lead"
    assert record.merged.duplicate_check is DuplicateCheck.FAIL
    assert desk.listed() == []


MOBILES = ("+49 171 2345678", "+49 172 8765432")


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(
    ("names", "emails", "phones", "flag"),
    [
        (("Thomas Meier", "Thomas Meyer"), ("thomas.meier@siemens.com", "thomas.meyer@siemens.com"), MOBILES,
         "surnames differ, in the addresses too"),
        (("Hans Müller", "Hans Müller"), ("hans.mueller@gmx.de", "hans.mueller@gmx.net"), MOBILES,
         "addresses at two mail providers"),
        ((" Rossi", "Maria Rossi"), ("mario.rossi@acme.it", "maria.rossi@acme.it"), ("+39 02 12345678",) * 2,
         "two addresses of one company"),
        (("Maria Garcia", "Maria Garcia"), ("maria.garcia@acme.es", "maria.garcia@acme.pt"), ("+34 910 123 456",) * 2,
         "addresses of two countries"),
    ],
)  # fmt: skip
def test_two_people_whose_addresses_are_a_slip_apart_wait_for_somebody_to_look(
    names: tuple[str, str], emails: tuple[str, str], phones: tuple[str, str], flag: str
) -> None:
    desk = Desk()
    for name, email, phone in zip(names, emails, phones, strict=True):
        first, _, last = name.partition(" ")
        lead = desk.lead(channel=Channel.IMPORT, first_name=first, last_name=last, email=email, phone=phone)
    assert (lead.merged_into, lead.duplicate_check) == ("", DuplicateCheck.PENDING)
    assert [waiting.pair.flags for waiting in desk.listed()] == [(flag,)]


@pytest.mark.mission("CAP-11")
def test_a_slip_in_the_address_of_a_known_person_is_merged_by_the_system() -> None:
    desk = Desk()
    first = desk.lead(email="asha.rao@siemens.com", phone="")
    second = desk.lead(email="asha.raoo@siemens.com", phone="")
    assert second.merged_into == first.id
    assert desk.listed() == []


OTHER = {"first_name": "Berta", "last_name": "Krause", "company": "Seewind AG", "email": "", "phone": "+49 40 774411"}


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R19")
def test_what_was_corrected_since_it_looked_certain_is_not_merged() -> None:
    desk = Desk()
    first = desk.lead(phone=CELL)
    second = desk.submit(submission(**private(phone=CELL)), CALL).lead
    desk.change(second, **OTHER)
    desk.recheck(second.id, "late")
    assert desk.now(second).merged_into == desk.now(first).merged_into == ""


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R19")
@pytest.mark.parametrize("commit", [1, 2])
def test_who_becomes_somebody_else_in_the_moment_of_a_merge_is_not_merged(commit: int) -> None:
    desk = Desk()
    first = desk.lead(phone=CELL)
    second = desk.submit(submission(**private(phone=CELL)), CALL).lead
    commits = [0]

    def correct(_: Transaction) -> None:
        commits[0] += 1
        if commits[0] == commit:
            desk.table.before_commit = lambda _: None
            desk.change(first, **OTHER)

    desk.table.before_commit = correct
    desk.recheck(second.id, "event")
    assert commits == [commit]
    assert desk.now(second).merged_into == desk.now(first).merged_into == ""


@pytest.mark.mission("CAP-1", "CAP-11")
def test_a_strangers_form_is_never_merged_without_being_looked_at() -> None:
    desk = Desk()
    desk.lead(phone=CELL)
    second = desk.lead(**private(phone=CELL, **FORM))
    assert second.merged_into == ""
    assert second.duplicate_check is DuplicateCheck.FAIL, "it is certain, and waits all the same"
    assert [waiting.lead.id for waiting in desk.listed()] == [second.id]
    third = desk.lead(**private(email="a.rao@gmx.de", phone=CELL))
    assert third.merged_into != "", "a partner's lead may go into another"


@pytest.mark.mission("CAP-11")
def test_the_rules_can_leave_every_merge_to_people() -> None:
    desk = Desk()
    desk.rules(auto_merge=False)
    desk.lead(phone=CELL)
    assert desk.lead(**private(phone=CELL)).merged_into == ""
    assert len(desk.listed()) == 1


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("S14")
@pytest.mark.parametrize(
    "said",
    [{"first_name": "Аsha"}, {"company": "Nоrdlicht GmbH"}, {"last_name": "Rао"}, {"name_flags": ("invisible",)}],
)
def test_what_only_looks_like_somebody_is_never_merged_by_the_system(said: dict[str, Any]) -> None:
    desk = Desk()
    desk.lead(phone=CELL)
    second = desk.lead(**private(phone=CELL, **said))
    assert second.merged_into == ""
    assert second.duplicate_check is DuplicateCheck.PENDING
    (waiting,) = desk.listed()
    assert waiting.pair.flags


@pytest.mark.mission("CAP-11")
def test_what_a_person_undid_the_system_does_not_do_again() -> None:
    desk = Desk()
    desk.lead(phone=CELL)
    second = desk.lead(**private(phone=CELL))
    desk.undo(second.merge_id, CALL)
    assert desk.now(second).merged_into == ""
    desk.recheck(second.id, "again")
    assert desk.now(second).merged_into == ""
    assert [waiting.pair.undone for waiting in desk.listed()] == [True]


@pytest.mark.mission("CAP-11", "SAFE-1")
@pytest.mark.fault("S1", "S19")
def test_a_pair_is_seen_by_who_may_read_both_sides_and_by_nobody_else() -> None:
    desk = Desk("a", "b")
    desk.lead()
    desk.lead(**private())
    own = Desk("a")
    own.lead()
    own.lead(**private())
    (between,), (mine,) = desk.listed(), own.listed()
    for call in (who("a"), who("b"), who("m", Role.SALES_MANAGER, "a"), who("r", Role.SALES_REP)):
        assert desk.listed(call) == []
        with pytest.raises(NotFound) as hidden:
            desk.read.one(between.pair.id, call)
        with pytest.raises(NotFound) as absent:
            desk.read.one("DUP_NOBODY", call)
        assert str(hidden.value).replace(between.pair.id, "") == str(absent.value).replace("DUP_NOBODY", "")
    for call in (who("m", Role.SALES_MANAGER, "a", "b"), who("s", Role.SUPPORT), CALL):
        assert [waiting.pair.id for waiting in desk.listed(call)] == [between.pair.id]
    assert [waiting.pair.id for waiting in own.listed(who("a"))] == [mine.pair.id]
    with pytest.raises(Forbidden):
        desk.listed(who("l", Role.LEGAL))
    with pytest.raises(Forbidden):
        desk.tell_apart(between, who("s", Role.SUPPORT))


@pytest.mark.mission("CAP-11")
def test_pages_show_every_waiting_pair_once() -> None:
    desk = Desk()
    for number in range(12):
        desk.lead(email=f"p{number}@x{number}.example", last_name=f"Lind{'abcdefghijkl'[number] * 4}", phone="")
        desk.lead(
            email=f"q{number}@y{number}.example", last_name=f"Lind{'abcdefghijkl'[number] * 4}", phone="", job_title="x"
        )
    found: list[str] = []
    cursor = ""
    while True:
        page, cursor = desk.read.page(5, cursor, CALL)
        found += [waiting.pair.id for waiting in page]
        if not cursor:
            break
    assert len(found) == len(set(found)) >= 12


@pytest.mark.mission("CAP-11")
def test_merging_closes_every_pair_between_the_two_and_undoing_opens_them_again() -> None:
    desk = Desk()
    first = desk.lead()
    second = desk.lead(email="rao@gmail.com")
    third = desk.lead(email="asha@gmx.de")
    assert len(desk.listed()) == 3
    desk.merge(first.id, second.id, CALL)
    assert {frozenset((w.lead.id, w.other.id)) for w in desk.listed()} == {frozenset((first.id, third.id))}
    record = desk.merge(first.id, third.id, CALL)
    assert desk.listed() == []
    desk.undo(record.id, CALL)
    assert {frozenset((w.lead.id, w.other.id)) for w in desk.listed()} == {frozenset((first.id, third.id))}
    with pytest.raises(Refused):
        desk.tell_apart(desk.read.one(pair_id(first.id, second.id), CALL), CALL)


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R19")
def test_two_rechecks_at_once_list_a_pair_once() -> None:
    desk = Desk()
    first = desk.lead()
    desk.clock.advance(minutes=1)
    second = desk.submit(submission(**private()), CALL).lead

    def the_other_one(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.recheck(first.id, "event-1")

    desk.table.before_commit = the_other_one
    desk.recheck(second.id, "event-2")
    assert len(desk.listed()) == 1
    assert PAIRS.require(desk.table, pair_id(first.id, second.id)).lead_id == second.id


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize("values", [{"score": "LEAD_x"}, {"email": "LEAD_x"}, {"owner_id": "LEAD_x"}])
def test_values_to_choose_are_named_by_field_and_by_one_of_the_two(values: dict[str, str]) -> None:
    desk = Desk()
    first, second = desk.lead(), desk.lead(**private())
    with pytest.raises(Invalid) as refusal:
        desk.merge(first.id, second.id, CALL, values)
    assert refusal.value.issues[0].field == f"values.{next(iter(values))}"


@pytest.mark.mission("CAP-11", "CAP-12")
def test_a_pair_follows_the_owner_of_either_lead() -> None:
    desk = Desk("a")
    pair = [desk.lead(), desk.lead(**private())]
    for lead, seen in ((pair[0], []), (pair[1], [("b", 1)])):
        transaction = begin(CALL, desk.clock.now())
        LEADS.update(transaction, desk.now(lead).revised(desk.clock.now(), owner_id="b"))
        desk.table.commit(transaction)
        follow = FollowOwners(desk.table, desk.clock)
        assert follow(lead.id, CALL) == 1
        assert follow(lead.id, CALL) == 0
        assert desk.listed(who("a")) == []
        assert [("b", len(desk.listed(who("b"))))] == (seen or [("b", 0)])
    assert len(desk.listed(who("m", Role.SALES_MANAGER, "b"))) == 1
