"""How urgently an unpaid invoice is asked for: a function of its due time, the clock and the rules (ORD-9)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from revops.sales.model import DunningStage, Invoice
from revops.settings import SettingsDocument


class DunningRule(BaseModel):
    """When a stage begins, and what it opens: a task for the account's owner, a mail to them."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    stage: DunningStage
    days_after_due: Annotated[int, Field(ge=0, le=365)]
    task: bool = False
    notice: bool = True
    urgent: bool = False


class DunningRules(SettingsDocument):
    """The stages in the order of their urgency; a later stage begins later."""

    SETTING: ClassVar[str] = "dunning"

    stages: Annotated[tuple[DunningRule, ...], Field(max_length=3)] = (
        DunningRule(stage=DunningStage.REMINDED, days_after_due=3),
        DunningRule(stage=DunningStage.PAST_DUE, days_after_due=14, task=True),
        DunningRule(stage=DunningStage.SUSPENSION_WARNING, days_after_due=30, task=True, urgent=True),
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        told = [(rule.stage.rank, rule.days_after_due) for rule in self.stages]
        for (rank, days), (next_rank, next_days) in pairwise(told):
            if rank >= next_rank or days >= next_days:
                raise ValueError("stages: each one more urgent and later than the one before")
        if any(rule.stage is DunningStage.NONE for rule in self.stages):
            raise ValueError("stages: None is where an invoice begins")
        return self


@dataclass(frozen=True, slots=True)
class Dunning:
    """Where an invoice stands, by which rule, and when the next stage begins (None: there is none)."""

    stage: DunningStage
    rule: DunningRule | None
    next_at: datetime | None


def dunning(invoice: Invoice, now: datetime, rules: DunningRules) -> Dunning:
    """The stage of an invoice. One that is not owed is in none; so is one that is not due yet."""
    if not invoice.owed:
        return Dunning(DunningStage.NONE, None, None)
    due = invoice.due_at or invoice.issued_at
    reached: DunningRule | None = None
    for rule in rules.stages:
        begins = due + timedelta(days=rule.days_after_due)
        if begins > now:
            return Dunning(reached.stage if reached else DunningStage.NONE, reached, begins)
        reached = rule
    return Dunning(reached.stage if reached else DunningStage.NONE, reached, None)


def watched(invoice: Invoice, now: datetime, rules: DunningRules) -> Invoice:
    """The invoice as the sweep is to find it. A stage that stands is kept, whatever the clock says: the sweep begins a
    stage, with its task and notice, and payment ends them all."""
    told = dunning(invoice, now, rules)
    if not invoice.owed:
        ended = {"stage": DunningStage.NONE, "stage_since": None, "dun_at": None}
        return invoice.model_copy(update=ended | {"dunned": invoice.dunned + (invoice.stage is not DunningStage.NONE)})
    if told.rule is not None and told.stage.rank > invoice.stage.rank:
        begun = (invoice.due_at or invoice.issued_at) + timedelta(days=told.rule.days_after_due)
        return invoice.model_copy(update={"dun_at": begun})
    return invoice.model_copy(update={"dun_at": told.next_at})
