"""Mail to lead (CAP-4): the receiving service lays a mail in a bucket, what it says becomes a lead or touches one.

The notification of a new object becomes an inbox entry like any webhook, so a mail is taken once, can be replayed,
and one that makes no lead says why. The mail itself stays in the bucket.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote_plus

from pydantic import Field

from revops.channels.mail_reading import Mail, Sender, person_name, read_mail
from revops.channels.touch import Touch
from revops.crm.activities import Activity, ActivityType, activity_id
from revops.crm.model import Channel, Lead
from revops.crm.normalise import canonical_email, tidy
from revops.crm.submission import AttributionClaim, LeadSubmission
from revops.inbox import InboxEntry, ReceiveSignal, Signal
from revops.kernel import CallContext, Invalid, Refused, canonical_json, parse_json
from revops.settings import SettingsDocument, SettingsReader

PROVIDER = "mail"
MAX_BYTES = 10_000_000
"""How much of a mail is read; what its sender says comes first, and a longer one is read as cut off."""
_AUTOMATIC = "CAP-4 automatic"


class MailRules(SettingsDocument):
    """How received mail is read. `own_domains` are ours: a mail forwarded from one of them is about its first sender,
    and one written from there is nobody's lead. `campaigns` gives the campaign of an address that is written to."""

    SETTING: ClassVar[str] = "inbound_mail"

    own_domains: tuple[str, ...] = Field(default=(), examples=[["example.com"]])
    campaigns: dict[str, str] = Field(default_factory=dict, examples=[{"sales@example.com": "contact page"}])


class MailStore(Protocol):
    """Where the receiving service keeps mail."""

    def head(self, bucket: str, key: str, limit: int) -> bytes:
        """The first bytes of a mail. Raises NotFound, Unavailable."""
        ...


class EngageReply(Protocol):
    """Counts a reply as engagement, once for a mail."""

    def __call__(self, lead_id: str, event: str, ref: str, call: CallContext) -> bool: ...


class ReceiveMail:
    """Stores the notification of new mail once for each object."""

    def __init__(self, receive: ReceiveSignal) -> None:
        self._receive = receive

    def __call__(self, notice: Mapping[str, Any], call: CallContext) -> str:
        """Takes the record of one new object. Raises Invalid for what is none."""
        try:
            stored = notice["s3"]
            bucket, key = str(stored["bucket"]["name"]), unquote_plus(str(stored["object"]["key"]))
        except (KeyError, TypeError) as error:
            raise Invalid("not a notice of a new object") from error
        place = canonical_json({"bucket": bucket, "key": key})
        event_id = hashlib.sha256(place.encode()).hexdigest()
        fresh = self._receive(Signal(PROVIDER, event_id, "mail.received", key, place), call)
        return "mail stored" if fresh else "mail stored before"


class TakeMail:
    """What a worker does with a received mail: a lead with the mail on its timeline, or the reason why not."""

    def __init__(self, store: MailStore, touch: Touch, engage: EngageReply, settings: SettingsReader) -> None:
        self._store = store
        self._touch = touch
        self._engage = engage
        self._settings = settings

    def __call__(self, entry: InboxEntry, call: CallContext) -> str:
        """Settles an entry; that of a mail which no person wrote is passed over, with the rule. Raises Refused or
        Invalid, naming the rule, for any other that makes no lead."""
        place = parse_json(entry.body)
        mail = read_mail(self._store.head(place["bucket"], place["key"], MAX_BYTES))
        rules = self._settings.read(MailRules)
        author = _author(mail, rules)
        refusal = _refusal(mail, author, rules)
        if refusal.startswith(_AUTOMATIC):  # as many as there are absent people: nobody is to look at each
            return self._touch.pass_over(entry, refusal, call)
        if refusal:
            raise Refused(refusal)
        lead = self._touch.lead(submission_of(mail, author, entry.id, rules), call)
        if mail.is_reply and not mail.forged:  # anybody can write in a lead's name
            self._engage(lead.id, "reply", f"mail:{_digest(mail)}", call)
        self._touch.record(
            entry, lead.id, activity_id(entry.id), lambda owner, before: before or _activity(mail, owner, entry), call
        )
        return "mail on the timeline"


def submission_of(mail: Mail, author: Sender, key: str, rules: MailRules) -> LeadSubmission:
    """What a mail says of its author. Where it came from is derived from the address that was written to (CAP-8). The
    key is the stored object's: a Message-ID is its sender's word, and two mails may bear one."""
    first, last = person_name(author.name)
    to = next((address for address in mail.recipients if address in rules.campaigns), "") or _ours(mail, rules)
    said = {"subject": mail.subject[:500], "message": mail.text[:500]}
    if mail.spam:
        said["spam_verdict"] = "FAIL"
    return LeadSubmission(
        channel=Channel.EMAIL,
        first_name=first[:120],
        last_name=last[:120],
        company=tidy(mail.organisation)[:120],
        email=author.address[:320],
        phone="",
        told=AttributionClaim(source=to[:120], campaign=tidy(rules.campaigns.get(to, ""))[:120], medium="email"),
        metadata={name: value for name, value in said.items() if value},
        idempotency_key=key,
    )


def _author(mail: Mail, rules: MailRules) -> Sender:
    """Whose lead it is: the first sender of what one of us forwards, else who is to be answered."""
    if mail.original is not None and not mail.forged and _domain(mail.sender.address) in rules.own_domains:
        return mail.original
    return mail.sender


def _refusal(mail: Mail, author: Sender, rules: MailRules) -> str:
    """Why a mail makes no lead; an empty text when it does."""
    if mail.virus:
        return "CAP-4 virus: the receiving service found one"
    if mail.automatic:
        return f"{_AUTOMATIC}: {mail.automatic}"
    if canonical_email(author.address) is None:
        return "CAP-10 reachable: From names no usable e-mail address"
    if _domain(author.address) in rules.own_domains:
        return "CAP-4 own: written by one of us and forwarding nobody"
    return ""


def _activity(mail: Mail, lead: Lead, entry: InboxEntry) -> Activity:
    facts = {"attachments": ", ".join(each.name or each.type for each in mail.attachments)[:500]}
    return Activity(
        id=activity_id(entry.id),
        created_at=entry.created_at,
        modified_at=entry.created_at,
        type=ActivityType.EMAIL,
        subject=mail.subject[:300] or "(no subject)",
        related_to=lead.id,
        owner_id=lead.owner_id,
        at=entry.created_at,
        inbound=True,
        content=mail.text,
        ref=mail.message_id[:300],
        facts={name: value for name, value in facts.items() if value},
    )


def _ours(mail: Mail, rules: MailRules) -> str:
    """The address of ours that was written to; the first of all when none is known as ours."""
    known = (address for address in mail.recipients if _domain(address) in rules.own_domains)
    return next(known, mail.recipients[0] if mail.recipients else "")


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def _digest(mail: Mail) -> str:
    return hashlib.sha256(mail.message_id.encode()).hexdigest()[:32]
