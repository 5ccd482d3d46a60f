"""Webhook inbox: a webhook is a signal, not a fact. It is stored once, acknowledged, and worked on behind."""

from revops.inbox.model import InboxEntry, InboxStatus, Signal
from revops.inbox.service import ReceiveSignal, Settlement
from revops.inbox.store import INBOX, inbox_id

__all__ = ["INBOX", "InboxEntry", "InboxStatus", "ReceiveSignal", "Settlement", "Signal", "inbox_id"]
