"""One seed, one world, one schedule.

A world is the product's own wiring (`BenchWiring`: real services, stores, relay, rollups, sweepers, workers) over a
table with faults, in the middle of a Stripe, a HubSpot, queues, a bus, a stream and a workflow engine with faults.
Actors act on it: people submit forms, partners send leads with keys, sellers edit, Stripe and HubSpot change and tell
so, orders go from form to service, usage arrives; beside them run the Lambdas: relay, rollups, workers, consumers,
order steps, schedules. One actor runs at a time, and who runs is decided at every call that crosses a port (see
`baton`); what goes wrong with a call is decided there too (see `trouble`). Both are functions of the seed, so a seed
replays identically; nothing else is random, and no real time passes: `clock` moves by a few milliseconds a call, and
in jumps when the actor `time` says so.

The table is `MemoryTable`, or `DynamoTable` on dynoxide with the same faults on the wire. With `locks` on, two
transactions that touch one item at the same moment cancel each other, as DynamoDB has it and no emulator does.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from revops.billing.policies import MembershipPolicy
from revops.crm.policies.qualification import QualificationRules
from revops.kernel import DomainError
from revops.reconcile.policies.rules import ReconcileRules
from revops.settings import SETTINGS, SettingsRecord
from revops.table import Change, ConditionFailed, Key, Row, Table, begin, parse_record
from tests.builders.clock import ManualClock
from tests.builders.dynoxide import DynoxideServer
from tests.builders.memory_table import MemoryTable
from tests.faults import contracts, outbound
from tests.faults.baton import Baton
from tests.faults.stream_runner import FILTERED, Record, SourceMapping, StreamRunner, key_of, record_of, version_of
from tests.faults.table import FaultyTable, ItemLocks, WireFaults
from tests.faults.trouble import Killed, Trouble
from tests.faults.wiring import ADMIN, RACES, BenchWiring, MemoryScan, Outside

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_TICK = timedelta(milliseconds=4)
_TIMEOUT = timedelta(seconds=60)
"""How long an invocation may take; template.yaml sets it, and leases and visibility are reckoned against it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `without` are actors left out, `spared` mishaps left out: both for shrinking. A `cast` is who plays,
    instead of a choice by the seed."""

    seed: int
    engine: str = "memory"
    locks: bool = True
    without: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    trace: bool = False
    cast: frozenset[str] = frozenset()


@dataclass(slots=True)
class Answer:
    """What a caller saw of a call: its value, a refusal that promises that nothing was done, or nothing certain."""

    value: Any = None
    refusal: Exception | None = None
    unknown: bool = False

    @property
    def good(self) -> bool:
        return self.refusal is None and not self.unknown


@dataclass
class Diary:
    """What callers were told; the invariants hold the product to it."""

    leads_promised: dict[str, str] = field(default_factory=dict)
    people_promised: set[str] = field(default_factory=set)
    partner_answers: dict[str, set[str]] = field(default_factory=dict)
    edits_done: set[str] = field(default_factory=set)
    edits_refused: set[str] = field(default_factory=set)
    usage_done: dict[str, tuple[str, int]] = field(default_factory=dict)
    usage_refused: set[str] = field(default_factory=set)
    webhooks_acknowledged: set[tuple[str, str]] = field(default_factory=set)
    orders: dict[str, set[str]] = field(default_factory=dict)
    to_sign: set[str] = field(default_factory=set)
    signed: set[str] = field(default_factory=set)
    converted: set[tuple[str, str]] = field(default_factory=set)
    taken_back: set[tuple[str, str]] = field(default_factory=set)
    escaped: list[str] = field(default_factory=list)
    late: set[tuple[Key, int]] = field(default_factory=set)
    overtaken: set[tuple[Key, int]] = field(default_factory=set)
    trimmed: list[Record] = field(default_factory=list)


class World:
    """Everything of one seed."""

    def __init__(self, plan: Plan, server: DynoxideServer | None = None) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed)
        self.clock = ManualClock(START)
        self.trace: list[str] = []
        self.steps = 0
        self.loss = 0.02
        self.days = 0
        self.diary = Diary()
        self.baton = Baton(random.Random(plan.seed * 7 + 5), self.rng.choice((0.05, 0.2, 0.5, 0.9)))
        self.trouble = Trouble(plan.seed, lambda: self.baton.holder, plan.spared)
        self.locks = ItemLocks(plan.locks)
        self.history: list[Change] = []
        self._rows: dict[Key, Row] = {}
        self._kinds: dict[str, dict[Key, Row]] = defaultdict(dict)
        self._began: dict[str, datetime] = {}
        self.timeouts: list[str] = []
        self.outside = Outside(self.clock, random.Random(plan.seed * 3 + 2), self.trouble, self.turn)
        self._server = server
        self._memory = MemoryTable()
        self._wire: AbstractContextManager[object] = nullcontext()
        self._source: _MemoryStream | _DynoxideStream = _MemoryStream(self._memory)
        self.table = self._make_table()
        self.inner: Table = self._memory if server is None else self.table
        self.wiring = BenchWiring(self.table, self.clock, self.outside, plan.seed, self._scan)
        self.relay = self._runner(self.wiring.change_relay, lanes=2)
        self.rollups = self._runner(self.wiring.rollups, lanes=1)
        self.stripe_worker = self.invoked(self.wiring.stripe_worker)
        self.hubspot_worker = self.invoked(self.wiring.hubspot_worker)
        self.esign_worker = self.invoked(self.wiring.esign_worker)
        self.bus_consumer = self.invoked(self.wiring.bus_consumer)
        self.order_steps = self.invoked(self.wiring.order_steps)
        self._settle_rules()
        self.outside.door.peek, self.outside.idle = self.peek, self.idle

    def _make_table(self) -> Any:
        if self._server is None:
            return FaultyTable(self._memory, self.trouble, self.locks, self.turn)
        table = self._server.create_table(sleep=lambda _: None, jitter=lambda: 0.0)
        self._wire = wire = WireFaults(table.connection.client, self.trouble, self.locks, self.turn)
        self._source = _DynoxideStream(self._server, table, wire)
        return table

    def _scan(self) -> Any:
        if self._server is None:
            return MemoryScan(self._memory, self.turn)
        from revops.adapters.scan import TableScan

        return TableScan(self.table)

    def _runner(self, handler: Callable[[Mapping[str, Any]], Mapping[str, Any]], lanes: int) -> StreamRunner:
        return StreamRunner(self.invoked(handler), self.clock, SourceMapping(lanes=lanes), Killed)

    def _settle_rules(self) -> None:
        """Some worlds have a grace period; in all of them a score is high that the few people of the bench reach."""
        membership = MembershipPolicy(grace_days=self.rng.choice((0, 0, 1)))
        qualification = QualificationRules(nominate_from=25, nominate_again_below_by=5, convert_above=20)
        self.activation = contracts.tenant_rules(self.rng)
        now = self.clock.now()
        transaction = begin(ADMIN, now)
        reconciling = ReconcileRules(nightly=self.rng.random() < 0.3)
        mails = (outbound.rules(), outbound.templates())
        for rules in (membership, qualification, self.activation, reconciling, *mails):
            content = rules.model_dump(mode="json")
            record = SettingsRecord(id=rules.SETTING, created_at=now, modified_at=now, content=content)
            SETTINGS.create(transaction, record)
        self.inner.commit(transaction)

    # -- running -------------------------------------------------------------------------------------------------

    def __enter__(self) -> "World":
        self._wire.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.__exit__(None, None, None)
        if self._server is not None:
            self._server.drop_table(self.table)

    def turn(self, site: str) -> None:
        """Every call that crosses a port comes through here."""
        self.steps += 1
        self.clock.moment += _TICK
        if self.baton.holder and self.plan.trace:
            self.trace.append(f"{self.baton.holder:<16} {site}")
        self.baton.turn()
        began = self._began.get(self.baton.holder)
        if began is not None and self.clock.now() - began > _TIMEOUT:
            self.timeouts.append(site)
            raise Killed

    def idle(self, turns: int = 1) -> None:
        """Nothing to do: somebody else goes on, so many times."""
        if turns == 1 or not self.baton.holder:
            self.baton.turn(idle=True)
        elif turns > 1:
            left = itertools.count(turns - 1, -1)
            self.baton.wait(lambda: not next(left))

    def wait(self, look: Callable[[], bool]) -> None:
        """Idle until there is something to do."""
        self.baton.wait(look)

    def invoked[**P, T](self, handler: Callable[P, T]) -> Callable[P, T]:
        """A Lambda: it ends when its time is over, and nothing but a race or a dependency may end it otherwise."""

        def invocation(*arguments: P.args, **named: P.kwargs) -> T:
            who = self.baton.holder
            if who:
                self._began[who] = self.clock.now()
            try:
                return handler(*arguments, **named)
            except RACES:
                raise
            except Exception as error:
                self.diary.escaped.append(f"{type(error).__name__} at {_place(error)}")
                raise
            finally:
                self._began.pop(who, None)

        return invocation

    def ask(self, call: Callable[[], Any]) -> Answer:
        """A request over HTTP, as the caller sees it."""
        try:
            return Answer(value=self.invoked(call)())
        except Killed:
            return Answer(unknown=True)
        except DomainError as error:
            return Answer(unknown=True) if error.status >= 500 else Answer(refusal=error)
        except ConditionFailed as error:
            self.diary.escaped.append(f"{error!r} at {_place(error)}")
            return Answer(unknown=True)

    def asynchronously(self, call: Callable[[], object]) -> None:
        """An invocation whose failure nobody sees but the service that retries it."""
        try:
            self.invoked(call)()
        except (Killed, Exception):
            return

    def pump(self) -> None:
        """What was committed reaches the stream."""
        changes, records = self._source.fresh(self.clock.now())
        for change in changes:
            self.history.append(change)
            key, row = change.key, change.after
            if row is None:
                self._rows.pop(key, None)
                self._kinds[change.kind].pop(key, None)
            else:
                self._rows[key] = self._kinds[row.kind][key] = row
        self.relay.offer(records)
        self.rollups.offer(records)

    def peek(self, key: Key) -> Row | None:
        """A look at the table that is nobody's call. An engine is asked only for what its stream did not bring yet."""
        if self._source.caught_up:
            return self._rows.get(key)
        self.trouble.aside = True
        try:
            return self.inner.get(key)
        finally:
            self.trouble.aside = False

    def note_late(self) -> None:
        """The sweeper is about to look: whatever the relay has not worked through yet may get a gap entry."""
        self.pump()
        for record in (*self.relay.unread(), *self.relay.failed, *self.diary.trimmed):
            self.diary.late.add((key_of(record), version_of(record)))

    def note_given_up(self) -> None:
        """The stream is about to have again what it gave up: what came after it went first, and may have filled the
        gap. All else that follows from it is owed."""
        self.diary.overtaken |= {(key_of(record), version_of(record)) for record in self.relay.failed}

    # -- looking at the outcome ------------------------------------------------------------------------------------

    def rows(self) -> Mapping[Key, Row]:
        """The table as it stands, from its own stream."""
        self.pump()
        return self._rows

    def rows_of(self, kind: str) -> list[Row]:
        self.pump()
        return list(self._kinds[kind].values())


