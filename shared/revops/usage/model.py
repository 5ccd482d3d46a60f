"""Usage, the plan that limits it, and the alerts it raises. Money is exact; see `policies` for how it is held."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from revops.kernel import Money
from revops.kernel.money import Currency, Rate
from revops.table import Entity

AccountId = Annotated[str, Field(pattern=r"^ACC_[0-9A-Za-z]{1,40}$", examples=["ACC_7ZK3M0Q8W2XR5T9VB1N4C6D8EF"])]


class _Spelled(StrEnum):
    """An enumeration that also reads `api_calls`, `API calls` and the like; it only ever writes its own spelling."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        wanted = value.replace("_", " ").replace("-", " ").casefold()
        return next((member for member in cls if member.value.casefold() == wanted), None)


class Meter(_Spelled):
    """What usage is counted in (USE-1)."""

    API_CALLS = "API Calls"
    SIGNATURES = "Signatures"
    VERIFICATIONS = "Verifications"


class Line(_Spelled):
    """What a plan limits: one meter, or all of them in one pool (ORD-1)."""

    API_CALLS = "API Calls"
    SIGNATURES = "Signatures"
    VERIFICATIONS = "Verifications"
    POOLED = "Pooled"


class SpendPeriod(_Spelled):
    """What a spend cap limits: a month or a year."""

    MONTHLY = "Monthly"
    ANNUAL = "Annual"


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Allowance(_Part):
    """One line of a plan, per calendar month in UTC.

    `included` units cost nothing beyond the plan; further ones cost `overage_price` each, in major units of the
    plan's currency. `unit_limit` is where units stop for good. Without a price there is no overage and units stop
    at `included`; without a limit only the spend cap stops them.
    """

    line: Line
    included: Annotated[int, Field(ge=0, le=10**15)]
    overage_price: Annotated[Rate, Field(ge=0, le=1_000_000, decimal_places=12)] | None = None
    unit_limit: Annotated[int, Field(ge=0, le=10**15)] | None = None

    @property
    def stops_at(self) -> int | None:
        """The usage cap in units; None when units alone never stop."""
        if self.overage_price is None:
            return self.included if self.unit_limit is None else min(self.included, self.unit_limit)
        return self.unit_limit

    @property
    def cap(self) -> int:
        """The units that alerts are reckoned against: where units stop, else what is included."""
        stop = self.stops_at
        return self.included if stop is None else stop


class CapTerms(_Part):
    """What limits an account's usage; without allowances none is agreed on, and none is taken. `spend_cap` is the most
    overage a spend period may cost; an annual period begins on the day and month of `starts_on`, a monthly one with the
    calendar month."""

    account_id: AccountId
    currency: Currency
    allowances: Annotated[tuple[Allowance, ...], Field(max_length=3)]
    spend_cap: Annotated[int, Field(ge=0, le=10**15, description="Minor units")] | None = None
    spend_period: SpendPeriod = SpendPeriod.MONTHLY
    starts_on: date = date(2000, 1, 1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        lines = [allowance.line for allowance in self.allowances]
        if len(set(lines)) != len(lines):
            raise ValueError("allowances: each line may stand once")
        if Line.POOLED in lines and len(lines) > 1:
            raise ValueError("allowances: a pooled line stands alone")
        return self

    def allowance(self, meter: Meter) -> Allowance | None:
        """The line that a meter's usage counts against."""
        return next((one for one in self.allowances if one.line in (meter.value, Line.POOLED)), None)


class CapShare(_Part):
    """What one contract agrees on an account's usage, named by the order that made its subscription. `agreed_at` is
    when that was signed, or when it began to hold. Without terms it agrees on none any more."""

    order_id: str
    agreed_at: AwareDatetime
    terms: CapTerms | None = None


class CapPlan(Entity):
    """The terms in force for an account. Every version's terms are kept, for usage that arrives late. `agreed_at` is
    when the order they come from was signed; None for terms that no order set. `shares` is what each contract agrees
    on: in force is what was agreed last, and when that contract drops its usage lines, what another agreed before."""

    terms: CapTerms
    agreed_at: AwareDatetime | None = None
    shares: tuple[CapShare, ...] = ()


class UsageEvent(_Part):
    """Something that was used. `id` is the sender's and names the event for ever: sent again, it counts once."""

    id: Annotated[str, Field(min_length=1, max_length=200, examples=["req-2026-11-20-000017"])]
    account_id: AccountId
    meter: Meter
    quantity: Annotated[int, Field(ge=1, le=10**12, strict=True, examples=[25])]
    occurred_at: Annotated[AwareDatetime | None, Field(description="When it was used; now if left out")] = None


class Charge(_Part):
    """How an event was counted: units within what is included, units beyond, and their exact price in atoms
    (10⁻¹² minor units)."""

    included_units: int
    overage_units: int
    cost: int


class LedgerEntry(_Part):
    """An accepted event as it stands in the ledger, for ever."""

    event_id: str
    account_id: str
    meter: Meter
    quantity: int
    occurred_at: AwareDatetime
    accepted_at: AwareDatetime
    month: str
    plan_version: int
    charge: Charge
    currency: str


class Remaining(_Part):
    """What is left. `units` is None when units alone never stop, `spend` when money never does; `spend` is rounded
    down, so it is never more than there is."""

    included: int
    units: int | None
    spend: Money | None


class UsageReceipt(_Part):
    """The answer to an event: how it was counted, the same for every repeat, and what is left by now."""

    event_id: str
    account_id: str
    meter: Meter
    quantity: int
    cycle: Annotated[str, Field(examples=["2026-11"])]
    included_units: int
    overage_units: int
    overage_cost: Annotated[Rate, Field(description="Exact, in major units", examples=["0.375"])]
    currency: Currency
    duplicate: bool
    remaining: Remaining


class Alert(Entity):
    """A threshold of a cap was crossed in a cycle (USE-4). `used` and `limit` are units, or minor units of spend."""

    account_id: str
    cap: str
    threshold_percent: int
    cycle: str
    used: int
    limit: int
