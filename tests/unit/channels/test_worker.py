"""The channel worker: which part takes a message, and what becomes of one that fails."""

import json
from typing import Any

import pytest

from revops.channels.form import PROVIDER
from revops.inbox import INBOX, InboxEntry, InboxStatus, Signal
from revops.kernel import CallContext, Invalid, NotFound, Unavailable
from revops.platform.batch import handle_messages
from tests.builders.channels import Channels
from tests.builders.crm import CALL
from tests.builders.queues import NotedPauses, batch_of


def stored(channels: Channels, event_id: str, provider: str = PROVIDER) -> dict[str, Any]:
    channels.receive(Signal(provider, event_id, "submission", "email:0", "{}"), CALL)
    (entry,) = [each for each in channels.inbox() if each.event_id == event_id]
    return {"provider": provider, "inbox_id": entry.id}


def failing(error: Exception) -> Any:
    def settle(_: InboxEntry, __: CallContext) -> str:
        raise error

    return lambda: settle


def test_an_entry_goes_to_the_part_of_its_provider() -> None:
    channels, seen = Channels(), []

    def settle(entry: InboxEntry, call: CallContext) -> str:
        seen.append((entry.event_id, call.causation_id))
        return "settled"

    channels.entries = {"form": lambda: settle}
    message = stored(channels, "one")
    assert channels.settle(message) == "settled"
    assert seen == [("one", message["inbox_id"])]


@pytest.mark.fault("R16", "R26")
def test_what_trying_again_mends_comes_again_and_what_it_cannot_is_given_up_with_its_reason() -> None:
    channels = Channels()
    message = stored(channels, "one")
    channels.entries = {"form": failing(Unavailable("the table did not answer"))}
    assert channels.settle(message) == "waits 1 s"
    assert INBOX.require(channels.table, message["inbox_id"]).waiting
    channels.entries = {"form": failing(Invalid.field("email", "CAP-10 reachable", "is missing"))}
    assert channels.settle(message) == "dead"
    entry = INBOX.require(channels.table, message["inbox_id"])
    assert (entry.status, entry.reason) == (InboxStatus.DEAD, "email: is missing")
    assert channels.settle(message) == "settled before"


@pytest.mark.fault("R5", "R12")
def test_what_has_to_wait_is_put_back_ever_later_and_at_last_counts_as_failed() -> None:
    channels = Channels()
    message = stored(channels, "one")
    channels.entries = {"form": failing(Unavailable("busy"))}
    for _ in range(8):
        channels.settle(message)
        message = dict(channels.queue.sent[-1][0])
    assert [delay for _, delay in channels.queue.sent] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert message["waits"] == 8
    with pytest.raises(Unavailable):
        channels.settle(message)
    channels.entries = {"form": failing(Unavailable("a long while", retry_after=5000))}
    channels.settle(message | {"waits": 0})
    assert channels.queue.sent[-1][1] == 900


@pytest.mark.fault("R12", "R13")
def test_a_poison_message_holds_none_of_its_neighbours_up() -> None:
    channels = Channels()
    taken: list[str] = []
    channels.notices = {"aws:s3": lambda: lambda notice, _: taken.append(notice["n"]) or "taken"}  # type: ignore[func-returns-value]
    bodies: list[Any] = [
        {"Records": [{"eventSource": "aws:s3", "n": "a"}, {"eventSource": "aws:s3", "n": "b"}]},
        {"provider": "form", "inbox_id": "INB_form_missing"},
        {"neither": "entry nor event"},
        {"Records": [{"eventSource": "aws:other"}]},
        {"detail-type": "Something", "source": "aws.other", "id": "1"},
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "mail"},
        {"Records": [{"eventSource": "aws:s3", "n": "c"}]},
    ]

    def settle(body: dict[str, Any], _: int) -> None:
        channels.settle(body)

    answer = handle_messages(batch_of([json.dumps(body) for body in bodies]), settle, NotedPauses())
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["1", "2", "3", "4"]
    assert taken == ["a", "b", "c"]


def test_an_entry_of_nobody_is_not_lost() -> None:
    channels = Channels()
    channels.entries = {}
    message = stored(channels, "one", "unheard")
    with pytest.raises(Invalid):
        channels.settle(message)
    assert INBOX.require(channels.table, message["inbox_id"]).waiting
    with pytest.raises(NotFound):
        channels.settle({"inbox_id": "INB_form_gone"})
