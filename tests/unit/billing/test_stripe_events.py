"""STR-1: bodies of webhooks, snapshot and thin, known and unknown; STR-3: what the activity log gets out of them."""

import json
from typing import Any

import pytest

from revops.adapters.stripe_events import read_stripe_event
from revops.kernel import Invalid
from tests.builders.billing import START, event_body

_INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "customer": "cus_1",
    "amount": 2000,
    "amount_received": 0,
    "currency": "gbp",
    "metadata": {"paymentType": "deposit", "bookingId": "B-17"},
    "latest_charge": "ch_1",
    "last_payment_error": {"code": "card_declined", "message": "Your card was declined.", "charge": "ch_1"},
}
_THIN = {
    "id": "evt_thin",
    "object": "v2.core.event",
    "type": "v1.customer.subscription.deleted",
    "created": "2026-11-01T08:00:00.000Z",
    "livemode": False,
    "related_object": {"id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1"},
}


def _fact(type_: str, object_: dict[str, Any], event_id: str = "evt_1", **more: Any) -> str:
    occurrence = read_stripe_event(event_body(event_id, type_, object_, **more)).occurrence
    assert occurrence is not None
    return occurrence.fact


@pytest.mark.mission("STR-3")
def test_a_failed_payment_is_told_with_all_its_metadata() -> None:
    event = read_stripe_event(event_body("evt_1", "payment_intent.payment_failed", _INTENT))
    assert (event.subject, event.created, event.livemode) == ("cus_1", START, False)
    assert event.occurrence is not None
    assert event.occurrence.type == "payment_failure"
    assert event.occurrence.metadata.model_dump(mode="json", exclude_none=True) == {
        "event_type": "payment_intent.payment_failed",
        "payment_intent_id": "pi_1",
        "charge_id": "ch_1",
        "reference": "B-17",
        "amount": {"minor": 2000, "currency": "GBP"},
        "payment_type": "deposit",
        "error_code": "card_declined",
        "error_message": "Your card was declined.",
    }


@pytest.mark.mission("STR-3")
def test_a_cancellation_is_told_with_its_plan() -> None:
    object_ = {
        "id": "sub_1",
        "object": "subscription",
        "customer": {"id": "cus_1", "object": "customer"},
        "canceled_at": int(START.timestamp()),
        "cancel_at_period_end": False,
        "items": {"data": [{"price": {"id": "price_1", "nickname": "Professional"}}]},
    }
    event = read_stripe_event(event_body("evt_1", "customer.subscription.deleted", object_))
    assert event.payer == "cus_1"
    assert event.occurrence is not None
    metadata = event.occurrence.metadata
    assert event.occurrence.type == "subscription_cancelled"
    assert (metadata.plan_id, metadata.plan_name, metadata.immediate) == ("price_1", "Professional", True)
    assert metadata.cancelled_at == START


@pytest.mark.mission("STR-3", "STR-5")
@pytest.mark.parametrize(
    ("ending", "immediate"),
    [
        ({}, True),
        ({"cancel_at_period_end": True}, False),
        ({"cancel_at": 1_000, "ended_at": 1_000}, False),
        ({"cancel_at": 2_000, "ended_at": 1_000}, True),  # it was to end later, and was cancelled at once
    ],
)
def test_what_ends_as_it_was_announced_is_not_cancelled_at_once(ending: dict[str, Any], immediate: bool) -> None:
    object_ = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "ended_at": 1_000, **ending}
    object_ |= {"items": {"data": [{"price": {"id": "price_1"}}]}}
    event = read_stripe_event(event_body("evt_1", "customer.subscription.deleted", object_))
    assert event.occurrence is not None
    assert event.occurrence.metadata.immediate is immediate


@pytest.mark.parametrize(
    ("reason", "expected"), [("subscription_cycle", "subscription_renewed"), ("manual", "payment_success")]
)
def test_a_paid_invoice_renews_or_is_a_payment(reason: str, expected: str) -> None:
    object_: dict[str, Any] = {
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_1",
        "billing_reason": reason,
        "currency": "eur",
    }
    object_ |= {"amount_paid": 12900, "parent": {"subscription_details": {"subscription": "sub_1"}}}
    told = [read_stripe_event(event_body("evt_1", f"invoice.{name}", object_)).occurrence for name in _PAID]
    assert told[0] is not None
    assert told[0].type == expected
    assert told[0] == told[1]  # Stripe says it twice


