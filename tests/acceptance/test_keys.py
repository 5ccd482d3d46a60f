"""Partner keys (CAP-5): issued and shown once, rotated with an overlap, revoked, and each held to its rate."""

import pytest

from tests.acceptance.people import ATTRIBUTION, person
from tests.acceptance.stack import Json, Stack, eventually, fresh

pytestmark = pytest.mark.mission("CAP-5")


def _issued(stack: Stack, **more: object) -> Json:
    body = {"name": f"partner-{fresh()}", "scopes": ["leads:write"]} | more
    made: Json = stack.ok("POST", "/api/v1/keys", expect=201, user="admin", json=body)
    return made


def _sends(stack: Stack, key: str) -> int:
    headers = {"x-api-key": key, "Idempotency-Key": fresh()}
    body = person(attribution=ATTRIBUTION)
    return stack.call("POST", "/api/v1/partner/leads", json=body, headers=headers).status_code


@pytest.mark.fault("S8")
def test_a_key_is_rotated_without_a_refused_lead_and_revoked_for_good(stack: Stack) -> None:
    old = _issued(stack)
    assert _sends(stack, old["key"]) == 201
    new = stack.ok("POST", f"/api/v1/keys/{old['id']}/rotation", expect=201, user="admin", json={"overlap_minutes": 60})
    assert (_sends(stack, old["key"]), _sends(stack, new["key"])) == (201, 201)
    listed = {key["id"]: key for key in stack.ok("GET", "/api/v1/keys", user="admin")["keys"]}
    assert listed[new["id"]]["rotated_from"] == old["id"]
    assert listed[old["id"]]["valid_until"]
    assert old["key"] not in str(listed)
    stack.ok("POST", f"/api/v1/keys/{new['id']}/revocation", user="admin")
    eventually("the key is refused", lambda: _sends(stack, new["key"]) == 401, 60)
    assert _sends(stack, old["key"]) == 201


@pytest.mark.fault("S23")
def test_a_partner_is_held_to_its_own_rate(stack: Stack) -> None:
    slow = _issued(stack, rate_per_minute=6)
    answers = [_sends(stack, slow["key"]) for _ in range(4)]
    assert 429 in answers
    assert 201 in answers
    other = _issued(stack)
    assert _sends(stack, other["key"]) == 201


@pytest.mark.mission("SAFE-1")
def test_only_an_administrator_deals_with_keys(stack: Stack) -> None:
    for user in ("manager", "rep", "sdr", "support", "legal", "finance"):
        stack.refused("GET", "/api/v1/keys", expect=403, user=user)
    refusal = stack.refused(
        "POST", "/api/v1/keys", expect=400, user="admin", json={"name": "partner-x", "scopes": ["everything"]}
    )
    assert "leads:write" in refusal["issues"][0]["accepted"]
