"""The caps of an order come into force, and an event told again brings none of an older order back (USE-3)."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from revops.adapters.order_caps import ApplyOrderCaps
from revops.bus.consume import ConsumeEvent
from revops.bus.reactions import order_reactions
from revops.catalogue import SOURCE
from revops.kernel import CapReached, Money, Refused, VersionConflict, system_call
from revops.orders.model import ESignMethod, OrderForm, OrderKind, OrderStatus, OrderTerms, Signature
from revops.orders.store import ORDERS
from revops.sales.events import events
from revops.sales.model import Renewal, RenewalStatus, SaleKind, SalesOrder
from revops.sales.store import RENEWALS, SALES_ORDERS, renewal_id, renewals_of, sales_order_id
from revops.settings import SettingsReader
from revops.table import Transaction, begin
from revops.usage import Meter, RecordUsage, SetCapPlan, UsageEvent
from revops.usage.store import PLANS, plan_id
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable
from tests.builders.orders import submission
from tests.builders.sales import OWNER, REP, SalesBench, executed, subscription

CALL = system_call("tests")
ACCOUNT = "ACC_7ZK3M0Q8W2XR5T9VB1N4C6D8EF"


def _terms(usage: Sequence[Mapping[str, object]], **more: object) -> OrderTerms:
    said = submission(usage=usage).model_dump()
    agreed = {name: said[name] for name in OrderTerms.model_fields if name in said}
    return OrderTerms.model_validate(agreed | {"list_price": 5900, "renewal_date": "2027-11-20"} | more)


def _nobody() -> Any:
    raise AssertionError("nobody asks for it")


class Desk:
    """Active orders of one account, each signed a day after the one before."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.apply = ApplyOrderCaps(self.table, self.clock, SetCapPlan(self.table, self.clock))
        self.heard = 0
        self.record = RecordUsage(self.table, self.clock, SettingsReader(self.table))

    def order(
        self,
        number: int,
        included: int | None,
        status: OrderStatus = OrderStatus.ACTIVE,
        amends: str = "",
        **more: object,
    ) -> str:
        signed = self.clock.now() + timedelta(days=number)
        line: dict[str, object] = {"meter": "Pooled", "monthly_cap": included, "overage_price": "0.015"}
        order = OrderForm(
            id=f"ORD_{number}",
            created_at=signed,
            modified_at=signed,
            status=status,
            status_since=signed,
            account_id=ACCOUNT,
            opportunity_id="OPP_1",
            opened_opportunity=True,
            owner_id="rep",
            terms=_terms([] if included is None else [line], **more),
            kind=OrderKind.AMENDMENT if amends else OrderKind.NEW,
            amends=amends,
            signature=Signature(
                signatory_name="Anna",
                signed_on=signed.date(),
                document="signed/form.pdf",
                sha256="0" * 64,
                size=9,
                method=ESignMethod.MANUAL,
                recorded_by="rep",
                recorded_at=signed,
            ),
        )
        transaction = begin(CALL, signed)
        ORDERS.create(transaction, order)
        self.table.commit(transaction)
        return order.id

    def sold(self, order_id: str) -> str:
        """The sales order of a form, and the term it began, which runs."""
        now, begins, ends = self.clock.now(), date(2026, 11, 20), date(2027, 11, 20)
        common = {"created_at": now, "modified_at": now, "account_id": ACCOUNT, "owner_id": "rep", "currency": "EUR"}
        sale, term = sales_order_id(order_id), renewal_id(order_id, begins)
        said = {"plan": "Custom", "starts_on": begins, "ends_on": ends, "order_id": order_id} | common
        transaction = begin(CALL, now)
        order = {"number": "SO-2026-000001", "kind": SaleKind.NEW, "opportunity_id": "OPP_1", "items": (), "total": 1}
        SALES_ORDERS.create(transaction, SalesOrder.model_validate({"id": sale, "term_id": term, **order, **said}))
        running = {"sales_order_id": sale, "amount": 1, "term_months": 12, "auto_renewal": False}
        RENEWALS.create(transaction, Renewal.model_validate({"id": term, **running, **said}))
        self.table.commit(transaction)
        return term

    def became(self, term_id: str, status: RenewalStatus, **more: object) -> None:
        """What Stripe or a renewal made of a term, a day later."""
        self.clock.advance(days=1)
        transaction = begin(CALL, self.clock.now())
        term = RENEWALS.require(self.table, term_id)
        over = status in (RenewalStatus.CANCELLED, RenewalStatus.LAPSED)
        said = {"status": status, "ended_at": self.clock.now() if over else None, **more}
        RENEWALS.update(transaction, term.revised(self.clock.now(), **said))
        self.table.commit(transaction)

    def hear(self) -> list[str]:
        """What changes of terms say reaches whoever puts caps in force; the names of the events since it was asked."""
        changes, self.heard = self.table.changes[self.heard :], len(self.table.changes)
        said = [each for change in changes for each in events(change) if change.kind == RENEWALS.kind]
        consume = ConsumeEvent(order_reactions(_nobody, _nobody, lambda: self.apply))
        for each in said:
            consume({"source": SOURCE, "detail-type": each.name, "detail": {"id": each.id, "data": each.data}})
        return [each.name for each in said]

    def use(self, name: str, quantity: int) -> Money | None:
        """What the spend cap leaves after it."""
        event = UsageEvent(id=name, account_id=ACCOUNT, meter=Meter.API_CALLS, quantity=quantity)
        return self.record(event, CALL).remaining.spend

    def included(self) -> int | None:
        """None without a line."""
        plan = PLANS.require(self.table, plan_id(ACCOUNT))
        return plan.terms.allowances[0].included if plan.terms.allowances else None


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("USE-3")
@pytest.mark.fault("R16")
def test_an_older_order_told_again_changes_nothing(desk: Desk) -> None:
    first, second = desk.order(1, 100), desk.order(2, 5000)
    desk.apply(first, CALL)
    desk.apply(second, CALL)
    assert desk.included() == 5000
    desk.apply(first, CALL)
    assert desk.included() == 5000


