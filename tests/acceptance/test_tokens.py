"""Tokens that are none (S5): whatever is wrong with one, the answer is 401 and nothing is done."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.acceptance.conftest import Demoted
from tests.acceptance.people import partner_lead
from tests.acceptance.stack import Json, Stack, eventually

pytestmark = [pytest.mark.mission("SAFE-1"), pytest.mark.fault("S5")]


def _packed(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpacked(part: str) -> Json:
    content: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return content


def _parts(stack: Stack, user: str = "admin") -> tuple[Json, Json, str]:
    head, claims, signature = stack.told["tokens"][user].split(".")
    return _unpacked(head), _unpacked(claims), signature


_OURS = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _forged(head: Json, claims: Json) -> str:
    """Signed well, with a key nobody trusts."""
    signed = f"{_packed(head)}.{_packed(claims)}"
    return f"{signed}.{_packed(_OURS.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _jwk() -> Json:
    numbers = _OURS.public_key().public_numbers()
    return {
        "kty": "RSA",
        "n": _packed(numbers.n.to_bytes(256, "big")),
        "e": _packed(numbers.e.to_bytes(3, "big")),
    }


def _altered(stack: Stack, **changes: Any) -> str:
    head, claims, signature = _parts(stack)
    return f"{_packed(head)}.{_packed(claims | changes)}.{signature}"


_BAD: dict[str, Callable[[Stack], str]] = {
    "nonsense": lambda stack: "nonsense",
    "two parts": lambda stack: stack.told["tokens"]["admin"].rpartition(".")[0],
    "no signature": lambda stack: stack.told["tokens"]["admin"].rpartition(".")[0] + ".",
    "one bit of the signature": lambda stack: _flipped(stack.told["tokens"]["admin"]),
    "another subject": lambda stack: _altered(stack, sub=stack.user_id("manager")),
    "a longer life": lambda stack: _altered(stack, exp=int(time.time()) + 10**6),
    "expired": lambda stack: _altered(stack, exp=int(time.time()) - 3600),
    "another issuer": lambda stack: _altered(stack, iss="https://elsewhere.example"),
    "alg none": lambda stack: f"{_packed(_parts(stack)[0] | {'alg': 'none'})}.{_packed(_parts(stack)[1])}.",
    "alg None, unsigned": lambda stack: f"{_packed({'alg': 'None', 'typ': 'JWT'})}.{_packed(_parts(stack)[1])}.",
    "alg HS256": lambda stack: (
        f"{_packed(_parts(stack)[0] | {'alg': 'HS256'})}.{_packed(_parts(stack)[1])}.{_packed(b'x' * 32)}"
    ),
    "a key of our own under the right name": lambda stack: _forged(*_parts(stack)[:2]),
    "a key of our own under another name": lambda stack: _forged(_parts(stack)[0] | {"kid": "ours"}, _parts(stack)[1]),
    "a key brought along": lambda stack: _forged(_parts(stack)[0] | {"jwk": _jwk()}, _parts(stack)[1]),
    "a key to be fetched": lambda stack: _forged(
        _parts(stack)[0] | {"jku": "http://127.0.0.1:9/keys"}, _parts(stack)[1]
    ),
    "a critical extension": lambda stack: _forged(_parts(stack)[0] | {"crit": ["b64"], "b64": False}, _parts(stack)[1]),
    "a path for a key": lambda stack: _forged(_parts(stack)[0] | {"kid": "../../../dev/null"}, _parts(stack)[1]),
}


def _flipped(token: str) -> str:
    head, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    raw[len(raw) // 2] ^= 1
    return f"{head}.{_packed(bytes(raw))}"


@pytest.mark.parametrize("bad", _BAD)
def test_a_token_that_is_none_is_401(stack: Stack, bad: str) -> None:
    token = _BAD[bad](stack)
    for method, path in (("GET", "/api/v1/leads"), ("POST", "/api/v1/orders"), ("GET", "/api/v1/settings/scoring")):
        assert stack.call(method, path, token=token, json={} if method == "POST" else None).status_code == 401


def _with_a_key(path: str) -> bool:
    """Whether machines come here with a key: what they send is looked at before who they are."""
    return any(part in path for part in ("/usage/", "/partner/", "/webinars/", "/page-events"))


def test_no_token_is_401_on_every_route_that_asks_for_one(stack: Stack) -> None:
    described = stack.ok("GET", "/api/v1/openapi.json")
    asked = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if operation.get("security", described["security"]) == []:
                continue
            filled = path.replace("{", "").replace("}", "")
            answer = stack.call(method.upper(), filled, json=None if method == "get" else {})
            asked += 1
            assert answer.status_code in ({401, 400} if _with_a_key(path) else {401}), (
                method,
                path,
                answer.status_code,
            )
    assert asked >= 15


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YWRtaW46YWRtaW4=", "bearer bearer"])
def test_a_header_without_a_token_is_401(stack: Stack, header: str) -> None:
    assert stack.call("GET", "/api/v1/leads", headers={"authorization": header}).status_code == 401


def _signed_in(stack: Stack, user: str, client_id: str) -> Json:
    entry = stack.told["users"][user]
    answer: Json = stack.aws("cognito-idp").initiate_auth(
        ClientId=client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": entry["email"], "PASSWORD": entry["password"]},
    )["AuthenticationResult"]
    return answer


def test_an_id_token_is_no_access_token(stack: Stack) -> None:
    tokens = _signed_in(stack, "admin", stack.told["client_id"])
    assert _unpacked(tokens["IdToken"].split(".")[1])["token_use"] == "id"
    refusal = stack.refused("GET", "/api/v1/leads", expect=401, token=tokens["IdToken"])
    assert "access token" in refusal["detail"]
    stack.ok("GET", "/api/v1/leads", token=tokens["AccessToken"])


@pytest.fixture
def other_client(stack: Stack) -> Iterator[str]:
    """Another application of the same user pool."""
    cognito, pool = stack.aws("cognito-idp"), stack.told["user_pool_id"]
    made = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="another application",
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    yield made
    cognito.delete_user_pool_client(UserPoolId=pool, ClientId=made)


def test_a_good_token_for_another_application_is_401(stack: Stack, other_client: str) -> None:
    tokens = _signed_in(stack, "admin", other_client)
    for name in ("AccessToken", "IdToken"):
        assert stack.call("GET", "/api/v1/leads", token=tokens[name]).status_code == 401


def test_nothing_was_done_for_a_token_that_is_none(stack: Stack) -> None:
    lead = partner_lead(stack)
    change = {"version": lead["version"], "job_title": "Forger"}
    for bad in ("another subject", "a key of our own under the right name", "alg none"):
        answer = stack.call("PATCH", f"/api/v1/leads/{lead['id']}", token=_BAD[bad](stack), json=change)
        assert answer.status_code == 401
    assert stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="admin")["job_title"] == ""


_STALE_SECONDS = 60


@pytest.mark.mission("SAFE-6")
@pytest.mark.fault("S4")
def test_a_change_of_role_is_in_force_within_a_minute(stack: Stack, demoted: Demoted) -> None:
    left = _STALE_SECONDS - (time.monotonic() - demoted.at)

    def refused() -> bool:
        return stack.call("GET", "/api/v1/settings/scoring", token=demoted.token).status_code == 404

    eventually("the end of the old right", refused, seconds=max(1.0, left))
    assert stack.call("GET", "/api/v1/leads", token=demoted.token).status_code == 200
