"""What nurture asks of the outside: a mail service, WhatsApp, and the links that know who followed them.

A sender tells three endings apart, because only one of them may be tried again: `Unavailable` means that nothing was
sent and trying again can help (a refused connection, a throttle; `retry_after` in seconds is obeyed), `Refused` that
nothing was sent and never will be (an address that does not exist, a template nobody approved), and `OutcomeUnknown`
that the message may have left (no answer, a broken one, a 5xx). A call takes at most 8 seconds in all, so that it ends
before the lease of `crm.consent.SendGate` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from revops.kernel import DomainError


class OutcomeUnknown(DomainError):
    """A message may or may not have left; it is not sent again, since two messages are worse than a missing one."""

    title = "Outcome unknown"
    slug = "outcome-unknown"
    status = 502


@dataclass(frozen=True, slots=True)
class MailMessage:
    """One mail to one person. `message_id` is ours and comes back in what the mail service says of it later;
    `headers` are those beside From, To and Subject."""

    message_id: str
    to: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)


class MailSender(Protocol):
    """A mail service."""

    def send(self, message: MailMessage) -> str:
        """The service's own id of the message. Raises Unavailable, Refused or OutcomeUnknown."""
        ...


class WhatsappSender(Protocol):
    """WhatsApp Business. `to` is an E.164 number. Both answer the vendor's message id and raise Unavailable, Refused
    or OutcomeUnknown."""

    def send_template(self, to: str, template: str, language: str, parameters: Sequence[str]) -> str:
        """A message of an approved template; the only kind that may start a conversation."""
        ...

    def send_text(self, to: str, text: str) -> str:
        """A free text; allowed within 24 hours of the person's last message."""
        ...


class MessageLinks(Protocol):
    """Addresses in a message that say, signed, who followed them (`crm.links.Links`)."""

    def pixel(self, lead_id: str, message_id: str) -> str: ...

    def click(self, lead_id: str, message_id: str, target: str) -> str: ...

    def unsubscribe(self, person_id: str, channel: str, message_id: str) -> str: ...
