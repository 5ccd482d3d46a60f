"""`python -m local.simulators.docusign`: serve the DocuSign simulator on loopback."""

import os
import sys

from local.simulators.common import World, run
from local.simulators.docusign.oauth import Identity
from local.simulators.docusign.vendor import Docusign

# Connect tries for fifteen days, ever more rarely; here for some hours.
RETRY = {"first_seconds": 0.5, "factor": 2.0, "longest_seconds": 600.0, "tries": 30, "timeout_seconds": 30.0}


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        sys.exit(f"{name} is not set: the DocuSign simulator needs it in the environment")
    return value


def _make(world: World, webhook_url: str | None) -> Docusign:
    identity = Identity(
        integration_key=_needed("DOCUSIGN_SIM_INTEGRATION_KEY"),
        user_id=_needed("DOCUSIGN_SIM_USER_ID"),
        account_id=_needed("DOCUSIGN_SIM_ACCOUNT_ID"),
        hmac_keys=tuple(_needed("DOCUSIGN_SIM_HMAC_KEYS").split(",")),
    )
    return Docusign(world, webhook_url, identity)


if __name__ == "__main__":
    run(_make, "A stateful DocuSign eSignature API on loopback.", retry=RETRY)
