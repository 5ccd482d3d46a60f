"""Mail to our own people about what happened: once per event (CRM-7, USE-4)."""

from revops.notices.service import Mailer, SendNotice

__all__ = ["Mailer", "SendNotice"]