class _MemoryStream:
    caught_up = False
    """A look at the memory itself costs nothing."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table
        self._seen = 0

    def fresh(self, at: datetime) -> tuple[list[Change], list[Record]]:
        """What changed since the last look, and its records but for those that no mapping lets in."""
        changes = self._table.changes[self._seen :]
        self._seen = len(self._table.changes)
        return changes, [record_of(change, at) for change in changes if change.kind not in FILTERED]


class _DynoxideStream:
    """The engine's own stream, all shards, asked when something was written."""

    def __init__(self, server: DynoxideServer, table: Any, wire: WireFaults) -> None:
        self._client = server.client("dynamodbstreams")
        self._wire = wire
        streams = self._client.list_streams(TableName=table.name)["Streams"]
        self._arn = streams[0]["StreamArn"]
        self._iterators: dict[str, str] = {}

    @property
    def caught_up(self) -> bool:
        """Whether everything written was brought by `fresh`."""
        return not self._wire.written

    def fresh(self, at: datetime) -> tuple[list[Change], list[Record]]:
        if not self._wire.written:
            return [], []
        self._wire.written = False
        if not all(self._iterators.values()) or not self._iterators:  # a shard that ended has successors
            self._find_shards()
        found: list[Record] = []
        for name in self._iterators:
            while self._iterators[name]:
                answer = self._client.get_records(ShardIterator=self._iterators[name], Limit=1000)
                self._iterators[name] = answer.get("NextShardIterator", "")
                if not answer["Records"]:
                    break
                found += answer["Records"]
        parsed = [(change, record) for record in found if not (change := parse_record(record)).is_same]
        return [change for change, _ in parsed], [record for _, record in parsed]

    def _find_shards(self) -> None:
        for shard in self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]:
            name = shard["ShardId"]
            if name not in self._iterators:
                answer = self._client.get_shard_iterator(
                    StreamArn=self._arn, ShardId=name, ShardIteratorType="TRIM_HORIZON"
                )
                self._iterators[name] = answer["ShardIterator"]


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    places: Sequence[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/revops/" in code.co_filename:
            places = [*places, f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"]
        trace = trace.tb_next
    return " > ".join(places[-4:])
