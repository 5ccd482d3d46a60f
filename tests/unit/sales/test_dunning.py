"""Dunning: stages by days after due, a task and a notice each, ended by payment (ORD-9)."""

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from revops.access import PlaceUser, User
from revops.kernel import Role
from revops.payloads_sales import DunningStageReached
from revops.sales.entries import NewInvoice, NewPayment
from revops.sales.events import events
from revops.sales.model import DunningStage, Invoice, InvoiceStatus
from revops.sales.policies.dunning import DunningRule, DunningRules
from revops.sales.store import INVOICES
from revops.sales.telling import TellOfDunning
from tests.builders.sales import ACCOUNT, FINANCE, OWNER, START, WORKER, SalesBench, invoice, paid

pytestmark = pytest.mark.mission("ORD-9")


def _after_due(bench: SalesBench, days: int) -> None:
    bench.manual.moment = START + timedelta(days=30 + days, minutes=1)


def test_an_unpaid_invoice_goes_through_its_stages_and_stops_when_it_is_paid() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(),))
    name = bench.invoice("in_one").id
    seen = []
    for days in (0, 2, 3, 10, 14, 29, 30, 60):
        _after_due(bench, days)
        bench.dun(f"day {days}")
        bench.dun(f"day {days} again")
        seen.append(bench.invoice("in_one").stage)
    none, told, late, last = DunningStage
    assert seen == [none, none, told, told, late, late, last, last]
    assert list(bench.tasks()) == [f"dunning:{name}:Past Due", f"dunning:{name}:Suspension Warning"]
    assert bench.total().stage is last
    bench.mirrored(invoices=(paid(invoice()),))
    after = bench.invoice("in_one")
    assert (after.stage, after.dun_at, bench.total().stage) == (none, None, none)
    assert not bench.tasks()
    assert len(bench.tasks("withdrawn")) == 2
    _after_due(bench, 90)
    assert bench.dun("later") == 0


@pytest.mark.fault("R17")
def test_an_invoice_that_nothing_can_be_made_of_holds_no_other_up() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(), invoice(id="in_two")))
    bench.memory.spoil(INVOICES.key(bench.invoice("in_one").id))
    _after_due(bench, 3)
    assert bench.dun("day 3") == 1
    assert bench.invoice("in_two").stage.rank > 0


def test_mirroring_keeps_the_stage_and_who_comes_late_starts_at_the_stage_of_today() -> None:
    bench = SalesBench()
    _after_due(bench, 20)
    bench.mirrored(invoices=(invoice(),))
    assert bench.invoice("in_one").stage is DunningStage.NONE
    assert bench.dun("now") == 1
    assert bench.invoice("in_one").stage is DunningStage.PAST_DUE
    bench.mirrored(invoices=(invoice(hosted_url="https://invoice.example/new"),))
    assert bench.invoice("in_one").stage is DunningStage.PAST_DUE
    assert len(bench.tasks()) == 1


def test_a_stage_that_was_reached_stands_when_the_rules_are_eased() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(),))
    _after_due(bench, 14)
    bench.dun("now")
    eased = [rule.model_copy(update={"days_after_due": rule.days_after_due + 25}) for rule in DunningRules().stages]
    bench.rules(DunningRules(stages=tuple(eased)))
    for days, reached in ((30, 0), (40, 0), (55, 1)):
        _after_due(bench, days)
        assert bench.dun(f"day {days}") == reached
    assert bench.invoice("in_one").stage is DunningStage.SUSPENSION_WARNING
    said = [one.data["stage"] for change in bench.memory.changes for one in events(change) if "Dunning" in one.name]
    assert said == ["Past Due", "Suspension Warning"]


def test_one_charged_automatically_is_due_when_it_was_issued() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(due_at=None),))
    bench.manual.moment = START + timedelta(days=3, minutes=1)
    assert bench.dun("now") == 1


def test_what_is_not_owed_is_never_asked_for() -> None:
    bench = SalesBench()
    bench.mirrored(
        invoices=(
            invoice("in_void", status=InvoiceStatus.VOID),
            invoice("in_lost", status=InvoiceStatus.UNCOLLECTIBLE),
            paid(invoice("in_paid")),
        )
    )
    _after_due(bench, 60)
    assert bench.dun("now") == 0


