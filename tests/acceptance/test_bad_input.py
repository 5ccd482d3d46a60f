"""Input that is broken, too large or ambiguous: refused with a problem that helps, never a 5xx (S7, S13)."""

import json
from collections.abc import Mapping

import httpx
import pytest

from tests.acceptance import orders
from tests.acceptance.people import ATTRIBUTION, partner_lead, person
from tests.acceptance.stack import AS_JSON, Json, Stack, fields, fresh, problem, stripe_signature

pytestmark = pytest.mark.fault("S13")

_GOOD = json.dumps(person()).encode()

MALFORMED: Mapping[str, bytes] = {
    "NaN": b'{"email": "a@b.example", "score": NaN}',
    "Infinity": b'{"email": Infinity}',
    "minus Infinity": b'{"email": -Infinity}',
    "a hundred deep": b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
    "ten thousand deep": b"[" * 10_000 + b"]" * 10_000,
    "ten thousand deep, never closed": b'{"a":' * 10_000,
    "bad UTF-8": b'{"email": "\xff\xfe@b.example"}',
    "overlong UTF-8": b'{"email": "\xc0\xaf"}',
    "Latin-1": '{"first_name": "Zoë"}'.encode("latin-1"),
    "UTF-16": '{"email": "a@b.example"}'.encode("utf-16"),
    "text after it": _GOOD + b"{}",
    "a comma after it": _GOOD[:-1] + b",}",
    "cut short": _GOOD[: len(_GOOD) // 2],
    "an open string": b'{"email": "a@b.exa',
    "the same key twice": b'{"email": "a@b.example", "email": "c@d.example"}',
    "the same key twice, one escaped": b'{"email": "a@b.example", "\\u0065mail": "c@d.example"}',
    "half a surrogate pair": b'{"email": "\\ud800@b.example"}',
    "half a surrogate pair in a key": b'{"\\udc00": 1}',
    "a huge number": b'{"email": ' + b"9" * 5_000 + b"}",
    "a huge exponent": b'{"email": 1e999999}',
    "a list": b"[]",
    "a list of objects": b"[" + _GOOD + b"]",
    "a text": b'"email"',
    "a number": b"7",
    "null": b"null",
    "true": b"true",
    "nothing": b"",
    "blanks": b"  \n ",
    "single quotes": b"{'email': 'a@b.example'}",
    "a comment": b'{"email": "a@b.example" /* hi */}',
    "a control character": b'{"email": "a\x00@b.example"}',
    "a byte order mark": b"\xef\xbb\xbf" + _GOOD,
    "XML": b"<lead><email>a@b.example</email></lead>",
    "a form": b"email=a%40b.example",
}


def _doors(stack: Stack) -> dict[str, tuple[str, dict[str, str], dict[str, str]]]:
    """Every kind of route that takes a body: path, how one gets in, further headers."""
    return {
        "form": ("/api/v1/leads", {}, {}),
        "partner": ("/api/v1/partner/leads", {"key": "partner_api_key"}, {"Idempotency-Key": fresh()}),
        "order": ("/api/v1/orders", {"user": "rep"}, {}),
        "usage": ("/api/v1/usage/events", {"key": "usage_api_key"}, {}),
        "plan": ("/api/v1/settings/membership/plan", {"user": "admin"}, {}),
    }


def _post(stack: Stack, door: str, raw: bytes, **headers: str) -> httpx.Response:
    path, who, more = _doors(stack)[door]
    return stack.call("POST", path, content=raw, headers=AS_JSON | more | headers, **who)


@pytest.mark.mission("CAP-1", "CAP-5", "CAP-10")
@pytest.mark.parametrize("shape", MALFORMED)
def test_malformed_json_is_400_on_every_door(stack: Stack, shape: str) -> None:
    for door in _doors(stack):
        answer = _post(stack, door, MALFORMED[shape])
        assert answer.status_code == 400, f"{door}: {answer.status_code} {answer.text[:300]}"
        assert fields(problem(answer)) == {"body"}, f"{door}: {answer.text[:300]}"


@pytest.mark.mission("LEAD-1")
@pytest.mark.parametrize("shape", MALFORMED)
def test_malformed_json_changes_no_lead(stack: Stack, shape: str, a_lead: Json) -> None:
    answer = stack.call("PATCH", f"/api/v1/leads/{a_lead['id']}", user="sdr", content=MALFORMED[shape], headers=AS_JSON)
    assert answer.status_code == 400, answer.text[:300]
    assert fields(problem(answer)) == {"body"}


@pytest.fixture(scope="module")
def a_lead(stack: Stack) -> Json:
    return partner_lead(stack)


@pytest.mark.mission("STR-1", "HUB-3")
@pytest.mark.fault("S7")
@pytest.mark.parametrize("shape", MALFORMED)
def test_malformed_json_is_400_on_webhooks_even_when_it_is_signed(stack: Stack, shape: str) -> None:
    answers = {"stripe": stack.stripe_event(MALFORMED[shape])}
    if shape != "a list":  # an empty batch is none
        answers["hubspot"] = stack.hubspot_events(MALFORMED[shape])
    for door, answer in answers.items():
        assert answer.status_code == 400, f"{door}: {answer.status_code} {answer.text[:300]}"
        problem(answer)


@pytest.mark.mission("CAP-1", "CAP-5")
@pytest.mark.fault("R24")
@pytest.mark.parametrize("door", ["form", "partner", "usage", "plan"])
def test_a_body_too_large_is_413(stack: Stack, door: str) -> None:
    raw = json.dumps({"first_name": "x" * 1_000_001}).encode()
    answer = _post(stack, door, raw)
    assert answer.status_code == 413, answer.text[:300]
    assert "1000000" in problem(answer)["detail"]


@pytest.mark.mission("STR-1", "ORD-1")
@pytest.mark.fault("R24")
def test_webhooks_and_orders_take_more_but_not_everything(stack: Stack) -> None:
    large = json.dumps({"object": "event", "filler": "x" * 1_000_001}).encode()
    assert stack.stripe_event(large).status_code == 413
    assert stack.stripe_event(large, secret="another").status_code == 413  # nothing of it is looked at
    huge = json.dumps(orders.form(legal_entity_name="x" * 5_000_001)).encode()
    answer = _post(stack, "order", huge)
    assert answer.status_code == 413, answer.text[:300]
    problem(answer)


@pytest.mark.mission("CAP-1", "CAP-5")
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x"]
)
def test_another_content_type_is_415(stack: Stack, kind: str) -> None:
    for door in ("form", "partner", "order", "usage"):
        answer = _post(stack, door, _GOOD, **{"content-type": kind})
        assert answer.status_code == 415, f"{door}: {answer.status_code} {answer.text[:300]}"
        assert "application/json" in json.dumps(problem(answer))


