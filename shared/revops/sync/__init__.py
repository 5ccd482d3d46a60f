"""Keeping people in step with HubSpot, both ways (HUB-1…5)."""

from revops.sync.budget import BudgetedGateway, HubspotBudget, RateBudget
from revops.sync.converge import ConvergeContact, Converged
from revops.sync.events import events
from revops.sync.fields import FieldMap, HubspotFields
from revops.sync.marks import SweepDirty, dirty_marks, mark_dirty, push_message
from revops.sync.model import DirtyMark, PersonField, PersonSnapshot, RemoteContact, SyncConflict
from revops.sync.portal import DriftPage, EnsureProperties, ReportDrift
from revops.sync.ports import HubspotGateway, PeopleDirectory, SyncQueue
from revops.sync.push import Pushed, PushPerson
from revops.sync.store import SYNC_CONFLICT, conflicts_of, read_log
from revops.sync.webhook import Delivery, ReceiveDelivery, ReceiveEvents, parse_events, signals
from revops.sync.worker import HandleMessage

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
    "events",
    "mark_dirty",
    "parse_events",
    "push_message",
    "read_log",
    "signals",
]
