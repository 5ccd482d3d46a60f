"""Telling people and systems what happened: once per event (CRM-7, USE-4, CAP-14)."""

from revops.notices.service import Mailer, SendNotice, SendWebhook

__all__ = ["Mailer", "SendNotice", "SendWebhook"]
