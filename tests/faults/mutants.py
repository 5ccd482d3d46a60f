"""Planted bugs: each is a mistake that somebody could make, and the bench must notice every one of them.

A mutant patches a real function, or puts a wrapper where the world has the real thing; the rest of the product is as
it is. `hunt` runs seeds until an invariant breaks and tells how many it took.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from revops.analytics import ApplyRollups
from revops.analytics.contributions import COUNTED, contributions
from revops.analytics.store import ROLLUP, rollup_key
from revops.audit import WriteAudit
from revops.catalogue import Event
from revops.crm.built_on import BuiltOn
from revops.crm.intake import SubmitLead
from revops.inbox import InboxEntry, ReceiveSignal, Settlement, Signal
from revops.kernel import CallContext, Unavailable, system_call
from revops.notices.service import Once
from revops.stream import RelayChanges
from revops.table import Change, Page, Query, Row, Transaction, begin
from tests.builders.dynoxide import DynoxideServer
from tests.faults import nurturing
from tests.faults.contract_mutants import CONTRACT_MUTANTS
from tests.faults.planted import Mutant, Plant, create_once, no_lookup, random_key, unconditional
from tests.faults.schedule import run
from tests.faults.world import Plan, World


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which seed noticed, after how many; no seed means that the mutant survived."""

    name: str
    seed: int | None
    tried: int
    violation: str


def hunt(mutant: Mutant, server: DynoxideServer | None = None) -> Verdict:
    """Runs seeds until one breaks an invariant."""
    for seed in range(mutant.within):
        with mutant.plant():
            outcome = run(
                Plan(seed, mutant.engine, cast=mutant.cast),
                server if mutant.engine == "dynoxide" else None,
                mutant.wrap,
            )
        if outcome.violations:
            return Verdict(mutant.name, seed, seed + 1, outcome.violations[0])
    return Verdict(mutant.name, None, mutant.within, "")


# -- how a row is written ----------


def _unclaimed(where: str, *names: str) -> Plant:
    """A slice that forgets to write some of its claims."""

    @contextmanager
    def plant() -> Iterator[None]:
        from revops.table import claim

        def forget(transaction: Transaction, name: str, value: str, holder: str, **more: Any) -> None:
            if name not in names:
                claim(transaction, name, value, holder, **more)

        with patch(f"{where}.claim", forget):
            yield

    return plant


@contextmanager
def _floorless() -> Iterator[None]:
    move = Transaction.move

    def careless(self: Transaction, key: Any, kind: str, add: Any, at_least: Any = None, **more: Any) -> None:
        kept = {name: floor for name, floor in (at_least or {}).items() if "room" not in name and name != "left"}
        move(self, key, kind, add, kept, **more)

    with patch.object(Transaction, "move", careless):
        yield


def _split_commits(world: World) -> None:
    """A command in two transactions: first what it claims, then the rest."""
    commit = world.table.commit

    def twice(transaction: Transaction) -> None:
        claims = Transaction(transaction.stamp)
        rest = Transaction(transaction.stamp)
        for operation in transaction.operations:
            row = getattr(operation, "row", None)
            (claims if row is not None and row.kind == "CLAIM" else rest).operations.append(operation)
        if claims.operations and rest.operations:
            commit(claims)
            commit(rest)
        else:
            commit(transaction)

    world.table.commit = twice


def _fresh_tokens(world: World) -> None:
    world.table.fresh_tokens = True


@contextmanager
def _fresh_tokens_on_the_wire() -> Iterator[None]:
    from pynamodb.connection import Connection

    dispatch = Connection.dispatch

    def renewed(self: Connection, operation: str, arguments: dict[str, Any]) -> Any:
        if "ClientRequestToken" in arguments:
            arguments = {**arguments, "ClientRequestToken": f"{random.getrandbits(100):x}"}
        return dispatch(self, operation, arguments)

    with patch.object(Connection, "dispatch", renewed):
        yield


# -- the stream ----------


@contextmanager
def _bare_add() -> Iterator[None]:
    def add(self: ApplyRollups, changes: Sequence[Change]) -> int:
        moves: Counter[str] = Counter()
        for change in changes:
            if change.kind in COUNTED:
                moves.update(contributions(change.after))
                moves.subtract(contributions(change.before))
        transaction = begin(system_call("rollups"), self._clock.now())
        rollups: dict[str, dict[str, int]] = {}
        for name, amount in moves.items():
            rollup, _, field = name.partition("/")
            if amount:
                rollups.setdefault(rollup, {})[field] = amount
        for rollup, fields in rollups.items():
            transaction.move(rollup_key(rollup), ROLLUP, fields)
        self._table.commit(transaction)
        return len(changes)

    with patch.object(ApplyRollups, "__call__", add):
        yield


