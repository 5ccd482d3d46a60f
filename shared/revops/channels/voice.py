"""Inbound calls (CAP-3): who calls becomes a lead or touches theirs, and the call stands on its timeline.

Twilio and Amazon Connect tell of a call several times, in any order; whatever comes first makes the activity, and a
later stage is never taken back. A call without a number makes no lead: there is nobody to call back. Its entry says so.
"""

from collections.abc import Callable
from typing import Any

from revops.channels.calls import CallReport, CallStatus, VoiceRules
from revops.channels.mail_reading import person_name
from revops.channels.touch import Touch
from revops.crm.activities import Activity, ActivityOutcome, ActivityType, activity_id
from revops.crm.model import Channel, Lead
from revops.crm.normalise import canonical_phone, phone_country, tidy
from revops.crm.submission import AttributionClaim, LeadSubmission
from revops.inbox import InboxEntry
from revops.kernel import CallContext, Clock, Principal, Role
from revops.settings import SettingsReader

_RANK = tuple(CallStatus)


class SettleCall:
    """Settles one report of a call. All reports of one call are one submission and one activity."""

    def __init__(
        self, touch: Touch, clock: Clock, settings: SettingsReader, read: Callable[[InboxEntry], CallReport]
    ) -> None:
        self._touch = touch
        self._clock = clock
        self._settings = settings
        self._read = read

    def __call__(self, entry: InboxEntry, call: CallContext) -> str:
        report = self._read(entry)
        stands = self._touch.known(_activity_id(report))
        if stands is not None:
            lead_id = stands.related_to
        else:
            rules = self._settings.read(VoiceRules)
            reason = _nobody(report, rules)
            if reason:
                return self._touch.pass_over(entry, reason, call)
            caller = CallContext(Principal("public:call", Role.SYSTEM), causation_id=entry.id)
            lead_id = self._touch.lead(submission_of(report, rules), caller).id

        def tell(owner: Lead, before: Activity | None) -> Activity:
            if before is None:
                return _activity(report, owner, entry)
            told = further(before, report)
            return before.revised(self._clock.now(), **told) if told else before

        self._touch.record(entry, lead_id, _activity_id(report), tell, call)
        return f"call {report.status}"


def _nobody(report: CallReport, rules: VoiceRules) -> str:
    """Why a call makes no lead; an empty text when it does."""
    if not report.inbound:
        return "not an inbound call"
    if not report.caller or report.caller in rules.withheld or not any(char.isdigit() for char in report.caller):
        return "CAP-3 withheld: the caller's number is not shown, so there is nobody to call back"
    if canonical_phone(report.caller, report.country) is None:
        return "CAP-10 reachable: the caller's number is no telephone number"
    return ""


def further(before: Activity, report: CallReport) -> dict[str, Any]:
    """What a report changes of a call that stands: a later stage, and the seconds it took."""
    facts = dict(before.facts)
    changes: dict[str, Any] = {}
    if _RANK.index(report.status) > _RANK.index(CallStatus(facts["status"])):
        facts["status"] = report.status
        changes["outcome"] = _outcome(report.status)
    if report.seconds is not None and report.seconds > int(facts.get("seconds", "-1")):
        facts["seconds"] = str(report.seconds)
    if facts == before.facts:
        return {}
    return {**changes, "facts": facts}


def _outcome(status: CallStatus) -> ActivityOutcome | None:
    """A call that none of us is known to have taken is to be returned."""
    unanswered = status in (CallStatus.ENDED, CallStatus.MISSED)
    return ActivityOutcome.FOLLOW_UP_REQUIRED if unanswered else None


def submission_of(report: CallReport, rules: VoiceRules) -> LeadSubmission:
    """What a call says of who called; where they came from is told by the number they called (CAP-8)."""
    first, last = person_name(report.name)
    phone = canonical_phone(report.caller, report.country) or report.caller
    campaign = tidy(rules.campaigns.get(report.called, "") or report.called)[:120]
    return LeadSubmission(
        channel=Channel.CALL,
        first_name=first[:120],
        last_name=last[:120],
        phone=phone,
        country=phone_country(phone) or report.country[:120],
        told=AttributionClaim(source="Phone", campaign=campaign, medium="call"),
        idempotency_key=f"call:{report.id}",
    )


def _activity_id(report: CallReport) -> str:
    return activity_id(report.id)


def _activity(report: CallReport, lead: Lead, entry: InboxEntry) -> Activity:
    facts = {"status": str(report.status), "to": report.called}
    if report.seconds is not None:
        facts["seconds"] = str(report.seconds)
    return Activity(
        id=_activity_id(report),
        created_at=entry.created_at,
        modified_at=entry.created_at,
        type=ActivityType.CALL,
        subject="Inbound call",
        related_to=lead.id,
        owner_id=lead.owner_id,
        at=report.at,
        inbound=True,
        outcome=_outcome(report.status),
        ref=report.id.partition(":")[2],
        facts={name: value for name, value in facts.items() if value},
    )
