"""How soon an owner is to be in touch with a new lead (CAP-14), counted in working time of the owner's own zone."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, ClassVar, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from revops.crm.model import Channel, Lead, ResponseTarget
from revops.kernel import IN_ORDER, ClockTime
from revops.settings import SettingsDocument

_LOOKED_AHEAD = 400
"""Days after which a target is due in any case, as where the rules leave an hour a week to work in."""


def clock_of(zone: str) -> ZoneInfo | None:
    """The clock of a zone; None for one that the time zone database does not have."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # unknown, no name at all, the name of a folder
        return None


def _known(name: str) -> str:
    if clock_of(name) is None:
        raise ValueError(f"{name[:60]} is no zone of the time zone database")
    return name


ZoneName = Annotated[str, AfterValidator(_known), Field(examples=["Europe/London"])]


class WorkingHours(BaseModel):
    """When people work: from `opens` to `closes` on the weekdays named (1 = Monday … 7 = Sunday), but for holidays."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(default=(1, 2, 3, 4, 5), min_length=1)
    opens: ClockTime = time(9, 0)
    closes: ClockTime = time(17, 30)
    holidays: tuple[date, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError("closes must be later than opens, on the same day")
        return self


class ResponseRule(BaseModel):
    """A target for some leads. A criterion that is empty asks for nothing. `around_the_clock` counts every minute."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    minutes: int = Field(ge=1, le=10_080)
    min_score: int = Field(default=0, ge=0, le=100)
    sources: Annotated[frozenset[Annotated[str, Field(max_length=120)]], IN_ORDER] = frozenset()
    channels: Annotated[frozenset[Channel], IN_ORDER] = frozenset()
    around_the_clock: bool = False

    def fits(self, lead: Lead) -> bool:
        """Whether this is the target of a lead."""
        source = lead.attribution.source.casefold()
        return (
            lead.score >= self.min_score
            and (not self.channels or lead.channel in self.channels)
            and (not self.sources or source in {each.casefold() for each in self.sources})
        )


class ResponseRules(SettingsDocument):
    """The first rule that fits gives the target; no rule, no target. `time_zone` is the company's, for owners who have
    none of their own. Leads of `quiet_channels` come in masses: their owners get neither target nor notice for each."""

    SETTING: ClassVar[str] = "response"

    time_zone: ZoneName = "Europe/London"
    working_hours: WorkingHours = WorkingHours()
    rules: tuple[ResponseRule, ...] = (
        ResponseRule(name="hot", minutes=15, min_score=70),
        ResponseRule(name="standard", minutes=60),
    )
    quiet_channels: tuple[Channel, ...] = (Channel.IMPORT, Channel.HUBSPOT)


def target_for(lead: Lead, rules: ResponseRules, zone: str, since: datetime) -> ResponseTarget | None:
    """The target of a lead from a moment on, in an owner's zone (empty: the company's); None when there is none."""
    if lead.channel in rules.quiet_channels:
        return None
    rule = next((rule for rule in rules.rules if rule.fits(lead)), None)
    if rule is None:
        return None
    length = timedelta(minutes=rule.minutes)
    clock = (clock_of(zone) if zone else None) or ZoneInfo(rules.time_zone)
    due_at = since + length if rule.around_the_clock else working_time_after(since, length, rules.working_hours, clock)
    return ResponseTarget(rule=rule.name, minutes=rule.minutes, since=since, due_at=due_at)


def working_time_after(since: datetime, length: timedelta, hours: WorkingHours, clock: ZoneInfo) -> datetime:
    """The moment by which so much working time has passed, in UTC. A day on which the clock changes counts what
    it has."""
    left = length
    first = since.astimezone(clock).date()
    for number in range(_LOOKED_AHEAD):
        day = first + timedelta(days=number)
        if day.isoweekday() not in hours.weekdays or day in hours.holidays:
            continue
        opens, closes = (
            datetime.combine(day, at, clock).astimezone(UTC) for at in (hours.opens, hours.closes)
        )  # in UTC, so that the difference is what passes
        begins = max(opens, since.astimezone(UTC))
        if begins >= closes:
            continue
        if left <= closes - begins:
            return begins + left
        left -= closes - begins
    return since + timedelta(days=_LOOKED_AHEAD)
