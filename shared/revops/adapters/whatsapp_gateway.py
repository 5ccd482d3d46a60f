"""Messages out over WhatsApp's Cloud API (Meta's Graph API).

Meta has no idempotency key, so a message is tried once: whoever sends is told whether nothing left (`Unavailable`: try
again; `Refused`: never), or whether it may have left (`OutcomeUnknown`). A call ends within eight seconds.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httpx

from revops.kernel import DomainError, Refused, Unavailable, canonical_json, parse_json
from revops.nurture.ports import OutcomeUnknown

VENDOR_BASE: Final = "https://graph.facebook.com"
VERSION: Final = "v23.0"
_TIMEOUT: Final = httpx.Timeout(4.0, connect=1.5, pool=0.5)
_LONGEST: Final = 7.0
_READY: Final = 1.0
"""What reading the secret may take of it; a message that would leave later does not leave."""
_MOST_BYTES: Final = 100_000
_PAUSE: Final = 5.0
_MENDED_BY_HAND: Final = 60.0
_THROTTLES: Final = frozenset({4, 80007, 130429, 131048, 131056, 133016})
"""Codes for a limit of the app, the account, the number or the pair of numbers: nothing was sent."""
_ACCESS: Final = frozenset({0, 3, 10, 190, 131005, 131031, 131042, 368})
"""Codes for a token, a right or an account that somebody has to mend; then what waits goes through."""


class HttpWhatsapp:
    """`WhatsappSender` over HTTP. `secret` is asked for token and number with every call, so that a rotated one reaches
    running functions; `transport` lets a test look at the wire."""

    def __init__(
        self,
        secret: Callable[[], Mapping[str, Any]],
        base_url: str = "",
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = secret
        self._monotonic = monotonic
        self._client = httpx.Client(
            base_url=base_url or VENDOR_BASE,
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            timeout=_TIMEOUT,
            transport=transport,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def send_template(self, to: str, template: str, language: str, parameters: Sequence[str]) -> str:
        """Meta's id of a message of an approved template, the only kind that may start a conversation."""
        body = [{"type": "text", "text": text} for text in parameters]
        content: dict[str, Any] = {
            "name": template,
            "language": {"policy": "deterministic", "code": language},
        }
        if body:
            content["components"] = [{"type": "body", "parameters": body}]
        return self._send(to, "template", content)

    def send_text(self, to: str, text: str) -> str:
        """Meta's id of a free text, allowed within 24 hours of the person's last message."""
        return self._send(to, "text", {"preview_url": False, "body": text})

    def _send(self, to: str, kind: str, content: Mapping[str, Any]) -> str:
        asked = self._monotonic()
        secret = self._secret()
        if self._monotonic() - asked > _READY:  # kept from now on, so that the next try is at once
            raise Unavailable("the secret whatsapp came too late", retry_after=_PAUSE)
        message = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": re.sub(r"\D", "", to),
            "type": kind,
            kind: content,
        }
        status, answer = self._post(
            f"/{VERSION}/{secret['phone_number_id']}/messages", canonical_json(message).encode(), secret["access_token"]
        )
        if status != httpx.codes.OK:
            raise _refusal(status, answer)
        sent = answer.get("messages")
        if not isinstance(sent, list) or not sent or not isinstance(sent[0], dict) or not sent[0].get("id"):
            raise OutcomeUnknown("WhatsApp's answer names no message")
        return str(sent[0]["id"])

    def _post(self, path: str, content: bytes, token: str) -> tuple[int, Mapping[str, Any]]:
        until = self._monotonic() + _LONGEST
        headers = {"Authorization": f"Bearer {token}"}
        body = b""
        try:
            with self._client.stream("POST", path, content=content, headers=headers) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if self._monotonic() > until or len(body) > _MOST_BYTES:
                        raise OutcomeUnknown("WhatsApp's answer did not end")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable("WhatsApp cannot be reached", retry_after=_PAUSE) from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown("WhatsApp did not answer") from error
        try:
            answer = parse_json(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            if response.is_success:
                raise OutcomeUnknown("WhatsApp's answer was not JSON")
            answer = {}
        return response.status_code, answer


def _refusal(status: int, answer: Mapping[str, Any]) -> DomainError:
    """What an answer that is no success means. Meta answers some throttles with 400, so its code goes first; the
    message may quote the number, so only the code is told."""
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    told = f"WhatsApp answered {status}" + (f", code {code}" if isinstance(code, int) else "")
    if code in _THROTTLES or status == httpx.codes.TOO_MANY_REQUESTS:
        return Unavailable(told, retry_after=_PAUSE)
    if status >= 500:
        return OutcomeUnknown(told)
    if code in _ACCESS or status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Unavailable(told, retry_after=_MENDED_BY_HAND)
    return Refused(told)
