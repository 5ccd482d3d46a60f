"""What people see of an order: its form, its revisions, its comments, lists of it, and what may be done next."""

import hashlib
from datetime import date
from typing import Any

import pytest

from revops.kernel import CallContext, Forbidden, Invalid, NotFound, Principal, Refused, Role
from revops.orders.decisions import Amendment
from revops.orders.document import KeepForm
from revops.orders.model import OrderForm, OrderStatus
from revops.orders.policies.form import OrderFormRules, form_of
from revops.orders.queries import OrderQuery
from revops.orders.reviews import ReviewDecision
from revops.orders.revisions import changes_between
from revops.orders.signature import SignedDocument
from tests.builders.forms import PlainPrinter
from tests.builders.orders import FINANCE, LEGAL, MANAGER, PDF, REP, Desk, caller, order_terms, submission

pytestmark = pytest.mark.mission("ORD-2")
STRANGER = caller("USR_stranger")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def revised(desk: Desk, order: OrderForm, **terms: Any) -> OrderForm:
    """The order after somebody asked for a change and got it."""
    desk.review(order.id, ReviewDecision.ASK, "please change it", LEGAL)
    desk.clock.advance(hours=2)
    desk.resume(order.id, Amendment(terms=order_terms(**terms)), REP)
    return desk.run_until_it_waits(order.id)


# -- revisions -------------------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-1")
def test_changed_terms_are_a_revision_and_the_earlier_one_stays(desk: Desk) -> None:
    order = desk.run_until_it_waits(desk.submitted(term_months=6).id)
    began = desk.clock.now()
    order = revised(desk, order, term_months=60)
    order = revised(desk, order, term_months=60, seats=30)
    assert (order.revision, order.attempt) == (3, 3)
    first, second, third = desk.revisions(order.id, LEGAL)
    assert [each.number for each in (first, second, third)] == [1, 2, 3]
    assert (first.at, first.by, first.terms.term_months) == (began, "USR_rep", 6)
    assert first.review.comment == "please change it"
    assert [(each.field, each.old, each.new) for each in changes_between(first.terms, second.terms)] == [
        ("term_months", 6, 60),
        ("renewal_date", "2027-05-20", "2031-11-20"),
    ]
    assert (third.terms, third.by) == (order.terms, "USR_rep")
    resumed = [step.reason for step in desk.progress(order.id, REP).steps if step.name == "resume"]
    assert resumed == ["revision 2: term_months, renewal_date", "revision 3: seats"]
    with pytest.raises(NotFound):
        desk.revisions(order.id, STRANGER)


@pytest.mark.mission("ORD-1")
def test_resuming_without_a_change_is_no_revision(desk: Desk) -> None:
    order = desk.run_until_it_waits(desk.submitted(term_months=6).id)
    order = revised(desk, order, term_months=6)
    assert (order.revision, order.attempt, len(desk.revisions(order.id, REP))) == (1, 2, 1)
    assert order.review.decision is None
    assert desk.printer.printed == 1


# -- the form as a file ----------------------------------------------------------------------------------------------


@pytest.mark.mission("ORD-1")
def test_the_form_is_printed_before_anybody_reviews_it_and_again_for_each_revision(desk: Desk) -> None:
    order = desk.submitted(term_months=6)
    with pytest.raises(Refused, match="not printed yet"):
        desk.document(order.id, REP)
    assert desk.progress(order.id, REP).document == ""
    order = desk.run_until_it_waits(order.id)
    link = desk.document(order.id, LEGAL)
    kept = desk.blobs.kept[link.document.key]
    assert (hashlib.sha256(kept).hexdigest(), len(kept)) == (link.document.sha256, link.document.size)
    assert f"/forms/{order.id}/" in link.url
    assert f"{order.id}-r1.pdf" in link.url
    assert desk.progress(order.id, REP).document == f"/api/v1/orders/{order.id}/document"
    again = revised(desk, order, term_months=60)
    assert again.document is not None
    assert (again.document.revision, again.document.sha256 == link.document.sha256) == (2, False)
    assert desk.revisions(order.id, REP)[0].document == link.document
    assert kept in desk.blobs.kept.values(), "what was reviewed then is still there"
    with pytest.raises(NotFound):
        desk.document(order.id, STRANGER)


class OtherPrinter(PlainPrinter):
    """Another release prints it otherwise."""

    def pdf(self, order: OrderForm) -> bytes:
        return super().pdf(order) + b"otherwise"


def test_what_is_sent_is_what_was_reviewed(desk: Desk) -> None:
    order = desk.run_until_it_waits(desk.submitted().id)
    assert order.document is not None
    later = KeepForm(OtherPrinter(), desk.blobs)
    assert later.pdf(order) == desk.blobs.kept[order.document.key]
    assert later(order) == order.document
    changed = order.model_copy(update={"revision": 2})
    assert later.pdf(changed) == OtherPrinter().pdf(changed)


