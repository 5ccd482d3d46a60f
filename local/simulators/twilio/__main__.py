"""`python -m local.simulators.twilio`: serve the Twilio simulator on loopback."""

import os
import sys

from local.simulators.common import World, run
from local.simulators.twilio.vendor import Twilio

# Twilio tries a report a few times within seconds; here longer, so that what is down for a while still hears of it.
RETRY = {"first_seconds": 0.5, "factor": 2.0, "longest_seconds": 120.0, "tries": 12, "timeout_seconds": 15.0}


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"{name} is not set: the Twilio simulator needs it in the environment")
    return value


def _make(world: World, webhook_url: str | None) -> Twilio:
    return Twilio(world, webhook_url, _needed("TWILIO_SIM_AUTH_TOKEN"), _needed("TWILIO_SIM_ACCOUNT"))


if __name__ == "__main__":
    run(_make, "Twilio's voice webhooks on loopback.", retry=RETRY)
