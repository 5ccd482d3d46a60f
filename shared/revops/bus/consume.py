"""Consuming events. The bus delivers at least once and in any order, so every reaction can be repeated.

Who reacts to what is a table of reactions by the event's name, made where the slices are wired. An event that nobody
reacts to is acknowledged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from revops.catalogue import SOURCE
from revops.kernel import CallContext, Invalid, system_call


@dataclass(frozen=True, slots=True)
class Occurred:
    """An event as a reaction sees it: name, id, what it says, the source on the bus, the context of acting upon it."""

    name: str
    id: str
    data: Mapping[str, Any]
    source: str = SOURCE

    @property
    def call(self) -> CallContext:
        """Acting by itself, caused by this event."""
        return system_call("bus_consumer", self.id)

    def lost(self, kind: str) -> str:
        """The id of the record that a change was lost of, when it is of a kind; otherwise an empty text."""
        return str(self.data["record"]).partition("|")[0].partition("#")[2] if self.data["kind"] == kind else ""


Reaction = Callable[[Occurred], str]
"""What an event sets going. Answers what was done, for the log; an empty text when there was nothing to do."""


class ConsumeEvent:
    """Reacts to one event as EventBridge hands it over. Returns what was done, for the log."""

    def __init__(
        self, reactions: Mapping[str, Sequence[Reaction]], outside: Mapping[str, Sequence[Reaction]] | None = None
    ) -> None:
        """`outside` are the reactions to what other systems say, by the event's name; to theirs no reaction of ours
        applies, and the other way round (BUS-2)."""
        self._reactions = reactions
        self._outside = outside or {}

    def __call__(self, envelope: Mapping[str, Any]) -> str:
        """Raises Invalid for what is no event of ours, DomainError for what is to be tried again. A reaction that fails
        holds none of the others up: the first error is raised after the last of them."""
        name, detail = str(envelope.get("detail-type", "")), envelope.get("detail")
        if envelope.get("source") != SOURCE and name in self._outside and isinstance(detail, dict):
            source = str(envelope.get("source", ""))
            occurred = Occurred(name, f"{source}:{envelope.get('id', '')}", detail, source)
            return self._react(self._outside[name], occurred)
        ours = envelope.get("source") == SOURCE and isinstance(detail, dict)
        if not ours or not isinstance(detail, dict) or not isinstance(detail.get("data"), dict) or "id" not in detail:
            raise Invalid("not an event of this product")
        return self._react(self._reactions.get(name, ()), Occurred(name, str(detail["id"]), detail["data"]))

    @staticmethod
    def _react(reactions: Sequence[Reaction], occurred: Occurred) -> str:
        done: list[str] = []
        broken: Exception | None = None
        for react in reactions:
            try:
                done.append(react(occurred))
            except Exception as error:  # it is raised below, once the others had their turn
                broken = broken or error
        if broken is not None:
            raise broken
        return ", ".join(filter(None, done)) or "no reaction"
