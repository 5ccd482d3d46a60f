"""Days so many months later, as contracts and Stripe count them."""

from calendar import monthrange
from datetime import date


def add_months(day: date, months: int, day_of_month: int = 0) -> date:
    """The same day, or another day of the month, so many months later, or the last day of a shorter month. A row of
    days is counted from its first, or with the `day_of_month` of it: one from the other, they drift to the 28th."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day_of_month or day.day, monthrange(year, month)[1]))


def term_day(starts_on: date, ends_on: date, day_of_month: int = 0) -> int:
    """The day of the month that terms end on which follow one by themselves: the day it began (or the `day_of_month`
    that such terms have). A contract of the 31st ends on the 28th of February and on the 31st of March after it, as
    Stripe bills it; an end that was agreed otherwise is a day of its own."""
    day = day_of_month or starts_on.day
    return day if add_months(ends_on, 0, day) == ends_on else ends_on.day