@pytest.mark.mission("USE-3")
def test_an_order_that_is_not_active_puts_nothing_in_force(desk: Desk) -> None:
    assert desk.apply(desk.order(1, 100, OrderStatus.CANCELLED), CALL) is None


@pytest.mark.mission("USE-3", "ORD-5")
@pytest.mark.fault("R16")
def test_an_amendment_without_usage_lines_ends_what_its_contract_limited(desk: Desk) -> None:
    first = desk.order(1, 100)
    desk.apply(first, CALL)
    dropped = desk.order(2, None, amends=first)
    desk.apply(dropped, CALL)
    assert desk.included() is None
    count = len(desk.table.changes)
    desk.apply(dropped, CALL)
    desk.apply(first, CALL)  # told again
    assert (desk.included(), len(desk.table.changes)) == (None, count)
    desk.apply(desk.order(3, 700, amends=dropped), CALL)
    assert desk.included() == 700


@pytest.mark.mission("USE-3", "ORD-5")
def test_what_one_contract_drops_ends_nothing_of_another(desk: Desk) -> None:
    first, second = desk.order(1, 100), desk.order(2, 5000)
    desk.apply(first, CALL)
    desk.apply(second, CALL)
    desk.apply(desk.order(3, None, amends=first), CALL)
    assert desk.included() == 5000
    desk.apply(desk.order(4, 900, amends=second), CALL)
    assert desk.included() == 900
    desk.apply(desk.order(5, None, amends=second), CALL)
    assert desk.included() is None


@pytest.mark.mission("USE-3", "ORD-5")
def test_what_another_contract_agreed_before_limits_again(desk: Desk) -> None:
    first, second = desk.order(1, 100), desk.order(2, 5000)
    desk.apply(second, CALL)
    desk.apply(first, CALL)  # told late
    assert desk.included() == 5000
    desk.apply(desk.order(3, None, amends=second), CALL)
    assert desk.included() == 100


