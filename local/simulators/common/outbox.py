"""Outgoing webhooks: kept with the state, signed on every try, retried with backoff, disturbed on demand.

A delivery is one event for one address. The vendor turns a batch of them into a request (`Vendor.outgoing`),
so each try carries a fresh signature and timestamp. Order is order of emission unless a rule disturbs it.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from local.simulators.common.faults import Faults
from local.simulators.common.state import Store

_KIND = "_delivery"
_KEPT_DONE = 2_000


@dataclass(frozen=True)
class RetryPolicy:
    """How a delivery that was not answered 2xx is tried again; waits are real seconds, not simulated ones."""

    first_seconds: float = 1.0
    factor: float = 2.0
    longest_seconds: float = 60.0
    tries: int = 30
    timeout_seconds: float = 30.0

    def wait(self, tries: int) -> float:
        """Seconds to wait after this many failed tries."""
        return float(min(self.first_seconds * self.factor ** max(tries - 1, 0), self.longest_seconds))


@dataclass
class Delivery:
    """One event on its way. `status`: pending, delivered, dropped (by a rule) or failed (tries used up)."""

    id: str
    url: str
    type: str
    event_id: str
    payload: dict[str, Any]
    due: float
    order: float
    status: str = "pending"
    tries: int = 0
    answers: list[str] = field(default_factory=list)
    group: str | None = None
    rule: str | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Outgoing:
    """A webhook request ready to send."""

    body: bytes
    headers: dict[str, str]


class Outbox:
    """The queue of deliveries and the task that works it off.

    `batch` deliveries of one address share a request; `parallel` requests are under way at once. With one at a
    time the order of arrival is the order of emission.
    """

    def __init__(self, store: Store, faults: Faults, retry: RetryPolicy, batch: int = 1, parallel: int = 1) -> None:
        self._store = store
        self._faults = faults
        self._retry = retry
        self._batch = batch
        self._parallel = parallel
        self._wake = asyncio.Event()
        self.on_delivered: Callable[[Delivery], None] | None = None
        # What a vendor wants to see in an answer before it takes an event for delivered.
        self.acknowledges: Callable[[httpx.Response], bool] = lambda response: response.is_success
        self.copy_event: Callable[[str], str] | None = None

    def emit(self, url: str, type_: str, event_id: str, payload: dict[str, Any], about: str = "") -> None:
        """Queue one event for one address; fault rules for webhooks are applied here. `about` is the message where the
        payload only names it."""
        first = self._queue(url, type_, event_id, payload)
        facts = {"type": type_, "url": url, "about": about or json.dumps(payload)}
        rule = self._faults.strike("webhook", facts)
        if rule is None:
            return
        first.rule = str(rule["do"])
        if rule["do"] == "drop":
            first.status = "dropped"
        elif rule["do"] == "delay":
            first.due += float(rule.get("seconds", 2))
        elif rule["do"] == "duplicate":
            for _ in range(int(rule.get("copies", 1))):
                copied = self.copy_event(event_id) if rule.get("fresh_id") and self.copy_event else event_id
                copy = self._queue(url, type_, copied, payload)
                copy.duplicate = True
                self._save(copy)
        elif rule["do"] == "reorder":
            first.group = "open"
            first.due += float(rule.get("seconds", 2))
            self._save(first)
            self._shuffle(int(rule.get("window", 2)))
            return
        self._save(first)

    def _queue(self, url: str, type_: str, event_id: str, payload: dict[str, Any]) -> Delivery:
        position = self._store.position()
        delivery = Delivery(f"dl_{position:09d}", url, type_, event_id, payload, time.time(), float(position))
        self._save(delivery)
        self._wake.set()
        return delivery

    def _shuffle(self, window: int) -> None:
        """Release a full window of held deliveries in another order than they came in."""
        held = [delivery for delivery in self.deliveries() if (delivery.group, delivery.status) == ("open", "pending")]
        if len(held) < max(window, 2):
            return
        orders = [delivery.order for delivery in held]
        mixed = list(orders)
        generator = self._faults.draw()
        while mixed == orders:
            generator.shuffle(mixed)
        for delivery, order in zip(held, mixed, strict=True):
            delivery.group, delivery.order, delivery.due = "shuffled", order, time.time()
            self._save(delivery)

    def deliveries(self) -> list[Delivery]:
        """All deliveries still remembered, oldest first."""
        return [Delivery(**document) for document in self._store.all(_KIND)]

    def pending(self) -> int:
        """How many deliveries are not settled yet."""
        return sum(document["status"] == "pending" for document in self._store.all(_KIND))

    def resend(self, event_id: str) -> int:
        """Send an event again to everyone it was for; returns to how many. Fault rules do not apply."""
        sent = [d for d in self.deliveries() if d.event_id == event_id and not d.duplicate]
        for delivery in sent:
            copy = self._queue(delivery.url, delivery.type, event_id, delivery.payload)
            copy.duplicate = True
            self._save(copy)
        return len(sent)

    def readdress(self, fits: Callable[[Delivery], bool], url: str) -> None:
        """Send what is pending and fits to another address: the receiver moved while the simulator was down."""
        for delivery in self.deliveries():
            if delivery.status == "pending" and delivery.url != url and fits(delivery):
                delivery.url = url
                self._save(delivery)

    def hurry(self) -> None:
        """Make everything pending due at once."""
        for delivery in self.deliveries():
            if delivery.status == "pending":
                delivery.due = 0.0
                self._save(delivery)
        self._wake.set()

    def _save(self, delivery: Delivery) -> None:
        self._store.put(_KIND, delivery.id, asdict(delivery))

    def _due(self) -> tuple[list[list[Delivery]], float]:
        """Batches to send now, each for one address, and the seconds until the next delivery otherwise."""
        waiting = [Delivery(**doc) for doc in self._store.all(_KIND) if doc["status"] == "pending"]
        now = time.time()
        ready = sorted((d for d in waiting if d.due <= now), key=lambda d: d.order)
        if not ready:
            return [], min((d.due - now for d in waiting), default=3600.0)
        batches: list[list[Delivery]] = []
        while ready and len(batches) < self._parallel:
            batch = [d for d in ready if d.url == ready[0].url][: self._batch]
            batches.append(batch)
            ready = [d for d in ready if d not in batch]
        return batches, 0.0

    async def work(self, outgoing: Callable[[list[Delivery]], Outgoing]) -> None:
        """Send what is due, for ever; cancel the task to stop."""
        async with httpx.AsyncClient(timeout=self._retry.timeout_seconds, trust_env=False) as client:
            while True:
                self._wake.clear()
                batches, wait = self._due()
                if not batches:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), timeout=max(wait, 0.01))
                    continue
                await asyncio.gather(*(self._send(client, batch, outgoing) for batch in batches))

    async def _send(
        self, client: httpx.AsyncClient, batch: list[Delivery], outgoing: Callable[[list[Delivery]], Outgoing]
    ) -> None:
        batch = [delivery for delivery in batch if self._held(delivery)]
        if not batch:
            return
        request = outgoing(batch)
        try:
            response = await client.post(batch[0].url, content=request.body, headers=request.headers)
            settled, answer = self.acknowledges(response), str(response.status_code)
            if response.is_success and not settled:
                answer += " without acknowledgement"
        except httpx.HTTPError as error:
            settled, answer = False, type(error).__name__
        self._settle(batch, settled, answer)

    def _settle(self, batch: list[Delivery], settled: bool, answer: str) -> None:
        with self._store.transaction():
            for delivery in batch:
                if not self._held(delivery):
                    continue
                delivery.tries += 1
                delivery.answers.append(answer)
                if settled:
                    delivery.status = "delivered"
                    if self.on_delivered is not None:
                        self.on_delivered(delivery)
                elif delivery.tries >= self._retry.tries:
                    delivery.status = "failed"
                else:
                    delivery.due = time.time() + self._retry.wait(delivery.tries)
                self._save(delivery)
            self._forget_old()

    def _held(self, delivery: Delivery) -> bool:
        """Whether it is still there: the state may have been reset since it was looked up."""
        held = self._store.get(_KIND, delivery.id)
        return held is not None and bool(held["event_id"] == delivery.event_id)

    def _forget_old(self) -> None:
        documents = self._store.all(_KIND)
        surplus = len(documents) - _KEPT_DONE
        for document in documents:
            if surplus <= 0:
                return
            if document["status"] != "pending":
                self._store.delete(_KIND, document["id"])
                surplus -= 1
