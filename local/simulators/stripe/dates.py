"""Billing periods: calendar arithmetic in UTC that keeps to the anchor's day of the month."""

import calendar
from datetime import UTC, datetime, timedelta


def add_interval(start: int, interval: str, count: int, anchor: int) -> int:
    """The end of a period that begins at `start` (epoch seconds).

    Months and years return to the anchor's day where the month has it, else to the month's last day.
    """
    moment = datetime.fromtimestamp(start, UTC)
    if interval in ("day", "week"):
        return int((moment + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    months = moment.month - 1 + count * (12 if interval == "year" else 1)
    year, month = moment.year + months // 12, months % 12 + 1
    day = min(datetime.fromtimestamp(anchor, UTC).day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())


def previous_period_start(end: int, interval: str, count: int) -> int:
    """The start of the whole period that ends at `end`: the measure of a first, shortened period."""
    return add_interval(end, interval, -count, end)
