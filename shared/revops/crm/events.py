"""What the CRM's changes say to the world: pure functions of (before, after)."""

from revops.catalogue import (
    Event,
    LeadAssigned,
    LeadCreated,
    LeadScoreChanged,
    OpportunityClosed,
    OpportunityCreated,
    OpportunityStageChanged,
    Payload,
    event,
)
from revops.crm.model import Lead, Opportunity
from revops.crm.store import LEADS, OPPORTUNITIES
from revops.table import Change


def events(change: Change) -> list[Event]:
    """The events of a change of a lead or an opportunity; none for anything else."""
    if change.after is None:
        return []
    payloads: list[Payload] = []
    entity: Lead | Opportunity
    if change.kind == LEADS.kind:
        lead = entity = LEADS.load(change.after)
        payloads = _lead(LEADS.load(change.before) if change.before else None, lead)
    elif change.kind == OPPORTUNITIES.kind:
        deal = entity = OPPORTUNITIES.load(change.after)
        payloads = _opportunity(OPPORTUNITIES.load(change.before) if change.before else None, deal)
    else:
        return []
    stamp = change.after.stamp
    return [
        event(
            payload,
            entity_id=entity.id,
            version=entity.version,
            occurred_at=entity.modified_at.isoformat(),
            causation_id=stamp.causation_id if stamp else "",
        )
        for payload in payloads
    ]


def _lead(before: Lead | None, after: Lead) -> list[Payload]:
    if before is None:
        return [
            LeadCreated(
                lead_id=after.id,
                person_id=after.person_id,
                source=after.attribution.source,
                channel=after.channel,
                owner_id=after.owner_id,
                score=after.score,
                created_at=after.created_at,
            )
        ]
    payloads: list[Payload] = []
    if before.owner_id != after.owner_id:
        payloads.append(LeadAssigned(lead_id=after.id, owner_id=after.owner_id, previous_owner_id=before.owner_id))
    if before.score != after.score:
        payloads.append(LeadScoreChanged(lead_id=after.id, score=after.score, previous_score=before.score))
    return payloads


def _opportunity(before: Opportunity | None, after: Opportunity) -> list[Payload]:
    if before is None:
        return [
            OpportunityCreated(
                opportunity_id=after.id,
                account_id=after.account_id,
                lead_id=after.lead_id or None,
                expected_value=after.value,
                owner_id=after.owner_id,
            )
        ]
    if before.stage == after.stage:
        return []
    payloads: list[Payload] = [
        OpportunityStageChanged(opportunity_id=after.id, from_stage=before.stage, to_stage=after.stage)
    ]
    if after.stage.closed:
        payloads.append(
            OpportunityClosed(
                opportunity_id=after.id,
                stage=after.stage,
                actual_value=after.value,
                closed_at=after.closed_at or after.modified_at,
            )
        )
    return payloads
