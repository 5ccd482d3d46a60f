"""EventBridge: our events out."""

from collections.abc import Sequence
from typing import Any

from revops.adapters.aws import AwsError, error_code
from revops.catalogue import SOURCE, Event
from revops.platform.logging import LogCode, log_error

_PER_CALL = 10


class EventBridgeBus:
    """`EventBus` on one EventBridge bus."""

    def __init__(self, client: Any, bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def publish(self, events: Sequence[Event]) -> list[int]:
        """Ten to a call; returns the positions that the bus refused."""
        refused: list[int] = []
        for start in range(0, len(events), _PER_CALL):
            chunk = events[start : start + _PER_CALL]
            entries = [
                {
                    "Source": SOURCE,
                    "DetailType": each.name,
                    "EventBusName": self._bus_name,
                    "Time": each.occurred_at,
                    "Detail": each.model_dump_json(),
                }
                for each in chunk
            ]
            try:
                answer = self._client.put_events(Entries=entries)
            except AwsError as error:
                log_error(LogCode.SEND_REFUSED, error, reason_code=error_code(error), queue=self._bus_name)
                refused += range(start, start + len(chunk))
                continue
            refused += [start + n for n, entry in enumerate(answer["Entries"]) if entry.get("ErrorCode")]
        return refused
