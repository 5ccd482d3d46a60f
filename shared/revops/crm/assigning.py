"""Handing a lead to another owner (CAP-12): managers within their team and out of the queue, admins everywhere."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from revops.access import UNASSIGNED, USERS, Policy, Reach, Resource, User
from revops.crm.model import Lead, LeadStatus
from revops.crm.policies.assignment import OWNERS, by_hand
from revops.crm.policies.lead_moves import require_workable
from revops.crm.policies.response import ResponseRules, target_for
from revops.crm.response import withdraw_escalation
from revops.crm.store import LEADS
from revops.crm.submission import ShortText
from revops.kernel import CallContext, Clock, Forbidden, Invalid, VersionConflict
from revops.settings import SettingsReader
from revops.table import Table, begin, commit_update


class OwnerChange(BaseModel):
    """Who is to own a lead, and why; the reason stands in the audit."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, description="The version that was read; another one stands → 409")]
    owner_id: Annotated[str, Field(min_length=1, max_length=120)]
    reason: Annotated[ShortText, Field(min_length=1, examples=["Speaks Hindi"])]


class ReassignLead:
    """Gives a lead another owner. When nobody has been in touch yet, the response target starts anew, and what was
    escalated of the one before is settled."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._settings = settings

    def __call__(self, lead_id: str, change: OwnerChange, call: CallContext) -> Lead:
        """Raises NotFound, Forbidden (who works on own leads alone hands none over), Refused for an archived lead,
        Invalid for an owner out of reach, VersionConflict."""
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        if self._policy.grant(call.principal, Resource.LEADS).write not in (Reach.TEAM, Reach.ALL):
            raise Forbidden(f"a {call.principal.role.value} does not hand leads over; a manager or an admin does")
        require_workable(lead)
        if lead.version != change.version:
            raise VersionConflict(f"lead {lead_id} was changed by someone else", lead.version)
        owner = self._owner(change.owner_id, call)
        if owner.id == lead.owner_id:
            return lead
        now = self._clock.now()
        changes: dict[str, object] = {
            "owner_id": owner.id,
            "assignee_id": owner.id,
            "assignment": by_hand(owner.id, call.principal.id, change.reason),
        }
        if lead.first_touch_at is None and lead.status is LeadStatus.NEW:
            changes["response"] = target_for(lead, self._settings.read(ResponseRules), owner.time_zone, now)
        changed = lead.revised(now, **changes)
        transaction = begin(call, now)
        LEADS.update(transaction, changed)
        if "response" in changes:
            withdraw_escalation(self._table, transaction, lead, now)
        commit_update(self._table, transaction, LEADS, changed)
        return changed

    def _owner(self, user_id: str, call: CallContext) -> User:
        """Somebody active who may own leads, and whom the caller reaches. Who is out of reach looks like nobody."""
        within = user_id != UNASSIGNED and self._policy.writes(call.principal, Resource.LEADS, user_id)
        user = USERS.get(self._table, user_id) if within else None
        if user is None or not user.active or user.role not in OWNERS:
            raise Invalid.field(
                "owner_id", "owner-in-reach", "nobody in your reach who may own leads", "an active seller of your team"
            )
        return user
