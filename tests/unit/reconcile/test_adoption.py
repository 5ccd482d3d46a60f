"""Customers that Stripe had before we came are matched to accounts and adopted once, the doubtful ones by a person."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from revops.access import Policy
from revops.adapters.crm_records import StoredCrmRecords
from revops.adapters.reconcile_records import ConvergedProfiles, CrmAccounts
from revops.adapters.stripe_events import read_stripe_event
from revops.billing import ConvergeCustomer
from revops.billing.model import BillingFacts
from revops.billing.store import customer_for_account, find_customer
from revops.crm.store import ACCOUNTS
from revops.inbox import Settlement
from revops.kernel import Forbidden, Invalid, NotFound, Unavailable, VersionConflict
from revops.orders.ports import ProvisioningRefused
from revops.reconcile.adopting import AdoptCustomer
from revops.reconcile.adopting_ports import Known, PayerCard, PayerPage
from revops.reconcile.adoption import (
    ADOPTING,
    ADOPTIONS,
    CANDIDATES,
    Adoption,
    AdoptionStatus,
    Candidate,
    CandidateState,
    Verdict,
    candidate_id,
    candidates_after,
)
from revops.reconcile.planning import PAGE, AdoptRequest, AskForAdoption, Choice, RunAdoption
from revops.table import Contention, CursorSigner, begin, claim, holder_of
from tests.builders.billing import TruthGateway
from tests.builders.blobs import MemoryBlobs
from tests.builders.conversion import Desk
from tests.builders.reconcile import FINANCE, REP, WORKER

pytestmark = pytest.mark.mission("STR-8")
V, S = Verdict, CandidateState


@dataclass
class StripeSide:
    """Stripe's customers and their subscriptions, and what billing sees of them."""

    cards: dict[str, PayerCard] = field(default_factory=dict)
    running: list[tuple[str, str]] = field(default_factory=list)
    truth: TruthGateway = field(default_factory=TruthGateway)
    written: list[tuple[str, str]] = field(default_factory=list)
    step: Callable[[], None] = lambda: None
    failures: list[Exception] = field(default_factory=list)

    def add(self, payer: str, name: str = "", email: str = "", account_id: str = "", *subscriptions: str) -> None:
        self.cards[payer] = PayerCard(payer, name, email, "Weg 1, Berlin", account_id)
        self.truth.truth[payer] = BillingFacts(payer, account_id=account_id)
        self.running += [(payer, each) for each in subscriptions]

    def customers(self, after: str, limit: int) -> PayerPage:
        rest = [card for name, card in sorted(self.cards.items()) if name > after]
        return PayerPage(tuple(rest[:limit]), rest[limit - 1].id if len(rest) > limit else "")

    def customer(self, payer: str) -> PayerCard | None:
        return self.cards.get(payer)

    def name_account(self, payer: str, account_id: str) -> None:
        if self.failures:
            raise self.failures.pop()
        self.written.append((payer, account_id))
        self.cards[payer] = replace(self.cards[payer], account_id=account_id)
        self.truth.truth[payer] = replace(self.truth.truth[payer], account_id=account_id)

    def page(self, after: str, limit: int) -> tuple[Sequence[tuple[str, str]], str]:
        rest = [each for each in sorted(self.running, key=lambda one: one[1]) if each[1] > after]
        return rest[:limit], rest[limit - 1][1] if len(rest) > limit else ""


