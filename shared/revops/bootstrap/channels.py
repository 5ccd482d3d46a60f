"""What comes in from people: form, WhatsApp, calls, mail."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from revops.bootstrap.crm import CrmWiring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from revops.adapters.whatsapp_gateway import HttpWhatsapp
    from revops.api.channels import ChannelWebhooks
    from revops.channels.calls import ReceiveConnect
    from revops.channels.form import ReceiveForm, SettleForm
    from revops.channels.mail import ReceiveMail, TakeMail
    from revops.channels.touch import Touch
    from revops.channels.voice import SettleCall
    from revops.channels.webinar import TakeAttendees
    from revops.channels.whatsapp import SettleWhatsapp
    from revops.channels.worker import SettleEntry, SettleMessage, TakeNotice
    from revops.kernel import CallContext


class ChannelWiring(CrmWiring):
    """The channels, and the worker behind them."""

    def settle_channel_message(self) -> SettleMessage:
        from revops.adapters.hubspot_queue import SqsSyncQueue
        from revops.channels.worker import SettleMessage

        queue = SqsSyncQueue(self.aws("sqs"), self.config.channel_queue_url)
        return SettleMessage(self.settlement, self._channel_entries(), self._channel_notices(), queue)

    def _channel_entries(self) -> Mapping[str, Callable[[], SettleEntry]]:
        """Who settles the inbox entries of a provider."""
        return {
            "form": self._settle_form,
            "mail": self._take_mail,
            "whatsapp": self._settle_whatsapp,
            "twilio": self._settle_twilio_call,
            "connect": self._settle_connect_call,
        }

    def _channel_notices(self) -> Mapping[str, Callable[[], TakeNotice]]:
        """Who takes the notices of a source: EventBridge's `source`, or S3's `aws:s3`."""
        return {"aws:s3": self._receive_mail, "aws.connect": self._receive_connect_call}

    # -- form ----------------------------------------------------------------------------------------------------

    def receive_form(self) -> ReceiveForm:
        from revops.channels.form import ReceiveForm

        return ReceiveForm(self.receive_signal, self.ids)

    def _settle_form(self) -> SettleForm:
        from revops.channels.form import SettleForm

        return SettleForm(self.table, self.clock, self.submit_lead, self.settlement)

    # -- WhatsApp and calls --------------------------------------------------------------------------------------

    def channel_webhooks(self) -> ChannelWebhooks:
        from revops.adapters.twilio_calls import read_form, silence, twilio_signal, twiml
        from revops.adapters.twilio_signature import verify_twilio_signature
        from revops.adapters.whatsapp_events import whatsapp_signals
        from revops.adapters.whatsapp_signature import answer_handshake, verify_whatsapp_signature
        from revops.api.channels import ChannelWebhooks
        from revops.channels.calls import ReceiveTwilio
        from revops.channels.messages import ReceiveWhatsapp

        def handshake(mode: str, token: str, challenge: str) -> str:
            return answer_handshake(mode, token, challenge, self.secrets.read("whatsapp")["verify_tokens"])

        receive = partial(
            ReceiveTwilio,
            self.receive_signal,
            self.settings,
            lambda: self.secrets.read("twilio"),
            read_form,
            verify_twilio_signature,
            twilio_signal,
        )
        whatsapp = ReceiveWhatsapp(
            self.receive_signal, verify_whatsapp_signature, whatsapp_signals, lambda: self.secrets.read("whatsapp")
        )
        return ChannelWebhooks(whatsapp, handshake, receive(twiml), receive(silence), self.config.public_url)

    def _touch(self) -> Touch:
        from revops.channels.touch import Touch

        return Touch(self.table, self.clock, self.submit_lead, self.settlement)

    def _settle_whatsapp(self) -> SettleWhatsapp:
        from revops.adapters.whatsapp_events import read_whatsapp
        from revops.channels.whatsapp import SettleWhatsapp
        from revops.nurture.feedback import Feedback, TakeFeedback, Verdict

        def unreachable(message_id: str, call: CallContext) -> str:
            take = TakeFeedback(self.table, self.clock, self.record_consent())
            return take(Feedback(Verdict.UNDELIVERABLE, vendor_ref=message_id), call)

        return SettleWhatsapp(
            self._touch(),
            self.clock,
            self.settings,
            read_whatsapp,
            self.record_consent(),
            self.record_engagement(),
            unreachable,
        )

    def _settle_twilio_call(self) -> SettleCall:
        from revops.adapters.twilio_calls import read_twilio
        from revops.channels.voice import SettleCall

        return SettleCall(self._touch(), self.clock, self.settings, read_twilio)

    def _receive_connect_call(self) -> ReceiveConnect:
        from revops.adapters.connect_calls import connect_signal
        from revops.channels.calls import ReceiveConnect

        return ReceiveConnect(self.receive_signal, connect_signal)

    def _settle_connect_call(self) -> SettleCall:
        from revops.adapters.connect_calls import read_connect
        from revops.channels.voice import SettleCall

        return SettleCall(self._touch(), self.clock, self.settings, read_connect)

    @cached_property
    def whatsapp(self) -> HttpWhatsapp:
        from revops.adapters.whatsapp_gateway import HttpWhatsapp

        return HttpWhatsapp(lambda: self.secrets.read("whatsapp"), self.config.whatsapp_api_base)

    # -- mail ----------------------------------------------------------------------------------------------------

    def _receive_mail(self) -> ReceiveMail:
        from revops.channels.mail import ReceiveMail

        return ReceiveMail(self.receive_signal)

    def _take_mail(self) -> TakeMail:
        from revops.adapters.mail_store import S3MailStore
        from revops.channels.mail import TakeMail

        store = S3MailStore(self.aws("s3"))
        return TakeMail(store, self._touch(), self.record_engagement(), self.settings)

    # -- webinars ------------------------------------------------------------------------------------------------

    def take_attendees(self) -> TakeAttendees:
        from revops.channels.webinar import TakeAttendees

        return TakeAttendees(self.submit_lead, self.record_engagement())
