"""Changing subscriptions at Stripe: items with proration, schedules, endings, previews. API 2026-10-28.endive.

Sources: https://docs.stripe.com/billing/subscriptions/prorations (proration_date),
https://docs.stripe.com/billing/subscriptions/subscription-schedules (phases; what a schedule manages cannot be changed
beside it), https://docs.stripe.com/billing/subscriptions/mixed-interval (flexible billing mode),
https://docs.stripe.com/api/invoices/create_preview.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, cast

from stripe import StripeClient

from revops.adapters.stripe_calls import creating, reading, writing
from revops.adapters.stripe_fields import ENDING, ends_with_period
from revops.orders.model import BillingCycle
from revops.orders.policies.collection import BankTransfer
from revops.orders.policies.pricing import SeatPrice
from revops.orders.ports import ProvisioningRefused
from revops.orders.provisioning.ports import (
    ItemChange,
    LiveItem,
    LiveSubscription,
    Phase,
    PlannedFuture,
    Preview,
    PreviewLine,
    SubscriptionChange,
)

if TYPE_CHECKING:
    import stripe
    from stripe.params import (
        InvoiceCreatePreviewParams,
        SubscriptionScheduleUpdateParamsPhase,
        SubscriptionUpdateParams,
        SubscriptionUpdateParamsItem,
    )


class StripeChanges:
    """`SubscriptionGateway` over a client that is asked for at each use, because keys rotate."""

    def __init__(self, client: Callable[[], StripeClient]) -> None:
        self._client = client

    def subscription(self, subscription_id: str) -> LiveSubscription:
        with reading():
            return _live(self._client().v1.subscriptions.retrieve(subscription_id))

    def change(self, change: SubscriptionChange, key: str) -> str:
        params: SubscriptionUpdateParams = {
            "items": [_item(item) for item in change.items],
            "proration_behavior": "always_invoice" if change.proration_date else "none",
            "metadata": {**change.metadata},
            "automatic_tax": {"enabled": change.automatic_tax},
        }
        if change.proration_date:
            params["proration_date"] = change.proration_date
        if change.charge_automatically:
            params["collection_method"] = "charge_automatically"
        else:
            params["collection_method"] = "send_invoice"
            params["days_until_due"] = change.days_until_due
        settings = payment_settings(change.payment_types, change.transfer)
        if settings:
            params["payment_settings"] = cast("stripe.params.SubscriptionUpdateParamsPaymentSettings", settings)
        with creating():
            return self._client().v1.subscriptions.update(change.subscription_id, params, {"idempotency_key": key}).id

    def plan_future(self, live: LiveSubscription, future: PlannedFuture) -> None:
        schedule_id = live.schedule_id or self._schedule_of(live.id)
        with reading():
            schedule = self._client().v1.subscription_schedules.retrieve(schedule_id)
        current = schedule.current_phase
        if current is None:
            raise ProvisioningRefused(f"the Stripe schedule {schedule_id} is {schedule.status}; release it and resume")
        phases: list[SubscriptionScheduleUpdateParamsPhase] = [
            _present(live, current.start_date, future.phases[0].starts_at)
        ]
        ends = [*(phase.starts_at for phase in future.phases[1:]), future.ends_at]
        phases += [_phase(phase, end, future.cycle_months) for phase, end in zip(future.phases, ends, strict=True)]
        with writing():
            self._client().v1.subscription_schedules.update(
                schedule_id,
                {
                    "phases": phases,
                    "end_behavior": "cancel" if future.ends_at else "release",
                    "proration_behavior": "none",
                },
            )

    def forget_future(self, live: LiveSubscription) -> None:
        if not live.schedule_id:
            return
        with reading():
            status = self._client().v1.subscription_schedules.retrieve(live.schedule_id).status
        if status in {"active", "not_started"}:
            with writing():
                self._client().v1.subscription_schedules.release(live.schedule_id)

    def end_at(self, live: LiveSubscription, instant: int) -> None:
        params: SubscriptionUpdateParams = {"proration_behavior": "none"}
        if instant:
            params["cancel_at"] = instant
        elif live.cancel_at_period_end and ENDING not in live.metadata:
            params["cancel_at_period_end"] = False
        else:
            params["cancel_at"] = ""
        if ENDING in live.metadata:
            params["metadata"] = {ENDING: ""}
        with writing():
            self._client().v1.subscriptions.update(live.id, params)

    def preview(self, live: LiveSubscription, seat: SeatPrice, seats: int, proration_date: int) -> Preview:
        item: stripe.params.InvoiceCreatePreviewParamsSubscriptionDetailsItem = {
            "price_data": _price_data(seat),
            "quantity": seats,
        }
        if live.seat is not None:
            item["id"] = live.seat.id
        details: stripe.params.InvoiceCreatePreviewParamsSubscriptionDetails = {
            "items": [item],
            "proration_behavior": "always_invoice" if proration_date or live.status == "trialing" else "none",
        }
        if proration_date:
            details["proration_date"] = proration_date
        return self._preview({"subscription": live.id, "subscription_details": details})

    def preview_new(self, customer_id: str, seat: SeatPrice, seats: int) -> Preview:
        params: InvoiceCreatePreviewParams = {
            "currency": seat.currency.lower(),
            "subscription_details": {"items": [{"price_data": _price_data(seat), "quantity": seats}]},
        }
        if customer_id:
            params["customer"] = customer_id
        return self._preview(params)

    def _preview(self, params: "InvoiceCreatePreviewParams") -> Preview:
        with reading():
            invoice = self._client().v1.invoices.create_preview(params)
        lines = tuple(
            PreviewLine(
                text=line.description or "",
                minor=line.amount,
                proration=_prorated(line),
                price_id=_price_of(line),
                starts_at=line.period.start,
                ends_at=line.period.end,
            )
            for line in invoice.lines.data
        )
        return Preview(invoice.currency.upper(), invoice.total, lines)

    def _schedule_of(self, subscription_id: str) -> str:
        """The schedule of a subscription, made if need be: it can have only one, so a repeat makes no second."""
        try:
            with writing():
                made = self._client().v1.subscription_schedules.create({"from_subscription": subscription_id})
            return made.id
        except ProvisioningRefused:
            attached = self.subscription(subscription_id).schedule_id
            if not attached:
                raise
            return attached


def payment_settings(types: tuple[str, ...], transfer: BankTransfer | None) -> dict[str, object]:
    """How invoices may be paid; a wire transfer with where it goes."""
    settings: dict[str, object] = {"payment_method_types": [*types]} if types else {}
    if transfer is not None:
        bank: dict[str, object] = {"type": transfer.type}
        if transfer.country:
            bank[transfer.type] = {"country": transfer.country}
        balance = {"funding_type": "bank_transfer", "bank_transfer": bank}
        settings["payment_method_options"] = {"customer_balance": balance}
    return settings


def _item(change: ItemChange) -> "SubscriptionUpdateParamsItem":
    item: SubscriptionUpdateParamsItem = {}
    if change.item_id:
        item["id"] = change.item_id
    if not change.price_id:
        item["deleted"] = True
        return item
    item["price"] = change.price_id
    if change.quantity is not None:
        item["quantity"] = change.quantity
    return item


def _present(live: LiveSubscription, starts_at: int, ends_at: int) -> "SubscriptionScheduleUpdateParamsPhase":
    """The phase that runs, as it is, up to the first change."""
    phase: SubscriptionScheduleUpdateParamsPhase = {
        "items": [
            {"price": item.price_id} if item.quantity is None else {"price": item.price_id, "quantity": item.quantity}
            for item in live.items
        ],
        "start_date": starts_at,
        "end_date": ends_at,
        "proration_behavior": "none",
    }
    if live.status == "trialing" and live.trial_end:
        phase["trial_end"] = min(live.trial_end, ends_at)
    return phase


def _phase(phase: Phase, ends_at: int, cycle_months: int) -> "SubscriptionScheduleUpdateParamsPhase":
    made: SubscriptionScheduleUpdateParamsPhase = {
        "items": [
            {"price": item.price_id} if item.quantity is None else {"price": item.price_id, "quantity": item.quantity}
            for item in phase.items
        ],
        "metadata": {**phase.metadata},
        "proration_behavior": "always_invoice" if phase.prorated else "none",
    }
    if phase.charge_automatically is not None:
        made["collection_method"] = "charge_automatically" if phase.charge_automatically else "send_invoice"
        if not phase.charge_automatically:
            made["invoice_settings"] = {"days_until_due": phase.days_until_due}
    if ends_at:
        made["end_date"] = ends_at
    else:
        made["duration"] = {"interval": "month", "interval_count": cycle_months}
    return made


def _price_data(seat: SeatPrice) -> "stripe.params.InvoiceCreatePreviewParamsSubscriptionDetailsItemPriceData":
    interval: Literal["month", "year"] = "month" if seat.cycle is BillingCycle.MONTHLY else "year"
    return {
        "currency": seat.currency.lower(),
        "product": seat.product_id,
        "unit_amount_decimal": Decimal(seat.unit_amount),
        "recurring": {"interval": interval},
    }


def _live(found: "stripe.Subscription") -> LiveSubscription:
    return LiveSubscription(
        id=found.id,
        status=found.status,
        customer_id=_id(found.customer),
        currency=found.currency.upper(),
        items=tuple(_live_item(item) for item in found.items.data),
        metadata={str(name): str(value) for name, value in found.metadata.to_dict().items()},
        cancel_at=found.cancel_at or 0,
        cancel_at_period_end=ends_with_period(found.to_dict()),
        schedule_id=_id(found.schedule),
        trial_end=found.trial_end or 0,
    )


def _live_item(item: "stripe.SubscriptionItem") -> LiveItem:
    price = item.price
    recurring = price.recurring
    amount = price.unit_amount_decimal
    return LiveItem(
        id=item.id,
        price_id=price.id,
        lookup_key=price.lookup_key or "",
        quantity=None if recurring and recurring.usage_type == "metered" else getattr(item, "quantity", None) or 0,
        unit_amount="" if amount is None else str(amount),
        interval=recurring.interval if recurring else "",
        period_start=item.current_period_start,
        period_end=item.current_period_end,
        meter_id=(recurring.meter if recurring else "") or "",
    )


def _prorated(line: "stripe.InvoiceLineItem") -> bool:
    parent = line.parent
    details = parent and (parent.subscription_item_details or parent.invoice_item_details)
    return bool(details and details.proration)


def _price_of(line: "stripe.InvoiceLineItem") -> str:
    details = line.pricing and line.pricing.price_details
    return _id(details.price) if details else ""


def _id(value: object) -> str:
    return value if isinstance(value, str) else str(getattr(value, "id", "") or "")
