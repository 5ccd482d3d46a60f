"""The one place where ports meet adapters.

A `Wiring` makes each part when it is first asked for, and imports it then: a webhook that verifies and stores must not
pay for loading what converts leads (the cold-start budget of docs/benchmarks.md). It is built in layers, each of which
only knows those below it: ground, crm, channels, imports, signing, cash, sales, reconcile, hubspot, stream, routes.
"""

from functools import cache

from revops.bootstrap.registry import AUDITED, events_of, settings_documents
from revops.bootstrap.routes import Wiring

__all__ = ["AUDITED", "Wiring", "events_of", "settings_documents", "wiring"]


@cache
def wiring() -> Wiring:
    """The wiring of this process, from its environment."""
    return Wiring()
