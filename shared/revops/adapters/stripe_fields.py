"""Reading fields of Stripe's objects: whatever stands there, a value of the wanted type comes out."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from revops.kernel import Money, canonical_json

MAX_TEXT = 500
ENDING, PERIOD_END = "ending", "period_end"
"""Metadata of a subscription that somebody asked to end with its period, where `cancel_at_period_end` cannot say so:
with items of several intervals that ends at the first of their ends, a year's seats with the month of their usage
(https://docs.stripe.com/changelog/basil/2025-07-30/cancel-at-enums)."""
_CURRENCY = re.compile("[A-Z]{3}", re.ASCII)

type Json = Mapping[str, Any]


def plan_of(subscription: Json) -> tuple[str, str]:
    """Price id and plan name of a subscription's first item: the name its maker gave it, else the price's."""
    items = object_of(subscription.get("items")).get("data")
    first = object_of(items[0]) if isinstance(items, list) and items else {}
    price = object_of(first.get("price")) or object_of(first.get("plan")) or object_of(subscription.get("plan"))
    name = first_of(object_of(subscription.get("metadata")), "plan", "plan_name")
    return id_of(price), name or text_of(price.get("nickname")) or text_of(price.get("lookup_key")) or id_of(price)


def ends_with_period(subscription: Json) -> bool:
    """Whether somebody asked for its end with its period."""
    marked = object_of(subscription.get("metadata")).get(ENDING) == PERIOD_END and subscription.get("cancel_at")
    return bool(subscription.get("cancel_at_period_end") or marked)


def period_ends(subscription: Json) -> list[int]:
    """When the periods of its items end."""
    items = object_of(subscription.get("items")).get("data") or ()
    return [item["current_period_end"] for item in items if item.get("current_period_end")]


def money_of(object_: Json, *names: str) -> Money | None:
    """The first amount of these names that is not zero, in the object's currency; None where it has none."""
    currency = text_of(object_.get("currency")).upper()
    if not _CURRENCY.fullmatch(currency):
        return None
    for name in names:
        minor = object_.get(name)
        if isinstance(minor, int) and not isinstance(minor, bool) and minor:
            return Money(minor=minor, currency=currency)
    return Money(minor=0, currency=currency)


def for_amount(amount: Money | None) -> str:
    """“ of 12.00 EUR”, or nothing."""
    return f" of {amount}" if amount else ""


def time_of(value: object) -> datetime | None:
    """A Unix time."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) and 0 < value < 10**11 else None


def object_of(value: object) -> Json:
    """An object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """A text, cut to a length that a log entry holds; empty for anything else."""
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def id_of(value: object) -> str:
    """An id, bare or of an expanded object."""
    return text_of(value.get("id") if isinstance(value, dict) else value)


def first_of(metadata: Json, *names: str) -> str | None:
    """The first of these keys that has a text."""
    return next((text for name in names if (text := text_of(metadata.get(name)))), None)


def digest(value: object) -> str:
    """The same for the same content, whatever the order of its keys."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
