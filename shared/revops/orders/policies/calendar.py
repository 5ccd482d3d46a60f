"""The contract's calendar: days begin at midnight where the customer is (ORD-5).

The same day always gives the same instant, so a preview, the update it previews and our own arithmetic agree. Periods
open a little later than their day where they must: Stripe counts months in UTC and keeps the hour, so a period that
opened at midnight in Berlin on the first would be billed on the 30th of the month before, and an hour's change of the
clocks would put it on the day before (https://docs.stripe.com/billing/subscriptions/billing-cycle).
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, field_validator

from revops.orders.model import OrderTerms, Region


class ContractZones(BaseModel):
    """The time zone a contract's days are counted in: that of the billing country, else of the region. Names of the
    IANA database. Of a country with several, its main business one."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    countries: Mapping[str, str] = {
        "AT": "Europe/Vienna",
        "AU": "Australia/Sydney",
        "BR": "America/Sao_Paulo",
        "CA": "America/Toronto",
        "CH": "Europe/Zurich",
        "DE": "Europe/Berlin",
        "ES": "Europe/Madrid",
        "FI": "Europe/Helsinki",
        "FR": "Europe/Paris",
        "GB": "Europe/London",
        "GR": "Europe/Athens",
        "IE": "Europe/Dublin",
        "IN": "Asia/Kolkata",
        "IT": "Europe/Rome",
        "JP": "Asia/Tokyo",
        "NL": "Europe/Amsterdam",
        "PL": "Europe/Warsaw",
        "PT": "Europe/Lisbon",
        "RO": "Europe/Bucharest",
        "SE": "Europe/Stockholm",
        "US": "America/New_York",
    }
    regions: Mapping[Region, str] = {
        Region.EU: "Europe/Brussels",
        Region.UK: "Europe/London",
        Region.US: "America/New_York",
        Region.BR: "America/Sao_Paulo",
    }

    @field_validator("countries", "regions")
    @classmethod
    def _known(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name in value.values():
            try:
                _zone(name)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f"{name!r} is not a time zone of the IANA database") from error
        return value

    def of(self, terms: OrderTerms) -> str:
        """The zone of an order; UTC where the data says nothing."""
        return self.countries.get(terms.billing_address.country) or self.regions.get(terms.region, "UTC")


def midnight(day: date, zone: str) -> int:
    """Epoch seconds of the first instant of a day in a zone. A midnight that a clock change skips is the moment of the
    change; one that comes twice is the first."""
    return int(datetime.combine(day, time(), _zone(zone)).astimezone(UTC).timestamp())


def opening(day: date, zone: str) -> int:
    """Epoch seconds at which what begins or ends on a day does so at the provider: the first instant that is on this
    date in UTC as well, and never before midnight in the zone, in winter and in summer. The same day of the next month
    in UTC is then the same day of the next month in the zone."""
    offsets = [datetime(day.year, month, 1, 12, tzinfo=_zone(zone)).utcoffset() or timedelta() for month in (1, 7)]
    begins = datetime.combine(day, time(), UTC)
    return int((begins - min(*offsets, timedelta())).timestamp())


def day_of(instant: int, zone: str) -> date:
    """The day an instant falls on in a zone."""
    return datetime.fromtimestamp(instant, _zone(zone)).date()


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
