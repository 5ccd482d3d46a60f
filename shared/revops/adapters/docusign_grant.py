"""DocuSign's JWT grant: an assertion that our key signed becomes an access token that acts for one user.

Source: https://developers.docusign.com/platform/auth/jwt/jwt-get-token/
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from revops.adapters.esign_http import EsignHttp, Reply
from revops.kernel import Clock, Unavailable

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE: Final = "signature impersonation"
_LASTS: Final = 600
"""Seconds an assertion is good for; it is used at once."""
_MENDED_BY_HAND: Final = 60.0


class DocusignGrant:
    """Fetches access tokens. `sign` makes RS256 signatures with the key whose public half DocuSign was given."""

    def __init__(
        self, http: EsignHttp, secret: Callable[[], Mapping[str, Any]], sign: Callable[[bytes], bytes], clock: Clock
    ) -> None:
        self._http = http
        self._secret = secret
        self._sign = sign
        self._clock = clock

    def __call__(self) -> tuple[str, float]:
        """A token, and the seconds it lasts. Raises Unavailable: what is refused here, somebody mends, a consent or a
        key; no envelope is to blame."""
        secret = self._secret()
        address = str(secret["oauth_url"]).rstrip("/")
        form = {"grant_type": _GRANT, "assertion": self.assertion(secret, urlsplit(address).netloc)}
        reply = self._http.ask("POST", f"{address}/oauth/token", data=form)
        token, seconds = reply.fields.get("access_token"), reply.fields.get("expires_in")
        if not reply.good or not isinstance(token, str) or not isinstance(seconds, int | float):
            raise Unavailable(f"DocuSign gives no token: {_why(reply)}", retry_after=_MENDED_BY_HAND)
        return token, float(seconds)

    def assertion(self, secret: Mapping[str, Any], audience: str) -> str:
        """The signed statement who we are and for whom we act. `audience` is the host that gives out tokens."""
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": secret["integration_key"],
            "sub": secret["user_id"],
            "aud": audience,
            "iat": now,
            "exp": now + _LASTS,
            "scope": _SCOPE,
        }
        said = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        return f"{said}.{_base64url(self._sign(said.encode()))}"


def _why(reply: Reply) -> str:
    words = [reply.fields.get(name) for name in ("error", "error_description")]
    return " ".join(word for word in words if isinstance(word, str))[:200] or f"status {reply.status}"


def _part(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
