"""The door to SES: `SendEmail` of SES v2 goes through here to the emulator.

The emulator takes a simple message's own headers and forgets them; here they are kept, so that a mail is seen as it
would arrive. A message that SES would refuse is refused: a header with a line break, one of those SES sets itself, a
value beyond its length. Fault rules make it misbehave as SES does: throttle, fail, or send without answering.
"""

import json
import re
from typing import Any

import httpx

from local.simulators.common import Json, Store
from local.simulators.common.faults import Faults, Rule

PATH = "/v2/email/outbound-emails"
_OURS = frozenset({"bcc", "cc", "content-type", "date", "from", "message-id", "mime-version", "subject", "to"})
_NAME = re.compile(r"[!-9;-~]{1,126}")
_LONGEST_VALUE = 870
_MOST = 15


class Door:
    """Takes what is sent, keeps its headers, hands it on."""

    def __init__(self, store: Store, emulator_url: str) -> None:
        self._store = store
        self._url = emulator_url.rstrip("/")
        self._client = httpx.AsyncClient(timeout=10, trust_env=False)
        self.faults = Faults(store)

    async def send(self, headers: dict[str, str], body: bytes) -> tuple[int, Json, bool]:
        """SES's status and answer, and whether the caller hears of it."""
        with self._store.transaction():
            rule = self.faults.strike("request", {"method": "POST", "path": PATH})
        if rule is not None and rule["do"] == "status" and not rule.get("after_work"):
            return (*_failed(rule), True)
        if reason := refusal(body):
            return 400, {"__type": "BadRequestException", "message": reason}, True
        # The signature covers the host that was called, so it is handed on as it came.
        kept = {name: value for name, value in headers.items() if name not in ("content-length", "connection")}
        answer = await self._client.post(self._url + PATH, content=body, headers=kept)
        said: Json = answer.json()
        if answer.is_success:
            with self._store.transaction():
                self._store.put("sent", str(said["MessageId"]), _kept(body))
        if rule is not None and rule["do"] == "status":
            return (*_failed(rule), True)
        return answer.status_code, said, rule is None or rule["do"] != "lose_response"

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()


def refusal(body: bytes) -> str:
    """Why SES does not take a message's headers; an empty text when it does."""
    headers = _headers(body)
    if len(headers) > _MOST:
        return f"more than {_MOST} headers"
    for header in headers:
        name, value = str(header.get("Name", "")), str(header.get("Value", ""))
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            return f"header name {name!r}"
        if len(value) > _LONGEST_VALUE or any(not 32 <= ord(char) < 127 for char in value):
            return f"value of the header {name}"
    return ""


def _headers(body: bytes) -> list[Json]:
    content: Any = json.loads(body).get("Content", {})
    found: list[Json] = content.get("Simple", {}).get("Headers", [])
    return found


def _kept(body: bytes) -> Json:
    tags = {str(tag["Name"]): str(tag["Value"]) for tag in json.loads(body).get("EmailTags", [])}
    return {"headers": {str(each["Name"]): str(each["Value"]) for each in _headers(body)}, "tags": tags}


def _failed(rule: Rule) -> tuple[int, Json]:
    status = int(rule["status"])
    kind = "TooManyRequestsException" if status == 429 else "InternalServiceErrorException"
    return status, {"__type": kind, "message": "as told"}
