"""Conversion: when it is allowed, what it makes or uses, whose doing it is, and that it is whole or not at all."""

from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest

from revops.access import Policy
from revops.audit import WriteAudit
from revops.audit.store import entries_of
from revops.crm.activities import ACTIVITIES
from revops.crm.consent import CONSENTS
from revops.crm.events import events
from revops.crm.factors import AnswerState
from revops.crm.model import (
    Account,
    ContactRole,
    DuplicateCheck,
    Influence,
    Lead,
    LeadStage,
    LeadStatus,
    OpportunityStage,
    PreferredChannel,
    ValidationStatus,
)
from revops.crm.policies.conversion import budget_amount, candidates, expected_close, the_one
from revops.crm.policies.qualification import QualificationRules
from revops.crm.service import LeadChange, LeadQuery, ReadLeads
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES
from revops.crm.tasks import TASKS, RemindAssignees, TaskStatus
from revops.kernel import (
    CallContext,
    Conflict,
    Forbidden,
    Invalid,
    Money,
    NotFound,
    Principal,
    Refused,
    Role,
    VersionConflict,
)
from revops.table import CursorSigner, Transaction, begin, holder_of
from tests.builders.clock import seeded_ids
from tests.builders.conversion import SDR, Cut, CuttingTable, Desk, documents, listed
from tests.builders.crm import CALL, submission, submissions_of
from tests.builders.memory_table import MemoryTable

REP = CallContext(Principal("rep", Role.SALES_REP))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def put(desk: Desk, lead: Lead, **changes: Any) -> Lead:
    transaction, changed = begin(CALL, desk.clock.now()), desk.stands(lead).revised(desk.clock.now(), **changes)
    LEADS.update(transaction, changed)
    desk.table.commit(transaction)
    return changed


# -- allowed or not --------------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"score": 70}, "score"),
        ({"status": LeadStatus.NEW}, "status"),
        ({"status": LeadStatus.RECYCLED}, "status"),
        ({"status": LeadStatus.UNQUALIFIED}, "status"),
        ({"contacted_at": None}, "contacted"),
        ({"validation_status": ValidationStatus.PENDING, "missing": ("phone",)}, "validation"),
        ({"validation_status": ValidationStatus.INVALID}, "validation"),
        ({"qualification": None}, "outcome"),
        ({"duplicate_check": DuplicateCheck.PENDING}, "duplicate_check"),
        ({"duplicate_check": DuplicateCheck.FAIL}, "duplicate_check"),
        ({"merged_into": "LEAD_2"}, "merged"),
    ],
)
def test_each_condition_that_is_not_met_is_named(desk: Desk, change: dict[str, Any], named: str) -> None:
    lead = put(desk, desk.ready(), **change)
    before = documents(desk.memory.rows)
    with pytest.raises(Refused) as refusal:
        desk.converted(lead)
    assert [each["condition"] for each in listed(refusal.value, "obstacles")] == [named]
    assert documents(desk.memory.rows) == before


@pytest.mark.mission("LEAD-8")
def test_all_that_is_missing_is_named_at_once(desk: Desk) -> None:
    lead = desk.lead(company_size="", budget_range="", phone="")
    with pytest.raises(Refused) as refusal:
        desk.converted(lead)
    named = [each["condition"] for each in listed(refusal.value, "obstacles")]
    assert named == ["score", "status", "contacted", "validation", "outcome"]
    assert "phone" in refusal.value.detail
    assert [each.condition for each in desk.convert.propose(lead.id, _wishes(), SDR).obstacles] == named


def _wishes(**said: Any) -> Any:
    from revops.crm.conversion_choice import Wishes

    return Wishes(**said)


@pytest.mark.mission("LEAD-8", "LEAD-6")
def test_an_answer_taken_back_after_bant_was_accepted_stands_in_the_way_until_it_is_given_again(desk: Desk) -> None:
    lead = desk.answered(desk.ready(), need=AnswerState.UNKNOWN, timeline=AnswerState.UNKNOWN)
    with pytest.raises(Refused) as refusal:
        desk.converted(lead)
    [obstacle] = listed(refusal.value, "obstacles")
    assert obstacle == {
        "condition": "bant",
        "detail": "BANT was accepted and is not answered any more: need, timeline; answer it again",
    }
    assert [each.condition for each in desk.convert.propose(lead.id, _wishes(), SDR).obstacles] == ["bant"]
    lead = desk.answered(lead, need=AnswerState.NOT_MET, timeline=AnswerState.MET)
    assert desk.converted(lead).created


