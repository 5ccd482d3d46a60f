"""What the end of an envelope does to the order that awaits it (ORD-2, ORD-3).

Completed executes it. Declined turns it back to the seller: what is not as agreed can be changed and sent again. Voided
or expired, it could not be completed: it ends, and what opening it did is undone.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from revops.kernel import BlobStore, CallContext
from revops.orders.decisions import end_deal
from revops.orders.model import (
    Envelope,
    EnvelopeStatus,
    OrderForm,
    OrderStatus,
    Signature,
    Step,
    StepOutcome,
)
from revops.orders.moves import move
from revops.orders.ports import CrmRecords
from revops.orders.signature import execute, keep_document, require_pdf
from revops.signing.model import EnvelopeFact, SignedPapers
from revops.table import Transaction

MAX_SIGNED = 25_000_000
"""Bytes of a signed document, or of a certificate, as a provider makes them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An order, the envelope it awaits, and what the provider says of it."""

    order: OrderForm
    envelope: Envelope
    fact: EnvelopeFact

    def after(self, now: datetime, problem: str = "") -> Envelope:
        """The envelope as the provider has it."""
        return self.envelope.model_copy(update={"status": self.fact.status, "checked_at": now, "problem": problem})


def execute_order(
    transaction: Transaction,
    crm: CrmRecords,
    blobs: BlobStore,
    ended: Ended,
    papers: SignedPapers,
    call: CallContext,
    now: datetime,
) -> None:
    """Keeps the papers under their hashes, then adds the execution: papers that no order points to are harmless, an
    executed order without them is not. Raises Invalid and TooLarge for papers that are no PDF."""
    for content in (papers.document, papers.certificate):
        require_pdf(content, MAX_SIGNED)
    order, fact = ended.order, ended.fact
    signature = Signature(
        signatory_name=(fact.signer or order.terms.signatory_name)[:200],
        signed_on=fact.at.date(),
        document=keep_document(blobs, order.id, papers.document),
        sha256=hashlib.sha256(papers.document).hexdigest(),
        size=len(papers.document),
        method=ended.envelope.provider,
        recorded_by=call.principal.id,
        recorded_at=now,
        certificate=keep_document(blobs, order.id, papers.certificate),
        certificate_sha256=hashlib.sha256(papers.certificate).hexdigest(),
        envelope_id=ended.envelope.id,
    )
    execute(transaction, crm, order, signature, call, now, ended.after(now))


def turn_back(transaction: Transaction, ended: Ended, call: CallContext, now: datetime) -> None:
    """The seller changes the terms and resumes, or cancels."""
    why = declined_because(ended.fact)
    to = OrderStatus.CHANGES_REQUESTED
    after = ended.after(now, why)
    move(transaction, ended.order, to, Step.AWAIT_SIGNATURE, call, now, reason=why, envelope=after)


def declined_because(fact: EnvelopeFact) -> str:
    """Why the signatory did not sign."""
    return f"declined by the signatory: {fact.reason or 'no reason was given'}"[:1000]


def end_order(transaction: Transaction, crm: CrmRecords, ended: Ended, call: CallContext, now: datetime) -> None:
    """The order ends and its deal with it."""
    if ended.fact.status is EnvelopeStatus.EXPIRED:
        why = f"nobody signed by {ended.envelope.expires_at.date().isoformat()}: the envelope expired"
    else:
        why = f"the envelope was voided at its provider: {ended.fact.reason or 'no reason was given'}"[:1000]
    move(
        transaction,
        ended.order,
        OrderStatus.CANCELLED,
        Step.AWAIT_SIGNATURE,
        call,
        now,
        outcome=StepOutcome.FAILED,
        reason=why,
        end_reason=why,
        envelope=ended.after(now),
    )
    end_deal(crm, transaction, now, ended.order, "the order form was not signed")
