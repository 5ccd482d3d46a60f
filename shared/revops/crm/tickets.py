"""Tickets: whose turn it is in a pool of people who take leads in turn (CAP-12).

| item | pk | sk | read by |
|---|---|---|---|
| pool | TICKET#<pool> | TICKET | pool: the next number, and numbers that were given back |
| block | TICKET#<pool> | BLOCK#<holder> | holder: numbers that are out with somebody |
| used number | CLAIM#ticket#<hash of pool and number> | CLAIM | number |

| index | partition | sort | list |
|---|---|---|---|
| due | `tickets` | the time a block runs out | blocks whose holder died |

A single lead takes its number in its own transaction, which moves the pool's row on: numbers are given out in order
and none is lost. That row bears about 25 writes a second, so whoever makes many leads leases a block of numbers in
one write and uses them without touching it. What a holder does not use it gives back, and what it was killed with is
found by its next try or by a schedule; given-back numbers are used before new ones. So once nothing is out and
nothing lies back, exactly the numbers below `next` were used, each by one lead, and the counts of an unchanged team
differ by at most one.

A number out of a block is claimed in the lead's own transaction, and so is one that was given back: a holder that was
only slow and a newcomer can never both use it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from revops.kernel import CallContext, Clock, Unavailable, parse_time, system_call, time_text
from revops.table import (
    ABSENT,
    ConditionFailed,
    Contention,
    Key,
    Row,
    Table,
    Transaction,
    begin,
    claim,
    claim_key,
    due_index,
    due_now,
)

TICKET = "TICKET"
BLOCK = "TICKET_BLOCK"
TOPIC = "tickets"
MAX_BLOCK = 1000
KEEP_CLAIMS = timedelta(days=40)
_PREFIX = "TICKET#"
_ATTEMPTS = 50

Ranges = tuple[tuple[int, int], ...]
"""Numbers as first and last of each run, in order."""


def ticket_key(pool: str) -> Key:
    """Where a pool stands."""
    return Key(_PREFIX + pool, "TICKET")


def _block_key(pool: str, holder: str) -> Key:
    return Key(_PREFIX + pool, f"BLOCK#{holder}")


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Numbers, each once, as runs."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] + 1 == number:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)


def numbers_in(ranges: Iterable[Sequence[int]]) -> list[int]:
    """The inverse of `ranges_of`."""
    return [number for first, last in ranges for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as it stands: `next` is the first number nobody had yet, `back` are those that were given back."""

    name: str
    version: int = 0
    next: int = 0
    back: Ranges = ()

    @classmethod
    def of(cls, name: str, row: Row | None) -> "Pool":
        """Before numbers could be given back, the version was the next number."""
        if row is None:
            return cls(name)
        if not row.doc:
            return cls(name, row.version, row.version)
        said = json.loads(row.doc)
        return cls(name, row.version, said["next"], tuple((first, last) for first, last in said.get("back", ())))

    def take(self, count: int = 1) -> tuple[list[int], "Pool"]:
        """The next numbers, those given back first, and the pool without them."""
        back = numbers_in(self.back)
        taken = back[:count]
        fresh = count - len(taken)
        taken += range(self.next, self.next + fresh)
        return taken, replace(self, next=self.next + fresh, back=ranges_of(back[count:]))

    def give_back(self, numbers: Iterable[int]) -> "Pool":
        """The pool with numbers to be used first."""
        return replace(self, back=ranges_of([*numbers_in(self.back), *numbers]))

    def without(self, numbers: Iterable[int]) -> "Pool":
        """The pool without numbers that turned out to be used."""
        gone = set(numbers)
        return replace(self, back=ranges_of(n for n in numbers_in(self.back) if n not in gone)) if gone else self

    def put(self, transaction: Transaction) -> None:
        """Writes the pool over the version it was read at."""
        key = ticket_key(self.name)
        doc = json.dumps({"next": self.next, "back": self.back} if self.back else {"next": self.next})
        row = Row(pk=key.pk, sk=key.sk, kind=TICKET, version=self.version + 1, doc=doc)
        transaction.put(row, self.version or ABSENT)


class Tickets(Protocol):
    """Where a new lead's number comes from."""

    def take(self, transaction: Transaction, pool: str, lead_id: str) -> int:
        """A number for a lead; the transaction takes it, or fails."""
        ...

    def lost(self, lead_id: str, error: ConditionFailed) -> bool:
        """The lead's transaction failed. True when its number alone was the reason: another try takes another one."""
        ...


