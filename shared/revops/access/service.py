"""Telling who is asking, and administering users, teams and keys."""

import time
from collections.abc import Callable, Mapping

from revops.access.model import Team, User
from revops.access.store import API_KEYS, TEAMS, USERS, key_hash, place_team, place_user, reports_of
from revops.kernel import CallContext, Clock, Principal, Role, SystemClock, Unauthenticated
from revops.table import Table, begin

_FORCE_WITHIN = 30.0
"""Seconds a principal is kept in memory; a change of role or team is in force within 60 s (SAFE-6, S4)."""


class Authenticate:
    """Turns verified token claims or a presented key into a principal. Role and team come from the table."""

    def __init__(
        self, table: Table, monotonic: Callable[[], float] = time.monotonic, clock: Clock | None = None
    ) -> None:
        self._table = table
        self._monotonic = monotonic
        self._clock = clock or SystemClock()
        self._kept: dict[str, tuple[float, Principal]] = {}

    def token(self, claims: Mapping[str, str]) -> Principal:
        """The user behind an access token that the authoriser has verified.

        The authoriser lets ID tokens through as well, so `token_use` is checked here (S5). Raises Unauthenticated.
        """
        if claims.get("token_use") != "access":
            raise Unauthenticated("an access token is required")
        return self._remembered(f"user:{claims.get('sub', '')}", lambda: self._user(claims.get("sub", "")))

    def key(self, presented: str) -> Principal:
        """The machine behind a key. Raises Unauthenticated."""
        if not presented:
            raise Unauthenticated("the x-api-key header is missing")
        digest = key_hash(presented)
        return self._remembered(f"key:{digest}", lambda: self._machine(digest))

    def _remembered(self, name: str, find: Callable[[], Principal]) -> Principal:
        now = self._monotonic()
        kept = self._kept.get(name)
        if kept is not None and now - kept[0] < _FORCE_WITHIN:
            return kept[1]
        principal = find()
        if len(self._kept) > 1000:
            self._kept.clear()
        self._kept[name] = (now, principal)
        return principal

    def _user(self, subject: str) -> Principal:
        user = USERS.get(self._table, subject) if subject else None
        if user is None or not user.active:
            raise Unauthenticated("this user has no access here")
        members = reports_of(self._table, user.team_id) if user.role is Role.SALES_MANAGER else frozenset[str]()
        return Principal(user.id, user.role, user.team_id, members)

    def _machine(self, digest: str) -> Principal:
        key = API_KEYS.get(self._table, digest)
        if key is None or not key.good_at(self._clock.now()):
            raise Unauthenticated("this key is not valid")
        return Principal(f"key:{key.name}", Role.INTEGRATION, scopes=key.scopes, rate_per_minute=key.rate_per_minute)

    def still_good(self, presented: str) -> bool:
        """Whether a key that was accepted is good at this moment, asked of the table: for work that goes on a while."""
        key = API_KEYS.get(self._table, key_hash(presented))
        return key is not None and key.good_at(self._clock.now())


class PlaceUser:
    """Creates or changes a user or a team (SAFE-6)."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def user(self, wanted: User, call: CallContext) -> User:
        """The user as wanted; nothing is written when that is how it stands."""
        now = self._clock.now()
        before = USERS.get(self._table, wanted.id)
        transaction = begin(call, now)
        if before is None:
            after = wanted
            USERS.create(transaction, after)
        else:
            ours = wanted.model_copy(
                update={"version": before.version, "created_at": before.created_at, "modified_at": before.modified_at}
            )
            if ours == before:
                return before
            after = ours.revised(now)
            USERS.update(transaction, after)
        place_user(transaction, after, before)
        self._table.commit(transaction)
        return after

    def team(self, wanted: Team, call: CallContext) -> Team:
        """A new team, or the one that exists under that id."""
        before = TEAMS.get(self._table, wanted.id)
        if before is not None:
            return before
        transaction = begin(call, self._clock.now())
        TEAMS.create(transaction, wanted)
        place_team(transaction, wanted)
        self._table.commit(transaction)
        return wanted
