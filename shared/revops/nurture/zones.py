"""When it is a decent hour where somebody lives.

A country has the zones that the time zone database gives it (its `zone.tab`); the rules may name fewer. Of a country
with several nobody knows which one a person lives in, so a message goes out only when the hour is decent in all of
them. Where no such hour exists, the first zone decides.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from revops.kernel import ClockTime
from revops.nurture.model import Part

_LOOKED_AHEAD = timedelta(days=7)
"""Past any weekend; zones that share no decent hour by then share none."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name[:60]} is no zone of the time zone database") from error
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone), Field(examples=["Europe/Berlin"])]


class QuietHours(Part):
    """When no message is sent: from `begins` to `ends` on the lead's clock, and at weekends unless `weekends`. Equal
    times mean no quiet hours."""

    begins: ClockTime = time(20, 0)
    ends: ClockTime = time(8, 0)
    weekends: bool = Field(default=False, description="Whether messages go out on Saturday and Sunday")

    def decent(self, local: datetime) -> bool:
        """Whether a message may be sent at a moment of somebody's own clock."""
        if not self.weekends and local.weekday() >= 5:
            return False
        if self.begins == self.ends:
            return True
        at = local.time().replace(tzinfo=None)
        if self.begins < self.ends:
            return not self.begins <= at < self.ends
        return self.ends <= at < self.begins


def next_decent(moment: datetime, zones: Sequence[str], quiet: QuietHours) -> datetime:
    """The moment itself when it is decent in every zone, else the first one after it that is."""
    clocks = [ZoneInfo(name) for name in zones]
    for asked in (clocks, clocks[:1]):
        later = moment
        while later - moment <= _LOOKED_AHEAD:
            latest = max(_decent_from(later, clock, quiet) for clock in asked)
            if latest == later:
                return later
            later = latest
    return moment


def _decent_from(moment: datetime, clock: ZoneInfo, quiet: QuietHours) -> datetime:
    """The moment itself when it is decent on a clock, else the end of what makes it quiet."""
    local = moment.astimezone(clock)
    if quiet.decent(local):
        return moment
    if not quiet.weekends and local.weekday() >= 5:
        day, at = local.date() + timedelta(days=7 - local.weekday()), time()
    else:
        overnight = quiet.begins > quiet.ends and local.time() >= quiet.begins
        day, at = local.date() + timedelta(days=overnight), quiet.ends
    for fold in (0, 1):  # of an hour that a clock shows twice, the second may be the one to come
        ends = datetime.combine(day, at, clock).replace(fold=fold).astimezone(UTC)
        if ends > moment:
            return ends
    return moment + timedelta(hours=1)


def zones_of(country: str, named: Mapping[str, Sequence[str]], otherwise: str) -> tuple[str, ...]:
    """The zones of a country (ISO 3166-1 alpha-2): as the rules name them, else the database's, else the one given."""
    found = named.get(country) or _zones_by_country().get(country) or (otherwise,)
    return tuple(found)


@cache
def _zones_by_country() -> Mapping[str, tuple[str, ...]]:
    text = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, tuple[str, ...]] = {}
    for country, _, zone, *_ in lines:
        found[country] = (*found.get(country, ()), zone)
    return found