class Office:
    """Adoption over the CRM's and billing's own stores."""

    def __init__(self, desk: Desk | None = None) -> None:
        self.desk = desk or Desk()
        self.table, self.clock = self.desk.table, self.desk.clock
        self.stripe = StripeSide()
        self.accounts = CrmAccounts(self.table, self.desk.ids, self.desk.settings)
        converge = ConvergeCustomer(
            self.table,
            self.clock,
            self.desk.ids,
            self.stripe.truth,
            read_stripe_event,
            StoredCrmRecords(self.table, self.desk.ids),
            self.desk.settings,
            Settlement(self.table, self.clock, MemoryBlobs(), "test"),
        )
        self.run = RunAdoption(self.table, self.clock, self.stripe, self.stripe, self.accounts)
        profiles = ConvergedProfiles(converge)
        self.adopt = AdoptCustomer(self.table, self.clock, self.stripe, self.accounts, profiles, sleep=lambda _: None)
        self.converge = converge
        self.ask = AskForAdoption(
            self.table,
            self.clock,
            self.desk.ids,
            Policy(),
            self.accounts,
            lambda: CursorSigner(b"tests of adoption, one key here."),
        )

    def planned(self) -> Adoption:
        plan = self.ask.plan(FINANCE)
        return self.worked(plan.id)

    def worked(self, plan_id: str) -> Adoption:
        plan = ADOPTIONS.require(self.table, plan_id)
        for _ in range(200):
            if plan.status is not AdoptionStatus.PLANNING:
                return plan
            plan = self.run(plan.id, WORKER)
        raise AssertionError("the plan comes to no end")

    def candidate(self, plan: Adoption, payer: str) -> Candidate:
        return CANDIDATES.require(self.table, candidate_id(plan.id, payer))

    def approve(self, plan: Adoption, *choices: Choice, certain: bool = False) -> None:
        version = ADOPTIONS.require(self.table, plan.id).version
        self.ask.adopt(plan.id, AdoptRequest(version=version, customers=choices, all_certain=certain), FINANCE)
        self.worked(plan.id)

    def all_adopted(self, plan: Adoption) -> list[Candidate]:
        """Every approved candidate, worked on."""
        rows = self.table.query(candidates_after(plan.id, "", 500)).rows
        waiting = [each.id for each in CANDIDATES.load_all(rows) if each.state is S.APPROVED]
        return [self.adopt(each, WORKER) for each in waiting]

    def account(self, name: str, email: str) -> str:
        return self.desk.account(name, email)


@pytest.fixture
def office() -> Office:
    return Office()


def chosen(payer: str, account_id: str = "", *, create: bool = False) -> Choice:
    return Choice(stripe_customer_id=payer, account_id=account_id, create=create)


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_each_customer_gets_its_verdict_and_why(office: Office) -> None:
    nord = office.account("Nordlicht GmbH", "a@nordlicht.example")
    office.account("Alpha Werke AG", "a@alpha.example")
    office.account("Beta Logistik GmbH", "a@beta.example")
    beta_two = office.account("Beta Logistics", "a@betalogistics.example")
    add = office.stripe.add
    add("cus_meta", "Something else", "", nord)
    add("cus_domain", "Nordlicht", "buchhaltung@nordlicht.example", "", "sub_1", "sub_2")
    add("cus_noname", "", "info@nordlicht.example")
    add("cus_agency", "Agentur Meier", "rechnung@nordlicht.example")
    add("cus_cross", "Alpha Werke AG", "x@nordlicht.example")
    add("cus_name", "Alpha Werke", "paul@gmail.com")
    add("cus_alike", "Beta Logistik", "b@other.example")
    add("cus_lost", "Nordlicht GmbH", "", "ACC_NOBODY")
    add("cus_new", "Zeppelin Luftbild", "z@zeppelin.example")
    plan = office.planned()
    verdicts = {payer: office.candidate(plan, payer).verdict for payer in office.stripe.cards}
    assert verdicts == {
        "cus_meta": V.CERTAIN,
        "cus_domain": V.CERTAIN,
        "cus_noname": V.CERTAIN,
        "cus_agency": V.DOUBTFUL,
        "cus_cross": V.DOUBTFUL,
        "cus_name": V.CERTAIN,
        "cus_alike": V.DOUBTFUL,
        "cus_lost": V.DOUBTFUL,
        "cus_new": V.NONE,
    }
    assert plan.counts == {"certain": 4, "doubtful": 4, "none": 1}
    domain = office.candidate(plan, "cus_domain")
    assert (domain.account_id, domain.subscriptions, domain.running) == (nord, ("sub_1", "sub_2"), 2)
    alike = office.candidate(plan, "cus_alike")
    assert beta_two in {match.account_id for match in alike.matches}
    assert all(0.5 < match.score <= 1 and match.reasons for match in alike.matches)
    assert office.candidate(plan, "cus_new").create
    assert "buchhaltung" not in office.candidate(plan, "cus_domain").model_dump_json()
    assert (office.stripe.written, len(office.desk.kinds("CUSTOMER"))) == ([], 0)  # a plan changes nothing