@pytest.mark.mission("USE-3", "ORD-5")
@pytest.mark.fault("R16")
@pytest.mark.parametrize("ended", [RenewalStatus.CANCELLED, RenewalStatus.LAPSED])
def test_the_end_of_a_subscription_ends_what_its_contract_limited(desk: Desk, ended: RenewalStatus) -> None:
    """Neither the order told again nor a change that was agreed for a later day brings it back."""
    first = desk.order(1, 100)
    desk.apply(first, CALL)
    term = desk.sold(first)
    desk.became(term, RenewalStatus.OPEN)
    assert desk.apply.after_term(term, CALL) is None
    assert desk.included() == 100
    desk.became(term, ended)
    desk.apply.after_term(term, CALL)
    assert desk.included() is None
    desk.apply(first, CALL)
    desk.apply(desk.order(30, 700, amends=first), CALL)
    assert desk.included() is None


@pytest.mark.mission("USE-3", "ORD-5")
def test_a_change_that_never_came_into_service_keeps_no_caps_beyond_the_end(desk: Desk) -> None:
    """The term is by then that of the amendment, whose activation waits for a document."""
    first = desk.order(1, 100)
    desk.apply(first, CALL)
    term = desk.sold(first)
    blocked = desk.order(2, 700, OrderStatus.BLOCKED, amends=first)
    desk.became(term, RenewalStatus.CANCELLED, order_id=blocked)
    desk.apply.after_term(term, CALL)
    assert desk.included() is None


@pytest.mark.mission("USE-3", "ORD-5")
def test_a_term_that_another_follows_goes_on_and_one_contract_ends_alone(desk: Desk) -> None:
    first, second = desk.order(1, 100), desk.order(2, 5000)
    for order in (first, second):
        desk.apply(order, CALL)
    term, other = desk.sold(first), desk.sold(second)
    desk.became(term, RenewalStatus.RENEWED)
    desk.apply.after_term(term, CALL)
    assert desk.included() == 5000
    desk.became(other, RenewalStatus.CANCELLED)
    desk.apply.after_term(other, CALL)
    assert desk.included() == 100


@pytest.mark.mission("USE-3", "ORD-9")
@pytest.mark.parametrize("said", [RenewalStatus.CANCELLED, RenewalStatus.LAPSED, RenewalStatus.RENEWED])
def test_what_a_person_says_of_a_renewal_ends_nothing_before_the_subscription_does(
    desk: Desk, said: RenewalStatus
) -> None:
    """Nothing is done at Stripe by it: what was agreed is used and billed until Stripe says that it ended."""
    first = desk.order(1, 100)
    desk.apply(first, CALL)
    bench = SalesBench(desk.table, desk.clock)
    bench.desk.owners[ACCOUNT] = OWNER
    bench.orders.known[first] = executed(first, account_id=ACCOUNT)
    bench.sell(first, CALL)
    (term,) = renewals_of(desk.table, ACCOUNT)
    bench.decide(term.id, said, term.version, "", "", REP)
    bench.mirrored(subscriptions=(subscription(),))
    desk.hear()
    assert desk.included() == 100
    gone = subscription(ended_at=desk.clock.now())
    for _ in range(2):
        bench.mirrored(subscriptions=(gone,))
    assert desk.hear() == ["RenewalDecided"], "told once"
    assert desk.included() is None
    (ended,) = renewals_of(desk.table, ACCOUNT)
    assert (ended.status, ended.ended_by, ended.history[-1].what) == (said, OWNER, "ended")


def test_orders_that_say_nothing_about_usage_make_no_plan_and_touch_none(desk: Desk) -> None:
    silent = desk.order(1, None)
    assert desk.apply(silent, CALL) is None
    desk.apply(desk.order(2, 100), CALL)
    desk.apply(desk.order(3, None, amends=silent), CALL)
    assert desk.included() == 100


