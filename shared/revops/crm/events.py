"""What the CRM's changes say to the world: pure functions of (before, after)."""

from revops.catalogue import (
    ActivityCreated,
    ConsentGranted,
    ConsentWithdrawn,
    Event,
    LeadAssigned,
    LeadConversionUndone,
    LeadConverted,
    LeadCreated,
    LeadEngaged,
    LeadMerged,
    LeadNominated,
    LeadScoreChanged,
    LeadStatusChanged,
    LeadUnmerged,
    OpportunityClosed,
    OpportunityCreated,
    OpportunityStageChanged,
    Payload,
    ResponseTargetMissed,
    TaskCompleted,
    TaskOpened,
    TaskReminderDue,
    event,
)
from revops.crm.activities import ACTIVITIES, Activity
from revops.crm.consent import CONSENTS, ConsentRecord
from revops.crm.factors import Conversion
from revops.crm.model import Account, Lead, Opportunity
from revops.crm.response import escalation_task
from revops.crm.store import ACCOUNTS, LEADS, OPPORTUNITIES
from revops.crm.tasks import TASKS, Task, TaskStatus
from revops.payloads_billing import AccountAssigned
from revops.table import Change


def events(change: Change) -> list[Event]:
    """The events of a change of a lead, an account, an opportunity, a task, an activity or a person's consents; none
    for anything else."""
    if change.after is None:
        return []
    if change.kind == CONSENTS.kind:
        return _consent(change, CONSENTS.load(change.after))
    payloads: list[Payload] = []
    entity: Lead | Account | Opportunity | Task | Activity
    if change.kind == LEADS.kind:
        lead = entity = LEADS.load(change.after)
        payloads = _lead(LEADS.load(change.before) if change.before else None, lead)
    elif change.kind == OPPORTUNITIES.kind:
        deal = entity = OPPORTUNITIES.load(change.after)
        payloads = _opportunity(OPPORTUNITIES.load(change.before) if change.before else None, deal)
    elif change.kind == TASKS.kind:
        task = entity = TASKS.load(change.after)
        payloads = _task(TASKS.load(change.before) if change.before else None, task)
    elif change.kind == ACCOUNTS.kind:
        account = entity = ACCOUNTS.load(change.after)
        payloads = _account(ACCOUNTS.load(change.before) if change.before else None, account)
    elif change.kind == ACTIVITIES.kind:
        activity = entity = ACTIVITIES.load(change.after)
        payloads = _activity(activity) if change.before is None else []
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
    if before.merged_into != after.merged_into:
        payloads.append(_joined(before, after))
    if missed := _missed(before, after):
        payloads.append(missed)
    if before.score != after.score:
        payloads.append(LeadScoreChanged(lead_id=after.id, score=after.score, previous_score=before.score))
    engaged = [done for done in after.engagement if done not in before.engagement]
    if engaged:  # one at a time, but for a merge, whose newest speaks for the rest
        newest = max(engaged, key=lambda done: done.at)
        payloads.append(LeadEngaged(lead_id=after.id, event=newest.event, ref=newest.ref))
    return payloads + _progress(before, after)


def _joined(before: Lead, after: Lead) -> Payload:
    """One with another, or two again."""
    if after.merged_into:
        return LeadMerged(lead_id=after.id, merged_into=after.merged_into)
    return LeadUnmerged(lead_id=after.id, parted_from=before.merged_into, owner_id=after.owner_id)


def _progress(before: Lead, after: Lead) -> list[Payload]:
    """On its way to a deal, and back."""
    payloads: list[Payload] = []
    if before.status != after.status:
        given = after.status_reason
        reason = given.reason if given is not None and given.status == after.status else ""
        payloads.append(
            LeadStatusChanged(lead_id=after.id, status=after.status, previous_status=before.status, reason=reason)
        )
    numbers = [lead.nomination.number if lead.nomination else 0 for lead in (before, after)]
    if after.nomination is not None and numbers[0] != numbers[1]:
        payloads.append(
            LeadNominated(
                lead_id=after.id, owner_id=after.owner_id, score=after.nomination.score, number=after.nomination.number
            )
        )
    if before.conversion is None and after.conversion is not None:
        payloads.append(LeadConverted(**_became(after, after.conversion)))
    elif before.conversion is not None and after.conversion is None:
        payloads.append(LeadConversionUndone(**_became(after, before.conversion)))
    return payloads


