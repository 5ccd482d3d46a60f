"""Adopting the customers that Stripe had already, over HTTP (STR-8). Finance and Admins."""

from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.platform.http import Api
from revops.reconcile.adoption import Adoption, AdoptionPhase, AdoptionStatus, Candidate, CandidateState, Verdict
from revops.reconcile.planning import AdoptRequest, AskForAdoption, PlanPage

TAG = "adoption"
_READ, _WRITE = (401, 403, 404), (401, 403, 404, 409, 413, 415)


@dataclass(frozen=True, slots=True)
class AdoptionUseCases:
    """What the routes call."""

    ask: AskForAdoption


class _Model(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class MatchView(_Model):
    """An account that a customer may be."""

    account_id: str
    name: str
    score: float = Field(description="How alike the names are, 0–1")
    reasons: list[str]


class CandidateView(_Model):
    """A customer of Stripe's: whose it is, why, and what became of it."""

    stripe_customer_id: str
    name: str
    domain: str
    verdict: Verdict
    reasons: list[str]
    matches: list[MatchView]
    account_id: str = Field(description="The account it belongs to, or is to")
    create: bool = Field(description="Whether an account is to be made, or was made, of it")
    subscriptions: list[str] = Field(description="Some of those that run")
    running: int = Field(description="How many run")
    state: CandidateState
    result: str

    @classmethod
    def of(cls, candidate: Candidate) -> "CandidateView":
        """The view of a candidate."""
        return cls(
            stripe_customer_id=candidate.payer,
            name=candidate.name,
            domain=candidate.domain,
            verdict=candidate.verdict,
            reasons=list(candidate.reasons),
            matches=[
                MatchView(account_id=one.account_id, name=one.name, score=one.score, reasons=list(one.reasons))
                for one in candidate.matches
            ],
            account_id=candidate.account_id,
            create=candidate.create,
            subscriptions=list(candidate.subscriptions),
            running=candidate.running,
            state=candidate.state,
            result=candidate.result,
        )


class AdoptionView(_Model):
    """A plan."""

    id: str = Field(examples=["ADO_2K7QF0X9M4T8"])
    version: int
    created_at: AwareDatetime
    requested_by: str
    status: AdoptionStatus
    phase: AdoptionPhase
    counts: dict[str, int] = Field(description="By verdict")
    problem: str

    @classmethod
    def of(cls, plan: Adoption) -> "AdoptionView":
        """The view of a plan."""
        return cls(**{name: getattr(plan, name) for name in cls.model_fields})


class PlanView(_Model):
    """A plan with a page of its candidates."""

    adoption: AdoptionView
    candidates: list[CandidateView]
    next: str

    @classmethod
    def of(cls, page: PlanPage) -> "PlanView":
        """The view of a page."""
        shown = [CandidateView.of(each) for each in page.candidates]
        return cls(adoption=AdoptionView.of(page.plan), candidates=shown, next=page.next_cursor)


def add_adoption_routes(api: Api, use: AdoptionUseCases) -> None:
    """Registers the routes."""

    @api.post(
        "/api/v1/adoptions",
        "Match every customer that Stripe has to accounts; a plan, nothing is changed",
        tag=TAG,
        model=AdoptionView,
        errors=_WRITE,
        status=202,
    )
    def post_adoption() -> tuple[AdoptionView, int]:
        return AdoptionView.of(use.ask.plan(api.user_call())), 202

    @api.get(
        "/api/v1/adoptions/{adoption_id}",
        "An adoption plan: each customer with its verdict, the accounts it may be, and what became of it",
        tag=TAG,
        model=PlanView,
        errors=_READ,
    )
    def get_adoption(
        adoption_id: str,
        verdict: Annotated[Verdict | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str, Query(max_length=8000)] = "",
    ) -> PlanView:
        return PlanView.of(use.ask.read(adoption_id, verdict, limit, cursor, api.user_call()))

    @api.post(
        "/api/v1/adoptions/{adoption_id}/adopt",
        "Adopt all the certain customers, or chosen ones; each is looked at once more and done once",
        tag=TAG,
        model=AdoptionView,
        errors=_WRITE,
        status=202,
    )
    def post_adopt(adoption_id: str, body: AdoptRequest) -> tuple[AdoptionView, int]:
        return AdoptionView.of(use.ask.adopt(adoption_id, body, api.user_call())), 202
