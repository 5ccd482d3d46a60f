"""Sending an approved order form out for signature (ORD-3)."""

from collections.abc import Mapping
from datetime import datetime

from revops.kernel import CallContext, Refused
from revops.orders.model import ESignMethod, OrderForm, OrderStatus, Step
from revops.orders.moves import TakeStep
from revops.orders.ports import SignatureSender


class RequestSignature:
    """Sends the form by the method it names. Raises Refused for a method that is not connected."""

    def __init__(self, take: TakeStep, signing: Mapping[ESignMethod, SignatureSender]) -> None:
        self._take = take
        self._signing = signing

    def __call__(self, order: OrderForm, call: CallContext, started_at: datetime) -> OrderForm:
        sender = self._signing.get(order.terms.esign_method)
        if sender is None:
            raise Refused(f"{order.terms.esign_method} is not connected here; send a new form for another method")
        envelope = sender.send(order, call)
        transaction = self._take.begin(call)
        if envelope is not None:
            sender.watch(transaction, order, envelope, envelope.checked_at)
        to, step, sent = OrderStatus.AWAITING_SIGNATURE, Step.REQUEST_SIGNATURE, envelope or order.envelope
        return self._take(order, to, step, call, started_at, transaction=transaction, envelope=sent)
