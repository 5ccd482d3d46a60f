"""A person's consents as people and links deal with them: the ledger, a statement taken by a seller, do-not-disturb,
and unsubscribing (CAP-9)."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from revops.access import Policy, Resource
from revops.crm.consent import CONSENTS, Consent, ConsentRecord, RecordConsent
from revops.crm.links import LinkClaim
from revops.crm.model import Lead
from revops.crm.store import LEADS
from revops.crm.submission import ConsentStatement
from revops.kernel import CallContext, Clock, NotFound, Refused, Role
from revops.table import Table


class TakenStatement(ConsentStatement):
    """A statement that somebody here took down: what the person said, and how one knows. Consent is given to a wording,
    so a grant names it."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    evidence: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] = Field(
        examples=["said so on the phone, 20 November, asked for the price list"]
    )

    @model_validator(mode="after")
    def _grant_names_its_wording(self) -> "TakenStatement":
        if self.granted and not self.wording_version:
            raise ValueError("a grant names the wording_version that was read out")
        return self


class DisturbanceChange(BaseModel):
    """Whether a person is to be left alone altogether."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", json_schema_extra={"examples": [{"do_not_disturb": True}]}
    )

    do_not_disturb: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """All a person said. `shows_addresses` when the caller may see from which addresses it was said."""

    person_id: str
    record: ConsentRecord | None
    shows_addresses: bool


class LeadConsents:
    """The consents of a lead's person, under the rights over the lead."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, record: RecordConsent) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._record = record

    def read(self, lead_id: str, call: CallContext) -> Ledger:
        """Raises NotFound for a lead that is not there or not for this caller."""
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_read(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        return self._ledger(lead, CONSENTS.get(self._table, lead.person_id), call)

    def state(self, lead_id: str, said: TakenStatement, call: CallContext) -> Ledger:
        """Adds a statement; a withdrawal is in force when this returns. Raises NotFound, Forbidden, Refused for a lead
        that was merged, Unavailable while messages to the person never cease."""
        lead = self._writable(lead_id, call)
        statement = Consent(
            channel=said.channel,
            purpose=said.purpose,
            granted=said.granted,
            at=self._clock.now(),
            wording_version=said.wording_version,
            source=f"taken by {call.principal.id}"[:120],
            evidence=said.evidence,
        )
        return self._ledger(lead, self._record(lead.person_id, [statement], call), call)

    def disturb(self, lead_id: str, change: DisturbanceChange, call: CallContext) -> Ledger:
        """Sets or lifts do-not-disturb, which outweighs every consent and leaves it standing. Raises as `state`."""
        lead = self._writable(lead_id, call)
        record = self._record(lead.person_id, (), call, do_not_disturb=change.do_not_disturb)
        return self._ledger(lead, record, call)

    def _writable(self, lead_id: str, call: CallContext) -> Lead:
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_write(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        if lead.merged_into:
            raise Refused(f"the lead was merged into {lead.merged_into}; say it there", {"lead_id": lead.merged_into})
        return lead

    def _ledger(self, lead: Lead, record: ConsentRecord | None, call: CallContext) -> Ledger:
        return Ledger(lead.person_id, record, call.principal.role is Role.ADMIN)


class Unsubscribe:
    """A person takes their consent back by the link in a message."""

    def __init__(self, clock: Clock, record: RecordConsent) -> None:
        self._clock = clock
        self._record = record

    def __call__(self, claim: LinkClaim, call: CallContext) -> None:
        """Withdraws marketing by the message's channel, with the message as evidence; what is withdrawn already stays
        so. Somebody who is not there any more has nothing to withdraw. Raises Unavailable while a message to the person
        is on its way for longer than one waits."""
        statement = Consent(
            channel=claim.channel,
            purpose="marketing",
            granted=False,
            at=self._clock.now(),
            source="unsubscribe link",
            ip=call.ip,
            evidence=f"unsubscribe link of message {claim.message_id}"[:200],
        )
        with suppress(NotFound):
            self._record(claim.person_id, [statement], call)
