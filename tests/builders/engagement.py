"""A lead and its person as they stand, placed without any channel; and what a message's links need."""

from datetime import timedelta
from typing import Any

from revops.crm.consent import CONSENTS, Consent, ConsentRecord, add_consents
from revops.crm.links import LinkClaim, Links
from revops.crm.model import Assignment, Attribution, Channel, Lead
from revops.crm.policies.machines import Fetch
from revops.crm.store import LEADS, person_row
from revops.kernel import CallContext, Clock, system_call
from revops.table import ABSENT, Table, begin
from tests.builders.clock import ManualClock

CALL = system_call("tests")
PUBLIC = CallContext(CALL.principal, request_id="req-9", ip="203.0.113.9", user_agent="tests")
LEAD, PERSON, MESSAGE = "LEAD_ASHA", "PER_ASHA", "MSG_1"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


def place_lead(table: Table, clock: Clock, *said: Consent, **changes: Any) -> Lead:
    """A lead with its person and what they said of being contacted."""
    now = clock.now()
    fields: dict[str, Any] = {
        "id": LEAD,
        "created_at": now,
        "modified_at": now,
        "person_id": PERSON,
        "first_name": "Asha",
        "last_name": "Rao",
        "email": "asha.rao@nordlicht.example",
        "attribution": Attribution(source="Partner One", campaign="autumn", medium="referral"),
        "channel": Channel.PARTNER,
        "owner_id": "sdr-1",
        "assignment": Assignment(owner_id="sdr-1", rule="round-robin", explanation="in turn"),
    }
    transaction = begin(CALL, now)
    lead = Lead.model_validate(fields | changes)
    if said:
        record = add_consents(transaction, lead.person_id, None, said, now, lead_id=lead.id)
        lead = lead.model_copy(update={"gdpr_consent": record.marketing})
    LEADS.create(transaction, lead)
    transaction.put(person_row(lead.person_id, lead_id=lead.id), ABSENT)
    table.commit(transaction)
    return lead


def consent(clock: Clock, channel: str = "email", purpose: str = "marketing", **changes: Any) -> Consent:
    """A statement, a grant unless told."""
    fields: dict[str, Any] = {"channel": channel, "purpose": purpose, "granted": True, "at": clock.now()}
    return Consent.model_validate(fields | {"wording_version": "2026-03", "source": "form"} | changes)


def record_of(table: Table, person_id: str = PERSON) -> ConsentRecord:
    """What stands in the table."""
    return CONSENTS.require(table, person_id)


def click_claim(clock: ManualClock, target: str = "https://www.example.com/a", minutes: float = 60) -> LinkClaim:
    """The claim of a link that was made so many minutes ago."""
    made = ManualClock(clock.now() - timedelta(minutes=minutes))
    links = Links("https://t.example", b"k" * 32, clock=made)
    return links.read(links.click(LEAD, MESSAGE, target).rpartition("/")[2])


def fetch(user_agent: str = CHROME, method: str = "GET", **headers: str) -> Fetch:
    """A request; header names with underscores for hyphens."""
    return Fetch(method, user_agent, {name.replace("_", "-"): value for name, value in headers.items()})
