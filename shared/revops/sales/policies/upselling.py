"""When an account looks ready for more: what the data can really show (ORD-9).

Two kinds of signals: units that came close to a usage cap for some months running, and money that came close to the
spend cap. Seats in use and features in use are known to nobody here, so no rule speaks of them.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from revops.sales.model import Signal, SignalKind
from revops.sales.ports import MonthUsage
from revops.settings import SettingsDocument


class UpsellRule(BaseModel):
    """A signal: `percent` of a cap reached in each of `months` months, the running one included. For `quiet_months`
    after a deal of this rule no further one is opened."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    kind: SignalKind
    percent: Annotated[int, Field(ge=1, le=1000)]
    months: Annotated[int, Field(ge=1, le=12)]
    quiet_months: Annotated[int, Field(ge=1, le=36)] = 6
    offer: Annotated[str, Field(min_length=1, max_length=200)]


class UpsellRules(SettingsDocument):
    """The signals that open a deal, and how many days its owner has for the first look."""

    SETTING: ClassVar[str] = "upsell"

    rules: Annotated[tuple[UpsellRule, ...], Field(max_length=20)] = (
        UpsellRule(name="usage_near_cap", kind=SignalKind.USAGE, percent=80, months=3, offer="a higher usage cap"),
        UpsellRule(
            name="spend_near_cap", kind=SignalKind.SPEND, percent=80, months=2, offer="a plan with more included"
        ),
    )
    task_days: Annotated[int, Field(ge=0, le=60)] = 5

    @model_validator(mode="after")
    def _apart(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names) or any(rule.kind is SignalKind.MANUAL for rule in self.rules):
            raise ValueError("rules: names stand once, and a rule looks at usage or spend")
        return self


def months_back(month: str, count: int) -> list[str]:
    """`count` months that end with this one, newest first: `2026-01`, 3 → 2026-01, 2025-12, 2025-11."""
    number = int(month[:4]) * 12 + int(month[5:7]) - 1
    return [f"{(number - back) // 12:04d}-{(number - back) % 12 + 1:02d}" for back in range(count)]


def signal(rule: UpsellRule, month: str, seen: Sequence[MonthUsage]) -> Signal | None:
    """A cap of which `percent` was used in every one of the months, if there is one."""
    wanted = months_back(month, rule.months)
    for cap in sorted({one.cap for one in seen}):
        by_month = {one.month: one for one in seen if one.cap == cap}
        found = [by_month[each] for each in wanted if each in by_month]
        near = [one for one in found if one.limit > 0 and one.used * 100 >= one.limit * rule.percent]
        if len(near) == rule.months:
            told = "; ".join(dict.fromkeys(one.told for one in near))
            return Signal(rule=rule.name, kind=rule.kind, period=month, evidence=f"{cap}: {told}")
    return None
