"""Customers that Stripe had before we came: whose they are, and how they come to belong to an account (STR-8).

| item | pk | sk | gsi1 | due |
|---|---|---|---|---|
| adoption plan | ADOPTION#<id> | PLAN | | `adoption` while work on it is under way |
| candidate | ADOPTION#<id> | PAYER#<digest> | ADOPTION#<id>#<verdict> / Stripe customer | `adopt` once approved |
| claim `adopt` | a Stripe customer → the candidate that is being adopted | | | |

Read by: id; candidates of a plan by verdict; due: a plan whose next block was lost, an adoption that was. A candidate
keeps a company's name and mail domain, and no address of a person.
"""

import hashlib
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.reconcile.store import STALLED_AFTER
from revops.table import Entity, EntityKind, Index, Key, Query, due_index

ADOPTION_TOPIC = "adoption"
CANDIDATE_TOPIC = "adopt"
ADOPTING = "adopt"


class Verdict(StrEnum):
    """Whose a customer is: known already, certainly an account's, perhaps some account's, nobody's here."""

    LINKED = "linked"
    CERTAIN = "certain"
    DOUBTFUL = "doubtful"
    NONE = "none"


class Match(BaseModel):
    """An account that a customer may be, how alike the names are (0–1), and what speaks for and against it."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    account_id: str
    name: str
    score: float
    reasons: tuple[str, ...] = ()


class AdoptionStatus(StrEnum):
    """Where a plan stands."""

    PLANNING = "Planning"
    PLANNED = "Planned"
    FAILED = "Failed"


class AdoptionPhase(StrEnum):
    """What a plan is at: matching every customer, noting their subscriptions, counting; or approving all the certain
    ones because somebody said so."""

    CUSTOMERS = "customers"
    SUBSCRIPTIONS = "subscriptions"
    COUNTING = "counting"
    APPROVING = "approving"


class Adoption(Entity):
    """A plan over every customer that Stripe has. `counts` is by verdict."""

    requested_by: str
    status: AdoptionStatus = AdoptionStatus.PLANNING
    phase: AdoptionPhase = AdoptionPhase.CUSTOMERS
    place: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    approved_by: str = ""
    problem: str = ""
    planned_at: AwareDatetime | None = None


class CandidateState(StrEnum):
    """What became of a candidate. `changed`: when it was to be adopted it was another matter, so nothing was done."""

    PLANNED = "planned"
    APPROVED = "approved"
    ADOPTED = "adopted"
    CHANGED = "changed"
    REFUSED = "refused"


class Candidate(Entity):
    """A customer of Stripe's in a plan. `account_id` is the account it belongs to or is to; empty with `create` means
    that one is to be made. `chosen` when a person said which. `subscriptions` are some of those that run."""

    adoption_id: str
    payer: str
    name: str = ""
    domain: str = ""
    verdict: Verdict
    matches: tuple[Match, ...] = ()
    reasons: tuple[str, ...] = ()
    account_id: str = ""
    create: bool = False
    owner_id: str = ""
    chosen: bool = False
    subscriptions: tuple[str, ...] = ()
    running: int = 0
    state: CandidateState = CandidateState.PLANNED
    approved_by: str = ""
    settled_at: AwareDatetime | None = None
    result: str = ""


def candidate_id(adoption_id: str, payer: str) -> str:
    """One per plan and customer."""
    return f"{adoption_id}.{hashlib.sha256(payer.encode()).hexdigest()[:26].upper()}"


def _plan_key(identifier: str) -> Key:
    return Key(f"ADOPTION#{identifier}", "PLAN")


def _plan_index(plan: Adoption) -> Index:
    if plan.status is not AdoptionStatus.PLANNING:
        return {}
    return {"due": due_index(ADOPTION_TOPIC, plan.modified_at + STALLED_AFTER, _plan_key(plan.id))}


def _candidate_key(identifier: str) -> Key:
    plan_id, _, digest = identifier.partition(".")
    return Key(f"ADOPTION#{plan_id}", f"PAYER#{digest}")


def _candidate_index(candidate: Candidate) -> Index:
    index = {"gsi1": (f"ADOPTION#{candidate.adoption_id}#{candidate.verdict}", candidate.payer)}
    if candidate.state is CandidateState.APPROVED:
        index["due"] = due_index(CANDIDATE_TOPIC, candidate.modified_at + STALLED_AFTER, _candidate_key(candidate.id))
    return index


ADOPTIONS = EntityKind[Adoption](
    kind="ADOPTION", title="adoption plan", model=Adoption, key=_plan_key, index=_plan_index
)
CANDIDATES = EntityKind[Candidate](
    kind="ADOPTION_CANDIDATE",
    title="candidate of an adoption",
    model=Candidate,
    key=_candidate_key,
    index=_candidate_index,
)


def id_of_adoption(key: Key) -> str:
    """The plan that stands at a key."""
    return key.pk.removeprefix("ADOPTION#")


def id_of_candidate(key: Key) -> str:
    """The candidate that stands at a key."""
    return f"{id_of_adoption(key)}.{key.sk.removeprefix('PAYER#')}"


def candidate_partitions(plan_id: str, verdicts: tuple[Verdict, ...]) -> dict[str, Query]:
    """Name → query of each partition of a plan's candidates, by Stripe's id."""
    return {verdict.value: Query(pk=f"ADOPTION#{plan_id}#{verdict}", index="gsi1") for verdict in verdicts}


def candidates_after(plan_id: str, place: str, limit: int) -> Query:
    """A page of all candidates of a plan, strongly consistent."""
    return Query(pk=f"ADOPTION#{plan_id}", begins="PAYER#", after=place, limit=limit, consistent=True)
