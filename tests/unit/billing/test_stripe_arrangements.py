"""STR-1, STR-3: every kind of event that is consumed: whom it concerns, and what the log tells of it."""

import json
from typing import Any

import pytest

from revops.adapters.stripe_events import concern_of, read_stripe_event, read_stripe_signal
from revops.billing.ports import Concern
from tests.builders.billing import START, event_body

pytestmark = pytest.mark.mission("STR-1", "STR-3")

AT = int(START.timestamp())
_DISPUTE = {
    "id": "du_1",
    "object": "dispute",
    "amount": 2000,
    "currency": "eur",
    "charge": "ch_1",
    "payment_intent": "pi_1",
    "reason": "fraudulent",
    "status": "needs_response",
    "evidence_details": {"due_by": AT},
}
_GRANT = {
    "id": "credgr_1",
    "object": "billing.credit_grant",
    "customer": "cus_1",
    "amount": {"type": "monetary", "monetary": {"value": 500, "currency": "usd"}},
}
_MOVED = {
    "id": "cbtxn_1",
    "object": "billing.credit_balance_transaction",
    "credit_grant": "credgr_1",
    "debit": {"amount": _GRANT["amount"], "type": "credits_applied", "credits_applied": {"invoice": "in_1"}},
}
_CASH = {
    "id": "ccsbtxn_1",
    "object": "customer_cash_balance_transaction",
    "customer": "cus_1",
    "currency": "eur",
    "net_amount": 9900,
    "type": "funded",
}
_ALERT = {
    "object": "billing.alert_triggered",
    "customer": "cus_1",
    "value": 120,
    "alert": {"id": "alrt_1", "title": "API calls"},
}
_SUMMARY = {
    "object": "entitlements.active_entitlement_summary",
    "customer": "cus_1",
    "entitlements": {"data": [{"lookup_key": "sso"}, {"lookup_key": "api"}]},
}
_SCHEDULE = {
    "id": "sub_sched_1",
    "object": "subscription_schedule",
    "customer": "cus_1",
    "subscription": "sub_1",
    "end_behavior": "cancel",
    "phases": [{"start_date": AT}, {"start_date": AT + 86_400 * 30}],
}
_INVOICE = {
    "id": "in_1",
    "object": "invoice",
    "customer": "cus_1",
    "currency": "eur",
    "amount_due": 1500,
    "due_date": AT,
    "parent": {"subscription_details": {"subscription": "sub_1"}},
}
_UPCOMING = {name: value for name, value in _INVOICE.items() if name != "id"} | {"period_end": AT}
_PAID = {
    "id": "inpay_1",
    "object": "invoice_payment",
    "invoice": "in_1",
    "currency": "eur",
    "amount_paid": 1500,
    "payment": {"type": "payment_record", "payment_record": "pr_1"},
}
_SUBSCRIPTION = {"id": "sub_1", "object": "subscription", "customer": "cus_1"}

