"""The demo story: one company from first touch to collected cash, told step by step against the deployed stack.

    python -m local.story [--stack FILE]

Everything goes through the doors an outside program would use: HTTP, webhooks, mail, files, schedules. Each step
checks what it prints, and a step that does not come true ends the story with what was expected and where to look.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import httpx

from local.story.cash import tell_cash
from local.story.leads import tell_leads
from local.story.teller import StoryFailed, Teller

__all__ = ["StoryFailed", "tell"]


VENDORS = ("stripe", "hubspot", "whatsapp", "twilio", "docusign", "adobe_sign", "mail")
"""Whose simulators the story plays with: it writes as a customer, signs, lets cards fail and moves the clock."""


def tell(stack: Mapping[str, Any]) -> bool:
    """Tells the whole story and is True; with a real vendor, says that it cannot.

    Raises StoryFailed at a step that does not come true.
    """
    if real := [vendor for vendor in VENDORS if not stack[vendor]["simulator_url"]]:
        print(f"\n  no story: it is told with simulators, and {', '.join(real)} is the real one (.env)")
        return False
    print("\n  From first touch to collected cash")
    teller, run = Teller(stack), uuid.uuid4().hex[:6]
    try:
        lead = tell_leads(teller, run)
        tell_cash(teller, lead, run)
    except httpx.HTTPError as error:
        raise StoryFailed(f"{type(error).__name__}: {error}") from error
    print(f"\n  told in {teller.number} steps; every line above was read back from the stack")
    return True
