"""The business number: who is known to it, which templates are approved, what it sent and what became of that."""

import base64
import re
from typing import Any

from local.simulators.common import Answer, Json, World
from local.simulators.whatsapp.errors import bad_parameter, unknown_template, wrong_parameters
from local.simulators.whatsapp.webhooks import Webhooks

WINDOW_SECONDS = 24 * 3600
_REENGAGE: Json = {
    "code": 131047,
    "title": "Re-engagement message",
    "message": "Re-engagement message",
    "error_data": {"details": "More than 24 hours have passed since the recipient last replied."},
}
_UNDELIVERABLE: Json = {
    "code": 131026,
    "title": "Message undeliverable",
    "message": "Message undeliverable",
    "error_data": {"details": "Unable to deliver the message."},
}


class Business:
    """What one business number holds."""

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        self._world = world
        self._webhooks = webhooks
        templates: dict[str, dict[str, int]] = world.config.get("templates", {})
        for name, languages in templates.items():
            self.approve(name, languages)

    def approve(self, name: str, languages: dict[str, int]) -> Json:
        """A template that may be sent: how many body parameters it takes, by language."""
        return self._world.store.put("template", name, {"name": name, "languages": languages})

    def person(self, wa_id: str) -> Json:
        """Somebody on WhatsApp; reachable, and reading nothing by themselves."""
        digits = re.sub(r"\D", "", wa_id)
        known = self._world.store.get("person", digits)
        if known is None:
            known = {"wa_id": digits, "name": "", "reachable": True, "reads": False, "wrote_at": 0}
            self._world.store.put("person", digits, known)
        return known

    def change(self, wa_id: str, asked: Json) -> Json:
        """What a person is like from now on: name, reachable, reads."""
        person = self.person(wa_id)
        unknown = set(asked) - {"name", "reachable", "reads"}
        if unknown:
            raise ValueError(f"a person has name, reachable and reads, not {sorted(unknown)}")
        return self._world.store.put("person", person["wa_id"], {**person, **asked})

    def next_id(self, wa_id: str) -> str:
        """An id as Meta's look."""
        number = int(self._world.store.setting("message_number", 0)) + 1
        self._world.store.set_setting("message_number", number)
        raw = base64.b64encode(f"{wa_id}:{self._world.store.position()}:{number}".encode()).decode()
        return f"wamid.{raw}"

    def send(self, body: Json) -> Answer:
        """Accepts a message of the business; what becomes of it is told by webhook."""
        if body["type"] == "template":
            self._check_template(body["template"])
        person = self.person(body["to"])
        sent: Json = {
            "id": self.next_id(person["wa_id"]),
            "to": person["wa_id"],
            "type": body["type"],
            "content": body[body["type"]],
            "at": self._world.clock.now(),
            "statuses": [],
        }
        self._world.store.put("sent", sent["id"], sent)
        failure = self._failure(body, person)
        if failure is not None:
            self._tell(sent, "failed", failure)
        else:
            for status in ("sent", "delivered", *(["read"] if person["reads"] else [])):
                self._tell(sent, status)
        contacts = [{"input": body["to"], "wa_id": person["wa_id"]}]
        accepted = [{"id": sent["id"], "message_status": "accepted"}]
        return Answer(200, {"messaging_product": "whatsapp", "contacts": contacts, "messages": accepted})

    def read(self, message_id: str) -> Json:
        """The person reads a message; KeyError if it was never sent."""
        sent = self._world.store.get("sent", message_id)
        if sent is None:
            raise KeyError(message_id)
        self._tell(sent, "read")
        return sent

    def _check_template(self, template: Json) -> None:
        approved = self._world.store.get("template", template["name"])
        code = template["language"]["code"]
        if approved is None or code not in approved["languages"]:
            raise unknown_template(template["name"], code)
        given = sum(len(part["parameters"]) for part in template.get("components", ()))
        wanted = approved["languages"][code]
        if given != wanted:
            raise wrong_parameters(wanted, given)

    def _failure(self, body: Json, person: Json) -> Json | None:
        if not person["reachable"]:
            return _UNDELIVERABLE
        open_until = person["wrote_at"] + WINDOW_SECONDS
        return _REENGAGE if body["type"] == "text" and self._world.clock.now() >= open_until else None

    def _tell(self, sent: Json, status: str, failure: Json | None = None) -> None:
        sent["statuses"].append(status)
        self._world.store.put("sent", sent["id"], sent)
        told: dict[str, Any] = {
            "id": sent["id"],
            "status": status,
            "timestamp": str(self._world.clock.now()),
            "recipient_id": sent["to"],
        }
        if failure is not None:
            told["errors"] = [failure]
        self._webhooks.status(told)


def number_of(path: str, number_id: str, asked: str) -> None:
    """Refuses another business's number."""
    if asked != number_id:
        raise bad_parameter(f"{path}: unsupported object")
