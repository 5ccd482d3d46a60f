"""The channels over a table in memory: what came in waits in the inbox until `work` lets the worker have it."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from revops.adapters.connect_calls import connect_signal, read_connect
from revops.adapters.twilio_calls import read_form, read_twilio, silence, twilio_signal, twiml
from revops.adapters.twilio_signature import verify_twilio_signature
from revops.adapters.whatsapp_events import read_whatsapp, whatsapp_signals
from revops.adapters.whatsapp_signature import answer_handshake, verify_whatsapp_signature
from revops.api.channels import ChannelWebhooks
from revops.channels.calls import ReceiveConnect, ReceiveTwilio, VoiceRules
from revops.channels.form import ReceiveForm, SettleForm
from revops.channels.messages import ReceiveWhatsapp
from revops.channels.touch import Touch
from revops.channels.voice import SettleCall
from revops.channels.whatsapp import SettleWhatsapp
from revops.channels.worker import SettleEntry, SettleMessage, TakeNotice
from revops.crm.activities import ACTIVITIES, Activity
from revops.crm.consent import CONSENTS, ConsentRecord, RecordConsent
from revops.crm.engagement import RecordEngagement
from revops.crm.intake import SubmitLead
from revops.crm.model import Lead
from revops.crm.store import LEADS
from revops.inbox import INBOX, InboxEntry, ReceiveSignal, Settlement
from revops.kernel import CallContext, IdFactory
from revops.settings import SettingsReader
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import submit_lead
from tests.builders.memory_table import MemoryTable


class WaitingQueue:
    """What was put back, with its delay."""

    def __init__(self) -> None:
        self.sent: list[tuple[Mapping[str, Any], int]] = []

    def send(self, message: Mapping[str, Any], delay_seconds: int = 0) -> None:
        self.sent.append((message, delay_seconds))


class Channels:
    """One deployment's channels."""

    def __init__(self, table: MemoryTable | None = None, submit: SubmitLead | None = None) -> None:
        self.table = table or MemoryTable()
        self.clock = ManualClock()
        self.ids: IdFactory = seeded_ids(5)
        self.blobs = MemoryBlobs()
        self.submit = submit or submit_lead(self.table, clock=self.clock, ids=self.ids)
        self.receive = ReceiveSignal(self.table, self.clock, self.blobs)
        self.settlement = Settlement(self.table, self.clock, self.blobs, "tests")
        self.queue = WaitingQueue()
        self.unreachable: list[str] = []
        self.settings = SettingsReader(self.table, ttl=0)
        self.whatsapp_secret: dict[str, Any] = {
            "app_secrets": [secrets.token_hex(16)],
            "verify_tokens": [secrets.token_hex(16)],
            "accounts": [],
        }
        self.twilio_secret: dict[str, Any] = {"auth_tokens": [secrets.token_hex(16)], "accounts": []}
        touch = Touch(self.table, self.clock, self.submit, self.settlement)
        consent = RecordConsent(self.table, self.clock, sleep=lambda _: None)
        engage = RecordEngagement(self.table, self.clock, sleep=lambda _: None)
        self.entries: dict[str, Callable[[], SettleEntry]] = {
            "form": lambda: SettleForm(self.table, self.clock, self.submit, self.settlement),
            "whatsapp": lambda: SettleWhatsapp(
                touch, self.clock, self.settings, read_whatsapp, consent, engage, self._note_unreachable
            ),
            "twilio": lambda: SettleCall(touch, self.clock, self.settings, read_twilio),
            "connect": lambda: SettleCall(touch, self.clock, self.settings, read_connect),
        }
        self.notices: dict[str, Callable[[], TakeNotice]] = {
            "aws.connect": lambda: ReceiveConnect(self.receive, connect_signal)
        }

    def _note_unreachable(self, message_id: str, call: CallContext) -> str:
        self.unreachable.append(message_id)
        return "noted"

    def receive_whatsapp(self) -> ReceiveWhatsapp:
        return ReceiveWhatsapp(self.receive, verify_whatsapp_signature, whatsapp_signals, lambda: self.whatsapp_secret)

    def receive_twilio(self, answer: Callable[[VoiceRules], str] = twiml) -> ReceiveTwilio:
        return ReceiveTwilio(
            self.receive,
            self.settings,
            lambda: self.twilio_secret,
            read_form,
            verify_twilio_signature,
            twilio_signal,
            answer,
        )

    def webhooks(self, public_url: str) -> ChannelWebhooks:
        def handshake(mode: str, token: str, challenge: str) -> str:
            return answer_handshake(mode, token, challenge, self.whatsapp_secret["verify_tokens"])

        calls, statuses = self.receive_twilio(), self.receive_twilio(silence)
        return ChannelWebhooks(self.receive_whatsapp(), handshake, calls, statuses, public_url)

    def receive_form(self) -> ReceiveForm:
        return ReceiveForm(self.receive, self.ids)

    def settle(self, message: dict[str, Any]) -> str:
        """Hands the worker one message."""
        return SettleMessage(self.settlement, self.entries, self.notices, self.queue, lambda: 0.5)(message)

    def work(self) -> list[str]:
        """Hands the worker every waiting entry, oldest first, as the relay would; what became of each."""
        waiting = [entry for entry in self.inbox() if entry.waiting]
        return [self.settle({"provider": entry.provider, "inbox_id": entry.id}) for entry in waiting]

    def inbox(self) -> list[InboxEntry]:
        rows = (row for row in self.table.rows.values() if row.kind == INBOX.kind)
        return sorted((INBOX.load(row) for row in rows), key=lambda entry: entry.created_at)

    def leads(self) -> list[Lead]:
        return [LEADS.load(row) for row in self.table.rows.values() if row.kind == LEADS.kind]

    def activities(self) -> list[Activity]:
        rows = (row for row in self.table.rows.values() if row.kind == ACTIVITIES.kind)
        return sorted((ACTIVITIES.load(row) for row in rows), key=lambda activity: activity.at)

    def consents(self, lead: Lead) -> ConsentRecord | None:
        return CONSENTS.get(self.table, lead.person_id)
