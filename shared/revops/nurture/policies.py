"""The rules of nurture as data, and what they say: pure functions of an enrolment, its lead and what the person said.

Nothing here sends. Every answer is a reason in words, kept on the step or the enrolment and shown.
"""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field

from revops.crm.consent import ConsentRecord, refusal
from revops.crm.countries import country_code
from revops.crm.model import Lead, SpamScore
from revops.crm.normalise import canonical_email, canonical_phone, phone_country
from revops.nurture import defaults, model
from revops.nurture.model import (
    Anchor,
    Delay,
    Enrolment,
    EnrolmentStatus,
    Name,
    StepChannel,
    StepRecord,
    StepStatus,
    in_suspense,
    moment,
)
from revops.nurture.zones import QuietHours, ZoneName, next_decent, zones_of
from revops.settings import SettingsDocument

WINDOW = timedelta(hours=24)
"""How long after a person's last WhatsApp message a free text may be sent to them (WhatsApp Business policy)."""
Language = Annotated[str, Field(pattern=r"^[a-z]{2}(_[A-Z]{2})?$", examples=["de"])]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["DE"])]


class NurtureRules(SettingsDocument):
    """Sequences and the manners of sending (LEAD-5). `engaged_by` are the events that count as an engagement,
    `spacing` is the least time between two messages to a person on one channel of a sequence."""

    SETTING: ClassVar[str] = "nurture"

    sequences: dict[Name, model.Sequence] = Field(default_factory=defaults.sequences)
    engaged_by: tuple[str, ...] = ("email_open", "email_click")
    spacing: Delay = timedelta(days=1)
    task_due_after: Delay = timedelta(days=1)
    quiet: QuietHours = QuietHours()
    zones: dict[Country, Annotated[tuple[ZoneName, ...], Field(min_length=1)]] = Field(default_factory=defaults.zones)
    other_zone: ZoneName = "Europe/London"
    languages: dict[Country, Language] = Field(default_factory=defaults.languages)
    other_language: Language = "en"


def begun(sequence: model.Sequence, now: datetime) -> tuple[StepRecord, ...]:
    """The steps of an enrolment that begins now."""
    return tuple(
        StepRecord(**dict(step), due_at=now + step.after if step.of is Anchor.ENROLMENT else None)
        for step in sequence.steps
    )


def planned(enrolment: Enrolment, lead: Lead, rules: NurtureRules, now: datetime) -> tuple[StepRecord, ...]:
    """The steps with the times that are known by now. A time once set only moves forward to now, for a risen score."""
    first = _engaged_at(enrolment, lead, rules)
    steps: list[StepRecord] = []
    for step in enrolment.steps:
        due = step.due_at
        if due is None and step.of is Anchor.ENGAGEMENT and first is not None:
            due = first + step.after
        risen = step.score_rise and lead.score - enrolment.score_at_start >= step.score_rise
        if risen and (due is None or due > now):
            due = now
        changed = not step.status.ended and due != step.due_at
        steps.append(step.model_copy(update={"due_at": due}) if changed else step)
    return _chained(steps)


def leaving(enrolment: Enrolment, lead: Lead | None, record: ConsentRecord | None, rules: NurtureRules) -> str:
    """Why the person leaves the sequence, whatever step comes next; an empty text while they stay."""
    sequence = rules.sequences.get(enrolment.sequence)
    if lead is None:
        return "the lead is gone"
    if lead.merged_into:
        return "merged into another lead"
    if sequence is None or not sequence.active:
        return "the sequence is no longer in use"
    if lead.status not in sequence.statuses:
        return f"the lead is {lead.status}"
    if lead.spam_score is SpamScore.HIGH:
        return "the lead looks like spam"
    if record is not None and record.do_not_disturb:
        return "do not disturb"
    if withdrawn := _withdrawn(enrolment, record):
        return f"consent for {withdrawn} withdrawn"
    if _replied(enrolment, lead):
        return "the person replied"
    return ""


def obstacle(
    step: StepRecord, enrolment: Enrolment, lead: Lead, record: ConsentRecord | None, rules: NurtureRules
) -> str:
    """Why a step that is due is skipped; an empty text when it is to be done."""
    engaged = _engaged_at(enrolment, lead, rules) is not None
    if step.only_if == "engaged" and not engaged:
        return "nothing was opened or clicked"
    if step.only_if == "not_engaged" and engaged:
        return "something was opened or clicked"
    if step.channel is StepChannel.TASK:
        return ""
    if reason := refusal(record, step.channel):
        return reason
    return "" if address_of(lead, step.channel) else _unreachable(lead, step.channel)


def address_of(lead: Lead, channel: str) -> str:
    """Where a message of a channel goes: an e-mail address, or a phone in E.164; empty when there is none that can be
    reached."""
    if channel == StepChannel.EMAIL:
        email = canonical_email(lead.email) if lead.email.strip() else None
        return email.address if email and email.address not in lead.undeliverable else ""
    phone = canonical_phone(lead.phone, lead.country) if lead.phone.strip() else None
    return phone if phone and phone not in lead.undeliverable else ""


