"""Sending a form out for signature, exactly once (ORD-3).

The envelope is written down before the provider is asked, and only while the order still stands as it was read. So a
form that was sent is always looked after: when the order ends in between, whoever looks at the envelope finds out what
was sent and takes it back.
"""

import hashlib
from datetime import datetime, timedelta

from revops.kernel import BlobStore, CallContext, Clock, Refused, parse_time, time_text
from revops.orders.model import Envelope, ESignMethod, OrderForm
from revops.orders.ports import OrderDocument, ProvisioningRefused
from revops.orders.provisioning.create_once import CreateOnce, Request
from revops.orders.store import CREATIONS, ORDERS
from revops.settings import SettingsReader
from revops.signing.model import EnvelopeRequest, WatchedEnvelope
from revops.signing.policies import SigningRules
from revops.signing.ports import EnvelopeRefused, SignatureProvider
from revops.signing.store import ENVELOPES, claim_envelope, watched_id
from revops.table import Table, Transaction, begin


def creation_id(identifier: str) -> str:
    """Under which name the creation of an envelope is kept."""
    return f"ENVELOPE#{identifier}"


def key_prefix(order_id: str, number: int) -> str:
    """The keys of an envelope's creation, `v{n}` to be filled in."""
    return f"of:{order_id}:v{{n}}:signature-{number}"


def keys_of(prefix: str) -> tuple[str, ...]:
    """The keys that may have been used. Each lasts for 23 hours, and the workflow gives up long before the last."""
    return tuple(prefix.replace("{n}", str(number)) for number in range(1, 9))


class SendForSignature:
    """`SignatureSender` over one e-sign provider."""

    def __init__(
        self,
        method: ESignMethod,
        provider: SignatureProvider,
        documents: OrderDocument,
        table: Table,
        clock: Clock,
        blobs: BlobStore,
        settings: SettingsReader,
    ) -> None:
        self._method = method
        self._provider = provider
        self._documents = documents
        self._table = table
        self._clock = clock
        self._blobs = blobs
        self._settings = settings
        self._create_once = CreateOnce(table, clock)

    def send(self, order: OrderForm, call: CallContext) -> Envelope:
        """The one envelope of this round: a form that was declined and changed gets another.

        Raises Unavailable and OutcomeUnknown (try again), ProvisioningRefused (for good), and ConditionFailed when the
        order moved on meanwhile.
        """
        number = order.envelope.number + 1 if order.envelope else 1
        watched = self._watched(order, number, call)
        name, prefix = creation_id(watched.id), key_prefix(order.id, number)
        envelope_id = self._create_once(
            name,
            prefix,
            call,
            freeze=lambda: self._freeze(order),
            find=lambda request: self._provider.find(order.id, number, parse_time(request["sent_at"]), keys_of(prefix)),
            create=lambda request, key: self._create(order, number, request, key),
        )
        request = CREATIONS.require(self._table, name).request
        sent_at = parse_time(request["sent_at"])
        return Envelope(
            provider=self._method,
            id=envelope_id,
            number=number,
            sent_at=sent_at,
            expires_at=sent_at + timedelta(days=request["expires_after_days"]),
            checked_at=self._clock.now(),
        )

    def watch(self, transaction: Transaction, order: OrderForm, envelope: Envelope, now: datetime) -> None:
        """From the moment its id stands on the order, a webhook finds the way to it."""
        watched = ENVELOPES.require(self._table, watched_id(order.id, envelope.number))
        if watched.envelope_id != envelope.id:
            claim_envelope(transaction, envelope.provider, envelope.id, watched.id)
        check_at = now + self._settings.read(SigningRules).check_after
        ENVELOPES.update(transaction, watched.revised(now, envelope_id=envelope.id, check_at=check_at))

    def _watched(self, order: OrderForm, number: int, call: CallContext) -> WatchedEnvelope:
        identifier = watched_id(order.id, number)
        watched = ENVELOPES.get(self._table, identifier)
        if watched is not None:
            return watched
        now = self._clock.now()
        watched = WatchedEnvelope(
            id=identifier,
            created_at=now,
            modified_at=now,
            order_id=order.id,
            number=number,
            provider=self._method,
            check_at=now + self._settings.read(SigningRules).check_after,
        )
        transaction = begin(call, now)
        transaction.check(ORDERS.key(order.id), order.version)
        ENVELOPES.create(transaction, watched)
        self._table.commit(transaction)
        return watched

    def _freeze(self, order: OrderForm) -> Request:
        """What is sent, whatever happens in between: the very bytes, kept under their hash, and the rules of now.

        Names and addresses are the order's own: its terms stand while it is being sent.
        """
        rules = self._settings.read(SigningRules)
        content = self._documents.pdf(order)
        if not content.startswith(b"%PDF-"):
            raise Refused("the order form could not be made into a PDF")
        document = f"forms/{order.id}/{hashlib.sha256(content).hexdigest()}.pdf"
        self._blobs.put(document, content, "application/pdf")
        return {
            "document": document,
            "title": rules.title,
            "message": rules.message,
            "sent_at": time_text(self._clock.now()),
            "expires_after_days": rules.expires_after_days,
            "remind_after_days": rules.remind_after_days,
        }

    def _create(self, order: OrderForm, number: int, request: Request, key: str) -> str:
        wanted = EnvelopeRequest(
            order_id=order.id,
            number=number,
            title=request["title"],
            message=request["message"],
            signatory_name=order.terms.signatory_name,
            signatory_email=order.terms.contact_email,
            document=self._blobs.get(request["document"]),
            sent_at=parse_time(request["sent_at"]),
            expires_after_days=request["expires_after_days"],
            remind_after_days=request["remind_after_days"],
        )
        try:
            return self._provider.send(wanted, key)
        except EnvelopeRefused as error:  # what CreateOnce knows a final no by
            raise ProvisioningRefused(error.detail) from error
