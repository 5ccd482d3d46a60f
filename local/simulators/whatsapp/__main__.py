"""`python -m local.simulators.whatsapp`: serve the WhatsApp simulator on loopback."""

import os
import sys

from local.simulators.common import World, run
from local.simulators.whatsapp.vendor import Whatsapp
from local.simulators.whatsapp.webhooks import BATCH, Identity

# Meta tries for seven days, ever more rarely; here for some hours.
RETRY = {"first_seconds": 0.5, "factor": 2.0, "longest_seconds": 600.0, "tries": 30, "timeout_seconds": 10.0}


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"{name} is not set: the WhatsApp simulator needs it in the environment")
    return value


def _make(world: World, webhook_url: str | None) -> Whatsapp:
    identity = Identity(
        token=_needed("WHATSAPP_SIM_TOKEN"),
        app_secret=_needed("WHATSAPP_SIM_APP_SECRET"),
        verify_token=_needed("WHATSAPP_SIM_VERIFY_TOKEN"),
        number_id=_needed("WHATSAPP_SIM_NUMBER_ID"),
        number=_needed("WHATSAPP_SIM_NUMBER"),
        account=_needed("WHATSAPP_SIM_ACCOUNT"),
    )
    return Whatsapp(world, webhook_url, identity)


if __name__ == "__main__":
    run(_make, "A stateful WhatsApp Cloud API on loopback.", batch=BATCH, retry=RETRY)
