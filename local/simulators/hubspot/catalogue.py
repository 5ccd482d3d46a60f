"""What a fresh portal knows: object types, their properties, stages, and how records may be linked.

Only the types this product exchanges. Names, type ids and association ids are HubSpot's own. The deal
pipeline holds HubSpot's seven default stages and the four further names the source documents use, as a
portal with edited stages would.
"""

from dataclasses import dataclass, field
from typing import Any

READ_ONLY = frozenset(
    {"createdate", "lastmodifieddate", "hs_createdate", "hs_lastmodifieddate", "hs_object_id"},
)

LIFECYCLE = (
    "subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer",
    "evangelist", "other",
)  # fmt: skip
DEAL_STAGES = (
    "appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "decisionmakerboughtin",
    "contractsent", "closedwon", "closedlost", "appointment", "qualification", "proposal", "negotiation",
)  # fmt: skip
TICKET_STAGES = ("1", "2", "3", "4")
TICKET_PRIORITIES = ("LOW", "MEDIUM", "HIGH", "URGENT")
COMPANY_TYPES = ("PROSPECT", "PARTNER", "RESELLER", "VENDOR", "OTHER")


@dataclass(frozen=True)
class ObjectType:
    """One kind of record: its path segment (`plural`), number (`type_id`), name in messages (`label`)."""

    plural: str
    singular: str
    type_id: str
    created: str
    modified: str
    returned: tuple[str, ...]
    searched: tuple[str, ...]
    unique: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    defaults: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.singular.upper()


CONTACT = ObjectType(
    "contacts", "contact", "0-1", "createdate", "lastmodifieddate",
    returned=("email", "firstname", "lastname"),
    searched=("firstname", "lastname", "email", "phone", "company"),
    unique=("email",), one_of=("email", "firstname", "lastname"),
)  # fmt: skip
COMPANY = ObjectType(
    "companies", "company", "0-2", "createdate", "hs_lastmodifieddate",
    returned=("domain", "name"), searched=("name", "domain", "website", "phone"), one_of=("name", "domain"),
)  # fmt: skip
DEAL = ObjectType(
    "deals", "deal", "0-3", "createdate", "hs_lastmodifieddate",
    returned=("amount", "closedate", "dealname", "dealstage", "pipeline"),
    searched=("dealname", "description"), required=("dealname", "dealstage"),
    defaults={"pipeline": "default"},
)  # fmt: skip
TICKET = ObjectType(
    "tickets", "ticket", "0-5", "createdate", "hs_lastmodifieddate",
    returned=(
        "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_category", "hs_ticket_priority", "subject",
    ),
    searched=("subject", "content"), required=("subject", "hs_pipeline_stage"), defaults={"hs_pipeline": "0"},
)  # fmt: skip
NOTE = ObjectType(
    "notes", "note", "0-46", "hs_createdate", "hs_lastmodifieddate",
    returned=(), searched=("hs_note_body",), required=("hs_timestamp",),
)  # fmt: skip

OBJECT_TYPES = (CONTACT, COMPANY, DEAL, TICKET, NOTE)
_BY_NAME = {name: kind for kind in OBJECT_TYPES for name in (kind.plural, kind.singular, kind.type_id)}


def object_type(name: str) -> ObjectType | None:
    """The object type a path segment names: plural, singular or type id (`contacts`, `contact`, `0-1`)."""
    return _BY_NAME.get(name)


# (from, to) -> the default HUBSPOT_DEFINED association type id.
ASSOCIATION_IDS: dict[tuple[str, str], int] = {
    ("contacts", "contacts"): 449, ("contacts", "companies"): 279, ("companies", "contacts"): 280,
    ("contacts", "deals"): 4, ("deals", "contacts"): 3, ("contacts", "tickets"): 15,
    ("tickets", "contacts"): 16,
    ("companies", "deals"): 342, ("deals", "companies"): 341, ("companies", "tickets"): 340,
    ("tickets", "companies"): 339, ("deals", "tickets"): 27, ("tickets", "deals"): 28,
    ("notes", "contacts"): 202, ("contacts", "notes"): 201, ("notes", "companies"): 190,
    ("companies", "notes"): 189, ("notes", "deals"): 214, ("deals", "notes"): 213,
    ("notes", "tickets"): 228, ("tickets", "notes"): 227,
}  # fmt: skip
# Further HUBSPOT_DEFINED type ids a create may name: the primary company of a contact, deal or ticket.
PRIMARY_IDS: dict[tuple[str, str], int] = {
    ("contacts", "companies"): 1, ("companies", "contacts"): 2, ("deals", "companies"): 5,
    ("companies", "deals"): 6, ("tickets", "companies"): 26, ("companies", "tickets"): 25,
}  # fmt: skip

