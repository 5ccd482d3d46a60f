"""STR-2, whole: every life of a subscription, with its events in every order and repeated, ends where Stripe's current
objects, the clock and the policy say.

A life is a walk through a model of Stripe's subscription: nine states (its eight statuses, and running with an
announced end), every move between them that Stripe makes, and a subscription of another id after one that ended, which
is how A → B → A comes about. Every walk of up to five states is taken: `LIVES` says how many there are.

What is exhaustive. Up to four states every life goes through the real convergence on the table in memory, its events
in every permutation, each order once as it is, once with every event twice in a row, and once whole a second time, all
of them in one second; and up to three states also with events of different seconds. What is compared there is the
whole profile, the log and the number of notes. Every life of five states goes through the convergence too, in six
orders as they are and, last to first, with the repeats; all 120 orders of each, 31,680 in all, take about two minutes
of CPU and are run by `make proof`:

    REVOPS_EVERY_ORDER=1 python -m pytest tests/property/test_subscription_lives.py

An event arrives once its state was reached, so that a late one finds Stripe further on than it says. The order of the
facts among themselves is not varied here but in `test_membership`.

What must come out is computed by a table of its own (`_expected`), not by the policy under test.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from revops.billing import MembershipPolicy
from revops.billing.model import BillingFacts, MembershipStatus, SubscriptionFact
from revops.billing.store import CUSTOMER, customer_of_payer
from revops.settings import SETTINGS, SettingsRecord
from revops.table import begin
from tests.builders.billing import PAYER, START, BillingBench, event_body, invoice, subscription

pytestmark = [pytest.mark.mission("STR-2"), pytest.mark.fault("R1", "R2")]

GRACE = 14
ENDS = START + timedelta(days=25)
"""When a subscription with an announced end ends."""

_MOVES: dict[str, tuple[str, ...]] = {
    "": ("incomplete", "trialing", "active"),
    "incomplete": ("active", "incomplete_expired"),
    "trialing": ("active", "past_due", "paused", "ending", "canceled"),
    "active": ("past_due", "ending", "canceled"),
    "ending": ("active", "past_due", "canceled"),
    "past_due": ("active", "unpaid", "canceled"),
    "unpaid": ("active", "canceled"),
    "paused": ("active", "canceled"),
    "canceled": ("incomplete", "trialing", "active"),
    "incomplete_expired": ("incomplete", "trialing", "active"),
}
"""What can follow a state; after an end, the first state of another subscription."""
_OVER = frozenset({"canceled", "incomplete_expired"})


@dataclass(frozen=True, slots=True)
class Step:
    """A state that a life reaches: of which subscription, and what Stripe holds from then on."""

    state: str
    subscription_id: str
    facts: BillingFacts


def lives(length: int) -> Iterator[tuple[str, ...]]:
    """Every walk of so many states."""

    def onwards(walk: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if len(walk) == length:
            yield walk
            return
        for state in _MOVES[walk[-1] if walk else ""]:
            yield from onwards((*walk, state))

    return onwards(())


LIVES = {length: tuple(lives(length)) for length in range(1, 6)}


def _held(state: str, identifier: str) -> SubscriptionFact:
    status = "active" if state == "ending" else state
    ended = START + timedelta(days=3) if state in _OVER else None
    announced = ENDS if state == "ending" else None
    return subscription(status, identifier, cancel_at=announced, ended_at=ended)


def _steps(life: Sequence[str]) -> list[Step]:
    """The life as Stripe has it, state by state. A failing one owes its invoice; an ended one owes nothing."""
    steps: list[Step] = []
    past: tuple[SubscriptionFact, ...] = ()
    number = 1
    for place, state in enumerate(life):
        if place and life[place - 1] in _OVER:
            past, number = (*past, _held(life[place - 1], f"sub_{number}")), number + 1
        identifier = f"sub_{number}"
        owed = state in ("past_due", "unpaid")
        unpaid = (invoice(f"in_{number}", subscription_id=identifier),) if owed else ()
        facts = BillingFacts(PAYER, currency="EUR", subscriptions=(*past, _held(state, identifier)), unpaid=unpaid)
        steps.append(Step(state, identifier, facts))
    return steps


def _expected(state: str, now: datetime, grace: int) -> MembershipStatus:
    """What a customer is whose life stands at a state, at a time: the list of STR-2, written down once more."""
    failing_for = (now - START).days
    return {
        "incomplete": MembershipStatus.INACTIVE,
        "incomplete_expired": MembershipStatus.INACTIVE,
        "canceled": MembershipStatus.INACTIVE,
        "trialing": MembershipStatus.ACTIVE,
        "active": MembershipStatus.ACTIVE,
        "ending": MembershipStatus.ACTIVE if now < ENDS else MembershipStatus.INACTIVE,
        "past_due": MembershipStatus.PAST_DUE if failing_for < grace else MembershipStatus.SUSPENDED,
        "unpaid": MembershipStatus.SUSPENDED,
        "paused": MembershipStatus.SUSPENDED,
    }[state]


class Course:
    """One customer whose life is told by events in some order."""

    def __init__(self, life: Sequence[str], *, tie: bool, grace: int = 0) -> None:
        self.steps = _steps(life)
        self.bench = BillingBench()
        self._tie = tie
        if grace:
            _apply(self.bench, grace)

    def tell(self, order: Sequence[int], *, copies: int = 1, whole: int = 1) -> "Course":
        """Delivers the events; each finds Stripe at least as far as the furthest that was told."""
        reached = 0
        for _ in range(whole):
            for place in order:
                reached = max(reached, place)
                self.bench.stripe.truth[PAYER] = self.steps[reached].facts
                for copy in range(copies):
                    self.bench.work(self._event(place, copy))
        return self

    def _event(self, place: int, copy: int) -> str:
        step = self.steps[place]
        at = START if self._tie else START + timedelta(seconds=place)
        if step.state == "past_due":  # what tells of it is the invoice that could not be paid
            owed = {"id": step.facts.unpaid[0].id, "object": "invoice", "customer": PAYER, "place": place}
            return event_body(f"evt_{place}_{copy % 2}", "invoice.payment_failed", owed, at)
        held = {"id": step.subscription_id, "object": "subscription", "customer": PAYER, "status": step.state}
        kind = "created" if place == 0 or self.steps[place - 1].subscription_id != step.subscription_id else "updated"
        kind = "deleted" if step.state == "canceled" else kind
        return event_body(f"evt_{place}_{copy % 2}", f"customer.subscription.{kind}", held | {"place": place}, at)

    def status(self) -> MembershipStatus:
        holder = customer_of_payer(self.bench.table, PAYER)
        return CUSTOMER.require(self.bench.table, holder or "").membership_status

    def later(self, moment: datetime) -> MembershipStatus:
        """The status once the clock has moved and the sweep has come by."""
        self.bench.clock.moment = moment
        self.bench.converge.converge(customer_of_payer(self.bench.table, PAYER) or "", self.bench.call)
        return self.status()


def _apply(bench: BillingBench, grace: int) -> None:
    now = bench.clock.now()
    content = MembershipPolicy(grace_days=grace).model_dump(mode="json")
    transaction = begin(bench.call, now)
    SETTINGS.create(transaction, SettingsRecord(id="membership", created_at=now, modified_at=now, content=content))
    bench.table.commit(transaction)


def test_the_model_knows_every_state_of_stripes_and_comes_back() -> None:
    assert {state for life in LIVES[5] for state in life} == set(_MOVES) - {""}
    assert {length: len(found) for length, found in LIVES.items()} == {1: 3, 2: 10, 3: 29, 4: 88, 5: 264}
    back = [life for life in LIVES[3] if life[0] == life[2] != life[1]]
    assert len(back) > 3, "A → B → A is among them"


_TELLINGS: tuple[Callable[[Course, Sequence[int]], Course], ...] = (
    lambda course, order: course.tell(order),
    lambda course, order: course.tell(order, copies=2),
    lambda course, order: course.tell(order, whole=2),
)


@pytest.mark.parametrize(
    ("length", "tie"), [*((length, True) for length in range(1, 5)), *((length, False) for length in range(1, 4))]
)
def test_every_order_and_repeat_of_every_life(length: int, tie: bool) -> None:
    for life in LIVES[length]:
        ends = set()
        for order in permutations(range(length)):
            for tell in _TELLINGS:
                course = tell(Course(life, tie=tie), order)
                ends.add((course.status(), _known(course)))
        (end,) = ends
        assert end[0] is _expected(life[-1], START + timedelta(days=10), 0), life


_SOME = {(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1), (1, 0, 3, 2, 4), (3, 4, 0, 1, 2), (4, 0, 1, 2, 3)}
"""Orders of five that differ in where the last state is told, and in what is told after it."""


def _known(course: Course) -> str:
    """All that is known of the customer in the end but ids and versions of ours and times of contact."""
    profile = course.bench.profile()
    ours = {"id", "version", "created_at", "modified_at", "last_contact_at"}
    told = sorted(f"{entry.type} {entry.details} {entry.metadata.event_type}" for entry in profile.activity)
    return f"{profile.customer.model_dump(exclude=ours)} {told} {len(profile.notes)}"


def test_every_life_of_five_states_in_its_orders() -> None:
    """With REVOPS_EVERY_ORDER set, all of them."""
    every = list(permutations(range(5)))
    orders = every if os.environ.get("REVOPS_EVERY_ORDER") else [each for each in every if each in _SOME]
    for life in LIVES[5]:
        wanted = _expected(life[-1], START + timedelta(days=10), 0)
        assert {Course(life, tie=True).tell(order).status() for order in orders} == {wanted}, life
        for tell in _TELLINGS[1:]:
            assert tell(Course(life, tie=False), range(4, -1, -1)).status() is wanted, life


@pytest.mark.parametrize("grace", [0, GRACE])
def test_the_clock_and_the_policy_take_every_life_further(grace: int) -> None:
    moments = [START + timedelta(days=days) for days in (10, 13, 14, 24, 25, 40)]
    for length in range(1, 5):
        for life in LIVES[length]:
            course = Course(life, tie=True, grace=grace).tell(range(length - 1, -1, -1))
            for moment in moments:
                assert course.later(moment) is _expected(life[-1], moment, grace), (life, moment)


def test_two_subscriptions_at_once_are_as_bad_as_the_worse() -> None:
    """Every pair of states side by side, their events in either order."""
    single = [state for state in _MOVES if state]
    now = START + timedelta(days=10)
    for one in single:
        for other in single:
            first, second = _steps([one])[0], _steps([other])[0]
            moved = tuple(replace(each, id="sub_2") for each in second.facts.subscriptions)
            owed = tuple(replace(each, id="in_2", subscription_id="sub_2") for each in second.facts.unpaid)
            both = replace(
                first.facts,
                subscriptions=(*first.facts.subscriptions, *moved),
                unpaid=(*first.facts.unpaid, *owed),
            )
            ends = set()
            for order in (("sub_1", "sub_2"), ("sub_2", "sub_1")):
                bench = BillingBench()
                bench.stripe.truth[PAYER] = both
                for identifier in order:
                    held = {"id": identifier, "object": "subscription", "customer": PAYER}
                    bench.work(event_body(f"evt_{identifier}", "customer.subscription.updated", held))
                ends.add(bench.profile().customer.membership_status)
            assert ends == {_worse(one, other, now)}, (one, other)


def _worse(one: str, other: str, now: datetime) -> MembershipStatus:
    """The precedence of STR-2 for two: what failed weighs before what runs, and what runs before what never began."""
    states = {_expected(one, now, 0), _expected(other, now, 0)}
    if states == {MembershipStatus.SUSPENDED, MembershipStatus.ACTIVE} and "paused" in (one, other):
        return MembershipStatus.ACTIVE if not {"past_due", "unpaid"} & {one, other} else MembershipStatus.SUSPENDED
    for status in (MembershipStatus.SUSPENDED, MembershipStatus.ACTIVE):
        if status in states:
            return status
    return MembershipStatus.INACTIVE
