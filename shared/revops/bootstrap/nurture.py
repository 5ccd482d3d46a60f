"""Sequences of messages to leads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.hubspot import HubspotWiring

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from revops.adapters.nurture_mail import SesNurtureMail
    from revops.api.nurture import NurtureUseCases
    from revops.crm.links import Links
    from revops.nurture.enrolling import EndEnrolments, EnrolLead, ReviewEnrolments
    from revops.nurture.feedback import TakeFeedback
    from revops.nurture.ports import WhatsappSender
    from revops.nurture.running import RunNurture


class NurtureWiring(HubspotWiring):
    """Who begins a sequence, what is sent, and what vendors say of it afterwards."""

    def message_links(self) -> Links:
        """The links of messages. Raises RuntimeError, which sets off the function's alarm, without a public address:
        nobody could unsubscribe from such a message, so none is sent."""
        if not self.config.public_url:
            raise RuntimeError("the parameter PublicUrl is not set: the links of messages begin with it")
        return self.links()

    def enrol_lead(self) -> EnrolLead:
        from revops.nurture.enrolling import EnrolLead

        return EnrolLead(self.table, self.clock, self.settings)

    def review_enrolments(self) -> ReviewEnrolments:
        from revops.nurture.enrolling import ReviewEnrolments

        return ReviewEnrolments(self.table, self.clock, self.settings)

    def end_enrolments(self) -> EndEnrolments:
        from revops.nurture.enrolling import EndEnrolments

        return EndEnrolments(self.table, self.clock)

    @cached_property
    def nurture_mail(self) -> SesNurtureMail:
        from revops.adapters.aws import client
        from revops.adapters.nurture_mail import SesNurtureMail

        endpoint = self.config.mail_api_base or self.config.endpoint_url
        ses = client("sesv2", self.config.region, endpoint, once=True)
        return SesNurtureMail(ses, self.config.mail_from, self.config.mail_configuration_set)

    def nurture_whatsapp(self) -> WhatsappSender:
        return self.whatsapp

    def run_nurture(self) -> RunNurture:
        from revops.crm.consent import SendGate
        from revops.nurture.running import RunNurture
        from revops.nurture.sending import SendMessage
        from revops.nurture.writing import WriteMessage

        write = WriteMessage(
            self.clock, self.settings, self.message_links, lambda: self.nurture_mail, self.nurture_whatsapp
        )
        send = SendMessage(self.table, self.clock, SendGate(self.table, self.clock), write)
        return RunNurture(self.table, self.clock, self.settings, write, send)

    def take_feedback(self) -> TakeFeedback:
        from revops.nurture.feedback import TakeFeedback

        return TakeFeedback(self.table, self.clock, self.record_consent())

    def take_ses_event(self, event: Mapping[str, Any]) -> str:
        """What an event of SES set going, for the log."""
        from revops.adapters.nurture_mail import read_ses_event
        from revops.kernel import system_call

        return self.take_feedback()(read_ses_event(event), system_call("nurture", str(event.get("id", ""))))

    def nurture_use_cases(self) -> NurtureUseCases:
        from revops.api.nurture import NurtureUseCases
        from revops.nurture.service import LeadNurture, PreviewMail

        return NurtureUseCases(
            LeadNurture(self.table, self.policy, self.enrol_lead(), self.end_enrolments()),
            PreviewMail(self.table, self.clock, self.policy, self.settings),
        )