@pytest.mark.mission("LEAD-8", "LEAD-6")
def test_before_bant_is_accepted_what_is_not_answered_yet_is_named_with_the_outcome(desk: Desk) -> None:
    lead = desk.answered(desk.lead(), budget=AnswerState.MET, need=AnswerState.UNKNOWN)
    [outcome] = [
        each for each in desk.convert.propose(lead.id, _wishes(), SDR).obstacles if each.condition == "outcome"
    ]
    assert outcome.detail.endswith("not recorded as accepted; not answered yet: authority, need, timeline")


@pytest.mark.mission("LEAD-8")
def test_score_seventy_one_and_contacted_is_enough(desk: Desk) -> None:
    lead = put(desk, desk.ready(), score=71, status=LeadStatus.CONTACTED)
    assert desk.converted(lead).created


@pytest.mark.mission("SAFE-1", "LEAD-8")
@pytest.mark.fault("S1")
@pytest.mark.parametrize(
    ("role", "error"),
    [(Role.SALES_REP, NotFound), (Role.SDR, NotFound), (Role.LEGAL, NotFound), (Role.FINANCE, NotFound),
     (Role.SUPPORT, Forbidden)],
)  # fmt: skip
def test_who_may_not_change_the_lead_may_not_convert_it(desk: Desk, role: Role, error: type[Exception]) -> None:
    lead = desk.ready()
    other = CallContext(Principal("other", role))
    for act in (lambda: desk.converted(lead, other), lambda: desk.convert.propose(lead.id, _wishes(), other)):
        with pytest.raises(error):
            act()
    done = desk.converted(lead)
    for again in (lambda: desk.converted(lead, other), lambda: desk.undo(lead.id, done.lead.version, other)):
        with pytest.raises(error):
            again()


# -- what is made ----------------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-8", "CRM-1", "CRM-2", "CRM-3", "CRM-5")
def test_a_lead_becomes_account_contact_deal_and_activity_in_one_transaction(desk: Desk) -> None:
    lead = desk.ready(interest_product="CRM Suite", job_title="CEO")
    commits: list[Transaction] = []
    desk.memory.before_commit = commits.append
    receipt = desk.converted(lead)
    made = receipt.conversion
    assert len(commits) == 1
    assert (receipt.created, made.account_made, made.contact_made) == (True, True, True)
    account = ACCOUNTS.require(desk.table, made.account_id)
    assert (account.name, account.industry, account.company_size) == ("Nordlicht GmbH", "Software", "50-100")
    assert (account.owner_id, account.domain, account.primary_person_id) == (
        "sdr-1",
        "nordlicht.example",
        lead.person_id,
    )
    assert holder_of(desk.table, "domain", "nordlicht.example") == account.id
    contact = CONTACTS.require(desk.table, made.contact_id)
    assert (contact.person_id, contact.account_id, contact.primary) == (lead.person_id, account.id, True)
    assert (contact.first_name, contact.last_name, contact.job_title) == ("Asha", "Rao", "CEO")
    assert (contact.email, contact.phone) == (lead.email, lead.phone)
    assert (contact.role, contact.influence) == (ContactRole.DECISION_MAKER, Influence.HIGH)
    assert contact.preferred_channel is PreferredChannel.EMAIL
    deal = OPPORTUNITIES.require(desk.table, made.opportunity_id)
    assert (deal.account_id, deal.primary_contact_id, deal.lead_id) == (account.id, contact.id, lead.id)
    assert (deal.value, deal.name) == (Money(minor=1_000_000, currency="EUR"), "Nordlicht GmbH – CRM Suite")
    assert (deal.stage, deal.probability, deal.source) == (OpportunityStage.QUALIFIED, 25, "Partner One")
    assert deal.expected_close == (desk.clock.now() + timedelta(days=90)).date()
    activity = ACTIVITIES.require(desk.table, made.activity_id)
    assert (activity.related_to, activity.owner_id, activity.ref) == (deal.id, "sdr-1", lead.id)


