"""The consents of a lead's person: the whole ledger, a statement taken by a seller, do-not-disturb (CAP-9)."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from revops.crm.consenting import DisturbanceChange, LeadConsents, Ledger, TakenStatement
from revops.platform.http import Api


class StatementView(BaseModel):
    """One statement of a person. `in_force` when it is the last about its channel and purpose."""

    model_config = ConfigDict(defer_build=True)

    channel: str = Field(examples=["email"])
    purpose: str = Field(examples=["marketing"])
    granted: bool
    in_force: bool
    at: datetime
    wording_version: str = Field(default="", examples=["2026-03"])
    source: str = Field(default="", examples=["form"])
    evidence: str = Field(default="", examples=["unsubscribe link of message MSG_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    ip: str = Field(default="", description="Only Admins see it")


class LedgerView(BaseModel):
    """All a person said about being contacted, newest first. `do_not_disturb` outweighs every consent."""

    model_config = ConfigDict(defer_build=True)

    person_id: str
    do_not_disturb: bool = False
    statements: list[StatementView]

    @classmethod
    def of(cls, ledger: Ledger) -> "LedgerView":
        """The ledger for a caller."""
        record = ledger.record
        if record is None:
            return cls(person_id=ledger.person_id, statements=[])
        hidden = set() if ledger.shows_addresses else {"ip"}
        last = {(said.channel, said.purpose): place for place, said in enumerate(record.entries)}
        statements = [
            StatementView(**said.model_dump(exclude=hidden), in_force=last[said.channel, said.purpose] == place)
            for place, said in enumerate(record.entries)
        ]
        return cls(person_id=record.id, do_not_disturb=record.do_not_disturb, statements=statements[::-1])


def add_consent_routes(api: Api, consents: LeadConsents) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/leads/{lead_id}/consents",
        "All that the person of a lead said about being contacted, with the evidence",
        tag="consents",
        model=LedgerView,
        errors=(401, 404),
    )
    def get_consents(lead_id: str) -> LedgerView:
        return LedgerView.of(consents.read(lead_id, api.user_call()))

    @api.post(
        "/api/v1/leads/{lead_id}/consents",
        "Add a statement that was taken down, such as on the phone; a withdrawal is in force when this answers",
        tag="consents",
        model=LedgerView,
        errors=(401, 403, 404, 409, 413, 415),
    )
    def post_consent(lead_id: str, body: TakenStatement) -> LedgerView:
        return LedgerView.of(consents.state(lead_id, body, api.user_call()))

    @api.put(
        "/api/v1/leads/{lead_id}/do-not-disturb",
        "Leave the person of a lead alone altogether, whatever they consented to; or no longer",
        tag="consents",
        model=LedgerView,
        errors=(401, 403, 404, 409, 413, 415),
    )
    def put_do_not_disturb(lead_id: str, body: DisturbanceChange) -> LedgerView:
        return LedgerView.of(consents.disturb(lead_id, body, api.user_call()))
