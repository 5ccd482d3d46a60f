"""What a person is known by today: their lead's words and, once they were converted, their contact's (CAP-11).

Claims and match entries go on naming the lead, whose fields are archived; people change their phone all the same.
"""

from collections.abc import Iterable

from revops.crm.model import Contact, Lead
from revops.crm.store import CONTACTS
from revops.table import Table, present

CARRIED = ("first_name", "last_name", "job_title", "email", "phone", "country", "company")
"""Fields of a lead that stand on its contact as they are."""


def known_as(lead: Lead, contact: Contact) -> Lead:
    """A lead with what its person's contact says of them."""
    return lead.model_copy(update={name: getattr(contact, name) for name in CARRIED})


def known_today(table: Table, leads: Iterable[Lead]) -> list[Lead]:
    """Leads as their people are known today; only those that were converted cost a read."""
    found = list(leads)
    ids = [lead.conversion.contact_id for lead in found if lead.conversion is not None]
    if not ids:
        return found
    rows = present(table.get_many([CONTACTS.key(contact_id) for contact_id in dict.fromkeys(ids)], False))
    contacts = {(contact.id, contact.person_id): contact for contact in CONTACTS.load_all(rows)}
    return [_today(lead, contacts) for lead in found]


def _today(lead: Lead, contacts: dict[tuple[str, str], Contact]) -> Lead:
    contact = contacts.get((lead.conversion.contact_id, lead.person_id)) if lead.conversion else None
    return lead if contact is None else known_as(lead, contact)
