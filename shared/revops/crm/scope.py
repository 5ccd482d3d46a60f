"""Whose is what stands about a record: tasks and activities follow the record they are about (SAFE-1).

About a lead they are readable to whoever may read the lead. About an account, a contact or a deal they are readable
to whoever may read that and has the right to activities at its owner. To write, one also needs the right to change
the record itself or to write activities at its owner: so an SDR, who only views activities, works on the own leads,
and Support, who only views leads, notes what was said with anybody's. What stands about a merged lead is about the one
that it is now, for whoever has that one.
"""

from revops.access import Policy, Resource
from revops.crm.store import ACCOUNTS, CONTACTS, LEADS, OPPORTUNITIES, standing_at
from revops.kernel import Forbidden, Invalid, NotFound, Principal, id_prefix
from revops.table import Table

Record = tuple[Resource, str]
"""As what a record is governed, and its owner."""


def record(table: Table, about: str) -> Record:
    """What a task or an activity is about. Raises NotFound, and Invalid for an id of nothing one can write about."""
    match id_prefix(about):
        case "LEAD":
            lead = standing_at(table, about)
            if lead is None:
                raise NotFound("lead", about)
            return Resource.LEADS, lead.owner_id
        case "ACC":
            return Resource.ACCOUNTS, ACCOUNTS.require(table, about).owner_id
        case "OPP":
            return Resource.OPPORTUNITIES, OPPORTUNITIES.require(table, about).owner_id
        case "CON":
            account_id = CONTACTS.require(table, about).account_id
            return Resource.CONTACTS, ACCOUNTS.require(table, account_id).owner_id
    raise Invalid.field(
        "about", "record", "not the id of a lead, account, contact or deal", "LEAD_…, ACC_…, CON_…, OPP_…"
    )


class RecordScope:
    """Answers what a principal may do with what stands about a record."""

    def __init__(self, table: Table, policy: Policy) -> None:
        self._table = table
        self._policy = policy

    def owner(self, about: str) -> str:
        """Whose a record is; an empty text for what is not there."""
        try:
            return record(self._table, about)[1]
        except (NotFound, Invalid):
            return ""

    def with_merged(self, about: str) -> tuple[str, ...]:
        """A record that is there; for a lead also those that were merged into it."""
        merged = LEADS.require(self._table, about).merged_from if id_prefix(about) == "LEAD" else ()
        return (about, *merged)

    def reads(self, principal: Principal, about: str) -> bool:
        """Whether what stands about a record may be read; what is not there may not."""
        try:
            resource, owner_id = record(self._table, about)
        except (NotFound, Invalid):
            return False
        return self._reads(principal, resource, owner_id)

    def require_read(self, principal: Principal, about: str) -> str:
        """The record's owner. Raises NotFound unless what stands about it may be read."""
        try:
            resource, owner_id = record(self._table, about)
        except NotFound as error:
            raise NotFound("record", about) from error
        if not self._reads(principal, resource, owner_id):
            raise NotFound("record", about)
        return owner_id

    def require_write(self, principal: Principal, about: str) -> str:
        """The record's owner. Raises NotFound, or Forbidden for who may only read."""
        owner_id = self.require_read(principal, about)
        if not self.writes(principal, about):
            raise Forbidden(f"a {principal.role.value} may read this but not write about it")
        return owner_id

    def writes(self, principal: Principal, about: str) -> bool:
        """Whether one may write about a record that one may read."""
        resource, owner_id = record(self._table, about)
        return self._policy.writes(principal, resource, owner_id) or self._policy.writes(
            principal, Resource.ACTIVITIES, owner_id
        )

    def _reads(self, principal: Principal, resource: Resource, owner_id: str) -> bool:
        if not self._policy.reads(principal, resource, owner_id):
            return False
        return resource is Resource.LEADS or self._policy.reads(principal, Resource.ACTIVITIES, owner_id)
