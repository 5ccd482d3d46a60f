"""Wired money: what a customer's cash balance holds, and how it comes to pay invoices.

Sources: https://docs.stripe.com/payments/customer-balance/reconciliation (which invoices wait for money, and in which
order it reaches them), https://docs.stripe.com/payments/bank-transfers/accept-a-payment (an invoice is paid whole or
not at all; what is left over waits).
"""

from itertools import combinations

from local.simulators.stripe import billing, payments
from local.simulators.stripe.context import Context, Object
from local.simulators.stripe.payment_methods import balance_method

_OVERDUE = 30 * billing.DAY
_GROUP, _OLDEST = 5, 20
"""Most invoices that one sum is matched with; of how many, the oldest, groups are tried."""


def cash_of(ctx: Context, customer: str) -> Object:
    """What is available by currency, and the customer's own mode of reconciliation or None."""
    held: Object = {"available": {}, "mode": None} | (ctx.find("_cash", customer) or {})
    return held


def choose_mode(ctx: Context, customer: str, mode: str) -> None:
    """`automatic`, `manual`, or `merchant_default`, which is automatic. What waits goes on waiting until more comes."""
    own = None if mode == "merchant_default" else mode
    ctx.store.put("_cash", customer, cash_of(ctx, customer) | {"mode": own})


def is_manual(ctx: Context, customer: str) -> bool:
    """Whether money of a customer is applied only on demand."""
    return bool(cash_of(ctx, customer)["mode"] == "manual")


def available(ctx: Context, customer: str, currency: str) -> int:
    """What waits in one currency."""
    return int(cash_of(ctx, customer)["available"].get(currency, 0))


def move_cash(ctx: Context, customer: str, currency: str, amount: int, kind: str, **details: Object) -> Object:
    """Changes a balance by an amount, and says so."""
    held = cash_of(ctx, customer)
    after = held["available"].get(currency, 0) + amount
    ctx.store.put("_cash", customer, held | {"available": {**held["available"], currency: after}})
    moved: Object = {
        "id": ctx.new_id("ccsbtxn_"),
        "object": "customer_cash_balance_transaction",
        "created": ctx.now,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "ending_balance": after,
        "livemode": False,
        "net_amount": amount,
        "type": kind,
        **details,
    }
    ctx.emit("customer_cash_balance_transaction.created", ctx.save(moved))
    return moved


def pay_from_balance(ctx: Context, invoice: Object) -> None:
    """Pays the whole of an open invoice; the balance must suffice."""
    intent = ctx.get("payment_intent", invoice["_intent"])
    applied = {"payment_intent": intent["id"]}
    amount = -invoice["amount_remaining"]
    move_cash(ctx, invoice["customer"], invoice["currency"], amount, "applied_to_payment", applied_to_payment=applied)
    payments.confirm_intent(ctx, intent, balance_method(ctx))


def awaits_money(ctx: Context, invoice: Object) -> bool:
    """An invoice that was sent, that bank transfers may pay, and that nothing else is paying."""
    intent = ctx.find("payment_intent", invoice.get("_intent"))
    return bool(
        invoice["status"] == "open"
        and invoice["collection_method"] == "send_invoice"
        and "customer_balance" in (invoice["payment_settings"]["payment_method_types"] or ())
        and intent is not None
        and intent["status"] in payments.CONFIRMABLE
    )


def reconcile(ctx: Context, customer: str, currency: str, sent: int = 0, reference: str = "") -> None:
    """Applies what is available to the invoices that wait for it, unless the customer's money is applied on demand.

    First the one invoice whose number the transfer names: if it is not covered, the money waits. Without one, the
    smallest group of invoices that is exactly the sum `sent`, or exactly all that is available. What then is left pays
    every invoice it covers, oldest first. One overdue for more than 30 days takes no part.
    """
    if is_manual(ctx, customer):
        return
    waiting = [
        invoice
        for invoice in ctx.all("invoice")
        if (invoice["customer"], invoice["currency"]) == (customer, currency)
        and awaits_money(ctx, invoice)
        and ctx.now <= invoice["due_date"] + _OVERDUE
    ]
    waiting.sort(key=lambda invoice: invoice["status_transitions"]["finalized_at"])
    named = [invoice for invoice in waiting if _same(invoice["number"], reference)]
    if len(named) == 1 and named[0]["amount_remaining"] > available(ctx, customer, currency):
        return
    chosen = named if len(named) == 1 else _exact(waiting, (sent, available(ctx, customer, currency)))
    for invoice in [*chosen, *(other for other in waiting if other not in chosen)]:
        if invoice["amount_remaining"] <= available(ctx, customer, currency):
            pay_from_balance(ctx, invoice)


def _same(number: str, reference: str) -> bool:
    return number.casefold() == reference.strip().casefold()


def _exact(waiting: list[Object], sums: tuple[int, ...]) -> list[Object]:
    """The smallest group that is exactly one of the sums; of several, that of the oldest."""
    for wanted in filter(None, dict.fromkeys(sums)):
        for size in range(1, _GROUP + 1):
            for group in combinations(waiting[:_OLDEST], size):
                if sum(invoice["amount_remaining"] for invoice in group) == wanted:
                    return list(group)
    return []


def _opened(ctx: Context, invoice: Object) -> None:
    """Money that waits pays a new invoice at once, unless its subscription's collection is paused."""
    subscription = billing.subscription_of(ctx, invoice)
    if subscription is None or subscription["pause_collection"] is None:
        reconcile(ctx, invoice["customer"], invoice["currency"])


billing.on_open.append(_opened)
