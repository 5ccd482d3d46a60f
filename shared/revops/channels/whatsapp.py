"""WhatsApp Business (CAP-2): what people write to us makes or touches their lead; what became of our own messages is
noted on them.

Writing first is no consent (CAP-9): a person who writes is kept without one. Who writes STOP, in one of the words of
`WhatsappRules`, withdraws the consent to marketing on WhatsApp, for everybody who is reached at the number; the message
is the evidence.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from pydantic import Field

from revops.channels.mail_reading import person_name
from revops.channels.messages import DeliveryStatus, InboundMessage, Passed, WhatsappEvent
from revops.channels.touch import Touch
from revops.crm.activities import Activity, ActivityType, activity_id
from revops.crm.consent import Consent, ConsentRecord
from revops.crm.model import Channel, Lead
from revops.crm.normalise import phone_country, tidy
from revops.crm.submission import AttributionClaim, LeadSubmission
from revops.inbox import InboxEntry
from revops.kernel import CallContext, Clock, Principal, Role, Unavailable
from revops.settings import SettingsDocument, SettingsReader

KNOWN_BY = timedelta(minutes=2)
"""How long a status may be about a message that is not recorded yet."""
_RANK = ("sent", "delivered", "read")
_STOP = (
    "stop", "stop all", "stopall", "unsubscribe", "opt out", "optout", "stopp", "abmelden", "abbestellen", "baja",
    "cancelar suscripción", "arrêt", "arrêter", "désabonner", "se désabonner", "disiscriviti", "annulla iscrizione",
    "parar", "sair", "cancelar inscrição", "afmelden", "avregistrera", "afmeld", "wypisz", "wypisz mnie", "odhlásit",
    "αποεγγραφή", "стоп", "отписаться", "відписатися", "توقف", "إلغاء الاشتراك", "הסר", "बंद", "बंद करो", "रोकें",
    "বন্ধ", "நிறுத்து", "停止", "退订", "退訂", "配信停止", "수신거부", "dur", "abonelikten çık",
)  # fmt: skip


class WhatsappRules(SettingsDocument):
    """How inbound WhatsApp is read. `stop_words` are compared as a whole, whatever the case and the marks around them;
    `campaigns` gives the campaign of a business number of ours, written in E.164."""

    SETTING: ClassVar[str] = "inbound_whatsapp"

    stop_words: tuple[str, ...] = Field(default=_STOP, max_length=200)
    campaigns: dict[str, str] = Field(default_factory=dict, examples=[{"+493090182000": "packaging 2026"}])


class RecordConsents(Protocol):
    """Records what a known person says of being contacted."""

    def __call__(self, person_id: str, statements: Sequence[Consent], call: CallContext) -> ConsentRecord: ...


class CountReply(Protocol):
    """Counts a reply as engagement, once for a message."""

    def __call__(self, lead_id: str, event: str, ref: str, call: CallContext, at: datetime | None = None) -> bool: ...


class NoteUnreachable(Protocol):
    """Notes that the person of a message of ours, by the vendor's id, cannot be reached there. Safe to repeat."""

    def __call__(self, message_id: str, call: CallContext) -> str: ...