@pytest.mark.mission("LEAD-8", "SAFE-3")
def test_the_lead_is_archived_with_all_its_data(desk: Desk) -> None:
    lead = desk.ready(channel="form")
    archived = desk.converted(lead).lead
    assert (archived.status, archived.stage, archived.rescore_at) == (LeadStatus.CONVERTED, LeadStage.CONVERTED, None)
    changed = {"status", "stage", "account_id", "conversion", "rescore_at", "closed_at", "version", "modified_at"}
    assert archived.model_dump(exclude=changed) == lead.model_dump(exclude=changed)
    read = ReadLeads(desk.table, Policy(), lambda: CursorSigner(b"local-signing-key"))
    assert read.one(lead.id, SDR) == archived
    for query in (LeadQuery(), LeadQuery(sort="score")):
        assert read.list(query, SDR).leads == []
    done = LeadQuery(sort="score", statuses=(LeadStatus.CONVERTED,))
    assert [each.id for each in read.list(done, SDR).leads] == [lead.id]
    admin = LeadQuery(scope="all")
    assert read.list(admin, CALL).leads == []
    with pytest.raises(Refused):
        desk.change(lead.id, LeadChange(version=archived.version, job_title="x"), SDR)


@pytest.mark.mission("LEAD-8", "SAFE-3")
def test_it_is_the_systems_doing_on_behalf_of_whoever_asked(desk: Desk) -> None:
    lead = desk.ready()
    seen = len(desk.memory.changes)
    made = desk.converted(lead).conversion
    audit = WriteAudit(desk.table, desk.clock)
    for change in list(desk.memory.changes)[seen:]:
        if change.kind in ("ACCOUNT", "CONTACT", "OPPORTUNITY"):
            audit(change)
    for key in (ACCOUNTS.key(made.account_id), CONTACTS.key(made.contact_id), OPPORTUNITIES.key(made.opportunity_id)):
        entry = next(entries_of(desk.table, f"{key.pk}|{key.sk}"))
        assert (entry.by, entry.on_behalf_of) == ("system:conversion", "sdr-1")
        assert (entry.ip, entry.user_agent, entry.request_id) == ("203.0.113.8", "tests", "req-9")


@pytest.mark.mission("LEAD-8", "BUS-1")
def test_that_it_was_converted_is_said_once(desk: Desk) -> None:
    made = desk.converted(lead := desk.ready()).conversion
    put(desk, lead, score=80)
    said = [event for change in desk.memory.changes for event in events(change) if event.name == "LeadConverted"]
    assert [event.data for event in said] == [
        {
            "lead_id": lead.id,
            "person_id": lead.person_id,
            "account_id": made.account_id,
            "contact_id": made.contact_id,
            "opportunity_id": made.opportunity_id,
        }
    ]


@pytest.mark.mission("LEAD-8")
def test_an_owner_may_be_named_for_what_is_new_and_only_for_that(desk: Desk) -> None:
    lead = desk.ready()
    made = desk.converted(lead, owner_id="rep").conversion
    assert ACCOUNTS.require(desk.table, made.account_id).owner_id == "rep"
    assert OPPORTUNITIES.require(desk.table, made.opportunity_id).owner_id == "rep"
    second = desk.ready(email="bo@nordlicht.example", first_name="Bo", last_name="Lind", phone="+49 30 901821")
    with pytest.raises(Invalid):
        desk.converted(second, CALL, owner_id="sdr-1")
    desk.roster.away.add("gone")
    desk.roster.others.add("finance")
    third = desk.ready(email="x@anders.example", company="Anders AG", last_name="Ek", phone="+49 30 901822")
    for nobody in ("gone", "finance"):
        with pytest.raises(Invalid):
            desk.converted(third, owner_id=nobody)


# -- what is used ----------------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-8", "CAP-12")
def test_the_account_of_the_domain_is_used_and_its_owner_gets_the_deal(desk: Desk) -> None:
    lead = desk.ready()
    account_id = desk.account("Nordlicht Holding", "office@nordlicht.example")
    proposal = desk.convert.propose(lead.id, _wishes(), SDR)
    assert proposal.account.account is not None
    assert (proposal.account.account.id, proposal.account.by) == (account_id, "company domain")
    made = desk.converted(lead).conversion
    assert (made.account_id, made.account_made, made.contact_made) == (account_id, False, True)
    assert OPPORTUNITIES.require(desk.table, made.opportunity_id).owner_id == "rep"
    account = ACCOUNTS.require(desk.table, account_id)
    assert (account.name, account.primary_person_id) == ("Nordlicht Holding", lead.person_id)
    assert CONTACTS.require(desk.table, made.contact_id).primary