@pytest.mark.fault("S14")
def test_a_name_in_another_script_is_no_certainty(office: Office) -> None:
    office.account("Nordlicht GmbH", "a@nordlicht.example")
    office.stripe.add("cus_one", "Nоrdlicht GmbH", "x@gmail.com")  # with a Cyrillic о
    plan = office.planned()
    assert office.candidate(plan, "cus_one").verdict is not V.CERTAIN


def test_a_plan_of_many_pages_is_counted_once(office: Office) -> None:
    for number in range(2 * PAGE + 5):
        office.stripe.add(f"cus_{number:04d}", f"Firma{number:04d} GmbH", "", "", f"sub_{number:04d}")
    plan = office.planned()
    assert plan.counts == {"none": 2 * PAGE + 5}
    seen, cursor = set(), ""
    while True:
        page = office.ask.read(plan.id, None, 40, cursor, FINANCE)
        seen |= {each.payer for each in page.candidates}
        assert all(each.running == 1 for each in page.candidates)
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == set(office.stripe.cards)


@pytest.mark.mission("SAFE-1")
def test_only_finance_plans_reads_and_adopts(office: Office) -> None:
    plan = office.planned()
    with pytest.raises(Forbidden):
        office.ask.plan(REP)
    with pytest.raises(NotFound):
        office.ask.read(plan.id, None, 10, "", REP)
    with pytest.raises(Forbidden):
        office.ask.adopt(plan.id, AdoptRequest(version=plan.version, all_certain=True), REP)


def test_a_stripe_that_refuses_ends_the_plan_with_its_reason(office: Office) -> None:
    def refuse(after: str, limit: int) -> PayerPage:
        raise ProvisioningRefused("Stripe refused: no")

    office.stripe.customers = refuse  # type: ignore[method-assign]
    assert (office.planned().status, office.planned().problem) == (AdoptionStatus.FAILED, "Stripe refused: no")


# -- adopting ----------------------------------------------------------------------------------------------------------


def test_all_certain_ones_are_adopted_and_no_others(office: Office) -> None:
    nord = office.account("Nordlicht GmbH", "a@nordlicht.example")
    office.stripe.add("cus_one", "Nordlicht", "b@nordlicht.example")
    office.stripe.add("cus_two", "", "info@nordlicht.example")
    office.stripe.add("cus_new", "Zeppelin", "z@zeppelin.example")
    plan = office.planned()
    office.approve(plan, certain=True)
    assert {each.state for each in office.all_adopted(plan)} == {S.ADOPTED}
    assert sorted(office.stripe.written) == [("cus_one", nord), ("cus_two", nord)]
    customer = customer_for_account(office.table, nord)
    assert customer is not None
    assert customer.payers == ("cus_one", "cus_two")  # one profile, however many payers
    assert ACCOUNTS.require(office.table, nord).stripe_customer_id in ("cus_one", "cus_two")
    assert office.candidate(plan, "cus_new").state is S.PLANNED
    again = office.planned()
    assert again.counts == {"linked": 2, "none": 1}


