"""S16: whatever is sent and however it fails, nothing of a person stands in a log line."""

import io
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from revops.access import HoldRate
from revops.api.intake import IntakeUseCases, add_intake_routes
from revops.api.leads import LeadUseCases, add_lead_routes
from revops.kernel import Invalid, Principal, Role, Unavailable
from revops.platform import logging as ours
from revops.platform.batch import handle_messages
from revops.platform.failing import Failed, reports_failure
from revops.platform.http import Api
from revops.platform.logging import LogCode, log, log_error
from revops.platform.stream import handle_changes
from tests.builders.channels import Channels
from tests.builders.queues import NotedPauses, batch_of
from tests.builders.requests import KnownCallers, ask

PERSON = {
    "first_name": "Ashalata",
    "last_name": "Raokumar",
    "company": "Sternenfeld GmbH",
    "email": "ashalata@sternenfeld.example",
    "phone": "+49 30 901820",
    "country": "DE",
    "note": "call me at the Lindenallee",
}
MARKS = ("ashalata", "raokumar", "sternenfeld", "901820", "lindenallee")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """Everything that is logged, by us or by a library, as it would reach the log group."""
    stream = io.StringIO()
    handler = ours._logger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(stream)
    caplog.set_level(logging.DEBUG)
    yield stream
    handler.setStream(before or handler.stream)
    stream.write(caplog.text)


