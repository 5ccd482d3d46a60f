"""WhatsApp's webhook bodies: cut into what is stored, and read back.

One body carries many changes, a change many messages and statuses. Each is stored by itself, with what of its
surroundings it needs to be understood, under the vendor's message id. What nobody follows is stored as it came.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from revops.channels.messages import PROVIDER, DeliveryStatus, InboundMessage, Passed, WhatsappEvent
from revops.channels.subjects import person_subject
from revops.crm.normalise import canonical_phone
from revops.inbox import Signal
from revops.kernel import Invalid, JsonError, canonical_json, parse_json

_LONGEST_ID = 300
_MEDIA = ("image", "video", "audio", "voice", "document", "sticker")
_FACTS = 500
_UNDELIVERABLE = 131026
"""Meta's code for a number that takes no messages."""


def whatsapp_signals(raw: bytes, accounts: Sequence[str]) -> list[Signal]:
    """What a proven body says, each message, status and change by itself. Raises Invalid for what is no webhook of
    WhatsApp, or is about an account that is not ours (S9)."""
    try:
        content = parse_json(raw)
    except JsonError as error:
        raise Invalid(str(error)) from error
    if not isinstance(content, dict) or content.get("object") != "whatsapp_business_account":
        raise Invalid.field("object", "foreign", "not a webhook of WhatsApp", "whatsapp_business_account")
    entries = content.get("entry")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Invalid.field("entry", "missing", "which accounts it is about", "a list")
    if accounts and any(str(entry.get("id", "")) not in accounts for entry in entries):
        raise Invalid.field("entry.id", "foreign", "an account that is not ours")
    return [signal for entry in entries for change in _dicts(entry.get("changes")) for signal in _cut(entry, change)]


def _cut(entry: Mapping[str, Any], change: Mapping[str, Any]) -> Iterator[Signal]:
    value = _dict(change.get("value"))
    around: dict[str, Any] = {"account": str(entry.get("id", "")), "metadata": _dict(value.get("metadata"))}
    messages, statuses = _dicts(value.get("messages")), _dicts(value.get("statuses"))
    for message in messages:
        sender = str(message.get("from", ""))
        contact = next((each for each in _dicts(value.get("contacts")) if str(each.get("wa_id")) == sender), {})
        body = {**around, "contact": contact, "message": message}
        yield _signal(f"message.{message.get('type')}", str(message.get("id", "")), sender, body)
    for status in statuses:
        told = str(status.get("status", ""))
        known = f"{status['id']}:{told}" if status.get("id") else ""
        yield _signal(f"status.{told}", known, str(status.get("recipient_id", "")), {**around, "status": status})
    if not messages and not statuses:
        body = {**around, "field": str(change.get("field")), "value": value}
        yield _signal(f"change.{change.get('field')}", "", "", body)


def _signal(kind: str, event_id: str, wa_id: str, body: Mapping[str, Any]) -> Signal:
    text = canonical_json(body)
    if not event_id or len(event_id) > _LONGEST_ID:  # known by its content then
        event_id = hashlib.sha256(text.encode()).hexdigest()
    subject = person_subject("", phone_of(wa_id)) if wa_id else "account"
    return Signal(PROVIDER, event_id, kind if re.fullmatch(r"[a-z_.]{1,60}", kind) else "unknown", subject, text)


def read_whatsapp(body: str) -> WhatsappEvent:
    """What a stored entry says."""
    content = parse_json(body)
    if "message" in content:
        return _message(content)
    if "status" in content:
        return _status(content["status"])
    return Passed(f"nothing here follows {content.get('field') or 'this change'}")


def _message(content: Mapping[str, Any]) -> WhatsappEvent:
    message, contact = content["message"], content["contact"]
    kind = str(message.get("type", "unknown"))
    detail = _dict(message.get(kind))
    if kind == "reaction" and not detail.get("emoji"):
        return Passed("a reaction was taken back")
    if not message.get("id") or not message.get("from"):
        return Passed("a message without sender or id")
    referral, quoted = _dict(message.get("referral")), _dict(message.get("context"))
    facts = _facts(kind, detail) | {"group": str(message.get("group_id", "")), "answers": str(quoted.get("id", ""))}
    return InboundMessage(
        id=str(message["id"])[:_LONGEST_ID],
        sender=phone_of(str(message["from"])),
        name=str(_dict(contact.get("profile")).get("name", "")),
        at=_time(message.get("timestamp")),
        kind=kind[:60],
        text=_text(kind, message, detail),
        number=phone_of(str(content["metadata"].get("display_phone_number", ""))),
        said=_said(kind, detail),
        facts={name: value[:_FACTS] for name, value in facts.items() if value},
        ad={name: str(referral[name]) for name in _AD if referral.get(name)},
        personal=kind != "system",
    )