def test_a_doubtful_one_is_decided_by_a_person(office: Office) -> None:
    nord = office.account("Nordlicht GmbH", "a@nordlicht.example")
    office.stripe.add("cus_one", "Agentur Meier", "b@nordlicht.example")
    office.stripe.add("cus_two", "Agentur Schulz", "c@nordlicht.example")
    plan = office.planned()
    with pytest.raises(Invalid, match="doubtful"):
        office.approve(plan, chosen("cus_one"))
    with pytest.raises(Invalid, match="no active account"):
        office.approve(plan, chosen("cus_one", "ACC_NOBODY"))
    with pytest.raises(Invalid, match="not in this plan"):
        office.approve(plan, chosen("cus_three", nord))
    office.approve(plan, chosen("cus_one", nord), chosen("cus_two", create=True))
    one, two = sorted(office.all_adopted(plan), key=lambda each: each.payer)
    assert (one.state, one.account_id, one.approved_by) == (S.ADOPTED, nord, "USR_fin")
    made = ACCOUNTS.require(office.table, two.account_id)
    assert (two.state, made.name, made.owner_id, made.domain) == (S.ADOPTED, "Agentur Schulz", "USR_fin", "")
    assert made.stripe_customer_id == "cus_two"


def test_of_two_customers_of_one_company_the_second_finds_the_account(office: Office) -> None:
    office.stripe.add("cus_one", "Zeppelin Luftbild GmbH", "a@zeppelin.example")
    office.stripe.add("cus_two", "Zeppelin Luftbild", "b@zeppelin.example")
    plan = office.planned()
    office.approve(plan, chosen("cus_one"), chosen("cus_two"))
    one, two = office.all_adopted(plan)
    assert one.account_id == two.account_id
    assert len(office.desk.kinds("ACCOUNT")) == 1
    assert "exists by now" in one.result + two.result
    assert holder_of(office.table, "domain", "zeppelin.example") == one.account_id


@pytest.mark.fault("R17")
def test_two_plans_for_one_customer_make_one_account(office: Office) -> None:
    office.stripe.add("cus_one", "Zeppelin", "a@zeppelin.example")
    first, second = office.planned(), office.planned()
    office.approve(first, chosen("cus_one"))
    office.approve(second, chosen("cus_one"))
    done = [*office.all_adopted(first), *office.all_adopted(second)]
    assert len({each.account_id for each in done}) == 1
    assert {each.state for each in done} == {S.ADOPTED}
    assert len(office.desk.kinds("ACCOUNT")) == 1


@pytest.mark.fault("R3", "R8")
def test_an_adoption_that_died_goes_on_where_it_was(office: Office) -> None:
    office.stripe.add("cus_one", "Zeppelin", "a@zeppelin.example")
    plan = office.planned()
    office.approve(plan, chosen("cus_one"))
    office.stripe.failures = [Unavailable("slow"), Unavailable("slow")]
    for _ in range(2):
        with pytest.raises(Unavailable):
            office.adopt(candidate_id(plan.id, "cus_one"), WORKER)
    (done,) = office.all_adopted(plan)
    assert done.state is S.ADOPTED
    assert len(office.desk.kinds("ACCOUNT")) == 1
    assert office.adopt(done.id, WORKER) == done
    assert holder_of(office.table, ADOPTING, "cus_one") is None


def test_an_adoption_waits_while_another_one_is_under_way(office: Office) -> None:
    office.stripe.add("cus_one", "Zeppelin", "a@zeppelin.example")
    plan = office.planned()
    office.approve(plan, chosen("cus_one"))
    transaction = begin(WORKER, office.clock.now())
    claim(transaction, ADOPTING, "cus_one", "another")
    office.table.commit(transaction)
    with pytest.raises(Unavailable):
        office.adopt(candidate_id(plan.id, "cus_one"), WORKER)
    assert office.stripe.written == []


