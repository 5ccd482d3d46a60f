"""Telling who is asking, and administering users, teams and keys."""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping

from revops.access.model import ApiKey, Team, User
from revops.access.store import API_KEYS, TEAMS, USERS, place_team, place_user, reports_of
from revops.kernel import CallContext, Clock, Principal, Role, Unauthenticated
from revops.table import Table, begin

_FORCE_WITHIN = 30.0
"""Seconds a principal is kept in memory; a change of role or team is in force within 60 s (SAFE-6, S4)."""


def key_hash(presented: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(presented.encode()).hexdigest()


class Authenticate:
    """Turns verified token claims or a presented key into a principal. Role and team come from the table."""

    def __init__(self, table: Table, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._monotonic = monotonic
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
        if key is None or not key.active:
            raise Unauthenticated("this key is not valid")
        return Principal(f"key:{key.name}", Role.INTEGRATION, scopes=key.scopes)


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


class IssueKey:
    """Issues and revokes machine keys (CAP-5). The key itself is shown once and never kept."""

    def __init__(
        self, table: Table, clock: Clock, new_key: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    ) -> None:
        self._table = table
        self._clock = clock
        self._new_key = new_key

    def __call__(self, name: str, scopes: frozenset[str], call: CallContext, presented: str = "") -> str:
        """The new key in plain text. `presented` registers a key that already exists, for repeatable set-ups."""
        now = self._clock.now()
        plain = presented or self._new_key()
        if API_KEYS.get(self._table, key_hash(plain)) is None:
            transaction = begin(call, now)
            API_KEYS.create(
                transaction, ApiKey(id=key_hash(plain), created_at=now, modified_at=now, name=name, scopes=scopes)
            )
            self._table.commit(transaction)
        return plain

    @staticmethod
    def identifier(plain: str) -> str:
        """The id under which a key is kept and revoked; it gives nothing away of the key."""
        return key_hash(plain)

    def revoke(self, key_id: str, call: CallContext) -> None:
        """Ends a key; in force within 60 s."""
        key = API_KEYS.require(self._table, key_id)
        transaction = begin(call, self._clock.now())
        API_KEYS.update(transaction, key.revised(self._clock.now(), active=False))
        self._table.commit(transaction)
