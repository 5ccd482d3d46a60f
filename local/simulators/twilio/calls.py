"""A call, from its first ring to its end.

The address of incoming calls is asked at once and its TwiML is carried out; then come the reports: what became of
putting the caller through, and how the call ended. They go through the outbox, so that they are tried again, doubled,
held back and mixed up on demand. A delivery's type is `call.<status>` or `dial.<status>`.
"""

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx

from local.simulators.common import Delivery, Json, Outgoing, World
from local.simulators.twilio.signature import signature
from local.simulators.twilio.twiml import Script, TwimlError, read_twiml

_TIMEOUT = 15.0
_FIELDS = {"from", "to", "name", "country", "seconds", "answered", "hangs_up"}
_FORM = "application/x-www-form-urlencoded; charset=UTF-8"


class Calls:
    """Calls of one account to one webhook."""

    def __init__(self, world: World, url: str | None, token: str, account: str) -> None:
        self._world = world
        self._url = url or ""
        self._token = token
        self._account = account

    def ring(self, asked: Json) -> Json:
        """Somebody calls: `{"from", "to", "name", "country", "seconds", "answered", "hangs_up"}`. `answered`: whether
        the line they are put through to is taken; `hangs_up`: they are gone before our answer is carried out. Raises
        ValueError."""
        if unknown := set(asked) - _FIELDS:
            raise ValueError(f"a call has {sorted(_FIELDS)}, not {sorted(unknown)}")
        call: Json = {
            "sid": "CA" + secrets.token_hex(16),
            "from": str(asked.get("from", "anonymous")),
            "to": str(asked["to"]),
            "name": str(asked.get("name", "")),
            "country": str(asked.get("country", "")),
            "seconds": int(asked.get("seconds", 42)),
            "answered": bool(asked.get("answered", True)),
            "hangs_up": bool(asked.get("hangs_up", False)),
            "answers": [],
        }
        self._world.store.put("call", call["sid"], call)
        self.again(call["sid"])
        return call

    def again(self, sid: str) -> Json:
        """Asks the address of incoming calls (once more, for a call it was asked about), and goes on from its answer.
        Raises KeyError for a call nobody made."""
        call = self._world.store.get("call", sid)
        if call is None:
            raise KeyError(sid)
        first = not call["answers"]
        fields = self._fields(call, "ringing")
        answer = httpx.post(
            self._url,
            content=urlencode(fields),
            headers={"Content-Type": _FORM, "X-Twilio-Signature": signature(self._token, self._url, fields)},
            timeout=_TIMEOUT,
            trust_env=False,
        )
        call["answers"].append(answer.status_code)
        if answer.is_success and first:
            call["script"] = asdict(self._carry_out(call, answer))
        self._world.store.put("call", sid, call)
        return call

    def _carry_out(self, call: Json, answer: httpx.Response) -> Script:
        try:
            script = read_twiml(answer.headers.get("content-type", ""), answer.text)
        except TwimlError as error:
            self._world.store.append("violations", {"side": "webhook", "call": "TwiML", "detail": str(error)})
            raise
        status_url = urljoin(self._url, "status")
        if call["hangs_up"]:
            self._report(status_url, call, "no-answer", {})
            return script
        if script.numbers:
            through = "completed" if call["answered"] else "no-answer"
            dialled = {"DialCallStatus": through, "DialCallSid": "CA" + secrets.token_hex(16)}
            if call["answered"]:
                dialled["DialCallDuration"] = str(call["seconds"])
            self._report(urljoin(self._url, script.action or "status"), call, "in-progress", dialled)
        ended = format_datetime(datetime.fromtimestamp(self._world.clock.now(), UTC))
        over = {"CallDuration": str(call["seconds"]), "Timestamp": ended, "CallbackSource": "call-progress-events"}
        self._report(status_url, call, "completed", over | {"SequenceNumber": "0"})
        return script

    def _report(self, url: str, call: Json, status: str, more: dict[str, str]) -> None:
        through = more.get("DialCallStatus")
        kind = f"dial.{through}" if through else f"call.{status}"
        self._world.outbox.emit(url, kind, f"{call['sid']}:{kind}", self._fields(call, status) | more)

    def _fields(self, call: Json, status: str) -> dict[str, str]:
        fields = {
            "AccountSid": self._account,
            "ApiVersion": "2010-04-01",
            "CallSid": call["sid"],
            "CallStatus": status,
            "Called": call["to"],
            "Caller": call["from"],
            "Direction": "inbound",
            "From": call["from"],
            "To": call["to"],
        }
        beside = {"FromCountry": call["country"], "CallerName": call["name"]}
        return fields | {name: value for name, value in beside.items() if value}

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One signed report."""
        (delivery,) = deliveries
        fields: dict[str, Any] = delivery.payload
        headers = {
            "Content-Type": _FORM,
            "I-Twilio-Idempotency-Token": delivery.id,
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signature(self._token, delivery.url, fields),
        }
        return Outgoing(urlencode(fields).encode(), headers)