def decent_time(enrolment: Enrolment, step: StepRecord, lead: Lead, rules: NurtureRules, now: datetime) -> datetime:
    """Now, or the first moment at which the message of a step may be sent: not in the quiet hours where the lead lives,
    and not on the heels of the message before it, which may have been late itself."""
    before = [each.at for each in enrolment.steps if each.channel is step.channel and _left(each) and each.at]
    spaced = max([now, *(at + rules.spacing for at in before)])
    country = country_code(lead.country) or phone_country(lead.phone)
    return next_decent(spaced, zones_of(country, rules.zones, rules.other_zone), rules.quiet)


def language_of(step: StepRecord, lead: Lead, rules: NurtureRules) -> str:
    """The language a step speaks to a lead."""
    return step.language or rules.languages.get(country_code(lead.country), rules.other_language)


def in_window(lead: Lead, now: datetime) -> bool:
    """Whether the person wrote by WhatsApp so lately that a free text may be sent."""
    return lead.whatsapp_inbound_at is not None and timedelta(0) <= now - lead.whatsapp_inbound_at < WINDOW


# -- changes of an enrolment -----------------------------------------------------------------------------------------


def with_step(enrolment: Enrolment, name: str, now: datetime, **changes: Any) -> Enrolment:
    """The next version, with one step changed; completed when that was the last to end."""
    return with_steps(
        enrolment,
        [step.model_copy(update=changes) if step.name == name else step for step in enrolment.steps],
        now,
    )


def with_steps(enrolment: Enrolment, steps: Iterable[StepRecord], now: datetime) -> Enrolment:
    """The next version with these steps."""
    changes: dict[str, Any] = {"steps": _chained(steps)}
    if enrolment.active and all(step.status.ended for step in changes["steps"]):
        changes |= {"status": EnrolmentStatus.COMPLETED, "ended_at": now}
    return enrolment.revised(now, **changes)


def closed(enrolment: Enrolment, steps: Sequence[StepRecord], now: datetime) -> tuple[StepRecord, ...]:
    """The steps, once the enrolment's time to wait is over without those that wait for an engagement or for a step that
    does. What has a time, or is on its way, is left to come."""
    if now < enrolment.closes_at:
        return tuple(steps)
    late = in_suspense(steps)
    return _skipped(steps, "what it waited for did not happen in time", now, late)


def ended(enrolment: Enrolment, reason: str, by: str, now: datetime) -> Enrolment:
    """The next version, ended before its last step."""
    return enrolment.revised(
        now,
        status=EnrolmentStatus.ENDED,
        ended_at=now,
        ended_because=reason,
        ended_by=by,
        steps=_skipped(enrolment.steps, reason, now, {step.name for step in enrolment.steps}),
    )


def next_step(steps: Sequence[StepRecord], now: datetime) -> StepRecord | None:
    """The step that has been due for the longest, if any is."""
    due = [(when, place) for place, step in enumerate(steps) if (when := moment(step)) is not None and when <= now]
    return steps[min(due)[1]] if due else None


def _skipped(steps: Iterable[StepRecord], reason: str, now: datetime, which: Container[str]) -> tuple[StepRecord, ...]:
    """The steps, with those of the names that wait skipped."""
    skipped = {"status": StepStatus.SKIPPED, "reason": reason, "at": now}
    return tuple(
        step.model_copy(update=skipped) if step.status is StepStatus.WAITING and step.name in which else step
        for step in steps
    )


def _chained(steps: Iterable[StepRecord]) -> tuple[StepRecord, ...]:
    """The steps, with a time for each that counts from one that has ended."""
    chained: list[StepRecord] = []
    for step in steps:
        if step.of is Anchor.PREVIOUS and step.due_at is None and not step.status.ended:
            before = [each for each in chained if each.channel is step.channel][-1]
            if before.status.ended and before.at is not None:
                chained.append(step.model_copy(update={"due_at": before.at + step.after}))
                continue
        chained.append(step)
    return tuple(chained)


def _left(step: StepRecord) -> bool:
    return step.status in (StepStatus.SENT, StepStatus.UNKNOWN)


def _engaged_at(enrolment: Enrolment, lead: Lead, rules: NurtureRules) -> datetime | None:
    since = [done.at for done in lead.engagement if done.event in rules.engaged_by and done.at >= enrolment.created_at]
    return min(since, default=None)


def _replied(enrolment: Enrolment, lead: Lead) -> bool:
    wrote = lead.whatsapp_inbound_at
    if wrote is not None and wrote >= enrolment.created_at:
        return True
    return any(done.event == "reply" and done.at >= enrolment.created_at for done in lead.engagement)


def _withdrawn(enrolment: Enrolment, record: ConsentRecord | None) -> str:
    """The channel of the sequence that the person withdrew from since it began."""
    channels = {step.channel for step in enrolment.steps}
    for said in record.in_force if record else ():
        withdrawn = said.purpose == "marketing" and not said.granted and said.at >= enrolment.created_at
        if withdrawn and said.channel in channels:
            return said.channel
    return ""


def _unreachable(lead: Lead, channel: str) -> str:
    known = lead.email if channel == StepChannel.EMAIL else lead.phone
    what = "address" if channel == StepChannel.EMAIL else "number"
    if not known.strip():
        return f"there is no {what}"
    return f"the {what} cannot be reached"
