"""The gateway over the official library, with canned answers in the place of the network."""

import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe

from revops.adapters.stripe_client import API_VERSION, stripe_client
from revops.adapters.stripe_gateway import StripeReads, billing_facts
from revops.billing import MembershipPolicy, membership_status
from revops.billing.model import PaymentFact
from revops.billing.ports import StripeRefused
from revops.kernel import Money, Unavailable
from tests.builders.billing import START

pytestmark = pytest.mark.mission("STR-2")

AT = int(START.timestamp())
DAY = 86_400


def _list(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(objects), "has_more": False, "url": "/v1/things"}


CUSTOMER = {"id": "cus_1", "object": "customer", "currency": "eur", "metadata": {"account_id": "ACC_ONE"}}
SUBSCRIPTION = {
    "id": "sub_1",
    "object": "subscription",
    "status": "past_due",
    "created": AT,
    "currency": "eur",
    "cancel_at_period_end": True,
    "cancel_at": None,
    "ended_at": None,
    "metadata": {"plan": "Professional"},
    "items": _list(
        {
            "id": "si_1",
            "object": "subscription_item",
            "current_period_start": AT,
            "current_period_end": AT + 30 * DAY,
            "price": {"id": "price_1", "object": "price", "nickname": "Pro monthly"},
        }
    ),
}
PAID = {
    "id": "in_paid",
    "object": "invoice",
    "status": "paid",
    "currency": "eur",
    "created": AT,
    "amount_paid": 5000,
    "amount_remaining": 0,
    "status_transitions": {"finalized_at": AT, "paid_at": AT + 5},
    "payments": _list({"id": "ip_1", "object": "invoice_payment", "payment": {"payment_intent": "pi_invoice"}}),
}
OPEN = {
    "id": "in_open",
    "object": "invoice",
    "status": "open",
    "currency": "eur",
    "created": AT,
    "collection_method": "charge_automatically",
    "attempted": True,
    "amount_paid": 0,
    "amount_remaining": 700,
    "due_date": None,
    "status_transitions": {"finalized_at": AT + 3600, "paid_at": None},
    "parent": {"subscription_details": {"subscription": "sub_1"}},
    "payments": _list({"id": "ip_2", "object": "invoice_payment", "payment": {"payment_intent": "pi_failing"}}),
}


def _intent(id_: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "object": "payment_intent", "status": status, "created": AT, "currency": "eur"} | more


def _entitlement(lookup_key: str) -> dict[str, Any]:
    id_, kind = f"ent_{lookup_key}", "entitlements.active_entitlement"
    return {"id": id_, "object": kind, "lookup_key": lookup_key, "feature": f"feat_{lookup_key}", "livemode": False}


def _charge(**more: Any) -> dict[str, Any]:
    return {"id": "ch_1", "object": "charge", "created": AT + 5, "amount_refunded": 0} | more


INTENTS = (
    _intent("pi_invoice", "succeeded", amount=5000, amount_received=5000, latest_charge=_charge(amount_refunded=200)),
    _intent("pi_single", "succeeded", amount=300, amount_received=300, latest_charge=None),
    _intent("pi_failing", "requires_payment_method", amount=700, last_payment_error={"code": "card_declined"}),
    _intent("pi_waiting", "requires_action", amount=1, amount_received=0),
    _intent("pi_gone", "canceled", amount=1, amount_received=0),
)


