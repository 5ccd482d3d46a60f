"""From what a person sent to a lead with an owner (CAP-13): under five seconds for ninety-nine of a hundred, whatever
the channel. The clock runs from before the request leaves until the lead is there to be read."""

import math
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.acceptance.people import by_phone, claimed, fresh_phone, person
from tests.acceptance.stack import Json, Stack, at_once, eventually

pytestmark = [pytest.mark.mission("CAP-13"), pytest.mark.alone]
BUDGET = 5.0
PEOPLE = 100
_AT_ONCE = 3
_WARM = 2 * _AT_ONCE
"""First of all so many at once, so that no sample waits for a worker's first start."""


def _seconds(stack: Stack, begin: Callable[[], None], find: Callable[[], Json | None]) -> float:
    began = time.time()
    begin()
    lead = eventually("an owned lead", find) or {}
    assert lead["owner_id"] == stack.user_id("sdr")
    return datetime.fromisoformat(lead["created_at"]).timestamp() - began


def _p99(samples: list[float]) -> float:
    return sorted(samples)[math.ceil(len(samples) * 0.99) - 1]


def _by_form(stack: Stack) -> float:
    body = person()

    def send() -> None:
        assert stack.call("POST", "/api/v1/leads", json=body).status_code == 202

    return _seconds(stack, send, lambda: claimed(stack, "email", body["email"]))


def _by_whatsapp(stack: Stack) -> float:
    phone = fresh_phone()

    def send() -> None:
        said = {"text": {"body": "Hello"}, "name": "Asha Rao"}
        stack.simulator("whatsapp", "POST", f"_sim/people/{phone.lstrip('+')}/messages", json=said)

    return _seconds(stack, send, lambda: by_phone(stack, phone))


@pytest.mark.mission("CAP-1", "CAP-12")
def test_a_form_becomes_an_owned_lead_in_five_seconds(stack: Stack) -> None:
    at_once([lambda: _by_form(stack) for _ in range(_WARM)], _WARM)
    samples = at_once([lambda: _by_form(stack) for _ in range(PEOPLE)], _AT_ONCE)
    assert _p99(samples) < BUDGET, [round(each, 2) for each in sorted(samples)[-5:]]


@pytest.mark.mission("CAP-2", "CAP-12")
def test_a_whatsapp_message_becomes_an_owned_lead_in_five_seconds(stack: Stack) -> None:
    at_once([lambda: _by_whatsapp(stack) for _ in range(_WARM)], _WARM)
    samples = at_once([lambda: _by_whatsapp(stack) for _ in range(PEOPLE // 2)], 2)
    assert _p99(samples) < BUDGET, [round(each, 2) for each in sorted(samples)[-5:]]
