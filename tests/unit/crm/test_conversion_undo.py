"""Undoing a conversion: possible while nothing was built on it, whole or not at all, and a later one works again."""

from collections.abc import Callable
from typing import Any

import pytest

from revops.access import Policy
from revops.analytics.contributions import contributions
from revops.billing.store import ACCOUNT
from revops.crm.activities import ACTIVITIES, Activity, ActivityType
from revops.crm.conversion import ConversionReceipt
from revops.crm.events import events
from revops.crm.merging import MergeLeads, UndoMerge
from revops.crm.model import Lead, LeadStage, LeadStatus, OpportunityStage
from revops.crm.notes import NOTE, Note
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES, person_key
from revops.crm.tasks import TASKS, Task, TaskStatus, tasks_about
from revops.kernel import CallContext, Invalid, Refused, VersionConflict
from revops.table import ConditionFailed, Query, Transaction, begin, claim, holder_of
from tests.builders.conversion import SDR, Cut, CuttingTable, Desk, documents, listed
from tests.builders.crm import CALL, submission
from tests.builders.memory_table import MemoryTable


@pytest.fixture
def desk() -> Desk:
    return Desk()


def undone(desk: Desk, done: ConversionReceipt, call: CallContext = SDR) -> Lead:
    return desk.undo(done.lead.id, desk.stands(done.lead).version, call)


def obstacles(desk: Desk, done: ConversionReceipt) -> list[str]:
    before = documents(desk.memory.rows)
    with pytest.raises(Refused) as refusal:
        undone(desk, done)
    assert documents(desk.memory.rows) == before
    return [each["condition"] for each in listed(refusal.value, "obstacles")]


def write(desk: Desk, act: Callable[[Transaction], object]) -> None:
    transaction = begin(CALL, desk.clock.now())
    act(transaction)
    desk.table.commit(transaction)


@pytest.mark.mission("LEAD-8", "CRM-1")
def test_the_lead_is_as_it_was_and_what_was_made_is_deactivated_not_deleted(desk: Desk) -> None:
    lead = desk.ready()
    done = desk.converted(lead)
    made, rows = done.conversion, len(desk.memory.rows)
    restored = undone(desk, done)
    changed = {"rescore_at", "version", "modified_at"}
    assert restored.model_dump(exclude=changed) == lead.model_dump(exclude=changed)
    assert (restored.status, restored.stage, restored.conversion) == (LeadStatus.QUALIFIED, LeadStage.AWARENESS, None)
    assert restored.rescore_at == desk.clock.now(), "what decayed meanwhile is reckoned"
    account = ACCOUNTS.require(desk.table, made.account_id)
    contact = CONTACTS.require(desk.table, made.contact_id)
    deal = OPPORTUNITIES.require(desk.table, made.opportunity_id)
    assert (account.active, contact.active, deal.active) == (False, False, False)
    assert deal.stage is OpportunityStage.QUALIFIED
    assert ACTIVITIES.require(desk.table, made.activity_id)
    assert len(desk.memory.rows) >= rows - 1, "nothing but the claim on the domain is gone"
    assert holder_of(desk.table, "domain", "nordlicht.example") is None
    roles = desk.table.get(person_key(lead.person_id))
    assert roles is not None
    assert '"contact": ""' in roles.doc