class SingleTickets:
    """Numbers one at a time, each in its lead's transaction. Made anew for each new lead."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._known: dict[str, Pool] = {}
        self._used: dict[str, set[int]] = {}
        self._claims: dict[Key, tuple[str, int]] = {}

    def take(self, transaction: Transaction, pool: str, lead_id: str) -> int:
        known = self._known.pop(pool, None) or Pool.of(pool, self._table.get(ticket_key(pool)))
        stood = known.without(self._used.get(pool, ()))
        [number], after = stood.take()
        after.put(transaction)
        if number < stood.next:  # it was out before, and its holder may still come
            _claim(transaction, pool, number, lead_id, self._clock)
            self._claims[_number_key(pool, number)] = (pool, number)
        return number

    def lost(self, lead_id: str, error: ConditionFailed) -> bool:  # noqa: ARG002 - the port's signature
        ours = 0
        for failure in error.failures:
            if failure.key in self._claims:
                pool, number = self._claims[failure.key]
                self._used.setdefault(pool, set()).add(number)
                ours += 1
            elif failure.key.pk.startswith(_PREFIX):
                name = failure.key.pk.removeprefix(_PREFIX)
                self._known[name] = Pool.of(name, failure.current)
                ours += 1
        return ours == len(error.failures)


@dataclass(frozen=True, slots=True)
class Block:
    """Numbers of a pool that are out with a holder."""

    pool: str
    holder: str
    numbers: tuple[int, ...]


class LeaseTickets:
    """Leases numbers in blocks and takes back what was not used."""

    def __init__(self, table: Table, clock: Clock, length: timedelta = timedelta(minutes=16)) -> None:
        self._table = table
        self._clock = clock
        self._length = length

    def lease(
        self,
        pool: str,
        count: int,
        holder: str,
        *,
        out: frozenset[int] = frozenset(),
        used: frozenset[int] = frozenset(),
    ) -> Block:
        """`count` numbers (1 to 1,000) for a holder, named by an id of ours. A holder that comes again, because it was
        killed or ran out, has what it left unused in the new block. A holder that goes on says which numbers are `out`,
        in transactions on their way, which stay its own beside the new ones, and which it knows to be `used`. Raises
        Unavailable."""
        key = _block_key(pool, holder)
        for _ in range(_ATTEMPTS):
            row = self._table.get(key)
            left = self._unused(pool, [n for n in _numbers(row) if n not in out and n not in used]) if row else []
            kept, surplus = left[:count], left[count:]
            transaction = begin(_call(holder), self._clock.now())
            if surplus or len(kept) < count:
                more, after = self._pool(pool).give_back(surplus).take(count - len(kept))
                after.put(transaction)
                kept += more
            self._put_block(transaction, key, row, [*out, *kept])
            if self._commits(transaction):
                return Block(pool, holder, tuple(sorted(kept)))
        raise Unavailable("many leads at once; try again shortly", retry_after=1)

    def give_back(self, block: Block, used: Iterable[int] = ()) -> None:
        """Ends a block. `used` are numbers known to be used; the others are looked up, because a commit whose answer
        was lost may have used one. Doing it twice changes nothing. Raises Unavailable."""
        self._close(_block_key(block.pool, block.holder), frozenset(used))

    def settle(self, limit: int = 200) -> int:
        """Ends the blocks whose time ran out, because their holders died; returns how many."""
        now, settled = self._clock.now(), 0
        for due in due_now(self._table, TOPIC, now, limit):
            row = self._table.get(due.key)
            if row is not None and parse_time(json.loads(row.doc)["until"]) <= now:
                self._close(due.key, frozenset())
                settled += 1
        return settled

    def _close(self, key: Key, used: frozenset[int]) -> None:
        pool = key.pk.removeprefix(_PREFIX)
        for _ in range(_ATTEMPTS):
            row = self._table.get(key)
            if row is None:
                return
            unused = self._unused(pool, [number for number in _numbers(row) if number not in used])
            transaction = begin(_call(key.sk.removeprefix("BLOCK#")), self._clock.now())
            if unused:
                self._pool(pool).give_back(unused).put(transaction)
            transaction.delete(key, row.version)
            if self._commits(transaction):
                return
        raise Unavailable("many leads at once; try again shortly", retry_after=1)

    def _commits(self, transaction: Transaction) -> bool:
        try:
            self._table.commit(transaction)
        except (ConditionFailed, Contention):
            return False  # the pool moved on, or somebody else ended the block: look again
        return True

    def _pool(self, pool: str) -> Pool:
        return Pool.of(pool, self._table.get(ticket_key(pool)))

    def _unused(self, pool: str, numbers: Sequence[int]) -> list[int]:
        rows = self._table.get_many([_number_key(pool, number) for number in numbers]) if numbers else []
        return [number for number, row in zip(numbers, rows, strict=True) if row is None]

    def _put_block(self, transaction: Transaction, key: Key, before: Row | None, numbers: Sequence[int]) -> None:
        until = self._clock.now() + self._length
        row = Row(
            pk=key.pk,
            sk=key.sk,
            kind=BLOCK,
            version=before.version + 1 if before else 1,
            doc=json.dumps({"numbers": ranges_of(numbers), "until": time_text(until)}),
            index={"due": due_index(TOPIC, until, key)},
        )
        transaction.put(row, before.version if before else ABSENT)


@dataclass(slots=True)
class BlockTickets:
    """`Tickets` for somebody who makes many leads at once: numbers out of leased blocks. One caller at a time.

    `expected` says how many more leads each pool will get, so that one write leases their numbers (`expect` says it
    anew); a pool nobody expected, or one that ran out, is leased one more. `close` gives back what is left; whoever
    forgets it waits for the schedule.
    """

    leases: LeaseTickets
    clock: Clock
    holder: str
    expected: Mapping[str, int] = field(default_factory=dict)
    _left: dict[str, list[int]] = field(default_factory=dict)
    _blocks: dict[str, Block] = field(default_factory=dict)
    _out: dict[str, tuple[str, int]] = field(default_factory=dict)
    _used: dict[str, set[int]] = field(default_factory=dict)

    def expect(self, expected: Mapping[str, int]) -> None:
        """How many more leads each pool will get; what is left of before is used first."""
        self.expected = expected

    def take(self, transaction: Transaction, pool: str, lead_id: str) -> int:
        if not self._left.get(pool):
            self._lease(pool)
        number = self._left[pool].pop(0)
        self._out[lead_id] = (pool, number)
        self.expected = {**self.expected, pool: self.expected.get(pool, 0) - 1}
        _claim(transaction, pool, number, lead_id, self.clock)
        return number

    def lost(self, lead_id: str, error: ConditionFailed) -> bool:
        """A number that was lost is somebody else's by now; one whose lead was refused goes to the next lead."""
        pool, number = self._out.pop(lead_id, ("", -1))
        own = _number_key(pool, number)
        mine = [failure for failure in error.failures if failure.key == own]
        if pool and not mine:
            self._left[pool].insert(0, number)
        return len(mine) == len(error.failures)

    def committed(self, lead_ids: Iterable[str]) -> None:
        """These leads are there, and their numbers used. Not every lead took one: an account's owner gets its leads
        without, and a pool of nobody has none to give."""
        for lead_id in lead_ids:
            pool, number = self._out.pop(lead_id, ("", -1))
            if pool:
                self._used.setdefault(pool, set()).add(number)

    def close(self, *, committed: bool = False) -> None:
        """Gives back what was not used. Raises Unavailable. A caller who knows that everything it took a number for
        and did not lose was `committed` spares looking the numbers up."""
        for pool, block in self._blocks.items():
            out = self._out_of(pool) if committed else frozenset()
            self.leases.give_back(block, out | self._used.get(pool, set()))
        self._blocks.clear()
        self._left.clear()
        self._used.clear()

    def _lease(self, pool: str) -> None:
        count = min(max(self.expected.get(pool, 1), 1), MAX_BLOCK)
        used = frozenset(self._used.pop(pool, ()))
        block = self.leases.lease(pool, count, self.holder, out=self._out_of(pool), used=used)
        self._blocks[pool] = block
        self._left[pool] = list(block.numbers)

    def _out_of(self, pool: str) -> frozenset[int]:
        return frozenset(number for other, number in self._out.values() if other == pool)


def _claim(transaction: Transaction, pool: str, number: int, lead_id: str, clock: Clock) -> None:
    expires = int((clock.now() + KEEP_CLAIMS).timestamp())
    claim(transaction, "ticket", f"{pool}\0{number}", lead_id, ttl=expires)


def _number_key(pool: str, number: int) -> Key:
    return claim_key("ticket", f"{pool}\0{number}")


def _numbers(block: Row) -> list[int]:
    return numbers_in(json.loads(block.doc)["numbers"])


def _call(holder: str) -> CallContext:
    return system_call(f"tickets:{holder}")