_TEXT = ("string", "text")
_NUMBER = ("number", "number")
_WHEN = ("datetime", "date")
_PHONE = ("string", "phonenumber")
_AREA = ("string", "textarea")
_HTML = ("string", "html")

_PLAIN: dict[str, dict[str, tuple[str, str]]] = {
    "contacts": {
        "email": _TEXT, "firstname": _TEXT, "lastname": _TEXT, "phone": _PHONE, "mobilephone": _PHONE,
        "company": _TEXT, "jobtitle": _TEXT, "website": _TEXT, "address": _TEXT, "city": _TEXT,
        "state": _TEXT, "zip": _TEXT, "country": _TEXT, "industry": _TEXT, "hubspot_owner_id": _TEXT,
        "createdate": _WHEN, "lastmodifieddate": _WHEN, "hs_object_id": _NUMBER,
    },
    "companies": {
        "name": _TEXT, "domain": _TEXT, "website": _TEXT, "phone": _PHONE, "address": _TEXT, "city": _TEXT,
        "state": _TEXT, "zip": _TEXT, "country": _TEXT, "industry": _TEXT, "description": _AREA,
        "numberofemployees": _NUMBER, "annualrevenue": _NUMBER, "hubspot_owner_id": _TEXT,
        "createdate": _WHEN, "hs_lastmodifieddate": _WHEN, "hs_object_id": _NUMBER,
    },
    "deals": {
        "dealname": _TEXT, "amount": _NUMBER, "closedate": _WHEN, "description": _AREA,
        "closed_lost_reason": _AREA, "closed_won_reason": _AREA, "hs_deal_stage_probability": _NUMBER,
        "deal_currency_code": _TEXT, "hubspot_owner_id": _TEXT, "createdate": _WHEN,
        "hs_lastmodifieddate": _WHEN, "hs_object_id": _NUMBER,
    },
    "tickets": {
        "subject": _TEXT, "content": _AREA, "hs_ticket_category": _TEXT, "hubspot_owner_id": _TEXT,
        "createdate": _WHEN, "hs_lastmodifieddate": _WHEN, "hs_object_id": _NUMBER,
    },
    "notes": {
        "hs_note_body": _HTML, "hs_timestamp": _WHEN, "hs_attachment_ids": _TEXT, "hubspot_owner_id": _TEXT,
        "hs_createdate": _WHEN, "hs_lastmodifieddate": _WHEN, "hs_object_id": _NUMBER,
    },
}  # fmt: skip
_CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "contacts": {
        "lifecyclestage": LIFECYCLE,
        "hs_lead_status": ("NEW", "OPEN", "IN_PROGRESS", "UNQUALIFIED"),
    },
    "companies": {"lifecyclestage": LIFECYCLE, "type": COMPANY_TYPES},
    "deals": {
        "dealstage": DEAL_STAGES,
        "pipeline": ("default",),
        "dealtype": ("newbusiness", "existingbusiness"),
        "hs_priority": ("low", "medium", "high"),
    },
    "tickets": {
        "hs_pipeline": ("0",),
        "hs_pipeline_stage": TICKET_STAGES,
        "hs_ticket_priority": TICKET_PRIORITIES,
    },
    "notes": {},
}


def group_name(kind: ObjectType) -> str:
    """The property group a type's own properties stand in."""
    return f"{kind.singular}information"


def default_properties(kind: ObjectType, at: str) -> list[dict[str, Any]]:
    """The HubSpot-defined property definitions of one type, as the properties API answers them."""
    plain = [_definition(kind, name, form, at, ()) for name, form in _PLAIN[kind.plural].items()]
    how = ("enumeration", "select")
    choices = [_definition(kind, name, how, at, values) for name, values in _CHOICES[kind.plural].items()]
    return plain + choices


def _definition(
    kind: ObjectType,
    name: str,
    how: tuple[str, str],
    at: str,
    values: tuple[str, ...],
) -> dict[str, Any]:
    read_only = name in READ_ONLY
    return {
        "name": name,
        "label": name,
        "description": "",
        "type": how[0],
        "fieldType": how[1],
        "groupName": group_name(kind),
        "options": [
            {"label": value, "value": value, "displayOrder": order, "hidden": False}
            for order, value in enumerate(values)
        ],
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "hasUniqueValue": name in kind.unique or name == "hs_object_id",
        "hidden": False,
        "hubspotDefined": True,
        "formField": not read_only,
        "dataSensitivity": "non_sensitive",
        "archived": False,
        "createdAt": at,
        "updatedAt": at,
        "modificationMetadata": {"archivable": False, "readOnlyDefinition": True, "readOnlyValue": read_only},
    }
