"""Where the records after a sale stand.

| item | pk | sk | gsi1 | gsi2 | due |
|---|---|---|---|---|---|
| sales order | SALE#<id> | SALE | SALES#ACCOUNT#<account> / placed | | |
| invoice | INVOICE#<id> | INVOICE | INVOICES#ACCOUNT#<account> / issued | INVOICES#<status>#<shard> / due | `dunning` |
| payment | PAYMENT#<id> | PAYMENT | PAYMENTS#ACCOUNT#<account> / paid on | | |
| credit | CREDIT#<id> | CREDIT | CREDITS#ACCOUNT#<account> / issued | | |
| credit request | CREDITREQUEST#<id> | REQUEST | | | `credit` |
| renewal | RENEWAL#<id> | RENEWAL | RENEWALS#OWNER#<owner> / ends | RENEWALS#<status>#<shard> / ends | `renewal` |
| renewals of an account | | | RENEWALS#ACCOUNT#<account> / ends (gsi3) | | |
| upsell | UPSELL#<id> | UPSELL | UPSELLS#ACCOUNT#<account> / opened | | |
| entry in an account's books | BOOKS#<account> | <invoice, payment or credit> | | | |
| mirror of a payer | MIRROR#<sha256 of the payer> | FENCE | | | `mirror` |
| sequence | SEQUENCE#sales_order#<year> | SEQUENCE | | | |
| claim `sales_subscription` | a subscription → its first sales order | | | | |

The books say what each invoice, payment and credit does to an account's balance. An entry is written in the transaction
of its record and read strongly consistent in one query: a statement is money, so it reads no index (R22). A record
whose payer belongs to no account yet has no entry; the next mirroring after it was linked writes it.

A number is the version of its year's sequence, one on in the transaction of the sales order: no gap, no repeat. All
sales orders of a year pass through that item, which bears about 25 a second.

The mirror's fence is one version on with everything that is written of a payer, and with a mirroring that found nothing
to write: what was fetched before somebody else's commit must never be written after it (R2).
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from revops.kernel import parse_time, time_text
from revops.sales.model import (
    Credit,
    CreditRequest,
    Invoice,
    InvoiceStatus,
    Payment,
    Renewal,
    RenewalStatus,
    SalesOrder,
    Source,
    Upsell,
)
from revops.table import (
    ABSENT,
    ANYTHING,
    EntityKind,
    Index,
    Key,
    Query,
    Row,
    Table,
    Transaction,
    due_index,
    query_all,
    shard_of,
)

DUNNING, CREDITING, RENEWING, MIRRORING = "dunning", "credit", "renewal", "mirror"
"""Topics of the due index."""
SUBSCRIPTION = "sales_subscription"
SEQUENCE, MIRROR, BOOK = "SALES_SEQUENCE", "SALES_MIRROR", "BOOK_ENTRY"
SHARDS = 4
MIRROR_EVERY = timedelta(hours=24)
MIRROR_AGAIN = timedelta(hours=1)
"""When a payer that was handed over for mirroring is handed over again, unless it was mirrored."""


def remote_id(prefix: str, source: str) -> str:
    """The id of the one record of something at Stripe."""
    digest = hashlib.sha256(f"stripe\0{source}".encode()).digest()
    return f"{prefix}_{base64.b32encode(digest).decode()[:26]}"


def sales_order_id(order_id: str) -> str:
    """The id of the one sales order of an order form."""
    return "SO_" + order_id.removeprefix("ORD_")


def renewal_id(order_id: str, starts_on: date) -> str:
    """The id of the one renewal of a term of an order form."""
    return f"REN_{order_id.removeprefix('ORD_')}_{starts_on:%Y%m%d}"


# -- records ---------------------------------------------------------------------------------------------------------


def _sales_index(order: SalesOrder) -> Index:
    return {"gsi1": (f"SALES#ACCOUNT#{order.account_id}", f"{time_text(order.created_at)}#{order.id}")}


def invoice_key(identifier: str) -> Key:
    """Where an invoice stands."""
    return Key(f"INVOICE#{identifier}", "INVOICE")


def _invoice_index(invoice: Invoice) -> Index:
    due = time_text(invoice.due_at or invoice.issued_at)
    shard = shard_of(invoice.id, SHARDS)
    index = {"gsi2": (f"INVOICES#{invoice.status}#{shard}", f"{due}#{invoice.id}")}
    if invoice.account_id:
        issued = f"{time_text(invoice.issued_at)}#{invoice.id}"
        index["gsi1"] = (f"INVOICES#ACCOUNT#{invoice.account_id}", issued)
    if invoice.owed and invoice.dun_at is not None:
        index["due"] = due_index(DUNNING, invoice.dun_at, invoice_key(invoice.id))
    return index


def _payment_index(payment: Payment) -> Index:
    if not payment.account_id:
        return {}
    return {"gsi1": (f"PAYMENTS#ACCOUNT#{payment.account_id}", f"{payment.paid_on.isoformat()}#{payment.id}")}


def _credit_index(credit: Credit) -> Index:
    if not credit.account_id:
        return {}
    return {"gsi1": (f"CREDITS#ACCOUNT#{credit.account_id}", f"{time_text(credit.issued_at)}#{credit.id}")}


def request_key(identifier: str) -> Key:
    """Where a credit request stands."""
    return Key(f"CREDITREQUEST#{identifier}", "REQUEST")


def _request_index(request: CreditRequest) -> Index:
    if request.check_at is None:
        return {}
    return {"due": due_index(CREDITING, request.check_at, request_key(request.id))}


def renewal_key(identifier: str) -> Key:
    """Where a renewal stands."""
    return Key(f"RENEWAL#{identifier}", "RENEWAL")


def _renewal_index(renewal: Renewal) -> Index:
    ends = f"{renewal.ends_on.isoformat()}#{renewal.id}"
    index = {
        "gsi2": (f"RENEWALS#{renewal.status}#{shard_of(renewal.id, SHARDS)}", ends),
        "gsi3": (f"RENEWALS#ACCOUNT#{renewal.account_id}", ends),
    }
    if renewal.status is RenewalStatus.OPEN:
        index["gsi1"] = (f"RENEWALS#OWNER#{renewal.owner_id}", ends)
    if renewal.look_at is not None:
        index["due"] = due_index(RENEWING, renewal.look_at, renewal_key(renewal.id))
    return index


def _upsell_index(upsell: Upsell) -> Index:
    return {"gsi1": (f"UPSELLS#ACCOUNT#{upsell.account_id}", f"{time_text(upsell.created_at)}#{upsell.id}")}


SALES_ORDERS = EntityKind[SalesOrder](
    kind="SALES_ORDER",
    title="sales order",
    model=SalesOrder,
    key=lambda identifier: Key(f"SALE#{identifier}", "SALE"),
    index=_sales_index,
)
INVOICES = EntityKind[Invoice](kind="INVOICE", title="invoice", model=Invoice, key=invoice_key, index=_invoice_index)
PAYMENTS = EntityKind[Payment](
    kind="PAYMENT",
    title="payment",
    model=Payment,
    key=lambda identifier: Key(f"PAYMENT#{identifier}", "PAYMENT"),
    index=_payment_index,
)
CREDITS = EntityKind[Credit](
    kind="CREDIT",
    title="credit",
    model=Credit,
    key=lambda identifier: Key(f"CREDIT#{identifier}", "CREDIT"),
    index=_credit_index,
)
CREDIT_REQUESTS = EntityKind[CreditRequest](
    kind="CREDIT_REQUEST", title="credit request", model=CreditRequest, key=request_key, index=_request_index
)
RENEWALS = EntityKind[Renewal](kind="RENEWAL", title="renewal", model=Renewal, key=renewal_key, index=_renewal_index)
UPSELLS = EntityKind[Upsell](
    kind="UPSELL",
    title="upsell",
    model=Upsell,
    key=lambda identifier: Key(f"UPSELL#{identifier}", "UPSELL"),
    index=_upsell_index,
)


# -- lists: closed, each with its index ------------------------------------------------------------------------------


def sales_orders_of(account_id: str) -> dict[str, Query]:
    """An account's sales orders, newest first."""
    return {"account": Query(pk=f"SALES#ACCOUNT#{account_id}", index="gsi1", descending=True)}


