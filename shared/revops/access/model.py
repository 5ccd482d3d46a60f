"""Users who log in, the teams they stand in, and the keys machines use."""

from pydantic import AwareDatetime

from revops.kernel import Role
from revops.table import Entity


class User(Entity):
    """Somebody who logs in. The id is the identity provider's subject; role and team come from here, never from a
    token (S4). `absent_until` keeps new leads away while it lies ahead (CAP-12)."""

    name: str
    email: str
    role: Role
    team_id: str
    active: bool = True
    absent_until: AwareDatetime | None = None


class Team(Entity):
    """A team; a Sales Manager of a team reaches the records of its members and of every team below."""

    name: str
    parent_id: str = ""


class ApiKey(Entity):
    """A machine's key. Only its SHA-256 is kept, as the id (CAP-5)."""

    name: str
    scopes: frozenset[str]
    active: bool = True
