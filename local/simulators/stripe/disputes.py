"""Disputes: what a cardholder's bank takes back, and how answering or closing one ends it."""

from local.simulators.stripe import payments
from local.simulators.stripe.context import Context, Object, changed, merge_metadata, routes, snapshot
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params, boolean
from local.simulators.stripe.payment_methods import BEHAVIOURS
from local.simulators.stripe.query import in_range, page

_ANSWER_WITHIN = 7 * 86_400
_ENDED = ("lost", "won", "warning_closed", "prevented")


def _follow(ctx: Context, intent: Object) -> None:
    """A charge on a test card that disputes is disputed at once."""
    method = ctx.find("payment_method", intent["payment_method"]) or ctx.find("card", intent["payment_method"])
    status = BEHAVIOURS[method["_behaviour"]].dispute if method else ""
    if status:
        _open(ctx, intent, status)


def _open(ctx: Context, intent: Object, status: str) -> None:
    dispute: Object = {
        "id": ctx.new_id("du_"),
        "object": "dispute",
        "amount": intent["amount"],
        "balance_transactions": [],
        "charge": intent["latest_charge"],
        "created": ctx.now,
        "currency": intent["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": ctx.now + _ANSWER_WITHIN,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": status.startswith("warning"),
        "livemode": False,
        "metadata": {},
        "payment_intent": intent["id"],
        "reason": "fraudulent",
        "status": status,
    }
    charge = ctx.get("charge", intent["latest_charge"])
    charge["disputed"] = True
    ctx.save(charge)
    ctx.emit("charge.dispute.created", ctx.save(dispute))
    if not status.startswith("warning"):
        ctx.emit("charge.dispute.funds_withdrawn", dispute)


payments.on_success.append(_follow)


def _end(ctx: Context, dispute: Object, status: str) -> None:
    before = snapshot(dispute)
    dispute["status"] = status
    ctx.emit("charge.dispute.closed", ctx.save(dispute), changed(before, dispute))
    if status == "won":
        ctx.emit("charge.dispute.funds_reinstated", dispute)


@routes("GET", "/v1/disputes")
def list_disputes(ctx: Context, params: Params) -> Object:
    """Disputes by charge, intent and time."""
    found = [
        held
        for held in ctx.all("dispute")
        if all(params.get(name) in (None, held[name]) for name in ("charge", "payment_intent"))
        and in_range(held["created"], params.get("created"))
    ]
    return page(params, found, "/v1/disputes")


@routes("GET", "/v1/disputes/{dispute}")
def retrieve_dispute(ctx: Context, params: Params, dispute: str) -> Object:
    """One dispute."""
    return ctx.get("dispute", dispute)


@routes("POST", "/v1/disputes/{dispute}")
def update_dispute(ctx: Context, params: Params, dispute: str) -> Object:
    """Answer with evidence; submitted, the test texts `winning_evidence` and `losing_evidence` decide it at once."""
    held = _live(ctx, dispute)
    before = snapshot(held)
    held["metadata"] = merge_metadata(held["metadata"], params.get("metadata"))
    text = (params.get("evidence") or {}).get("uncategorized_text", "")
    if text:
        held["evidence"]["uncategorized_text"] = text
        held["evidence_details"] |= {"has_evidence": True, "submission_count": 1, "submission_method": "manual"}
    ctx.emit("charge.dispute.updated", ctx.save(held), changed(before, held))
    ending = {"winning_evidence": "won", "losing_evidence": "lost"}.get(text)
    if ending and boolean(params.get("submit"), default=True):
        _end(ctx, held, ending)
    return held


@routes("POST", "/v1/disputes/{dispute}/close")
def close_dispute(ctx: Context, params: Params, dispute: str) -> Object:
    """Give in: the money is lost; an inquiry is just closed."""
    held = _live(ctx, dispute)
    _end(ctx, held, "warning_closed" if held["status"].startswith("warning") else "lost")
    return held


def _live(ctx: Context, dispute: str) -> Object:
    held = ctx.get("dispute", dispute)
    if held["status"] in _ENDED:
        raise invalid("This dispute is already closed.", "dispute")
    return held
