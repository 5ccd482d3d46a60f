"""A step's message for one lead: written from its template, and handed to the channel's vendor."""

from collections.abc import Callable
from dataclasses import dataclass

from revops.crm.model import Lead
from revops.kernel import Clock, Invalid
from revops.nurture.model import StepChannel, StepRecord
from revops.nurture.policies import NurtureRules, address_of, in_window, language_of
from revops.nurture.ports import MailMessage, MailSender, MessageLinks, WhatsappSender
from revops.nurture.templates import NurtureTemplates, Recipient, write_line, write_mail, write_text
from revops.settings import SettingsReader


@dataclass(frozen=True, slots=True)
class WhatsappMessage:
    """A message by WhatsApp: a free text, or a template with its language and parameters."""

    to: str
    text: str = ""
    template: str = ""
    language: str = ""
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is ready to leave."""

    message_id: str
    content: MailMessage | WhatsappMessage

    @property
    def subject(self) -> str:
        """What a timeline calls it."""
        return self.content.subject if isinstance(self.content, MailMessage) else "WhatsApp message"

    @property
    def text(self) -> str:
        """What a timeline shows of it: of a mail the subject says enough."""
        content = self.content
        if isinstance(content, MailMessage):
            return ""
        return content.text or f"{content.template}: {', '.join(content.parameters)}"


class WriteMessage:
    """Writes and sends the messages of nurture. The senders and the links are made when first needed: a process that
    only looks at what is due has no use for them."""

    def __init__(
        self,
        clock: Clock,
        settings: SettingsReader,
        links: Callable[[], MessageLinks],
        mail: Callable[[], MailSender],
        whatsapp: Callable[[], WhatsappSender],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._links = links
        self._mail = mail
        self._whatsapp = whatsapp

    def __call__(self, step: StepRecord, lead: Lead, message_id: str, rules: NurtureRules) -> Outgoing:
        """The message of a step. Raises Invalid when the step's template is not there."""
        templates = self._settings.read(NurtureTemplates)
        language = language_of(step, lead, rules)
        recipient = Recipient.of(lead, message_id, address_of(lead, step.channel), templates)
        if step.channel is StepChannel.EMAIL:
            mail = templates.mail(step.template, language)
            if mail is None:
                raise Invalid.field("template", "LEAD-5 template", f"there is no mail {step.template}")
            written = write_mail(mail, templates.footer(language), recipient, self._links(), language)
            return Outgoing(message_id, written)
        message = templates.message(step.template, language)
        if message is None:
            raise Invalid.field("template", "LEAD-5 template", f"there is no WhatsApp message {step.template}")
        if in_window(lead, self._clock.now()):
            return Outgoing(message_id, WhatsappMessage(recipient.to, text=write_text(message.text, recipient)))
        parameters = tuple(write_line(each, recipient) for each in message.parameters)
        return Outgoing(
            message_id,
            WhatsappMessage(recipient.to, template=message.name, language=message.language, parameters=parameters),
        )

    def title(self, step: StepRecord, lead: Lead) -> str:
        """The title of a step's task."""
        return write_line(step.template, Recipient.of(lead, "", "", self._settings.read(NurtureTemplates)))

    def send(self, outgoing: Outgoing) -> str:
        """The vendor's id of the message. Raises Unavailable, Refused or OutcomeUnknown."""
        content = outgoing.content
        if isinstance(content, MailMessage):
            return self._mail().send(content)
        if content.text:
            return self._whatsapp().send_text(content.to, content.text)
        return self._whatsapp().send_template(content.to, content.template, content.language, content.parameters)
