"""Twilio's voice webhooks: read from the form, stored, read back, and answered in TwiML."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from revops.adapters.twilio_signature import Parameters
from revops.channels.calls import CallReport, CallStatus, VoiceRules
from revops.channels.subjects import person_subject
from revops.inbox import InboxEntry, Signal
from revops.kernel import Invalid, canonical_json, parse_json

PROVIDER = "twilio"
_MOST_FIELDS = 200
_CALL = re.compile(r"CA[0-9a-f]{32}")
_STATUSES: Mapping[str, CallStatus] = {
    "queued": CallStatus.UNDER_WAY,
    "initiated": CallStatus.UNDER_WAY,
    "ringing": CallStatus.UNDER_WAY,
    "in-progress": CallStatus.UNDER_WAY,
    "completed": CallStatus.ENDED,
    "busy": CallStatus.MISSED,
    "failed": CallStatus.MISSED,
    "no-answer": CallStatus.MISSED,
    "canceled": CallStatus.MISSED,
}
"""How the caller's own leg stands. It is in progress as soon as our greeting is read out."""
_PUT_THROUGH: Mapping[str, CallStatus] = {
    "answered": CallStatus.ANSWERED,
    "completed": CallStatus.ANSWERED,
    "busy": CallStatus.MISSED,
    "failed": CallStatus.MISSED,
    "no-answer": CallStatus.MISSED,
    "canceled": CallStatus.MISSED,
}
"""What became of putting the caller through to one of us (`DialCallStatus`)."""


def read_form(raw: bytes) -> list[tuple[str, str]]:
    """The fields of a body as Twilio signed them. Raises Invalid for what is no form."""
    try:
        return parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:  # not UTF-8, or more fields than any call has
        raise Invalid("the body is not a form in UTF-8") from error


def twilio_signal(parameters: Parameters, accounts: Sequence[str]) -> Signal:
    """What a proven request says, known by its call and status. Raises Invalid for one that names no call, or is about
    an account that is not ours (S9)."""
    fields = dict(parameters)
    if accounts and fields.get("AccountSid", "") not in accounts:
        raise Invalid.field("AccountSid", "foreign", "an account that is not ours")
    call_id, status = fields.get("CallSid", ""), fields.get("CallStatus", "")
    if not _CALL.fullmatch(call_id):
        raise Invalid.field("CallSid", "missing", "which call it is about", "CA and 32 hexadecimal digits")
    if not re.fullmatch(r"[a-z-]{1,20}", status):
        raise Invalid.field("CallStatus", "missing", "how the call stands", ", ".join(_STATUSES))
    through = fields.get("DialCallStatus", "")
    stage = f"put-through-{through}" if re.fullmatch(r"[a-z-]{1,20}", through) else status
    report = _report(fields, datetime.fromtimestamp(0, UTC))
    return Signal(
        provider=PROVIDER,
        event_id=f"{call_id}:{stage}",
        event_type=f"call.{stage}",
        subject=person_subject("", report.caller),
        body=canonical_json(fields),
    )


def read_twilio(entry: InboxEntry) -> CallReport:
    """What a stored entry says of a call."""
    return _report(parse_json(entry.body), entry.created_at)


def _report(fields: Mapping[str, Any], received: datetime) -> CallReport:
    duration = str(fields.get("CallDuration", ""))
    status, through = str(fields.get("CallStatus", "")), str(fields.get("DialCallStatus", ""))
    parent = str(fields.get("ParentCallSid", ""))
    return CallReport(
        id=f"twilio:{fields.get('CallSid', '')}",
        caller=str(fields.get("From", "")),
        called=str(fields.get("To", "")),
        status=_PUT_THROUGH.get(through, _STATUSES.get(status, CallStatus.OTHER)),
        at=_time(str(fields.get("Timestamp", ""))) or received,
        inbound=str(fields.get("Direction", "inbound")) == "inbound" and not parent,
        name=str(fields.get("CallerName", "")),
        country=str(fields.get("FromCountry", "")),
        seconds=int(duration) if re.fullmatch(r"[0-9]{1,6}", duration) else None,
    )


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None


def twiml(rules: VoiceRules) -> str:
    """What the caller hears: the greeting, then the lines they are put through to, if there are any. What becomes of
    that is told to the route beside this one."""
    said = f"<Say language={quoteattr(rules.language)}>{escape(rules.greeting)}</Say>" if rules.greeting else ""
    lines = "".join(f"<Number>{escape(number)}</Number>" for number in rules.forward_to)
    dial = f'<Dial answerOnBridge="true" action="status" timeout="{rules.ring_seconds}">{lines}</Dial>' if lines else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{said}{dial}</Response>'


def silence(_: VoiceRules) -> str:
    """The answer to a report that asks for nothing."""
    return '<?xml version="1.0" encoding="UTF-8"?><Response/>'
