"""What becomes of an envelope becomes of its order, once, whoever tells it, how often and in which order."""

import itertools
from datetime import date

import pytest

from revops.inbox import INBOX, InboxStatus
from revops.kernel import Unavailable
from revops.orders.events import events
from revops.orders.model import EnvelopeStatus, ESignMethod, OrderStatus
from revops.orders.signature import SignedDocument
from revops.orders.store import steps_of
from revops.signing.ports import QUEUES, EnvelopeRefused
from revops.signing.store import ENVELOPES, watched_id
from tests.builders.orders import PDF, REP
from tests.builders.signing import CERTIFICATE, SIGNED, WORKER, SigningDesk, unreachable

S = EnvelopeStatus


@pytest.fixture
def desk() -> SigningDesk:
    return SigningDesk()


def said(desk: SigningDesk) -> list[str]:
    return [event.name for change in desk.memory.changes for event in events(change)]


def entry(desk: SigningDesk, inbox_id: str) -> tuple[InboxStatus, str]:
    found = INBOX.require(desk.table, inbox_id)
    return found.status, found.reason


@pytest.mark.mission("ORD-3")
def test_somebody_else_signed_than_the_form_names(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", S.COMPLETED, signer="Bo Nachfolger")
    desk.converge(desk.told("env-1"), WORKER)
    assert desk.order(order.id).status is OrderStatus.EXECUTED
    said = "signed by Bo Nachfolger; the form names Anna Beispiel"
    assert steps_of(desk.table, order.id)[-1].reason == f"envelope env-1 completed; {said}"
    assert desk.progress(order.id, REP).warnings == [said]


@pytest.mark.mission("ORD-3", "ORD-4")
def test_completed_executes_the_order_with_its_papers(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.clock.advance(days=2)
    desk.provider.becomes("env-1", S.COMPLETED, signer="BEISPIEL  anna")
    told = desk.told("env-1")
    desk.converge(told, WORKER)
    after = desk.order(order.id)
    signature, envelope = after.signature, after.envelope
    assert after.status is OrderStatus.EXECUTED
    assert signature is not None
    assert envelope is not None
    assert (signature.signatory_name, signature.signed_on) == ("BEISPIEL  anna", date(2026, 11, 22))
    assert (signature.method, signature.envelope_id) == (ESignMethod.DOCUSIGN, "env-1")
    assert desk.blobs.get(signature.document) == SIGNED
    assert desk.blobs.get(signature.certificate) == CERTIFICATE
    assert signature.sha256 in signature.document
    assert signature.certificate_sha256 in signature.certificate
    assert envelope.status is S.COMPLETED
    assert desk.crm.deal(order.opportunity_id)["signed_on"] == "2026-11-22"
    assert entry(desk, told) == (InboxStatus.APPLIED, "")
    last = steps_of(desk.table, order.id)[-1]
    assert (last.name, last.actor, last.reason) == (
        "await_signature",
        "system:esign_worker",
        "envelope env-1 completed",
    )
    assert said(desk).count("OrderFormExecuted") == 1


@pytest.mark.fault("R1")
def test_completed_twice_executes_once(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", S.COMPLETED)
    for number in range(3):
        told = desk.told("env-1", f"evt-{number}")
        desk.converge(told, WORKER)
        desk.converge(told, WORKER)
        assert entry(desk, told) == (InboxStatus.APPLIED, "")
    assert said(desk).count("OrderFormExecuted") == 1
    assert desk.order(order.id).version == 4


@pytest.mark.fault("R1")
@pytest.mark.parametrize("status", [S.COMPLETED, S.DECLINED, S.VOIDED, S.EXPIRED])
def test_what_is_told_of_an_end_once_more_changes_nothing(desk: SigningDesk, status: S) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", status, "" if status is S.COMPLETED else "because")
    desk.converge(desk.told("env-1", "evt-1", "recipient-done"), WORKER)
    after, reason = desk.order(order.id), desk.progress(order.id, REP).reason
    assert (reason == "") == (status is S.COMPLETED)
    desk.converge(desk.told("env-1", "evt-2"), WORKER)
    assert desk.order(order.id) == after
    assert desk.progress(order.id, REP).reason == reason


@pytest.mark.fault("R2")
def test_what_a_webhook_says_does_not_count_only_what_the_provider_says(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.converge(desk.told("env-1", event_type="envelope-completed"), WORKER)
    assert desk.order(order.id) == order


@pytest.mark.mission("ORD-2", "ORD-3")
def test_declined_turns_the_order_back_to_the_seller_with_the_reason(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", S.DECLINED, "the price is not what we agreed")
    desk.converge(desk.told("env-1"), WORKER)
    after = desk.order(order.id)
    progress = desk.progress(order.id, REP)
    assert after.status is OrderStatus.CHANGES_REQUESTED
    assert progress.reason == "declined by the signatory: the price is not what we agreed"
    assert progress.waits_for == "changed terms"
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Prospect", "the deal goes on"
    assert said(desk)[-1] == "OrderFormDeclined"


@pytest.mark.mission("ORD-2", "ORD-3")
@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (S.VOIDED, "wrong signatory", "the envelope was voided at its provider: wrong signatory"),
        (S.VOIDED, "", "the envelope was voided at its provider: no reason was given"),
        (S.EXPIRED, "", "nobody signed by 2026-12-20: the envelope expired"),
    ],
)
def test_voided_and_expired_end_the_order_and_undo_what_it_did(
    desk: SigningDesk, status: S, reason: str, told: str
) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", status, reason)
    desk.converge(desk.told("env-1"), WORKER)
    after = desk.order(order.id)
    assert (after.status, after.end_reason) == (OrderStatus.CANCELLED, told)
    assert desk.crm.deal(order.opportunity_id)["stage"] == "Closed Lost"
    assert said(desk)[-1] == "OrderFormCancelled"
    assert desk.provider.voided == {}


@pytest.mark.mission("ORD-3")
def test_voided_after_completed_stands_on_the_order_and_undoes_nothing(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", S.COMPLETED)
    desk.converge(desk.told("env-1"), WORKER)
    desk.provider.becomes("env-1", S.VOIDED, "somebody in their console")
    told = desk.told("env-1", "evt-2", "envelope-voided")
    desk.converge(told, WORKER)
    after = desk.order(order.id)
    assert after.status is OrderStatus.EXECUTED
    assert after.envelope is not None
    assert after.envelope.problem == "voided at its provider after it was completed; the order form stays executed"
    assert entry(desk, told)[0] is InboxStatus.APPLIED
    version = after.version
    desk.converge(desk.told("env-1", "evt-3"), WORKER)
    assert desk.order(order.id).version == version, "said once"


@pytest.mark.mission("ORD-3")
@pytest.mark.parametrize("broken", ["document", "certificate"])
def test_papers_that_are_no_pdf_execute_nothing_and_say_so(desk: SigningDesk, broken: str) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", S.COMPLETED)
    desk.provider.gives_out("env-1", **{broken: b"<html>we are sorry</html>"})
    told = desk.told("env-1")
    desk.converge(told, WORKER)
    after = desk.order(order.id)
    assert (after.status, after.signature) == (OrderStatus.AWAITING_SIGNATURE, None)
    assert "not a PDF" in desk.progress(order.id, REP).reason
    assert entry(desk, told)[0] is InboxStatus.DEAD
    # the provider mends it; the sweep is who notices
    desk.provider.gives_out("env-1", **{broken: SIGNED})
    desk.clock.advance(hours=1)
    assert desk.sweep(WORKER) == 1
    desk.work()
    assert desk.order(order.id).status is OrderStatus.EXECUTED
    assert desk.progress(order.id, REP).reason == ""


@pytest.mark.mission("ORD-3")
def test_a_form_signed_by_hand_meanwhile_takes_its_envelope_back(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.sign(order.id, SignedDocument("Anna Beispiel", date(2026, 11, 20), PDF), REP)
    assert desk.hand_over(order.id) == 1
    desk.work()
    after = desk.order(order.id)
    assert after.status is OrderStatus.EXECUTED
    assert after.signature is not None
    assert after.signature.method is ESignMethod.MANUAL
    assert desk.provider.voided == {"env-1": "signed by other means"}


@pytest.mark.mission("ORD-2", "ORD-3")
def test_a_cancelled_order_takes_its_envelope_back(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.cancel(order.id, "another start date", REP)
    desk.hand_over(order.id)
    desk.provider.before = unreachable
    with pytest.raises(Unavailable):
        desk.work()
    desk.provider.before = lambda _: None
    desk.clock.advance(hours=1)
    assert desk.sweep(WORKER) == 1, "what the worker could not do comes again"
    assert desk.sweep(WORKER) == 0, "not while the worker has it"
    desk.work()
    after = desk.order(order.id)
    assert desk.provider.voided == {"env-1": "another start date"}
    assert after.status is OrderStatus.CANCELLED
    assert after.envelope is not None
    assert (after.envelope.status, after.envelope.problem) == (S.VOIDED, "")
    desk.clock.advance(days=2)
    assert desk.sweep(WORKER) == 0


@pytest.mark.mission("ORD-3")
def test_an_envelope_that_its_provider_does_not_take_back_is_somebodys_to_see(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.cancel(order.id, "another start date", REP)

    def locked(verb: str) -> None:
        if verb == "void":
            raise EnvelopeRefused("somebody is correcting the envelope", "EDIT_LOCK")

    desk.provider.before = locked
    told = desk.told("env-1", event_type="envelope-corrected")
    desk.converge(told, WORKER)
    assert entry(desk, told) == (InboxStatus.DEAD, "somebody is correcting the envelope")
    desk.hand_over(order.id)
    with pytest.raises(EnvelopeRefused):
        desk.work()
    desk.provider.before = lambda _: None
    desk.clock.advance(hours=1)
    assert desk.sweep(WORKER) == 1
    desk.work()
    assert desk.provider.voided == {"env-1": "another start date"}


@pytest.mark.mission("ORD-3")
def test_signed_in_the_moment_of_the_cancellation_nothing_follows_but_it_shows(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.cancel(order.id, "another start date", REP)

    def signs(verb: str) -> None:
        if verb == "void":
            desk.provider.becomes("env-1", S.COMPLETED)

    desk.provider.before = signs
    desk.hand_over(order.id)
    desk.work()
    after = desk.order(order.id)
    assert (after.status, after.signature) == (OrderStatus.CANCELLED, None)
    assert after.envelope is not None
    assert after.envelope.problem == "completed although the order form is Cancelled; nothing follows from it"
    assert ENVELOPES.require(desk.table, watched_id(order.id, 1)).settled == "completed"


@pytest.mark.fault("R19")
@pytest.mark.parametrize("first", ["cancel", "complete"])
def test_cancelled_and_completed_at_once_one_of_them_wins(desk: SigningDesk, first: str) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", S.COMPLETED)
    if first == "cancel":

        def cancel(verb: str) -> None:
            if verb == "documents":
                desk.provider.before = lambda _: None
                desk.cancel(order.id, "too late", REP)

        desk.provider.before = cancel
    desk.converge(desk.told("env-1"), WORKER)
    after = desk.order(order.id)
    expected = OrderStatus.CANCELLED if first == "cancel" else OrderStatus.EXECUTED
    assert after.status is expected
    assert (after.signature is None) == (first == "cancel")
    assert {"OrderFormExecuted", "OrderFormCancelled"} & set(said(desk)) == {f"OrderForm{expected}"}


def test_an_envelope_of_somebody_elses_is_passed(desk: SigningDesk) -> None:
    told = desk.told("env-of-hr")
    desk.converge(told, WORKER)
    assert entry(desk, told) == (InboxStatus.APPLIED, "no order form was sent in this envelope")
    assert desk.provider.calls == []


@pytest.mark.fault("S9")
def test_one_providers_word_is_not_taken_for_the_others(desk: SigningDesk) -> None:
    """Their ids may be alike; what DocuSign says of its own is nothing to an agreement at Adobe Sign."""
    order = desk.sent_out(esign_method="Adobe Sign")
    desk.provider.becomes("env-1", S.COMPLETED)
    told = desk.told("env-1")
    desk.converge(told, WORKER)
    assert entry(desk, told) == (InboxStatus.APPLIED, "no order form was sent in this envelope")
    assert desk.order(order.id) == order


@pytest.mark.mission("ORD-3")
def test_an_envelope_its_provider_has_lost_is_a_problem_somebody_sees(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.provider.sent.clear()
    told = desk.told("env-1")
    desk.converge(told, WORKER)
    assert desk.order(order.id).status is OrderStatus.AWAITING_SIGNATURE
    assert desk.progress(order.id, REP).reason == "its provider knows no such envelope"
    assert entry(desk, told)[0] is InboxStatus.DEAD
    desk.cancel(order.id, "sent again by other means", REP)
    desk.hand_over(order.id)
    desk.work()
    assert desk.hand_over(order.id) == 0


@pytest.mark.mission("ORD-3")
def test_a_webhook_that_is_lost_costs_an_hour(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.provider.becomes("env-1", S.COMPLETED)
    desk.clock.advance(minutes=59)
    assert desk.sweep(WORKER) == 0
    desk.clock.advance(minutes=1)
    assert desk.sweep(WORKER) == 1
    desk.work()
    assert desk.order(order.id).status is OrderStatus.EXECUTED


def test_a_look_that_a_webhook_called_for_puts_the_next_one_off(desk: SigningDesk) -> None:
    desk.sent_out()
    desk.clock.advance(minutes=50)
    desk.converge(desk.told("env-1", event_type="recipient-delivered"), WORKER)
    desk.clock.advance(minutes=59)
    assert desk.sweep(WORKER) == 0
    desk.clock.advance(minutes=1)
    assert desk.sweep(WORKER) == 1


def test_looking_leaves_no_version_of_the_order_behind(desk: SigningDesk) -> None:
    order = desk.sent_out()
    for _ in range(24):
        desk.clock.advance(hours=1)
        assert desk.sweep(WORKER) == 1
        desk.work()
    assert desk.order(order.id) == order


def test_what_the_queue_refuses_stays_due(desk: SigningDesk) -> None:
    order = desk.sent_out()
    desk.clock.advance(hours=1)
    desk.queues.refuses.add(watched_id(order.id, 1))
    assert desk.sweep(WORKER) == 0
    with pytest.raises(Unavailable):
        desk.hand_over(order.id)
    desk.queues.refuses.clear()
    assert desk.sweep(WORKER) == 1
    assert desk.queues.sent[0][0] == QUEUES[ESignMethod.DOCUSIGN]


@pytest.mark.fault("R2")
@pytest.mark.mission("ORD-3")
@pytest.mark.parametrize("acts", list(itertools.permutations(["sign", "void", "tell", "sweep", "cancel"])))
def test_every_order_of_acts_ends_in_one_of_the_states_there_are(acts: tuple[str, ...]) -> None:
    """Whatever order things happen in: the order is executed if it was awaited when the signature was seen, and an
    envelope that is not awaited does not stay open."""
    desk = SigningDesk()
    order = desk.sent_out()
    for number, act in enumerate(acts):
        fact = desk.provider.sent["env-1"].fact
        status = desk.order(order.id).status
        match act:
            case "sign" if fact.status is S.SENT:
                desk.provider.becomes("env-1", S.COMPLETED)
            case "void" if fact.status is S.SENT:
                desk.provider.becomes("env-1", S.VOIDED)
            case "tell":
                desk.converge(desk.told("env-1", f"evt-{number}"), WORKER)
            case "cancel" if status is OrderStatus.AWAITING_SIGNATURE:
                desk.cancel(order.id, "no more", REP)
            case _:
                desk.clock.advance(hours=1)
                desk.sweep(WORKER)
                desk.work()
    desk.clock.advance(hours=1)
    desk.sweep(WORKER)
    desk.work()
    after, fact = desk.order(order.id), desk.provider.sent["env-1"].fact
    assert after.status in {OrderStatus.EXECUTED, OrderStatus.CANCELLED}
    assert (after.signature is not None) == (after.status is OrderStatus.EXECUTED)
    assert fact.status is not S.SENT
    assert after.envelope is not None
    assert after.envelope.status is fact.status
    assert ENVELOPES.require(desk.table, watched_id(order.id, 1)).settled == fact.status
