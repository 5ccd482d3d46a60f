"""A stateful stand-in for the Stripe API, version 2026-10-28.endive, with signed webhooks and a clock.

Run it with `python -m local.simulators.stripe --port N --state DIR --webhook-url URL`. The API key comes from
STRIPE_SIM_API_KEY, the signing secrets (comma separated, the first signs) from STRIPE_SIM_WEBHOOK_SECRET.
The JSON file of `--config` may set:

webhook_events   patterns of event types that go to the webhook address (["*"])
dunning_days     days between tries of a failed renewal ([3, 5, 7])
dunning_end      what follows the last try: cancel, unpaid or past_due ("cancel")
test_clock_seconds
                 real seconds in which an advance of a test clock comes to its end (1)
upcoming_days    how long before a renewal it is told of (7; 0 for never)
will_be_due_days the same before a sent invoice is due (7)
retry, parallel  how webhooks are sent (see `common.server.run`)

The clock moves with real time and by `POST /_sim/clock`, for a customer with a test clock by that one alone; webhook
signatures always carry real time. Objects follow the version's contract: periods on subscription items, meters instead
of usage records, an invoice's subscription under `parent`, its payments, a price's tiers and a customer's subscriptions
only on `expand[]`.
"""

from local.simulators.stripe.vendor import API_VERSION, StripeSimulator

__all__ = ["API_VERSION", "StripeSimulator"]
