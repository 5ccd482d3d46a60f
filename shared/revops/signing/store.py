"""Where envelopes stand.

| item | pk | sk | due | read by |
|---|---|---|---|---|
| envelope | ENVELOPE#<order> | NUMBER#<number> | `envelope` until settled | order; order and number; due |
| claim `envelope` | a provider's envelope → our envelope | | | the provider's id |

An envelope is written before the provider is asked to send one, in a transaction that holds only if its order still
stands as it was read: from then on it is due until it is known how it ended, whatever is lost on the way.
"""

from collections.abc import Iterator

from revops.orders.model import ESignMethod
from revops.signing.model import WatchedEnvelope
from revops.table import EntityKind, Index, Key, Query, Table, Transaction, claim, due_index, holder_of, query_all

DUE_TOPIC = "envelope"
_CLAIM = "envelope"


def watched_id(order_id: str, number: int) -> str:
    """The id of an envelope of ours."""
    return f"{order_id}.{number}"


def _key(identifier: str) -> Key:
    order_id, _, number = identifier.rpartition(".")
    return Key(f"ENVELOPE#{order_id}", f"NUMBER#{int(number):04d}")


def _index(envelope: WatchedEnvelope) -> Index:
    if envelope.settled:
        return {}
    return {"due": due_index(DUE_TOPIC, envelope.check_at, _key(envelope.id))}


ENVELOPES = EntityKind[WatchedEnvelope](
    kind="ENVELOPE", title="envelope", model=WatchedEnvelope, key=_key, index=_index
)


def envelopes_of(table: Table, order_id: str) -> Iterator[WatchedEnvelope]:
    """Every envelope of an order, oldest first, strongly consistent."""
    query = Query(pk=f"ENVELOPE#{order_id}", begins="NUMBER#", consistent=True)
    return (ENVELOPES.load(row) for row in query_all(table, query))


def claim_envelope(transaction: Transaction, provider: ESignMethod, envelope_id: str, identifier: str) -> None:
    """Adds "this envelope of the provider's is that one of ours"."""
    claim(transaction, _CLAIM, f"{provider}\0{envelope_id}", identifier)


def watched_as(table: Table, provider: ESignMethod, envelope_id: str) -> str | None:
    """Which of ours an envelope of the provider's is, strongly consistent."""
    return holder_of(table, _CLAIM, f"{provider}\0{envelope_id}")
