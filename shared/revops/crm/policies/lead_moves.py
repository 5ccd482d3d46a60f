"""Which status and stage a lead may move to (LEAD-2). Conversion alone sets `Converted`; nobody types it."""

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


def require_move(lead: Lead, status: LeadStatus | None, stage: LeadStage | None) -> None:
    """Raises Refused, naming the moves that are legal."""
    if status is not None and status not in STATUS_MOVES[lead.status]:
        raise _refused("status", lead.status, status, STATUS_MOVES[lead.status])
    if stage is not None and stage not in STAGE_MOVES[lead.stage]:
        raise _refused("stage", lead.stage, stage, STAGE_MOVES[lead.stage])


def _refused(what: str, current: str, wanted: str, legal: tuple[str, ...]) -> Refused:
    names = ", ".join(legal) or "none"
    return Refused(f"a lead's {what} cannot move from {current} to {wanted}; legal: {names}", {"legal": list(legal)})
