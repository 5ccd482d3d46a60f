"""Consent and engagement under real concurrency: threads over one table engine that is exact in races."""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from revops.crm.consent import RecordConsent, SendGate
from revops.crm.engagement import RecordEngagement
from revops.crm.policies.machines import CLICK, OPEN
from revops.crm.store import LEADS
from revops.crm.tracking import TRACES, TrackMessage
from revops.kernel import Refused, SystemClock, Unavailable
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, begin
from revops.table.dynamo import DynamoTable
from tests.builders.clock import ManualClock
from tests.builders.engagement import (
    LEAD,
    MESSAGE,
    PERSON,
    PUBLIC,
    click_claim,
    consent,
    fetch,
    place_lead,
    record_of,
)

SENDERS = 8


class Wire:
    """What left, and whether the consent was withdrawn by then."""

    def __init__(self, table: DynamoTable) -> None:
        self.table, self.clock = table, SystemClock()
        self.left: list[str] = []
        self.late: list[str] = []
        self.withdrawn = threading.Event()
        self.done = threading.Event()
        self.gate = SendGate(table, self.clock)

    def send_until_done(self, number: int) -> None:
        rng, count = random.Random(number), 0
        while not self.done.is_set():
            count += 1
            self._send(f"MSG_{number}_{count}", rng)

    def _send(self, message: str, rng: random.Random) -> None:
        transaction = begin(PUBLIC, self.clock.now())
        try:
            self.gate.enter(transaction, PERSON, "email", message)
            self.table.commit(transaction)
        except Refused:
            time.sleep(0.01)
            return
        except (Unavailable, ConditionFailed, Contention):
            time.sleep(rng.uniform(0, 0.01))
            return
        time.sleep(rng.uniform(0, 0.03))  # the call; the message leaves at its end, which is as late as can be
        (self.late if self.withdrawn.is_set() else self.left).append(message)
        transaction = begin(PUBLIC, self.clock.now())
        self.gate.leave(transaction, PERSON, message)
        self.table.commit(transaction)
        time.sleep(rng.uniform(0, 0.02))

    def change_mind(self, times: int) -> None:
        record = RecordConsent(self.table, self.clock, sleep=lambda _: time.sleep(0.002))
        for _ in range(times):
            self._until(lambda: record(PERSON, [consent(ManualClock(), granted=False)], PUBLIC))
            self.withdrawn.set()
            time.sleep(0.03)
            self.withdrawn.clear()
            self._until(lambda: record(PERSON, [consent(ManualClock())], PUBLIC))
            time.sleep(0.03)
        self.done.set()

    def _until(self, say: Callable[[], object]) -> None:
        for _ in range(100):
            try:
                say()
            except (Unavailable, Contention):
                continue
            return
        raise AssertionError("a statement was never taken")


def _at_once(*work: Callable[[], object]) -> None:
    broken: list[BaseException] = []

    def play(act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:  # a thread must not swallow what went wrong
            broken.append(error)

    threads = [threading.Thread(target=play, args=(act,)) for act in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken, broken


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_eight_senders_and_a_person_who_keeps_changing_their_mind(dynamo_table: DynamoTable) -> None:
    place_lead(dynamo_table, SystemClock(), consent(ManualClock()))
    wire = Wire(dynamo_table)

    def person() -> None:
        try:
            wire.change_mind(10)
        finally:
            wire.done.set()

    _at_once(person, *(lambda n=n: wire.send_until_done(n) for n in range(SENDERS)))
    assert wire.late == []
    assert len(wire.left) >= 10, "messages do pass"
    record = record_of(dynamo_table)
    assert [said.granted for said in record.entries] == [True, *(False, True) * 10], "no statement lost or doubled"
    assert LEADS.require(dynamo_table, LEAD).gdpr_consent


@pytest.mark.fault("R18", "S21")
def test_sixteen_clicks_on_unsubscribe_add_one_statement(dynamo_table: DynamoTable) -> None:
    place_lead(dynamo_table, SystemClock(), consent(ManualClock()))
    record = RecordConsent(dynamo_table, SystemClock(), sleep=lambda _: time.sleep(0.002))
    _at_once(*(lambda: record(PERSON, [consent(ManualClock(), granted=False)], PUBLIC) for _ in range(16)))
    assert [said.granted for said in record_of(dynamo_table).entries] == [True, False]
    assert not LEADS.require(dynamo_table, LEAD).gdpr_consent


@pytest.mark.mission("LEAD-3")
@pytest.mark.fault("R4", "R6")
def test_thirty_two_fetches_at_once_count_each_event_once(dynamo_table: DynamoTable) -> None:
    clock = SystemClock()
    place_lead(dynamo_table, clock)
    record = RecordEngagement(dynamo_table, clock)
    counted: list[bool] = []
    _at_once(*(lambda n=n: counted.append(record(LEAD, "email_open", f"MSG_{n % 8}", PUBLIC)) for n in range(32)))
    assert counted.count(True) == 8
    events = [(done.event, done.ref) for done in LEADS.require(dynamo_table, LEAD).engagement]
    assert sorted(events) == [("email_open", f"MSG_{n}") for n in range(8)]


@pytest.mark.mission("LEAD-5")
@pytest.mark.fault("R6")
def test_a_scanner_that_follows_six_links_at_once_counts_nothing(dynamo_table: DynamoTable) -> None:
    clock = SystemClock()
    place_lead(dynamo_table, clock)
    track = TrackMessage(dynamo_table, clock, SettingsReader(dynamo_table), RecordEngagement(dynamo_table, clock))
    made = ManualClock(clock.now() - timedelta(hours=1))
    claims = [click_claim(made, f"https://www.example.com/{n}", minutes=0) for n in range(6)]
    _at_once(
        lambda: track.opened(claims[0], fetch(), PUBLIC),
        *(lambda claim=claim: track.clicked(claim, fetch(), PUBLIC) for claim in claims),
    )
    counted = [done.event for done in LEADS.require(dynamo_table, LEAD).engagement]
    assert CLICK not in counted
    assert len(TRACES.require(dynamo_table, f"{LEAD}/{MESSAGE}").clicks) == 6
    assert set(counted) <= {OPEN}
