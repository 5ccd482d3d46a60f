"""What syncing asks of the outside: HubSpot, the people of this side, and the queue of the worker."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from revops.kernel import Conflict, DomainError, Unavailable
from revops.sync.fields import FieldMap
from revops.sync.model import ContactWrite, PersonField, PersonSnapshot, RemoteContact
from revops.table import Transaction


class RateLimited(Unavailable):
    """HubSpot refused for the rate; nothing was done. `retry_after` is what it asked for, in seconds."""


class OutcomeUnknown(Unavailable):
    """No answer, or a 5xx: the call may or may not have been carried out."""


class RemoteRefused(DomainError):
    """HubSpot will not take this, now or later; the detail is its own message."""

    title = "Refused by HubSpot"
    slug = "hubspot-refused"
    status = 422


class RemoteExists(Conflict):
    """Another contact holds a unique value of the write, such as the e-mail; `remote_id` is that contact."""

    title = "Exists in HubSpot"
    slug = "hubspot-exists"

    def __init__(self, detail: str, remote_id: str) -> None:
        super().__init__(detail)
        self.remote_id = remote_id


class RemoteGone(DomainError):
    """The contact to be changed is not there any more."""

    title = "Gone from HubSpot"
    slug = "hubspot-gone"
    status = 404


class HubspotGateway(Protocol):
    """Contacts of one HubSpot portal. Every call may raise RateLimited, OutcomeUnknown or RemoteRefused."""

    def contact(self, remote_id: str, properties: Sequence[str]) -> RemoteContact | None:
        """A contact by its id, None when it is not there."""
        ...

    def contact_of(self, person_id: str, properties: Sequence[str]) -> RemoteContact | None:
        """The contact that holds our person id, None when there is none."""
        ...

    def contacts(self, remote_ids: Sequence[str], properties: Sequence[str]) -> list[RemoteContact]:
        """Those of at most 100 contacts that are there."""
        ...

    def write(self, write: ContactWrite) -> RemoteContact:
        """Writes properties and answers with the contact after it. Raises RemoteExists or RemoteGone."""
        ...

    def define(self, lines: Sequence[FieldMap]) -> int:
        """Makes the custom properties and the identity property exist; answers how many were missing."""
        ...


class PeopleDirectory(Protocol):
    """The people of this side. Writes go into the given transaction and nowhere else."""

    def snapshot(self, person_id: str) -> PersonSnapshot | None:
        """A person as they stand now, strongly consistent; None for one who is unknown or erased."""
        ...

    def find_by_email(self, email: str) -> str | None:
        """The person who holds an e-mail by claim, strongly consistent."""
        ...

    def create(self, transaction: Transaction, contact: RemoteContact, now: datetime) -> PersonSnapshot:
        """Adds a lead for a contact made in HubSpot, with its claims. Answers the person as they stand after the
        commit. Never refuses an incomplete person who can be reached (CAP-10); raises DomainError for one who may
        not be stored (SAFE-4). The commit fails with ConditionFailed when somebody took the e-mail meanwhile."""
        ...

    def update(
        self, transaction: Transaction, person: PersonSnapshot, changes: Mapping[PersonField, str], now: datetime
    ) -> PersonSnapshot:
        """Adds the next version of the record the person stands on, under the condition that `record_version` still
        stands. Takes the values as they are: what looks wrong is flagged on the record, not refused. Answers the
        person as they stand after the commit, normalised as this side writes it."""
        ...


class SyncQueue(Protocol):
    """The queue of the HubSpot worker."""

    def send(self, message: Mapping[str, str], delay_seconds: int = 0) -> None:
        """Hands over a message, at most 900 seconds late."""
        ...
