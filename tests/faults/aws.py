"""The services around our Lambdas: a queue, a bus and Step Functions, with what they may do to a message.

All keep their promises (at least once) and no others: order, exactly once and promptness are not among them.
"""

import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from revops.catalogue import Event
from revops.kernel import Clock, Unavailable
from tests.faults.trouble import SEND, Killed, Mishap, Trouble

Turn = Callable[[str], None]
VISIBILITY = timedelta(seconds=180)
MAX_RECEIVES = 8


@dataclass(slots=True)
class _Message:
    id: str
    body: dict[str, Any]
    visible_at: datetime
    receives: int = 0


def _send[T](what: Sequence[T], site: str, trouble: Trouble, turn: Turn, accept: Callable[[T], None]) -> list[int]:
    """Hands entries over one by one; answers the positions that were refused."""
    turn(site)
    mishap = trouble.strikes(site, SEND)
    if mishap is Mishap.KILL_BEFORE:
        raise Killed
    if mishap is Mishap.UNREACHED:
        raise Unavailable("not answered")
    refused: list[int] = []
    for position, entry in enumerate(what):
        if mishap is Mishap.REFUSED and position % 2 == 0:
            refused.append(position)
            continue
        accept(entry)
        if mishap is Mishap.DUPLICATED:
            accept(entry)
    turn(site)
    if mishap is Mishap.KILL_AFTER:
        raise Killed
    if mishap is Mishap.SILENT:
        raise Unavailable("not answered")
    return refused


