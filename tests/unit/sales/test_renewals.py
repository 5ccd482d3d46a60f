"""Renewals: tasks before the end of a term, its outcome, and the term that follows (ORD-9)."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from revops.kernel import Forbidden, Invalid, NotFound, Refused, VersionConflict, add_months
from revops.sales.model import Renewal, RenewalStatus, SaleKind
from revops.sales.policies.renewing import RenewalRules
from revops.sales.store import RENEWALS, renewals_of
from tests.builders.sales import (
    ACCOUNT,
    ADMIN,
    FINANCE,
    MANAGER,
    OTHER,
    OWNER,
    REP,
    WORKER,
    SalesBench,
    executed,
    subscription,
)

pytestmark = pytest.mark.mission("ORD-9")
END = datetime(2027, 11, 1, tzinfo=UTC)


def _bench(**changes: Any) -> SalesBench:
    bench = SalesBench()
    bench.orders.known["ORD_ONE"] = executed(**changes)
    bench.sell("ORD_ONE", WORKER)
    return bench


def _terms(bench: SalesBench) -> list[Renewal]:
    return renewals_of(bench.table, ACCOUNT)


def _before_end(bench: SalesBench, days: int) -> int:
    bench.manual.moment = END - timedelta(days=days) + timedelta(hours=1)
    done = bench.watch("now")
    assert bench.watch("again") == 0, "a second look finds nothing to do"
    return done


def test_a_task_ninety_sixty_and_thirty_days_before_the_end() -> None:
    bench = _bench()
    name = _terms(bench)[0].id
    assert [_before_end(bench, days) for days in (200, 91, 90, 75, 60, 31, 30, 2)] == [0, 0, 1, 0, 1, 0, 1, 0]
    assert list(bench.tasks()) == [f"renewal:{name}:30", f"renewal:{name}:60", f"renewal:{name}:90"]
    (term,) = _terms(bench)
    assert term.reminded == (90, 60, 30)
    assert [event.what for event in term.history] == ["begun", "reminded", "reminded", "reminded"]


def test_who_comes_late_gets_the_latest_task_alone() -> None:
    bench = _bench()
    assert _before_end(bench, 45) == 1
    assert [origin.rpartition(":")[2] for origin in bench.tasks()] == ["60"]
    assert _before_end(bench, 30) == 1
    assert len(bench.tasks()) == 2


def test_a_term_that_is_cancelled_gets_no_task() -> None:
    bench = _bench()
    bench.mirrored(subscriptions=(subscription(cancels_at=END),))
    assert [_before_end(bench, days) for days in (90, 60, 30)] == [0, 0, 0]
    bench.mirrored(subscriptions=(subscription(),))
    bench.watch("withdrawn")
    assert len(bench.tasks()) == 1, "the cancellation was taken back: the reminder of now is given"


def test_a_term_that_is_cancelled_is_not_followed_by_another() -> None:
    bench = _bench()
    bench.mirrored(subscriptions=(subscription(cancels_at=END),))
    bench.manual.moment = END + timedelta(hours=1)
    assert bench.watch("end") == 0
    assert [one.status for one in _terms(bench)] == [RenewalStatus.OPEN], "until Stripe says that it ended"
    bench.mirrored(subscriptions=(subscription(cancels_at=END, ended_at=END),))
    assert [one.status for one in _terms(bench)] == [RenewalStatus.LAPSED]


def test_a_term_that_renews_by_itself_is_followed_by_the_next() -> None:
    bench = _bench()
    _before_end(bench, 30)
    bench.manual.moment = END + timedelta(minutes=5)
    assert bench.watch("end") == 1
    assert bench.watch("again") == 0
    before, after = _terms(bench)
    assert (before.status, before.ended_by, before.next_id) == (RenewalStatus.RENEWED, "auto-renewal", after.id)
    assert (after.starts_on, after.ends_on, after.status) == (END.date(), date(2028, 11, 1), RenewalStatus.OPEN)
    assert not bench.tasks(), "there is nothing to check any more"
    for years in range(1, 5):
        bench.manual.moment = datetime.combine(date(2027 + years, 11, 1), time(1), UTC)
        bench.watch("years")
    terms = _terms(bench)
    assert [(one.starts_on.year, one.ends_on.year) for one in terms] == [(year, year + 1) for year in range(2026, 2032)]
    assert [one.status for one in terms] == [RenewalStatus.RENEWED] * 5 + [RenewalStatus.OPEN]


def test_a_term_that_does_not_waits_and_ends_with_its_subscription() -> None:
    bench = _bench(auto_renewal=False)
    bench.manual.moment = END + timedelta(hours=1)
    assert bench.watch("end") == 0
    assert bench.watch("again") == 0
    assert _terms(bench)[0].status is RenewalStatus.OPEN
    bench.mirrored(subscriptions=(subscription(ended_at=END),))
    assert _terms(bench)[0].status is RenewalStatus.LAPSED


def test_an_announced_end_after_the_term_does_not_stop_its_renewal() -> None:
    bench = _bench()
    bench.mirrored(subscriptions=(subscription(cancels_at=END + timedelta(days=100)),))
    bench.manual.moment = END + timedelta(hours=1)
    bench.watch("end")
    assert [one.status for one in _terms(bench)] == [RenewalStatus.RENEWED, RenewalStatus.OPEN]


def test_a_person_says_how_it_ends() -> None:
    bench = _bench()
    _before_end(bench, 60)
    (term,) = _terms(bench)
    ended = bench.decide(term.id, RenewalStatus.LAPSED, term.version, "", "went elsewhere", REP)
    assert (ended.status, ended.ended_by, ended.history[-1].detail) == ("Lapsed", OWNER, "went elsewhere")
    assert not bench.tasks()
    with pytest.raises(VersionConflict):
        bench.decide(term.id, RenewalStatus.RENEWED, term.version, "", "", REP)
    with pytest.raises(Refused):
        bench.decide(term.id, RenewalStatus.RENEWED, ended.version, "", "", REP)
    assert _before_end(bench, 30) == 0


def test_renewed_needs_its_order_unless_it_renews_by_itself() -> None:
    bench = _bench(auto_renewal=False)
    (term,) = _terms(bench)
    bench.orders.known["ORD_TWO"] = executed("ORD_TWO", kind=SaleKind.RENEWAL, amends="ORD_ONE")
    bench.orders.known["ORD_BETA"] = executed("ORD_BETA", account_id="ACC_BETA")
    for order_id in ("", "ORD_NOBODY", "ORD_BETA", "ORD_ONE"):
        with pytest.raises(Invalid):
            bench.decide(term.id, RenewalStatus.RENEWED, term.version, order_id, "", REP)
    with pytest.raises(Invalid):
        bench.decide(term.id, RenewalStatus.LAPSED, term.version, "ORD_TWO", "", REP)
    with pytest.raises(Invalid):
        bench.decide(term.id, RenewalStatus.OPEN, term.version, "", "", REP)
    ended = bench.decide(term.id, RenewalStatus.RENEWED, term.version, "ORD_TWO", "", REP)
    assert ended.renewal_order_id == "ORD_TWO"
    bench.sell("ORD_TWO", WORKER)
    before, after = sorted(_terms(bench), key=lambda one: one.created_at)
    assert (before.next_id, before.ended_by) == (after.id, OWNER), "the order that was said before it was executed"


def test_a_form_for_the_next_term_is_suggested_and_nothing_is_stored() -> None:
    bench = _bench()
    (term,) = _terms(bench)
    rows = dict(bench.memory.rows)
    assert bench.renewal.suggestion(bench.renewal(term.id, REP)) == {
        "amends": "ORD_ONE",
        "start_date": "2027-11-01",
        "term_months": 12,
    }
    assert bench.memory.rows == rows
    ended = bench.decide(term.id, RenewalStatus.CANCELLED, term.version, "", "", REP)
    assert bench.renewal.suggestion(ended) == {}


def test_a_term_that_was_renewed_early_needs_no_more_looking_at() -> None:
    bench = _bench(auto_renewal=False)
    _before_end(bench, 60)
    assert len(bench.tasks()) == 1
    bench.orders.known["ORD_TWO"] = executed(
        "ORD_TWO", kind=SaleKind.RENEWAL, amends="ORD_ONE", starts_on=END.date(), ends_on=date(2028, 11, 1)
    )
    bench.sell("ORD_TWO", WORKER)
    assert not bench.tasks()
    assert [one.status for one in _terms(bench)] == [RenewalStatus.RENEWED, RenewalStatus.OPEN]


def _moved_to(bench: SalesBench, order_id: str, ends_on: date) -> None:
    amended = executed(order_id, kind=SaleKind.AMENDMENT, amends="ORD_ONE", ends_on=ends_on)
    bench.orders.known[order_id] = amended
    bench.sell(order_id, WORKER)
    assert not bench.tasks(), "those of the end that was"


@pytest.mark.parametrize("back", [False, True])
def test_an_end_that_is_moved_gets_tasks_of_its_own(back: bool) -> None:
    bench = _bench()
    name, later = _terms(bench)[0].id, date(2028, 11, 1)
    assert _before_end(bench, 60) == 1
    _moved_to(bench, "ORD_TWO", later)
    assert bench.watch("more than a year before") == 0
    if back:
        _moved_to(bench, "ORD_THREE", END.date())
    else:
        bench.manual.moment = datetime.combine(later, time(1), UTC) - timedelta(days=60)
    assert bench.watch("60 days before") == 1
    assert list(bench.tasks()) == [f"renewal:{name}:60:{2 if back else 1}"]


def test_an_amendment_that_leaves_the_end_leaves_its_tasks() -> None:
    bench = _bench()
    _before_end(bench, 60)
    bench.orders.known["ORD_TWO"] = executed("ORD_TWO", kind=SaleKind.AMENDMENT, amends="ORD_ONE", seats=40)
    bench.sell("ORD_TWO", WORKER)
    assert len(bench.tasks()) == 1
    bench.decide(_terms(bench)[0].id, RenewalStatus.LAPSED, _terms(bench)[0].version, "", "", REP)
    assert not bench.tasks()


@pytest.mark.parametrize("said", [RenewalStatus.LAPSED, RenewalStatus.CANCELLED, RenewalStatus.RENEWED])
def test_a_term_that_an_amendment_began_after_all_ends_with_the_subscription(said: RenewalStatus) -> None:
    """Somebody had decided on the term that ran; what follows it is found from there."""
    bench = _bench()
    (term,) = _terms(bench)
    bench.decide(term.id, said, term.version, "", "", REP)
    bench.manual.moment += timedelta(days=10)
    bench.orders.known["ORD_TWO"] = executed("ORD_TWO", kind=SaleKind.AMENDMENT, amends="ORD_ONE", seats=40)
    bench.sell("ORD_TWO", WORKER)
    bench.mirrored(subscriptions=(subscription(ended_at=bench.manual.moment),))
    assert RenewalStatus.OPEN not in {one.status for one in _terms(bench)}
    bench.manual.moment = END + timedelta(days=1)
    assert bench.watch("end") == 0
    assert (RENEWALS.require(bench.table, term.id).status, len(_terms(bench))) == (said, 2)


@pytest.mark.fault("R25")
@pytest.mark.parametrize(
    ("starts_on", "months", "ends"),
    [
        (date(2027, 1, 31), 1, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        (date(2028, 2, 29), 12, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        (date(2026, 11, 30), 3, ["2027-02-28", "2027-05-30", "2027-08-30", "2027-11-30"]),
        (date(2026, 12, 1), 12, ["2027-12-01", "2028-12-01"]),
    ],
)
def test_terms_that_follow_by_themselves_end_on_the_day_of_the_contract(
    starts_on: date, months: int, ends: list[str]
) -> None:
    bench = _bench(starts_on=starts_on, ends_on=add_months(starts_on, months), term_months=months)
    for end in ends[:-1]:
        bench.manual.moment = datetime.combine(date.fromisoformat(end), time(1), UTC)
        bench.watch(end)
    assert [one.ends_on.isoformat() for one in _terms(bench)] == ends


@pytest.mark.fault("R25")
def test_an_end_that_was_agreed_otherwise_is_the_day_of_the_terms_that_follow() -> None:
    bench = _bench(starts_on=date(2027, 1, 31), ends_on=date(2027, 6, 15), term_months=1)
    for month in (6, 7):
        bench.manual.moment = datetime(2027, month, 15, 1, tzinfo=UTC)
        bench.watch(str(month))
    assert [one.ends_on.isoformat() for one in _terms(bench)] == ["2027-06-15", "2027-07-15", "2027-08-15"]


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
def test_lists_show_mine_my_teams_and_everybodys() -> None:
    bench = _bench()
    theirs = executed("ORD_BETA", account_id="ACC_BETA", subscription_id="sub_beta", ends_on=date(2027, 10, 20))
    bench.orders.known["ORD_BETA"] = theirs
    bench.sell("ORD_BETA", WORKER)
    bench.manual.moment = END - timedelta(days=100)

    def seen(scope: Any, call: Any, days: int = 0) -> list[str]:
        return [one.account_id for one in bench.read.renewals(scope, days, 10, "", call).records]

    assert (seen("mine", REP), seen("mine", OTHER), seen("mine", MANAGER)) == ([ACCOUNT], ["ACC_BETA"], [])
    assert (seen("team", MANAGER), seen("team", REP)) == ([ACCOUNT], [ACCOUNT])
    assert seen("all", FINANCE) == seen("all", ADMIN) == ["ACC_BETA", ACCOUNT]
    assert seen("mine", REP, 30) == [], "it ends in a hundred days"
    with pytest.raises(Forbidden):
        seen("all", REP)
    bench.desk.owners[ACCOUNT] = "USR_other"
    assert seen("mine", REP) == [], "the account is somebody else's now"
    (term,) = _terms(bench)
    with pytest.raises(NotFound):
        bench.renewal(term.id, REP)
    with pytest.raises(NotFound):
        bench.decide(term.id, RenewalStatus.LAPSED, term.version, "", "", REP)
    with pytest.raises(Forbidden):
        bench.decide(term.id, RenewalStatus.LAPSED, term.version, "", "", FINANCE)
    _before_end(bench, 90)
    assert seen("mine", OTHER) == ["ACC_BETA", ACCOUNT], "the look put it in the list of who owns the account"


def test_reminders_fall() -> None:
    for days in ((30, 60), (60, 60), (60, 30, 45)):
        with pytest.raises(ValidationError):
            RenewalRules(remind_days=days)
