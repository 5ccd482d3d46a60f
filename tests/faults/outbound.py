"""Mail and WhatsApp as nurture sends them, with lost answers; at the door of either stands somebody who knows what the
person said by then."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from revops.kernel import Refused, Unavailable
from revops.nurture.policies import NurtureRules
from revops.nurture.ports import MailMessage, OutcomeUnknown
from revops.nurture.templates import NurtureTemplates
from revops.table import Key, Row
from tests.builders.clock import ManualClock
from tests.faults.trouble import Killed, Mishap, Trouble

_CALL = (
    Mishap.KILL_BEFORE,
    Mishap.KILL_AFTER,
    Mishap.UNREACHED,
    Mishap.SILENT,
    Mishap.THROTTLED_OUT,
    Mishap.REFUSED,
)
LONGEST_CALL = timedelta(seconds=8)
"""After so long a client hangs up."""


@dataclass(frozen=True, slots=True)
class Left:
    """A message that left: which one (our id), and what forbade it at that moment, if anything did."""

    channel: str
    to: str
    reference: str
    forbidden: str


@dataclass
class Door:
    """`MailSender` and `WhatsappSender`. Mail and template name their message in the subject and the first parameter;
    `peek` looks at the table without a call."""

    clock: ManualClock
    trouble: Trouble
    turn: Callable[[str], None]
    peek: Callable[[Key], Row | None] = lambda _: None
    left: list[Left] = field(default_factory=list)

    def send(self, message: MailMessage) -> str:
        return self._call("email", message.to, message.subject)

    def send_template(self, to: str, template: str, language: str, parameters: Sequence[str]) -> str:
        return self._call("whatsapp", to, parameters[0])

    def send_text(self, to: str, text: str) -> str:
        return self._call("whatsapp", to, text)

    def _call(self, channel: str, to: str, reference: str) -> str:
        began, site = self.clock.now(), f"send {channel}"
        self.turn(site)
        mishap = self.trouble.strikes(site, _CALL)
        if mishap is Mishap.KILL_BEFORE:
            raise Killed
        if mishap is Mishap.THROTTLED_OUT:
            raise Unavailable("slow down", retry_after=20)
        if mishap is Mishap.REFUSED:
            raise Refused("never")
        if mishap is Mishap.UNREACHED or self.clock.now() - began > LONGEST_CALL:
            raise OutcomeUnknown("no answer")
        self.left.append(Left(channel, to, reference, self._forbidden(channel, reference)))
        name = f"{channel}-{len(self.left)}"
        self.turn(site)
        if mishap is Mishap.KILL_AFTER:
            raise Killed
        if mishap is Mishap.SILENT:
            raise OutcomeUnknown("no answer")
        return name

    def _forbidden(self, channel: str, reference: str) -> str:
        """What the table says at this moment, read by hand."""
        message = self.peek(Key(f"MESSAGE#{reference}", "MESSAGE"))
        if message is None:
            return "nobody recorded it"
        record = self.peek(Key(f"PERSON#{json.loads(message.doc)['person_id']}", "CONSENT"))
        said = json.loads(record.doc) if record else {}
        if said.get("do_not_disturb"):
            return "do not disturb"
        standing = [
            each["granted"]
            for each in said.get("entries", ())
            if (each["channel"], each["purpose"]) == (channel, "marketing")
        ]
        return "" if standing and standing[-1] else "consent was withdrawn"


def rules() -> NurtureRules:
    """A sequence that is over within the hour, at any time of the day."""
    steps: list[dict[str, Any]] = [
        {"name": "first", "channel": "email", "after": "PT0S", "template": "bench"},
        {"name": "written", "channel": "whatsapp", "after": "PT5S", "template": "bench"},
        {"name": "second", "channel": "email", "after": "PT20S", "of": "engagement", "template": "bench"},
        {"name": "task", "channel": "task", "after": "PT1M", "template": "Call"},
    ]
    sequence = {"triggers": ["lead_created"], "closes_after": "PT30M", "steps": steps}
    quiet = {"begins": "00:00", "ends": "00:00", "weekends": True}
    return NurtureRules.model_validate({"sequences": {"bench": sequence}, "quiet": quiet, "spacing": "PT0S"})


def templates() -> NurtureTemplates:
    """Messages that say which one they are."""
    mail = {"subject": "{{reference}}", "html": "<p>Hello {{first_name}}</p>"}
    text = "{{reference}}"
    whatsapp = {"name": "bench", "language": "en", "parameters": [text], "text": text}
    return NurtureTemplates.model_validate({"mails": {"bench": {"en": mail}}, "whatsapp": {"bench": {"en": whatsapp}}})
