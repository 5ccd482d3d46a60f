"""Sales orders: one per executed order form, numbered without a gap, exact to the minor unit (ORD-9)."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from revops.kernel import NotFound
from revops.sales.model import RenewalStatus, SaleKind
from revops.sales.store import RENEWALS, SALES_ORDERS, mirror_key, renewals_of, sales_order_id
from revops.table import Transaction
from tests.builders.memory_table import Overtaken
from tests.builders.sales import ACCOUNT, OTHER, OWNER, PAYER, REP, WORKER, SalesBench, executed

pytestmark = pytest.mark.mission("ORD-9")


def test_an_order_form_becomes_a_sales_order_once() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed()
    made = bench.sell("ORD_ONE", WORKER)
    assert made is not None
    assert (made.number, made.owner_id, made.currency) == ("SO-2026-000001", OWNER, "EUR")
    seats, usage = made.items
    assert (seats.quantity, seats.unit_price, seats.months, seats.amount) == (25, Decimal(5605), 12, 25 * 5605 * 12)
    assert (usage.quantity, usage.unit_price, usage.amount) == (10_000, Decimal("1.5"), 0)
    assert made.total == seats.amount
    assert bench.sell("ORD_ONE", WORKER) == made
    assert bench.read.sales_order(made.id, REP) == made
    with pytest.raises(NotFound):
        bench.read.sales_order(made.id, OTHER)


def test_an_order_form_without_its_subscription_has_none() -> None:
    bench = SalesBench()
    assert bench.sell("ORD_ONE", WORKER) is None
    assert not bench.memory.rows


def test_amounts_are_rounded_once_a_line_and_half_up() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed(seats=1, seat_price=Decimal("33.375"), term_months=4, usage=())
    bench.orders.known["ORD_TWO"] = executed("ORD_TWO", seats=3, seat_price=Decimal("0.0004"), term_months=5, usage=())
    one, two = bench.sell("ORD_ONE", WORKER), bench.sell("ORD_TWO", WORKER)
    assert one is not None
    assert two is not None
    assert (one.total, two.total) == (134, 0)  # 133.5 up; 0.006 down


@pytest.mark.fault("R4", "R19")
def test_numbers_have_no_gap_and_no_repeat_whoever_races() -> None:
    """Another order takes the number between this one's look and its commit, each time."""
    bench = SalesBench()
    names = [f"ORD_{letter}" for letter in "ABCDEFG"]
    bench.orders.known.update({name: executed(name, subscription_id=f"sub_{name}") for name in names})
    waiting = names[1:]

    def step_in(_: Transaction) -> None:
        if waiting:
            bench.sell(waiting.pop(), WORKER)

    bench.memory.before_commit = step_in
    bench.sell(names[0], WORKER)
    numbers = sorted(made.number for name in names if (made := bench.sell(name, WORKER)))
    assert numbers == [f"SO-2026-{number:06d}" for number in range(1, 8)]
    bench.manual.moment = datetime(2027, 1, 1, tzinfo=UTC)
    bench.orders.known["ORD_NEXT"] = executed("ORD_NEXT")
    following = bench.sell("ORD_NEXT", WORKER)
    assert following is not None
    assert following.number == "SO-2027-000001"


@pytest.mark.fault("R1", "R19")
@pytest.mark.parametrize("kind", [SaleKind.RENEWAL, SaleKind.AMENDMENT])
def test_two_who_make_the_same_one_at_once_make_one(kind: SaleKind) -> None:
    """The other is done between the look for the sales order and the look at the running term."""
    table = Overtaken()
    bench = SalesBench(table)
    dates = {"starts_on": date(2027, 11, 1), "ends_on": date(2028, 11, 1)} if kind is SaleKind.RENEWAL else {}
    bench.orders.known["ORD_ONE"] = executed()
    bench.orders.known["ORD_TWO"] = executed("ORD_TWO", kind=kind, amends="ORD_ONE", **dates)
    bench.sell("ORD_ONE", WORKER)
    table.after = (SALES_ORDERS.key(sales_order_id("ORD_TWO")), lambda: bench.sell("ORD_TWO", WORKER))
    made = bench.sell("ORD_TWO", WORKER)
    assert table.after is None
    assert made is not None
    assert made.number == "SO-2026-000002"
    terms = renewals_of(table, ACCOUNT)
    assert sorted(len(term.history) for term in terms) == ([1, 2] if kind is SaleKind.RENEWAL else [2])


