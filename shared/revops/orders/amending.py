"""Changing a live order: an amendment or renewal names the order whose terms it starts from (ORD-5).

One order may have one amendment and one renewal under way. Whichever is signed last holds from its day on; the next
change starts from that one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from revops.kernel import FieldIssue, Invalid, add_months, canonical_json
from revops.kernel.money import Currency, Rate
from revops.orders.changing import root_of
from revops.orders.model import (
    Address,
    BillingCycle,
    Day,
    ESignMethod,
    Executed,
    Name,
    OrderForm,
    OrderKind,
    OrderStatus,
    OrderTerms,
    PaymentMethod,
    Plan,
    Region,
    RenewalDate,
    SccStatus,
    SpendCap,
    TermMonths,
    UsageLine,
)
from revops.orders.policies.pricing import net_seat_price
from revops.orders.policies.terms import renewal_after, require_fit
from revops.orders.store import ORDERS, TIMELINES
from revops.table import ABSENT, Row, Table, Transaction, claim_holder, claim_key

_CLAIM = "order-change"
_ENDED = {OrderStatus.ACTIVE, OrderStatus.REJECTED, OrderStatus.CANCELLED}


class ChangeSubmission(BaseModel):
    """A change of a live order as it is handed in: what it changes, and of the terms those that become others; what is
    not said stays as agreed. `start_date` is the day from which the change holds: of a renewal, unless it says another,
    the renewal date of what it renews. `deal` says whether a deal is opened for it: unless told, a renewal opens one,
    and an amendment that makes the contract worth more."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    amends: Annotated[str, Field(pattern=r"^ORD_[0-9A-Z]{1,40}$")]
    kind: Literal[OrderKind.AMENDMENT, OrderKind.RENEWAL] = OrderKind.AMENDMENT
    account_id: Annotated[str, Field(pattern=r"^(ACC_[0-9A-Z]{1,40})?$")] = ""
    opportunity_id: Annotated[str, Field(pattern=r"^(OPP_[0-9A-Z]{1,40})?$")] = ""
    deal: Literal["upsell", "renewal", "none"] | None = None
    legal_entity_name: Name | None = None
    signatory_name: Name | None = None
    contact_email: Annotated[str, Field(max_length=254)] | None = None
    contact_phone: Annotated[str, Field(max_length=40)] | None = None
    billing_address: Address | None = None
    plan: Plan | None = None
    currency: Currency | None = None
    start_date: Day | None = None
    term_months: TermMonths | None = None
    list_price: Annotated[int, Field(description="Minor units; without it, that of the plan")] | None = None
    discount_percent: Rate | None = None
    seats: int | None = None
    usage: Annotated[tuple[UsageLine, ...], Field(max_length=10)] | None = None
    region: Region | None = None
    renewal_date: RenewalDate | None = None
    spend_cap: Annotated[SpendCap | None, Field(description="null takes the cap away")] = None
    billing_cycle: BillingCycle | None = None
    payment_method: PaymentMethod | None = None
    stripe_customer_id: Annotated[str, Field(max_length=64)] | None = None
    auto_renewal: bool | None = None
    proration: bool | None = None
    dpa: Executed | None = None
    sccs: SccStatus | None = None
    uk_idta: Executed | None = None
    esign_method: ESignMethod | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """The live order that a change starts from, and the order that made the subscription."""

    order: OrderForm
    root: OrderForm


def require_base(table: Table, order: OrderForm, wanted: ChangeSubmission, now: datetime) -> Base:
    """Raises Invalid, each with what would be accepted, for an order that cannot be changed this way."""
    if wanted.account_id and wanted.account_id != order.account_id:
        raise Invalid.field("account_id", "ORD-5 same-account", "not the account of that order", order.account_id)
    if order.status is not OrderStatus.ACTIVE:
        message = f"order {order.id} is {order.status}; what runs can be changed"
        raise Invalid.field("amends", "ORD-5 live-order", message, "an Active order form")
    root = root_of(table, order)
    timeline = TIMELINES.get(table, root.id)
    if timeline is not None:
        held = timeline.in_force(_effective(order, wanted, now)).order_id
        today = timeline.in_force(int(now.timestamp())).order_id
        if order.id != held and not (wanted.kind is OrderKind.RENEWAL and order.id == today):
            raise Invalid.field("amends", "ORD-5 in-force", f"order {order.id} was changed by {held}", held)
    return Base(order, root)


