"""A form goes out for signature exactly once, whatever is lost on the way; and comes back when its order ends."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from revops.kernel import Unavailable
from revops.orders.decisions import Amendment
from revops.orders.model import EnvelopeStatus, ESignMethod, OrderStatus, Step
from revops.orders.workflow import GIVE_UP, StepTask
from revops.signing.ports import EnvelopeRefused, OutcomeUnknown
from revops.signing.store import ENVELOPES, watched_id
from revops.table import ConditionFailed, Transaction
from tests.builders.orders import REP, WORKER
from tests.builders.signing import SigningDesk, cut_line, lost_answer, unreachable


@pytest.fixture
def desk() -> SigningDesk:
    return SigningDesk()


def approved(desk: SigningDesk) -> str:
    """An order that waits to be sent."""
    order = desk.submitted(esign_method="DocuSign")
    desk.run(StepTask(order.id, "review"), WORKER)
    assert desk.order(order.id).status is OrderStatus.APPROVED
    return order.id


def send(desk: SigningDesk, order_id: str) -> None:
    desk.run(StepTask(order_id, "request_signature"), WORKER)


@pytest.mark.mission("ORD-3")
@pytest.mark.parametrize("method", ["DocuSign", "Adobe Sign"])
def test_the_form_goes_to_its_signatory_and_the_order_says_where_it_is(desk: SigningDesk, method: str) -> None:
    order = desk.sent_out(esign_method=method)
    assert order.status is OrderStatus.AWAITING_SIGNATURE
    envelope = order.envelope
    assert envelope is not None
    assert (envelope.provider, envelope.id, envelope.status) == (ESignMethod(method), "env-1", EnvelopeStatus.SENT)
    assert (envelope.expires_at - envelope.sent_at).days == 30
    request = desk.provider.sent["env-1"].request
    assert (request.signatory_name, request.signatory_email) == ("Anna Beispiel", "anna@musterwerk.example")
    assert request.document.startswith(b"%PDF-")
    assert request.document in desk.blobs.kept.values()
    assert ENVELOPES.require(desk.table, watched_id(order.id, 1)).envelope_id == "env-1"


@pytest.mark.fault("R8")
def test_an_answer_that_was_lost_does_not_send_the_form_twice(desk: SigningDesk) -> None:
    order_id = approved(desk)
    desk.provider.after_send = lost_answer
    with pytest.raises(OutcomeUnknown):
        send(desk, order_id)
    desk.provider.after_send = lambda: None
    with pytest.raises(Unavailable, match="another attempt"):
        send(desk, order_id)  # the call may still be under way, and the provider's keys do not make a repeat harmless
    desk.clock.advance(seconds=80)
    send(desk, order_id)
    order = desk.order(order_id)
    assert order.envelope is not None
    assert (order.envelope.id, list(desk.provider.sent)) == ("env-1", ["env-1"])


@pytest.mark.fault("R3")
@pytest.mark.parametrize("cut", range(1, 8))
def test_a_worker_that_dies_at_any_commit_leaves_one_envelope(cut: int) -> None:
    desk = SigningDesk()
    order_id = approved(desk)
    left = [cut]

    def die(transaction: Transaction) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    desk.memory.before_commit = die
    with suppress(KeyboardInterrupt):  # there are fewer commits than cuts
        send(desk, order_id)
    desk.memory.before_commit = lambda _: None
    desk.clock.advance(seconds=80)
    send(desk, order_id)
    assert desk.order(order_id).status is OrderStatus.AWAITING_SIGNATURE
    assert list(desk.provider.sent) == ["env-1"]


@pytest.mark.fault("R10")
def test_a_worker_that_died_in_the_call_is_followed_by_one_who_looks_even_days_later(desk: SigningDesk) -> None:
    order_id = approved(desk)
    desk.provider.after_send = cut_line
    with pytest.raises(KeyboardInterrupt):
        send(desk, order_id)
    desk.provider.after_send = lambda: None
    desk.clock.advance(days=3)
    send(desk, order_id)
    assert list(desk.provider.sent) == ["env-1"]


@pytest.mark.mission("ORD-2")
def test_a_form_that_the_provider_refuses_ends_the_order_with_the_reason(desk: SigningDesk) -> None:
    order_id = approved(desk)

    def refuse(verb: str) -> None:
        raise EnvelopeRefused("no such signatory address", "INVALID_EMAIL")

    desk.provider.before = refuse
    send(desk, order_id)
    order = desk.order(order_id)
    assert (order.status, order.end_reason) == (OrderStatus.CANCELLED, "no such signatory address")
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Closed Lost"


def test_a_provider_that_does_not_answer_is_asked_again(desk: SigningDesk) -> None:
    order_id = approved(desk)
    desk.provider.before = unreachable
    with pytest.raises(Unavailable):
        send(desk, order_id)
    desk.provider.before = lambda _: None
    send(desk, order_id)
    assert list(desk.provider.sent) == ["env-1"]


@pytest.mark.mission("ORD-2")
def test_a_provider_that_is_away_for_a_day_costs_no_deal(desk: SigningDesk) -> None:
    order_id = approved(desk)
    give_up = StepTask(order_id, GIVE_UP, failed_step=Step.REQUEST_SIGNATURE, error="Unavailable")
    desk.clock.advance(days=1)
    desk.run(give_up, WORKER)
    waiting = desk.order(order_id)
    assert (waiting.status, waiting.attempt) == (OrderStatus.APPROVED, 1)
    assert desk.progress(order_id, REP).steps[-1].reason.endswith("kept failing (Unavailable); tried again")
    desk.clock.advance(minutes=31)
    assert desk.restart_stalled(WORKER) == 1
    send(desk, order_id)
    assert desk.order(order_id).status is OrderStatus.AWAITING_SIGNATURE


@pytest.mark.mission("ORD-2")
def test_one_that_is_away_for_good_ends_the_order(desk: SigningDesk) -> None:
    order_id = approved(desk)
    desk.clock.advance(days=4)
    desk.run(StepTask(order_id, GIVE_UP, failed_step=Step.REQUEST_SIGNATURE, error="Unavailable"), WORKER)
    order = desk.order(order_id)
    assert order.status is OrderStatus.CANCELLED
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Closed Lost"


# -- an order that ends while it is being sent ------------------------------------------------------------------------


def cancel_before(desk: SigningDesk, order_id: str, when: Callable[[str], bool]) -> None:
    """Somebody cancels just before the provider is called by a verb."""

    def before(verb: str) -> None:
        if when(verb):
            desk.provider.before = lambda _: None
            desk.cancel(order_id, "another start date", REP)

    desk.provider.before = before


@pytest.mark.mission("ORD-2", "ORD-3")
def test_a_form_that_is_sent_while_its_order_is_cancelled_is_taken_back(desk: SigningDesk) -> None:
    order_id = approved(desk)
    cancel_before(desk, order_id, lambda verb: verb == "send")
    send(desk, order_id)
    order = desk.order(order_id)
    assert (order.status, order.envelope) == (OrderStatus.CANCELLED, None)
    assert list(desk.provider.sent) == ["env-1"]
    assert desk.hand_over(order_id) == 1
    desk.work()
    assert desk.provider.voided == {"env-1": "another start date"}
    assert desk.hand_over(order_id) == 0


@pytest.mark.fault("R8")
def test_even_when_nobody_heard_that_it_was_sent(desk: SigningDesk) -> None:
    order_id = approved(desk)
    desk.provider.after_send = lost_answer
    cancel_before(desk, order_id, lambda verb: verb == "send")
    with pytest.raises(OutcomeUnknown):
        send(desk, order_id)
    desk.hand_over(order_id)
    desk.work()
    assert desk.provider.voided == {}, "the provider's lists may not show it yet"
    desk.clock.advance(minutes=11)
    assert desk.sweep(WORKER) == 1
    desk.work()
    assert desk.provider.voided == {"env-1": "another start date"}
    desk.clock.advance(days=1)
    assert desk.sweep(WORKER) == 0


def test_an_order_that_was_cancelled_before_is_not_sent(desk: SigningDesk) -> None:
    order_id = approved(desk)
    stale = desk.order(order_id)
    desk.cancel(order_id, "no more", REP)
    sender = desk.senders[ESignMethod.DOCUSIGN]
    with pytest.raises(ConditionFailed):
        sender.send(stale, WORKER)
    assert desk.provider.calls == []


def test_one_that_was_never_sent_is_closed_once_that_is_sure(desk: SigningDesk) -> None:
    order_id = approved(desk)
    desk.provider.before = unreachable
    with pytest.raises(Unavailable):
        send(desk, order_id)
    desk.cancel(order_id, "no more", REP)
    desk.provider.before = lambda _: None
    desk.clock.advance(hours=2)
    assert desk.sweep(WORKER) == 1
    desk.work()
    assert ENVELOPES.require(desk.table, watched_id(order_id, 1)).settled == "never sent"


@pytest.mark.mission("ORD-2", "ORD-3")
def test_changed_terms_are_sent_in_an_envelope_of_their_own(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", EnvelopeStatus.DECLINED, "too many seats")
    desk.hand_over(order.id)
    desk.work()
    changed = desk.order(order.id).terms.model_copy(update={"seats": 20})
    desk.resume(order.id, Amendment(terms=changed), REP)
    again = desk.run_until_it_waits(order.id)
    assert again.envelope is not None
    assert (again.status, again.envelope.id, again.envelope.number) == (OrderStatus.AWAITING_SIGNATURE, "env-2", 2)


@pytest.mark.fault("R1", "R2")
@pytest.mark.mission("ORD-3")
@pytest.mark.parametrize("late", [EnvelopeStatus.DECLINED, EnvelopeStatus.COMPLETED, EnvelopeStatus.VOIDED])
def test_what_is_told_late_of_an_envelope_before_does_nothing_to_the_one_that_is_out(
    desk: SigningDesk, late: EnvelopeStatus
) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", EnvelopeStatus.DECLINED, "too many seats")
    desk.converge(desk.told("env-1"), WORKER)
    changed = desk.order(order.id).terms.model_copy(update={"seats": 20})
    desk.resume(order.id, Amendment(terms=changed), REP)
    again = desk.run_until_it_waits(order.id)
    desk.provider.becomes("env-1", late)
    desk.converge(desk.told("env-1", "evt-late"), WORKER)
    assert desk.order(order.id) == again
    assert desk.provider.voided == {}
    desk.provider.becomes("env-2", EnvelopeStatus.COMPLETED)
    desk.converge(desk.told("env-2", "evt-2"), WORKER)
    signature = desk.order(order.id).signature
    assert signature is not None
    assert signature.envelope_id == "env-2"
