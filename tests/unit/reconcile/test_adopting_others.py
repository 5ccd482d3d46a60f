"""A customer of Stripe's that is somebody else's here already is not adopted a second time, and nothing is said of one
that was linked before (STR-8)."""

from dataclasses import replace

import pytest

from revops.billing.store import customer_for_account, find_customer
from revops.crm.store import ACCOUNTS
from revops.kernel import Invalid, Unavailable
from revops.reconcile.adoption import ADOPTING, Adoption, Verdict
from revops.reconcile.adoption import CandidateState as S
from revops.reconcile.events import events
from revops.table import Contention, begin, holder_of
from tests.builders.reconcile import WORKER
from tests.unit.reconcile.test_adoption import Office, chosen

pytestmark = pytest.mark.mission("STR-8")


@pytest.fixture
def office() -> Office:
    """Nordlicht, whose customer at Stripe was adopted, and Alpha."""
    office = Office()
    office.account("Nordlicht GmbH", "a@nordlicht.example")
    office.stripe.add("cus_one", "Nordlicht", "b@nordlicht.example", "", "sub_one")
    adopted(office, office.planned())
    return office


def adopted(office: Office, plan: Adoption) -> None:
    office.approve(plan, certain=True)
    office.all_adopted(plan)


def said(office: Office) -> list[str]:
    return [event.name for change in office.desk.memory.changes for event in events(change)]


@pytest.mark.parametrize("create", [False, True])
def test_a_profile_of_another_account_stays_it(office: Office, create: bool) -> None:
    """Somebody took the account out of its metadata; its profile here still says whose it is."""
    alpha = office.account("Alpha Werke AG", "a@alpha.example")
    before = find_customer(office.table, "cus_one")
    assert before is not None
    office.stripe.cards["cus_one"] = replace(office.stripe.cards["cus_one"], account_id="")
    plan, written = office.planned(), list(office.stripe.written)
    assert office.candidate(plan, "cus_one").verdict is Verdict.CERTAIN
    office.approve(plan, chosen("cus_one", "" if create else alpha, create=create))
    (done,) = office.all_adopted(plan)
    assert (done.state, before.account_id in done.result) == (S.REFUSED, True)
    assert office.stripe.written == written, "its metadata does not name an account that it is not"
    assert (find_customer(office.table, "cus_one"), customer_for_account(office.table, alpha)) == (before, None)
    assert len(office.desk.kinds("ACCOUNT")) == 2
    assert holder_of(office.table, ADOPTING, "cus_one") is None


@pytest.mark.mission("BUS-1")
def test_an_adoption_is_told_once_and_not_of_one_that_was_linked_before(office: Office) -> None:
    assert said(office).count("CustomerAdopted") == 1
    plan = office.planned()
    assert office.candidate(plan, "cus_one").verdict is Verdict.LINKED
    assert office.candidate(plan, "cus_one").version == 2, "its subscriptions were noted"
    assert said(office).count("CustomerAdopted") == 1


@pytest.mark.fault("R1", "R17")
def test_an_adoption_that_was_settled_in_this_moment_keeps_no_other_one_out(office: Office) -> None:
    """Two messages of one adoption: the second had read it before the first one was through."""
    office.stripe.add("cus_two", "", "c@nordlicht.example")
    first, second = office.planned(), office.planned()
    office.approve(first, chosen("cus_two"))
    office.approve(second, chosen("cus_two"))
    identifier, raced = office.candidate(first, "cus_two").id, [True]

    def step_in(_: object) -> None:
        if raced:
            raced.clear()
            assert office.adopt(identifier, WORKER).state is S.ADOPTED

    office.desk.memory.before_commit = step_in
    with pytest.raises((Contention, Unavailable)):
        office.adopt(identifier, WORKER)
    assert office.adopt(identifier, WORKER).state is S.ADOPTED
    assert holder_of(office.table, ADOPTING, "cus_two") is None
    assert [each.state for each in office.all_adopted(second)] == [S.ADOPTED]


def test_a_further_customer_of_an_account_does_not_take_the_place_of_the_first(office: Office) -> None:
    office.stripe.add("cus_two", "", "c@nordlicht.example")
    adopted(office, office.planned())
    customer = find_customer(office.table, "cus_two")
    assert customer is not None
    assert customer.payers == ("cus_one", "cus_two")
    assert ACCOUNTS.require(office.table, customer.account_id).stripe_customer_id == "cus_one"


def test_an_account_that_was_closed_since_the_plan_gets_no_customer(office: Office) -> None:
    alpha = office.account("Alpha Werke AG", "a@alpha.example")
    office.stripe.add("cus_two", "Agentur", "c@agentur.example")
    plan = office.planned()
    office.approve(plan, chosen("cus_two", alpha))
    now = office.clock.now()
    transaction = begin(WORKER, now)
    ACCOUNTS.update(transaction, ACCOUNTS.require(office.table, alpha).revised(now, active=False))
    office.table.commit(transaction)
    (done,) = office.all_adopted(plan)
    assert (done.state, "not active any more" in done.result) == (S.CHANGED, True)
    assert [payer for payer, _ in office.stripe.written] == ["cus_one"]


def test_what_was_adopted_stays_whoever_chooses_it_again(office: Office) -> None:
    office.stripe.add("cus_two", "", "c@nordlicht.example")
    plan = office.planned()
    adopted(office, plan)
    done = office.candidate(plan, "cus_two")
    assert done.state is S.ADOPTED
    office.approve(plan, chosen("cus_two"))
    office.approve(plan, certain=True)
    assert office.candidate(plan, "cus_two") == done


def test_one_that_was_linked_before_is_given_to_nobody_else(office: Office) -> None:
    alpha = office.account("Alpha Werke AG", "a@alpha.example")
    plan = office.planned()
    for choice in (chosen("cus_one", alpha), chosen("cus_one", create=True)):
        with pytest.raises(Invalid, match="belongs to"):
            office.approve(plan, choice)