@pytest.mark.mission("CRM-2", "LEAD-8")
def test_an_account_has_one_primary_contact(desk: Desk) -> None:
    first = desk.converted(desk.ready()).conversion
    second = desk.ready(email="bo@nordlicht.example", first_name="Bo", last_name="Lind", phone="+49 30 901821")
    assert second.account_id == first.account_id
    made = desk.converted(second, CALL).conversion
    assert (made.account_id, made.account_by) == (first.account_id, "the lead's")
    primary = {id_: CONTACTS.require(desk.table, id_).primary for id_ in (first.contact_id, made.contact_id)}
    assert primary == {first.contact_id: True, made.contact_id: False}


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_the_account_of_the_same_name_is_used_when_there_is_one(desk: Desk) -> None:
    account_id = desk.account("NORDLICHT Gesellschaft", "office@elsewhere.example")
    desk.account("Nordwind AG", "office@nordwind.example")
    made = desk.converted(desk.ready(company="Nordlicht Gesellschaft mbH")).conversion
    assert (made.account_id, made.account_by) == (account_id, "company name")


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_of_several_that_look_alike_the_caller_has_to_choose(desk: Desk) -> None:
    first = desk.account("Nordlicht GmbH", "a@one.example")
    second = desk.account("Nordlicht AG", "a@two.example")
    lead = desk.ready()
    with pytest.raises(Refused) as refusal:
        desk.converted(lead)
    found = listed(refusal.value, "candidates")
    assert {each["account_id"]: each["similarity"] for each in found} == {first: 1.0, second: 1.0}
    proposal = desk.convert.propose(lead.id, _wishes(), SDR)
    assert proposal.account.undecided
    assert desk.converted(lead, account_id=second).conversion.account_id == second
    other = desk.ready(email="x@anders.example", last_name="Ek", phone="+49 30 901822")
    assert desk.converted(other, new_account=True).conversion.account_made


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("S1")
def test_what_the_caller_may_not_read_is_neither_shown_nor_taken_by_name(desk: Desk) -> None:
    desk.roster.people = ["rep"]
    hidden = desk.account("Nordlicht GmbH", "a@one.example", owner="somebody")
    lead = desk.ready()
    assert lead.owner_id == "rep"
    assert desk.convert.propose(lead.id, _wishes(), REP).account.candidates == ()
    with pytest.raises(NotFound) as named:
        desk.converted(lead, REP, account_id=hidden)
    with pytest.raises(NotFound) as absent:
        desk.converted(lead, REP, account_id=hidden[:-1] + "X")
    assert len(named.value.detail) == len(absent.value.detail)
    assert desk.converted(lead, REP).conversion.account_made


@pytest.mark.mission("LEAD-8", "CRM-2")
def test_a_named_contact_is_one_of_the_account(desk: Desk) -> None:
    first = desk.converted(desk.ready()).conversion
    elsewhere = desk.account("Anders AG", "a@anders.example")
    lead = desk.ready(email="bo@neu.example", company="Neu", last_name="Lind", phone="+49 30 901821")
    for wishes in (
        {"account_id": elsewhere, "contact_id": first.contact_id},
        {"new_account": True, "contact_id": first.contact_id},
        {"account_id": elsewhere, "new_account": True},
    ):
        with pytest.raises(Invalid):
            desk.converted(lead, **wishes)
    with pytest.raises(NotFound):
        desk.converted(lead, contact_id="CON_x")
    made = desk.converted(lead, contact_id=first.contact_id).conversion
    assert (made.account_id, made.contact_id) == (first.account_id, first.contact_id)
    assert (made.account_made, made.contact_made) == (False, False)
    assert CONTACTS.require(desk.table, first.contact_id).version == 1


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_two_people_of_one_role_mailbox_are_two_contacts(desk: Desk) -> None:
    first = desk.converted(desk.ready(email="info@nordlicht.example")).conversion
    other = desk.ready(email="info@nordlicht.example", first_name="Ben", last_name="Low", phone="+49 30 123456")
    made = desk.converted(other).conversion
    assert made.account_id == first.account_id
    assert made.contact_id != first.contact_id
    contact = CONTACTS.require(desk.table, made.contact_id)
    assert (contact.person_id, contact.first_name) == (other.person_id, "Ben")


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_a_contact_with_the_address_is_used(desk: Desk) -> None:
    """Somebody put it on the contact by hand, before the person behind it became a lead."""
    first = desk.converted(desk.ready()).conversion
    contact = CONTACTS.require(desk.table, first.contact_id)
    transaction = begin(CALL, desk.clock.now())
    CONTACTS.update(transaction, contact.revised(desk.clock.now(), email="Bo.Lind@nordlicht.example"))
    desk.table.commit(transaction)
    lead = desk.ready(email="bo.lind@nordlicht.example", first_name="Bo", last_name="Lind", phone="+49 30 901821")
    made = desk.converted(lead, CALL).conversion
    assert (made.contact_id, made.contact_by, made.contact_made) == (first.contact_id, "e-mail", False)


