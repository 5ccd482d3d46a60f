"""Connect: one JSON message for each event (SIM, v2.1), signed with every key of the account.

A delivery's type, which fault rules can match, is the event: `envelope-completed`, `recipient-declined` and so on.
The account's own listener gets every event with recipients and custom fields; an envelope's `eventNotification` gets
the events it names, with the data it names. A message says what was so when the event occurred, whenever it arrives;
only `retryCount` tells one try from the next.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict

from local.simulators.common import Delivery, Json, Outgoing, Problem, World
from local.simulators.docusign.documents import files_of, marked
from local.simulators.docusign.oauth import Identity
from local.simulators.docusign.times import written

_ACCOUNT_CONFIGURATION = 10_000_001


class Connect:
    """Messages for the account's listener and for those of single envelopes."""

    def __init__(
        self, world: World, url: str | None, identity: Identity, check: Callable[[Json], list[Problem]] | None = None
    ) -> None:
        self._world = world
        self._url = url
        self._identity = identity
        self._check = check

    def keys(self) -> list[str]:
        """The account's HMAC keys."""
        held: list[str] = self._world.store.setting("hmac_keys", list(self._identity.hmac_keys))
        return held

    def change_keys(self, keys: list[str]) -> None:
        """Keys from now on, for what waits too: the account's administrator adds and removes them."""
        self._world.store.set_setting("hmac_keys", keys)

    def tell(self, event: str, envelope: Json, recipient: Json | None = None) -> None:
        """Tells all who listen to this event of this envelope."""
        if self._url:
            listener = {"configuration": _ACCOUNT_CONFIGURATION, "signed": True}
            include = ("recipients", "custom_fields")
            self._emit(self._url, event, envelope, recipient, listener, include)
        own: Json = envelope["_"].get("eventNotification", {})
        if event in own.get("events", ()):
            listener = {"configuration": 0, "signed": own.get("includeHMAC") == "true"}
            include = tuple(own.get("eventData", {}).get("includeData", ()))
            self._emit(own["url"], event, envelope, recipient, listener, include)

    def _emit(
        self,
        url: str,
        event: str,
        envelope: Json,
        recipient: Json | None,
        listener: Json,
        include: tuple[str, ...],
    ) -> None:
        account, number = self._identity.account_id, envelope["envelopeId"]
        data: Json = {"accountId": account, "userId": self._identity.user_id, "envelopeId": number}
        if recipient is not None:
            data["recipientId"] = recipient["recipientId"]
        if include:
            data["envelopeSummary"] = self._summary(envelope, include)
        message = {
            "event": event,
            "uri": f"/restapi/v2.1/accounts/{account}/envelopes/{number}",
            "retryCount": 0,
            "configurationId": listener["configuration"],
            "apiVersion": "v2.1",
            "generatedDateTime": written(self._world.clock.precise()),
            "data": data,
        }
        if self._check is not None and (problems := self._check(message)):
            entry = {"side": "webhook", "call": event, "problems": [asdict(problem) for problem in problems]}
            self._world.store.append("violations", entry)
        count = int(self._world.store.setting("events", 0)) + 1
        self._world.store.set_setting("events", count)
        payload = {"message": message, "signed": listener["signed"]}
        self._world.outbox.emit(url, event, f"{number}:{event}:{count}", payload)

    def _summary(self, envelope: Json, include: tuple[str, ...]) -> Json:
        sender = {"userName": "Order Desk", "userId": self._identity.user_id, "accountId": self._identity.account_id}
        summary = {name: value for name, value in envelope.items() if name not in _LEFT_OUT}
        summary["sender"] = {**sender, "email": "orders@example.com"}
        if "recipients" in include:
            summary["recipients"] = _told(envelope["recipients"], with_tabs="tabs" in include)
        if "custom_fields" in include:
            summary["customFields"] = envelope["customFields"]
        if "documents" in include:
            summary["envelopeDocuments"] = [
                {
                    **{name: document[name] for name in ("documentId", "name", "order")},
                    "type": "content",
                    "PDFBytes": base64.b64encode(marked(envelope, document)).decode(),
                }
                for document in files_of(self._world.store, envelope)
            ]
        return summary

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One message, with its signatures."""
        (delivery,) = deliveries
        message = {**delivery.payload["message"], "retryCount": delivery.tries}
        body = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "docusign-connect/2.0"}
        if delivery.payload["signed"]:
            headers["X-Authorization-Digest"] = "HMACSHA256"
            for number, key in enumerate(self.keys(), start=1):
                headers[f"X-DocuSign-Signature-{number}"] = signature(key, body)
        return Outgoing(body, headers)


# Parts of a held envelope that a summary has only on demand, or never.
_LEFT_OUT = {"_", "recipients", "customFields", "expireAfter", "expireDateTime", "expireEnabled", "statusDateTime"}


def signature(key: str, body: bytes) -> str:
    """X-DocuSign-Signature of a body: base64 of HMAC-SHA256 over the raw bytes."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def _told(recipients: Json, *, with_tabs: bool) -> Json:
    """Recipients with what a message says of them."""
    left_out = {"recipientType", "autoRespondedReason"} | (set() if with_tabs else {"tabs"})
    return {
        kind: [{name: value for name, value in each.items() if name not in left_out} for each in those]
        if isinstance(those, list)
        else those
        for kind, those in recipients.items()
    }
