"""Reading, listing and changing leads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from revops.access import UNASSIGNED, Policy, Resource
from revops.crm.consent import CONSENTS, ConsentRecord
from revops.crm.model import AuthorityLevel, Lead, LeadStage, LeadStatus
from revops.crm.normalise import canonical_email
from revops.crm.policies.custom_fields import MAX_FIELDS, CustomFields, CustomValue, Given, read_custom_fields
from revops.crm.policies.lead_moves import require_move, require_typed, require_workable
from revops.crm.reading import move_identity, other_holders, validity
from revops.crm.store import LEADS, OPEN_STATUSES, LeadList, standing
from revops.crm.submission import ShortText
from revops.kernel import CallContext, Clock, Conflict, Forbidden, Invalid, VersionConflict
from revops.settings import SettingsReader
from revops.table import (
    ConditionFailed,
    CursorSigner,
    Table,
    begin,
    commit_update,
    holder_of,
    merge_pages,
    present,
)


class LeadChange(BaseModel):
    """What may be changed on a lead by hand. Everything else is read-only and refused."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"version": 3, "status": "Contacted", "job_title": "Head of Operations"}]},
    )

    version: Annotated[int, Field(ge=1, description="The version that was read; another one stands → 409")]
    first_name: ShortText | None = None
    last_name: ShortText | None = None
    company: ShortText | None = None
    country: ShortText | None = None
    phone: Annotated[str, Field(max_length=40)] | None = None
    status: LeadStatus | None = None
    stage: LeadStage | None = None
    interest_product: ShortText | None = None
    budget_range: ShortText | None = None
    authority_level: AuthorityLevel | None = None
    timeline: ShortText | None = None
    job_title: ShortText | None = None
    company_size: ShortText | None = None
    industry: ShortText | None = None
    custom_fields: (
        Annotated[
            dict[str, Given], Field(max_length=MAX_FIELDS, description="Declared fields by name; null takes one away")
        ]
        | None
    ) = None


_TAKEN = "another person without an e-mail address has this phone"
_SCORED = frozenset({"budget_range", "authority_level", "timeline", "company_size", "industry"})


@dataclass(frozen=True, slots=True)
class LeadQuery:
    """A question for a list: `scope` is mine, team, all or unassigned; `sort` is created or score."""

    scope: str = "mine"
    sort: str = "created"
    statuses: tuple[LeadStatus, ...] = ()
    min_score: int = 0
    email: str = ""
    limit: int = 25
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class LeadPage:
    """A page of leads. `next_cursor` is empty at the end."""

    leads: list[Lead]
    next_cursor: str