def test_an_invoice_by_hand_is_asked_for_until_it_is_paid_and_again_after_a_reversal() -> None:
    bench = SalesBench()
    wanted = NewInvoice(
        account_id=ACCOUNT, number="R-1", amount=500, currency="EUR", issued_on=date(2026, 10, 1),
        due_on=date(2026, 10, 10),
    )  # fmt: skip
    made = bench.enter.invoice(wanted, "i", FINANCE).record
    assert bench.dun("now") == 1
    assert _stage(bench, made) is DunningStage.PAST_DUE
    payment = NewPayment(account_id=ACCOUNT, paid_on=date(2026, 11, 1), amount=500, currency="EUR", method="ACH")
    paid_by = bench.enter.payment(payment, "p", FINANCE).record
    assert _stage(bench, made) is DunningStage.NONE
    assert not bench.tasks()
    bench.enter.reverse(paid_by.id, "bounced", paid_by.version, FINANCE)
    assert bench.dun("later") == 1
    assert _stage(bench, made) is DunningStage.PAST_DUE
    assert list(bench.tasks()) == [f"dunning:{made.id}:Past Due:1"], "somebody is to ask for it again"
    again = bench.enter.payment(payment, "p2", FINANCE).record
    assert not bench.tasks()
    bench.enter.reverse(again.id, "bounced again", again.version, FINANCE)
    bench.dun("once more")
    assert list(bench.tasks()) == [f"dunning:{made.id}:Past Due:2"]


def _stage(bench: SalesBench, made: Invoice) -> DunningStage:
    return INVOICES.require(bench.table, made.id).stage


def test_an_invoice_that_is_paid_in_this_moment_reaches_no_stage() -> None:
    bench = SalesBench()
    bench.mirrored(invoices=(invoice(),))
    _after_due(bench, 20)
    raced = [True]

    def step_in(_: object) -> None:
        if raced:
            raced.clear()
            bench.mirrored(invoices=(paid(invoice()),))

    bench.memory.before_commit = step_in
    assert bench.dun("now") == 0
    assert bench.invoice("in_one").stage is DunningStage.NONE


def test_the_seller_is_mailed_once_a_stage() -> None:
    bench = SalesBench()
    user = User(
        id=OWNER, created_at=START, modified_at=START, name="Rep", email="rep@revops.example", role=Role.SALES_REP,
        team_id="t",
    )  # fmt: skip
    PlaceUser(bench.table, bench.manual).user(user, WORKER)
    bench.mirrored(invoices=(invoice(),))
    _after_due(bench, 5)
    bench.dun("now")
    said = [one for change in bench.memory.changes for one in events(change) if one.name == "DunningStageReached"]
    told = DunningStageReached.model_validate(said[0].data)
    assert (len(said), told.stage, told.remaining.minor) == (1, "Reminded", 10_000)
    mails: list[tuple[str, str, str, str]] = []

    def send(*mail: str) -> bool:
        mails.append((mail[0], mail[1], mail[2], mail[3]))
        return True

    tell = TellOfDunning(bench.table, bench.settings, bench.desk, send, "ops@revops.example")
    assert tell(told.invoice_id, told.stage, "evt") == "mailed"
    assert mails[0][:3] == (f"evt:{OWNER}", "rep@revops.example", "An invoice is unpaid: reminded")
    assert "100.00 EUR" in mails[0][3]
    assert tell(told.invoice_id, "Past Due", "evt") == "", "it is not there"
    bench.mirrored(invoices=(paid(invoice()),))
    assert tell(told.invoice_id, told.stage, "evt2") == "", "paid meanwhile"
    bench.desk.owners.clear()
    bench.mirrored(invoices=(invoice("in_two"),))
    bench.dun("then")
    assert tell(bench.invoice("in_two").id, "Reminded", "evt3") == "mailed"
    assert mails[-1][1] == "ops@revops.example"


def test_stages_stand_in_their_order() -> None:
    rule = DunningRule(stage=DunningStage.PAST_DUE, days_after_due=5)
    for stages in (
        (rule, DunningRule(stage=DunningStage.REMINDED, days_after_due=9)),
        (rule, DunningRule(stage=DunningStage.SUSPENSION_WARNING, days_after_due=5)),
        (DunningRule(stage=DunningStage.NONE, days_after_due=0),),
    ):
        with pytest.raises(ValidationError):
            DunningRules(stages=stages)
    assert DunningRules(stages=()).stages == ()
