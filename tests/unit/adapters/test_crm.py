"""The CRM behind other slices' ports: people for syncing, accounts and deals for orders, who takes new leads."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from revops.access import PlaceUser, Policy, User
from revops.adapters.crm_records import StoredCrmRecords
from revops.adapters.people import CrmPeople, MarkPeopleDirty
from revops.adapters.previews import HISTORY, SAMPLE, previews
from revops.adapters.roster import TableRoster
from revops.billing.model import Customer, MembershipStatus
from revops.billing.store import ACCOUNT, CUSTOMER
from revops.crm.consent import CONSENTS
from revops.crm.duplicates import ReadDuplicates, TellApart
from revops.crm.model import (
    AccountType,
    DuplicateCheck,
    Lead,
    MatchDecision,
    OpportunityStage,
    ValidationStatus,
)
from revops.crm.policies.assignment import AssignmentRules, Territory
from revops.crm.store import ACCOUNTS, LEADS, OPPORTUNITIES
from revops.kernel import Invalid, Money, Role
from revops.orders.model import OrderForm, OrderStatus
from revops.orders.ports import NewAccount, NewOpportunity, OrderEvidence
from revops.orders.store import ORDERS
from revops.scoring import ScoringTable
from revops.settings import SettingsReader
from revops.sync.model import PersonField, RemoteContact
from revops.table import ConditionFailed, CursorSigner, Page, Query, begin, claim, holder_of
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.orders import order_terms

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
EVIDENCE = OrderEvidence("ORD_1", "hash", date(2026, 11, 20), "sub_1")


class Desk:
    """The CRM and its doors."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock(NOW)
        self.intake = submit_lead(self.table, clock=self.clock)
        self.people = CrmPeople(self.table, self.intake, SettingsReader(self.table, ttl=0))
        self.records = StoredCrmRecords(self.table, seeded_ids(9))
        self.duplicates = ReadDuplicates(self.table, Policy(), lambda: CursorSigner(b"local-signing-key"))

    def lead(self, **fields: Any) -> Lead:
        return self.intake(submission(**fields), CALL).lead

    def commit(self, act: Any) -> Any:
        transaction = begin(CALL, NOW)
        result = act(transaction)
        self.table.commit(transaction)
        return result

    def taken_over(self, lead: Lead, field: PersonField, value: str) -> None:
        """A value set there comes in."""
        person = self.people.snapshot(lead.person_id)
        assert person is not None
        self.commit(lambda tx: self.people.update(tx, person, {field: value}, NOW))

    def account(self, email: str = "asha.rao@nordlicht.example", owner: str = "rep") -> str:
        wanted = NewAccount("Nordlicht GmbH", "Weg 1", owner, email)
        return str(self.commit(lambda tx: self.records.create_account(tx, NOW, wanted)).id)

    def deal(self, account_id: str) -> str:
        wanted = NewOpportunity("Deal", account_id, Money(minor=100, currency="EUR"), date(2026, 12, 1), "rep")
        return str(self.commit(lambda tx: self.records.open_opportunity(tx, NOW, wanted)))

    def order(self, deal_id: str, **said: Any) -> OrderForm:
        """An order on a deal; unless told, the one that opened it."""
        fields = {"id": "ORD_1", "created_at": NOW, "modified_at": NOW, "status_since": NOW, "account_id": "ACC_1"}
        fields |= {"opportunity_id": deal_id, "opened_opportunity": True, "owner_id": "rep", "terms": order_terms()}
        order = OrderForm.model_validate({**fields, **said})
        self.commit(lambda tx: ORDERS.create(tx, order))
        return order

    def remote(self, **properties: str) -> RemoteContact:
        return RemoteContact("77", properties, NOW)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("HUB-1", "CAP-11")
