"""Membership status (STR-2) and the customer's profile (STR-3), from events that nobody here wrote: the official Stripe
CLI and the simulator's own, told to duplicate, reorder, delay and lose them."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from revops.inbox import inbox_id
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
        if profile["activity"] and not profile["customer"]["last_contact_at"]:
            return None  # read while it was being written
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
    "charge.dispute.closed": ("active", "dispute_closed", 0),
    "customer_cash_balance_transaction.created": ("inactive", "cash_balance_moved", 0),
    "invoice.payment_action_required": ("suspended", "payment_action_required", 1),
}


def _events(stack: Stack, about: str | None = None) -> dict[str, Json]:
    return {event["id"]: event for event in stack.held("stripe", "event", about)}


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
    payer = about.get("customer") or about.get("payment_intent") or about["id"]
    status, told, notes = _TRIGGERS[trigger]
    profile = _ends(stack, payer, status, told, notes)
    entry = next(entry for entry in profile["activity"] if entry["type"] == told)
    assert entry["details"]
    assert entry["metadata"]["event_type"]
    assert profile["customer"]["membership_reason"]
    if notes:
        assert profile["notes"][0]["content"]
        assert profile["notes"][0]["related_to"] == profile["customer"]["id"]
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
    "is deleted": (_gone, "inactive", "customer_deleted", 1),
}


@pytest.mark.parametrize("story", ["tries", "cancels at the end of the period", "is deleted"])
def test_where_a_customer_ends(stack: Stack, price: str, story: str) -> None:
    act, status, told, notes = _STORIES[story]
    payer = act(stack, price)
    profile = _ends(stack, payer, status, told, notes)
    assert profile["customer"]["payers"] == [payer]


def _known(profile: Json) -> tuple[str, str, int, list[str]]:
    """What must come out the same in whatever order events come."""
    customer = profile["customer"]
    kinds = sorted(entry["type"] for entry in profile["activity"])
    return customer["membership_status"], customer["subscription_status"], len(profile["notes"]), kinds


def _settled(stack: Stack, payer: str, before: set[str]) -> bool:
    """Whether every event about a payer was delivered and settled; `before` holds those that were."""
    for event in _events(stack, payer).values():
        about = event["data"]["object"]
        if event["id"] in before:
            continue
        if payer in (about.get("customer"), about.get("id")):  # a summary has no id of its own
            row = stack.row(f"INBOX#{inbox_id('stripe', event['id'])}", "EVENT")
            if row is None or json.loads(row["doc"]["S"]).get("status") not in ("Applied", "Ignored"):
                return False
        before.add(event["id"])
    return True


def _rested(stack: Stack, payer: str) -> tuple[str, str, int, list[str]]:
    """What is known of a payer once everything about them is settled."""
    settled: set[str] = set()
    eventually(f"all of {payer} settled", lambda: _settled(stack, payer, settled))
    profile = _profile(stack, payer)
    assert profile is not None
    return _known(profile)


_ON_STRIPE: Json = {"on": "request", "match": {"method": "GET"}}
_DISORDER: dict[str, list[Json]] = {
    "twice, with the same and with other ids": [
        {"on": "webhook", "do": "duplicate", "copies": 2, "probability": 0.5},
        {"on": "webhook", "do": "duplicate", "copies": 1, "fresh_id": True},
    ],
    "shuffled and late": [
        {"on": "webhook", "do": "delay", "seconds": 1, "probability": 0.3},
        {"on": "webhook", "do": "reorder", "window": 4, "seconds": 1},
    ],
    "while Stripe loses answers and fails": [
        _ON_STRIPE | {"do": "lose_response", "times": 3},
        _ON_STRIPE | {"do": "status", "status": 503, "times": 3},
        _ON_STRIPE | {"do": "status", "status": 429, "times": 2},
    ],
}
_TOLD_IN_DISORDER = ("is declined", "cancels", "cancels and comes back")


@pytest.fixture(scope="module")
def in_order(impatient_queues: Stack, price: str) -> dict[str, tuple[str, str, int, list[str]]]:
    """Where each story ends when every event comes once and in order."""
    stack = impatient_queues
    payers = {story: _STORIES[story][0](stack, price) for story in _TOLD_IN_DISORDER}
    return {story: _rested(stack, payer) for story, payer in payers.items()}


@pytest.mark.fault("R1", "R2", "R16")
@pytest.mark.parametrize("disorder", _DISORDER)
def test_every_order_and_repeat_of_events_ends_the_same(
    stripe_faults: Stack, price: str, in_order: dict[str, tuple[str, str, int, list[str]]], disorder: str
) -> None:
    stack = stripe_faults
    for story, (status, _, notes, kinds) in in_order.items():
        assert (status, notes) == (_STORIES[story][1], _STORIES[story][3])
        assert _STORIES[story][2] in kinds
    rules = _DISORDER[disorder]
    on_webhooks = [rule for rule in rules if rule["on"] == "webhook"]
    stack.misbehave("stripe", {"seed": 11}, *on_webhooks)
    payers = {story: _STORIES[story][0](stack, price) for story in _TOLD_IN_DISORDER}
    stack.misbehave("stripe", *[rule for rule in rules if rule["on"] == "request"])
    ended = {story: _rested(stack, payer) for story, payer in payers.items()}
    assert ended == in_order
