"""Order forms, and how they come to be active."""

import base64
from datetime import UTC, date, datetime
from typing import Any

from tests.acceptance.stack import Json, Stack, eventually, fresh

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def today() -> date:
    return datetime.now(UTC).date()


def form(**agreed: Any) -> Json:
    """A standard order form of a company nobody knows yet, with every document its region needs."""
    word = fresh()
    return {
        "legal_entity_name": f"{word} Handels GmbH",
        "signatory_name": "राहुल पाटील",
        "contact_email": f"rahul@{word}.example",
        "contact_phone": "+49 30 901820",
        "billing_address": {"line1": "Hafenweg 1", "city": "Hamburg", "postal_code": "20457", "country": "DE"},
        "plan": "Professional",
        "currency": "EUR",
        "start_date": today().isoformat(),
        "term_months": 12,
        "seats": 5,
        "usage": [{"meter": "Pooled", "monthly_cap": 1000, "overage_price": "0.015"}],
        "region": "EU",
        "spend_cap": {"minor": 100_000, "period": "Monthly"},
        "billing_cycle": "Monthly",
        "payment_method": "Invoice",
        "dpa": "Yes",
        "sccs": "Module 2",
        "esign_method": "Manual",
    } | agreed


def submitted(stack: Stack, user: str = "rep", key: str = "", **agreed: Any) -> Json:
    """An order form as it stands right after it was handed in."""
    order: Json = stack.ok(
        "POST",
        "/api/v1/orders",
        expect=201,
        user=user,
        json=form(**agreed),
        headers={"Idempotency-Key": key or fresh()},
    )
    return order


def progress(stack: Stack, order_id: str, user: str = "admin") -> Json:
    body: Json = stack.ok("GET", f"/api/v1/orders/{order_id}/progress", user=user)
    return body


def reached(stack: Stack, order_id: str, status: str) -> Json:
    """The progress of an order once it has that status."""

    def look() -> Json | None:
        now = progress(stack, order_id)
        return now if now["status"] == status else None

    return eventually(f"order {order_id} {status}", look) or {}


def signature() -> Json:
    return {
        "signatory_name": "राहुल पाटील",
        "signed_on": today().isoformat(),
        "document": base64.b64encode(PDF).decode(),
    }


def sign(stack: Stack, order_id: str, user: str = "rep") -> Json:
    """The order after its signed form came in."""
    reached(stack, order_id, "AwaitingSignature")
    order: Json = stack.ok("POST", f"/api/v1/orders/{order_id}/signature", user=user, json=signature())
    return order


def active(stack: Stack, user: str = "rep", **agreed: Any) -> Json:
    """An order that went the whole way to its subscription."""
    order = submitted(stack, user, **agreed)
    sign(stack, order["id"], user)
    reached(stack, order["id"], "Active")
    result: Json = stack.ok("GET", f"/api/v1/orders/{order['id']}", user=user)
    return result


def subscriptions_of(stack: Stack, order_id: str) -> list[Json]:
    """Every subscription at Stripe that names the order, ended ones too."""
    listed = stack.held("stripe", "subscription", order_id)
    return [each for each in listed if each["metadata"].get("order_form") == order_id]