class SettleWhatsapp:
    """Settles one message or status. Every step is safe to repeat; the activity, the stamp on the lead and the entry
    are one transaction."""

    def __init__(
        self,
        touch: Touch,
        clock: Clock,
        settings: SettingsReader,
        read: Callable[[str], WhatsappEvent],
        consent: RecordConsents,
        engage: CountReply,
        unreachable: NoteUnreachable,
    ) -> None:
        self._touch = touch
        self._clock = clock
        self._settings = settings
        self._read = read
        self._consent = consent
        self._engage = engage
        self._unreachable = unreachable

    def __call__(self, entry: InboxEntry, call: CallContext) -> str:
        event = self._read(entry.body)
        if isinstance(event, DeliveryStatus):
            return self._status(event, entry, call)
        if isinstance(event, Passed):
            return self._touch.pass_over(entry, event.reason, call)
        if self._touch.known(_activity_id(event.id)) is not None:
            return self._touch.pass_over(entry, "stands on the timeline already", call)
        return self._message(event, entry, call)

    def _message(self, message: InboundMessage, entry: InboxEntry, call: CallContext) -> str:
        rules = self._settings.read(WhatsappRules)
        person = CallContext(Principal("public:whatsapp", Role.SYSTEM), causation_id=entry.id)
        lead = self._touch.lead(submission_of(message, entry.id, rules), person)
        stops = message.personal and is_stop(message.said, rules)
        if stops:
            said = Consent(
                channel="whatsapp",
                purpose="marketing",
                granted=False,
                at=self._clock.now(),
                source="whatsapp",
                evidence=f"message {message.id}"[:200],
            )
            for whose in self._touch.people(lead, message.sender):  # no message goes to this number, whoever has it
                self._consent(whose, (said,), person)
        elif message.personal:
            for each in self._touch.reached(lead, message.sender):  # to whichever of them what is answered was sent
                self._engage(each.id, "reply", f"whatsapp:{message.id}", person, message.at)

        def tell(owner: Lead, before: Activity | None) -> Activity:
            return before or _activity(message, owner, entry)

        def stamp(owner: Lead) -> Mapping[str, Any]:
            newest = min(message.at, self._clock.now())
            stands = owner.whatsapp_inbound_at
            return {"whatsapp_inbound_at": newest} if message.personal and (not stands or stands < newest) else {}

        self._touch.record(entry, lead.id, _activity_id(message.id), tell, call, stamp)
        return "consent withdrawn" if stops else "message on the timeline"

    def _status(self, status: DeliveryStatus, entry: InboxEntry, call: CallContext) -> str:
        sent = self._touch.known(_activity_id(status.message_id))
        if sent is None:
            if self._clock.now() - entry.created_at < KNOWN_BY:
                raise Unavailable("a status came before its message was recorded", retry_after=KNOWN_BY.total_seconds())
            return self._touch.pass_over(entry, f"{status.status}: about no message of ours", call)

        if status.unreachable:
            self._unreachable(status.message_id, call)

        def tell(_: Lead, before: Activity | None) -> Activity:
            stands = before or sent
            facts = {**stands.facts, **noted(stands.facts, status)}
            return stands if facts == stands.facts else stands.revised(self._clock.now(), facts=facts)

        self._touch.record(entry, sent.related_to, sent.id, tell, call)
        return f"message {status.status}"


def noted(facts: Mapping[str, str], status: DeliveryStatus) -> dict[str, str]:
    """What a status adds to a message. They come in any order: a later stage is never taken back by an earlier one, and
    a failure stands."""
    stands, told = facts.get("status", ""), status.status
    further = told == "failed" or (told in _RANK and (stands not in _RANK or _RANK.index(told) > _RANK.index(stands)))
    changes = {f"{told}_at": status.at.isoformat()}
    if further and stands != "failed":
        changes["status"] = told
    if status.reason:
        changes["failure"] = status.reason[:300]
    return changes


def is_stop(said: Sequence[str], rules: WhatsappRules) -> bool:
    """Whether one of these texts is, as a whole, a word that withdraws."""
    words = {_bare(word) for word in rules.stop_words} - {""}
    return any(_bare(text) in words for text in said if text)


def submission_of(message: InboundMessage, key: str, rules: WhatsappRules) -> LeadSubmission:
    """What a message says of who sent it. Where they came from is told by the advertisement that brought them, else by
    the number they wrote to (CAP-8)."""
    first, last = person_name(message.name)
    told = AttributionClaim(
        source="WhatsApp", campaign=tidy(rules.campaigns.get(message.number, "") or message.number)[:120], medium="chat"
    )
    if message.ad:
        campaign = message.ad.get("headline", "") or message.ad.get("source_id", "") or "none"
        source = "Meta Ads" if message.ad.get("source_type") == "ad" else "Meta"
        told = AttributionClaim(source=source, campaign=tidy(campaign)[:120], medium="click to WhatsApp")
    return LeadSubmission(
        channel=Channel.WHATSAPP,
        first_name=first[:120],
        last_name=last[:120],
        phone=message.sender,
        country=phone_country(message.sender),
        told=told,
        metadata={f"ad_{name}": tidy(value[:500])[:500] for name, value in message.ad.items() if value},
        idempotency_key=key,
    )


def _bare(text: str) -> str:
    """The words of a text: folded, without marks, emoji and spaces around them; of one that has no words, its signs."""
    folded = tidy(text).casefold()
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in folded)
    return " ".join("".join(kept).split()) or folded


def _activity_id(message_id: str) -> str:
    return activity_id(f"whatsapp:{message_id}")


def _activity(message: InboundMessage, lead: Lead, entry: InboxEntry) -> Activity:
    return Activity(
        id=_activity_id(message.id),
        created_at=entry.created_at,
        modified_at=entry.created_at,
        type=ActivityType.WHATSAPP,
        subject="WhatsApp message" if message.kind == "text" else f"WhatsApp message ({message.kind})",
        related_to=lead.id,
        owner_id=lead.owner_id,
        at=message.at,
        inbound=True,
        content=message.text,
        ref=message.id,
        facts={"kind": message.kind, "to": message.number, **message.facts},
    )