class Canned(stripe.HTTPClient):
    """Answers by path; remembers what was asked."""

    name = "canned"

    def __init__(self, answers: Mapping[str, tuple[int, Any, Mapping[str, str]]]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[tuple[str, dict[str, list[str]], Mapping[str, str]]] = []

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        parts = urlsplit(url)
        self.asked.append((f"{method} {parts.path}", parse_qs(parts.query), headers or {}))
        status, body, more = self.answers[parts.path]
        if status == 0:
            raise stripe.APIConnectionError("timed out", should_retry=True)  # type: ignore[no-untyped-call]
        return json.dumps(body), status, more

    def close(self) -> None:
        pass


def _gateway(answers: Mapping[str, Any], status: int = 200, **headers: str) -> tuple[StripeReads, Canned]:
    http = Canned({path: (status, body, headers) for path, body in answers.items()})
    client = stripe.StripeClient(secrets.token_hex(8), http_client=http, max_network_retries=0)
    return StripeReads(lambda: client), http


def test_everything_about_a_payer_in_five_questions() -> None:
    gateway, http = _gateway(
        {
            "/v1/customers/cus_1": CUSTOMER,
            "/v1/subscriptions": _list(SUBSCRIPTION),
            "/v1/invoices": _list(OPEN, PAID),
            "/v1/payment_intents": _list(*INTENTS),
            "/v1/entitlements/active_entitlements": _list(*(_entitlement(key) for key in ("sso", "api"))),
        }
    )
    facts = gateway.facts("cus_1")
    assert [asked for asked, _, _ in http.asked] == [
        "get /v1/customers/cus_1",
        "get /v1/subscriptions",
        "get /v1/invoices",
        "get /v1/payment_intents",
        "get /v1/entitlements/active_entitlements",
    ]
    assert http.asked[1][1]["status"] == ["all"]
    assert (facts.account_id, facts.currency) == ("ACC_ONE", "EUR")
    (subscription,) = facts.subscriptions
    assert (subscription.plan_id, subscription.plan_name) == ("price_1", "Professional")
    assert subscription.cancel_at == START + timedelta(days=30)
    (invoice,) = facts.unpaid
    assert (invoice.id, invoice.remaining, invoice.subscription_id) == (
        "in_open",
        Money(minor=700, currency="EUR"),
        "sub_1",
    )
    assert facts.invoice_of == {"pi_invoice": "in_paid", "pi_failing": "in_open"}
    assert facts.subscription_of == {"in_open": "sub_1"}
    assert facts.features == ("api", "sso")
    assert facts.lifetime == {"EUR": 5000 + 300 - 200}
    assert [(payment.id, payment.succeeded) for payment in facts.payments] == [
        ("pi_invoice", True),
        ("pi_single", True),
        ("pi_failing", False),
        ("in_paid", True),
    ]
    assert membership_status(facts, START + timedelta(days=1), MembershipPolicy()).status == "suspended"


def test_a_payment_without_a_customer_is_its_own_payer() -> None:
    gateway, _ = _gateway({"/v1/payment_intents/pi_single": INTENTS[1]})
    assert gateway.payer_of("payment_intent", "pi_single") == "pi_single"
    assert gateway.facts("pi_single").payments == (
        PaymentFact("pi_single", START, True, Money(minor=300, currency="EUR")),
    )


@pytest.mark.parametrize(
    ("object_type", "object_id", "path", "answer", "payer"),
    [
        ("invoice", "in_1", "/v1/invoices/in_1", {"object": "invoice", "id": "in_1", "customer": "cus_1"}, "cus_1"),
        ("charge", "ch_1", "/v1/charges/ch_1", {"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}, "pi_1"),
        ("charge", "ch_1", "/v1/charges/ch_1", {"object": "charge", "id": "ch_1", "customer": None}, None),
        ("subscription", "sub_1", "/v1/subscriptions/sub_1", SUBSCRIPTION | {"customer": {"id": "cus_1"}}, "cus_1"),
        ("customer", "cus_1", "/none", {}, "cus_1"),
        ("price", "price_1", "/none", {}, None),
        (
            "dispute",
            "du_1",
            "/v1/disputes/du_1",
            {"object": "dispute", "id": "du_1", "charge": {"object": "charge", "id": "ch_1", "customer": "cus_1"}},
            "cus_1",
        ),
        (
            "refund",
            "re_1",
            "/v1/refunds/re_1",
            {"object": "refund", "id": "re_1", "charge": {"object": "charge", "id": "ch_1"}, "payment_intent": "pi_1"},
            "pi_1",
        ),
        (
            "subscription_schedule",
            "sub_sched_1",
            "/v1/subscription_schedules/sub_sched_1",
            {"object": "subscription_schedule", "id": "sub_sched_1", "customer": "cus_1"},
            "cus_1",
        ),
        (
            "billing.credit_grant",
            "credgr_1",
            "/v1/billing/credit_grants/credgr_1",
            {"object": "billing.credit_grant", "id": "credgr_1", "customer": "cus_1"},
            "cus_1",
        ),
        (
            "billing.credit_balance_transaction",
            "cbtxn_1",
            "/v1/billing/credit_balance_transactions/cbtxn_1",
            {
                "object": "billing.credit_balance_transaction",
                "id": "cbtxn_1",
                "credit_grant": {"object": "billing.credit_grant", "id": "credgr_1", "customer": "cus_1"},
            },
            "cus_1",
        ),
        (
            "billing.alert",
            "alrt_1",
            "/v1/billing/alerts/alrt_1",
            {"object": "billing.alert", "id": "alrt_1", "usage_threshold": {"filters": [{"customer": "cus_1"}]}},
            "cus_1",
        ),
    ],
)
def test_who_pays_for_an_object(
    object_type: str, object_id: str, path: str, answer: dict[str, Any], payer: str | None
) -> None:
    gateway, http = _gateway({path: answer})
    assert gateway.payer_of(object_type, object_id) == payer
    assert len(http.asked) <= 1


@pytest.mark.mission("STR-1")
def test_a_report_about_a_meter_is_fetched_by_its_event() -> None:
    error = {
        "code": "timestamp_too_far_in_past",
        "error_count": 3,
        "sample_errors": [{"request": {"identifier": "u-1"}}],
    }
    event = {
        "id": "evt_m",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "created": "2026-11-01T08:00:10.000Z",
        "livemode": False,
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"},
        "data": {
            "developer_message_summary": "There are 3 invalid events",
            "reason": {"error_count": 3, "error_types": [error]},
            "validation_start": "2026-11-01T08:00:00.000Z",
            "validation_end": "2026-11-01T08:00:10.000Z",
        },
    }
    gateway, http = _gateway({"/v2/core/events/evt_m": event})
    errors = gateway.meter_errors("evt_m")
    assert [asked for asked, _, _ in http.asked] == ["get /v2/core/events/evt_m"]
    assert (errors.meter_id, errors.count, errors.start) == ("mtr_1", 3, START)
    assert (dict(errors.codes), errors.samples) == ({"timestamp_too_far_in_past": 3}, ("u-1",))


@pytest.mark.mission("STR-6")
@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 502, 503])
def test_answers_that_may_change_are_unavailable(status: int) -> None:
    error = {"error": {"type": "api_error", "code": "lock_timeout", "message": "busy"}}
    gateway, _ = _gateway({"/v1/customers/cus_1": error}, status, **{"retry-after": "7"})
    with pytest.raises(Unavailable) as caught:
        gateway.facts("cus_1")
    assert caught.value.retry_after == 7


@pytest.mark.mission("STR-6")
def test_no_answer_is_unavailable() -> None:
    gateway, _ = _gateway({"/v1/customers/cus_1": {}}, 0)
    with pytest.raises(Unavailable):
        gateway.facts("cus_1")


@pytest.mark.mission("STR-6")
@pytest.mark.parametrize("status", [400, 402, 404])
def test_answers_that_will_not_change_are_refusals(status: int) -> None:
    error = {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such customer"}}
    gateway, _ = _gateway({"/v1/customers/cus_1": error}, status)
    with pytest.raises(StripeRefused, match="No such customer") as caught:
        gateway.facts("cus_1")
    assert caught.value.code == "resource_missing"
    assert not caught.value.retryable


def test_a_deleted_customer_has_no_currency_and_is_deleted() -> None:
    facts = billing_facts("cus_1", {"id": "cus_1", "object": "customer", "deleted": True}, [], [], [])
    assert facts.deleted
    assert membership_status(facts, START, MembershipPolicy()).status == "inactive"


def test_the_client_is_pinned() -> None:
    client = stripe_client(secrets.token_hex(8), "http://127.0.0.1:1")
    assert client._requestor._options.stripe_version == API_VERSION == stripe.api_version
    assert client._requestor._options.base_addresses["api"] == "http://127.0.0.1:1"


@pytest.mark.fault("S8")
def test_a_refused_key_is_asked_for_again() -> None:
    refused = {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}}
    answers: list[tuple[int, dict[str, Any]]] = [(401, refused), (200, INTENTS[1])]
    keys: list[str] = []

    def connect() -> stripe.StripeClient:
        keys.append(secrets.token_hex(8))
        http = Canned({"/v1/payment_intents/pi_single": (*answers.pop(0), {})})
        return stripe.StripeClient(keys[-1], http_client=http, max_network_retries=0)

    gateway = StripeReads(connect)
    with pytest.raises(Unavailable):
        gateway.facts("pi_single")
    assert gateway.facts("pi_single").lifetime == {"EUR": 300}
    assert len(keys) == 2
