"""The access matrix of SAFE-1 as data, and the one policy that reads it.

Readable but not writable is Forbidden (403); not readable is NotFound (404), the same as not there (S1).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from revops.kernel import Forbidden, NotFound, Principal, Role

UNASSIGNED = "queue:unassigned"
"""The owner of a lead that nobody was there to take (CAP-12). It waits for every team alike: whoever hands leads out
within a team reaches it, and so do admins."""


TENANT_SCOPE = "tenant:write"
"""What a key needs to acknowledge tenants."""


class Resource(StrEnum):
    """The columns of the matrix. Orders, tickets, tasks and the timeline follow their account."""

    LEADS = "leads"
    ACCOUNTS = "accounts"
    CONTACTS = "contacts"
    OPPORTUNITIES = "opportunities"
    ACTIVITIES = "activities"
    ORDERS = "orders"
    BILLING = "billing"
    TICKETS = "tickets"
    SETTINGS = "settings"
    AUDIT = "audit"


class Reach(StrEnum):
    """How far a right goes: nobody's, one's own, one's team's, everybody's records."""

    NONE = "none"
    OWN = "own"
    TEAM = "team"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a role may do with a resource. `review` is Legal's right to decide on an order without changing it;
    `of` narrows the audit to the entries of some resources."""

    read: Reach = Reach.NONE
    write: Reach = Reach.NONE
    review: bool = False
    of: frozenset[Resource] = frozenset(Resource)


_NONE = Grant()
_FULL = Grant(Reach.ALL, Reach.ALL, review=True)
_VIEW = Grant(Reach.ALL)
_TEAM = Grant(Reach.TEAM, Reach.TEAM)
_TEAM_VIEW = Grant(Reach.TEAM)
_OWN = Grant(Reach.OWN, Reach.OWN)
_OWN_VIEW = Grant(Reach.OWN)

_COLUMNS = (
    Resource.LEADS,
    Resource.ACCOUNTS,
    Resource.CONTACTS,
    Resource.OPPORTUNITIES,
    Resource.ACTIVITIES,
    Resource.ORDERS,
    Resource.BILLING,
    Resource.TICKETS,
    Resource.SETTINGS,
    Resource.AUDIT,
)


def _row(*grants: Grant) -> Mapping[Resource, Grant]:
    return dict(zip(_COLUMNS, grants, strict=True))


MATRIX: Mapping[Role, Mapping[Resource, Grant]] = {
    Role.ADMIN: _row(_FULL, _FULL, _FULL, _FULL, _FULL, _FULL, _FULL, _FULL, _FULL, _VIEW),
    Role.SALES_MANAGER: _row(
        _TEAM,
        _TEAM,
        _TEAM,
        _TEAM,
        _TEAM,
        _TEAM,
        _TEAM_VIEW,
        _TEAM_VIEW,
        _NONE,  # of settings and users only the absences of the own team: `may_set_absence`
        _TEAM_VIEW,
    ),
    Role.SALES_REP: _row(_OWN, _OWN, _OWN, _OWN, _OWN, _OWN, _OWN_VIEW, _OWN_VIEW, _NONE, _OWN_VIEW),
    Role.SDR: _row(
        _OWN,
        _VIEW,
        _VIEW,
        _VIEW,
        _VIEW,
        _NONE,
        _NONE,
        _VIEW,
        _NONE,
        Grant(Reach.OWN, of=frozenset({Resource.LEADS})),
    ),
    Role.SUPPORT: _row(_VIEW, _VIEW, _VIEW, _VIEW, _FULL, _VIEW, _VIEW, _FULL, _NONE, _NONE),
    Role.LEGAL: _row(
        _NONE,
        _VIEW,
        _VIEW,
        _VIEW,
        _OWN,
        Grant(Reach.ALL, review=True),
        _NONE,
        _NONE,
        _NONE,
        Grant(Reach.ALL, of=frozenset({Resource.ORDERS})),
    ),
    Role.FINANCE: _row(
        _NONE,
        _VIEW,
        _VIEW,
        _VIEW,
        _OWN,
        _VIEW,
        _FULL,
        _NONE,
        _NONE,
        Grant(Reach.ALL, of=frozenset({Resource.BILLING})),
    ),
    Role.SYSTEM: dict.fromkeys(Resource, _FULL),
}
"""Role × resource, row by row as the mission gives it. Integration keys are decided by their scopes instead."""


class Policy:
    """Answers every question about rights from the principal, the matrix and a record's owner."""

    def grant(self, principal: Principal, resource: Resource) -> Grant:
        """What a principal may do with a resource at all."""
        if principal.role is not Role.INTEGRATION:
            return MATRIX[principal.role][resource]
        write = f"{resource}:write" in principal.scopes
        read = write or f"{resource}:read" in principal.scopes
        return Grant(Reach.ALL if read else Reach.NONE, Reach.ALL if write else Reach.NONE)

    def reads(self, principal: Principal, resource: Resource, owner_id: str) -> bool:
        """Whether a record of this owner may be read."""
        return _reaches(principal, resource, self.grant(principal, resource).read, owner_id)

    def writes(self, principal: Principal, resource: Resource, owner_id: str) -> bool:
        """Whether a record of this owner may be changed."""
        return _reaches(principal, resource, self.grant(principal, resource).write, owner_id)

    def readable_owners(self, principal: Principal, resource: Resource) -> frozenset[str] | None:
        """The owners whose records a list may show; None means everybody's, an empty set nobody's."""
        match self.grant(principal, resource).read:
            case Reach.ALL:
                return None
            case Reach.TEAM:
                return principal.members | {principal.id} | _waiting(resource)
            case Reach.OWN:
                return frozenset({principal.id})
            case _:
                return frozenset()

    def require_read(self, principal: Principal, resource: Resource, owner_id: str, what: str = "") -> None:
        """Raises NotFound unless the record may be read."""
        if not self.reads(principal, resource, owner_id):
            raise NotFound(what or f"this {resource.value.removesuffix('s')}")

    def require_write(self, principal: Principal, resource: Resource, owner_id: str, what: str = "") -> None:
        """Raises NotFound if the record may not even be read, Forbidden if it may only be read."""
        self.require_read(principal, resource, owner_id, what)
        if not self.writes(principal, resource, owner_id):
            raise Forbidden(f"a {principal.role.value} may read this but not change it")

    def require_review(self, principal: Principal, resource: Resource, owner_id: str, what: str = "") -> None:
        """Raises unless the principal may decide on the record (Legal on orders)."""
        self.require_read(principal, resource, owner_id, what)
        if not self.grant(principal, resource).review:
            raise Forbidden(f"a {principal.role.value} may not review this")

    def require_tenant(self, principal: Principal, owner_id: str, what: str = "") -> None:
        """Raises unless the principal may say that an order's tenant is open (ORD-2): a key that is good for just that,
        and admins. The seller who wants it open may not."""
        if principal.role is Role.INTEGRATION and TENANT_SCOPE in principal.scopes:
            return
        self.require_read(principal, Resource.ORDERS, owner_id, what)
        if principal.role not in (Role.ADMIN, Role.SYSTEM):
            raise Forbidden(f"a {principal.role.value} does not say when a tenant is open; administrators do")

    def require_named(
        self, principal: Principal, resource: Resource, owner_id: str, roles: Collection[Role], what: str = ""
    ) -> None:
        """Raises unless the principal may read the record and has one of the roles that rules name for a decision on
        it; an Admin may always."""
        self.require_read(principal, resource, owner_id, what)
        if principal.role not in roles and principal.role is not Role.ADMIN:
            named = " or ".join(role.value for role in roles)
            raise Forbidden(f"a {principal.role.value} does not decide this; {named} does")

    def require_any(self, principal: Principal, resource: Resource, *, write: bool = False) -> None:
        """Raises Forbidden unless the principal has some right over the resource at all; for lists and creation."""
        grant = self.grant(principal, resource)
        if (grant.write if write else grant.read) is Reach.NONE:
            raise Forbidden(f"a {principal.role.value} has no {'write ' if write else ''}access to {resource.value}")

    def require_model(self, principal: Principal) -> None:
        """Raises Forbidden unless the principal may see how everybody's scores are made (LEAD-4): what was learned from
        all leads together is for those who answer for them."""
        if principal.role not in (Role.ADMIN, Role.SALES_MANAGER, Role.SYSTEM):
            raise Forbidden(f"a {principal.role.value} may not see the scoring model; administrators and managers may")

    def may_set_absence(self, principal: Principal, user_id: str) -> bool:
        """Admins for everybody, managers for their own team (SAFE-1, settings column)."""
        if principal.role is Role.SALES_MANAGER:
            return user_id in principal.members
        return self.writes(principal, Resource.SETTINGS, user_id)


def _waiting(resource: Resource) -> frozenset[str]:
    return frozenset({UNASSIGNED}) if resource is Resource.LEADS else frozenset()


def _reaches(principal: Principal, resource: Resource, reach: Reach, owner_id: str) -> bool:
    match reach:
        case Reach.ALL:
            return True
        case Reach.TEAM:
            return owner_id in principal.members | {principal.id} | _waiting(resource)
        case Reach.OWN:
            return owner_id == principal.id
        case _:
            return False