def _became(lead: Lead, conversion: Conversion) -> dict[str, str]:
    ids = {name: getattr(conversion, name) for name in ("account_id", "contact_id", "opportunity_id")}
    return {"lead_id": lead.id, "person_id": lead.person_id, **ids}


def _consent(change: Change, after: ConsentRecord) -> list[Event]:
    """One event per channel and purpose about which something else is in force than before; its id names them, since a
    version may say several. A refusal that takes nothing back is none, nor an older agreement in place of a newer one,
    as when a merge is undone."""
    before = CONSENTS.load(change.before) if change.before else None
    who = {"person_id": after.id, "lead_id": after.lead_id}
    spoken: list[ConsentGranted | ConsentWithdrawn] = []
    for said in after.in_force:
        stood = before.standing(said.channel, said.purpose) if before else None
        stood = stood if stood is not None and stood.granted else None
        if said.granted and (stood is None or (said != stood and said.at >= stood.at)):
            spoken.append(ConsentGranted(**who, channel=said.channel, purpose=said.purpose))
        if not said.granted and stood is not None:
            spoken.append(ConsentWithdrawn(**who, channel=said.channel, purpose=said.purpose))
    for stood in before.in_force if before else ():
        if stood.granted and after.standing(stood.channel, stood.purpose) is None:
            spoken.append(ConsentWithdrawn(**who, channel=stood.channel, purpose=stood.purpose))
    if after.do_not_disturb and not (before and before.do_not_disturb):
        spoken.append(ConsentWithdrawn(**who, channel="all", purpose="all"))
    stamp = change.after.stamp if change.after else None
    return [
        event(
            payload,
            entity_id=f"{after.id}/{payload.channel}/{payload.purpose}",
            version=after.version,
            occurred_at=after.modified_at.isoformat(),
            causation_id=stamp.causation_id if stamp else "",
        )
        for payload in spoken
    ]


def _missed(before: Lead, after: Lead) -> ResponseTargetMissed | None:
    target, stood = after.response, before.response
    if target is None or target.missed_at is None or (stood is not None and stood.missed_at == target.missed_at):
        return None
    escalated = escalation_task(after.id, target)
    return ResponseTargetMissed(lead_id=after.id, owner_id=after.owner_id, task_id=escalated, due_at=target.due_at)


def _task(before: Task | None, after: Task) -> list[Payload]:
    payloads: list[Payload] = []
    if after.status is TaskStatus.OPEN and (before is None or before.status is not TaskStatus.OPEN):
        payloads.append(
            TaskOpened(
                task_id=after.id,
                type=after.type,
                related_to=after.related_to,
                assignee_id=after.assignee_id,
                due_at=after.due_at,
            )
        )
    if before is None:
        return payloads
    if after.status is TaskStatus.DONE and before.status is not TaskStatus.DONE:
        payloads.append(
            TaskCompleted(
                task_id=after.id,
                type=after.type,
                related_to=after.related_to,
                assignee_id=after.assignee_id,
                completed_by=after.completed_by,
            )
        )
    if after.reminded_at is not None and after.reminded_at != before.reminded_at:
        payloads.append(TaskReminderDue(task_id=after.id, related_to=after.related_to, assignee_id=after.assignee_id))
    return payloads


def _activity(activity: Activity) -> list[Payload]:
    return [
        ActivityCreated(
            activity_id=activity.id,
            type=activity.type.value,
            related_to=activity.related_to,
            owner_id=activity.owner_id,
        )
    ]


def _account(before: Account | None, after: Account) -> list[Payload]:
    """Only a handover: a new account is told by what made it."""
    if before is None or before.owner_id == after.owner_id:
        return []
    return [AccountAssigned(account_id=after.id, owner_id=after.owner_id, previous_owner_id=before.owner_id)]


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
