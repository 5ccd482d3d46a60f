"""The Stripe simulator, seen from outside: the official Python client, the official CLI and a webhook receiver."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import stripe

from local.simulators.common import contracts_folder
from local.simulators.stripe import API_VERSION, sdk_types
from local.simulators.stripe.context import routes
from local.simulators.stripe.contract import StripeContract
from tests.contract.stripe_harness import ROOT, Bench, wait_for


def test_health_names_the_contract(bench: Bench) -> None:
    state = bench.sim("GET", "health")
    assert state["status"] == "ok"
    assert state["contract"].startswith("on: 2026-10-28.endive")


@pytest.mark.skipif(not contracts_folder("stripe"), reason="no contracts folder beside the project")
def test_the_sdk_types_say_what_the_contracts_folder_says() -> None:
    folder = contracts_folder("stripe")
    assert folder is not None
    published = [
        json.loads((folder / f"{side}_contract_{API_VERSION}.json").read_text()) for side in ("request", "response")
    ]
    derived = [sdk_types.request_document(), sdk_types.response_document()]
    for method, steps, _ in routes.table:
        path = "/" + "/".join(steps)
        if path.startswith("/v2/"):
            continue  # the SDK's types are read for v1 alone
        name = next(name for name in published[0]["operations"] if _blank(name) == _blank(f"{method} {path}"))
        ours, theirs = derived[0]["operations"][name], published[0]["operations"][name]
        assert (ours["params"], ours["returns_ref"]) == (theirs["params"], theirs["returns_ref"])
        for side, key in ((0, "params"), (1, "returns_ref")):
            if theirs[key] is None:
                continue
            mine, published_schema = derived[side]["$defs"][theirs[key]], published[side]["$defs"][theirs[key]]
            assert set(mine["properties"]) == set(published_schema["properties"]), name
            assert set(mine["required"]) == set(published_schema["required"]), name


def test_by_the_sdk_types_alone_v1_is_judged_and_v2_is_not() -> None:
    """As where the contracts folder is absent."""
    contract = StripeContract(sdk_types.request_document(), sdk_types.response_document(), "the SDK's types")
    for path, problems in (("/v2/core/events/evt_1", 0), ("/v1/customers/cus_1", 1)):
        assert len(contract.answer("GET", path, 200, {"object": "v2.core.event", "id": "evt_1"})) == problems
        assert len(contract.request("GET", path, {"nobody": "1"}, versioned=True)) == problems


def _blank(operation: str) -> str:
    return re.sub(r"{\w+}", "{}", operation)


def test_idempotency_key(bench: Bench) -> None:
    customer, price = bench.customer(), bench.price()
    first = bench.subscribe(customer.id, price.id, {"idempotency_key": "of:1:v1:subscription"})
    again = bench.subscribe(customer.id, price.id, {"idempotency_key": "of:1:v1:subscription"})
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        bench.subscribe(customer.id, price.id, {"idempotency_key": "of:1:v1:subscription"}, description="other")
    assert len(bench.client.v1.subscriptions.list().data) == 1


def test_the_state_is_shown_by_kind_and_by_what_it_mentions(bench: Bench) -> None:
    one, other = bench.customer(), bench.customer()
    whole = bench.sim("GET", "state")
    assert {"customer", "event"} <= whole.keys()
    assert bench.sim("GET", "state?kind=customer") == {"customer": whole["customer"]}
    (found,) = bench.sim("GET", f"state?kind=customer&about={one.id}")["customer"]
    assert found["id"] == one.id != other.id
    told = [event["data"]["object"] for event in bench.sim("GET", f"state?kind=event&about={one.id}")["event"]]
    assert {about.get("customer", about["id"]) for about in told} == {one.id}
    assert bench.sim("GET", "state?kind=price") == {"price": []}


def test_saved_500_is_replayed_and_a_new_key_works(bench: Bench) -> None:
    customer, price = bench.customer(), bench.price()
    match = {"method": "POST", "path": "^/v1/subscriptions$"}
    rule = {"on": "request", "match": match, "do": "status", "status": 500, "times": 1, "after_work": True}
    bench.sim("POST", "faults", [rule])
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            bench.subscribe(customer.id, price.id, {"idempotency_key": "k1"}, metadata={"order_form": "ORD_9"})
    found = bench.client.v1.subscriptions.search({"query": "metadata['order_form']:'ORD_9'"})
    assert len(found.data) == 1
    bench.subscribe(customer.id, price.id, {"idempotency_key": "k2"})
    statuses = [entry["status"] for entry in bench.sim("GET", "requests") if entry["path"] == "/v1/subscriptions"]
    assert statuses == [500, 500, 200]


def test_lost_response_rate_limit_and_delay(bench: Bench) -> None:
    customer, price = bench.customer(), bench.price()
    match = {"method": "POST", "path": "^/v1/subscriptions$"}
    bench.sim("POST", "faults", [{"on": "request", "match": match, "do": "lose_response", "times": 1}])
    with pytest.raises(stripe.APIConnectionError):
        bench.subscribe(customer.id, price.id, {"idempotency_key": "k1"})
    assert bench.subscribe(customer.id, price.id, {"idempotency_key": "k1"}).status == "active"
    assert len(bench.client.v1.subscriptions.list().data) == 1
    busy = {"on": "request", "match": match, "do": "status", "status": 429, "retry_after": 2, "times": 1}
    bench.sim("POST", "faults", [busy, {"on": "request", "do": "delay", "seconds": 0.3, "times": 1}])
    with pytest.raises(stripe.RateLimitError) as limited:
        bench.subscribe(customer.id, price.id, {"idempotency_key": "k2"})
    assert limited.value.headers is not None
    assert {name.lower(): value for name, value in limited.value.headers.items()}["retry-after"] == "2"
    began = time.monotonic()
    assert bench.subscribe(customer.id, price.id, {"idempotency_key": "k2"}).status == "active"
    assert time.monotonic() - began >= 0.3


def test_errors_have_stripes_shape(bench: Bench) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        bench.client.v1.subscriptions.retrieve("sub_nothing")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.AuthenticationError):
        bench.make_client("_".join(("sk", "test", "other"))).v1.customers.list()
    with pytest.raises(stripe.CardError) as refused:
        bench.client.v1.payment_intents.create(
            {"amount": 100, "currency": "gbp", "confirm": True, "payment_method": "pm_card_chargeDeclined"}
        )
    body: Any = refused.value.json_body
    assert body["error"]["payment_intent"]["status"] == "requires_payment_method"
    assert {"charge.failed", "payment_intent.payment_failed"} <= set(bench.types())


def test_requests_outside_the_contract_are_refused_and_recorded(bench: Bench) -> None:
    wrong: Any = {"email": "a@example.test", "colour": "red"}
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        bench.client.v1.customers.create(wrong)
    assert (unknown.value.code, unknown.value.param) == ("parameter_unknown", "colour")
    with pytest.raises(stripe.InvalidRequestError):
        bench.client.raw_request("post", "/v1/subscription_items/si_1/usage_records", quantity=1)
    old: Any = {"amount": 1, "currency": "gbp", "payment_method_types": ["card"]}
    with pytest.raises(stripe.InvalidRequestError):
        bench.client.v1.payment_intents.create(old)
    kinds = [entry["problems"][0]["code"] for entry in bench.sim("GET", "violations")]
    assert kinds == ["unknown", "endpoint", "unknown"]


def test_lists_search_lag_and_expansion(bench: Bench) -> None:
    made = [bench.customer(email=f"c{n}@example.test").id for n in range(5)]
    first = bench.client.v1.customers.list({"limit": 2})
    assert [c.id for c in first.data] == [made[4], made[3]]
    assert first.has_more is True
    second = bench.client.v1.customers.list({"limit": 3, "starting_after": made[3]})
    assert [c.id for c in second.data] == [made[2], made[1], made[0]]
    assert len(list(bench.client.v1.customers.list({"limit": 2}).auto_paging_iter())) == 5
    bench.sim("POST", "faults", [{"search_lag_seconds": 60}])
    query: Any = {"query": 'email:"c3@example.test"'}
    assert bench.client.v1.customers.search(query).data == []
    bench.advance(61)
    assert [c.id for c in bench.client.v1.customers.search(query).data] == [made[3]]
    bench.subscribe(made[0], bench.price().id)
    listed = bench.client.v1.subscriptions.list(
        {"customer": made[0], "expand": ["data.customer", "data.latest_invoice"]}
    )
    customer: Any = listed.data[0].customer
    assert customer.email == "c0@example.test"
    bench.client.v1.customers.delete(made[0])
    assert bench.client.v1.customers.retrieve(made[0]).deleted is True


def test_webhooks_are_retried_signed_afresh_and_survive_a_restart(bench: Bench) -> None:
    bench.receiver.refuse = 2
    customer = bench.customer()
    wait_for(lambda: bench.sim("GET", "health")["pending_deliveries"] == 0)
    tried = [d for d in bench.sim("GET", "deliveries") if d["answers"][:1] == ["500"]]
    assert tried
    assert all(d["status"] == "delivered" and d["answers"][-1] == "200" for d in tried)
    bench.receiver.refuse = 1_000
    bench.client.v1.customers.update(customer.id, {"name": "Ada"})
    wait_for(lambda: any(d["tries"] for d in bench.sim("GET", "deliveries") if d["status"] == "pending"))
    bench.stop()
    bench.receiver.refuse = 0
    bench.start()
    assert "customer.updated" in bench.types(customer.id)
    assert bench.client.v1.customers.retrieve(customer.id).name == "Ada"
    updated = [d for d in bench.sim("GET", "deliveries") if d["type"] == "customer.updated"]
    assert updated[0]["tries"] >= 2
    assert len(set(bench.receiver.signatures)) > 1


def test_webhook_disorder_is_what_was_asked_for(bench: Bench) -> None:
    on: dict[str, Any] = {"on": "webhook"}
    bench.sim(
        "POST",
        "faults",
        [
            {"seed": 7},
            {**on, "match": {"type": "^product.created$"}, "do": "drop", "times": 1},
            {**on, "match": {"type": "^customer.created$"}, "do": "duplicate", "times": 1, "fresh_id": True},
            {**on, "match": {"type": "^price"}, "do": "reorder", "window": 3, "times": 3},
            {**on, "match": {"type": "^customer.updated$"}, "do": "delay", "seconds": 0.5, "times": 1},
        ],
    )
    customer = bench.customer()
    prices = [bench.price(amount) for amount in (1, 2, 3)]
    bench.client.v1.customers.update(customer.id, {"name": "Later"})
    seen = bench.types()
    twins = [e for e in bench.receiver.events if e["type"] == "customer.created"]
    assert len({e["id"] for e in twins}) == len(twins) == 2
    assert len({e["data"]["object"]["id"] for e in twins}) == 1
    assert seen.count("product.created") == 2
    order = [e["data"]["object"]["id"] for e in bench.receiver.events if e["type"] == "price.created"]
    assert sorted(order) == sorted(price.id for price in prices)
    assert order != [price.id for price in prices]
    assert seen[-1] == "customer.updated"
    with pytest.raises(AssertionError):
        bench.sim("POST", "faults", [{"on": "webhook", "do": "explode"}])
    with pytest.raises(AssertionError):
        bench.sim("POST", "faults", [{"on": "request", "do": "lose_response", "match": {"colour": "red"}}])
    dropped = next(d for d in bench.sim("GET", "deliveries") if d["status"] == "dropped")
    assert bench.sim("POST", "resend", {"event_id": dropped["event_id"]}) == {"sent": 1}
    assert bench.types().count("product.created") == 3


def test_the_clock_goes_forward_alone(bench: Bench) -> None:
    with pytest.raises(AssertionError, match=r'"send .* a whole number'):
        bench.sim("POST", "clock", {"advance_seconds": -1})


def test_one_customers_webhooks_can_be_dropped_alone(bench: Bench) -> None:
    one, other = bench.customer(), bench.customer()
    bench.sim("POST", "faults", [{"on": "webhook", "do": "drop", "match": {"about": one.id}}])
    for each in (one, other):
        bench.client.v1.customers.update(each.id, {"name": "Later"})
    assert bench.types().count("customer.updated") == 1
    (told,) = [event for event in bench.receiver.events if event["type"] == "customer.updated"]
    assert told["data"]["object"]["id"] == other.id


def _cli() -> str | None:
    named = os.environ.get("REVOPS_STRIPE_CLI")
    return named or next((str(path) for path in ROOT.glob("node_modules/@stripe/cli-*/bin/stripe")), None)


@pytest.mark.skipif(_cli() is None, reason="the Stripe CLI is not installed (npm package @stripe/cli-linux-x64)")
@pytest.mark.parametrize(
    "event",
    [
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice.payment_failed",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
    ],
)
def test_official_cli_triggers(bench: Bench, event: str, tmp_path: Path) -> None:
    customer = bench.customer()
    command = [str(_cli()), "trigger", event, "--api-base", bench.base, "--api-key", bench.key]
    if event.startswith("payment_intent"):
        command += ["--add", f"payment_intent:customer={customer.id}"]
    else:
        step = "subscription" if "subscription" in event else "invoice"
        command += ["--skip", "customer", "--override", f"{step}:customer={customer.id}"]
        attaching = ["--override", f"payment_method:customer={customer.id}"]
        command += [] if step == "subscription" else [*attaching, "--override", f"invoiceitem:customer={customer.id}"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert event in bench.types(customer.id)
