"""Pairs that may be one person, merging two leads, and undoing it (CAP-11)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from revops.crm.duplicates import DuplicatePair, PairStatus, ReadDuplicates, TellApart, Waiting
from revops.crm.merging import MergeLeads, MergeRecord, UndoMerge
from revops.crm.model import Lead, LeadStatus, MatchDecision, MatchEvidence
from revops.crm.policies.merging import Difference
from revops.kernel import CallContext, Invalid
from revops.platform.http import Api

TAG = "duplicates"


@dataclass(frozen=True, slots=True)
class DuplicateUseCases:
    """What the routes call."""

    read: ReadDuplicates
    tell_apart: TellApart
    merge: MergeLeads
    undo: UndoMerge


class SideView(BaseModel):
    """One lead of a pair: what it takes to say whether both are one person."""

    model_config = ConfigDict(defer_build=True)

    id: str
    first_name: str
    last_name: str
    company: str
    email: str
    phone: str
    country: str
    job_title: str
    owner_id: str
    status: LeadStatus
    created_at: datetime

    @classmethod
    def of(cls, lead: Lead) -> Self:
        return cls.model_validate({name: getattr(lead, name) for name in cls.model_fields})


class PairView(BaseModel):
    """Two leads that resemble each other, the newer one first, with the evidence. `proposed` is what the matcher makes
    of them, `flags` what kept it from being certain."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["DUP_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    status: PairStatus
    proposed: MatchDecision
    score: float = Field(description="How likely the two are one person, 0–1")
    flags: tuple[str, ...]
    evidence: tuple[MatchEvidence, ...]
    leads: tuple[SideView, ...]
    decided_by: str = ""
    merge_id: str = ""
    created_at: datetime

    @classmethod
    def of(cls, waiting: Waiting, pair: DuplicatePair | None = None) -> Self:
        stands = pair or waiting.pair
        return cls(
            id=stands.id,
            status=stands.status,
            proposed=stands.decision,
            score=stands.score,
            flags=stands.flags,
            evidence=stands.evidence,
            leads=(SideView.of(waiting.lead), SideView.of(waiting.other)),
            decided_by=stands.decided_by,
            merge_id=stands.merge_id,
            created_at=stands.created_at,
        )


class PairListView(BaseModel):
    """A page of waiting pairs, the newest first; `next` is the cursor of the following page, empty at the end. A page
    may be shorter than its limit and still have a next one."""

    model_config = ConfigDict(defer_build=True)

    pairs: list[PairView]
    next: str = ""


class _Body(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


Values = Annotated[
    dict[str, str],
    Field(
        max_length=20,
        description="Field → the lead whose value is to stand. Without it the survivor's stands, or what it lacks",
        examples=[{"phone": "LEAD_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"}],
    ),
]


class PairDecision(_Body):
    """What somebody says of a pair. `survivor_id` goes with merge; without it the older lead survives."""

    decision: Literal["merge", "different"] = Field(examples=["merge"])
    survivor_id: str = Field(default="", max_length=60)
    values: Values = Field(default_factory=dict)


class MergeRequest(_Body):
    """Two leads to be made one, whether or not anybody proposed it."""

    survivor_id: str = Field(min_length=1, max_length=60)
    merged_id: str = Field(min_length=1, max_length=60)
    values: Values = Field(default_factory=dict)


class MergeView(BaseModel):
    """A merge: which lead is part of which, and in what the two differed."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["MRG_7ZK3Q9V0M4T2X8B6N1C5R7W9YA02"])
    survivor_id: str
    merged_id: str
    differences: tuple[Difference, ...]
    automatic: bool = Field(description="Whether the rules merged the two without a person's word")
    merged_by: str
    merged_at: datetime
    undone_by: str = ""
    undone_at: datetime | None = None

    @classmethod
    def of(cls, record: MergeRecord) -> Self:
        return cls(
            id=record.id,
            survivor_id=record.survivor.id,
            merged_id=record.merged.id,
            differences=record.differences,
            automatic=record.automatic,
            merged_by=record.merged_by,
            merged_at=record.created_at,
            undone_by=record.undone_by,
            undone_at=record.undone_at,
        )


def add_duplicate_routes(api: Api, use: DuplicateUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/duplicates",
        "Pairs of leads that may be one person, waiting for a word; those of which the caller may read both",
        tag=TAG,
        model=PairListView,
        errors=(401, 403),
    )
    def list_duplicates(
        limit: Annotated[int, Query(ge=1, le=100)] = 25, cursor: Annotated[str, Query(max_length=8000)] = ""
    ) -> PairListView:
        found, after = use.read.page(limit, cursor, api.user_call())
        return PairListView(pairs=[PairView.of(waiting) for waiting in found], next=after)

    @api.post(
        "/api/v1/duplicates/{pair_id}/decision",
        "Say that a pair is one person, who is merged, or two, who are never proposed again",
        tag=TAG,
        model=PairView,
        errors=(400, 401, 403, 404, 409, 503),
        example=None,
    )
    def decide_duplicate(pair_id: str, body: PairDecision) -> PairView:
        call = api.user_call()
        waiting = use.read.one(pair_id, call)
        if body.decision == "merge":
            _merge(waiting, body, call)
            return PairView.of(use.read.one(pair_id, call))
        if body.survivor_id or body.values:
            raise Invalid.field("survivor_id", "goes-with-merge", "nobody survives where two are told apart", "merge")
        return PairView.of(waiting, use.tell_apart(waiting, call))

    def _merge(waiting: Waiting, body: PairDecision, call: CallContext) -> None:
        sides = {waiting.lead.id: waiting.other.id, waiting.other.id: waiting.lead.id}
        survivor = body.survivor_id or waiting.other.id
        if survivor not in sides:
            raise Invalid.field("survivor_id", "one-of-the-two", "neither of the two leads", ", ".join(sides))
        use.merge(survivor, sides[survivor], call, body.values)

    @api.post(
        "/api/v1/merges",
        "Merge two leads of one person; the same answer again when they are one already",
        tag=TAG,
        model=MergeView,
        errors=(400, 401, 403, 404, 409, 503),
        example=None,
    )
    def merge_leads(body: MergeRequest) -> MergeView:
        return MergeView.of(use.merge(body.survivor_id, body.merged_id, api.user_call(), body.values))

    @api.get("/api/v1/merges/{merge_id}", "One merge", tag=TAG, model=MergeView, errors=(401, 404))
    def get_merge(merge_id: str) -> MergeView:
        return MergeView.of(use.undo.read(merge_id, api.user_call()))

    @api.post(
        "/api/v1/merges/{merge_id}/undo",
        "Make two leads of one again; what was changed since stays with the survivor. Says what stands in the way",
        tag=TAG,
        model=MergeView,
        errors=(401, 403, 404, 409, 503),
    )
    def undo_merge(merge_id: str) -> MergeView:
        return MergeView.of(use.undo(merge_id, api.user_call()))
