"""What subscribers are told: one notification per record made or deleted, changed property or changed link.

Generic subscriptions send `object.creation`, `object.propertyChange` … with an `objectTypeId`; legacy ones
send `contact.creation`, `deal.propertyChange` … for the types that have them. `eventId` is one per change, so
several notifications of one change share it. A delivery's type, which fault rules can match, is
`contact.propertyChange:lastname` in either format.

Signature v3: base64 of HMAC-SHA256, keyed with the client secret, over method + URI + body + timestamp in
milliseconds. Every try is signed afresh, by the machine's own clock.
"""

import base64
import hashlib
import hmac
import json
import re
import time
from typing import Any

from local.simulators.common import Delivery, Json, Outbox, Outgoing, Store
from local.simulators.hubspot.associations import is_primary
from local.simulators.hubspot.catalogue import NOTE, ObjectType, object_type
from local.simulators.hubspot.portal import Portal, Source

BATCH = 100
API_SOURCE = "INTEGRATION"
UI_SOURCE = "CRM_UI"


class Notifications:
    """Turns changes into notifications for the one address that subscribes to everything."""

    def __init__(
        self,
        portal: Portal,
        store: Store,
        outbox: Outbox,
        url: str | None,
        client_secret: str,
    ) -> None:
        self._portal = portal
        self._store = store
        self._outbox = outbox
        self._url = url
        self._secret = client_secret.encode()

    def created(self, kind: ObjectType, record: Json, source: Source) -> None:
        """`creation`."""
        facts: Json = {"objectId": record["id"], "changeFlag": "CREATED"}
        self._tell(kind, "creation", record["updated"], source, [facts])

    def changed(self, kind: ObjectType, record: Json, new: dict[str, str], source: Source) -> None:
        """`propertyChange`, one per property that is subscribed to."""
        subscribed = self._portal.settings()["subscribed_properties"]
        facts = [
            {"objectId": record["id"], "propertyName": name, "propertyValue": value}
            for name, value in new.items()
            if subscribed is None or name in subscribed
        ]
        self._tell(kind, "propertyChange", record["updated"], source, facts)

    def deleted(self, kind: ObjectType, record: Json, source: Source, *, privacy: bool) -> None:
        """`deletion`, or `privacyDeletion` for one that is for good."""
        event = "privacyDeletion" if privacy else "deletion"
        at = self._portal.now() if privacy else record["updated"]
        self._tell(kind, event, at, source, [{"objectId": record["id"], "changeFlag": "DELETED"}])

    def linked(self, link: Json, type_id: int, source: Source, *, removed: bool) -> None:
        """`associationChange` for one direction of a link."""
        start, end = object_type(link["from_type"]), object_type(link["to_type"])
        if start is None or end is None or not self._portal.settings()["association_changes"]:
            return
        facts: Json = {
            "associationType": f"{start.label}_TO_{end.label}",
            "associationCategory": "HUBSPOT_DEFINED",
            "associationTypeId": type_id,
            "fromObjectId": int(link["from_id"]),
            "toObjectId": int(link["to_id"]),
            "fromObjectTypeId": start.type_id,
            "toObjectTypeId": end.type_id,
            "associationRemoved": removed,
            "isPrimaryAssociation": is_primary(link, type_id),
        }
        self._tell(start, "associationChange", self._portal.now(), source, [facts])

    def _tell(self, kind: ObjectType, event: str, at: int, source: Source, facts: list[Json]) -> None:
        behaviour = self._portal.settings()
        if self._url is None or not facts or (source.type == API_SOURCE and not behaviour["echo"]):
            return
        generic = (behaviour["webhook_format"] == "object" or kind is NOTE) and event != "privacyDeletion"
        subscription_type = f"{'object' if generic else kind.singular}.{event}"
        event_id = self._portal.next_number("event", 3_100_000_001)
        for fact in facts:
            name = fact.get("propertyName")
            payload: dict[str, Any] = {
                "appId": self._portal.app_id,
                "eventId": event_id,
                "subscriptionId": self._subscription(kind, subscription_type, name),
                "portalId": self._portal.portal_id,
                "occurredAt": at,
                "subscriptionType": subscription_type,
                **fact,
                "changeSource": source.type,
                "sourceId": source.id,
            }
            if "objectId" in fact:
                payload["objectId"] = int(fact["objectId"])
                if generic:
                    payload["objectTypeId"] = kind.type_id
            if generic and name is not None:
                payload["isSensitive"] = False
            label = f"{kind.singular}.{event}" + (f":{name}" if name is not None else "")
            self._outbox.emit(self._url, label, str(event_id), payload)

    def _subscription(self, kind: ObjectType, subscription_type: str, name: str | None) -> int:
        key = f"{kind.plural}/{subscription_type}/{name or ''}"
        known = self._store.get("_subscription", key)
        if known is None:
            known = self._store.put(
                "_subscription",
                key,
                {"id": self._portal.next_number("subscription", 4_200_001)},
            )
        return int(known["id"])

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One request with a batch of notifications, signed now. `attemptNumber` counts from 0."""
        listed = [{**delivery.payload, "attemptNumber": delivery.tries} for delivery in deliveries]
        body = json.dumps(listed, separators=(",", ":"), ensure_ascii=False).encode()
        timestamp = str(time.time_ns() // 1_000_000)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nio-http)",
            "X-HubSpot-Request-Timestamp": timestamp,
            "X-HubSpot-Signature-v3": signature(self._secret, "POST", deliveries[0].url, body, timestamp),
        }
        return Outgoing(body, headers)


def signature(secret: bytes, method: str, uri: str, body: bytes, timestamp: str) -> str:
    """X-HubSpot-Signature-v3 of a request. Of the URI's encodings, HubSpot signs `:/?@!$'()*,;` decoded."""
    uri = re.sub(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", lambda code: chr(int(code[1], 16)), uri, flags=re.I)
    signed = method.encode() + uri.encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
