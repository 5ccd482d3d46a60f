"""`python -m local.simulators.adobe_sign`: serve the Adobe Sign simulator on loopback."""

import os
import sys

from local.simulators.adobe_sign.oauth import Identity
from local.simulators.adobe_sign.vendor import AdobeSign
from local.simulators.common import World, run

# Adobe tries for three days, ever more rarely; here for some hours.
RETRY = {"first_seconds": 0.5, "factor": 2.0, "longest_seconds": 600.0, "tries": 30, "timeout_seconds": 5.0}


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"{name} is not set: the Adobe Sign simulator needs it in the environment")
    return value


def _make(world: World, webhook_url: str | None) -> AdobeSign:
    identity = Identity(
        client_id=_needed("ADOBE_SIGN_SIM_CLIENT_ID"),
        client_secret=_needed("ADOBE_SIGN_SIM_CLIENT_SECRET"),
        refresh_token=_needed("ADOBE_SIGN_SIM_REFRESH_TOKEN"),
    )
    return AdobeSign(world, webhook_url, identity)


if __name__ == "__main__":
    run(_make, "A stateful Adobe Acrobat Sign API on loopback.", retry=RETRY)