@contextmanager
def _chained_to_what_was_tried() -> Iterator[None]:
    write = WriteAudit._write

    def forgetful(self: WriteAudit, entry: Any) -> tuple[int, str]:
        return write(self, entry)[0], entry.hash

    with patch.object(WriteAudit, "_write", forgetful):
        yield


@contextmanager
def _silent_about_what_was_lost() -> Iterator[None]:
    with patch.object(RelayChanges, "_catch_up", lambda _self, _change: None):
        yield


def _deaf_to_refusals(world: World) -> None:
    publish = world.outside.bus.publish

    def careless(events: Sequence[Event]) -> list[int]:
        publish(events)
        return []

    world.outside.bus.publish = careless  # type: ignore[method-assign]


# -- the inbox ----------


@contextmanager
def _applied_beforehand() -> Iterator[None]:
    applied = Settlement.applied

    def early(self: Settlement, transaction: Transaction, entry: InboxEntry) -> None:
        first = Transaction(transaction.stamp)
        applied(self, first, entry)
        self._table.commit(first)

    with patch.object(Settlement, "applied", early):
        yield


@contextmanager
def _acknowledged_unstored() -> Iterator[None]:
    receive = ReceiveSignal.__call__

    def polite(self: ReceiveSignal, signal: Signal, call: CallContext) -> bool:
        try:
            return receive(self, signal, call)
        except Unavailable:
            return True

    with patch.object(ReceiveSignal, "__call__", polite):
        yield


@contextmanager
def _fence_stands_still() -> Iterator[None]:
    with patch("revops.billing.service.pass_fence", lambda *_: None):
        yield


# -- the list ----------


@contextmanager
def _answer_forgotten() -> Iterator[None]:
    with patch.object(SubmitLead, "_answer_once", lambda *_, **__: None):
        yield


@contextmanager
def _sent_unrecorded() -> Iterator[None]:
    write = Once._write

    def forgetful(self: Once, key: Any, state: str, before: Row | None) -> Any:
        return before if state == "sent" else write(self, key, state, before)

    with patch.object(Once, "_write", forgetful):
        yield


class _Deaf(list[Any]):
    def append(self, _: Any) -> None:
        return


def _lossy(world: World) -> None:
    """Queues that lose much, and no webhook of HubSpot's that would make it good: only marks and sweepers can."""
    world.loss = 0.5
    hubspot = world.outside.hubspot
    hubspot.rung = _Deaf()
    cross = hubspot.around

    def doze(when: str, name: str) -> None:
        cross(when, name)
        if (when, name) == ("after", "write") and world.rng.random() < 0.2:
            world.baton.sleep()

    hubspot.around = doze


def _flapping(world: World) -> None:
    """A Stripe that goes to and fro, and now and then once more between a worker's look and its very late write."""
    stripe = world.outside.stripe
    stripe.flapping = True

    def doze(payer: str) -> None:
        if world.baton.holder and world.rng.random() < 0.4:
            stripe.happens(payer)
            world.baton.sleep()

    stripe.after_fetch = doze


def _slow_chainers(world: World) -> None:
    """Whoever asks for a record's newest audit entry is often slow to write the next: sweeper and relay meet."""
    query = world.table.query

    def slow(asked: Query) -> Page:
        answer: Page = query(asked)
        if asked.pk.startswith("AUDIT#") and world.rng.random() < 0.7:
            world.baton.sleep(100)
        return answer

    world.table.query = slow


@contextmanager
def _unmarked() -> Iterator[None]:
    with patch("revops.adapters.people.mark_dirty", lambda *_: True):
        yield


def _halved_conversions(world: World) -> None:
    """A conversion that archives the lead first and makes the deal afterwards."""
    commit = world.table.commit

    def twice(transaction: Transaction) -> None:
        deal, rest = Transaction(transaction.stamp), Transaction(transaction.stamp)
        for operation in transaction.operations:
            row = getattr(operation, "row", None)
            late = row is not None and row.kind == "OPPORTUNITY" and transaction.stamp.by == "system:conversion"
            (deal if late else rest).operations.append(operation)
        for part in (rest, deal):
            commit(part)

    world.table.commit = twice


@contextmanager
def _nothing_noted() -> Iterator[None]:
    with patch.object(BuiltOn, "write", lambda *_: None):
        yield


