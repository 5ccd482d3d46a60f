"""Where an order stands, as somebody wants to see it who asks "what is with it, and who has to do what?" (ORD-2)."""

from collections.abc import Iterator

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.kernel import CallContext, Role
from revops.orders.comments import count_comments
from revops.orders.model import ESignMethod, OrderForm, OrderKind, OrderStatus, Step, StepRecord
from revops.orders.policies.lifecycle import MOVES, WAITS, next_step
from revops.orders.policies.stages import current
from revops.orders.queries import ReadOrder
from revops.orders.reviews import ReviewDecision, ReviewStage
from revops.orders.signature import signed_by_another
from revops.orders.store import steps_of
from revops.table import Table


class StageProgress(BaseModel):
    """A stage of the review: who may decide, on what, by when, and what was said."""

    model_config = ConfigDict(defer_build=True)

    name: str
    roles: tuple[Role, ...]
    findings: list[str]
    open: bool = Field(description="It is this stage's turn")
    opened_at: AwareDatetime | None
    due_at: AwareDatetime | None
    told: list[str] = Field(description="The users who have a task of it")
    escalated_at: AwareDatetime | None
    decision: ReviewDecision | None
    comment: str
    decided_by: str
    decided_at: AwareDatetime | None


class NextAction(BaseModel):
    """Something that may be done now: what, by whom, and the route."""

    model_config = ConfigDict(defer_build=True)

    action: str = Field(examples=["review"])
    by: str = Field(examples=["Legal or Admin"])
    method: str = Field(default="", examples=["POST"])
    path: str = Field(default="", examples=["/api/v1/orders/ORD_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4/review"])


class Progress(BaseModel):
    """How far an order is: the steps taken, the one it is at, since when, what it waits for, and what may be done."""

    model_config = ConfigDict(defer_build=True)

    order_id: str
    kind: OrderKind
    amends: str = Field(description="The order that it changes; empty for a new one")
    revision: int
    status: OrderStatus
    attempt: int
    step: Step = Field(description="The step the order is at; `done` when the workflow has nothing left to do")
    since: AwareDatetime
    waits_for: str = Field(default="", examples=["signature"])
    reason: str = Field(default="", description="Why it is blocked or ended")
    findings: list[str] = Field(default_factory=list, description="What made it non-standard")
    warnings: list[str] = Field(default_factory=list, description="What holds nothing up now and is worth a look")
    stages: list[StageProgress] = Field(default_factory=list, description="Who approves the findings, in their order")
    comments: int = Field(default=0, description="How many comments there are")
    document: str = Field(default="", description="The route that gives the form as PDF; empty until it is printed")
    possible: list[OrderStatus] = Field(description="What it may become from here")
    next: list[NextAction] = Field(default_factory=list, description="What may be done now, and by whom")
    steps: list[StepRecord]


class ReadProgress:
    """The progress of an order for somebody who may read it."""

    def __init__(self, table: Table, read: ReadOrder) -> None:
        self._table = table
        self._read = read

    def __call__(self, order_id: str, call: CallContext) -> Progress:
        """Raises NotFound."""
        order = self._read(order_id, call)
        step = next_step(order.status)
        printed = order.document is not None and order.document.revision == order.revision
        return Progress(
            order_id=order.id,
            kind=order.kind,
            amends=order.amends,
            revision=order.revision,
            status=order.status,
            attempt=order.attempt,
            step=order.block.step if order.block else step,
            since=order.status_since,
            waits_for=_waits_for(order, step),
            reason=standing_reason(order),
            findings=[finding.message for finding in order.review.findings if finding.needs_approval],
            warnings=_warnings(order),
            stages=[_stage(order, stage) for stage in order.review.stages],
            comments=count_comments(self._table, order.id),
            document=_path(order, "document") if printed else "",
            possible=sorted(MOVES[order.status]),
            next=list(_actions(order)),
            steps=steps_of(self._table, order.id),
        )


def _warnings(order: OrderForm) -> list[str]:
    found = [finding.message for finding in order.review.findings if not finding.needs_approval]
    another = signed_by_another(order, order.signature) if order.signature else ""
    return [*found, another] if another else found


def standing_reason(order: OrderForm) -> str:
    """Why an order is blocked or ended, or what about its envelope somebody has to look at; empty otherwise."""
    if order.block:
        return order.block.reason
    earlier_round = order.status in {OrderStatus.SUBMITTED, OrderStatus.IN_REVIEW, OrderStatus.APPROVED}
    return order.end_reason or (order.envelope.problem if order.envelope and not earlier_round else "")


def _waits_for(order: OrderForm, step: Step) -> str:
    match order.status:
        case OrderStatus.BLOCKED:
            return "somebody to clear the reason and resume"
        case OrderStatus.CHANGES_REQUESTED:
            return "changed terms"
        case OrderStatus.IN_REVIEW:
            stage = current(order.review)
            return f"{stage.name.lower()} review" if stage else WAITS[step]
        case _:
            return WAITS.get(step, "")


def _stage(order: OrderForm, stage: ReviewStage) -> StageProgress:
    shared = {name: getattr(stage, name) for name in StageProgress.model_fields if name in ReviewStage.model_fields}
    here = order.status is OrderStatus.IN_REVIEW and current(order.review) == stage
    found = [finding.message for finding in order.review.findings if finding.rule in stage.rules]
    return StageProgress.model_validate({**shared, "told": list(stage.told or ()), "open": here, "findings": found})


def _path(order: OrderForm, action: str) -> str:
    return f"/api/v1/orders/{order.id}/{action}"


def _actions(order: OrderForm) -> Iterator[NextAction]:
    seller = "the account's owner, their manager, Admin"
    match order.status:
        case OrderStatus.IN_REVIEW:
            stage = current(order.review)
            roles = " or ".join(role.value for role in (*(stage.roles if stage else ()), Role.ADMIN))
            yield NextAction(action="review", by=roles, method="POST", path=_path(order, "review"))
        case OrderStatus.CHANGES_REQUESTED:
            yield NextAction(action="resume with changed terms", by=seller, method="POST", path=_path(order, "resume"))
        case OrderStatus.AWAITING_SIGNATURE if order.terms.esign_method is ESignMethod.MANUAL:
            yield NextAction(action="upload the signed form", by=seller, method="POST", path=_path(order, "signature"))
        case OrderStatus.AWAITING_SIGNATURE:
            yield NextAction(action=f"sign at {order.terms.esign_method}", by="the signatory")
        case OrderStatus.AWAITING_TENANT:
            by = f"the provisioning system or {Role.ADMIN.value}"
            yield NextAction(action="say that the tenant is open", by=by, method="POST", path=_path(order, "tenant"))
        case OrderStatus.BLOCKED:
            yield NextAction(action="resume", by=seller, method="POST", path=_path(order, "resume"))
            by = f"{Role.LEGAL.value} or {Role.ADMIN.value}"
            yield NextAction(action="resume with documents", by=by, method="POST", path=_path(order, "resume"))
        case OrderStatus.ACTIVE:
            yield NextAction(action="amend or renew", by=seller, method="POST", path="/api/v1/orders")
    if OrderStatus.CANCELLED in MOVES[order.status]:
        yield NextAction(action="cancel", by=seller, method="POST", path=_path(order, "cancel"))
    yield NextAction(action="comment", by="its seller and reviewers", method="POST", path=_path(order, "comments"))
