"""Every event this product publishes, versioned, with its schema (BUS-1).

An event is a pure function of a change of a row (each slice's `events.py`), so it cannot be forgotten and cannot be
said twice: its id is the entity, its version and the event's name. Payloads carry ids and facts, never a person's
data; a consumer that needs more reads it through the API under its own rights.

A field may be added to a payload; anything else is a new class with a higher `schema_version`.
"""

from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops import payloads_billing, payloads_reconcile, payloads_sales
from revops.kernel import Money
from revops.payload import Payload as Payload

SOURCE = "revops"
"""The `source` of our events on the bus; our own consumers tell ours from outside ones by it (BUS-2)."""

FAMILIES = (payloads_billing, payloads_reconcile, payloads_sales)
"""Payloads that stand in files of their own; named here, they are loaded with the catalogue."""


class Event(BaseModel):
    """The envelope on the bus: `detail` of an EventBridge entry whose `detail-type` is the event's name."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    id: Annotated[str, Field(description="Entity, version and event name: the same change gives the same id")]
    name: str
    schema_version: int
    occurred_at: AwareDatetime
    causation_id: Annotated[str, Field(description="What this came from; consumers pass it on, which stops loops")]
    data: dict[str, Any]


class LeadCreated(Payload):
    """A lead exists that did not before (CAP-1…7)."""

    lead_id: str
    person_id: str
    source: str
    channel: str
    owner_id: str
    score: int
    created_at: AwareDatetime


class LeadAssigned(Payload):
    """A lead has another owner (CAP-12)."""

    lead_id: str
    owner_id: str
    previous_owner_id: str


class LeadMerged(Payload):
    """A lead went into another, which stands for both (CAP-11)."""

    lead_id: str
    merged_into: str


class LeadUnmerged(Payload):
    """A merge was undone: the lead that had gone into another stands for itself again (CAP-11)."""

    lead_id: str
    parted_from: str
    owner_id: str


class ResponseTargetMissed(Payload):
    """The owner of a lead was not in touch in time; a task tells their manager (CAP-14)."""

    lead_id: str
    owner_id: str
    task_id: str
    due_at: AwareDatetime


class LeadScoreChanged(Payload):
    """The rounded score of a lead changed (LEAD-3)."""

    lead_id: str
    score: int
    previous_score: int


class LeadEngaged(Payload):
    """A lead did something that is worth points, for the first time with this thing (LEAD-3, LEAD-5)."""

    lead_id: str
    event: str
    ref: str


class ConsentGranted(Payload):
    """A person agreed to be contacted by a channel for a purpose (CAP-9)."""

    person_id: str
    lead_id: str
    channel: str
    purpose: str


class ConsentWithdrawn(Payload):
    """A person took a consent back; channel and purpose are `all` when they are not to be disturbed at all (CAP-9)."""

    person_id: str
    lead_id: str
    channel: str
    purpose: str


class NurtureStarted(Payload):
    """A lead began a sequence of messages (LEAD-5)."""

    enrolment_id: str
    lead_id: str
    sequence: str


class NurtureEnded(Payload):
    """A lead is through a sequence (`completed`), or left it for a reason (LEAD-5)."""

    enrolment_id: str
    lead_id: str
    sequence: str
    reason: str


class LeadStatusChanged(Payload):
    """A lead has another status (LEAD-2, LEAD-6); `reason` is the code that was given for it, if one was."""

    lead_id: str
    status: str
    previous_status: str
    reason: str = ""


class LeadNominated(Payload):
    """A lead's score made it worth a look; its owner has a task (LEAD-6). `number` counts its nominations."""

    lead_id: str
    owner_id: str
    score: int
    number: int


class LeadConverted(Payload):
    """A lead became an account's contact with a deal (LEAD-8)."""

    lead_id: str
    person_id: str
    account_id: str
    contact_id: str
    opportunity_id: str


class LeadConversionUndone(Payload):
    """A conversion was taken back; what it made is not active any more (LEAD-8)."""

    lead_id: str
    person_id: str
    account_id: str
    contact_id: str
    opportunity_id: str


class OpportunityCreated(Payload):
    """A deal was opened (CRM-3); asks the offers service for an offer (BUS-2)."""

    opportunity_id: str
    account_id: str
    lead_id: str | None = None
    expected_value: Money
    owner_id: str


class OpportunityStageChanged(Payload):
    """A deal moved to another stage (CRM-4)."""

    opportunity_id: str
    from_stage: str
    to_stage: str


class OpportunityClosed(Payload):
    """A deal was won or lost (CRM-4)."""

    opportunity_id: str
    stage: str
    actual_value: Money | None = None
    closed_at: AwareDatetime


class ActivityCreated(Payload):
    """Something that was done is on a timeline (CRM-5)."""

    activity_id: str
    type: str
    related_to: str
    owner_id: str


