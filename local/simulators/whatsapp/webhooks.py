"""What a subscriber is told: one change per message and status, several to a request, signed with the app's secret.

A delivery's type, which fault rules can match, is `message.<kind>` or `status.<status>`.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass

from local.simulators.common import Delivery, Json, Outgoing, World

BATCH = 10


@dataclass(frozen=True)
class Identity:
    """Who the simulated business and its app are. `number` is written with digits only."""

    token: str
    app_secret: str
    verify_token: str
    number_id: str
    number: str
    account: str


class Webhooks:
    """Changes for the one address that subscribes."""

    def __init__(self, world: World, url: str | None, identity: Identity) -> None:
        self._world = world
        self.url = url
        self._identity = identity

    def message(self, message: Json, contact: Json) -> Json:
        """Tells of a person's message; the change as it will be told."""
        value = {**self._around(), "contacts": [contact], "messages": [message]}
        if message["type"] == "system":  # Meta names no contact there
            del value["contacts"]
        self._emit(f"message.{message['type']}", message["id"], value)
        return value

    def status(self, status: Json) -> None:
        """Tells what became of a message of the business."""
        self._emit(
            f"status.{status['status']}", f"{status['id']}:{status['status']}", self._around() | {"statuses": [status]}
        )

    def _around(self) -> Json:
        metadata = {"display_phone_number": self._identity.number, "phone_number_id": self._identity.number_id}
        return {"messaging_product": "whatsapp", "metadata": metadata}

    def _emit(self, kind: str, event_id: str, value: Json) -> None:
        if self.url is not None:
            self._world.outbox.emit(self.url, kind, event_id, value)

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One request with a change for each delivery, signed now."""
        changes = [{"value": delivery.payload, "field": "messages"} for delivery in deliveries]
        content = {"object": "whatsapp_business_account", "entry": [{"id": self._identity.account, "changes": changes}]}
        body = json.dumps(content, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": signature(self._identity.app_secret, body),
        }
        return Outgoing(body, headers)


def signature(secret: str, body: bytes) -> str:
    """X-Hub-Signature-256 of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
