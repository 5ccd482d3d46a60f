"""Converting leads, what that would do, and taking it back (LEAD-8)."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from revops.api.views import LeadView
from revops.crm.conversion import ConversionAsked, ConversionReceipt, ConvertLead, Proposal
from revops.crm.conversion_choice import Wishes
from revops.crm.conversion_undo import UndoConversion
from revops.crm.policies.conversion import Candidate, Obstacle
from revops.crm.service import ReadLeads
from revops.kernel import Money
from revops.platform.http import Api
from revops.platform.problems import JSON

_PATH = "/api/v1/leads/{lead_id}/conversion"


class Chosen(BaseModel):
    """A record that a conversion would use, or make where `id` is empty, and by which rule."""

    model_config = ConfigDict(defer_build=True)

    id: str = ""
    name: str = ""
    by: str = Field(examples=["company domain"])


class ProposalView(BaseModel):
    """What a conversion would do. `possible` when nothing stands in its way and the account is decided; else
    `obstacles` names every condition that is not met, and `candidates` the accounts to choose from."""

    model_config = ConfigDict(defer_build=True)

    lead_id: str
    version: int
    possible: bool
    obstacles: list[Obstacle]
    account: Chosen
    candidates: list[Candidate]
    must_choose: bool
    contact: Chosen
    opportunity: str
    owner_id: str
    value: Money
    expected_close: date

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        lead, account, contact = proposal.lead, proposal.account.account, proposal.contact.contact
        person = contact or lead
        return cls(
            lead_id=lead.id,
            version=lead.version,
            possible=not proposal.obstacles and not proposal.account.undecided,
            obstacles=list(proposal.obstacles),
            account=Chosen(
                id=account.id if account else "",
                name=account.name if account else lead.company,
                by=proposal.account.by,
            ),
            candidates=list(proposal.account.candidates),
            must_choose=proposal.account.undecided,
            contact=Chosen(
                id=contact.id if contact else "",
                name=f"{person.first_name} {person.last_name}".strip(),
                by=proposal.contact.by,
            ),
            opportunity=proposal.deal_name,
            owner_id=proposal.owner_id,
            value=proposal.value,
            expected_close=proposal.expected_close,
        )


class ConversionView(BaseModel):
    """What a lead became. `created` says whether this request did it."""

    model_config = ConfigDict(defer_build=True)

    lead_id: str
    version: int = Field(description="The archived lead's; send it to undo the conversion")
    person_id: str
    account_id: str
    contact_id: str
    opportunity_id: str
    activity_id: str
    account_made: bool
    contact_made: bool
    account_by: str
    contact_by: str
    value: Money
    converted_by: str
    converted_at: datetime
    created: bool

    @classmethod
    def of(cls, receipt: ConversionReceipt) -> Self:
        lead, made = receipt.lead, receipt.conversion
        return cls(
            lead_id=lead.id,
            version=lead.version,
            person_id=lead.person_id,
            account_id=made.account_id,
            contact_id=made.contact_id,
            opportunity_id=made.opportunity_id,
            activity_id=made.activity_id,
            account_made=made.account_made,
            contact_made=made.contact_made,
            account_by=made.account_by,
            contact_by=made.contact_by,
            value=made.value,
            converted_by=made.by,
            converted_at=made.at,
            created=receipt.created,
        )


class UndoAsked(BaseModel):
    """An undoing, under the version of the archived lead."""

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", json_schema_extra={"examples": [{"version": 8}]}
    )

    version: Annotated[int, Field(ge=1, description="The version that was read; another one stands → 409")]


@dataclass(frozen=True, slots=True)
class ConversionUseCases:
    """What the conversion routes call."""

    convert: ConvertLead
    undo: UndoConversion
    read: ReadLeads


def add_conversion_routes(api: Api, use: ConversionUseCases) -> None:
    """Registers the routes."""

    @api.get(
        f"{_PATH}/proposal",
        "What converting a lead would make or use, and every condition that is not met; writes nothing",
        tag="conversion",
        model=ProposalView,
        errors=(401, 403, 404, 409),
    )
    def get_proposal(
        lead_id: str,
        account_id: Annotated[str, Query(max_length=60)] = "",
        contact_id: Annotated[str, Query(max_length=60)] = "",
        new_account: bool = False,
        owner_id: Annotated[str, Query(max_length=128)] = "",
    ) -> ProposalView:
        wishes = Wishes(account_id=account_id, contact_id=contact_id, new_account=new_account, owner_id=owner_id)
        return ProposalView.of(use.convert.propose(lead_id, wishes, api.user_call()))

    @api.post(
        _PATH,
        "Convert a lead: account, contact, opportunity and first activity in one go; the same again answers the same",
        tag="conversion",
        status=201,
        also={200: "The lead was converted before; this is what it became"},
        model=ConversionView,
        errors=(401, 403, 404, 409, 413),
    )
    def post_conversion(lead_id: str, body: ConversionAsked) -> Response[ConversionView]:
        receipt = use.convert(lead_id, body, api.user_call())
        status = 201 if receipt.created else 200
        return Response(status_code=status, content_type=JSON, body=ConversionView.of(receipt))

    @api.post(
        f"{_PATH}/undo",
        "Take a conversion back while nothing was built on it; otherwise says all that stands in the way",
        tag="conversion",
        model=LeadView,
        errors=(401, 403, 404, 409, 413),
    )
    def post_undo(lead_id: str, body: UndoAsked) -> LeadView:
        call = api.user_call()
        lead = use.undo(lead_id, body.version, call)
        return LeadView.of(lead, names_others=use.read.sees_everybody(call), consents=use.read.consents(lead))