def test_what_changed_since_the_plan_is_left_alone(office: Office) -> None:
    nord = office.account("Nordlicht GmbH", "a@nordlicht.example")
    alpha = office.account("Alpha Werke AG", "a@alpha.example")
    for payer in ("cus_meta", "cus_name", "cus_gone"):
        office.stripe.add(payer, "Nordlicht", "b@nordlicht.example")
    plan = office.planned()
    office.approve(plan, certain=True)
    office.stripe.name_account("cus_meta", alpha)
    office.stripe.cards["cus_name"] = replace(office.stripe.cards["cus_name"], name="Quite another")
    del office.stripe.cards["cus_gone"]
    told = {each.payer: each for each in office.all_adopted(plan)}
    assert {payer: each.state for payer, each in told.items()} == {
        "cus_meta": S.CHANGED,
        "cus_name": S.CHANGED,
        "cus_gone": S.REFUSED,
    }
    assert "nothing was done" in told["cus_meta"].result
    assert [entry for entry in office.stripe.written if entry[1] == nord] == []
    assert customer_for_account(office.table, nord) is None


def test_a_profile_that_billing_made_before_is_linked(office: Office) -> None:
    nord = office.account("Nordlicht GmbH", "a@nordlicht.example")
    office.stripe.add("cus_one", "Nordlicht", "b@nordlicht.example")
    office.converge.converge_payer("cus_one", WORKER)
    profile = find_customer(office.table, "cus_one")
    assert profile is not None
    assert profile.account_id == ""
    plan = office.planned()
    office.approve(plan, certain=True)
    office.all_adopted(plan)
    linked = customer_for_account(office.table, nord)
    assert linked is not None
    assert linked.id == profile.id


def test_a_plan_that_was_decided_about_meanwhile_is_a_conflict(office: Office) -> None:
    office.stripe.add("cus_one", "Zeppelin", "a@zeppelin.example")
    plan = office.planned()
    with pytest.raises(VersionConflict):
        office.ask.adopt(plan.id, AdoptRequest(version=plan.version + 1, all_certain=True), FINANCE)
    with pytest.raises(Invalid):
        office.ask.adopt(plan.id, AdoptRequest(version=plan.version), FINANCE)


def test_a_race_for_a_mail_domain_makes_one_account(office: Office) -> None:
    """Between the look and the commit somebody else's account takes the domain."""
    office.stripe.add("cus_one", "Zeppelin", "a@zeppelin.example")
    plan = office.planned()
    office.approve(plan, chosen("cus_one"))
    create = office.accounts.create

    def raced(*given: object) -> str:
        office.account("Zeppelin GmbH", "x@zeppelin.example")
        office.accounts.create = create  # type: ignore[method-assign]
        return create(*given)  # type: ignore[arg-type]

    office.accounts.create = raced  # type: ignore[method-assign,assignment]
    with pytest.raises(Contention):
        office.adopt(candidate_id(plan.id, "cus_one"), WORKER)
    (done,) = office.all_adopted(plan)
    assert done.state is S.ADOPTED
    assert len(office.desk.kinds("ACCOUNT")) == 1


def test_an_account_that_came_after_the_look_is_not_made_twice(office: Office) -> None:
    """The look at what is known said that there is none; what is written goes by that look."""
    office.stripe.add("cus_one", "Zeppelin", "a@zeppelin.example")
    plan = office.planned()
    office.approve(plan, chosen("cus_one"))
    known = office.accounts.known

    def raced(card: PayerCard) -> Known:
        office.accounts.known = known  # type: ignore[method-assign]
        seen = known(card)
        office.account("Zeppelin", "x@zeppelin.example")
        return seen

    office.accounts.known = raced  # type: ignore[method-assign]
    with pytest.raises(Contention):
        office.adopt(candidate_id(plan.id, "cus_one"), WORKER)
    (done,) = office.all_adopted(plan)
    assert done.state is S.ADOPTED
    assert len(office.desk.kinds("ACCOUNT")) == 1