_PAID = ("paid", "payment_succeeded")


@pytest.mark.fault("R1")
def test_two_events_about_one_thing_are_one_fact() -> None:
    failed = "payment_intent.payment_failed"
    assert _fact(failed, _INTENT) == _fact(failed, _INTENT, "evt_2")
    second = _INTENT | {"last_payment_error": {"charge": "ch_2"}}
    assert _fact(failed, _INTENT) != _fact(failed, second)
    assert _fact(failed, _INTENT) != _fact("payment_intent.succeeded", _INTENT)
    subscription = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active"}
    updated = "customer.subscription.updated"
    from_trial = _fact(updated, subscription, previous_attributes={"status": "trialing"})
    assert from_trial != _fact(updated, subscription, previous_attributes={"status": "past_due"})


def test_an_announced_cancellation_is_not_yet_one() -> None:
    object_ = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "cancel_at_period_end": True}
    body = event_body(
        "evt_1", "customer.subscription.updated", object_, previous_attributes={"cancel_at_period_end": False}
    )
    occurrence = read_stripe_event(body).occurrence
    assert occurrence is not None
    assert occurrence.type == "subscription_cancellation_scheduled"


@pytest.mark.mission("STR-1")
def test_a_thin_event_says_what_to_fetch() -> None:
    event = read_stripe_event(json.dumps(_THIN | {"context": "acct_1"}))
    assert (event.object_type, event.object_id, event.subject, event.account) == (
        "subscription",
        "sub_1",
        "sub_1",
        "acct_1",
    )
    assert event.occurrence is not None
    assert event.occurrence.type == "subscription_cancelled"
    snapshot = {"id": "sub_1", "object": "subscription", "customer": "cus_1"}
    assert event.occurrence.fact == _fact("customer.subscription.deleted", snapshot)


@pytest.mark.mission("STR-1")
@pytest.mark.parametrize("type_", ["customer.updated", "invoice.never_heard_of", "entirely.new.thing"])
def test_unknown_types_are_read_and_tell_nothing(type_: str) -> None:
    event = read_stripe_event(event_body("evt_1", type_, {"id": "x_1", "object": "novelty", "customer": "cus_1"}))
    assert (event.payer, event.occurrence) == ("cus_1", None)


def test_an_object_without_a_payer_is_its_own_subject() -> None:
    event = read_stripe_event(event_body("evt_1", "price.created", {"id": "price_1", "object": "price"}))
    assert (event.payer, event.subject) == ("", "price_1")


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"event"',
        b"{",
        b"\xff\xfe",
        b'{"object": "event"}',
        event_body("evt_1", "a.b", {"amount": 1}).replace("1}", "NaN}").encode(),
        event_body("evt_1", "a.b", {}).replace('"data"', '"date"').encode(),
        event_body("evt_1", "a.b", {}).replace("false", '"false"').encode(),
        event_body("evt 1", "a.b", {}).encode(),
        event_body("evt_1", "", {}).encode(),
        event_body("evt_1", "a.b", {}).replace('"created": ', '"created": -').encode(),
        event_body("evt_1", "a.b", {}).encode() + b"{}",
        json.dumps(_THIN | {"created": "yesterday"}).encode(),
    ],
)
def test_what_is_not_an_event_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_stripe_event(body)


@pytest.mark.parametrize(
    "object_",
    [
        {"id": "in_1", "object": "invoice", "currency": 7, "amount_paid": "many", "parent": []},
        {"id": "in_1"},
        {"id": 5, "customer": 9, "metadata": None, "items": {"data": ["x"]}},
        {"id": "in_1", "customer": {"id": None}, "last_payment_error": "none", "cancel_at": "soon"},
    ],
)
@pytest.mark.parametrize(
    "type_", ["invoice.paid", "invoice.payment_failed", "customer.subscription.deleted", "charge.refunded"]
)
def test_odd_objects_of_other_versions_are_read_as_far_as_they_go(type_: str, object_: dict[str, Any]) -> None:
    read_stripe_event(event_body("evt_1", type_, object_))