class ReadLeads:
    """Leads as a principal may see them: one, by address, or a list."""

    def __init__(self, table: Table, policy: Policy, cursors: Callable[[], CursorSigner]) -> None:
        self._table = table
        self._policy = policy
        self._cursors = cursors

    def one(self, lead_id: str, call: CallContext) -> Lead:
        """A lead; a merged one also for who may read the one that it is now, to whom its tasks and activities went.
        Raises NotFound for what is not there or not for this caller."""
        lead = LEADS.require(self._table, lead_id)
        now = standing(self._table, lead)
        if now is None or not self._policy.reads(call.principal, Resource.LEADS, now.owner_id):
            self._policy.require_read(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        return lead

    def consents(self, lead: Lead) -> ConsentRecord | None:
        """What the person of a lead that was read said about being contacted."""
        return CONSENTS.get(self._table, lead.person_id)

    def sees_successor(self, lead: Lead, call: CallContext) -> bool:
        """Whether the caller may read the lead that a merged one went into."""
        into = LEADS.get(self._table, lead.merged_into) if lead.merged_into else None
        return into is not None and self._policy.reads(call.principal, Resource.LEADS, into.owner_id)

    def list(self, query: LeadQuery, call: CallContext) -> LeadPage:
        """A page. Raises Forbidden when the scope reaches further than the caller may read."""
        self._policy.require_any(call.principal, Resource.LEADS)
        if query.email:
            return self._by_email(query.email, call)
        if query.sort != "score" and (query.statuses or query.min_score):
            raise Invalid.field("sort", "closed-sorts", "status and min_score go with sort=score", "sort=score")
        statuses = query.statuses or OPEN_STATUSES
        wanted = LeadList(self._owners(query.scope, call), query.sort == "score", statuses, query.min_score)
        binding = {
            "who": call.principal.id,
            "list": f"leads/{query.scope}/{query.sort}/{query.min_score}/{','.join(query.statuses)}",
        }
        positions = self._cursors().open(query.cursor, binding) if query.cursor else {}
        rows, after = merge_pages(self._table, wanted.partitions(), positions, query.limit, wanted.rank)
        leads = LEADS.load_all(present(self._table.get_many([row.key for row in rows], consistent=False)))
        return LeadPage(leads, self._cursors().sign(after, binding) if after else "")

    def sees_everybody(self, call: CallContext) -> bool:
        """Whether the caller may read every lead, whoever owns it."""
        return self._policy.readable_owners(call.principal, Resource.LEADS) is None

    def _by_email(self, email: str, call: CallContext) -> LeadPage:
        canonical = canonical_email(email)
        holder = holder_of(self._table, "email", canonical.address) if canonical else None
        lead = LEADS.get(self._table, holder) if holder else None
        seen = lead is not None and self._policy.reads(call.principal, Resource.LEADS, lead.owner_id)
        return LeadPage([lead] if lead is not None and seen else [], "")

    def _owners(self, scope: str, call: CallContext) -> frozenset[str] | None:
        readable = self._policy.readable_owners(call.principal, Resource.LEADS)
        if scope == "mine":
            return frozenset({call.principal.id})
        if scope == "team":
            team = call.principal.members | {call.principal.id}
            return team if readable is None else team & readable
        if scope == "unassigned" and (readable is None or UNASSIGNED in readable):
            return frozenset({UNASSIGNED})
        if readable is not None:
            whose = "everybody's" if scope == "all" else "nobody's"
            raise Forbidden(f"a {call.principal.role.value} may not list {whose} leads; try scope=team or mine")
        return None


class ChangeLead:
    """A change by hand, under the version that was read."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, settings: SettingsReader | None = None) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._settings = settings or SettingsReader(table)

    def __call__(self, lead_id: str, change: LeadChange, call: CallContext) -> Lead:
        """Raises NotFound, Forbidden, Invalid (naming the custom field), Refused (naming the legal moves),
        VersionConflict, Conflict for a phone that is another's."""
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        if lead.version != change.version:
            raise VersionConflict(f"lead {lead_id} was changed by someone else", lead.version)
        asked = change.model_dump(exclude_unset=True, exclude={"version"})
        if change.custom_fields is not None:
            asked["custom_fields"] = self._custom_fields(lead, change.custom_fields)
        wanted: dict[str, Any] = {
            name: value for name, value in asked.items() if value is not None and value != getattr(lead, name)
        }
        if not wanted:
            return lead
        now = self._clock.now()
        require_workable(lead)
        require_move(lead, wanted.get("status"), wanted.get("stage"))
        require_typed(wanted.get("status"))
        wanted |= validity(lead, wanted)
        if wanted.get("status") is LeadStatus.CONTACTED and lead.contacted_at is None:
            wanted["contacted_at"] = now
        if _SCORED & wanted.keys():
            wanted["rescore_at"] = now
        changed = lead.revised(now, **wanted)
        transaction = begin(call, now)
        LEADS.update(transaction, changed)
        if other_holders(self._table, lead, changed):
            raise Conflict(_TAKEN)
        move_identity(self._table, transaction, lead, changed)
        try:
            commit_update(self._table, transaction, LEADS, changed)
        except ConditionFailed as error:  # not the lead itself: somebody took the phone meanwhile
            raise Conflict(_TAKEN) from error
        return changed

    def _custom_fields(self, lead: Lead, said: Mapping[str, Given]) -> dict[str, CustomValue]:
        """A lead's declared fields with what is said of some; what is said to be nothing is taken away."""
        values = read_custom_fields(said, self._settings.read(CustomFields))
        kept = {name: value for name, value in lead.custom_fields.items() if name not in said}
        return {**kept, **values}
