"""Who is asking, on whose behalf, from where: carried to every use case and written on every change (SAFE-3)."""

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """The roles of SAFE-1, and the one the system itself acts under."""

    ADMIN = "Admin"
    SALES_MANAGER = "Sales Manager"
    SALES_REP = "Sales Rep"
    SDR = "SDR"
    SUPPORT = "Support"
    LEGAL = "Legal"
    FINANCE = "Finance"
    INTEGRATION = "Integration"
    SYSTEM = "System"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who may ask: a user, a machine key or the system.

    `members` are the users whose records count as the principal's team (a manager's reports at any depth, and the
    manager); `scopes` are what an Integration key may do, such as `leads:write`, and `rate_per_minute` how often
    (0: no limit).
    """

    id: str
    role: Role
    team: str = ""
    members: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    rate_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call: the principal and what the audit must know about where the call came from."""

    principal: Principal
    request_id: str = ""
    ip: str = ""
    user_agent: str = ""
    on_behalf_of: str = ""
    causation_id: str = field(default="")


def system_call(name: str, causation_id: str = "", on_behalf_of: str = "") -> CallContext:
    """A call made by the product itself; `name` says which part, for example `score_leads`."""
    return CallContext(
        Principal(f"system:{name}", Role.SYSTEM),
        request_id=causation_id,
        on_behalf_of=on_behalf_of,
        causation_id=causation_id,
    )
