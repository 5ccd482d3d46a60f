"""`python -m local.simulators.hubspot`: serve the HubSpot simulator on loopback."""

import os
import sys

from local.simulators.common import World, run
from local.simulators.hubspot.notifications import BATCH
from local.simulators.hubspot.vendor import Hubspot, Identity

# HubSpot tries a notification ten times within 24 hours; here within one.
RETRY = {
    "first_seconds": 0.5,
    "factor": 3.0,
    "longest_seconds": 1_800.0,
    "tries": 10,
    "timeout_seconds": 10.0,
}


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"{name} is not set: the HubSpot simulator needs it in the environment")
    return value


def _number(name: str, default: str | None = None) -> int:
    value = os.environ.get(name, default or "") or _needed(name)
    if not value.isdecimal():
        sys.exit(f"{name} must be a number, as HubSpot's ids are")
    return int(value)


def _make(world: World, webhook_url: str | None) -> Hubspot:
    identity = Identity(
        token=_needed("HUBSPOT_SIM_TOKEN"),
        client_secret=_needed("HUBSPOT_SIM_CLIENT_SECRET"),
        portal_id=_number("HUBSPOT_SIM_PORTAL_ID"),
        app_id=_number("HUBSPOT_SIM_APP_ID", "9300001"),
    )
    return Hubspot(world, webhook_url, identity)


if __name__ == "__main__":
    run(_make, "A stateful HubSpot on loopback.", batch=BATCH, retry=RETRY)
