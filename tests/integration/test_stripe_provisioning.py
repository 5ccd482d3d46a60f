"""Provisioning through the real SDK against the Stripe simulator, which misbehaves on demand.

Every request is checked against Stripe's own contract where that is at hand; a violation fails the test.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from stripe import StripeClient

from revops.adapters.crm_records import StoredCrmRecords
from revops.adapters.stripe_client import stripe_client
from revops.adapters.stripe_provisioning import StripeProvisioning
from revops.crm.model import AccountType, OpportunityStage
from revops.crm.store import ACCOUNTS, OPPORTUNITIES
from revops.kernel import Unavailable
from revops.orders.decisions import Amendment
from revops.orders.model import OrderStatus, Step
from revops.orders.workflow import StepTask
from revops.table.dynamo import DynamoTable
from tests.builders.clock import seeded_ids
from tests.builders.loopback import free_port
from tests.builders.orders import REP, WORKER, Desk

KEY = secrets.token_hex(12)
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port = free_port()
    command = [sys.executable, "-m", "local.simulators.stripe", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--state", str(tmp_path_factory.mktemp("stripe"))],
        cwd=PROJECT,
        env={**os.environ, "STRIPE_SIM_API_KEY": KEY},
        stderr=subprocess.DEVNULL,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(200):
            try:
                client.get("/_sim/health").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield client
    process.send_signal(signal.SIGTERM)
    process.wait(10)


@pytest.fixture
def stripe(simulator: httpx.Client) -> Iterator[httpx.Client]:
    simulator.delete("/_sim/faults").raise_for_status()
    simulator.post("/_sim/reset", json={}).raise_for_status()
    yield simulator
    violations = simulator.get("/_sim/violations").json()
    assert violations == []


@pytest.fixture
def gateway(stripe: httpx.Client) -> StripeProvisioning:
    client = stripe_client(KEY, str(stripe.base_url).rstrip("/"), retries=0)
    return StripeProvisioning(lambda: client)


@pytest.fixture
def desk(gateway: StripeProvisioning) -> Desk:
    """The use cases of orders, with the real gateway in place of the fake one."""
    return Desk(gateway=gateway)


def requests(stripe: httpx.Client, path: str) -> list[dict[str, Any]]:
    journal = stripe.get("/_sim/requests").json()
    entries: list[dict[str, Any]] = journal if isinstance(journal, list) else next(iter(journal.values()))
    return [entry for entry in entries if entry["method"] == "POST" and entry["path"] == path]


def subscriptions(stripe: httpx.Client) -> list[dict[str, Any]]:
    answer = stripe.get("/v1/subscriptions?status=all&limit=100", headers={"Authorization": f"Bearer {KEY}"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return found


def misbehave(stripe: httpx.Client, path: str, do: str, times: int = 1, **more: object) -> None:
    rule = {"on": "request", "do": do, "match": {"method": "POST", "path": path}, "times": times, **more}
    stripe.post("/_sim/faults", json=[rule]).raise_for_status()


def attempt(desk: Desk, order_id: str) -> None:
    try:
        desk.run(StepTask(order_id, Step.PROVISION), WORKER)
    except Unavailable:
        return  # the execution comes again


@pytest.mark.mission("ORD-4", "ORD-5")
@pytest.mark.parametrize("method", ["Credit Card", "ACH", "Wire Transfer", "Invoice"])
def test_an_executed_order_becomes_one_subscription(desk: Desk, stripe: httpx.Client, method: str) -> None:
    order = desk.executed(
        payment_method=method, discount_percent="7.5", start_date="2026-11-20", currency="USD", region="US"
    )
    assert desk.run_until_it_waits(order.id).status is OrderStatus.ACTIVE
    (made,) = subscriptions(stripe)
    assert made["metadata"] == {"order_form": order.id, "account_id": order.account_id, "plan": "Professional"}
    seats, usage = made["items"]["data"]
    assert (seats["quantity"], seats["price"]["unit_amount_decimal"]) == (25, "5457.5")
    assert (usage["price"]["recurring"]["usage_type"], usage["price"]["tiers_mode"]) == ("metered", "graduated")
    assert (made["status"], made["collection_method"]) == ("active", "send_invoice")
    assert made["billing_mode"]["type"] == "flexible"
    options = (made["payment_settings"]["payment_method_options"] or {}).get("customer_balance")
    transfer = {"bank_transfer": {"type": "us_bank_transfer"}, "funding_type": "bank_transfer"}
    assert options == (transfer if method == "Wire Transfer" else None)
    assert desk.order(order.id).stripe_subscription_id == made["id"]


@pytest.mark.mission("ORD-1", "ORD-2", "ORD-4", "CRM-4")
def test_the_whole_way_on_the_real_table_and_the_crm_s_own_records(
    dynamo_table: DynamoTable, gateway: StripeProvisioning, stripe: httpx.Client
) -> None:
    desk = Desk(dynamo_table, crm=StoredCrmRecords(dynamo_table, seeded_ids(7)), gateway=gateway)
    order = desk.executed(discount_percent="5")
    assert OPPORTUNITIES.require(dynamo_table, order.opportunity_id).stage is OpportunityStage.NEGOTIATION
    active = desk.run_until_it_waits(order.id)
    deal = OPPORTUNITIES.require(dynamo_table, order.opportunity_id)
    assert (active.status, deal.stage) == (OrderStatus.ACTIVE, OpportunityStage.CLOSED_WON)
    assert deal.evidence is not None
    assert deal.evidence.subscription_id == active.stripe_subscription_id == subscriptions(stripe)[0]["id"]
    assert ACCOUNTS.require(dynamo_table, order.account_id).type is AccountType.CUSTOMER
    assert [step.name for step in desk.progress(order.id, REP).steps][-1] is Step.ACTIVATE
    ended = desk.submitted(esign_method="Adobe Sign")
    assert desk.run_until_it_waits(ended.id).status is OrderStatus.CANCELLED
    assert OPPORTUNITIES.require(dynamo_table, ended.opportunity_id).stage is OpportunityStage.CLOSED_LOST


@pytest.mark.mission("ORD-5")
def test_nothing_is_charged_before_the_start(desk: Desk, stripe: httpx.Client) -> None:
    order = desk.executed(start_date="2027-02-01")
    desk.run_until_it_waits(order.id)
    (made,) = subscriptions(stripe)
    assert (made["status"], made["trial_end"]) == ("trialing", 1801440000)


@pytest.mark.mission("ORD-5")
def test_equal_terms_share_product_and_price(desk: Desk, stripe: httpx.Client) -> None:
    first, second = desk.executed(), desk.executed(seats=3)
    for order in (first, second):
        desk.run_until_it_waits(order.id)
    prices = {made["items"]["data"][0]["price"]["id"] for made in subscriptions(stripe)}
    assert len(prices) == 1
    assert len(subscriptions(stripe)) == 2


@pytest.mark.mission("ORD-4")
@pytest.mark.fault("R8")
@pytest.mark.parametrize("path", ["/v1/products$", "/v1/prices$", "/v1/customers$", "/v1/subscriptions$"])
@pytest.mark.parametrize(
    ("do", "more"),
    [("lose_response", {}), ("status", {"status": 429}), ("status", {"status": 500, "after_work": True})],
)
def test_a_bad_moment_costs_nothing_but_time(
    desk: Desk, stripe: httpx.Client, path: str, do: str, more: dict[str, Any]
) -> None:
    order = desk.executed()
    misbehave(stripe, path, do, **more)
    for _ in range(4):
        attempt(desk, order.id)
    assert desk.order(order.id).status is OrderStatus.PROVISIONED
    assert len(subscriptions(stripe)) == 1
    customers = stripe.get("/v1/customers", headers={"Authorization": f"Bearer {KEY}"}).json()["data"]
    assert len(customers) == 1


@pytest.mark.mission("ORD-4")
@pytest.mark.fault("R9")
def test_a_saved_failure_is_left_behind_with_the_next_key(desk: Desk, stripe: httpx.Client) -> None:
    order = desk.executed()
    misbehave(stripe, "/v1/subscriptions$", "status", status=500)
    for _ in range(3):
        attempt(desk, order.id)
    assert desk.order(order.id).status is OrderStatus.PROVISIONED
    assert len(subscriptions(stripe)) == 1
    keys = [entry["idempotency_key"] for entry in requests(stripe, "/v1/subscriptions")]
    assert keys[0] == f"of:{order.id}:v1:subscription"
    assert set(keys) <= {f"of:{order.id}:v{n}:subscription" for n in (1, 2)}


@pytest.mark.fault("R10")
def test_a_key_forgotten_after_a_day_does_no_harm(desk: Desk, stripe: httpx.Client) -> None:
    order = desk.executed()
    misbehave(stripe, "/v1/subscriptions$", "lose_response")
    attempt(desk, order.id)
    stripe.post("/_sim/clock", json={"advance_seconds": 90_000}).raise_for_status()
    desk.clock.advance(hours=25)
    attempt(desk, order.id)
    assert desk.order(order.id).status is OrderStatus.PROVISIONED
    assert len(subscriptions(stripe)) == 1


@pytest.mark.mission("ORD-2")
def test_a_refusal_blocks_the_order_and_a_cleared_reason_lets_it_go_on(desk: Desk, stripe: httpx.Client) -> None:
    order = desk.executed(stripe_customer_id="cus_unknown")
    blocked = desk.run_until_it_waits(order.id)
    assert blocked.status is OrderStatus.BLOCKED
    assert blocked.block is not None
    assert "cus_unknown" in blocked.block.reason
    desk.resume(order.id, Amendment(), REP)
    assert desk.run_until_it_waits(order.id).status is OrderStatus.BLOCKED
    assert subscriptions(stripe) == []


def test_an_outage_is_worth_waiting_for(gateway: StripeProvisioning, stripe: httpx.Client) -> None:
    for rule in ({"status": 503}, {"status": 429}):
        fault = {"on": "request", "do": "status", "times": 1, "match": {"method": "GET"}, **rule}
        stripe.post("/_sim/faults", json=[fault]).raise_for_status()
        with pytest.raises(Unavailable):
            gateway.find_subscription("cus_1", "ORD_1")
    nowhere = stripe_client(KEY, "http://127.0.0.1:1", retries=0)
    revoked = stripe_client("other", str(stripe.base_url).rstrip("/"), retries=0)
    for client in (nowhere, revoked):
        with pytest.raises(Unavailable):
            StripeProvisioning(partial(_same, client)).can_charge("cus_1")


def _same(client: StripeClient) -> StripeClient:
    return client
