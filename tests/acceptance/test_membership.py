"""Membership status (STR-2) and the customer's profile (STR-3), from events that nobody here wrote: the official Stripe
CLI and the simulator's own, told to duplicate, reorder, delay and lose them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.stack import Json, Stack, eventually, fresh

pytestmark = pytest.mark.mission("STR-1", "STR-2", "STR-3")

_CLIS = sorted((Path(__file__).parents[2] / "node_modules" / "@stripe").glob("cli-*/bin/stripe"))


def _profile(stack: Stack, payer: str) -> Json | None:
    answer = stack.call("GET", f"/api/v1/customers/{payer}", user="finance")
    profile: Json | None = answer.json() if answer.status_code == 200 else None
    return profile


def _ends(stack: Stack, payer: str, status: str, told: str = "", notes: int = 0) -> Json:
    """The profile of a payer once it says so."""

    def look() -> Json | None:
        profile = _profile(stack, payer)
        if profile is None or profile["customer"]["membership_status"] != status:
            return None
        if told and told not in {entry["type"] for entry in profile["activity"]}:
            return None
        return profile if len(profile["notes"]) >= notes else None

    profile = eventually(f"{payer} {status} {told}", look) or {}
    assert [note["priority"] for note in profile["notes"]] == ["high"] * notes
    return profile


# -- the official CLI --------------------------------------------------------------------------------------------------

_TRIGGERS = {
    "customer.subscription.created": ("active", "subscription_created", 0),
    "customer.subscription.updated": ("active", "subscription_updated", 0),
    "customer.subscription.deleted": ("inactive", "subscription_cancelled", 1),
    "invoice.paid": ("active", "payment_success", 0),
    "invoice.payment_failed": ("suspended", "payment_failure", 1),
    "payment_intent.succeeded": ("active", "payment_success", 0),
    "payment_intent.payment_failed": ("suspended", "payment_failure", 1),
}


def _events(stack: Stack) -> dict[str, Json]:
    return {event["id"]: event for event in stack.simulator("stripe", "GET", "_sim/state").get("event", [])}


@pytest.mark.parametrize("trigger", _TRIGGERS)
def test_what_the_official_cli_triggers_ends_in_the_right_profile(stack: Stack, trigger: str, tmp_path: Path) -> None:
    if not _CLIS:
        pytest.skip("the Stripe CLI is not installed: npm install")
    before = _events(stack).keys()
    vendor = stack.told["stripe"]
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
    command = [str(_CLIS[0]), "trigger", trigger, "--api-base", vendor["simulator_url"], "--api-key", vendor["api_key"]]
    done = subprocess.run(command, env=os.environ | home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made = [event for name, event in _events(stack).items() if name not in before and event["type"] == trigger]
    assert made, f"the CLI caused no {trigger}"
    about = made[-1]["data"]["object"]
    payer = about.get("customer") or about["id"]
    status, told, notes = _TRIGGERS[trigger]
    profile = _ends(stack, payer, status, told, notes)
    entry = next(entry for entry in profile["activity"] if entry["type"] == told)
    assert entry["details"]
    assert entry["metadata"]["event_type"]
    assert profile["customer"]["membership_reason"]
    assert profile["customer"]["last_contact_at"]
    if notes:
        assert profile["notes"][0]["content"]
        assert profile["customer"]["next_follow_up_at"]
        eventually("the mail about the note", lambda: stack.mails(profile["notes"][0]["id"]))


# -- the simulator -----------------------------------------------------------------------------------------------------


def _customer(stack: Stack, card: str = "pm_card_visa") -> str:
    """A customer with a card that charges as its name says."""
    customer: str = stack.stripe("POST", "customers", email=f"pay@{fresh()}.example", name="Ada Lind")["id"]
    method = stack.stripe("POST", f"payment_methods/{card}/attach", customer=customer)["id"]
    stack.stripe("POST", f"customers/{customer}", **{"invoice_settings[default_payment_method]": method})
    return customer


@pytest.fixture(scope="module")
def price(stack: Stack) -> str:
    made: str = stack.stripe(
        "POST", "prices", currency="eur", unit_amount=4900,
        **{"recurring[interval]": "month", "product_data[name]": "Professional"},
    )["id"]  # fmt: skip
    return made


def _subscribed(stack: Stack, customer: str, price: str, **more: str) -> str:
    made: str = stack.stripe("POST", "subscriptions", customer=customer, **{"items[0][price]": price} | more)["id"]
    return made


def _paying(stack: Stack, price: str) -> str:
    customer = _customer(stack)
    _subscribed(stack, customer, price)
    return customer


def _cancelled(stack: Stack, price: str) -> str:
    customer = _customer(stack)
    subscription = _subscribed(stack, customer, price)
    stack.stripe("DELETE", f"subscriptions/{subscription}")
    return customer


def _refused(stack: Stack, price: str) -> str:
    """Paying by a card that attaches and then declines every charge, of an invoice that is due."""
    customer = _customer(stack)
    subscription = _subscribed(stack, customer, price)
    bad = stack.stripe("POST", "payment_methods/pm_card_chargeCustomerFail/attach", customer=customer)["id"]
    stack.stripe("POST", f"subscriptions/{subscription}", default_payment_method=bad)
    stack.stripe("POST", "invoiceitems", customer=customer, amount=900, currency="eur", subscription=subscription)
    invoice = stack.stripe("POST", "invoices", customer=customer, subscription=subscription)["id"]
    stack.stripe("POST", f"invoices/{invoice}/finalize")
    vendor = stack.told["stripe"]
    answer = stack.http.post(
        f"{vendor['simulator_url']}/v1/invoices/{invoice}/pay", headers={"authorization": f"Bearer {vendor['api_key']}"}
    )
    assert answer.status_code == 402, answer.text[:300]
    return customer


def _ending(stack: Stack, price: str) -> str:
    customer = _customer(stack)
    subscription = _subscribed(stack, customer, price)
    stack.stripe("POST", f"subscriptions/{subscription}", cancel_at_period_end="true")
    return customer


def _trying(stack: Stack, price: str) -> str:
    customer = _customer(stack)
    _subscribed(stack, customer, price, trial_period_days="7")
    return customer


def _back(stack: Stack, price: str) -> str:
    customer = _cancelled(stack, price)
    _subscribed(stack, customer, price)
    return customer


def _gone(stack: Stack, price: str) -> str:
    customer = _paying(stack, price)
    stack.stripe("DELETE", f"customers/{customer}")
    return customer


_STORIES: dict[str, tuple[Callable[[Stack, str], str], str, str, int]] = {
    "pays": (_paying, "active", "payment_success", 0),
    "tries": (_trying, "active", "subscription_created", 0),
    "is declined": (_refused, "suspended", "payment_failure", 1),
    "cancels": (_cancelled, "inactive", "subscription_cancelled", 1),
    "cancels at the end of the period": (_ending, "active", "subscription_cancellation_scheduled", 0),
    "cancels and comes back": (_back, "active", "subscription_cancelled", 1),
    "is deleted": (_gone, "inactive", "customer_deleted", 0),
}


@pytest.mark.parametrize("story", ["tries", "cancels at the end of the period", "is deleted"])
def test_where_a_customer_ends(stack: Stack, price: str, story: str) -> None:
    act, status, told, notes = _STORIES[story]
    payer = act(stack, price)
    profile = _ends(stack, payer, status, told)
    assert len(profile["notes"]) <= max(notes, 1)
    assert profile["customer"]["payers"] == [payer]


def _known(profile: Json) -> tuple[str, str, int, list[str]]:
    """What must come out the same in whatever order events come."""
    customer = profile["customer"]
    kinds = sorted(entry["type"] for entry in profile["activity"])
    return customer["membership_status"], customer["subscription_status"], len(profile["notes"]), kinds


_DISORDER = {
    "none": [],
    "twice": [{"on": "webhook", "do": "duplicate", "copies": 2}],
    "twice under other ids": [{"on": "webhook", "do": "duplicate", "copies": 1, "fresh_id": True}],
    "shuffled": [{"on": "webhook", "do": "reorder", "window": 3, "seconds": 1}],
    "late": [{"on": "webhook", "do": "delay", "seconds": 1, "probability": 0.5}],
    "answers lost": [{"on": "request", "do": "lose_response", "match": {"method": "GET"}, "probability": 0.3}],
    "Stripe fails": [{"on": "request", "do": "status", "status": 503, "match": {"method": "GET"}, "times": 4}],
}


@pytest.fixture(scope="module")
def in_order(stack: Stack, price: str) -> dict[str, tuple[str, str, int, list[str]]]:
    """Where each story ends when every event comes once and in order."""
    payers = {story: _STORIES[story][0](stack, price) for story in _TOLD_IN_DISORDER}
    return {story: _known(_rested(stack, payer, story)) for story, payer in payers.items()}


_TOLD_IN_DISORDER = ("pays", "is declined", "cancels", "cancels and comes back")


def _rested(stack: Stack, payer: str, story: str) -> Json:
    _, status, told, notes = _STORIES[story]
    eventually("every webhook delivered", lambda: not stack.simulator("stripe", "GET", "_sim/health")["pending_deliveries"])
    return _ends(stack, payer, status, told, notes)


@pytest.mark.fault("R1", "R2", "R16")
@pytest.mark.parametrize("disorder", list(_DISORDER)[1:])
def test_every_order_and_repeat_of_events_ends_the_same(
    stripe_faults: Stack, price: str, in_order: dict[str, tuple[str, str, int, list[str]]], disorder: str
) -> None:
    stack = stripe_faults
    stack.misbehave("stripe", {"seed": 11}, *[rule for rule in _DISORDER[disorder] if rule["on"] == "webhook"])
    payers = {story: _STORIES[story][0](stack, price) for story in _TOLD_IN_DISORDER}
    if _DISORDER[disorder][0]["on"] == "request":
        stack.misbehave("stripe", *_DISORDER[disorder])
        eventually("the fault to strike", lambda: _struck(stack))
    stack.behave("stripe")
    for story, payer in payers.items():
        ended = eventually(f"{story} ends as it does in order", lambda: _same(stack, payer, story, in_order[story]))  # noqa: B023
        assert ended


def _struck(stack: Stack) -> bool:
    return any(request["fault"] for request in stack.simulator("stripe", "GET", "_sim/requests")[-40:])


def _same(stack: Stack, payer: str, story: str, known: tuple[str, str, int, list[str]]) -> bool:
    return _known(_rested(stack, payer, story)) == known
