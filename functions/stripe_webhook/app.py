"""Stripe webhook: proves the sender, stores once, acknowledges. Nothing else."""

from revops.api.billing import add_stripe_webhook_route
from revops.bootstrap import wiring

use = wiring()
api = use.api()
add_stripe_webhook_route(api, use.receive_stripe_event())
handler = api
