"""Webinar and event registrations (CAP-6): a batch of attendees in, a verdict for each out.

Attendance counts as engagement, once a person and event. A row that is refused names field and rule and costs no
other row anything; a batch that is sent again changes nothing.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from revops.crm.intake import SubmitLead
from revops.crm.model import Channel
from revops.crm.submission import AttributionClaim, ConsentStatement, LeadFields, LeadSubmission
from revops.kernel import CallContext, DomainError, FieldIssue, Invalid, StatedTime, canonical_json, issue_of

MAX_ATTENDEES = 100
_LOOK_AGAIN = 10
"""Rows after which it is asked again whether the key is good."""


class Presence(StrEnum):
    """Whether somebody came."""

    REGISTERED = "registered"
    ATTENDED = "attended"
    MISSED = "missed"


class Attendee(LeadFields):
    """Somebody who registered, and whether they came. What the batch says of consent and origin holds where a row says
    nothing of its own. `minutes` and `at` are of who attended."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    presence: Presence = Presence.REGISTERED
    minutes: Annotated[int, Field(ge=0, le=10_000, description="How long they stayed")] | None = None
    at: StatedTime | None = None


class WebinarBatch(BaseModel):
    """The attendees of one webinar or event. Rows are judged one by one, so the fields of each are read as they come; a
    row that is no object is a batch that nobody meant to send."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    attribution: AttributionClaim | None = None
    consent: tuple[ConsentStatement, ...] = Field(default=(), max_length=10)
    attendees: list[dict[str, object]] = Field(min_length=1, max_length=MAX_ATTENDEES)


class RowVerdict(StrEnum):
    """What became of a row."""

    CREATED = "created"
    KNOWN = "known"
    REFUSED = "refused"
    NOT_DONE = "not_done"


@dataclass(frozen=True, slots=True)
class AttendeeVerdict:
    """A row's verdict: its lead, or what is wrong with it."""

    row: int
    verdict: RowVerdict
    lead_id: str = ""
    issues: tuple[FieldIssue, ...] = field(default=())


class CountEngagement(Protocol):
    """Counts an event about a thing once."""

    def __call__(
        self,
        lead_id: str,
        event: str,
        ref: str,
        call: CallContext,
        at: AwareDatetime | None = None,
        minutes: int | None = None,
    ) -> bool: ...


class TakeAttendees:
    """Submits each attendee and counts their attendance."""

    def __init__(self, submit: SubmitLead, engage: CountEngagement) -> None:
        self._submit = submit
        self._engage = engage

    def __call__(
        self, webinar_id: str, batch: WebinarBatch, call: CallContext, still_good: Callable[[], bool] = lambda: True
    ) -> list[AttendeeVerdict]:
        """A verdict for every row, in their order. `still_good` is asked now and then whether the sender may go on:
        from a key's end on, rows are refused and what was stored before stays."""
        verdicts: list[AttendeeVerdict] = []
        for number, given in enumerate(batch.attendees):
            if number and number % _LOOK_AGAIN == 0 and not still_good():
                return verdicts + _ended(range(number, len(batch.attendees)))
            verdicts.append(self._row(number, webinar_id, given, batch, call))
        return verdicts

    def _row(
        self, number: int, webinar_id: str, given: dict[str, object], batch: WebinarBatch, call: CallContext
    ) -> AttendeeVerdict:
        try:
            attendee = Attendee.model_validate(given)
            receipt = self._submit(_submission(webinar_id, attendee, batch), call)
            lead_id, ref = receipt.lead.id, f"webinar:{webinar_id}"
            self._engage(lead_id, "webinar_registered", ref, call)
            if attendee.presence is Presence.ATTENDED:
                self._engage(lead_id, "webinar_attended", ref, call, attendee.at, attendee.minutes)
        except ValidationError as error:
            return AttendeeVerdict(number, RowVerdict.REFUSED, issues=_issues(error))
        except Invalid as error:
            issues = error.issues or (FieldIssue("row", "invalid", error.detail),)
            return AttendeeVerdict(number, RowVerdict.REFUSED, issues=issues)
        except DomainError as error:  # one row's trouble is no other row's; the sender sends it again
            issue = FieldIssue("row", error.slug, error.detail, "send this row again" if error.retryable else "")
            return AttendeeVerdict(
                number, RowVerdict.NOT_DONE if error.retryable else RowVerdict.REFUSED, issues=(issue,)
            )
        return AttendeeVerdict(number, RowVerdict.CREATED if receipt.created else RowVerdict.KNOWN, lead_id)


def _submission(webinar_id: str, attendee: Attendee, batch: WebinarBatch) -> LeadSubmission:
    own = attendee.attribution or batch.attribution
    said = attendee.model_copy(update={"attribution": own, "consent": attendee.consent or batch.consent})
    # The person's own words make the key: the same row again gets the same answer, whatever became of attendance.
    words = canonical_json(said.model_dump(mode="json", exclude={"presence", "minutes", "at"}))
    key = hashlib.sha256(words.encode()).hexdigest()[:32]
    submission = LeadSubmission.of(said, Channel.WEBINAR, idempotency_key=f"webinar:{webinar_id}:{key}")
    return submission.model_copy(update={"metadata": {"webinar": webinar_id}})


def _ended(rows: Sequence[int]) -> list[AttendeeVerdict]:
    issue = FieldIssue("x-api-key", "CAP-5 revoked", "the key ended while the batch was worked on", "a key in force")
    return [AttendeeVerdict(number, RowVerdict.NOT_DONE, issues=(issue,)) for number in rows]


def _issues(error: ValidationError) -> tuple[FieldIssue, ...]:
    return tuple(issue_of(each, each["loc"] or ("row",)) for each in error.errors()[:20])
