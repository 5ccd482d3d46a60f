"""Manual signing: the signed file comes in, and with it the order is executed (ORD-3, ORD-4)."""

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from revops.access import Policy, Resource
from revops.kernel import BlobStore, CallContext, Clock, Invalid, Refused, TooLarge
from revops.orders.model import Envelope, ESignMethod, OrderForm, OrderStatus, Signature, Step
from revops.orders.moves import commit_move, move
from revops.orders.policies.lifecycle import legal
from revops.orders.ports import CrmRecords, OrderEvidence
from revops.orders.store import ORDERS
from revops.table import Table, Transaction, begin

MAX_DOCUMENT = 5_000_000


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A signed form as handed in: the file itself, or the name of an upload for this order."""

    signatory_name: str
    signed_on: date
    content: bytes = b""
    upload: str = ""


class CaptureSignature:
    """Stores the signed document under its hash and executes the order, in that order: a document that no order
    points to is harmless, an executed order without its document is not."""

    def __init__(self, table: Table, clock: Clock, blobs: BlobStore, crm: CrmRecords, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._blobs = blobs
        self._crm = crm
        self._policy = policy

    def __call__(self, order_id: str, signed: SignedDocument, call: CallContext) -> OrderForm:
        """The executed order; handing the same document in again changes nothing.

        Raises NotFound, Forbidden, Invalid, TooLarge, Refused.
        """
        order = ORDERS.require(self._table, order_id)
        owner_id = self._crm.account(order.account_id).owner_id
        self._policy.require_write(call.principal, Resource.ORDERS, owner_id, f"order form {order_id}")
        content = signed.content or self._blobs.get(upload_name(order_id, signed.upload))
        require_pdf(content)
        digest = hashlib.sha256(content).hexdigest()
        if order.signature is not None and order.signature.sha256 == digest:
            return order
        if order.status is not OrderStatus.AWAITING_SIGNATURE:
            raise Refused(
                f"order {order_id} is {order.status}, not awaiting a signature. "
                f"Possible from here: {legal(order.status)}"
            )
        now = self._clock.now()
        if signed.signed_on > (now + timedelta(days=1)).date():
            raise Invalid.field("signed_on", "not-in-future", "the day of signing lies ahead", "a day up to today")
        signature = Signature(
            signatory_name=signed.signatory_name,
            signed_on=signed.signed_on,
            document=keep_document(self._blobs, order_id, content),
            sha256=digest,
            size=len(content),
            method=ESignMethod.MANUAL,
            recorded_by=call.principal.id,
            recorded_at=now,
        )
        transaction = begin(call, now)
        moved = execute(transaction, self._crm, order, signature, call, now)
        return commit_move(self._table, transaction, moved)


def execute(
    transaction: Transaction,
    crm: CrmRecords,
    order: OrderForm,
    signature: Signature,
    call: CallContext,
    now: datetime,
    envelope: Envelope | None = None,
) -> OrderForm:
    """Adds the execution of an order: its signature, with the envelope it came in, and the signed dates on its deal
    (ORD-2). Raises Refused unless the order awaits one."""
    to, step = OrderStatus.EXECUTED, Step.AWAIT_SIGNATURE
    came_in = envelope or order.envelope
    came = f"envelope {envelope.id} completed" if envelope else ""
    reason = "; ".join(filter(None, (came, signed_by_another(order, signature))))
    moved = move(transaction, order, to, step, call, now, reason=reason, signature=signature, envelope=came_in)
    evidence = OrderEvidence(order.id, signature.sha256, signature.signed_on)
    if order.opportunity_id:
        crm.record_signature(transaction, now, order.opportunity_id, evidence)
    return moved


def signed_by_another(order: OrderForm, signature: Signature) -> str:
    """That somebody else signed than the form names, in words; empty where it is the same name. Who signs for a company
    is the company's matter, so it holds nothing up, and whoever looks at the order sees it."""
    names = (signature.signatory_name, order.terms.signatory_name)
    folded = [sorted(unicodedata.normalize("NFKC", name).casefold().split()) for name in names]
    return f"signed by {names[0]}; the form names {names[1]}" if folded[0] != folded[1] else ""


def keep_document(blobs: BlobStore, order_id: str, content: bytes) -> str:
    """Stores a document of an order under its hash and tells where."""
    name = f"signed/{order_id}/{hashlib.sha256(content).hexdigest()}.pdf"
    blobs.put(name, content, "application/pdf")
    return name


def upload_name(order_id: str, upload: str) -> str:
    """Where an upload for an order stands. The order's id is part of the name, so nobody can point at another's."""
    if not upload or not upload.replace("-", "").replace("_", "").replace(".", "").isalnum() or ".." in upload:
        raise Invalid.field("upload", "upload-name", "not the name of an upload", "letters, digits, '-', '_' and '.'")
    return f"signed/uploads/{order_id}/{upload}"


def require_pdf(content: bytes, most: int = MAX_DOCUMENT) -> None:
    """Raises TooLarge, and Invalid for what is no PDF."""
    if len(content) > most:
        raise TooLarge(f"the document has {len(content)} bytes; at most {most}")
    if not content.startswith(b"%PDF-"):
        raise Invalid.field("document", "pdf", "not a PDF: it does not begin with %PDF-", "a PDF file, base64-encoded")
