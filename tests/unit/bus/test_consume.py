"""Each event of ours starts its own reaction, and what is none of ours starts nothing."""

from dataclasses import dataclass
from typing import Any

import pytest

from revops.bus import ConsumeEvent
from revops.bus.reactions import (
    joined,
    lead_reactions,
    notice_reactions,
    order_reactions,
    qualification_reactions,
)
from revops.kernel import Invalid


@dataclass(frozen=True)
class _Use:
    """A use case that writes down what it is asked."""

    done: list[tuple[Any, ...]]
    name: str
    answer: object

    def __call__(self, *said: object) -> object:
        self.done.append((self.name, *[getattr(each, "causation_id", each) for each in said]))
        return self.answer

    def after_term(self, *said: object) -> object:
        return self("term", *said)


class Reactions:
    """Writes down what is asked of each use case."""

    def __init__(self, mail_to: str = "ops@example.com") -> None:
        self.done: list[tuple[Any, ...]] = []
        self.consume = ConsumeEvent(
            joined(
                order_reactions(self._use("start"), self._use("answer", 2), self._use("caps")),
                lead_reactions(self._use("recheck")),
                notice_reactions(self._use("mail"), mail_to),
            )
        )

    def _use(self, name: str, answer: object = None) -> Any:
        return lambda: _Use(self.done, name, answer)


def envelope(name: str, /, source: str = "revops", **data: Any) -> dict[str, Any]:
    return {"source": source, "detail-type": name, "detail": {"id": "E:1:x", "data": data}}


@pytest.mark.mission("ORD-2", "CAP-11")
@pytest.mark.parametrize(
    ("name", "data", "reaction"),
    [
        ("OrderFormSubmitted", {"order_id": "O", "attempt": 1}, ("start", "O", 1)),
        ("OrderFormResumed", {"order_id": "O", "attempt": 2}, ("start", "O", 2)),
        ("OrderFormReviewed", {"order_id": "O"}, ("answer", "O", "E:1:x")),
        ("OrderFormExecuted", {"order_id": "O"}, ("answer", "O", "E:1:x")),
        ("OrderFormCancelled", {"order_id": "O"}, ("answer", "O", "E:1:x")),
        ("OrderFormActivated", {"order_id": "O"}, ("caps", "O", "E:1:x")),
        ("RenewalDecided", {"renewal_id": "R"}, ("caps", "term", "R", "E:1:x")),
        ("RecordRedriven", {"record": "RENEWAL#R|RENEWAL", "kind": "RENEWAL"}, ("caps", "term", "R", "E:1:x")),
        ("LeadCreated", {"lead_id": "L"}, ("recheck", "L", "E:1:x")),
    ],
)
def test_what_an_event_sets_going(name: str, data: dict[str, Any], reaction: tuple[Any, ...]) -> None:
    world = Reactions()
    world.consume(envelope(name, **data))
    assert world.done == [reaction]


@pytest.mark.mission("LEAD-6")
@pytest.mark.parametrize(
    ("name", "data", "looked_at"),
    [
        ("LeadCreated", {"lead_id": "L"}, True),
        ("LeadScoreChanged", {"lead_id": "L"}, True),
        ("LeadStatusChanged", {"lead_id": "L", "status": "Recycled"}, True),
        ("RecordRedriven", {"record": "LEAD#L|LEAD", "kind": "LEAD"}, True),
        ("RecordRedriven", {"record": "ORDER#L|ORDER", "kind": "ORDER"}, False),
        ("LeadAssigned", {"lead_id": "L"}, False),
    ],
)
def test_what_may_nominate_a_lead_has_it_looked_at(name: str, data: dict[str, Any], looked_at: bool) -> None:
    """A status too: a lead that is worked on once more was not looked at while it was closed."""
    seen: list[tuple[str, str]] = []

    def nominate(lead_id: str, cause: str) -> str:
        seen.append((lead_id, cause))
        return "nominated"

    said = ConsumeEvent(qualification_reactions(lambda: nominate))(envelope(name, **data))  # type: ignore[arg-type,return-value]
    assert seen == ([("L", "E:1:x")] if looked_at else [])
    assert said == ("nominated" if looked_at else "no reaction")


@pytest.mark.mission("CRM-7", "USE-4")
@pytest.mark.parametrize(
    ("name", "data", "mailed"),
    [
        ("NoteCreated", {"note_id": "N", "related_to": "C", "priority": "urgent", "owner_id": ""}, True),
        ("NoteCreated", {"note_id": "N", "related_to": "C", "priority": "high", "owner_id": ""}, True),
        ("NoteCreated", {"note_id": "N", "related_to": "C", "priority": "medium", "owner_id": ""}, False),
        ("SpendCapAlertRaised", {"account_id": "A", "cap": "spend", "threshold_percent": 80, "cycle": "2026-11"}, True),
        ("OrderFormBlocked", {"order_id": "O", "step": "provision"}, True),
        ("LeadScoreChanged", {"lead_id": "L"}, False),
        ("OfferCreated", {}, False),
    ],
)
def test_people_are_told_by_mail_of_what_is_loud(name: str, data: dict[str, Any], mailed: bool) -> None:
    world = Reactions()
    answer = world.consume(envelope(name, **data))
    assert (answer == "mailed") is mailed
    assert [each[:3] for each in world.done] == ([("mail", "E:1:x", "ops@example.com")] if mailed else [])


def test_without_an_address_nobody_is_mailed() -> None:
    world = Reactions(mail_to="")
    world.consume(envelope("OrderFormBlocked", order_id="O", step="s"))
    assert world.done == []


@pytest.mark.mission("BUS-2")
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"source": "revops"},
        envelope("OrderFormExecuted", source="elsewhere", order_id="O"),
        {"source": "revops", "detail-type": "LeadCreated", "detail": "text"},
        {"source": "revops", "detail-type": "LeadCreated", "detail": {"id": "x", "data": []}},
        {"source": "revops", "detail-type": "LeadCreated", "detail": {"data": {"lead_id": "L"}}},
        {"source": "revops", "detail-type": "LeadCreated", "detail": None},
    ],
    ids=str,
)
def test_what_is_no_event_of_ours_is_refused(wrong: dict[str, Any]) -> None:
    world = Reactions()
    with pytest.raises(Invalid):
        world.consume(wrong)
    assert world.done == []