def clean(stream: io.StringIO, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines, after looking through every one of them for the person."""
    text = stream.getvalue() + caplog.text
    assert stream.getvalue(), "something is logged"
    for mark in MARKS:
        assert mark not in text.casefold()
    return [json.loads(line) for line in stream.getvalue().strip().split("\n")]


class Broken:
    """A use case that quotes its input when it fails, as libraries do."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __call__(self, *said: object, **more: object) -> Any:
        raise self.error(f"{said!r} {more!r} {PERSON}")


@pytest.mark.mission("SAFE-4")
@pytest.mark.fault("S16")
@pytest.mark.parametrize("error", [None, ValueError, KeyError, RuntimeError, Invalid, Unavailable])
def test_a_form_with_a_person_in_it(
    error: type[Exception] | None, written: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api(KnownCallers())
    channels = Channels()
    receive: Any = channels.receive_form() if error is None else Broken(error)
    add_intake_routes(api, IntakeUseCases(receive, channels.submit, HoldRate(channels.table, channels.clock)))
    consent = [{"channel": "email", "granted": True}]
    for body in (
        {**PERSON, "consent": consent},
        PERSON,
        {**PERSON, "email": {"nested": PERSON}},
        {**PERSON, "phone": ["Lindenallee"]},
        {**PERSON, "consent": "Raokumar"},
        [PERSON],
    ):
        ask(api, "POST", "/api/v1/leads", body)
    ask(api, "POST", "/api/v1/leads", raw=json.dumps(PERSON)[:-9])
    ask(api, "POST", "/api/v1/leads", raw=json.dumps(PERSON) + json.dumps(PERSON))
    ask(api, "POST", "/api/v1/leads", raw=json.dumps(PERSON), headers={"content-type": "text/ashalata"})
    ask(api, "POST", "/api/v1/leads?email=ashalata@sternenfeld.example", PERSON)
    ask(api, "POST", "/api/v1/leads/Ashalata", PERSON)
    lines = clean(written, caplog)
    assert {line["message"] for line in lines} <= {LogCode.REQUEST.value, LogCode.REQUEST_FAILED.value}
    assert len([line for line in lines if line["message"] == LogCode.REQUEST.value]) == 11, "one line a request"


@pytest.mark.mission("SAFE-4")
@pytest.mark.fault("S16")
def test_a_search_by_address_and_a_path_with_a_name(written: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    api = Api(KnownCallers(Principal("u", Role.ADMIN)))
    broken: Any = Broken(ValueError)
    broken.list = broken.one = broken
    add_lead_routes(api, LeadUseCases(broken, broken, broken))
    for path in (
        "?email=ashalata@sternenfeld.example",
        "?Raokumar=1",
        "?cursor=ashalata",
        "/Raokumar",
        "?limit=Lindenallee",
    ):
        ask(api, "GET", f"/api/v1/leads{path}", sub="u", headers={"user-agent": "Ashalata's phone"})
    ask(api, "PATCH", "/api/v1/leads/LEAD_1", {"version": 1, "last_name": "Raokumar", "email": "x"}, sub="u")
    ask(api, "PATCH", "/api/v1/leads/LEAD_1", {"version": 1, "last_name": "Raokumar"}, sub="u")
    lines = clean(written, caplog)
    assert {line.get("principal", "u") for line in lines} == {"u"}


@pytest.mark.mission("SAFE-4")
@pytest.mark.fault("S16")
def test_messages_and_changes_that_fail(written: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    bodies = [json.dumps(PERSON), "Ashalata {", json.dumps([PERSON])]
    for error in (ValueError, Invalid, Unavailable):
        handle_messages(batch_of(bodies), Broken(error), NotedPauses())
        image = {"pk": {"S": "LEAD#1"}, "sk": {"S": "LEAD"}, "doc": {"S": json.dumps(PERSON)}}
        change = {"dynamodb": {"SequenceNumber": "1", "NewImage": image}}
        handle_changes({"Records": [change, {"dynamodb": {"SequenceNumber": "2", **PERSON}}]}, Broken(error))
    clean(written, caplog)


@pytest.mark.mission("SAFE-4")
@pytest.mark.fault("S16")
@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError, Invalid, Unavailable])
def test_a_function_that_fails_as_a_whole(
    error: type[Exception], written: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    """Lambda writes what is raised into the log, and hands it on: to a failure destination, to a workflow's history."""
    handler = reports_failure(Broken(error))
    with pytest.raises(Failed) as failed:
        handler({"order_id": "ORD_1", "step": "provision", **PERSON}, None)
    handed_on = "".join(traceback.format_exception(failed.value)).casefold()
    assert not [mark for mark in MARKS if mark in handed_on]
    assert type(failed.value).__name__ == error.__name__, "the workflow tells by its name what kept failing"
    (line,) = clean(written, caplog)
    assert (line["message"], line["error"]) == (LogCode.JOB_FAILED.value, error.__name__)
    assert (line["order_id"], line["step"]) == ("ORD_1", "provision")
    assert any("__call__" in place for place in line["places"]), "where it came from is told"


def test_a_function_that_does_not_fail_answers_as_it_did() -> None:
    assert reports_failure(lambda event, _: event["n"])({"n": 7}, None) == 7


@pytest.mark.fault("R12")
def test_a_message_that_failed_is_told_with_how_often_it_did(
    written: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (ValueError, Unavailable):
        handle_messages(batch_of(["{}"], 5), Broken(error), NotedPauses())
    told = [line for line in clean(written, caplog) if line["message"] == LogCode.RECORD_FAILED]
    assert [line["attempt"] for line in told] == [5, 5]
    assert [line["error"] for line in told] == ["ValueError", "Unavailable"]
    assert {line["message_id"] for line in told} == {"0"}, "the dead letter has the same, and no reason of its own"


@pytest.mark.fault("S16")
def test_fields_that_are_not_listed_are_not_written(written: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    log(LogCode.JOB, "warning", job="score", email=PERSON["email"], body=PERSON, detail="Raokumar")
    try:
        raise ValueError(str(PERSON))
    except ValueError as error:
        log_error(LogCode.RECORD_FAILED, error, message_text=str(error))
    lines = clean(written, caplog)
    assert lines[0]["job"] == "score"
    assert lines[0]["level"] == "WARNING"
    assert lines[1]["error"] == "ValueError"
    assert any("test_logs.py" in place for place in lines[1]["places"]), "where it came from is told"
    assert "exception" not in lines[1]


@pytest.mark.fault("S16")
def test_a_line_break_in_a_field_starts_no_new_line(written: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    log(LogCode.JOB, job='x\n{"message":"HTTP001"}', period="\r\n\u2028")
    assert len(written.getvalue().strip().split("\n")) == 1
    assert clean(written, caplog)[0]["message"] == LogCode.JOB.value
