"""Where users, teams and keys stand.

| item | pk | sk | read by |
|---|---|---|---|
| user | USER#<id> | USER | subject of a token |
| team | TEAM#<id> | TEAM | id |
| membership | TEAM#<team> | MEMBER#<user> | a team's members, also those who left, consistently: it decides access |
| child team | TEAM#<parent> | CHILD#<team> | the teams below |
| role listing | ROLE#<role> | USER#<user> | who shares in round-robin |
| key | APIKEY#<sha256> | KEY | hash of the presented key |
| key listing | APIKEYS#<shard> | KEY#<sha256> | every key, for whoever administers them |
"""

import hashlib
from collections.abc import Iterator

from revops.access.model import ApiKey, Team, User
from revops.kernel import Role
from revops.table import ANYTHING, EntityKind, Key, Query, Row, Table, Transaction, query_all, shard_of

_KEY_SHARDS = 4
USERS = EntityKind[User](
    kind="USER", title="user", model=User, key=lambda identifier: Key(f"USER#{identifier}", "USER")
)
TEAMS = EntityKind[Team](
    kind="TEAM", title="team", model=Team, key=lambda identifier: Key(f"TEAM#{identifier}", "TEAM")
)
API_KEYS = EntityKind[ApiKey](
    kind="APIKEY",
    title="key",
    model=ApiKey,
    key=lambda identifier: Key(f"APIKEY#{identifier}", "KEY"),
)

_LISTING = "DIRECTORY"


def key_hash(presented: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(presented.encode()).hexdigest()


def place_key(transaction: Transaction, key: ApiKey) -> None:
    """Lists a new key, in its own transaction."""
    place = Key(f"APIKEYS#{shard_of(key.id, _KEY_SHARDS)}", f"KEY#{key.id}")
    transaction.put(Row(pk=place.pk, sk=place.sk, kind=_LISTING), ANYTHING)


def all_keys(table: Table) -> list[ApiKey]:
    """Every key, newest first; a company has some dozens."""
    listings = (
        query_all(table, Query(pk=f"APIKEYS#{shard}", begins="KEY#", consistent=True, limit=500))
        for shard in range(_KEY_SHARDS)
    )
    places = [API_KEYS.key(row.sk.removeprefix("KEY#")) for rows in listings for row in rows]
    found = API_KEYS.load_all(table.get_many(places)) if places else []
    return sorted(found, key=lambda key: (key.created_at, key.id), reverse=True)


def place_user(transaction: Transaction, user: User, before: User | None) -> None:
    """Keeps the membership and role listings equal to the user, in the user's own transaction. Who has left stays a
    member: what they own is their manager's to see and to hand out."""
    stands = _listings(user)
    for key in _listings(before) if before is not None else ():
        if key not in stands:
            transaction.delete(key)
    for key in stands:
        transaction.put(Row(pk=key.pk, sk=key.sk, kind=_LISTING), ANYTHING)


def place_team(transaction: Transaction, team: Team) -> None:
    """Hangs a new team under its parent, in the team's own transaction."""
    if team.parent_id:
        transaction.put(Row(pk=f"TEAM#{team.parent_id}", sk=f"CHILD#{team.id}", kind=_LISTING), ANYTHING)


def _listings(user: User) -> tuple[Key, ...]:
    member = Key(f"TEAM#{user.team_id}", f"MEMBER#{user.id}")
    return (member, Key(f"ROLE#{user.role}", f"USER#{user.id}")) if user.active else (member,)


def reports_of(table: Table, team_id: str) -> frozenset[str]:
    """Everybody in a team and in the teams below it, at any depth."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [team_id]
    while waiting:
        team = waiting.pop()
        if team in seen:
            continue
        seen.add(team)
        for row in query_all(table, Query(pk=f"TEAM#{team}", consistent=True, limit=500)):
            label, _, identifier = row.sk.partition("#")
            if label == "MEMBER":
                found.add(identifier)
            elif label == "CHILD":
                waiting.append(identifier)
    return frozenset(found)


def users_with_role(table: Table, role: Role) -> Iterator[str]:
    """The ids of the active users of a role, in a stable order."""
    for row in query_all(table, Query(pk=f"ROLE#{role}", begins="USER#", consistent=True, limit=500)):
        yield row.sk.removeprefix("USER#")