TOLD: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("charge.dispute.created", _DISPUTE, "payment_disputed", {"object_id": "du_1", "charge_id": "ch_1"}),
    ("charge.dispute.closed", _DISPUTE | {"status": "lost"}, "dispute_closed", {"status": "lost"}),
    ("charge.dispute.funds_withdrawn", _DISPUTE, "dispute_funds_moved", {"amount": {"minor": 2000, "currency": "EUR"}}),
    ("charge.dispute.funds_reinstated", _DISPUTE, "dispute_funds_moved", {"payment_intent_id": "pi_1"}),
    ("billing.credit_grant.created", _GRANT, "credit_granted", {"amount": {"minor": 500, "currency": "USD"}}),
    ("billing.credit_grant.updated", _GRANT | {"voided_at": AT}, "credit_changed", {"status": "voided"}),
    ("billing.credit_balance_transaction.created", _MOVED, "credit_moved", {"invoice_id": "in_1"}),
    ("customer_cash_balance_transaction.created", _CASH, "cash_balance_moved", {"status": "funded"}),
    ("billing.alert.triggered", _ALERT, "billing_alert", {"object_id": "alrt_1", "status": "120"}),
    ("entitlements.active_entitlement_summary.updated", _SUMMARY, "entitlements_changed", {"features": ["api", "sso"]}),
    ("subscription_schedule.created", _SCHEDULE, "subscription_change_scheduled", {"due_at": "2026-12-01T08:00:00Z"}),
    ("subscription_schedule.expiring", _SCHEDULE, "subscription_change_scheduled", {"subscription_id": "sub_1"}),
    ("subscription_schedule.released", _SCHEDULE, "subscription_schedule_ended", {"status": "released"}),
    ("subscription_schedule.canceled", _SCHEDULE, "subscription_schedule_ended", {"status": "canceled"}),
    ("subscription_schedule.completed", _SCHEDULE, "subscription_schedule_ended", {"status": "completed"}),
    ("subscription_schedule.aborted", _SCHEDULE, "subscription_schedule_ended", {"status": "aborted"}),
    (
        "invoice.finalized",
        _INVOICE,
        "invoice_finalized",
        {"due_at": "2026-11-01T08:00:00Z", "subscription_id": "sub_1"},
    ),
    ("invoice.upcoming", _UPCOMING, "invoice_upcoming", {"subscription_id": "sub_1"}),
    ("invoice.voided", _INVOICE, "invoice_voided", {"invoice_id": "in_1"}),
    ("invoice.marked_uncollectible", _INVOICE, "invoice_uncollectible", {"invoice_id": "in_1"}),
    ("invoice.payment_action_required", _INVOICE, "payment_action_required", {"invoice_id": "in_1"}),
    ("invoice.overdue", _INVOICE, "payment_failure", {"error_message": "not paid by its due date"}),
    ("invoice_payment.paid", _PAID, "payment_success", {"invoice_id": "in_1", "status": "payment_record"}),
    ("customer.subscription.paused", _SUBSCRIPTION, "subscription_paused", {"subscription_id": "sub_1"}),
    ("customer.subscription.resumed", _SUBSCRIPTION, "subscription_resumed", {"subscription_id": "sub_1"}),
    ("customer.subscription.trial_will_end", _SUBSCRIPTION, "trial_ending", {"subscription_id": "sub_1"}),
    ("customer.subscription.pending_update_applied", _SUBSCRIPTION, "subscription_updated", {}),
    ("customer.subscription.pending_update_expired", _SUBSCRIPTION, "subscription_change_lapsed", {}),
]


@pytest.mark.parametrize(("type_", "object_", "told", "metadata"), TOLD, ids=[each[0] for each in TOLD])
def test_what_the_log_tells(type_: str, object_: dict[str, Any], told: str, metadata: dict[str, Any]) -> None:
    event = read_stripe_event(event_body("evt_1", type_, object_))
    assert event.concern is Concern.PAYER
    assert event.occurrence is not None
    assert event.occurrence.type == told
    assert event.occurrence.details
    found = event.occurrence.metadata.model_dump(mode="json", exclude_none=True)
    assert found | metadata == found
    repeat = read_stripe_event(event_body("evt_other", type_, object_))
    assert repeat.occurrence is not None
    assert repeat.occurrence.fact == event.occurrence.fact, "a repeat under another id is the same thing"


@pytest.mark.parametrize(("type_", "object_", "told", "metadata"), TOLD, ids=[each[0] for each in TOLD])
def test_the_webhook_reads_the_same_without_what_happened(
    type_: str, object_: dict[str, Any], told: str, metadata: dict[str, Any]
) -> None:
    body = event_body("evt_1", type_, object_)
    signal, event = read_stripe_signal(body), read_stripe_event(body)
    assert signal.occurrence is None
    same = ("id", "type", "created", "livemode", "account", "subject", "object_id", "concern")
    assert [getattr(signal, name) for name in same] == [getattr(event, name) for name in same]


def _fact(type_: str, object_: dict[str, Any], **more: Any) -> str:
    occurrence = read_stripe_event(event_body("evt_1", type_, object_, **more)).occurrence
    assert occurrence is not None
    return occurrence.fact