def test_what_has_no_letters_goes_to_review(desk: Desk) -> None:
    desk.printer.gaps = {"signatory_name": "中文"}
    order = desk.run_until_it_waits(desk.submitted().id)
    (finding,) = order.review.findings
    assert (order.status, finding.field) == (OrderStatus.IN_REVIEW, "signatory_name")
    assert "中文" in finding.message


@pytest.mark.mission("ORD-1")
def test_every_field_of_the_form_is_on_it() -> None:
    changes: dict[str, Any] = {
        "billing_address": {"line1": "L-1", "line2": "L-2", "city": "C-3", "state": "S-4", "country": "DE"},
        "usage": [
            {"meter": "API Calls", "monthly_cap": 1234, "overage_price": "0.0155"},
            {"meter": "Signatures", "monthly_cap": 99, "overage_price": "1.5"},
        ],
        "discount_percent": "7.5",
        "billing_cycle": "Annual",
        "stripe_customer_id": "cus_42",
        "dpa": "2026-02-28",
        "auto_renewal": False,
        "proration": False,
    }
    desk = Desk()
    order = desk.submitted(**changes)
    rules = OrderFormRules(supplier_name="Lieferant AG", supplier_address=("Weg 2", "Bern"))
    form = form_of(order, rules)
    said = {name: text for section in form.sections for name, text in section.rows}
    assert said["Supplier"] == "Lieferant AG\nWeg 2\nBern"
    assert said["Customer"] == "Musterwerk GmbH\nL-1\nL-2\nC-3\nS-4\nDE"
    assert (said["Signatory"], said["E-mail"], said["Telephone"]) == (
        "Anna Beispiel",
        "anna@musterwerk.example",
        "+49 30 000000",
    )
    assert (said["Plan"], said["Seats"], said["Start"], said["Term"]) == (
        "Professional",
        "25",
        "20 November 2026",
        "12 months",
    )
    assert (said["Renewal date"], said["Renewal"]) == ("20 November 2027", "ends unless it is renewed")
    assert said["Changes during the term"] == "not prorated"
    assert (said["List price per seat and month"], said["Discount"]) == ("59.00 EUR", "7.5 %")
    assert said["Net price per seat and month"] == "54.575 EUR"
    assert (said["Seats, each month"], said["Seats, each year"]) == ("1,364.375 EUR", "16,372.50 EUR")
    assert said["Seats, over the whole term"] == "16,372.50 EUR"
    assert said["API Calls"] == "1,234 a month included, 0.0155 EUR for each further one"
    assert said["Signatures"] == "99 a month included, 1.5 EUR for each further one"
    assert said["Spend cap"] == "5,000.00 EUR, monthly"
    assert (said["Billing cycle"], said["Payment"], said["Currency"]) == ("Annual", "Invoice", "EUR")
    assert (said["Billing account"], said["Data region"]) == ("cus_42", "EU")
    assert said["Data processing agreement"] == "executed on 28 February 2026"
    assert (said["Standard contractual clauses"], said["UK transfer agreement (IDTA)"]) == ("Module 2", "No")
    assert said["Signed by way of"] == "Manual"
    assert form.reference == f"{order.id} · revision 1"
    assert form.clauses == OrderFormRules().clauses


# -- comments --------------------------------------------------------------------------------------------------------


def test_comments_stand_as_they_were_said_and_are_paged(desk: Desk) -> None:
    order = desk.run_until_it_waits(desk.submitted(term_months=6).id)
    for number, who in enumerate((REP, LEGAL, FINANCE, MANAGER), 1):
        desk.clock.advance(minutes=1)
        desk.comments.add(order.id, f" comment {number} ", who)
    assert desk.progress(order.id, REP).comments == 4
    page = desk.comments.list(order.id, 3, "", caller("USR_support", Role.SUPPORT))
    assert [(each.text, each.by, each.revision) for each in page.comments] == [
        ("comment 4", "USR_manager", 1),
        ("comment 3", "USR_finance", 1),
        ("comment 2", "USR_legal", 1),
    ]
    rest = desk.comments.list(order.id, 3, page.next_cursor, caller("USR_support", Role.SUPPORT))
    assert ([each.text for each in rest.comments], rest.next_cursor) == (["comment 1"], "")
    with pytest.raises(Invalid, match="cursor"):
        desk.comments.list(order.id, 3, page.next_cursor, LEGAL)


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S1")
def test_who_may_comment(desk: Desk) -> None:
    order = desk.submitted()
    with pytest.raises(NotFound):
        desk.comments.add(order.id, "hello", STRANGER)
    with pytest.raises(NotFound):
        desk.comments.list(order.id, 3, "", STRANGER)
    with pytest.raises(Forbidden):
        desk.comments.add(order.id, "hello", caller("USR_support", Role.SUPPORT))
    for text in ("", "  ", "x" * 4001):
        with pytest.raises(Invalid, match="text"):
            desk.comments.add(order.id, text, REP)
    assert desk.progress(order.id, REP).comments == 0


