"""Replaying webhooks by window, object and release, and reading dead letters (STR-6, R16)."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import ValidationError

from local import operate
from revops.access import Policy
from revops.inbox import InboxStatus, ReceiveSignal, Settlement, Signal
from revops.inbox.replay import MAX_REPLAYED, PER_SECOND, PROVIDERS, ReplayRequest, ReplaySignals
from revops.inbox.store import INBOX, inbox_id
from revops.kernel import CallContext, Invalid, NotFound, Principal, Role, system_call
from revops.stream import KeepDeadLetter
from revops.stream.dead_letters import SOURCE, ReadDeadLetters
from revops.table import Contention, CursorSigner, Transaction, begin
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL
from tests.builders.inbox import entries_about
from tests.builders.memory_table import MemoryTable

SYSTEM = system_call("tests")


class Desk:
    """An inbox with three settled entries, a minute apart, handled by two releases."""

    def __init__(self, entries: int = 3) -> None:
        self.table, self.clock, self.blobs = MemoryTable(), ManualClock(), MemoryBlobs()
        self.start = self.clock.now()
        receive = ReceiveSignal(self.table, self.clock, self.blobs)
        for number in range(entries):
            subject = "cus_2" if number == 1 else "cus_1"
            receive(Signal("stripe", f"evt_{number}", "invoice.paid", subject, "{}", f"in_{number}"), SYSTEM)
            self._settle(number, "release 7" if number < 2 else "release 8", dead=number == 1)
            self.clock.advance(minutes=1)
        self.settlement = Settlement(self.table, self.clock, self.blobs, "release 9")
        self.replay = ReplaySignals(self.table, self.clock, Policy(), self.settlement, lambda: CursorSigner(b"key"))

    def _settle(self, number: int, release: str, *, dead: bool) -> None:
        settlement = Settlement(self.table, self.clock, self.blobs, release)
        entry = settlement.load(inbox_id("stripe", f"evt_{number}"))
        if dead:
            settlement.dead(entry, "Stripe said no", SYSTEM)
            return
        transaction = begin(SYSTEM, self.clock.now())
        settlement.applied(transaction, entry)
        self.table.commit(transaction)

    def settled(self, event_id: str) -> None:
        """An entry that a worker has settled by now, if it was waiting."""
        settlement = Settlement(self.table, self.clock, self.blobs, "release 9")
        entry = settlement.load(inbox_id("stripe", event_id))
        if entry.waiting:
            transaction = begin(SYSTEM, self.clock.now())
            settlement.applied(transaction, entry)
            self.table.commit(transaction)

    def waiting(self) -> list[str]:
        rows = [row for row in self.table.rows.values() if row.kind == INBOX.kind]
        entries = sorted(INBOX.load_all(rows), key=lambda entry: entry.event_id)
        return [entry.event_id for entry in entries if entry.status is InboxStatus.RECEIVED]


@pytest.mark.mission("STR-6")
@pytest.mark.fault("R16")
@pytest.mark.parametrize(
    ("wanted", "again"),
    [
        ({"subject": "cus_1"}, ["evt_0", "evt_2"]),
        ({"subject": "cus_1", "handler_version": "release 7"}, ["evt_0"]),
        ({"subject": "cus_2", "only_dead": True}, ["evt_1"]),
        ({"subject": "cus_1", "only_dead": True}, []),
        ({"subject": "cus_none"}, []),
    ],
)
def test_by_object_release_and_outcome(wanted: dict[str, object], again: list[str]) -> None:
    desk = Desk()
    result = desk.replay(ReplayRequest.model_validate({"provider": "stripe", **wanted}), CALL)
    assert result.replayed == len(again)
    assert not result.more
    assert desk.waiting() == again


@pytest.mark.mission("STR-6")
@pytest.mark.fault("R25")
@pytest.mark.parametrize("hours", [-11, -5, 0, 2, 9, 14])
@pytest.mark.parametrize("at", ["2026-11-20T00:00:00+00:00", "2026-11-19T23:59:59.999999+00:00"])
def test_a_window_is_the_same_in_whatever_zone_it_is_written(hours: int, at: str) -> None:
    """Both ends belong to it, to the microsecond, and a day begins in UTC wherever the caller is."""
    desk = Desk(1)
    moment, zone = datetime.fromisoformat(at), timezone(timedelta(hours=hours))
    desk.clock.moment = moment
    receive = ReceiveSignal(desk.table, desk.clock, desk.blobs)
    receive(Signal("stripe", "evt_edge", "invoice.paid", "cus_1", "{}"), SYSTEM)
    desk.clock.moment = moment + timedelta(hours=1)

    def found(before: timedelta, after: timedelta) -> int:
        start, end = (moment - before).astimezone(zone), (moment + after).astimezone(zone)
        desk.settled("evt_edge")
        return desk.replay(ReplayRequest(provider="stripe", start=start, end=end), CALL).replayed

    nothing, tick, some = timedelta(), timedelta(microseconds=1), timedelta(hours=3)
    assert [found(nothing, nothing), found(some, nothing), found(nothing, some)] == [1, 1, 1]
    assert [found(some, -tick), found(-tick, some)] == [0, 0]


@pytest.mark.fault("S13")
@pytest.mark.parametrize("field", ["start", "end"])
@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_no_calendar_goes_beyond_is_refused(field: str, at: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ReplayRequest.model_validate({"provider": "stripe", "handler_version": "release 8", field: at})
    assert [each["loc"] for each in refused.value.errors()] == [(field,)]


@pytest.mark.mission("STR-6")
def test_what_goes_on_after_midnight_goes_on() -> None:
    """A replay of all that is kept that is cut short, and taken up on the next day in UTC."""
    desk = Desk(MAX_REPLAYED + 4)
    wanted = ReplayRequest(provider="stripe", handler_version="release 8")
    first = desk.replay(wanted, CALL)
    assert (first.replayed, first.more) == (MAX_REPLAYED, True)
    desk.clock.advance(days=1)
    rest = desk.replay(wanted.model_copy(update={"cursor": first.cursor, "settled_before": first.settled_before}), CALL)
    assert (rest.replayed, rest.more) == (2, False)


@pytest.mark.mission("STR-6")
def test_by_window() -> None:
    desk = Desk()
    start = desk.start + timedelta(seconds=30)
    result = desk.replay(ReplayRequest(provider="stripe", start=start, end=start + timedelta(minutes=1)), CALL)
    assert result.replayed == 1
    assert desk.waiting() == ["evt_1"]


@pytest.mark.mission("STR-6")
def test_what_waits_already_is_not_handed_over_twice() -> None:
    desk = Desk()
    request = ReplayRequest(provider="stripe", subject="cus_1")
    assert desk.replay(request, CALL).replayed == 2
    assert desk.replay(request, CALL).replayed == 0
    assert [entry.attempts for entry in entries_about(desk.table, "stripe", "cus_1")] == [1, 1]


@pytest.mark.mission("STR-6")
@pytest.mark.parametrize(
    ("wanted", "again"),
    [
        ({"handler_version": "release 7"}, ["evt_0", "evt_1"]),
        ({"handler_version": "release 9"}, []),
        ({"handler_version": "release 7", "outcome": "Applied"}, ["evt_0"]),
        ({"subject": "in_2"}, ["evt_2"]),
        ({"start": "2026-11-01T00:00:00Z", "event_type": "invoice.*"}, ["evt_0", "evt_1", "evt_2"]),
        ({"start": "2026-11-01T00:00:00Z", "event_type": "invoice.paid"}, ["evt_0", "evt_1", "evt_2"]),
        ({"start": "2026-11-01T00:00:00Z", "event_type": "charge.*"}, []),
        ({"start": "2026-11-01T00:00:00Z", "outcome": "Dead"}, ["evt_1"]),
    ],
)
def test_by_release_alone_by_the_object_itself_by_type_and_outcome(wanted: dict[str, str], again: list[str]) -> None:
    desk = Desk()
    counted = desk.replay(ReplayRequest.model_validate({"provider": "stripe", "dry_run": True, **wanted}), CALL)
    assert (counted.replayed, desk.waiting()) == (len(again), [])
    assert desk.replay(ReplayRequest.model_validate({"provider": "stripe", **wanted}), CALL).replayed == len(again)
    assert desk.waiting() == again


@pytest.mark.mission("STR-6")
def test_a_long_one_goes_on_at_its_cursor_and_is_handed_over_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revops.inbox.replay.MAX_REPLAYED", 20)
    desk = Desk(entries=50)
    first = wanted = ReplayRequest(provider="stripe", start=desk.start)
    rounds = total = 0
    while True:
        result = desk.replay(wanted, CALL)
        rounds, total = rounds + 1, total + result.replayed
        if not result.more:
            break
        assert result.spread_seconds == 20 // PER_SECOND
        assert result.cursor
        wanted = first.model_copy(update={"cursor": result.cursor, "settled_before": result.settled_before})
    assert (rounds, total, len(desk.waiting())) == (3, 50, 50)
    rows = [row for row in desk.table.rows.values() if row.kind == INBOX.kind]
    delays = [entry.delay_seconds for entry in INBOX.load_all(rows)]
    assert (min(delays), max(delays), len(set(delays))) == (0, 20 // PER_SECOND - 1, 20 // PER_SECOND)
    with pytest.raises(Invalid):
        desk.replay(first.model_copy(update={"cursor": result.cursor or wanted.cursor, "subject": "cus_1"}), CALL)


@pytest.mark.mission("STR-6")
@pytest.mark.fault("R5", "R12")
def test_an_entry_that_cannot_be_handed_over_holds_none_of_the_others_up() -> None:
    desk = Desk()
    busy = INBOX.key(inbox_id("stripe", "evt_1"))

    def refuse(transaction: Transaction) -> None:
        if any(key == busy for key in transaction.keys()):  # noqa: SIM118 - a method of transactions, not of a mapping
            raise Contention("others keep changing the same record")

    desk.table.before_commit = refuse
    result = desk.replay(ReplayRequest(provider="stripe", start=desk.start), CALL)
    assert (result.replayed, result.failed, desk.waiting()) == (2, 1, ["evt_0", "evt_2"])


@pytest.mark.parametrize("wanted", [{}, {"start": "2026-11-20T09:00:00Z", "end": "2026-11-19T09:00:00Z"}])
def test_a_request_that_names_nothing_is_refused(wanted: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Desk().replay(ReplayRequest.model_validate({"provider": "stripe", **wanted}), CALL)


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.ADMIN, Role.SYSTEM}])
def test_only_administrators_replay_and_read_dead_letters(role: Role) -> None:
    desk = Desk()
    call = CallContext(Principal("somebody", role))
    with pytest.raises(NotFound):
        desk.replay(ReplayRequest(provider="stripe", subject="cus_1"), call)
    with pytest.raises(NotFound):
        ReadDeadLetters(desk.table, desk.clock, Policy())("", call)


@pytest.mark.fault("R12")
def test_a_dead_letter_is_kept_once_with_its_reason_and_can_be_read() -> None:
    desk = Desk()
    keep = KeepDeadLetter(desk.table, desk.clock, desk.blobs)
    first = keep(SOURCE, "LEAD#x|LEAD", "ValidationError", '{"broken": true}')
    assert keep(SOURCE, "LEAD#x|LEAD", "ValidationError", '{"broken": true}') == first
    letters = ReadDeadLetters(desk.table, desk.clock, Policy())("", CALL)
    assert [(letter.about, letter.reason) for letter in letters] == [("LEAD#x|LEAD", "ValidationError")]
    assert desk.blobs.get(letters[0].blob) == b'{"broken": true}'


def _commanded(desk: Desk, *options: str) -> str:
    """What `python -m local.operate replay …` prints, over this desk's table."""
    wiring = SimpleNamespace(table=desk.table, clock=desk.clock, policy=Policy(), settlement=desk.settlement)
    chosen = operate.parser().parse_args(["replay", *options])
    return operate.replay(cast("operate.Deployment", SimpleNamespace(wiring=wiring)), chosen, SYSTEM)


@pytest.mark.mission("STR-6")
def test_the_command_counts_first_and_hands_over_what_its_options_name() -> None:
    desk = Desk()
    options = ["--provider", "stripe", "--subject", "cus_1", "--event-type", "invoice.*", "--outcome", "Applied"]
    assert _commanded(desk, *options, "--dry-run").startswith("2 would be")
    assert desk.waiting() == []
    assert _commanded(desk, *options).startswith("2 handed")
    assert desk.waiting() == ["evt_0", "evt_2"]
    assert _commanded(desk, *options[:4], "--event-type", "charge.*").startswith("0 ")


@pytest.mark.mission("STR-6")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_command_replays_every_vendor_that_the_route_does(provider: str) -> None:
    assert _commanded(Desk(), "--provider", provider, "--subject", "cus_none").startswith("0 ")