class Queue:
    """An SQS queue with its dead-letter queue behind it."""

    def __init__(self, name: str, clock: Clock, rng: random.Random, trouble: Trouble, turn: Turn) -> None:
        self.name = name
        self.dead: list[_Message] = []
        self.messages: list[_Message] = []
        self.lost = 0
        self._clock = clock
        self._rng = rng
        self._trouble = trouble
        self._turn = turn
        self._ids = itertools.count(1)

    def send(self, messages: Sequence[Mapping[str, Any]], delay: timedelta = timedelta()) -> list[int]:
        def accept(body: Mapping[str, Any]) -> None:
            at = self._clock.now() + delay
            self.messages.append(_Message(f"{self.name}-{next(self._ids)}", dict(body), at))

        return _send(messages, f"send {self.name}", self._trouble, self._turn, accept)

    @property
    def ready(self) -> bool:
        """Whether there is something to deliver."""
        return bool(self._visible())

    def _visible(self) -> list[_Message]:
        now = self._clock.now()
        return [message for message in self.messages if message.visible_at <= now]

    def deliver(self, handler: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> bool:
        """Invokes the worker with a few visible messages, in any order; False when none is visible."""
        now, visible = self._clock.now(), self._visible()
        if not visible:
            return False
        batch = self._rng.sample(visible, min(len(visible), self._rng.randint(1, 4)))
        twice = not self._trouble.calm and self._rng.random() < 0.05  # a queue delivers at least once
        for message in batch:
            message.receives += 1
            message.visible_at = now if twice else now + VISIBILITY
        event = {
            "Records": [
                {
                    "messageId": message.id,
                    "receiptHandle": f"{message.id}-{message.receives}",
                    "eventSourceARN": f"arn:aws:sqs:eu-west-2:000000000000:{self.name}",
                    "body": json.dumps(message.body),
                    "attributes": {"ApproximateReceiveCount": str(message.receives)},
                }
                for message in batch
            ]
        }
        try:
            failed = {each["itemIdentifier"] for each in handler(event)["batchItemFailures"]}
        except Killed:
            failed = {message.id for message in batch}
        for message in batch:
            if message.id not in failed:
                if message in self.messages:
                    self.messages.remove(message)
            elif message.receives >= MAX_RECEIVES and message in self.messages:
                self.messages.remove(message)
                self.dead.append(message)
            else:
                message.visible_at = self._clock.now() + timedelta(seconds=self._rng.choice((0, 5, 60)))
        return True

    def lose_one(self) -> None:
        """A message is gone: purged by mistake, or older than the queue keeps it. The sweepers must notice."""
        if self.messages:
            self.lost += 1
            del self.messages[self._rng.randrange(len(self.messages))]

    def redrive(self) -> int:
        """Somebody moves the dead letters back (R16)."""
        count = len(self.dead)
        for message in self.dead:
            message.receives, message.visible_at = 0, self._clock.now()
        self.messages += self.dead
        self.dead = []
        return count


class QueueSet:
    """`Queues`, and the delayed `SyncQueue` of one of them."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        self.queues = queues

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        return self.queues[queue].send(messages)


class LaterQueue:
    """`SyncQueue`: one message, perhaps later."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def send(self, message: Mapping[str, str], delay_seconds: int = 0) -> None:
        if self._queue.send([message], timedelta(seconds=delay_seconds)):
            raise Unavailable("the queue refused")


class Bus:
    """`EventBus` and its delivery to our own consumer: at least once, in any order, dead letters after 20 tries."""

    def __init__(self, clock: Clock, rng: random.Random, trouble: Trouble, turn: Turn) -> None:
        self.published: dict[str, Event] = {}
        self.differing: list[str] = []
        self.waiting: list[tuple[Event, int]] = []
        self.dead: list[Event] = []
        self._rng = rng
        self._trouble = trouble
        self._turn = turn

    def publish(self, events: Sequence[Event]) -> list[int]:
        return _send(events, "publish", self._trouble, self._turn, self._accept)

    def _accept(self, event: Event) -> None:
        before = self.published.setdefault(event.id, event)
        if before != event and event.name != "RecordRedriven":
            self.differing.append(event.id)
        self.waiting.append((event, 0))

    def deliver(self, handler: Callable[[Event], None]) -> bool:
        if not self.waiting:
            return False
        event, tries = self.waiting.pop(self._rng.randrange(len(self.waiting)))
        try:
            handler(event)
        except (Killed, Exception):
            if tries < 20:
                self.waiting.append((event, tries + 1))
            else:
                self.dead.append(event)
            return True
        if not self._trouble.calm and self._rng.random() < 0.05:
            self.waiting.append((event, tries))
        return True

    def redrive(self) -> None:
        self.waiting += [(event, 0) for event in self.dead]
        self.dead = []


@dataclass(slots=True)
class Execution:
    """One run of the order workflow: the step it is about to ask for, or the token it waits for."""

    order_id: str
    step: str = "read"
    tries: int = 0
    token: str = ""
    waits_until: datetime | None = None
    failed_step: str = ""
    over: bool = False

    def ready_at(self, now: datetime) -> bool:
        """Whether it has something to do: it does not wait, or has waited long enough."""
        if self.over:
            return False
        return not self.token or (self.waits_until is not None and self.waits_until <= now)


@dataclass(slots=True)
class Workflow:
    """`WorkflowEngine`, playing statemachines/order.asl.json: read → step → …, waits on task tokens, retries of every
    task, and the way out when they are used up."""

    clock: Clock
    rng: random.Random
    trouble: Trouble
    turn: Turn
    executions: dict[str, Execution] = field(default_factory=dict)
    tokens: dict[str, Execution] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)

    def start(self, name: str, order_id: str, attempt: int) -> None:
        self._call("start execution", lambda: self.executions.setdefault(name, Execution(order_id)))

    def answer(self, token: str, order_id: str) -> bool:
        def work() -> bool:
            self.answered.append(token)
            execution = self.tokens.pop(token, None)
            if execution is None:
                return False
            execution.step, execution.token, execution.waits_until = "read", "", None
            return True

        return self._call("send task success", work)

    def _call[T](self, site: str, work: Callable[[], T]) -> T:
        self.turn(site)
        mishap = self.trouble.strikes(site, (Mishap.KILL_BEFORE, Mishap.KILL_AFTER, Mishap.UNREACHED, Mishap.SILENT))
        if mishap is Mishap.KILL_BEFORE:
            raise Killed
        if mishap is Mishap.UNREACHED:
            raise Unavailable("not answered")
        result = work()
        self.turn(site)
        if mishap is Mishap.KILL_AFTER:
            raise Killed
        if mishap is Mishap.SILENT:
            raise Unavailable("not answered")
        return result

    def lose_one(self) -> None:
        """An execution is aborted by hand, or its history is gone: it is disposable."""
        alive = [name for name, execution in self.executions.items() if not execution.over]
        if alive:
            self.executions[self.rng.choice(alive)].over = True

    @property
    def ready(self) -> bool:
        """Whether an execution has something to do."""
        return bool(self._ready())

    def _ready(self) -> list[Execution]:
        now = self.clock.now()
        return [each for each in self.executions.values() if each.ready_at(now)]

    def step(self, run: Callable[[str, str, str, str, str], str]) -> bool:
        """Runs one task of one execution: `run(order, step, token, failed step, error)` answers the next step."""
        now, ready = self.clock.now(), self._ready()
        if not ready:
            return False
        execution = self.rng.choice(ready)
        if execution.token:
            self.tokens.pop(execution.token, None)
            execution.token, execution.step, execution.waits_until = "", "read", None
        waits = execution.step in ("await_review", "await_signature", "await_tenant")
        token = ""
        if waits:
            token = f"token-{len(self.tokens)}-{self.rng.getrandbits(40):x}"
            self.tokens[token] = execution
        try:
            upcoming = run(execution.order_id, execution.step, token, execution.failed_step, "failed")
        except (Killed, Exception):
            self.tokens.pop(token, None)
            self._retry(execution)
            return True
        execution.tries, execution.failed_step = 0, ""
        if waits:
            if token in self.tokens:  # an answer may have come before the task had returned
                execution.token, execution.waits_until = token, now + timedelta(days=30)
        elif upcoming == "done":
            execution.over = True
        else:
            execution.step = upcoming
        return True

    def _retry(self, execution: Execution) -> None:
        execution.tries += 1
        if execution.tries <= 9:
            return
        execution.tries = 0
        if execution.step in ("review", "request_signature", "provision", "activate"):
            execution.failed_step, execution.step = execution.step, "give_up"
        else:
            execution.over = True  # Interrupted
