"""When somebody is to look at the end of a term, and how a term ends by itself (ORD-9)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from revops.kernel import add_months, term_day
from revops.sales.model import Renewal, RenewalStatus
from revops.sales.store import midnight
from revops.settings import SettingsDocument


class RenewalRules(SettingsDocument):
    """How many days before the end of a term its owner gets a task, and how far a list looks ahead unless told."""

    SETTING: ClassVar[str] = "renewals"

    remind_days: Annotated[tuple[Annotated[int, Field(ge=1, le=365)], ...], Field(max_length=6)] = (90, 60, 30)
    list_days: Annotated[int, Field(ge=1, le=730)] = 120

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if list(self.remind_days) != sorted(set(self.remind_days), reverse=True):
            raise ValueError("remind_days: each once, the earliest first")
        return self


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be done about a renewal now: the reminder that is due (0: none), whether the term is over, and when
    to look again (None: there is nothing more to wait for)."""

    remind: int
    over: bool
    next_at: datetime | None


def look(renewal: Renewal, now: datetime, rules: RenewalRules) -> Look:
    """Of several reminders that are due only the latest is given: who learns today that a term ends in 25 days needs
    no task for day 90. A term that was decided, or is announced to end, needs none."""
    if renewal.status is not RenewalStatus.OPEN:
        return Look(0, False, None)
    end = midnight(renewal.ends_on)
    if end <= now:
        return Look(0, True, None)
    moments = {days: end - timedelta(days=days) for days in rules.remind_days}
    passed = [days for days, moment in moments.items() if moment <= now]
    latest = min(passed, default=0)
    due = 0 if latest == 0 or any(days <= latest for days in renewal.reminded) else latest
    if renewal.to_end:
        return Look(0, False, end)
    return Look(due, False, min((moment for moment in moments.values() if moment > now), default=end))


def next_end(term: Renewal) -> tuple[date, int]:
    """When the term that follows by itself ends, and on which day of the month such terms do."""
    day = term_day(term.starts_on, term.ends_on, term.day_of_month)
    return add_months(term.ends_on, term.term_months, day), day