def test_an_amendment_refers_to_the_first_and_changes_the_running_term() -> None:
    bench = SalesBench()
    first_form = executed()
    amendment = executed("ORD_TWO", kind=SaleKind.AMENDMENT, amends="ORD_ONE", seats=40, ends_on=date(2027, 11, 1))
    another = executed("ORD_SIX", kind=SaleKind.AMENDMENT, amends="ORD_TWO", seats=50)
    bench.orders.known.update({one.id: one for one in (first_form, amendment, another)})
    second = bench.sell("ORD_TWO", WORKER)  # told out of turn: what it amends gets its sales order first
    first = bench.sell("ORD_ONE", WORKER)
    third = bench.sell("ORD_SIX", WORKER)
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.number, second.number, third.number) == ("SO-2026-000001", "SO-2026-000002", "SO-2026-000003")
    assert (second.refers_to, third.refers_to) == (first.id, first.id)
    (term,) = renewals_of(bench.table, ACCOUNT)
    assert (term.order_id, term.amount, term.sales_order_id) == ("ORD_SIX", third.total, third.id)
    assert [event.what for event in term.history] == ["begun", "amended", "amended"]


def test_a_renewal_ends_the_running_term_and_begins_the_next() -> None:
    bench = SalesBench()
    later = executed(
        "ORD_TWO", kind=SaleKind.RENEWAL, amends="ORD_ONE", starts_on=date(2027, 11, 1), ends_on=date(2028, 11, 1)
    )
    bench.orders.known.update({"ORD_ONE": executed(), "ORD_TWO": later})
    bench.sell("ORD_ONE", WORKER)
    bench.sell("ORD_TWO", WORKER)
    before, after = renewals_of(bench.table, ACCOUNT)
    assert (before.status, before.renewal_order_id, before.next_id) == (RenewalStatus.RENEWED, "ORD_TWO", after.id)
    assert (after.status, after.starts_on) == (RenewalStatus.OPEN, date(2027, 11, 1))
    assert before.look_at is None


def test_the_payer_is_put_on_the_list_to_be_mirrored_at_once() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed()
    bench.sell("ORD_ONE", WORKER)
    assert bench.table.get(mirror_key(PAYER)) is not None
    assert bench.hand_over.payers(WORKER) == 1
    assert bench.queue.sent == [{"entity_id": PAYER, "kind": "SALES_MIRROR"}]
    assert bench.hand_over.payers(WORKER) == 0, "it moved on in the due index"
    bench.manual.advance(hours=2)
    assert bench.hand_over.payers(WORKER) == 1, "nobody mirrored it"


def test_a_lost_commit_leaves_nothing_half_done() -> None:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed()

    def dies(_: Transaction) -> None:
        raise RuntimeError("killed")

    bench.memory.before_commit = dies
    with pytest.raises(RuntimeError):
        bench.sell("ORD_ONE", WORKER)
    assert not bench.memory.rows
    bench.memory.before_commit = lambda _: None
    made = bench.sell("ORD_ONE", WORKER)
    assert made is not None
    assert made.number == "SO-2026-000001"
    assert RENEWALS.get(bench.table, made.term_id) is not None


def test_lists_are_paged_and_keep_to_their_caller() -> None:
    bench = SalesBench()
    for number in range(5):
        form = replace(executed(f"ORD_{number}"), subscription_id=f"sub_{number}")
        bench.orders.known[form.id] = form
        bench.sell(form.id, WORKER)
        bench.manual.advance(seconds=1)
    page = bench.read.sales_orders(ACCOUNT, 2, "", REP)
    rest = bench.read.sales_orders(ACCOUNT, 5, page.next_cursor, REP)
    assert [one.number[-1] for one in (*page.records, *rest.records)] == ["5", "4", "3", "2", "1"]
    assert rest.next_cursor == ""
    with pytest.raises(NotFound):
        bench.read.sales_orders(ACCOUNT, 2, "", OTHER)
