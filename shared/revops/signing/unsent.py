"""An envelope whose provider's id is not known yet: it is being sent, was never sent, or its order ended in between."""

from datetime import datetime, timedelta

from revops.kernel import parse_time
from revops.orders.model import OrderForm, Step
from revops.orders.policies.lifecycle import next_step
from revops.orders.store import CREATIONS
from revops.signing.model import WatchedEnvelope
from revops.signing.ports import SignatureProvider
from revops.signing.sending import creation_id, key_prefix, keys_of
from revops.signing.store import ENVELOPES, claim_envelope
from revops.table import Table, Transaction

QUIET = timedelta(minutes=10)
"""After the last attempt to send: no call of it is under way any more, and the provider's lists show what it made."""
NEVER_SENT = "never sent"


def find_unsent(
    table: Table,
    transaction: Transaction,
    watched: WatchedEnvelope,
    order: OrderForm,
    provider: SignatureProvider,
    now: datetime,
    check_at: datetime,
) -> WatchedEnvelope:
    """Adds what is known now: still being sent (looked at again later), never sent (settled), or the id of what was
    sent for an order that has ended since; that one is due at once, to be taken back."""
    found = _look(table, watched, order, provider, now, check_at)
    if found.envelope_id:
        claim_envelope(transaction, watched.provider, found.envelope_id, watched.id)
    ENVELOPES.update(transaction, found)
    return found


def _look(
    table: Table,
    watched: WatchedEnvelope,
    order: OrderForm,
    provider: SignatureProvider,
    now: datetime,
    check_at: datetime,
) -> WatchedEnvelope:
    if next_step(order.status) is Step.REQUEST_SIGNATURE:
        return watched.revised(now, check_at=check_at)  # the workflow is at it
    creation = CREATIONS.get(table, creation_id(watched.id))
    if creation is not None and creation.remote_id:
        return watched.revised(now, envelope_id=creation.remote_id, check_at=now)
    quiet_at = (creation.modified_at if creation else watched.created_at) + QUIET
    if quiet_at > now:
        return watched.revised(now, check_at=quiet_at)
    since = parse_time(creation.request["sent_at"]) if creation else watched.created_at
    keys = keys_of(key_prefix(order.id, watched.number))
    remote_id = provider.find(order.id, watched.number, since, keys) if creation else None
    if remote_id is None:
        return watched.revised(now, settled=NEVER_SENT)
    return watched.revised(now, envelope_id=remote_id, check_at=now)
