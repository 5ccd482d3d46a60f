"""Granted credit as invoices draw it down: what is left of a grant, which grants a line takes, what a voided invoice
gives back.

Sources: https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits (metered lines of subscriptions,
after discounts, when the invoice is finalised; which grant goes first),
https://docs.stripe.com/api/billing/credit-balance-transaction/object.
"""

from local.simulators.stripe.context import Context, Object

_KIND = "billing.credit_balance_transaction"


def left_of(ctx: Context, grant: Object) -> int:
    """What was granted and given back, less what was taken."""
    moves = [moved for moved in ctx.all(_KIND) if moved["credit_grant"] == grant["id"]]
    return sum(_value(moved["credit"]) - _value(moved["debit"]) for moved in moves)


def _value(side: Object | None) -> int:
    return int(side["amount"]["monetary"]["value"]) if side else 0


def move_credit(ctx: Context, grant: Object, side: str, kind: str, amount: int, **details: Object) -> Object:
    """Changes what is left of a grant, and says so."""
    money = {"currency": grant["amount"]["monetary"]["currency"], "value": amount}
    granted = kind == "credits_granted"
    moved: Object = {
        "id": ctx.new_id("cbtxn_"),
        "object": _KIND,
        "created": ctx.now,
        "credit": None,
        "credit_grant": grant["id"],
        "debit": None,
        "effective_at": grant["effective_at"] if granted else ctx.now,
        "livemode": False,
        "test_clock": ctx.clock_id,
        "type": side,
        side: {"amount": {"monetary": money, "type": "monetary"}, "type": kind, **details},
    }
    ctx.emit(f"{_KIND}.created", ctx.save(moved))
    return moved


def is_live(ctx: Context, grant: Object) -> bool:
    """Whether a grant may be drawn from now."""
    ended = grant["expires_at"] is not None and grant["expires_at"] <= ctx.now
    return grant["voided_at"] is None and not ended and bool(grant["effective_at"] <= ctx.now)


def draw_credit(ctx: Context, invoice: Object) -> None:
    """Each metered line takes what the customer's grants have for it. The totals are to be worked out again."""
    grants = [
        grant
        for grant in ctx.all("billing.credit_grant")
        if grant["customer"] == invoice["customer"]
        and grant["amount"]["monetary"]["currency"] == invoice["currency"]
        and is_live(ctx, grant)
    ]
    for line in invoice["lines"]["data"]:
        if not line.get("_usage"):
            continue
        for grant in sorted(grants, key=_turn):
            owed = line["amount"] - sum(entry["amount"] for entry in line["pretax_credit_amounts"])
            taken = min(owed, left_of(ctx, grant)) if _fits(grant, line) else 0
            if taken > 0:
                place = {"invoice": invoice["id"], "invoice_line_item": line["id"]}
                moved = move_credit(ctx, grant, "debit", "credits_applied", taken, credits_applied=place)
                line["pretax_credit_amounts"].append(
                    {"amount": taken, "credit_balance_transaction": moved["id"], "type": "credit_balance_transaction"}
                )


def _turn(grant: Object) -> tuple[int, float, bool, int, int]:
    """By priority; then what expires first, what was given for nothing, what was to be used first, what is oldest."""
    ends = float("inf") if grant["expires_at"] is None else grant["expires_at"]
    return grant["priority"], ends, grant["category"] != "promotional", grant["effective_at"], grant["created"]


def _fits(grant: Object, line: Object) -> bool:
    prices = grant["applicability_config"]["scope"].get("prices")
    return not prices or line["pricing"]["price_details"]["price"] in [price["id"] for price in prices]


def give_back(ctx: Context, invoice: Object) -> None:
    """A voided invoice returns what it took, to the grants that still count."""
    for moved in ctx.all(_KIND):
        place = (moved["debit"] or {}).get("credits_applied")
        grant = ctx.get("billing.credit_grant", moved["credit_grant"])
        if place and place["invoice"] == invoice["id"] and is_live(ctx, grant):
            kind = "credits_application_invoice_voided"
            move_credit(ctx, grant, "credit", kind, _value(moved["debit"]), **{kind: place})