def _effective(order: OrderForm, wanted: ChangeSubmission, now: datetime) -> int:
    """An instant at which the change holds, when it is signed by then: the end of its first day, or now."""
    renews = order.terms.renewal_date if wanted.kind is OrderKind.RENEWAL else now.date()
    return int(max(now, datetime.combine(wanted.start_date or renews, time.max, UTC)).timestamp())


def changed_terms(base: OrderForm, wanted: ChangeSubmission, listed: Mapping[Plan, int]) -> OrderTerms:
    """The terms of the change. `listed` is the price list in the currency of the subscription. Raises Invalid."""
    said = {name: getattr(wanted, name) for name in wanted.model_fields_set if name in OrderTerms.model_fields}
    fields: dict[str, Any] = {name: getattr(base.terms, name) for name in OrderTerms.model_fields}
    fields |= {name: value for name, value in said.items() if value is not None or name == "spend_cap"}
    if said.get("stripe_customer_id") in {base.stripe_customer_id, ""}:
        fields["stripe_customer_id"] = base.terms.stripe_customer_id  # the one it has, named once more
    if said.get("list_price") is None and fields["plan"] is not base.terms.plan:
        price = listed.get(fields["plan"])
        if price is None:
            raise Invalid.field("list_price", "required", f"{fields['plan']} has no list price here", "minor units")
        fields["list_price"] = price
    _set_dates(fields, base, wanted)
    try:
        terms = OrderTerms.model_validate(fields)
    except ValidationError as error:
        raise _refusal(error) from error
    require_fit(base.terms, terms)
    return terms


def _set_dates(fields: dict[str, Any], base: OrderForm, wanted: ChangeSubmission) -> None:
    if wanted.kind is OrderKind.RENEWAL:
        fields["start_date"] = wanted.start_date or base.terms.renewal_date
        fields["renewal_date"] = wanted.renewal_date or add_months(fields["start_date"], fields["term_months"])
        return
    if wanted.start_date is None:
        message = "an amendment says from which day it holds"
        raise Invalid.field("start_date", "ORD-5 effective-date", message, "a day, such as 2027-01-15")
    if wanted.renewal_date is None:  # it ends with the term it falls into, of one that renewed by itself the present
        fields["renewal_date"] = renewal_after(base, wanted.start_date)


def hold_change(table: Table, transaction: Transaction, base: Base, kind: OrderKind, order_id: str) -> None:
    """Adds that this change is under way, and that the order it changes stands. Raises Invalid while another of its
    kind is; the commit fails with ConditionFailed when another was handed in at the same time."""
    key = claim_key(_CLAIM, f"{base.root.id}\0{kind}")
    row = table.get(key)
    holder = claim_holder(row)
    if holder is not None:
        other = ORDERS.get(table, holder)
        if other is not None and other.status not in _ENDED:
            message = f"{other.kind} {other.id} of it is under way ({other.status})"
            raise Invalid.field("amends", "ORD-5 one-at-a-time", message, "that one finished or cancelled first")
    doc = canonical_json({"holder": order_id})
    version = row.version + 1 if row is not None else 1
    transaction.put(Row(key.pk, key.sk, "CLAIM", version, doc), row.version if row is not None else ABSENT)
    transaction.check(ORDERS.key(base.order.id), base.order.version)


def added_value(before: OrderTerms, after: OrderTerms) -> int:
    """What a change adds to the contract from its day to its renewal, in minor units; below 0 when it takes away."""
    monthly = [
        net_seat_price(each.list_price, each.discount_percent, BillingCycle.MONTHLY) * each.seats
        for each in (before, after)
    ]
    months = Decimal((after.renewal_date - after.start_date).days) * 12 / Decimal("365.25")
    return int(((monthly[1] - monthly[0]) * months).to_integral_value(rounding="ROUND_HALF_UP"))


def _refusal(error: ValidationError) -> Invalid:
    issues = [
        FieldIssue(
            ".".join(map(str, each["loc"])) or _named(each["msg"]),
            each["type"],
            each["msg"].removeprefix("Value error, "),
            str((each.get("ctx") or {}).get("expected", "") or (each.get("ctx") or {}).get("pattern", "")),
        )
        for each in error.errors()[:50]
    ]
    return Invalid("the changed terms do not fit", issues)


def _named(message: str) -> str:
    """The field that a rule about several fields speaks of first."""
    words = message.removeprefix("Value error, ").replace(":", " ").split()
    return next((word for word in words if word in OrderTerms.model_fields), "terms")
