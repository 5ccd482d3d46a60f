"""The demo story: one company from first touch to collected cash, told step by step against the deployed stack.

    python -m local.story [--stack FILE]

Everything goes through the doors an outside program would use: HTTP, webhooks, mail, files, schedules. Each step
checks what it prints, and a step that does not come true ends the story with what was expected and where to look.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from local.story.cash import tell_cash
from local.story.leads import tell_leads
from local.story.teller import StoryFailed, Teller

__all__ = ["StoryFailed", "tell"]


def tell(stack: Mapping[str, Any]) -> None:
    """Tells the whole story. Raises StoryFailed at the first step that does not come true."""
    teller = Teller(stack)
    print("\n  From first touch to collected cash")
    run = uuid.uuid4().hex[:6]
    lead = tell_leads(teller, run)
    tell_cash(teller, lead, run)
    print(f"\n  told in {teller.number} steps; every line above was read back from the stack")