@pytest.mark.mission("CAP-10")
@pytest.mark.parametrize(
    ("method", "path", "user"),
    [("GET", "/api/v1/leads/LEAD_1", "admin"), ("GET", "/api/v1/health", ""), ("GET", "/api/v1/leads/counts", "admin"),
     ("GET", "/api/v1/orders/ORD_1", "admin"), ("GET", "/api/v1/settings/scoring", "admin")],
)  # fmt: skip
def test_an_unknown_query_parameter_is_400(stack: Stack, method: str, path: str, user: str) -> None:
    refusal = stack.refused(method, path, expect=400, user=user, params={"nonsense": "1"})
    assert fields(refusal) == {"nonsense"}
    assert refusal["issues"][0]["rule"] == "unknown-parameter"


_ODD = (
    "LEAD_" + "A" * 3000,
    "LEAD#x",
    "LEAD_%00",
    "%2e%2e%2f",
    "LEAD_1%0d%0aX: 1",
    "ORD_'--",
    "LEAD_पाटील",
    "*",
    "LEAD_|LEAD",
    "a" * 10,
)


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S17")
@pytest.mark.parametrize("place", ["leads", "orders", "accounts", "opportunities", "customers", "audit", "settings"])
def test_an_odd_id_is_404_and_nothing_else(stack: Stack, place: str) -> None:
    for odd in _ODD:
        answer = stack.call("GET", f"/api/v1/{place}/{odd}", user="admin")
        assert answer.status_code in {400, 404}, f"{odd[:20]}: {answer.status_code} {answer.text[:300]}"
        if answer.json() != {"message": "Not Found"}:  # the gateway's own words: no route has such a path
            problem(answer)


@pytest.mark.mission("CAP-10")
@pytest.mark.fault("S14", "S15", "S16")
@pytest.mark.parametrize(
    "odd",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\nX: y",
        "x" * 330 + "@b.example",
        "@",
        "a@",
        "a b@c.example",
        "a@b..example",
        "\u202e@b.example",
    ],
)
def test_an_address_that_is_none_reaches_nobody(stack: Stack, odd: str) -> None:
    answer = stack.call("POST", "/api/v1/leads", json=person(email=odd, phone=""))
    assert answer.status_code == 400, answer.text[:300]
    problem(answer)


@pytest.mark.mission("CAP-10")
@pytest.mark.fault("S13", "S14")
@pytest.mark.parametrize(
    "said",
    [{"first_name": 7}, {"consent": "yes"}, {"consent": [{"channel": "pigeon", "granted": True}]}, {"country": 49},
     {"attribution": []}, {"authority_level": "King"}, {"first_name": {"$gt": ""}}, {"company": "x" * 121},
     {"consent": [{"channel": "email", "granted": True}] * 11}],
)  # fmt: skip
def test_a_value_of_another_kind_is_named(stack: Stack, said: Json) -> None:
    refusal = stack.refused("POST", "/api/v1/leads", expect=400, json=person(**said))
    assert {name.partition(".")[0] for name in fields(refusal)} == set(said)


@pytest.mark.mission("CAP-1")
@pytest.mark.fault("S16")
def test_text_that_tries_something_is_only_text(stack: Stack) -> None:
    said: Json = {
        "first_name": "=HYPERLINK(1)",
        "last_name": "'; DROP TABLE leads; --",
        "company": "<script>alert(1)</script>",
    }
    lead = partner_lead(stack, **said)
    shown = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")
    assert {name: shown[name] for name in said} == said


@pytest.mark.mission("STR-1")
def test_headers_of_a_webhook_may_come_in_any_spelling(stack: Stack) -> None:
    raw = json.dumps({"object": "event"}).encode()
    for name in ("Stripe-Signature", "STRIPE-SIGNATURE", "stripe-signature"):
        header = stripe_signature(raw, stack.told["stripe"]["secret"])
        refusal = problem(stack.call("POST", "/webhooks/stripe", content=raw, headers={name: header} | AS_JSON))
        assert fields(refusal) != {"Stripe-Signature"}


@pytest.mark.mission("CAP-5")
def test_what_partners_send_is_what_stands_there_for_every_door_that_is_not_broken(stack: Stack) -> None:
    answer = _post(
        stack,
        "partner",
        json.dumps(person(attribution=ATTRIBUTION)).encode(),
        **{"content-type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 201, answer.text[:300]
