"""Which status and stage a lead may move to (LEAD-2), and by which route. Conversion alone sets `Converted`; a status
that says what was decided is set where the decision is recorded, with its reason; `Contacted` alone is typed."""

from collections.abc import Mapping

from revops.crm.model import Lead, LeadStage, LeadStatus
from revops.kernel import Refused

_S = LeadStatus
STATUS_MOVES: Mapping[LeadStatus, tuple[LeadStatus, ...]] = {
    _S.NEW: (_S.CONTACTED, _S.UNQUALIFIED, _S.DISQUALIFIED),
    _S.CONTACTED: (_S.QUALIFIED, _S.UNQUALIFIED, _S.DISQUALIFIED),
    _S.QUALIFIED: (_S.CONTACTED, _S.UNQUALIFIED, _S.DISQUALIFIED),
    _S.UNQUALIFIED: (_S.RECYCLED, _S.DISQUALIFIED),
    _S.RECYCLED: (_S.CONTACTED, _S.UNQUALIFIED, _S.DISQUALIFIED),
    _S.CONVERTED: (),
    _S.DISQUALIFIED: (_S.RECYCLED,),
}
_T = LeadStage
STAGE_MOVES: Mapping[LeadStage, tuple[LeadStage, ...]] = {
    _T.AWARENESS: (_T.CONSIDERATION, _T.DECISION),
    _T.CONSIDERATION: (_T.AWARENESS, _T.DECISION),
    _T.DECISION: (_T.AWARENESS, _T.CONSIDERATION),
    _T.CONVERTED: (),
}

DECIDED_BY: Mapping[LeadStatus, str] = {
    _S.QUALIFIED: "POST /api/v1/leads/{lead_id}/qualification/outcome",
    _S.UNQUALIFIED: "POST /api/v1/leads/{lead_id}/qualification/outcome",
    _S.RECYCLED: "POST /api/v1/leads/{lead_id}/recycle",
    _S.DISQUALIFIED: "POST /api/v1/leads/{lead_id}/disqualify",
}
"""Where a decision about a lead is recorded, by the status it leads to."""


def require_workable(lead: Lead) -> None:
    """Raises Refused for a lead that is archived: converted, or merged into another."""
    if lead.status is LeadStatus.CONVERTED:
        raise Refused("the lead is converted and archived; work on its account, contact and deal", {"legal": []})
    if lead.merged_into:
        raise Refused(f"the lead was merged into {lead.merged_into}", {"merged_into": lead.merged_into})


def require_typed(status: LeadStatus | None) -> None:
    """Raises Refused, naming the route, for a status that stands for a decision (LEAD-6)."""
    route = DECIDED_BY.get(status) if status is not None else None
    if route is not None:
        raise Refused(f"{status} is a decision with a reason: {route}", {"route": route})


def require_move(lead: Lead, status: LeadStatus | None, stage: LeadStage | None) -> None:
    """Raises Refused, naming the moves that are legal."""
    if status is not None and status not in STATUS_MOVES[lead.status]:
        raise _refused("status", lead.status, status, STATUS_MOVES[lead.status])
    if stage is not None and stage not in STAGE_MOVES[lead.stage]:
        raise _refused("stage", lead.stage, stage, STAGE_MOVES[lead.stage])


def _refused(what: str, current: str, wanted: str, legal: tuple[str, ...]) -> Refused:
    names = ", ".join(legal) or "none"
    return Refused(f"a lead's {what} cannot move from {current} to {wanted}; legal: {names}", {"legal": list(legal)})