_CONVERTING = frozenset("form-1 form-2 seller-1 converter-1 converter-2 relay-1 bus-1 schedules-1 time".split())
_BILLING = frozenset("stripe-1 stripe-2 postman-1 postman-2 relay-1 stripe-worker-1 stripe-worker-2".split())
_SYNCING = frozenset(
    "form-1 seller-1 seller-2 hubspot-1 postman-1 relay-1 relay-2 hubspot-worker-1 hubspot-worker-2 time".split()
)
_AUDITED = frozenset("form-1 seller-1 seller-2 relay-1 relay-2 schedules-1 schedules-2 time".split())
_OUTBOUND = _SYNCING - {"hubspot-1", "postman-1"}

MUTANTS: tuple[Mutant, ...] = (
    Mutant("e-mail not claimed", "I5: two leads of one person", _unclaimed("revops.crm.intake", "email")),
    Mutant("phone not claimed", "I5: two leads of one person", _unclaimed("revops.crm.intake", "phone")),
    Mutant("partner key not claimed", "CAP-5: a repeat gets another answer", _answer_forgotten),
    Mutant("ticket without version", "CAP-12: two leads on one ticket", unconditional("TICKET")),
    Mutant("lead put without version", "R19: a lost update", unconditional("LEAD")),
    Mutant("claims in a transaction of their own", "R3: killed between two writes", wrap=_split_commits),
    Mutant("new token for each attempt", "R4: refused although done", wrap=_fresh_tokens),
    Mutant("new token, over the wire", "R4: refused although done", _fresh_tokens_on_the_wire, engine="dynoxide"),
    Mutant("fence not bumped", "R2: an old look wins", _fence_stands_still, wrap=_flapping, cast=_BILLING),
    Mutant("applied before the effects", "R26: dedupe before effect", _applied_beforehand),
    Mutant("acknowledged before stored", "R27: a webhook is lost", _acknowledged_unstored),
    Mutant("rollups by bare ADD", "R4: counted twice", _bare_add),
    Mutant("audit put unconditional", "I4: an entry is rewritten", unconditional("AUDIT")),
    Mutant(
        "audit chained to what was tried",
        "I4: a broken chain",
        _chained_to_what_was_tried,
        wrap=_slow_chainers,
        cast=_AUDITED,
    ),
    Mutant(
        "relay fills gaps silently",
        "R15: what follows from a lost creation never comes",
        _silent_about_what_was_lost,
        wrap=_lossy,
        cast=_OUTBOUND,
    ),
    Mutant("relay acks a refused publish", "R13: an event is lost", wrap=_deaf_to_refusals),
    Mutant("alert without claim", "USE-4: told twice", _unclaimed("revops.usage.alerts", "spend_cap_alert")),
    Mutant("usage without ledger uniqueness", "R21: counted twice", unconditional("USAGE_EVENT")),
    Mutant("caps without floors", "R20: over the cap", _floorless),
    Mutant("random idempotency key", "R8: two subscriptions", create_once(create=random_key)),
    Mutant("no lookup before the next key", "R9: two subscriptions", create_once(find=no_lookup)),
    Mutant(
        "push clears a newer mark",
        "R6: an edit never goes out",
        unconditional("SYNC_DIRTY"),
        wrap=_lossy,
        cast=_OUTBOUND,
    ),
    Mutant("dirty mark not written", "R27: an edit never goes out", _unmarked, wrap=_lossy, cast=_OUTBOUND),
    Mutant("conversion in two goes", "I7: half a conversion", wrap=_halved_conversions, cast=_CONVERTING),
    Mutant("what stands on it not noted", "I7: an order on what was undone", _nothing_noted, cast=_CONVERTING),
    Mutant(
        "gate left out",
        "I11: sent after a withdrawal",
        nurturing.no_gate,
        wrap=nurturing.slow_sender,
        cast=nurturing.NURTURING,
    ),
    Mutant(
        "consent asked at enrolment",
        "I11: sent after a withdrawal",
        nurturing.asked_at_enrolment,
        cast=nurturing.NURTURING,
    ),
    Mutant("step claimed after sending", "LEAD-5: sent twice", nurturing.claimed_afterwards, cast=nurturing.NURTURING),
    Mutant(
        "unknown outcome tried again", "LEAD-5: sent twice", nurturing.unknown_tried_again, cast=nurturing.NURTURING
    ),
    Mutant("mail not recorded as sent", "a mail twice", _sent_unrecorded, within=1500),
    *CONTRACT_MUTANTS,
)