def test_what_can_happen_again_is_told_apart() -> None:
    facts = [
        _fact("charge.dispute.funds_withdrawn", _DISPUTE),
        _fact("charge.dispute.funds_reinstated", _DISPUTE),
        _fact("charge.dispute.created", _DISPUTE),
        _fact("entitlements.active_entitlement_summary.updated", _SUMMARY),
        _fact(
            "entitlements.active_entitlement_summary.updated",
            _SUMMARY,
            previous_attributes={"entitlements": {"data": [{"lookup_key": "sso"}]}},
        ),
        _fact("entitlements.active_entitlement_summary.updated", _SUMMARY | {"entitlements": {"data": []}}),
        _fact("billing.alert.triggered", _ALERT),
        _fact("billing.alert.triggered", _ALERT | {"customer": "cus_2"}),
        _fact("invoice.upcoming", _UPCOMING),
        _fact("invoice.upcoming", _UPCOMING | {"period_end": AT + 1}),
        _fact("subscription_schedule.released", _SCHEDULE),
        _fact("subscription_schedule.canceled", _SCHEDULE),
    ]
    assert len(set(facts)) == len(facts)


@pytest.mark.parametrize(
    ("type_", "object_", "more"),
    [
        ("invoice_payment.paid", _PAID | {"payment": {"payment_intent": "pi_1"}}, {}),
        ("charge.dispute.updated", _DISPUTE, {}),
        ("subscription_schedule.updated", _SCHEDULE, {"previous_attributes": {"current_phase": None}}),
        ("payment_intent.created", {"id": "pi_1", "object": "payment_intent", "customer": "cus_1"}, {}),
        ("refund.updated", {"id": "re_1", "object": "refund", "charge": "ch_1"}, {}),
        ("cash_balance.funds_available", {"object": "cash_balance", "customer": "cus_1"}, {}),
    ],
)
def test_what_changes_facts_and_is_not_told(type_: str, object_: dict[str, Any], more: dict[str, Any]) -> None:
    event = read_stripe_event(event_body("evt_1", type_, object_, **more))
    assert (event.occurrence, event.concern) == (None, Concern.PAYER)


def test_a_schedule_that_plans_something_else_is_told() -> None:
    more: dict[str, Any] = {"previous_attributes": {"phases": []}}
    event = read_stripe_event(event_body("evt_1", "subscription_schedule.updated", _SCHEDULE, **more))
    assert event.occurrence is not None
    assert event.occurrence.type == "subscription_change_scheduled"


@pytest.mark.parametrize(
    "type_",
    [
        "price.created",
        "product.updated",
        "payment_method.attached",
        "customer.source.created",
        "customer.tax_id.created",
        "invoiceitem.created",
        "payout.paid",
        "v2.core.event_destination.ping",
        "billing.meter.created",
        "something.new",
    ],
)
def test_what_concerns_nobody(type_: str) -> None:
    assert concern_of(type_) is Concern.NOBODY
    assert concern_of(f"v1.{type_}") is Concern.NOBODY
    event = read_stripe_event(event_body("evt_1", type_, {"id": "x_1", "object": "thing", "customer": "cus_1"}))
    assert (event.concern, event.occurrence) == (Concern.NOBODY, None)


@pytest.mark.parametrize("type_", ["v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"])
def test_thin_events_about_meters_are_for_the_operators(type_: str) -> None:
    body: dict[str, Any] = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": type_,
        "created": "2026-11-01T08:00:00.000Z",
        "livemode": False,
    }
    assert read_stripe_event(json.dumps(body)).concern is Concern.METER
    related = {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}
    event = read_stripe_event(json.dumps(body | {"related_object": related}))
    assert (event.concern, event.object_id, event.occurrence) == (Concern.METER, "mtr_1", None)


def test_a_thin_event_that_names_no_object_says_nothing_of_a_payer() -> None:
    body = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.entitlements.active_entitlement_summary.updated",
        "created": "2026-11-01T08:00:00.000Z",
        "livemode": False,
    }
    assert read_stripe_event(json.dumps(body)).concern is Concern.NOBODY
