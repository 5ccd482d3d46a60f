"""Reading a customer: what GET /api/v1/customers/{customer_id} answers."""

from pydantic import BaseModel, ConfigDict, Field

from revops.billing.cancellation import Cancellation, cancellations_of
from revops.billing.model import ActivityLogEntry, AssetLink, Customer
from revops.billing.store import asset_links, find_customer, recent_activity
from revops.crm.notes import Note, NoteVisibility, notes_about
from revops.kernel import NotFound
from revops.table import Table


class CustomerProfile(BaseModel):
    """A customer with the latest of its activity log, its notes (restricted ones stand apart), its assets and what was
    asked for of its subscriptions."""

    model_config = ConfigDict(defer_build=True)

    customer: Customer
    activity: list[ActivityLogEntry]
    notes: list[Note]
    assets: list[AssetLink]
    cancellations: list[Cancellation] = Field(default_factory=list)


class ReadCustomer:
    """Whether the caller may read it is decided by whoever calls this, on `customer.account_id`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, identifier: str) -> Customer:
        """By our id, a Stripe customer or a payment intent. Raises NotFound."""
        customer = find_customer(self._table, identifier)
        if customer is None:
            raise NotFound("customer", identifier[:60])
        return customer

    def __call__(self, customer: Customer, limit: int = 25) -> CustomerProfile:
        """The whole profile, newest first."""
        notes = [
            note for note in notes_about(self._table, customer.id, limit) if note.visibility is NoteVisibility.EVERYONE
        ]
        return CustomerProfile(
            customer=customer,
            activity=recent_activity(self._table, customer.id, limit),
            notes=notes,
            assets=asset_links(self._table, customer.id),
            cancellations=cancellations_of(self._table, customer.id),
        )
