"""The JWT grant: an assertion signed by the integration's key is exchanged for a token that acts for one user.

Tokens and assertions live in real time: moving the simulated clock ends envelopes, not sessions.
"""

import base64
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from local.simulators.common import Answer, Call, Json, World
from local.simulators.docusign.errors import GrantError, invalid_token, no_token

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_SECONDS = 3600
_SKEW = 300
_MOST_KEYS = 5
_SCOPES = {"signature", "impersonation"}


@dataclass(frozen=True)
class Identity:
    """The integration, the user it acts for, and their account. `hmac_keys`: those of Connect, oldest first."""

    integration_key: str
    user_id: str
    account_id: str
    hmac_keys: tuple[str, ...]


class OAuth:
    """The authorisation server."""

    def __init__(self, world: World, identity: Identity) -> None:
        self._world = world
        self._identity = identity

    def upload_key(self, pem: str) -> int:
        """Adds a public key to the integration, as its administrator does; how many it has. The oldest of more than
        five gives way. Raises ValueError for anything but an RSA key in PEM."""
        if not isinstance(load_pem_public_key(pem.encode()), RSAPublicKey):
            raise ValueError("the keys of an integration are RSA keys")
        kept: list[str] = [held for held in self._world.store.setting("public_keys", []) if held != pem]
        self._world.store.set_setting("public_keys", [*kept, pem][-_MOST_KEYS:])
        return min(len(kept) + 1, _MOST_KEYS)

    def token(self, call: Call) -> Answer:
        """`POST /oauth/token`. Raises GrantError."""
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        call.params = {"grant_type": form.get("grant_type", "")}
        if form.get("grant_type") != GRANT:
            raise GrantError("invalid_grant", "unsupported_grant_type")
        self._check(form.get("assertion", ""), call.headers.get("host", ""))
        if not self._world.store.setting("consent", True):
            raise GrantError("consent_required")
        token = secrets.token_urlsafe(48)
        self._world.store.put("_token", _name(token), {"until": time.time() + TOKEN_SECONDS})
        body = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return Answer(200, {**body, "scope": "signature impersonation"})

    def require(self, call: Call) -> None:
        """Refuses a call without a token that holds. Raises DocusignError."""
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise no_token()
        held = self._world.store.get("_token", _name(token.strip()))
        if held is None or held["until"] <= time.time():
            raise invalid_token()

    def user(self, call: Call) -> Answer:
        """`GET /oauth/userinfo`: who the token acts for, and where their account is."""
        identity = self._identity
        account = {
            "account_id": identity.account_id,
            "is_default": True,
            "account_name": "Example GmbH",
            "base_uri": f"http://{call.headers.get('host', '')}",
        }
        names = {"name": "Order Desk", "given_name": "Order", "family_name": "Desk", "email": "orders@example.com"}
        created = "2024-01-02T09:00:00.0000000"
        return Answer(200, {"sub": identity.user_id, **names, "created": created, "accounts": [account]})

    def expire(self) -> int:
        """Ends every token; how many there were."""
        tokens = self._world.store.items("_token")
        for name, _ in tokens:
            self._world.store.delete("_token", name)
        return len(tokens)

    def _check(self, assertion: str, host: str) -> None:
        header, claims, signed, signature = _parts(assertion)
        if header.get("alg") != "RS256":
            raise GrantError("invalid_grant", "unsupported_algorithm")
        if claims.get("iss") != self._identity.integration_key:
            raise GrantError("invalid_grant", "issuer_not_found")
        if not any(_holds(pem, signature, signed) for pem in self._world.store.setting("public_keys", [])):
            raise GrantError("invalid_grant", "no_valid_keys_or_signatures")
        if claims.get("aud") != host:
            raise GrantError("invalid_grant", "invalid_audience")
        if claims.get("sub") != self._identity.user_id:
            raise GrantError("invalid_grant", "user_not_found")
        now, until, since = time.time(), claims.get("exp"), claims.get("iat")
        if not isinstance(until, int | float) or until <= now - _SKEW:
            raise GrantError("invalid_grant", "expired_grant")
        if not isinstance(since, int | float) or since > now + _SKEW:
            raise GrantError("invalid_grant", "grant_not_yet_valid")
        if not set(str(claims.get("scope", "")).split()) >= _SCOPES:
            raise GrantError("consent_required")


def _holds(pem: str, signature: bytes, signed: bytes) -> bool:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _parts(assertion: str) -> tuple[Json, Json, bytes, bytes]:
    """Header, claims, what is signed, and the signature of a compact JWT."""
    try:
        head, body, mark = assertion.split(".")
        return _json(head), _json(body), f"{head}.{body}".encode(), _decoded(mark)
    except ValueError as error:
        raise GrantError("invalid_grant", "malformed_assertion") from error


def _json(part: str) -> Json:
    value: Any = json.loads(_decoded(part))
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _decoded(part: str) -> bytes:
    if not re.fullmatch(r"[\w-]+", part, re.ASCII):
        raise ValueError("not base64url without padding")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _name(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
