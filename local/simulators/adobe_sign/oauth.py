"""OAuth: a refresh token, once granted by a person, is exchanged for access tokens. Tokens live in real time."""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl

from local.simulators.adobe_sign.errors import AdobeError, GrantError
from local.simulators.common import Answer, Call, World

TOKEN_SECONDS = 3600
FIELDS = {"grant_type", "refresh_token", "client_id", "client_secret"}


@dataclass(frozen=True)
class Identity:
    """The application and what it was granted."""

    client_id: str
    client_secret: str
    refresh_token: str


class OAuth:
    """The authorisation server of one access point."""

    def __init__(self, world: World, identity: Identity) -> None:
        self._world = world
        self._identity = identity

    def refresh(self, call: Call) -> Answer:
        """`POST /oauth/v2/refresh`. Raises GrantError."""
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        call.params = {"grant_type": form.get("grant_type", "")}
        if form.get("grant_type") != "refresh_token":
            raise GrantError("unsupported_grant_type", "grant_type must be refresh_token")
        client = (form.get("client_id", ""), form.get("client_secret", ""))
        ours = (self._identity.client_id, self._identity.client_secret)
        if not all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(client, ours, strict=True)):
            raise GrantError("invalid_client", "client_id or client_secret is invalid", 401)
        revoked = self._world.store.setting("revoked", False)
        if revoked or not hmac.compare_digest(form["refresh_token"].encode(), self._identity.refresh_token.encode()):
            raise GrantError("invalid_grant", "The refresh token is invalid or has been revoked")
        token = secrets.token_urlsafe(48)
        self._world.store.put("_token", _name(token), {"until": time.time() + TOKEN_SECONDS})
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})

    def require(self, call: Call) -> None:
        """Refuses a call without a token that holds. Raises AdobeError."""
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise AdobeError("NO_AUTHORIZATION_HEADER")
        held = self._world.store.get("_token", _name(token.strip()))
        if held is None or held["until"] <= time.time():
            raise AdobeError("INVALID_ACCESS_TOKEN")

    def revoke(self, revoked: bool) -> None:
        """Takes the refresh token back, or grants it again."""
        self._world.store.set_setting("revoked", revoked)

    def expire(self) -> int:
        """Ends every access token; how many there were."""
        tokens = self._world.store.items("_token")
        for name, _ in tokens:
            self._world.store.delete("_token", name)
        return len(tokens)


def _name(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
