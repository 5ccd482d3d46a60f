"""Where what follows from a change goes."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from revops.catalogue import Event
from revops.table import Change, Key, Page


class EventBus(Protocol):
    """The bus. A repeat of an event has the same id; consumers tell by it."""

    def publish(self, events: Sequence[Event]) -> list[int]:
        """Publishes and returns the positions that were refused and may be tried again."""
        ...


class Queues(Protocol):
    """The workers' queues, by the name of the provider they work for."""

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Sends and returns the positions that were refused and may be tried again."""
        ...


class MarkDirty(Protocol):
    """Notes, durably, whose remote copies a change makes stale, so that a sweeper finds what a queue lost."""

    def __call__(self, change: Change) -> list[Mapping[str, Any]]:
        """The messages for the sync worker; none when nothing is stale. Raises DomainError to be tried again."""
        ...


class RollingScan(Protocol):
    """A slow walk over the whole table, for the sweeper alone: never on a request path."""

    def scan(self, after: str, limit: int) -> Page: ...


class Redrive(Protocol):
    """Hands lost records to the one function that may write their audit entries."""

    def __call__(self, keys: Sequence[Key]) -> object: ...
