"""Who is who: users as a list, who manages whom, and absences (SAFE-6)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from revops.access.model import User
from revops.access.policy import Policy, Resource
from revops.access.store import TEAMS, USERS, users_with_role
from revops.kernel import CallContext, Clock, Forbidden, NotFound, Role, StatedTime, Unavailable
from revops.table import ConditionFailed, Query, Table, begin, present, query_all

_ATTEMPTS = 5
_LEVELS = 20


class Absence(BaseModel):
    """When somebody is away: from `starts` (now, when it is not said) to `until`. Without `until` they are back."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"starts": "2026-12-21T08:00:00Z", "until": "2027-01-04T08:00:00Z"}]},
    )

    starts: Annotated[StatedTime | None, Field(description="Now, when it is not said")] = None
    until: Annotated[StatedTime | None, Field(description="Empty: the user is back")] = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.starts is not None and (self.until is None or self.until <= self.starts):
            raise ValueError("an absence ends after it starts")
        return self


class SetAbsence:
    """Says that somebody is away, or back. New leads pass them over within 60 s (CAP-12, SAFE-6)."""

    def __init__(self, table: Table, clock: Clock, policy: Policy) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy

    def __call__(self, user_id: str, absence: Absence, call: CallContext) -> User:
        """Raises Forbidden for who may set nobody's absence, NotFound for a user out of the caller's reach."""
        _require_any(self._policy, call)
        if not self._policy.may_set_absence(call.principal, user_id):
            raise NotFound(USERS.title, user_id)
        for _ in range(_ATTEMPTS):
            user, now = USERS.require(self._table, user_id), self._clock.now()
            changed = user.revised(now, absent_from=absence.starts, absent_until=absence.until)
            if (changed.absent_from, changed.absent_until) == (user.absent_from, user.absent_until):
                return user
            transaction = begin(call, now)
            USERS.update(transaction, changed)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # changed meanwhile: over the newer version
            return changed
        raise Unavailable("this user is being changed by others; try again shortly", retry_after=1)


class ListUsers:
    """The active users a caller administers: everybody for an admin, their team for a manager."""

    def __init__(self, table: Table, policy: Policy) -> None:
        self._table = table
        self._policy = policy

    def __call__(self, call: CallContext) -> list[User]:
        """By name, then id. Raises Forbidden for everybody else."""
        _require_any(self._policy, call)
        if call.principal.role is Role.SALES_MANAGER:
            ids: Sequence[str] = sorted(call.principal.members | {call.principal.id})
        else:
            ids = [user_id for role in Role for user_id in users_with_role(self._table, role)]
        users = USERS.load_all(present(self._table.get_many([USERS.key(user_id) for user_id in ids])) if ids else [])
        return sorted((user for user in users if user.active), key=lambda user: (user.name.casefold(), user.id))


def _require_any(policy: Policy, call: CallContext) -> None:
    """Raises Forbidden unless the caller administers somebody."""
    principal = call.principal
    if principal.role is not Role.SALES_MANAGER and not policy.writes(principal, Resource.SETTINGS, ""):
        raise Forbidden(f"a {principal.role.value} does not administer users")


def manager_over(table: Table, user: User, moment: datetime | None = None) -> User | None:
    """The nearest manager of a user: of their team, else of the team above it, and so on; never the user. Of several,
    the first by id who is there at `moment`, else the first."""
    team_id = user.team_id
    for _ in range(_LEVELS):
        members = [
            row.sk.removeprefix("MEMBER#")
            for row in query_all(table, Query(pk=f"TEAM#{team_id}", begins="MEMBER#", consistent=True, limit=500))
        ]
        users = USERS.load_all(table.get_many([USERS.key(each) for each in sorted(members)]) if members else [])
        found = [each for each in users if each.role is Role.SALES_MANAGER and each.active and each.id != user.id]
        if found:
            there = [each for each in found if moment is None or each.present(moment)]
            return (there or found)[0]
        team = TEAMS.get(table, team_id)
        if team is None or not team.parent_id:
            return None
        team_id = team.parent_id
    return None
