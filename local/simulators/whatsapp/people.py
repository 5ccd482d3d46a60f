"""What people do by their own door, as the phone in their hand would have it."""

from typing import Any

from local.simulators.common import Json, World
from local.simulators.whatsapp.business import Business
from local.simulators.whatsapp.webhooks import Webhooks

KINDS = {
    "text": {"body"},
    "button": {"payload", "text"},
    "interactive": {"type", "button_reply", "list_reply"},
    "image": {"caption", "mime_type", "sha256", "id"},
    "location": {"address", "latitude", "longitude", "name", "url"},
    "reaction": {"message_id", "emoji"},
    "order": {"catalog_id", "text", "product_items"},
    "system": {"body", "wa_id", "type"},
    "contacts": set[str](),
    "unsupported": set[str](),
}
_BESIDE = {"type", "referral", "context", "errors", "contacts"}


class People:
    """Everybody with a phone."""

    def __init__(self, world: World, business: Business, webhooks: Webhooks) -> None:
        self._world = world
        self._business = business
        self._webhooks = webhooks

    def write(self, wa_id: str, asked: Json) -> tuple[Json, Json]:
        """A message to the business: `{"text": {"body": …}}` or another kind with its fields, `type` where the kind has
        none, `name` of the person's profile. The message and the change that is told. Raises ValueError."""
        name = asked.pop("name", None)
        person = self._business.person(wa_id)
        if name is not None:
            person = self._business.change(wa_id, {"name": str(name)})
        kind = _kind_of(asked)
        person["wrote_at"] = self._world.clock.now()
        self._world.store.put("person", person["wa_id"], person)
        message = {
            "from": person["wa_id"],
            "id": self._business.next_id(person["wa_id"]),
            "timestamp": str(self._world.clock.now()),
            **asked,
            "type": kind,
        }
        contact = {"profile": {"name": person["name"]}, "wa_id": person["wa_id"]}
        self._world.store.put("received", message["id"], message)
        return message, self._webhooks.message(message, contact)


def _kind_of(asked: dict[str, Any]) -> str:
    named = [kind for kind in KINDS if kind in asked]
    kind = str(asked.get("type") or (named[0] if len(named) == 1 else ""))
    if kind not in KINDS:
        raise ValueError(f"a message is one of {sorted(KINDS)}")
    unknown = set(asked) - _BESIDE - {kind}
    inner = asked.get(kind)
    if isinstance(inner, dict):
        unknown |= set(inner) - KINDS[kind]
    if unknown:
        raise ValueError(f"a {kind} message has no {sorted(unknown)}")
    return kind
