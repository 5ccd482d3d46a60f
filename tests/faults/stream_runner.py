"""Lambda's contract for a stream, played over recorded records: what the emulators leave out and AWS does.

https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html: a batch comes from one lane and
in order; a partial failure moves the checkpoint to the lowest sequence number that failed; an error of the function
fails the whole batch, which is then halved (bisect) before it is retried; a batch that was retried too often, or whose
records are too old, goes to the on-failure destination *whole*, and the lane goes on behind it.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from revops.kernel import Clock
from revops.table import Change, Key

Record = Mapping[str, Any]
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""A Lambda: event in, `{"batchItemFailures": [{"itemIdentifier": <sequence>}]}` out."""


def record_of(change: Change, at: datetime | None = None) -> dict[str, Any]:
    """A change as the stream hands it to a Lambda."""
    row = change.row
    body: dict[str, Any] = {
        "Keys": {"pk": {"S": row.pk}, "sk": {"S": row.sk}},
        "SequenceNumber": change.sequence,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if at is not None:
        body["ApproximateCreationDateTime"] = at.timestamp()
    if change.before is not None:
        body["OldImage"] = change.before.to_raw()
    if change.after is not None:
        body["NewImage"] = change.after.to_raw()
    name = "REMOVE" if change.after is None else "INSERT" if change.before is None else "MODIFY"
    return {"eventID": change.sequence, "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": body}


def sequence_of(record: Record) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def key_of(record: Record) -> Key:
    keys = record["dynamodb"]["Keys"]
    return Key(keys["pk"]["S"], keys["sk"]["S"])


def image_of(record: Record) -> Mapping[str, Any]:
    """The row of a record as it stands, or as it stood last."""
    body = record["dynamodb"]
    image: Mapping[str, Any] = body.get("NewImage") or body.get("OldImage") or {}
    return image


def kind_of(record: Record) -> str:
    kind: Mapping[str, str] = image_of(record).get("kind", {})
    return kind.get("S", "")


def version_of(record: Record) -> int:
    return int(image_of(record)["v"]["N"])


FILTERED = frozenset({"AUDIT", "ROLLUP"})


def passes_filter(record: Record) -> bool:
    """The mapping's filter: audit and rollup rows do not come back in."""
    return kind_of(record) not in FILTERED


@dataclass(frozen=True, slots=True)
class SourceMapping:
    """The event source mapping, as template.yaml sets it."""

    batch_size: int = 100
    retries: int = 5
    max_age: timedelta = timedelta(hours=6)
    lanes: int = 2
    bisect: bool = True


@dataclass(slots=True)
class _Lane:
    """Records of some keys in order, and how often the piece at the front has been tried. `limit` is what bisecting
    has made of the batch size for the piece at the front."""

    waiting: list[tuple[datetime, Record]] = field(default_factory=list)
    attempts: int = 0
    limit: int = 0
    front: str = ""
    busy: bool = False


class StreamRunner:
    """One consumer of the stream. `offer` appends what was written, `step` invokes the Lambda once."""

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        mapping: SourceMapping,
        killed: type[BaseException] | None = None,
    ) -> None:
        self.failed: list[Record] = []
        self.reasons: list[str] = []
        self.invocations = 0
        self._handler = handler
        self._clock = clock
        self._mapping = mapping
        self._errors: tuple[type[BaseException], ...] = (Exception,) if killed is None else (Exception, killed)
        self._lanes = [_Lane() for _ in range(mapping.lanes)]

    def offer(self, records: Sequence[Record]) -> None:
        now = self._clock.now()
        for record in records:
            if passes_filter(record):
                lane = zlib.crc32(key_of(record).pk.encode()) % len(self._lanes)
                self._lanes[lane].waiting.append((now, record))

    @property
    def waiting(self) -> int:
        return sum(len(lane.waiting) for lane in self._lanes)

    def unread(self) -> list[Record]:
        """What has been written and not been worked through."""
        return [record for lane in self._lanes for _, record in lane.waiting]

    def trim(self) -> list[Record]:
        """A day passed without the mapping: what was not read is gone, without a trace on our side (R15)."""
        lost: list[Record] = []
        for lane in self._lanes:
            if not lane.busy:
                lost += [record for _, record in lane.waiting]
                lane.waiting.clear()
                lane.attempts, lane.limit = 0, 0
        return lost

    def drain(self, most: int = 10_000) -> None:
        """Invokes until nothing waits."""
        for _ in range(most):
            if not self.step():
                return
        raise AssertionError("the stream does not drain")

    @property
    def ready(self) -> bool:
        """Whether a step would find something."""
        return bool(self._ready())

    def _ready(self) -> list[_Lane]:
        return [lane for lane in self._lanes if lane.waiting and not lane.busy]

    def step(self, choose: Callable[[int], int] = lambda _: 0, size: int = 0) -> bool:
        """One invocation for one lane that has something; False when none has."""
        ready = self._ready()
        if not ready:
            return False
        lane = ready[choose(len(ready))]
        lane.busy = True
        try:
            self._invoke(lane, size or self._mapping.batch_size)
        finally:
            lane.busy = False
        return True

    def _invoke(self, lane: _Lane, size: int) -> None:
        front = sequence_of(lane.waiting[0][1])
        if front != lane.front:  # the checkpoint moved: whatever was tried before was another piece
            lane.front, lane.attempts = front, 0
        batch = lane.waiting[: lane.limit or min(size, self._mapping.batch_size)]
        if self._clock.now() - batch[0][0] > self._mapping.max_age:
            self._give_up(lane, [entry for entry in batch if self._clock.now() - entry[0] > self._mapping.max_age])
            return
        self.invocations += 1
        records = [record for _, record in batch]
        try:
            answer = self._handler({"Records": records}) or {}
        except self._errors as error:
            self._again(lane, batch, 0, type(error).__name__)
            return
        failures = {str(each["itemIdentifier"]) for each in answer.get("batchItemFailures", ())}
        positions = [place for place, record in enumerate(records) if sequence_of(record) in failures]
        if failures and not positions:
            self._again(lane, batch, 0, "an item identifier that is not of the batch")
            return
        if not positions:
            del lane.waiting[: len(batch)]
            lane.attempts = lane.limit = 0
            return
        self._again(lane, batch, positions[0], "partial failure")

    def _again(self, lane: _Lane, batch: list[tuple[datetime, Record]], done: int, reason: str) -> None:
        """The checkpoint moves behind what was done; the rest is halved and tried again, or given up."""
        del lane.waiting[:done]
        rest = batch[done:]
        if done:
            lane.attempts, lane.front, lane.limit = 0, sequence_of(rest[0][1]), len(rest)
            return  # a partial success cuts the batch where it failed, and nowhere else
        if self._mapping.bisect and len(rest) > 1:
            lane.limit = (len(rest) + 1) // 2  # Lambda does not count the halving as a retry
            return
        lane.limit = len(rest)
        lane.attempts += 1
        if lane.attempts > self._mapping.retries:
            self.reasons.append(reason)
            self._give_up(lane, rest)

    def _give_up(self, lane: _Lane, batch: list[tuple[datetime, Record]]) -> None:
        self.failed += [record for _, record in batch]
        del lane.waiting[: len(batch)]
        lane.attempts = lane.limit = 0
