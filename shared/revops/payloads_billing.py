"""Payloads of billing and of what it follows (STR-1, CRM-1); the catalogue names them with all the others."""

from revops.payload import Payload


class MeterErrorsReported(Payload):
    """Usage that Stripe took and did not count; `codes` are its reasons. It is not billed until somebody mends it."""

    report_id: str
    meter_id: str
    error_count: int
    codes: str


class AccountAssigned(Payload):
    """An account has another owner (CRM-1); what is listed by owner follows."""

    account_id: str
    owner_id: str
    previous_owner_id: str