def invoices_of(account_id: str) -> dict[str, Query]:
    """An account's invoices, newest first."""
    return {"account": Query(pk=f"INVOICES#ACCOUNT#{account_id}", index="gsi1", descending=True)}


def invoices_in(status: InvoiceStatus) -> dict[str, Query]:
    """Everybody's invoices of a status, the longest due first."""
    return {str(shard): Query(pk=f"INVOICES#{status}#{shard}", index="gsi2") for shard in range(SHARDS)}


def payments_of(account_id: str) -> dict[str, Query]:
    """An account's payments, newest first."""
    return {"account": Query(pk=f"PAYMENTS#ACCOUNT#{account_id}", index="gsi1", descending=True)}


def credits_of(account_id: str) -> dict[str, Query]:
    """An account's credit notes, refunds and chargebacks, newest first."""
    return {"account": Query(pk=f"CREDITS#ACCOUNT#{account_id}", index="gsi1", descending=True)}


def renewals_of_owners(owners: frozenset[str], until: date) -> dict[str, Query]:
    """The renewals that still wait for something, of some owners, the next to end first."""
    high = f"{until.isoformat()}~"
    return {owner: Query(pk=f"RENEWALS#OWNER#{owner}", index="gsi1", high=high) for owner in sorted(owners)}


def renewals_in(status: str, until: date) -> dict[str, Query]:
    """Everybody's renewals of a status, the next to end first."""
    high = f"{until.isoformat()}~"
    return {str(shard): Query(pk=f"RENEWALS#{status}#{shard}", index="gsi2", high=high) for shard in range(SHARDS)}


def renewals_of(table: Table, account_id: str) -> list[Renewal]:
    """Every term of an account, the first to end first."""
    query = Query(pk=f"RENEWALS#ACCOUNT#{account_id}", index="gsi3", documents=False, limit=100)
    keys = [row.key for row in query_all(table, query)]
    return RENEWALS.load_all(table.get_many(keys)) if keys else []