# -- idempotent, and racing ------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R1", "R19")
def test_the_same_again_answers_the_same_and_another_wish_is_a_conflict(desk: Desk) -> None:
    lead = desk.ready()
    first = desk.converted(lead)
    rows = documents(desk.memory.rows)
    for _ in range(3):
        again = desk.converted(lead)
        assert (again.conversion, again.lead, again.created) == (first.conversion, first.lead, False)
    assert desk.converted(lead, account_id=first.conversion.account_id).conversion == first.conversion
    with pytest.raises(Conflict):
        desk.converted(lead, account_id="ACC_other")
    with pytest.raises(Refused):
        desk.convert.propose(lead.id, _wishes(), SDR)
    assert documents(desk.memory.rows) == rows


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_a_version_that_is_gone_is_named(desk: Desk) -> None:
    lead = desk.ready()
    desk.change(lead.id, LeadChange(version=lead.version, job_title="CEO"), SDR)
    with pytest.raises(VersionConflict) as lost:
        desk.converted(lead)
    assert lost.value.extra == {"current_version": lead.version + 1}


def between(desk: Desk, act: Any) -> None:
    """Something happens after everything was read and before the commit."""

    def meanwhile(_: Transaction) -> None:
        desk.memory.before_commit = lambda _: None
        act()

    desk.memory.before_commit = meanwhile


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_racing_a_change_of_the_lead_one_of_the_two_wins(desk: Desk) -> None:
    lead = desk.ready()
    between(desk, lambda: desk.change(lead.id, LeadChange(version=lead.version, job_title="CEO"), SDR))
    with pytest.raises(VersionConflict):
        desk.converted(lead)
    assert desk.kinds("ACCOUNT") == desk.kinds("CONTACT") == desk.kinds("OPPORTUNITY") == []
    assert desk.stands(lead).job_title == "CEO"


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_racing_another_conversion_both_answer_with_the_winners(desk: Desk) -> None:
    lead, won = desk.ready(), list[Any]()
    between(desk, lambda: won.append(desk.converted(lead, CALL)))
    second = desk.converted(lead)
    assert (won[0].created, second.created) == (True, False)
    assert second.conversion == won[0].conversion
    assert [len(desk.kinds(kind)) for kind in ("ACCOUNT", "CONTACT", "OPPORTUNITY", "ACTIVITY")] == [1, 1, 1, 1]


@pytest.mark.mission("LEAD-8", "LEAD-6")
@pytest.mark.fault("R19")
def test_the_task_of_the_nomination_goes_with_the_conversion_also_when_its_assignee_is_told_meanwhile(
    desk: Desk,
) -> None:
    lead = desk.ready()
    desk.nominate(lead.id, "event")
    lead = desk.stands(lead)
    desk.clock.advance(days=2)
    remind = RemindAssignees(desk.table, desk.clock)
    between(desk, lambda: remind("hour"))
    converted = desk.converted(lead).lead
    [task] = map(TASKS.load, desk.kinds("TASK"))
    assert (task.status, task.remind_at, task.version) == (TaskStatus.CANCELLED, None, 3)
    assert remind("day") == {"reminded": 0}
    restored = desk.undo(converted.id, converted.version, SDR)
    assert desk.nominate(lead.id, "undone") == "", "BANT is accepted: there is nothing to qualify"
    assert restored.nomination == lead.nomination


@pytest.mark.mission("LEAD-8", "ORD-2")
@pytest.mark.fault("R19")
def test_racing_an_order_form_that_makes_the_account_the_account_is_used(desk: Desk) -> None:
    lead, made = desk.ready(), list[str]()
    between(desk, lambda: made.append(desk.account("Nordlicht GmbH", "office@nordlicht.example")))
    receipt = desk.converted(lead)
    assert receipt.conversion.account_id == made[0]
    assert len(desk.kinds("ACCOUNT")) == 1


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_whenever_the_domain_is_taken_meanwhile_its_account_is_used() -> None:
    """An account of the same domain comes to be before each call that a conversion makes of the table."""
    for point in range(1, 40):
        table = MemoryTable()
        cutting = CuttingTable(table)
        desk, others = Desk(cutting), Desk(table, seeded_ids(77))
        lead = desk.ready()
        cutting.arm(point, meanwhile=partial(others.account, "Werk AG", "office@nordlicht.example"))
        made = desk.converted(lead).conversion
        if cutting.calls < point:
            assert point > 8, "a conversion looked at that much"
            return
        accounts = [row for row in table.rows.values() if row.kind == "ACCOUNT"]
        assert len(accounts) == 1, f"two accounts of one domain, the other made before call {point}"
        assert not made.account_made