def test_a_contact_created_there_becomes_a_lead_with_all_that_belongs_to_one(desk: Desk) -> None:
    contact = desk.remote(
        firstname="  Asha\u200b ", lastname="Rao", email="Asha@nordlicht.example", company="Nordlicht"
    )
    person = desk.commit(lambda tx: desk.people.create(tx, contact, NOW))
    lead = LEADS.require(desk.table, person.record_id)
    assert (lead.first_name, lead.channel, lead.owner_id) == ("Asha", "hubspot", "sdr-1")
    assert CONSENTS.get(desk.table, lead.person_id) is None, "a contact made there says nothing of consent"
    assert desk.people.find_by_email("ASHA@nordlicht.example") == person.person_id
    assert desk.people.snapshot(person.person_id) == person
    assert desk.people.snapshot("PER_x") is None
    assert desk.people.find_by_email("not an address") is None
    with pytest.raises(ConditionFailed):
        desk.commit(lambda tx: desk.people.create(tx, contact, NOW))


@pytest.mark.mission("CAP-10")
@pytest.mark.parametrize("properties", [{}, {"email": "x", "phone": "12"}, {"firstname": "Asha"}])
def test_a_contact_nobody_can_reach_makes_no_lead(desk: Desk, properties: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        desk.people.create(begin(CALL, NOW), desk.remote(**properties), NOW)


@pytest.mark.mission("HUB-2", "CAP-10", "CAP-11")
def test_a_change_from_there_is_tidied_judged_and_findable(desk: Desk) -> None:
    lead = desk.lead(last_name="Typo", company="Elsewhere")
    person = desk.people.snapshot(lead.person_id)
    assert person is not None
    broken = desk.commit(lambda tx: desk.people.update(tx, person, {PersonField.PHONE: "12"}, NOW))
    assert LEADS.require(desk.table, lead.id).validation_status is ValidationStatus.INVALID
    mended = {PersonField.PHONE: "+49 30 901820", PersonField.LAST_NAME: " Rao\u200b", PersonField.COMPANY: "Nordlicht"}
    desk.commit(lambda tx: desk.people.update(tx, broken, mended, NOW))
    stands = LEADS.require(desk.table, lead.id)
    assert (stands.validation_status, stands.last_name, stands.version) == (ValidationStatus.VALID, "Rao", 3)
    assert desk.lead(email="a.rao@nordlicht.example").duplicate_check is DuplicateCheck.PENDING


@pytest.mark.mission("HUB-1", "CAP-11")
@pytest.mark.fault("R1")
@pytest.mark.parametrize(
    ("field", "first", "second"),
    [
        (PersonField.PHONE, {"email": "", "phone": "+49 30 901820"}, {"email": "", "phone": "+49 30 901821"}),
        (PersonField.EMAIL, {"email": "asha.rao@nordlicht.example"}, {"email": "bo@neu.example"}),
    ],
)
def test_what_is_another_persons_waits_for_a_word_with_both_of_them(
    desk: Desk, field: PersonField, first: dict[str, str], second: dict[str, str]
) -> None:
    """Nothing but the one value is alike, and nobody is taken for the other: both stand in the list for review."""
    holder = desk.lead(**first)
    lead = desk.lead(**second | {"first_name": "Bo", "last_name": "Lind", "company": "Neu", "country": "SE"})
    assert lead.duplicate_check is DuplicateCheck.PASS
    theirs, own = getattr(holder, field.value), getattr(lead, field.value)
    for value in (theirs, theirs, own, theirs):
        desk.taken_over(lead, field, value)
    stands = LEADS.require(desk.table, lead.id)
    assert stands.duplicate_check is DuplicateCheck.PENDING
    assert [(told.lead_id, told.decision) for told in stands.resembles] == [(holder.id, MatchDecision.REVIEW)]
    (waiting,) = desk.duplicates.page(10, "", CALL)[0]
    assert {waiting.lead.id, waiting.other.id} == {lead.id, holder.id}
    assert field.value in {part.field for part in waiting.pair.evidence}
    assert holder_of(desk.table, field.value, _canonical(holder, field)) == holder.id
    TellApart(desk.table, desk.clock, Policy())(waiting, CALL)
    for value in (own, theirs):
        desk.taken_over(lead, field, value)
    assert LEADS.require(desk.table, lead.id).duplicate_check is DuplicateCheck.PASS, "somebody said they are two"
    assert desk.duplicates.page(10, "", CALL)[0] == []


def _canonical(lead: Lead, field: PersonField) -> str:
    return lead.email if field is PersonField.EMAIL else lead.phone.replace(" ", "")


@pytest.mark.fault("R19")
def test_a_change_over_a_version_that_is_gone_is_refused(desk: Desk) -> None:
    lead = desk.lead()
    stale = desk.people.snapshot(lead.person_id)
    assert stale is not None
    desk.commit(lambda tx: desk.people.update(tx, stale, {PersonField.FIRST_NAME: "One"}, NOW))
    with pytest.raises(ConditionFailed):
        desk.commit(lambda tx: desk.people.update(tx, stale, {PersonField.FIRST_NAME: "Two"}, NOW))
    assert LEADS.require(desk.table, lead.id).first_name == "One"


def _customer(desk: Desk, account_id: str, currency: str, minor: int) -> None:
    customer = Customer(
        id="CUST_1", created_at=NOW, modified_at=NOW, account_id=account_id, payers=("cus_1",), plan="Starter",
        membership_status=MembershipStatus.ACTIVE, membership_reason="r", currency=currency.lower(),
        lifetime_value={currency: minor},
    )  # fmt: skip

    def put(transaction: Any) -> None:
        CUSTOMER.create(transaction, customer)
        claim(transaction, ACCOUNT, account_id, customer.id)

    desk.commit(put)


@pytest.mark.mission("HUB-2")
@pytest.mark.parametrize(
    ("currency", "minor", "shown"), [("EUR", 129_900, "1299.00"), ("JPY", 5_000, "5000"), ("KWD", 1_500, "1.500")]
)
def test_a_persons_subscription_is_their_accounts_in_major_units(
    desk: Desk, currency: str, minor: int, shown: str
) -> None:
    lead = desk.lead()
    _customer(desk, desk.account(), currency, minor)
    person = desk.people.snapshot(lead.person_id)
    assert person is not None
    assert (person.subscription_status, person.subscription_plan) == ("active", "Starter")
    assert person.lifetime_value == shown
    assert person.health_score == "Green"


@pytest.mark.mission("HUB-1")
@pytest.mark.fault("R1", "R14")
def test_each_version_marks_its_person_once_however_often_it_comes(desk: Desk) -> None:
    lead = desk.lead()
    account_id = desk.account()
    _customer(desk, account_id, "EUR", 1)
    mark = MarkPeopleDirty(desk.table, desk.clock, SettingsReader(desk.table, ttl=0))
    for change in [each for each in desk.table.changes if each.kind in ("LEAD", "CUSTOMER", "ACCOUNT")]:
        once = mark(change)
        rows = dict(desk.table.rows)
        assert mark(change) == once
        assert desk.table.rows == rows, "the mark of a version is written once"
        if change.kind == "CUSTOMER":
            assert [message["entity_id"] for message in once] == [lead.person_id]
    note = next(each for each in desk.table.changes if each.kind not in ("LEAD", "CUSTOMER", "ACCOUNT"))
    assert mark(note) == []


@pytest.mark.mission("CAP-12", "ORD-2")
def test_an_account_of_an_order_takes_its_people_and_its_domain(desk: Desk) -> None:
    lead = desk.lead()
    account_id = desk.account()
    assert LEADS.require(desk.table, lead.id).account_id == account_id
    assert ACCOUNTS.require(desk.table, account_id).primary_person_id == lead.person_id
    colleague = desk.lead(email="bo@nordlicht.example", first_name="Bo", last_name="Lind")
    assert (colleague.owner_id, colleague.assignment.rule) == ("rep", "account owner")
    assert desk.account(owner="other") != account_id
    third = desk.lead(email="eva@nordlicht.example", first_name="Eva", last_name="Ek")
    assert third.owner_id == "rep", "the first account of a domain keeps it"


@pytest.mark.mission("CAP-12")
@pytest.mark.parametrize("email", ["someone@gmail.com", "not an address", ""])
def test_a_mail_provider_is_nobodys_domain(desk: Desk, email: str) -> None:
    desk.account(email)
    assert desk.lead(email="other@gmail.com").owner_id == "sdr-1"


@pytest.mark.mission("CRM-4", "ORD-4")
@pytest.mark.fault("R16")
def test_a_deal_is_won_with_its_evidence_and_once(desk: Desk) -> None:
    account_id = desk.account()
    deal_id = desk.deal(account_id)
    desk.commit(lambda tx: desk.records.record_signature(tx, NOW, deal_id, EVIDENCE))
    signed = OPPORTUNITIES.require(desk.table, deal_id)
    assert (signed.stage, signed.probability) == (OpportunityStage.NEGOTIATION, 75)
    for _ in range(2):
        desk.commit(lambda tx: desk.records.mark_won(tx, NOW, deal_id, EVIDENCE))
    won = OPPORTUNITIES.require(desk.table, deal_id)
    assert (won.stage, won.probability, won.version) == (OpportunityStage.CLOSED_WON, 100, 3)
    assert won.evidence is not None
    assert (won.evidence.order_id, won.evidence.subscription_id) == ("ORD_1", "sub_1")
    account = ACCOUNTS.require(desk.table, account_id)
    assert (account.type, account.version) == (AccountType.CUSTOMER, 2)
    desk.commit(lambda tx: desk.records.close_lost(tx, NOW, desk.order(deal_id), "late"))
    desk.commit(lambda tx: desk.records.record_signature(tx, NOW, deal_id, EVIDENCE))
    assert OPPORTUNITIES.require(desk.table, deal_id) == won, "what is closed stays as it is"


@pytest.mark.fault("R19")
def test_two_deals_of_one_account_won_at_once_need_two_goes(desk: Desk) -> None:
    account_id = desk.account()
    first, second = desk.deal(account_id), desk.deal(account_id)
    transaction = begin(CALL, NOW)
    desk.records.mark_won(transaction, NOW, first, EVIDENCE)
    desk.commit(lambda tx: desk.records.mark_won(tx, NOW, second, EVIDENCE))
    with pytest.raises(ConditionFailed):
        desk.table.commit(transaction)
    desk.commit(lambda tx: desk.records.mark_won(tx, NOW, first, EVIDENCE))
    stages = {OPPORTUNITIES.require(desk.table, deal).stage for deal in (first, second)}
    assert stages == {OpportunityStage.CLOSED_WON}


def test_an_order_names_an_open_deal_of_its_own_account(desk: Desk) -> None:
    account_id = desk.account()
    deal_id = desk.deal(account_id)
    desk.records.require_open_opportunity(deal_id, account_id)
    desk.commit(lambda tx: desk.records.close_lost(tx, NOW, desk.order(deal_id), "no budget"))
    for deal, account in ((deal_id, account_id), (deal_id, "ACC_other"), ("OPP_x", account_id)):
        with pytest.raises(Invalid):
            desk.records.require_open_opportunity(deal, account)
    assert "Lost: no budget" in OPPORTUNITIES.require(desk.table, deal_id).description


@pytest.mark.mission("ORD-2")
def test_a_deal_ends_with_the_last_order_that_names_it(desk: Desk) -> None:
    account_id = desk.account()
    wanted = NewOpportunity(
        "Deal", account_id, Money(minor=100, currency="EUR"), date(2026, 12, 1), "rep", order_id="ORD_1"
    )
    deal_id = str(desk.commit(lambda tx: desk.records.open_opportunity(tx, NOW, wanted)))
    desk.commit(lambda tx: desk.records.build_on(tx, account_id, deal_id, "ORD_2"))
    opener = desk.order(deal_id)
    other = desk.order(deal_id, id="ORD_2", opened_opportunity=False)
    desk.commit(lambda tx: desk.records.close_lost(tx, NOW, opener, "cancelled"))
    assert OPPORTUNITIES.require(desk.table, deal_id).stage is OpportunityStage.PROPOSAL_SENT, "the other one goes on"
    ended = opener.revised(NOW, status=OrderStatus.CANCELLED)
    desk.commit(lambda tx: ORDERS.update(tx, ended))
    desk.commit(lambda tx: desk.records.close_lost(tx, NOW, other, "rejected"))
    assert OPPORTUNITIES.require(desk.table, deal_id).stage is OpportunityStage.CLOSED_LOST


@pytest.mark.fault("R19")
def test_an_order_on_a_deal_and_the_end_of_its_opener_do_not_pass_each_other(desk: Desk) -> None:
    account_id = desk.account()
    deal_id = desk.deal(account_id)
    ends = begin(CALL, NOW)
    desk.records.close_lost(ends, NOW, desk.order(deal_id), "cancelled")
    desk.commit(lambda tx: desk.records.build_on(tx, account_id, deal_id, "ORD_2"))
    with pytest.raises(ConditionFailed):
        desk.table.commit(ends)


@pytest.mark.mission("CAP-12", "SAFE-6")
def test_new_leads_go_to_those_present_within_a_minute(desk: Desk) -> None:
    place, seconds = PlaceUser(desk.table, desk.clock), 0.0
    roster = TableRoster(desk.table, desk.clock, lambda: seconds)

    def user(name: str, **more: Any) -> None:
        fields = {
            "id": name,
            "created_at": NOW,
            "modified_at": NOW,
            "name": name,
            "email": "x@y.example",
            "team_id": "T",
        }
        place.user(User.model_validate({**fields, "role": Role.SDR, **more}), CALL)

    user("b")
    user("a")
    user("rep", role=Role.SALES_REP)
    user("gone", active=False)
    user("back", absent_until=NOW - timedelta(seconds=1))
    user("away", absent_until=NOW + timedelta(days=1))
    assert roster.sdrs() == ["a", "b", "back"]
    user("a", absent_until=NOW + timedelta(days=2))
    assert "a" in roster.sdrs()
    seconds = 30.0
    assert roster.sdrs() == ["b", "back"]
    desk.clock.advance(days=1)
    seconds = 60.0
    assert roster.sdrs() == ["away", "b", "back"]


@pytest.mark.mission("CAP-12", "LEAD-3")
def test_a_preview_looks_at_the_newest_leads_however_many_there_are() -> None:
    desk = Desk()
    for n in range(HISTORY + 30):
        desk.lead(
            email=f"p{n}@x{n}.example", phone="", last_name=f"N{n}", company=f"C{n}", country="FR" if n % 2 else "DE"
        )
        desk.clock.advance(seconds=1)
    reads: list[int] = []
    plain_query, get_many = desk.table.query, desk.table.get_many

    def counted_query(query: Query) -> Page:
        page = plain_query(query)
        reads.append(len(page.rows))
        return page

    def counted_get(keys: Any, consistent: bool = True) -> Any:
        reads.append(len(keys))
        return get_many(keys, consistent)

    desk.table.query, desk.table.get_many = counted_query, counted_get  # type: ignore[method-assign]
    shown = previews(desk.table, desk.clock)
    lines = shown["scoring"](ScoringTable(), ScoringTable(industry={}))
    assert lines[0] == f"{HISTORY} of {HISTORY} leads would score differently"
    assert len([line for line in lines if line.startswith("LEAD_")]) == 20
    assert sum(reads) <= 5 * HISTORY
    reads.clear()
    rules = AssignmentRules(territories=(Territory(name="f", countries=frozenset({"FR"}), user_ids=("sdr-1",)),))
    assert shown["assignment"](AssignmentRules(), rules) == [
        "50 of the 100 newest leads would have gone to another round"
    ]
    assert sum(reads) <= 5 * SAMPLE
    assert shown["scoring"](AssignmentRules(), rules) == []
