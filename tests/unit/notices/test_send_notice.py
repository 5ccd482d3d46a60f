"""One mail per event, and rather a second one than none."""

import threading

import pytest

from revops.kernel import Unavailable
from revops.notices import SendNotice
from revops.table import Transaction
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable


class Post:
    """A mail service that can be down."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.down = False

    def send(self, to: str, subject: str, text: str) -> None:
        if self.down:
            raise Unavailable("the mail service did not take the call")
        self.sent.append((to, subject, text))


class Desk:
    """Notices over a table."""

    def __init__(self) -> None:
        self.table, self.clock, self.post = MemoryTable(), ManualClock(), Post()
        self.notice = SendNotice(self.table, self.clock, self.post)

    def send(self, event: str = "NOTE_1:1:NoteCreated") -> bool:
        return self.notice(event, "ops@example.com", "A note", "about it")


class Killed(BaseException):
    """The function ends here."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.mission("CRM-7", "USE-4")
@pytest.mark.fault("R1")
def test_an_event_that_comes_again_sends_nothing_more(desk: Desk) -> None:
    assert desk.send()
    for _ in range(3):
        assert not desk.send()
        desk.clock.advance(days=1)
    assert desk.send("another")
    assert len(desk.post.sent) == 2


@pytest.mark.fault("R5")
def test_a_refusal_of_the_mail_service_is_tried_again_at_once(desk: Desk) -> None:
    desk.post.down = True
    for _ in range(3):
        with pytest.raises(Unavailable, match="mail service"):
            desk.send()
    desk.post.down = False
    assert desk.send()
    assert not desk.send()
    assert len(desk.post.sent) == 1


@pytest.mark.fault("R3")
@pytest.mark.parametrize(("cut", "mails"), [(1, 1), (2, 2)])
def test_killed_before_any_write_it_is_sent_in_the_end(desk: Desk, cut: int, mails: int) -> None:
    """Killed at the first write nothing was sent; killed at the second, the mail is out and goes out once more."""
    writes = 0

    def killed(_: Transaction) -> None:
        nonlocal writes
        writes += 1
        if writes == cut:
            raise Killed

    desk.table.before_commit = killed
    with pytest.raises(Killed):
        desk.send()
    desk.table.before_commit = lambda _: None
    if cut == 2:
        with pytest.raises(Unavailable) as waiting:
            desk.send()
        assert waiting.value.retry_after == 120
        desk.clock.advance(minutes=2)
    assert desk.send()
    assert len(desk.post.sent) == mails
    assert not desk.send()


@pytest.mark.fault("R3")
def test_killed_while_the_mail_service_is_called_it_is_sent_after_the_lease(desk: Desk) -> None:
    def killed(to: str, subject: str, text: str) -> None:
        raise Killed

    desk.post.send = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        desk.send()
    del desk.post.send
    with pytest.raises(Unavailable):
        desk.send()
    desk.clock.advance(minutes=2)
    assert desk.send()
    assert len(desk.post.sent) == 1


@pytest.mark.fault("R6")
def test_of_many_deliveries_at_once_one_sends() -> None:
    desk = Desk()
    barrier = threading.Barrier(16)
    outcomes: list[object] = []

    def one() -> None:
        barrier.wait()
        try:
            outcomes.append(desk.send())
        except Unavailable:
            outcomes.append("later")

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 1
    assert len(desk.post.sent) == 1


def test_notices_expire(desk: Desk) -> None:
    desk.send()
    [row] = desk.table.rows.values()
    assert row.ttl == int(desk.clock.now().timestamp()) + 40 * 86_400