# -- lists -----------------------------------------------------------------------------------------------------------


def listed(desk: Desk, call: CallContext, **query: Any) -> list[str]:
    return [order.id for order in desk.all(OrderQuery(**query), call).orders]


@pytest.mark.mission("ORD-1", "SAFE-1")
def test_lists_are_mine_my_teams_everybodys_or_an_accounts(desk: Desk) -> None:
    made = []
    for number in range(5):
        desk.clock.advance(minutes=1)
        made.append(desk.submitted(term_months=6 if number % 2 else 12))
    other = desk.submit(submission(), caller("USR_other")).order
    mine = [order.id for order in reversed(made)]
    assert listed(desk, REP) == mine
    assert listed(desk, REP, limit=2) == mine[:2]
    page = desk.all(OrderQuery(limit=2), REP)
    assert [order.id for order in desk.all(OrderQuery(limit=9, cursor=page.next_cursor), REP).orders] == mine[2:]
    assert listed(desk, MANAGER) == []
    assert listed(desk, MANAGER, scope="team") == mine
    assert set(listed(desk, LEGAL, scope="all")) == {*mine, other.id}
    assert listed(desk, REP, account_id=made[0].account_id) == [made[0].id]
    for order in made:
        desk.run_until_it_waits(order.id)
    odd = [made[3].id, made[1].id]
    assert listed(desk, REP, status=OrderStatus.IN_REVIEW) == odd
    assert listed(desk, LEGAL, scope="all", status=OrderStatus.IN_REVIEW) == odd
    assert listed(desk, MANAGER, scope="team", status=OrderStatus.SUBMITTED) == []


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S1", "S18")
def test_a_list_shows_nothing_that_is_somebody_elses(desk: Desk) -> None:
    order = desk.submitted()
    desk.submitted()
    with pytest.raises(Forbidden):
        listed(desk, REP, scope="all")
    with pytest.raises(Forbidden):
        listed(desk, caller("USR_sdr", Role.SDR))
    for account_id in (order.account_id, "ACC_NONE"):
        with pytest.raises(NotFound):
            listed(desk, STRANGER, account_id=account_id)
    with pytest.raises(Invalid, match="status"):
        listed(desk, REP, account_id=order.account_id, status=OrderStatus.ACTIVE)
    cursor = desk.all(OrderQuery(limit=1), REP).next_cursor
    assert cursor
    for call, query in ((STRANGER, OrderQuery(cursor=cursor)), (REP, OrderQuery(scope="team", cursor=cursor))):
        with pytest.raises(Invalid, match="cursor"):
            desk.all(query, call)
    elsewhere = CallContext(Principal("USR_rep", Role.SALES_REP), request_id="r")
    desk.crm.hand_over(order.account_id, "USR_other")
    assert order.id not in listed(desk, elsewhere)


# -- what may be done next -------------------------------------------------------------------------------------------


def actions(desk: Desk, order: OrderForm) -> list[tuple[str, str]]:
    return [(each.action, each.by) for each in desk.progress(order.id, REP).next][:-1]


def test_progress_says_what_may_be_done_and_by_whom(desk: Desk) -> None:
    seller = "the account's owner, their manager, Admin"
    order = desk.submitted(discount_percent="25")
    assert actions(desk, order) == [("cancel", seller)]
    order = desk.run_until_it_waits(order.id)
    assert actions(desk, order) == [("review", "Sales Manager or Admin"), ("cancel", seller)]
    progress = desk.progress(order.id, REP)
    assert [(stage.name, stage.open, stage.findings) for stage in progress.stages] == [
        ("Manager", True, ["a discount of 25 % is above 10 %"]),
        ("Finance", False, ["a discount of 25 % is above 10 %"]),
    ]
    assert progress.stages[0].due_at is not None
    assert progress.stages[1].due_at is None
    assert progress.next[0].path == f"/api/v1/orders/{order.id}/review"
    desk.review(order.id, ReviewDecision.ASK, "less", MANAGER)
    assert actions(desk, order) == [("resume with changed terms", seller), ("cancel", seller)]
    desk.resume(order.id, Amendment(terms=order_terms()), REP)
    desk.run_until_it_waits(order.id)
    assert actions(desk, order) == [("upload the signed form", seller), ("cancel", seller)]
    desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF), REP)
    desk.run_until_it_waits(order.id)
    assert actions(desk, order) == [("amend or renew", seller)]