def upsells_of(table: Table, account_id: str, limit: int = 50) -> list[Upsell]:
    """The latest deals that were opened for an account, newest first."""
    query = Query(pk=f"UPSELLS#ACCOUNT#{account_id}", index="gsi1", descending=True, limit=limit, documents=False)
    keys = [row.key for row in table.query(query).rows]
    return UPSELLS.load_all(table.get_many(keys)) if keys else []


def open_by_hand(table: Table, account_id: str, currency: str) -> list[Invoice]:
    """An account's open invoices by hand in a currency, the longest due first. Found in the books, so that one that was
    entered just now is among them."""
    owed = [entry.record_id for entry in books_of(table, account_id) if entry.open and entry.currency == currency]
    rows = [row for start in range(0, len(owed), 100) for row in _invoices(table, owed[start : start + 100])]
    found = [one for one in INVOICES.load_all(rows) if one.source is Source.MANUAL and one.owed]
    return sorted(found, key=lambda one: (one.due_at or one.issued_at, one.id))


def _invoices(table: Table, identifiers: list[str]) -> list[Row | None]:
    return table.get_many([invoice_key(identifier) for identifier in identifiers])


def running_term(table: Table, term_id: str) -> Renewal | None:
    """The term that followed all others after this one, strongly consistent."""
    term = RENEWALS.get(table, term_id) if term_id else None
    while term is not None and term.next_id:
        term = RENEWALS.require(table, term.next_id)
    return term


# -- numbers ---------------------------------------------------------------------------------------------------------


def take_number(table: Table, transaction: Transaction, year: int) -> str:
    """The next number of a year, in the caller's transaction; the commit fails when somebody else took it."""
    key = sequence_key(year)
    row = table.get(key)
    number = (row.version if row else 0) + 1
    transaction.put(Row(pk=key.pk, sk=key.sk, kind=SEQUENCE, version=number), row.version if row else ABSENT)
    return f"SO-{year}-{number:06d}"


def sequence_key(year: int) -> Key:
    """Where the last number of a year stands."""
    return Key(f"SEQUENCE#sales_order#{year}", "SEQUENCE")


# -- the books -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BookEntry:
    """What a record does to an account's balance: `billed` and `refunded` raise it, `paid` and `credited` lower it.
    `overdue_from` is when what is still open of an invoice was to be paid."""

    record_id: str
    on: str
    text: str
    currency: str
    billed: int = 0
    paid: int = 0
    credited: int = 0
    refunded: int = 0
    unapplied: int = 0
    open: int = 0
    overdue_from: str = ""
    stage: str = ""

    @property
    def balance(self) -> int:
        return self.billed - self.paid - self.credited + self.refunded


def enter(transaction: Transaction, account_id: str, entry: BookEntry | None, record_id: str) -> None:
    """Adds what a record does to an account's balance, or that it does nothing. The record's own version, in the same
    transaction, keeps two writers apart."""
    if not account_id:
        return
    key = Key(f"BOOKS#{account_id}", record_id)
    if entry is None:
        transaction.delete(key)
        return
    facts = {name: getattr(entry, name) for name in BookEntry.__slots__}
    doc = json.dumps({name: value for name, value in facts.items() if value})
    transaction.put(Row(pk=key.pk, sk=key.sk, kind=BOOK, doc=doc), ANYTHING)


def books_of(table: Table, account_id: str) -> Iterator[BookEntry]:
    """Every entry of an account's books, strongly consistent."""
    for row in query_all(table, Query(pk=f"BOOKS#{account_id}", limit=500, consistent=True)):
        yield BookEntry(**json.loads(row.doc))


# -- the mirror ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MirrorState:
    """How a payer's mirror stands: its fence, and when the fetching began that it rests on."""

    fence: int = 0
    payer: str = ""
    fetched_at: datetime | None = None


def mirror_key(payer: str) -> Key:
    """Where a payer's mirror stands."""
    return Key(f"MIRROR#{hashlib.sha256(payer.encode()).hexdigest()[:40]}", "FENCE")


def mirror_state(row: Row | None) -> MirrorState:
    """The state in a mirror's row."""
    if row is None:
        return MirrorState()
    doc = json.loads(row.doc)
    fetched = doc.get("fetched_at")
    return MirrorState(row.version, str(doc["payer"]), parse_time(fetched) if fetched else None)


def pass_mirror(transaction: Transaction, payer: str, seen: int, fetched_at: datetime | None, again: datetime) -> None:
    """Adds "nobody mirrored this payer since `seen`", and when it is mirrored again without a signal."""
    key = mirror_key(payer)
    doc = {"payer": payer} | ({"fetched_at": time_text(fetched_at)} if fetched_at else {})
    due = {"due": due_index(MIRRORING, again, key)}
    row = Row(pk=key.pk, sk=key.sk, kind=MIRROR, version=seen + 1, doc=json.dumps(doc), index=due)
    transaction.put(row, seen or ABSENT)


def midnight(day: date) -> datetime:
    """The first moment of a day, UTC."""
    return datetime.combine(day, time(), UTC)
