"""Command line of the Stripe simulator."""

from local.simulators.common import run
from local.simulators.stripe.vendor import StripeSimulator

if __name__ == "__main__":
    run(StripeSimulator.from_environment, "Stripe simulator (API 2026-10-28.endive)")