@pytest.mark.mission("LEAD-8", "ORD-2")
@pytest.mark.fault("R19")
def test_an_order_form_in_the_leads_own_name_changes_the_lead(desk: Desk) -> None:
    lead = desk.ready()
    between(desk, lambda: desk.account("Nordlicht GmbH", lead.email))
    with pytest.raises(VersionConflict):
        desk.converted(lead)
    assert len(desk.kinds("ACCOUNT")) == 1
    stands = desk.stands(lead)
    assert desk.converted(stands, CALL).conversion.account_id == stands.account_id


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_two_leads_of_one_new_company_at_once_end_in_one_account(desk: Desk) -> None:
    first = desk.ready()
    second = desk.ready(email="bo@nordlicht.example", first_name="Bo", last_name="Lind", phone="+49 30 901821")
    won: list[Any] = []
    between(desk, lambda: won.append(desk.converted(second)))
    made = desk.converted(first).conversion
    assert made.account_id == won[0].conversion.account_id
    assert not made.account_made
    flags = [CONTACTS.load(row).primary for row in desk.kinds("CONTACT")]
    assert sorted(flags) == [False, True]


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R3")
@pytest.mark.parametrize("known", [False, True], ids=["new account", "known account"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_every_cut_point_all_or_nothing(known: bool, after: bool) -> None:
    """The function dies before or after each call of the table it makes, one after the other, and is asked again."""
    point, cuts = 0, 0
    while True:
        point += 1
        table = MemoryTable()
        cutting = CuttingTable(table)
        desk = Desk(cutting)
        lead = desk.ready()
        desk.nominate(lead.id, "event")
        lead = desk.stands(lead)
        if known:
            desk.account("Nordlicht GmbH", "office@nordlicht.example")
        before, accounts = documents(table.rows), int(known)
        cutting.arm(point, after=after)
        try:
            desk.converted(lead)
        except Cut:
            cuts += 1
        else:
            assert cuts >= 8, "every call of a conversion was cut"
            return
        cutting.arm(0, after=False)
        made = desk.stands(lead).conversion
        if made is None:
            assert documents(table.rows) == before, f"half a conversion after call {point}"
        receipt = desk.converted(lead)
        assert receipt.created is (made is None)
        assert made in (None, receipt.conversion)
        _whole(desk, table, receipt.lead, accounts or 1)


def _whole(desk: Desk, table: MemoryTable, lead: Lead, accounts: int) -> None:
    """A converted lead has exactly one of each, and they point at each other."""
    counts = {
        kind: sum(row.kind == kind for row in table.rows.values()) for kind in ("ACCOUNT", "CONTACT", "OPPORTUNITY")
    }
    assert counts == {"ACCOUNT": accounts, "CONTACT": 1, "OPPORTUNITY": 1}
    assert [TASKS.load(row).status for row in table.rows.values() if row.kind == "TASK"] == [TaskStatus.CANCELLED]
    made = lead.conversion
    assert made is not None
    contact, deal = CONTACTS.require(table, made.contact_id), OPPORTUNITIES.require(table, made.opportunity_id)
    account: Account = ACCOUNTS.require(table, made.account_id)
    assert contact.account_id == deal.account_id == lead.account_id == account.id
    assert deal.primary_contact_id == contact.id
    assert ACTIVITIES.require(table, made.activity_id).related_to == deal.id
    assert f'"contact": "{contact.id}"' in next(row.doc for row in table.rows.values() if row.kind == "PERSON")


# -- the person afterwards -------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_a_converted_person_who_asks_again_stays_a_contact_and_the_accounts_owner_hears_of_it(desk: Desk) -> None:
    archived = desk.converted(desk.ready(), owner_id="rep").lead
    for _ in range(3):
        receipt = desk.submit(submission(job_title="CFO", industry="", last_name="Rao-Meyer"), CALL)
        assert (receipt.lead, receipt.created) == (archived, False)
    assert len(submissions_of(desk.table, archived.id)) == 3
    tasks = [TASKS.load(row) for row in desk.kinds("TASK")]
    assert [(task.assignee_id, task.related_to) for task in tasks] == [("rep", archived.account_id)]
    assert archived.email not in tasks[0].model_dump_json()
    desk.clock.advance(days=1)
    desk.submit(submission(), CALL)
    assert len(desk.kinds("TASK")) == 2
    assert len(desk.kinds("LEAD")) == 1


@pytest.mark.mission("CAP-9", "LEAD-8")
def test_consent_is_the_persons_and_goes_on(desk: Desk) -> None:
    archived = desk.converted(desk.ready()).lead
    said = [{"channel": "email", "purpose": "marketing", "granted": False}]
    desk.submit(submission(consents=said), CALL)
    record = CONSENTS.get(desk.table, archived.person_id)
    assert record is not None
    assert not record.marketing
    stands = desk.stands(archived)
    assert (stands.gdpr_consent, stands.status) == (False, LeadStatus.CONVERTED)


# -- the rules -------------------------------------------------------------------------------------------------------


@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("10k-50k", 1_000_000, "EUR"),
        ("100k+", 10_000_000, "EUR"),
        ("$50k–100k", 5_000_000, "USD"),
        ("€10,000 – 50,000", 1_000_000, "EUR"),
        ("10.000-50.000 EUR", 1_000_000, "EUR"),
        ("10-50k", 1_000_000, "EUR"),
        ("R$ 20k", 2_000_000, "BRL"),
        ("1.5m USD", 150_000_000, "USD"),
        ("5,5k", 550_000, "EUR"),
        ("10'000 CHF", 1_000_000, "CHF"),
        ("up to 5k", 0, "EUR"),
        ("< £10k", 0, "GBP"),
        ("Not disclosed", 0, "EUR"),
        ("", 0, "EUR"),
        ("9" * 100, 0, "EUR"),
        ("₹10 lakh", 100_000_000, "INR"),
        ("2.5 crore INR", 2_500_000_000, "INR"),
        ("1 million EUR", 100_000_000, "EUR"),
        ("10kEUR", 1_000_000, "EUR"),
        ("10 Mio €", 1_000_000_000, "EUR"),
        ("2 Mrd. €", 200_000_000_000, "EUR"),
        ("3mn", 300_000_000, "EUR"),
        ("20 Tsd. Euro", 2_000_000, "EUR"),
        ("Rs 50,000", 5_000_000, "INR"),
        ("Rs.50,000", 5_000_000, "INR"),
        ("10 rupees", 1_000, "INR"),
        ("US$ 10k", 1_000_000, "USD"),
        ("10M$", 1_000_000_000, "USD"),
        ("$10 - $50k", 1_000_000, "USD"),
        ("100 to 500k", 10_000_000, "EUR"),
        ("10 bis 50 Tsd.", 1_000_000, "EUR"),
        ("between 10 and 50k", 1_000_000, "EUR"),
        ("1000 - 5k", 100_000, "EUR"),
        ("900k – 1.2m", 90_000_000, "EUR"),
        ("50.000", 5_000_000, "EUR"),
        ("1.000.000,50", 100_000_050, "EUR"),
        ("1,000,000.50", 100_000_050, "EUR"),
        ("10,00,000 INR", 100_000_000, "INR"),
        ("CHF 50’000.-", 5_000_000, "CHF"),
        ("5.000,- bis 10.000,- €", 500_000, "EUR"),
        ("12 500 €", 1_250_000, "EUR"),
        ("0,5 Mio", 50_000_000, "EUR"),
        ("१०k", 1_000_000, "EUR"),
        ("Budget: ca. 10k EUR p.a.", 1_000_000, "EUR"),
        ("about 10k per year", 1_000_000, "EUR"),
        ("from 10k", 1_000_000, "EUR"),
    ],
)
def test_a_budget_becomes_its_lower_bound(text: str, minor: int, currency: str) -> None:
    assert budget_amount(text, QualificationRules()) == Money(minor=minor, currency=currency)


