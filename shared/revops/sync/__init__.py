"""Keeping people in step with HubSpot, both ways (HUB-1…5).

Each name is loaded when it is first asked for: a webhook must not load what its worker needs.
"""

from typing import TYPE_CHECKING

from revops.kernel.face import face

if TYPE_CHECKING:
    from revops.sync.budget import BudgetedGateway, HubspotBudget, RateBudget
    from revops.sync.converge import ConvergeContact, Converged
    from revops.sync.fields import FieldMap, HubspotFields
    from revops.sync.marks import SweepDirty, dirty_marks, mark_dirty, push_message
    from revops.sync.model import DirtyMark, PersonField, PersonSnapshot, RemoteContact, SyncConflict
    from revops.sync.portal import DriftPage, EnsureProperties, ReportDrift
    from revops.sync.ports import HubspotGateway, PeopleDirectory, SyncQueue
    from revops.sync.push import Pushed, PushPerson
    from revops.sync.store import SYNC_CONFLICT, conflicts_of, read_log
    from revops.sync.webhook import Delivery, ReceiveDelivery, ReceiveEvents, parse_events, signals
    from revops.sync.worker import HandleMessage

_FOUND_IN = {
    "BudgetedGateway": "budget",
    "ConvergeContact": "converge",
    "Converged": "converge",
    "Delivery": "webhook",
    "DirtyMark": "model",
    "DriftPage": "portal",
    "EnsureProperties": "portal",
    "FieldMap": "fields",
    "HandleMessage": "worker",
    "HubspotBudget": "budget",
    "HubspotFields": "fields",
    "HubspotGateway": "ports",
    "PeopleDirectory": "ports",
    "PersonField": "model",
    "PersonSnapshot": "model",
    "PushPerson": "push",
    "Pushed": "push",
    "RateBudget": "budget",
    "ReceiveDelivery": "webhook",
    "ReceiveEvents": "webhook",
    "RemoteContact": "model",
    "ReportDrift": "portal",
    "SYNC_CONFLICT": "store",
    "SweepDirty": "marks",
    "SyncConflict": "model",
    "SyncQueue": "ports",
    "conflicts_of": "store",
    "dirty_marks": "marks",
    "mark_dirty": "marks",
    "parse_events": "webhook",
    "push_message": "marks",
    "read_log": "store",
    "signals": "webhook",
}

__all__ = [
    "SYNC_CONFLICT",
    "BudgetedGateway",
    "ConvergeContact",
    "Converged",
    "Delivery",
    "DirtyMark",
    "DriftPage",
    "EnsureProperties",
    "FieldMap",
    "HandleMessage",
    "HubspotBudget",
    "HubspotFields",
    "HubspotGateway",
    "PeopleDirectory",
    "PersonField",
    "PersonSnapshot",
    "PushPerson",
    "Pushed",
    "RateBudget",
    "ReceiveDelivery",
    "ReceiveEvents",
    "RemoteContact",
    "ReportDrift",
    "SweepDirty",
    "SyncConflict",
    "SyncQueue",
    "conflicts_of",
    "dirty_marks",
    "mark_dirty",
    "parse_events",
    "push_message",
    "read_log",
    "signals",
]

__getattr__ = face(__name__, _FOUND_IN)
