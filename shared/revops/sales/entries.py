"""What Finance enters by hand, as it is handed in: invoices, payments, credits (ORD-9)."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from revops.kernel.money import Currency

MOST_INVOICES = 15
"""Invoices one payment pays at once: each takes its row, an entry of the books and three tasks that may end, and a
transaction takes 100 operations."""
_MONEY = Field(gt=0, le=10**15, description="Minor units", examples=[129900])
_TEXT = Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")


class Entry(BaseModel):
    """Base of what is entered."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class NewInvoice(Entry):
    """An invoice that was sent outside Stripe."""

    account_id: Annotated[str, Field(pattern=r"^ACC_[0-9A-Z]{1,40}$")]
    sales_order_id: Annotated[str, Field(pattern=r"^(SO_[0-9A-Z]{1,40})?$")] = ""
    number: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["R-2026-0017"])]
    amount: Annotated[int, _MONEY]
    currency: Currency
    issued_on: date
    due_on: date
    period_start: date | None = None
    period_end: date | None = None
    description: Annotated[str, _TEXT] = ""


class NewPayment(Entry):
    """Money that came in outside Stripe. `pays` says which invoices it pays how much of; without it the account's
    invoices that are due longest are paid first. What is left over stays unapplied."""

    account_id: Annotated[str, Field(pattern=r"^ACC_[0-9A-Z]{1,40}$")]
    paid_on: date
    amount: Annotated[int, _MONEY]
    currency: Currency
    method: Annotated[str, Field(pattern=r"^(Wire Transfer|ACH|Cheque|Cash|Card|Other)$", examples=["Wire Transfer"])]
    reference: Annotated[str, _TEXT] = ""
    pays: Annotated[dict[str, Annotated[int, _MONEY]], Field(max_length=MOST_INVOICES)] = {}


class NewCredit(Entry):
    """Less to pay on an invoice that was entered by hand."""

    amount: Annotated[int, _MONEY]
    reason: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
