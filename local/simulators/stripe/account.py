"""The account behind the API key."""

from local.simulators.stripe.context import Context, Object, routes
from local.simulators.stripe.forms import Params


@routes("GET", "/v1/account")
def retrieve_account(ctx: Context, params: Params) -> Object:
    """The simulator's own account: one per state folder."""
    held = ctx.all("account")
    if held:
        return held[0]
    return ctx.save(
        {
            "id": ctx.new_id("acct_")[:21],
            "object": "account",
            "business_type": "company",
            "charges_enabled": True,
            "country": "GB",
            "created": ctx.now,
            "default_currency": "gbp",
            "details_submitted": True,
            "email": None,
            "metadata": {},
            "payouts_enabled": True,
            "type": "standard",
        }
    )
