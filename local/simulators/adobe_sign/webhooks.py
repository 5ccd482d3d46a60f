"""Webhooks: registrations, the verification of intent before one is active, notifications and their echo.

A delivery's type, which fault rules can match, is the event, as `AGREEMENT_WORKFLOW_COMPLETED`. Nothing is signed: a
notification names the application's client id in `X-AdobeSign-ClientId`, and only a 2xx answer that returns it, in the
same header or as `xAdobeSignClientId` in a JSON body, settles it.
"""

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict

import httpx

from local.simulators.adobe_sign import documents, shapes
from local.simulators.adobe_sign.errors import AdobeError
from local.simulators.common import Delivery, Json, Outgoing, Problem, World

HEADER = "X-AdobeSign-ClientId"
_BODY_KEY = "xAdobeSignClientId"
CONFIGURED = "CBJCHBCAABAAconfigured"
_WANTED = {"includeDetailedInfo": True, "includeParticipantsInfo": True, "includeDocumentsInfo": True}
_SELECTED = {"name", "scope", "state", "webhookSubscriptionEvents", "webhookUrlInfo", "webhookConditionalParams"}


class Webhooks:
    """The account's webhooks. The one of the command line is there from the start, inactive until it is verified."""

    def __init__(
        self, world: World, url: str | None, client_id: str, check: Callable[[Json], list[Problem]] | None = None
    ) -> None:
        self._world = world
        self._client_id = client_id
        self._check = check
        world.outbox.acknowledges = self.echoes
        if url:
            held = world.store.get("webhook", CONFIGURED)
            if held is None or held["webhookUrlInfo"]["url"] != url:
                asked: Json = {"name": "order forms", "scope": "ACCOUNT", "webhookUrlInfo": {"url": url}}
                asked |= {"webhookSubscriptionEvents": ["AGREEMENT_ALL"]}
                self._keep(CONFIGURED, {**asked, "webhookConditionalParams": {"webhookAgreementEvents": _WANTED}})

    def subscribe(self) -> Json:
        """Verifies the webhook of the command line, and activates it if it echoes. Raises ValueError without one."""
        held = self._world.store.get("webhook", CONFIGURED)
        if held is None:
            raise ValueError("there is no webhook address")
        status, verified = self._verify(held["webhookUrlInfo"]["url"])
        if verified:
            self._switch(held, "ACTIVE")
        return {"status": status, "verified": verified}

    def register(self, asked: Json) -> Json:
        """`POST /webhooks`: verifies the address, keeps the webhook; its id. Raises AdobeError."""
        url, events = asked["webhookUrlInfo"]["url"], asked["webhookSubscriptionEvents"]
        if unknown := sorted(set(asked) - _SELECTED):
            raise AdobeError("INVALID_ARGUMENTS", f"This simulator does not know {', '.join(unknown)}.")
        if asked["scope"] != "ACCOUNT" or not events or any(not event.startswith("AGREEMENT_") for event in events):
            raise AdobeError("INVALID_ARGUMENTS", "This simulator has webhooks of the account, on agreements.")
        if not url.startswith(("https://", "http://127.0.0.1")):
            raise AdobeError("INVALID_WEBHOOK_URL")
        same = [one for one in self._world.store.all("webhook") if one["webhookUrlInfo"]["url"] == url]
        if any(set(one["webhookSubscriptionEvents"]) & set(events) for one in same if one["id"] != CONFIGURED):
            raise AdobeError("DUPLICATE_WEBHOOK_CONFIGURATION")
        if not self._verify(url)[1]:
            raise AdobeError("INVALID_WEBHOOK_URL", "It did not return the client id.")
        number = "CBJCHBCAABAAw" + secrets.token_urlsafe(18)
        self._switch(self._keep(number, asked), "ACTIVE")
        return {"id": number}

    def find(self, number: str) -> Json:
        """A webhook. Raises AdobeError."""
        held = self._world.store.get("webhook", number)
        if held is None:
            raise AdobeError("INVALID_WEBHOOK_ID")
        return held

    def page(self, query: dict[str, str]) -> Json:
        """`GET /webhooks`: the active ones, or all."""
        everything = query.get("showInActiveWebhooks") == "true"
        shown = ("id", "name", "scope", "status", "lastModified", "webhookSubscriptionEvents", "webhookUrlInfo")
        found = [one for one in self._world.store.all("webhook") if everything or one["status"] == "ACTIVE"]
        return {"page": {}, "userWebhookList": [{name: one[name] for name in shown} for one in found]}

    def change_state(self, number: str, state: str, match: str | None) -> None:
        """`PUT /webhooks/{id}/state`; to be active again an address is verified again. Raises AdobeError."""
        held = self.find(number)
        if not match:
            raise AdobeError("MISSING_IF_MATCH_HEADER")
        if match.strip('"') != etag(held):
            raise AdobeError("RESOURCE_MODIFIED")
        if state == "ACTIVE" and not self._verify(held["webhookUrlInfo"]["url"])[1]:
            raise AdobeError("INVALID_WEBHOOK_URL", "It did not return the client id.")
        self._switch(held, state)

    def tell(self, event: str, agreement: Json, entry: Json) -> None:
        """Tells all active webhooks that asked for this event; `entry` is that of the agreement's history."""
        for webhook in self._world.store.all("webhook"):
            wanted = webhook["webhookSubscriptionEvents"]
            if webhook["status"] != "ACTIVE" or not {event, "AGREEMENT_ALL"} & set(wanted):
                continue
            message = self._message(event, webhook, agreement, entry)
            if self._check is not None and (problems := self._check(message)):
                told = {"side": "webhook", "call": event, "problems": [asdict(problem) for problem in problems]}
                self._world.store.append("violations", told)
            self._world.outbox.emit(webhook["webhookUrlInfo"]["url"], event, message["webhookNotificationId"], message)

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One notification."""
        (delivery,) = deliveries
        body = json.dumps(delivery.payload, separators=(",", ":"), ensure_ascii=False).encode()
        return Outgoing(body, {"Content-Type": "application/json;charset=UTF-8", HEADER: self._client_id})

    def echoes(self, answer: httpx.Response) -> bool:
        """Whether an answer settles a notification: 2xx, and the client id returned."""
        if not answer.is_success:
            return False
        if answer.headers.get(HEADER) == self._client_id:
            return True
        try:
            body = answer.json()
        except ValueError:
            return False
        return isinstance(body, dict) and body.get(_BODY_KEY) == self._client_id

    def _message(self, event: str, webhook: Json, agreement: Json, entry: Json) -> Json:
        wanted = webhook.get("webhookConditionalParams", {}).get("webhookAgreementEvents", {})
        sender = shapes.SENDER["email"]
        users = [{"id": "CBJCHBCAABAAsender", "email": sender, "role": "SENDER", "payloadApplicable": "true"}]
        message: Json = {
            "webhookId": webhook["id"],
            "webhookName": webhook["name"],
            "webhookNotificationId": secrets.token_hex(16),
            "webhookUrlInfo": webhook["webhookUrlInfo"],
            "webhookScope": webhook["scope"],
            "webhookNotificationApplicableUsers": users,
            "event": event,
            "eventDate": entry["date"],
            "eventResourceType": "agreement",
            "participantUserId": entry["participantId"],
            "participantUserEmail": entry["participantEmail"],
            "actingUserId": entry["participantId"],
            "actingUserEmail": entry["actingUserEmail"],
            "actingUserIpAddress": "192.0.2.10",
            "initiatingUserId": "CBJCHBCAABAAsender",
            "initiatingUserEmail": sender,
            "agreement": shapes.told(agreement, wanted),
        }
        if event in ("AGREEMENT_ACTION_REQUESTED", "AGREEMENT_ACTION_COMPLETED"):
            message |= {"participantRole": entry["participantRole"], "actionType": "ESIGN"}
        if event == "AGREEMENT_WORKFLOW_COMPLETED":
            message["participantRole"] = entry["participantRole"]
            if wanted.get("includeSignedDocuments"):
                whole = base64.b64encode(documents.combined(agreement, with_audit=False)).decode()
                message["agreement"]["signedDocumentInfo"] = {"document": whole}
        return message

    def _verify(self, url: str) -> tuple[int, bool]:
        """The verification of intent: the address is asked, and has to return the client id."""
        try:
            answer = httpx.get(url, headers={HEADER: self._client_id}, timeout=10, trust_env=False)
        except httpx.HTTPError:
            return 0, False
        return answer.status_code, self.echoes(answer)

    def _keep(self, number: str, asked: Json) -> Json:
        now = shapes.written(self._world.clock.precise())
        kept = {name: value for name, value in asked.items() if name != "state"}
        held = {**kept, "id": number, "created": now, "lastModified": now, "status": "INACTIVE", "changes": 0}
        return self._world.store.put("webhook", number, held)

    def _switch(self, webhook: Json, status: str) -> None:
        now = shapes.written(self._world.clock.precise())
        webhook |= {"status": status, "lastModified": now, "changes": webhook["changes"] + 1}
        self._world.store.put("webhook", webhook["id"], webhook)


def shown(webhook: Json) -> Json:
    """`GET /webhooks/{id}`."""
    return {name: value for name, value in webhook.items() if name != "changes"}


def etag(webhook: Json) -> str:
    """What changes whenever a webhook does."""
    return f"W{webhook['id']}.{webhook['changes']}"