@pytest.mark.mission("USE-3", "ORD-5")
@pytest.mark.parametrize("starts_on", ["2026-11-20", "2027-01-15"])
def test_an_amendment_goes_on_with_the_year_of_its_contracts_spend_cap(desk: Desk, starts_on: str) -> None:
    """Money was spent in that year: the cap is another one, and what was spent stays spent."""
    annual: dict[str, Any] = {"spend_cap": {"minor": 1_000, "period": "Annual"}}
    first = desk.order(1, 100, **annual)
    desk.apply(first, CALL)
    assert desk.use("over", 300) == Money(minor=700, currency="EUR")
    amended = desk.order(2, 500, amends=first, start_date=starts_on, spend_cap={"minor": 4_000, "period": "Annual"})
    desk.apply(amended, CALL)
    assert desk.included() == 500
    assert desk.use("after", 200) == Money(minor=3_700, currency="EUR")


@pytest.mark.mission("USE-3", "ORD-5")
def test_a_contract_after_one_that_ended_begins_a_year_of_its_own(desk: Desk) -> None:
    """What was spent under the contract that ended holds no new one up, and is not counted against it."""
    first = desk.order(1, 100, spend_cap={"minor": 1_000, "period": "Annual"})
    desk.apply(first, CALL)
    term = desk.sold(first)
    desk.use("over", 300)
    desk.became(term, RenewalStatus.CANCELLED)
    desk.apply.after_term(term, CALL)
    later: dict[str, Any] = {"start_date": "2026-12-01", "spend_cap": {"minor": 500, "period": "Annual"}}
    desk.clock.advance(days=12)
    desk.apply(desk.order(2, 0, **later), CALL)
    assert desk.included() == 0
    assert desk.use("anew", 100) == Money(minor=350, currency="EUR")


@pytest.mark.mission("USE-3", "ORD-5")
def test_a_contract_that_ends_gives_way_to_one_whose_spend_cap_counts_by_the_month(desk: Desk) -> None:
    first = desk.order(1, 5000)
    latest = desk.order(2, 100, spend_cap={"minor": 1_000, "period": "Annual"})
    for order in (first, latest):
        desk.apply(order, CALL)
    desk.use("over", 300)
    term = desk.sold(latest)
    desk.became(term, RenewalStatus.LAPSED)
    desk.apply.after_term(term, CALL)
    assert desk.included() == 5000
    assert desk.use("on", 4_800) == Money(minor=499_850, currency="EUR")


@pytest.mark.mission("USE-3", "ORD-5")
def test_a_year_that_another_contract_interrupted_goes_on_under_the_cap_that_is_agreed_then(desk: Desk) -> None:
    first = desk.order(1, 100, spend_cap={"minor": 1_000, "period": "Annual"})
    desk.apply(first, CALL)
    desk.use("over", 300)
    dropped = desk.order(2, None, amends=first)
    desk.apply(dropped, CALL)
    desk.apply(desk.order(3, 5000), CALL)
    assert desk.included() == 5000
    desk.apply(desk.order(4, 0, amends=dropped, spend_cap={"minor": 400, "period": "Annual"}), CALL)
    assert desk.use("more", 60) == Money(minor=10, currency="EUR")
    with pytest.raises(CapReached):
        desk.use("too much", 60)


@pytest.mark.mission("USE-3", "ORD-5")
def test_another_currency_waits_for_the_month_in_which_money_was_spent_to_end(desk: Desk) -> None:
    first = desk.order(1, 100)
    desk.apply(first, CALL)
    term = desk.sold(first)
    desk.use("over", 300)
    desk.became(term, RenewalStatus.CANCELLED)
    desk.apply.after_term(term, CALL)
    second = desk.order(2, 100, currency="GBP")
    with pytest.raises(Refused):
        desk.apply(second, CALL)
    desk.clock.advance(days=12)
    desk.apply(second, CALL)
    assert desk.included() == 100


@pytest.mark.fault("R19")
def test_two_contracts_that_change_at_once_both_count(desk: Desk) -> None:
    first, second = desk.order(1, 100), desk.order(2, 5000)
    desk.apply(first, CALL)
    desk.apply(second, CALL)
    dropped, changed = desk.order(4, None, amends=second), desk.order(3, 250, amends=first)

    def meanwhile(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.apply(changed, CALL)

    desk.table.before_commit = meanwhile
    with pytest.raises(VersionConflict):
        desk.apply(dropped, CALL)
    desk.apply(dropped, CALL)
    assert desk.included() == 250