@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize(
    "text",
    [
        "max 5k", "5k max", "bis 5k", "bis zu 5k", "at most 5k", "€ up to 5k", "höchstens 5k",  # nothing from below
        "¥1000000", "A$50k", "C$ 50k", "MX$50k", "50k SEK", "50k kr", "€10k / $12k", "10k EUR - 12k USD", "€$10k",
        "1e6", "10²", "½ million", ".5m", "eur.5m", "10,,000", "1.2.3", "10,0000", "1,000'000", "-10k", "10 20",
        "5 crore", "1.500 Mio", "1,500k", "20 500k", "10€50", "5 k k", "k€ 50",
        "500 - 1m", "50k - 10k", "5-10.000 EUR", "10k and 50k", "10k 20k", "10k - 20k - 30k", "- 10k", "10k -",
        "10 mil", "10t", "10x", "10 year", "5k per month", "20 licences at 5k", "not over 5k", "Q1 2027", "10k eurx",
    ],
)  # fmt: skip
def test_a_budget_that_is_not_surely_understood_is_not_stated(text: str) -> None:
    assert budget_amount(text, QualificationRules()).minor == 0


@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize("number", ["5k", "€5k", "5.000"])
def test_every_word_for_at_most_bounds_nothing_from_below(number: str) -> None:
    rules = QualificationRules(budget_upper_words=("~", "over", "bis"))
    for word in (*rules.budget_upper_words, "Over", "max", "maximal", "unter", "up to", "<", "≤", "no more than"):
        assert budget_amount(f" {word} {number}", rules) == Money(minor=0, currency="EUR")


