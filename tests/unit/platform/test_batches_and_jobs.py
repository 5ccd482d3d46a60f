"""Batches from queues and the stream, and scheduled jobs: each record alone, each period once."""

from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from revops.kernel import Invalid, Unavailable
from revops.platform.batch import handle_messages
from revops.platform.config import Config
from revops.platform.jobs import run_job
from revops.platform.stream import handle_changes
from revops.table import Change, Transaction
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable
from tests.builders.queues import NotedPauses, batch_of


@pytest.mark.fault("R12", "R13")
@pytest.mark.parametrize("failing", [frozenset(n for n in range(8) if bits >> n & 1) for bits in range(256)])
def test_of_a_batch_of_eight_exactly_the_failing_ones_come_again(failing: frozenset[int]) -> None:
    errors = (ValueError, Invalid, Unavailable, KeyError)
    handled: list[int] = []

    def handle(body: dict[str, Any], receives: int) -> None:
        if body["n"] in failing:
            raise errors[body["n"] % 4]("no")
        handled.append(body["n"])

    pauses = NotedPauses()
    answer = handle_messages(batch_of([f'{{"n":{n}}}' for n in range(8)]), handle, pauses)
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == [str(n) for n in sorted(failing)]
    assert pauses.told == {f"handle-{n}": 5 for n in failing}
    assert handled == [n for n in range(8) if n not in failing]


@pytest.mark.fault("R12")
@pytest.mark.parametrize("body", ["", "{", "[]", "1", "NaN", '{"a":1,"a":2}'])
def test_a_message_that_is_none_comes_again_until_the_queue_gives_it_up(body: str) -> None:
    seen: list[dict[str, Any]] = []
    answer = handle_messages(batch_of([body, "{}"]), lambda each, _: seen.append(each), NotedPauses())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert seen == [{}]


def test_a_worker_knows_how_often_a_message_came() -> None:
    counts: list[int] = []
    handle_messages(batch_of(["{}"], 4), lambda _, receives: counts.append(receives), NotedPauses())
    assert counts == [4]


@pytest.mark.fault("R12", "R13")
@pytest.mark.parametrize(("receives", "pause"), [(1, 5), (2, 20), (3, 80), (4, 320), (8, 43_200), (10**6, 43_200)])
def test_what_fails_again_comes_again_later_than_before(receives: int, pause: int) -> None:
    pauses = NotedPauses()
    handle_messages(batch_of(["no message", "{}"], receives), lambda *_: None, pauses)
    assert pauses.told == {"handle-0": pause}


def _record(n: int, broken: bool = False) -> dict[str, Any]:
    image = {"pk": {"S": f"LEAD#{n}"}, "sk": {"S": "LEAD"}, "kind": {"S": "LEAD"}, "v": {"N": "1"}}
    return {"dynamodb": {"SequenceNumber": f"{n}", **({} if broken else {"NewImage": image})}}


@pytest.mark.fault("R12", "R13")
@pytest.mark.parametrize("states", list(product("gbu", repeat=4)), ids="".join)
def test_a_broken_change_is_passed_over_and_a_silent_table_stops_the_batch_there(states: tuple[str, ...]) -> None:
    """g = good, b = nothing can be made of it, u = the table does not answer while it is applied."""
    counted: list[str] = []

    def apply(changes: Sequence[Change]) -> int:
        kinds = [states[int(change.key.pk.removeprefix("LEAD#"))] for change in changes]
        if "b" in kinds:
            raise ValueError("nothing can be made of it")
        if "u" in kinds:
            raise Unavailable("no answer")
        counted.extend(change.key.pk for change in changes)
        return len(changes)

    count, answer = handle_changes({"Records": [_record(n) for n in range(4)]}, apply)
    stop = states.index("u") if "u" in states else 4
    retried = answer["batchItemFailures"]
    first = int(retried[0]["itemIdentifier"]) if retried else 4
    assert first <= stop
    assert len(retried) <= 1
    assert counted == [f"LEAD#{n}" for n in range(first) if states[n] == "g"]
    assert count == len(counted)


def test_a_record_without_an_image_is_left_out() -> None:
    applied: list[int] = []

    def apply(changes: Sequence[Change]) -> int:
        applied.append(len(changes))
        return len(changes)

    records = [_record(0), _record(1, broken=True), {}, _record(2)]
    assert handle_changes({"Records": records}, apply) == (2, {"batchItemFailures": []})
    assert applied == [2]


class Job:
    """A schedule that may fire twice, late or while another run goes on."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.periods: list[str] = []
        self.fail = False

    def work(self, period: str) -> dict[str, int]:
        if self.fail:
            raise Unavailable("no")
        self.periods.append(period)
        return {"done": 2, "failed": 1}

    def run(self, holder: str = "one", **event: str) -> dict[str, Any]:
        return run_job("job", dict(event), SimpleNamespace(aws_request_id=holder), self.table, self.clock, self.work)


@pytest.mark.fault("R17")
def test_a_schedule_that_fires_twice_works_once() -> None:
    job = Job()
    first = job.run(time="2026-11-20T09:00:00Z")
    again = job.run("two", time="2026-11-20T09:00:00Z")
    assert first == {"job": "job", "period": "2026-11-20T09:00:00Z", "skipped": False, "done": 2, "failed": 1}
    assert again == {"job": "job", "period": "2026-11-20T09:00:00Z", "skipped": True}
    job.clock.advance(days=2)
    assert job.run("three", time="2026-11-20T09:00:00Z")["skipped"], "done is done, however late"
    assert job.run("four", time="2026-11-20T09:05:00Z")["skipped"] is False
    assert job.periods == ["2026-11-20T09:00:00Z", "2026-11-20T09:05:00Z"]


@pytest.mark.fault("R17")
def test_a_run_that_failed_gives_the_period_back_at_once() -> None:
    job = Job()
    job.fail = True
    with pytest.raises(Unavailable):
        job.run(time="P")
    job.fail = False
    assert job.run("two", time="P")["skipped"] is False


@pytest.mark.fault("R3", "R17")
def test_a_run_that_was_killed_is_followed_by_another_once_its_lease_ran_out() -> None:
    job = Job()
    commit = job.table.commit

    def killed(period: str) -> dict[str, int]:
        assert job.run("while it runs", time="P")["skipped"]
        job.table.commit = _dead  # type: ignore[method-assign]
        raise SystemExit

    def _dead(transaction: Transaction) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        run_job("job", {"time": "P"}, None, job.table, job.clock, killed)
    job.table.commit = commit  # type: ignore[method-assign]
    assert job.run("too early", time="P")["skipped"]
    job.clock.advance(minutes=5)
    assert job.run("two", time="P")["skipped"] is False
    assert job.periods == ["P"]


def test_called_by_hand_a_job_names_its_period_or_takes_the_second() -> None:
    job = Job()
    assert job.run(period="by hand")["period"] == "by hand"
    assert job.run()["period"] == "2026-11-20T09:00:00"


def test_configuration_is_read_when_asked_for_and_has_safe_defaults() -> None:
    config = Config.from_environment({})
    assert (config.table_name, config.endpoint_url) == ("", None)
    told = Config.from_environment({"TABLE_NAME": "t", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert (told.table_name, told.endpoint_url) == ("t", "http://127.0.0.1:1")
