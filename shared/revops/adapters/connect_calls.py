"""Amazon Connect's contact events, as EventBridge hands them over: stored, and read back.

Events are told best effort, in no order, and gain fields over time; each says all it knows of the contact. A contact
that is transferred goes on under a new id and names the first one, which is the call here.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from revops.channels.calls import CallReport, CallStatus
from revops.channels.subjects import person_subject
from revops.inbox import InboxEntry, Signal
from revops.kernel import Invalid, canonical_json, parse_json, parse_time

PROVIDER = "connect"
_OVER = ("DISCONNECTED", "COMPLETED")
_UNDER_WAY = ("INITIATED", "QUEUED", "CONNECTED_TO_SYSTEM", "CONNECTED_TO_AGENT")


def connect_signal(event: Mapping[str, Any]) -> Signal:
    """What an event says, known by the id that EventBridge gave it. Raises Invalid for what is none."""
    detail = event.get("detail")
    if not isinstance(detail, dict) or not detail.get("contactId"):
        raise Invalid.field("detail.contactId", "missing", "which contact it is about")
    content = canonical_json(event)
    kind = str(detail.get("eventType", "")).lower()
    return Signal(
        provider=PROVIDER,
        event_id=str(event.get("id", ""))[:100] or hashlib.sha256(content.encode()).hexdigest(),
        event_type=f"contact.{kind}" if re.fullmatch(r"[a-z_]{1,40}", kind) else "unknown",
        subject=person_subject("", _address(detail, "customerEndpoint")),
        body=content,
    )


def read_connect(entry: InboxEntry) -> CallReport:
    """What a stored entry says of a call."""
    event = parse_json(entry.body)
    detail = event["detail"]
    began, ended = _time(detail, "initiationTimestamp"), _time(detail, "disconnectTimestamp")
    agent = detail.get("agentInfo")
    talked = _time(agent, "connectedToAgentTimestamp") if isinstance(agent, dict) else None
    since = talked or began
    return CallReport(
        id=f"connect:{detail.get('initialContactId') or detail['contactId']}",
        caller=_address(detail, "customerEndpoint"),
        called=_address(detail, "systemEndpoint"),
        status=_status(str(detail.get("eventType", "")), talked is not None),
        at=began or entry.created_at,
        inbound=detail.get("channel", "VOICE") == "VOICE" and detail.get("initiationMethod") in _INBOUND,
        seconds=max(0, round((ended - since).total_seconds())) if ended and since else None,
    )


def _status(kind: str, talked: bool) -> CallStatus:
    if talked or kind == "CONNECTED_TO_AGENT":
        return CallStatus.ANSWERED
    if kind in _OVER:
        return CallStatus.MISSED
    return CallStatus.UNDER_WAY if kind in _UNDER_WAY else CallStatus.OTHER


_INBOUND = ("INBOUND", "TRANSFER", "QUEUE_TRANSFER")


def _address(detail: Mapping[str, Any], name: str) -> str:
    """The number at an end of the call; Connect writes the name of the field and of what is in it either way."""
    end = detail.get(name) or detail.get(name[0].upper() + name[1:])
    if not isinstance(end, dict):
        return ""
    return str(end.get("address") or end.get("Address") or "")[:100]


def _time(detail: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return parse_time(str(detail.get(name) or "")).astimezone(UTC)
    except ValueError:
        return None
