"""Whose terms a subscription carries, and from when: the executed forms about it in order of time (ORD-5).

The form agreed last holds from its day on. It takes the place of what was agreed for that day or later, with one
exception: an amendment leaves a renewal standing, because a seat more in June says nothing about next year's contract.
"""

from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from revops.orders.model import OrderForm, OrderKind
from revops.table import Entity


class Segment(BaseModel):
    """The terms of one form, from `starts_at` (epoch seconds of the opening of its day) on. `replaced_by`
    names the form that took its place before it began or later; empty while it counts."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    order_id: str
    kind: OrderKind
    starts_at: int
    replaced_by: str = ""


class Timeline(Entity):
    """Every executed form about one subscription. Its id is that of the order that made it; `next_at` is when the next
    of its segments begins to count here, None when there is none to come."""

    segments: tuple[Segment, ...]
    next_at: AwareDatetime | None = None

    def standing(self) -> tuple[Segment, ...]:
        """The segments that count, in order of time."""
        return tuple(sorted((each for each in self.segments if not each.replaced_by), key=lambda each: each.starts_at))

    def in_force(self, now: int) -> Segment:
        """The segment that holds at an instant; before the start, the first one."""
        standing = self.standing()
        begun = [each for each in standing if each.starts_at <= now]
        return begun[-1] if begun else standing[0]

    def next_after(self, now: int) -> datetime | None:
        """When the next segment begins."""
        coming = self.coming(now)
        return datetime.fromtimestamp(coming[0].starts_at, UTC) if coming else None

    def coming(self, now: int) -> tuple[Segment, ...]:
        """What is agreed for later, in order of time."""
        held = self.in_force(now)
        return tuple(each for each in self.standing() if each.starts_at > max(now, held.starts_at))


def with_order(segments: tuple[Segment, ...], order: OrderForm, starts_at: int) -> tuple[Segment, ...]:
    """The segments once a form is agreed; the same again when they have it already."""
    if any(each.order_id == order.id for each in segments):
        return segments
    added = Segment(order_id=order.id, kind=order.kind, starts_at=starts_at)
    kept = tuple(
        each.model_copy(update={"replaced_by": order.id}) if _gives_way(each, added) else each for each in segments
    )
    return (*kept, added)


def _gives_way(old: Segment, new: Segment) -> bool:
    if old.replaced_by or old.starts_at < new.starts_at:
        return False
    return new.kind is OrderKind.RENEWAL or old.kind is not OrderKind.RENEWAL
