"""Users who log in, the teams they stand in, and the keys machines use."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime

from revops.kernel import IN_ORDER, Role
from revops.table import Entity


class User(Entity):
    """Somebody who logs in. The id is the identity provider's subject; role and team come from here, never from a
    token (S4). An absence keeps new leads away from `absent_from` (at once, where it is not said) to `absent_until`
    (CAP-12). `time_zone` is an IANA name; empty means the company's (CAP-14)."""

    name: str
    email: str
    role: Role
    team_id: str
    active: bool = True
    absent_until: AwareDatetime | None = None
    absent_from: AwareDatetime | None = None
    time_zone: str = ""

    def present(self, moment: datetime) -> bool:
        """Whether this user is active and not absent at a moment."""
        begun = self.absent_from is None or self.absent_from <= moment
        absent = self.absent_until is not None and begun and moment < self.absent_until
        return self.active and not absent


class Team(Entity):
    """A team; a Sales Manager of a team reaches the records of its members and of every team below."""

    name: str
    parent_id: str = ""


class ApiKey(Entity):
    """A machine's key. Only its SHA-256 is kept, as the id (CAP-5). `valid_until` is set when it is rotated: until then
    it is good beside the new key, whose `rotated_from` it is. `rate_per_minute` 0 is no limit."""

    name: str
    scopes: Annotated[frozenset[str], IN_ORDER]
    active: bool = True
    valid_until: AwareDatetime | None = None
    rate_per_minute: int = 600
    rotated_from: str = ""

    def good_at(self, moment: datetime) -> bool:
        """Whether it is accepted at a moment: not revoked, and not past the end that its rotation gave it."""
        return self.active and (self.valid_until is None or moment < self.valid_until)