@pytest.mark.mission("LEAD-8", "SEE-4")
def test_what_is_not_active_stands_in_no_list_and_counts_nowhere(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    made = done.conversion
    lists = (
        (f"ACCOUNT#CONTACTS#{made.account_id}", "gsi1"),
        (f"ACCOUNT#OPPS#{made.account_id}", "gsi1"),
        ("OPPS#OWNER#sdr-1", "gsi2"),
        ("LEADS#OWNER#sdr-1", "gsi1"),
    )
    assert [len(desk.table.query(Query(pk=pk, index=index)).rows) for pk, index in lists] == [1, 1, 1, 0]
    converted = contributions(desk.memory.rows[LEADS.key(done.lead.id)])
    assert {name for name in converted if name.startswith("leads")} == {"leads/Converted", "leads:sdr-1/Converted"}
    deal = OPPORTUNITIES.key(made.opportunity_id)
    assert contributions(desk.memory.rows[deal])["pipeline/value EUR Qualified"] == 1_000_000
    undone(desk, done)
    assert [len(desk.table.query(Query(pk=pk, index=index)).rows) for pk, index in lists] == [0, 0, 0, 1]
    assert contributions(desk.memory.rows[deal]) == {}
    assert contributions(desk.memory.rows[LEADS.key(done.lead.id)])["leads/Qualified"] == 1


@pytest.mark.mission("LEAD-8")
def test_a_later_conversion_starts_anew(desk: Desk) -> None:
    first = desk.converted(desk.ready())
    restored = undone(desk, first)
    second = desk.converted(restored)
    assert second.created
    for name in ("account_id", "contact_id", "opportunity_id"):
        assert getattr(first.conversion, name) != getattr(second.conversion, name)
    assert holder_of(desk.table, "domain", "nordlicht.example") == second.conversion.account_id
    assert undone(desk, second).status is LeadStatus.QUALIFIED
    names = [event.name for change in desk.memory.changes for event in events(change)]
    assert (names.count("LeadConverted"), names.count("LeadConversionUndone")) == (2, 2)


@pytest.mark.mission("LEAD-8", "SAFE-3")
def test_it_is_the_systems_doing_on_behalf_of_whoever_asked(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    undone(desk, done)
    stamp = desk.memory.rows[ACCOUNTS.key(done.conversion.account_id)].stamp
    assert stamp is not None
    assert (stamp.by, stamp.on_behalf_of, stamp.ip) == ("system:conversion", "sdr-1", "203.0.113.8")


@pytest.mark.mission("LEAD-8")
def test_what_is_not_converted_or_not_the_version_that_was_read_is_refused(desk: Desk) -> None:
    lead = desk.ready()
    with pytest.raises(Refused):
        desk.undo(lead.id, lead.version, SDR)
    done = desk.converted(lead)
    with pytest.raises(VersionConflict) as lost:
        desk.undo(lead.id, lead.version, SDR)
    assert lost.value.extra == {"current_version": done.lead.version}
    undone(desk, done)
    with pytest.raises(VersionConflict):
        desk.undo(lead.id, done.lead.version, SDR)


# -- what stands in the way ------------------------------------------------------------------------------------------


def _activity(related_to: str) -> Callable[[Desk], None]:
    def add(desk: Desk) -> None:
        now = desk.clock.now()
        done = Activity(
            id="ACT_1", created_at=now, modified_at=now, type=ActivityType.CALL, subject="Call", at=now,
            related_to=related_to, owner_id="rep",
        )  # fmt: skip
        write(desk, lambda tx: ACTIVITIES.create(tx, done))

    return add


def _note(desk: Desk, related_to: str) -> None:
    now = desk.clock.now()
    note = Note(id="NOTE_1", created_at=now, modified_at=now, related_to=related_to, content="x", author="rep")
    write(desk, lambda tx: NOTE.create(tx, note))


@pytest.mark.mission("LEAD-8", "CRM-5")
@pytest.mark.parametrize("record", ["account_id", "contact_id", "opportunity_id"])
def test_an_activity_besides_ours_stands_in_the_way(desk: Desk, record: str) -> None:
    done = desk.converted(desk.ready())
    _activity(getattr(done.conversion, record))(desk)
    assert obstacles(desk, done) == ["activity"]


@pytest.mark.mission("LEAD-8", "CRM-7")
def test_a_note_stands_in_the_way(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    _note(desk, done.conversion.opportunity_id)
    assert obstacles(desk, done) == ["activity"]


def _task(desk: Desk, related_to: str, **more: Any) -> Task:
    now = desk.clock.now()
    return Task(
        id="TSK_1", created_at=now, modified_at=now, title="Call", related_to=related_to, owner_id="rep",
        assignee_id="rep", due_at=now, **more,
    )  # fmt: skip


@pytest.mark.mission("LEAD-8", "CRM-6")
@pytest.mark.parametrize("record", ["account_id", "contact_id", "opportunity_id"])
def test_a_task_that_somebody_made_stands_in_the_way_until_it_is_cancelled(desk: Desk, record: str) -> None:
    done = desk.converted(desk.ready())
    task = _task(desk, getattr(done.conversion, record))
    write(desk, lambda tx: TASKS.create(tx, task))
    assert obstacles(desk, done) == ["task"]
    write(desk, lambda tx: TASKS.update(tx, task.revised(desk.clock.now(), status=TaskStatus.CANCELLED)))
    assert undone(desk, done).status is LeadStatus.QUALIFIED


@pytest.mark.mission("LEAD-8", "CRM-6")
def test_a_task_that_a_rule_made_does_not_stand_in_the_way(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    write(desk, lambda tx: TASKS.create(tx, _task(desk, done.conversion.account_id, origin="asks-again:1")))
    assert undone(desk, done).status is LeadStatus.QUALIFIED


@pytest.mark.mission("LEAD-8")
def test_every_change_since_is_named(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    made, now = done.conversion, desk.clock.now()

    def change(tx: Transaction) -> None:
        ACCOUNTS.update(tx, ACCOUNTS.require(desk.table, made.account_id).revised(now, gstin="x"))
        CONTACTS.update(tx, CONTACTS.require(desk.table, made.contact_id).revised(now, job_title="x"))
        OPPORTUNITIES.update(tx, OPPORTUNITIES.require(desk.table, made.opportunity_id).revised(now, description="x"))

    write(desk, change)
    assert obstacles(desk, done) == ["opportunity", "contact", "account"]


@pytest.mark.mission("LEAD-8", "ORD-4")
def test_a_customer_at_the_billing_provider_stands_in_the_way(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    write(desk, lambda tx: claim(tx, ACCOUNT, done.conversion.account_id, "CUST_1"))
    assert obstacles(desk, done) == ["customer"]


def order(desk: Desk, account_id: str, deal_id: str = "", order_id: str = "ORD_1") -> None:
    """An order form is handed in."""
    write(desk, lambda tx: desk.records.build_on(tx, account_id, deal_id, order_id))


@pytest.mark.mission("LEAD-8", "ORD-2")
def test_an_order_stands_in_the_way(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    made = done.conversion
    order(desk, made.account_id)
    assert obstacles(desk, done) == ["account"]
    order(desk, made.account_id, made.opportunity_id, "ORD_2")
    assert obstacles(desk, done) == ["opportunity", "account"]


@pytest.mark.mission("LEAD-8", "ORD-2")
def test_nothing_is_ordered_on_what_was_taken_back(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    undone(desk, done)
    for deal_id in ("", done.conversion.opportunity_id):
        with pytest.raises(Invalid):
            order(desk, done.conversion.account_id, deal_id)


@pytest.mark.mission("LEAD-8", "ORD-2")
@pytest.mark.fault("R19")
@pytest.mark.parametrize("with_deal", [False, True])
def test_an_order_and_an_undoing_never_pass_each_other(desk: Desk, with_deal: bool) -> None:
    def between(act: Callable[[], object]) -> None:
        def meanwhile(_: Transaction) -> None:
            desk.memory.before_commit = lambda _: None
            act()

        desk.memory.before_commit = meanwhile

    done = desk.converted(desk.ready())
    deal_id = done.conversion.opportunity_id if with_deal else ""
    between(lambda: order(desk, done.conversion.account_id, deal_id))
    with pytest.raises(Refused):
        undone(desk, done)
    lead = desk.ready(email="a@neu.example", company="Neu AG", last_name="Ek", phone="+49 30 901822")
    second = desk.converted(lead)
    deal_id = second.conversion.opportunity_id if with_deal else ""
    between(lambda: undone(desk, second))
    with pytest.raises(ConditionFailed):
        order(desk, second.conversion.account_id, deal_id)
    assert desk.stands(lead).status is LeadStatus.QUALIFIED


@pytest.mark.mission("LEAD-8")
def test_a_second_deal_on_the_account_stands_in_the_way_of_the_first_and_not_of_itself(desk: Desk) -> None:
    first = desk.converted(desk.ready())
    colleague = desk.ready(email="bo@nordlicht.example", first_name="Bo", last_name="Lind", phone="+49 30 901821")
    second = desk.converted(colleague, CALL)
    assert obstacles(desk, first) == ["account"]
    assert undone(desk, second, CALL).account_id == first.conversion.account_id
    assert undone(desk, first).status is LeadStatus.QUALIFIED


@pytest.mark.mission("LEAD-8")
def test_a_contact_that_another_deal_uses_stands_in_the_way(desk: Desk) -> None:
    account_id = desk.account()
    first = desk.converted(desk.ready(), account_id=account_id)
    other = desk.ready(email="x@anders.example", company="Anders", last_name="Ek", phone="+49 30 901822")
    second = desk.converted(other, contact_id=first.conversion.contact_id)
    assert obstacles(desk, first) == ["contact"]
    undone(desk, second)
    assert undone(desk, first).status is LeadStatus.QUALIFIED
    assert CONTACTS.require(desk.table, first.conversion.contact_id).active is False


@pytest.mark.mission("LEAD-8")
def test_an_account_that_was_there_before_stays_as_it_was(desk: Desk) -> None:
    account_id = desk.account("Nordlicht GmbH", "office@nordlicht.example")
    before = ACCOUNTS.require(desk.table, account_id)
    done = desk.converted(desk.ready(), CALL)
    assert done.conversion.made_primary
    undone(desk, done, CALL)
    after = ACCOUNTS.require(desk.table, account_id)
    assert after.model_dump(exclude={"version", "modified_at"}) == before.model_dump(exclude={"version", "modified_at"})
    assert holder_of(desk.table, "domain", "nordlicht.example") == account_id


# -- whole or not at all ---------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R3")
@pytest.mark.parametrize("known", [False, True], ids=["new account", "known account"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_every_cut_point_all_or_nothing(known: bool, after: bool) -> None:
    point, cuts = 0, 0
    while True:
        point += 1
        table = MemoryTable()
        cutting = CuttingTable(table)
        desk = Desk(cutting)
        if known:
            desk.account("Nordlicht GmbH", "office@nordlicht.example")
        done = desk.converted(desk.ready(), CALL)
        before = documents(table.rows)
        cutting.arm(point, after=after)
        try:
            undone(desk, done, CALL)
        except Cut:
            cuts += 1
        else:
            assert cuts >= 10
            return
        cutting.arm(0, after=False)
        if desk.stands(done.lead).conversion is not None:
            assert documents(table.rows) == before, f"half an undoing after call {point}"
            undone(desk, done, CALL)
        _taken_back(desk, done, known=known)


def _taken_back(desk: Desk, done: ConversionReceipt, *, known: bool) -> None:
    made = done.conversion
    assert ACCOUNTS.require(desk.table, made.account_id).active is known
    assert not CONTACTS.require(desk.table, made.contact_id).active
    assert not OPPORTUNITIES.require(desk.table, made.opportunity_id).active
    lead = desk.stands(done.lead)
    assert (lead.status, lead.conversion) == (LeadStatus.QUALIFIED, None)
    assert desk.converted(lead, CALL).created


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_two_at_once_undo_once(desk: Desk) -> None:
    done = desk.converted(desk.ready())

    def meanwhile(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        undone(desk, done)

    desk.memory.before_commit = meanwhile
    with pytest.raises(VersionConflict):
        undone(desk, done)
    assert ACCOUNTS.require(desk.table, done.conversion.account_id).version == 2


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_somebody_who_was_taken_back_is_a_lead_again(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    undone(desk, done)
    receipt = desk.submit(submission(job_title="CFO"), CALL)
    assert (receipt.created, receipt.lead.job_title, receipt.lead.id) == (False, "CFO", done.lead.id)
    assert desk.kinds("TASK") == []


@pytest.mark.mission("LEAD-8", "CAP-11", "CRM-6")
def test_what_a_contact_asked_for_is_the_leads_owners_to_answer_once_they_are_a_lead_again(desk: Desk) -> None:
    known = desk.account(owner="rep")
    done = desk.converted(desk.ready(), account_id=known)
    desk.submit(submission(), CALL)
    write(desk, lambda tx: TASKS.create(tx, _task(desk, known, origin="renewal:1")))
    [asked] = [task for task in tasks_about(desk.table, known) if task.origin.startswith("asks-again:")]
    assert asked.assignee_id == "rep"
    undone(desk, done)
    [mine] = tasks_about(desk.table, done.lead.id)
    assert (mine.id, mine.status, mine.due_at) == (asked.id, TaskStatus.OPEN, asked.due_at)
    assert (mine.owner_id, mine.assignee_id) == ("sdr-1", "sdr-1")
    assert [task.id for task in tasks_about(desk.table, known)] == ["TSK_1"], "what is not theirs stays"


@pytest.mark.mission("LEAD-8", "CAP-11", "CRM-6")
def test_whose_account_it_is_after_a_later_conversion_hears_of_them_the_same_day(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    desk.submit(submission(), CALL)
    lead = undone(desk, done)
    again = desk.converted(lead)
    desk.submit(submission(), CALL)
    [asked] = tasks_about(desk.table, again.conversion.account_id)
    assert asked.title == "A customer contact asks again"


@pytest.mark.mission("CAP-11", "LEAD-8")
def test_a_merge_into_a_converted_lead_is_undone_also_once_the_conversion_is(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    other = desk.lead(email="asha.rao@gmail.com", phone="")
    record = MergeLeads(desk.table, desk.clock, Policy())(done.lead.id, other.id, CALL)
    restored = undone(desk, done)
    UndoMerge(desk.table, desk.clock, Policy())(record.id, CALL)
    assert desk.stands(other).merged_into == ""
    now = desk.stands(done.lead)
    assert (now.status, now.stage, now.conversion) == (restored.status, restored.stage, None)
    assert (now.account_id, now.merged_from) == ("", ())
    later = desk.converted(now)
    assert later.created


@pytest.mark.mission("CAP-11", "LEAD-8")
def test_while_it_is_converted_otherwise_than_when_it_took_the_other_in_a_merge_stands(desk: Desk) -> None:
    done = desk.converted(desk.ready())
    other = desk.lead(email="asha.rao@gmail.com", phone="")
    record = MergeLeads(desk.table, desk.clock, Policy())(done.lead.id, other.id, CALL)
    desk.converted(undone(desk, done))
    with pytest.raises(Refused, match="undo the conversion first"):
        UndoMerge(desk.table, desk.clock, Policy())(record.id, CALL)