class TaskOpened(Payload):
    """Somebody has something to do: a task was made, or one that was over is to be done once more (CRM-6)."""

    task_id: str
    type: str
    related_to: str
    assignee_id: str
    due_at: AwareDatetime


class TaskCompleted(Payload):
    """A task is done (CRM-6)."""

    task_id: str
    type: str
    related_to: str
    assignee_id: str
    completed_by: str


class TaskReminderDue(Payload):
    """The assignee of a task is to be told that it is due (CRM-6)."""

    task_id: str
    related_to: str
    assignee_id: str


class NoteCreated(Payload):
    """A note was written; `high` and `urgent` ones alert by mail (CRM-7)."""

    note_id: str
    related_to: str
    priority: str
    owner_id: str


class OrderFormSubmitted(Payload):
    """An order form was handed in; starts the workflow (ORD-2)."""

    order_id: str
    account_id: str
    opportunity_id: str
    attempt: int


class OrderFormResumed(Payload):
    """The workflow of an order is to start again at its step, as a new attempt (ORD-2)."""

    order_id: str
    attempt: int
    step: str


class OrderFormReviewed(Payload):
    """Legal approved, rejected or asked for a change (ORD-2)."""

    order_id: str
    outcome: str


class OrderFormExecuted(Payload):
    """An order form is signed by everybody: only this provisions (ORD-4)."""

    order_id: str
    document_hash: str
    executed_at: AwareDatetime


class OrderFormDeclined(Payload):
    """The signatory declined an order form; its progress says why, and changed terms can be sent again (ORD-3)."""

    order_id: str


class OrderFormProvisioned(Payload):
    """The one Stripe subscription of an executed order exists (ORD-4)."""

    order_id: str
    stripe_customer_id: str
    stripe_subscription_id: str


class TenantProvisioningRequested(Payload):
    """The company's provisioning system is to open, or to change, the tenant of an order and to say so by `respond_by`:
    on the bus with TenantProvisioned or TenantProvisioningFailed, or by HTTP (ORD-2). `amends` names the order whose
    tenant an amendment or renewal is about; an order that is resumed asks again with a higher `attempt`."""

    order_id: str
    account_id: str
    kind: str
    amends: str
    plan: str
    region: str
    seats: int
    starts_on: date
    attempt: int
    respond_by: AwareDatetime


class OrderFormActivated(Payload):
    """The order is in service (ORD-2). `tenant_id` is empty where no tenant was asked for: then this opens it."""

    order_id: str
    account_id: str
    tenant_id: str = ""


class OrderFormBlocked(Payload):
    """An executed order cannot go on by itself; its progress says why, and it can be resumed (ORD-2)."""

    order_id: str
    step: str


class CatalogueDrifted(Payload):
    """The billing provider's catalogue is not what our plan data says: somebody changed it (ORD-5). `make catalogue`
    shows and repairs it."""

    provider: str
    count: int
    keys: tuple[str, ...]


class OrderFormCancelled(Payload):
    """An order form ended before execution; its progress says why (ORD-2)."""

    order_id: str


class MembershipStatusChanged(Payload):
    """A customer's membership status is another one (STR-2)."""

    customer_id: str
    status: str
    previous_status: str | None
    reason: str


class SpendCapAlertRaised(Payload):
    """A threshold of a cap was crossed, once per threshold and cycle (USE-4)."""

    alert_id: str
    account_id: str
    cap: str
    threshold_percent: int
    cycle: str


class SyncConflictRecorded(Payload):
    """Both sides changed a field; the rule that decided is on the conflict record (HUB-4)."""

    conflict_id: str
    entity_id: str
    field: str
    rule: str


class RecordRedriven(Payload):
    """A change of a record was lost on the way, as the sweeper or a later change found: read the record again (R15)."""

    record: str
    kind: str
    record_version: int


class SettingsApplied(Payload):
    """A settings document has a new version."""

    name: str
    settings_version: int


PAYLOADS: tuple[type[Payload], ...] = tuple(sorted(Payload.__subclasses__(), key=lambda payload: payload.__name__))
"""Every payload class; schemas in events/catalogue/ are generated from it and a test holds them equal."""


def event(payload: Payload, *, entity_id: str, version: int, occurred_at: str, causation_id: str = "") -> Event:
    """The event for a payload, with the id that makes a repeat recognisable."""
    name = payload.event_name()
    return Event.model_validate(
        {
            "id": f"{entity_id}:{version}:{name}",
            "name": name,
            "schema_version": payload.schema_version,
            "occurred_at": occurred_at,
            "causation_id": causation_id or f"{entity_id}:{version}",
            "data": payload.model_dump(mode="json", exclude_none=True),
        }
    )
