"""Usage and its caps (USE-1, USE-3, USE-4): counted once, never past the cap, told once."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.acceptance import orders
from tests.acceptance.stack import Json, Stack, at_once, eventually, fields, fresh

_PATH = "/api/v1/usage/events"


def _event(account_id: str, quantity: int = 1, **more: object) -> Json:
    return {"id": fresh(), "account_id": account_id, "meter": "API Calls", "quantity": quantity} | more


def _use(stack: Stack, event: Json) -> httpx.Response:
    return stack.call("POST", _PATH, key="usage_api_key", json=event)


# 1,000 units are beyond the 1,000 that are included.
_TIGHT: Json = {
    "plan": "Starter",
    "seats": 1,
    "usage": [{"meter": "Pooled", "monthly_cap": 1000, "overage_price": "0.035"}],
    "spend_cap": {"minor": 3500, "period": "Monthly"},
}


def _metered(stack: Stack, **agreed: Any) -> str:
    """An account whose caps are in force."""
    account: str = orders.active(stack, **agreed)["account_id"]
    eventually("the caps of the order", lambda: _use(stack, _event(account)).status_code == 201)
    return account


@pytest.fixture(scope="module")
def account(stack: Stack) -> str:
    """1,000 units a month, further ones at 0.015, at most 1,000.00 of them; one is used."""
    return _metered(stack)


@pytest.mark.mission("USE-1", "USE-2")
@pytest.mark.fault("R7", "R4")
def test_an_event_counts_once_and_its_repeat_is_200_with_the_same_receipt(stack: Stack, account: str) -> None:
    event = _event(account, 25)
    answers = at_once([lambda: _use(stack, event) for _ in range(6)], 6)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    bodies = [answer.json() for answer in answers]
    for body in bodies:
        del body["duplicate"], body["remaining"]
    assert all(body == bodies[0] for body in bodies)
    assert (bodies[0]["included_units"], bodies[0]["overage_units"]) == (25, 0)
    other = stack.refused("POST", _PATH, expect=409, key="usage_api_key", json=event | {"quantity": 26})
    assert event["id"] in other["detail"]


@pytest.mark.mission("USE-1")
def test_who_may_not_meter_and_what_is_not_metered(stack: Stack, account: str) -> None:
    stack.refused("POST", _PATH, expect=401, json=_event(account))
    stack.refused("POST", _PATH, expect=401, json=_event(account), headers={"x-api-key": fresh()})
    stack.refused("POST", _PATH, expect=401, json=_event(account), user="admin")
    stack.refused("POST", _PATH, expect=403, json=_event(account), key="partner_api_key")
    stack.refused("POST", _PATH, expect=404, json=_event("ACC_00000000000000000000000000"), key="usage_api_key")


@pytest.mark.mission("USE-1")
@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    ("said", "named"),
    [({"quantity": 0}, "quantity"), ({"quantity": -5}, "quantity"),
     ({"quantity": 1.5}, "quantity"), ({"quantity": "7"}, "quantity"),
     ({"quantity": 10**13}, "quantity"), ({"meter": "Coffee"}, "meter"), ({"id": ""}, "id"), ({"id": "x" * 201}, "id"),
     ({"occurred_at": "2020-01-01T00:00:00Z"}, "occurred_at"), ({"occurred_at": "2099-01-01T00:00:00Z"}, "occurred_at"),
     ({"occurred_at": "2026-11-20T10:00:00"}, "occurred_at"), ({"nonsense": 1}, "nonsense")],
)  # fmt: skip
def test_an_event_that_does_not_fit_is_named(stack: Stack, account: str, said: Json, named: str) -> None:
    refusal = stack.refused("POST", _PATH, expect=400, key="usage_api_key", json=_event(account, **said))
    assert fields(refusal) == {named}


@pytest.mark.mission("USE-3", "USE-2")
@pytest.mark.fault("R20", "R6")
def test_the_cap_is_never_passed_by_32_at_once(stack: Stack) -> None:
    account = _metered(stack, **_TIGHT)
    free = _use(stack, _event(account, 999))
    assert free.json()["remaining"]["included"] == 0
    answers = at_once([lambda: _use(stack, _event(account, 90)) for _ in range(32)], 16)
    taken = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(taken) == 11, [answer.status_code for answer in answers]
    assert {answer.status_code for answer in refused} == {402}
    assert sum(Decimal(each["overage_cost"]) for each in taken) == Decimal("34.65")
    last = _use(stack, _event(account, 11))
    assert last.status_code == 402
    assert (last.json()["remaining"], last.json()["limit"], last.json()["cap"]) == ("0.35", "35", "Spend")
    assert _use(stack, _event(account, 10)).json()["remaining"]["spend"] == {"minor": 0, "currency": "EUR"}
    assert _use(stack, _event(account, 1)).status_code == 402


@pytest.mark.mission("USE-4", "CRM-7")
@pytest.mark.fault("R17")
def test_a_crossed_threshold_is_told_once_however_often_it_is_swept(stack: Stack) -> None:
    account = _metered(stack, **_TIGHT)
    assert _use(stack, _event(account, 1849)).status_code == 201  # 850 beyond: 29.75 of 35.00
    at_once([lambda: stack.run("spend-cap-alerts") for _ in range(3)], 3)
    early = _subjects(Pooled=[50, 80, 100], Spend=[50, 80])
    assert eventually("the mails", lambda: _mailed(stack, account, early)) == early
    stack.run("spend-cap-alerts")
    assert _use(stack, _event(account, 150)).status_code == 201
    stack.run("spend-cap-alerts")
    all_of_them = _subjects(Pooled=[50, 80, 100], Spend=[50, 80, 100])
    eventually("the mail about the cap", lambda: _mailed(stack, account, all_of_them))
    at_once([lambda: stack.run("spend-cap-alerts") for _ in range(2)], 2)
    assert _mailed(stack, account, all_of_them) == all_of_them


def _subjects(**crossed: list[int]) -> list[str]:
    """The alerts' mails about the shares of caps that were crossed, once each."""
    return sorted(f"{share} % of a {cap} cap is used" for cap, shares in crossed.items() for share in shares)


def _mailed(stack: Stack, account: str, wanted: list[str]) -> list[str]:
    """The subjects of the alerts' mails about an account, once there is one of each wanted."""
    subjects = sorted(mail["subject"] for mail in stack.mails(account) if "cap is used" in mail["subject"])
    return subjects if set(wanted) <= set(subjects) else []


@pytest.mark.mission("USE-3", "ORD-5")
def test_usage_after_the_subscription_ended_is_refused(stack: Stack) -> None:
    order = orders.active(stack)
    event = _event(order["account_id"])
    eventually("the caps of the order", lambda: _use(stack, event).status_code == 201)
    (subscription,) = orders.subscriptions_of(stack, order["id"])
    stack.stripe("DELETE", f"subscriptions/{subscription['id']}")
    eventually("usage is refused", lambda: _use(stack, _event(order["account_id"])).status_code == 409)
    assert _use(stack, event).json()["duplicate"] is True
