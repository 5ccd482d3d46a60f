"""Nurture as the people who own leads see it: what a lead gets and when, beginning and ending it, and how a message
will look."""

from dataclasses import dataclass

from revops.access import Policy, Resource
from revops.crm.countries import country_code
from revops.crm.model import Assignment as Assigned
from revops.crm.model import Attribution, Channel, Lead
from revops.crm.store import LEADS
from revops.kernel import CallContext, Clock, NotFound
from revops.nurture.enrolling import BY_HAND, EndEnrolments, EnrolLead
from revops.nurture.model import Enrolment
from revops.nurture.policies import NurtureRules
from revops.nurture.ports import MailMessage
from revops.nurture.store import enrolments_of
from revops.nurture.templates import MailTemplate, NurtureTemplates, Recipient, write_mail
from revops.settings import SettingsReader
from revops.table import Table


class LeadNurture:
    """The nurture of one lead, under the caller's rights over it."""

    def __init__(self, table: Table, policy: Policy, enrol: EnrolLead, end: EndEnrolments) -> None:
        self._table = table
        self._policy = policy
        self._enrol = enrol
        self._end = end

    def read(self, lead_id: str, call: CallContext) -> list[Enrolment]:
        """The lead's enrolments, the latest first. Raises NotFound."""
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_read(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        return enrolments_of(self._table, lead_id)

    def start(self, lead_id: str, sequence: str, call: CallContext) -> Enrolment:
        """Begins a sequence for a lead by hand. Raises NotFound, Forbidden, Refused with the reason."""
        lead = self._writable(lead_id, call)
        return self._enrol.begin(lead, sequence, BY_HAND, call)

    def stop(self, lead_id: str, sequence: str, call: CallContext) -> list[Enrolment]:
        """Ends a sequence, or all of them where none is named; those that ended now. Raises NotFound, Forbidden."""
        self._writable(lead_id, call)
        return self._end(lead_id, "stopped by hand", call, sequence)

    def _writable(self, lead_id: str, call: CallContext) -> Lead:
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        return lead


class _PlainLinks:
    """Links of a preview: they lead where they lead, count nothing and unsubscribe nobody."""

    def pixel(self, lead_id: str, message_id: str) -> str:  # noqa: ARG002 - the port's signature
        return ""

    def click(self, lead_id: str, message_id: str, target: str) -> str:  # noqa: ARG002 - the port's signature
        return target

    def unsubscribe(self, person_id: str, channel: str, message_id: str) -> str:  # noqa: ARG002 - the port's signature
        return "https://example.com/unsubscribe-preview"


@dataclass(frozen=True, slots=True)
class MailPreview:
    """A mail as it would be written."""

    language: str
    mail: MailMessage


class PreviewMail:
    """Writes a mail for a lead, or for an invented one, and sends nothing."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._settings = settings

    def __call__(
        self, name: str, language: str, lead_id: str, call: CallContext, draft: MailTemplate | None = None
    ) -> MailPreview:
        """The mail of a name, or a draft of one, in a language (the lead's when empty). Raises NotFound for a template
        or a lead that is not there or not for this caller, Forbidden for who may read no leads."""
        self._policy.require_any(call.principal, Resource.LEADS)
        lead = self._lead(lead_id, call) if lead_id else self._sample()
        rules, templates = self._settings.read(NurtureRules), self._settings.read(NurtureTemplates)
        spoken = language or rules.languages.get(country_code(lead.country), rules.other_language)
        template = draft or templates.mail(name, spoken)
        if template is None:
            raise NotFound("mail template", name)
        recipient = Recipient.of(lead, "MSG_PREVIEW", lead.email, templates)
        return MailPreview(spoken, write_mail(template, templates.footer(spoken), recipient, _PlainLinks(), spoken))

    def _lead(self, lead_id: str, call: CallContext) -> Lead:
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_read(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        return lead

    def _sample(self) -> Lead:
        now = self._clock.now()
        return Lead(
            id="LEAD_SAMPLE",
            created_at=now,
            modified_at=now,
            person_id="PER_SAMPLE",
            first_name="राहुल",
            last_name="पाटील",
            company="Nordlicht GmbH",
            email="rahul@nordlicht.example",
            country="DE",
            interest_product="Lead to cash",
            attribution=Attribution(source="preview", campaign="none", medium="none"),
            channel=Channel.FORM,
            owner_id="",
            assignment=Assigned(owner_id="", rule="", explanation=""),
        )
