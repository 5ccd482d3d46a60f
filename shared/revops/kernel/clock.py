"""Time is a dependency: nothing in a slice asks the operating system what time it is."""

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Clock(Protocol):
    """Tells the present moment, always aware and in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def _plausible(moment: datetime) -> datetime:
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError("a time of the years 1900 to 8999")
    return moment


StatedTime = Annotated[AwareDatetime, AfterValidator(_plausible)]
"""A time that somebody outside says. At either end of the calendar a zone's offset leads out of it (S13)."""


def _written_day(said: Any) -> Any:
    if isinstance(said, date) or (isinstance(said, str) and _DAY.fullmatch(said)):
        return said
    raise ValueError("a day as text, such as 2026-11-20")


StatedDay = Annotated[date, BeforeValidator(_written_day)]
"""A day that somebody outside says. Pydantic alone reads a number, too, as one: 0 as the first day of 1970 (S13)."""


def _without_zone(clock: time) -> time:
    if clock.tzinfo is not None:
        raise ValueError("a time of day as a clock shows it, such as 09:00, without a zone")
    return clock


ClockTime = Annotated[time, AfterValidator(_without_zone)]
"""A time of day on whichever clock it is read. Pydantic reads a number, too, as one in UTC."""


def time_text(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and `Z`: fixed width, so that text order is time order in sort keys.

    Raises ValueError for a naive datetime: a time without a zone is not a time.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place in the table")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """The inverse of `time_text`; accepts any ISO 8601 text with a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)