_AD = ("source_url", "source_id", "source_type", "headline", "body", "ctwa_clid")


def _status(status: Mapping[str, Any]) -> WhatsappEvent:
    if not status.get("id"):
        return Passed("a status of no message")
    faults = _dicts(status.get("errors"))
    reason = "; ".join(f"{fault.get('code')} {fault.get('title') or fault.get('message') or ''}" for fault in faults)
    told = str(status.get("status", "unknown"))
    return DeliveryStatus(
        message_id=str(status["id"])[:_LONGEST_ID],
        status=told[:20],
        at=_time(status.get("timestamp")),
        reason=reason.strip(),
        unreachable=told == "failed" and any(fault.get("code") == _UNDELIVERABLE for fault in faults),
    )


def _said(kind: str, detail: Mapping[str, Any]) -> tuple[str, ...]:
    """The words by which a person chose: what they typed, or the button they pressed."""
    if kind == "interactive":
        chosen = _dict(detail.get("button_reply")) or _dict(detail.get("list_reply"))
        return (str(chosen.get("title", "")),)
    names = {"text": ("body",), "button": ("text", "payload")}.get(kind, ())
    return tuple(str(detail.get(name, "")) for name in names)


def _text(kind: str, message: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """A message in words; of what has none, what it is."""
    match kind:
        case "text":
            return str(detail.get("body", ""))
        case "button":
            return str(detail.get("text", ""))
        case "interactive":
            return _said(kind, detail)[0] or "[a form was filled in]"
        case "reaction":
            return str(detail.get("emoji", ""))
        case "location":
            place = (str(detail.get(name, "")) for name in ("name", "address"))
            return ", ".join(filter(None, place)) or f"{detail.get('latitude')}, {detail.get('longitude')}"
        case "contacts":
            return "; ".join(_card(card) for card in _dicts(message.get("contacts")))
        case "order":
            items = (f"{item.get('quantity')} × {item.get('product_retailer_id')}" for item in _items(detail))
            return "; ".join(filter(None, (str(detail.get("text", "")), *items)))
        case "system":
            return str(detail.get("body", ""))
        case _ if kind in _MEDIA:
            return str(detail.get("caption", "")) or f"[{kind}]"
        case _:
            faults = _dicts(message.get("errors"))
            return f"[{kind}: {faults[0].get('title', '') if faults else 'not to be read here'}]"


def _card(card: Mapping[str, Any]) -> str:
    name = str(_dict(card.get("name")).get("formatted_name", ""))
    return ", ".join(filter(None, (name, *(str(each.get("phone", "")) for each in _dicts(card.get("phones"))))))


def _facts(kind: str, detail: Mapping[str, Any]) -> dict[str, str]:
    """What belongs to a kind, as texts."""
    if kind in _MEDIA:
        return {f"media_{name}": str(detail.get(name) or "") for name in ("id", "mime_type", "sha256", "filename")}
    if kind == "location":
        return {name: str(detail.get(name, "")) for name in ("latitude", "longitude", "url")}
    if kind == "reaction":
        return {"reacts_to": str(detail.get("message_id", ""))}
    if kind == "system":
        return {"said": str(detail.get("type", "")), "new_number": phone_of(str(detail.get("wa_id", "")))}
    if kind == "order":
        return {"catalog": str(detail.get("catalog_id", "")), "items": str(len(_items(detail)))}
    return {}


def _items(detail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _dicts(detail.get("product_items"))


def phone_of(wa_id: str) -> str:
    """The number of a WhatsApp id in E.164. Ids of Mexican mobiles keep a 1 that their numbers lost, those of older
    Brazilian ones lack the 9 that theirs got; what cannot be read stays as it came."""
    digits = re.sub(r"\D", "", wa_id)[:20]
    if not digits:
        return ""
    wanted = [digits]
    if digits.startswith("521") and len(digits) == 13:
        wanted.append("52" + digits[3:])
    if digits.startswith("55") and len(digits) == 12:
        wanted.append(digits[:4] + "9" + digits[4:])
    read = (canonical_phone(f"+{each}", "") for each in wanted)
    return next((phone for phone in read if phone), f"+{digits}")


def _time(stamp: Any) -> datetime:
    seconds = int(stamp) if isinstance(stamp, str | int) and re.fullmatch(r"[0-9]{1,11}", str(stamp)) else 0
    return datetime.fromtimestamp(seconds, UTC)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