@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize(
    ("signs", "text", "minor", "currency"),
    [
        ({"aud": "AUD", "cad": "CAD", "$": "USD"}, "A$50k", 5_000_000, "AUD"),
        ({"aud": "AUD", "cad": "CAD", "$": "USD"}, "50k C$", 5_000_000, "CAD"),
        ({"aud": "AUD", "cad": "CAD", "$": "USD"}, "$50k", 5_000_000, "USD"),
        ({"aud": "AUD", "usd": "USD"}, "50k dollars", 0, "EUR"),
        ({"usd": "USD"}, "50k dollars", 5_000_000, "USD"),
        ({"pkr": "PKR", "inr": "INR"}, "Rs 50,000", 0, "EUR"),
        ({"Rs": "PKR", "inr": "INR"}, "Rs 50,000", 5_000_000, "PKR"),
        ({"¥": "JPY"}, "¥1000000", 1_000_000, "JPY"),
        ({"¥": "JPY"}, "¥ 1000.50", 0, "JPY"),
        ({"kwd": "KWD"}, "10k KWD", 10_000_000, "KWD"),
        ({"kwd": "KWD"}, "1.500 KWD", 0, "KWD"),
        ({"Kč": "CZK", "Mex. $": "MXN"}, "20 Mio Kč", 2_000_000_000, "CZK"),
        ({"Kč": "CZK", "Mex. $": "MXN"}, "Mex. $ 20k", 2_000_000, "MXN"),
    ],
)  # fmt: skip
def test_currencies_are_those_the_rules_know(signs: dict[str, str], text: str, minor: int, currency: str) -> None:
    rules = QualificationRules(budget_signs=signs)
    assert budget_amount(text, rules) == Money(minor=minor, currency=currency)


@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize("piece", ["1,", "1 ", "1.", "eur", "eur ", "€", "k", "ca.", "p.a.", "- ", "between ", "'"])
def test_the_longest_budget_made_of_one_piece_is_not_stated(piece: str) -> None:
    for text in ((piece * 120)[:120], ("10k" + piece * 120)[:119] + "?"):
        assert budget_amount(text, QualificationRules()).minor == 0


def test_a_currency_without_decimals_has_no_cents() -> None:
    rules = QualificationRules(default_currency="JPY", budget_signs={})
    assert budget_amount("500k", rules) == Money(minor=500_000, currency="JPY")
    assert budget_amount("5 lakh", QualificationRules(default_currency="INR")).minor == 50_000_000


@pytest.mark.mission("LEAD-8")
@pytest.mark.parametrize(
    ("timeline", "days"),
    [("Immediate", 14), ("0-3 months", 90), ("3 – 6 Months", 180), ("12+ months", 540), ("some day", 90), ("", 90)],
)
def test_a_timeline_becomes_a_date(desk: Desk, timeline: str, days: int) -> None:
    assert expected_close(timeline, desk.clock.now(), QualificationRules()) == date(2026, 11, 20) + timedelta(days=days)


@pytest.mark.mission("LEAD-8", "CAP-11")
def test_one_that_is_only_somewhat_alike_is_shown_and_not_taken() -> None:
    rules = QualificationRules()
    found = candidates("Nordlicht Energie", [("A", "Nordlicht Energy"), ("B", "Nordwind")], rules)
    assert [each.account_id for each in found] == ["A"]
    assert the_one(found, QualificationRules(account_alike_from=1)) is None
    assert the_one(found, QualificationRules(account_alike_from=0.8)) == found[0]
