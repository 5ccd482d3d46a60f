"""Reads the bodies of Stripe's webhooks: snapshot events (v1) and thin events (v2), of any type and API version.

Sources: https://docs.stripe.com/api/events/object, https://docs.stripe.com/api/v2/core/events/object,
https://docs.stripe.com/webhooks#handle-duplicate-events (two events can be about one thing: told apart by object and
type, never by the event's id).
"""

import re
from datetime import UTC, datetime

from revops.adapters.stripe_fields import Json, object_of, text_of
from revops.billing.ports import Concern, StripeEvent
from revops.kernel import Invalid, JsonError, parse_json, parse_time

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,255}", re.ASCII)
_METERS = frozenset({"billing.meter.error_report_triggered", "billing.meter.no_meter_found"})
_PAYERS = (
    "billing.credit_",
    "charge.",
    "customer.subscription.",
    "entitlements.active_entitlement_summary.",
    "invoice.",
    "invoice_payment.",
    "payment_intent.",
    "refund.",
    "subscription_schedule.",
)
"""Whole families of types after which a payer's facts may be others."""
_PAYERS_TOO = frozenset(
    {
        "billing.alert.triggered",
        "cash_balance.funds_available",
        "customer.created",
        "customer.deleted",
        "customer.updated",
        "customer_cash_balance_transaction.created",
    }
)


def read_stripe_event(body: str | bytes) -> StripeEvent:
    """A `StripeEvent` with what it says happened. Raises Invalid for anything else; an unknown type is no reason to."""
    return _read(body, told=True)


def read_stripe_signal(body: str | bytes) -> StripeEvent:
    """The same without what happened: all that a webhook needs to store it. Raises Invalid."""
    return _read(body, told=False)


def concern_of(event_type: str) -> Concern:
    """Whom a type of event is for; thin types carry the version before the name of the snapshot's."""
    name = event_type.removeprefix("v1.")
    if name in _METERS:
        return Concern.METER
    return Concern.PAYER if name in _PAYERS_TOO or name.startswith(_PAYERS) else Concern.NOBODY


def _read(body: str | bytes, *, told: bool) -> StripeEvent:
    try:
        event = parse_json(body)
    except JsonError as error:
        raise Invalid.field("body", "json", str(error), "a Stripe event") from error
    if not isinstance(event, dict) or event.get("object") not in ("event", "v2.core.event"):
        raise _not_an_event("object")
    for name in ("id", "type"):
        if not isinstance(event.get(name), str) or not _NAME.fullmatch(event[name]):
            raise _not_an_event(name)
    if not isinstance(event.get("livemode"), bool):
        raise _not_an_event("livemode")
    return _snapshot(event, told) if event["object"] == "event" else _thin(event, told)


def _snapshot(event: Json, told: bool) -> StripeEvent:
    data = event.get("data")
    object_ = data.get("object") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(object_, dict):
        raise _not_an_event("data.object")
    created = event.get("created")
    if isinstance(created, bool) or not isinstance(created, int) or not 0 <= created < 10**11:
        raise _not_an_event("created")
    occurrence = None
    if told:
        from revops.adapters.stripe_occurrences import occurrence_of

        occurrence = occurrence_of(event["type"], object_, object_of(data.get("previous_attributes")))
    return StripeEvent(
        id=event["id"],
        type=event["type"],
        created=datetime.fromtimestamp(created, UTC),
        livemode=event["livemode"],
        account=text_of(event.get("account")),
        object_type=text_of(object_.get("object")),
        object_id=text_of(object_.get("id")),
        payer=_payer(object_),
        occurrence=occurrence,
        concern=concern_of(event["type"]),
    )


def _thin(event: Json, told: bool) -> StripeEvent:
    try:
        created = parse_time(text_of(event.get("created")))
    except ValueError as error:
        raise _not_an_event("created") from error
    related = object_of(event.get("related_object"))
    object_type = text_of(related.get("type")).removeprefix("v1.")
    object_id = text_of(related.get("id"))
    account = text_of(event.get("context")).rpartition("/")[2]
    occurrence = None
    if told and object_id:
        from revops.adapters.stripe_occurrences import occurrence_of

        bare = {"id": object_id, "object": object_type, "thin": event["id"]}
        occurrence = occurrence_of(event["type"].removeprefix("v1."), bare, {})
    return StripeEvent(
        id=event["id"],
        type=event["type"],
        created=created,
        livemode=event["livemode"],
        account=account if account.startswith("acct_") else "",
        object_type=object_type,
        object_id=object_id,
        payer=object_id if object_type == "customer" else "",
        occurrence=occurrence,
        concern=_thin_concern(event["type"], object_id),
    )


def _thin_concern(event_type: str, object_id: str) -> Concern:
    """A thin event that names no object says nothing about any payer; one about meters is fetched by its own id."""
    concern = concern_of(event_type)
    return Concern.NOBODY if concern is Concern.PAYER and not object_id else concern


def _payer(object_: Json) -> str:
    """The Stripe customer an object carries, as an id or expanded."""
    if object_.get("object") == "customer":
        return text_of(object_.get("id"))
    customer = object_.get("customer")
    return text_of(customer.get("id") if isinstance(customer, dict) else customer)


def _not_an_event(field: str) -> Invalid:
    return Invalid.field(field, "stripe-event", "not a Stripe event", "an event as Stripe sends it")
