"""Making and approving adoption plans, block by block in the Stripe worker (STR-8)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.kernel import CallContext, Clock, FieldIssue, IdFactory, Invalid, NotFound, VersionConflict
from revops.orders.ports import ProvisioningRefused
from revops.reconcile.adopting_ports import Accounts, PayerCard, StripeCustomers, Subscribed
from revops.reconcile.adoption import (
    ADOPTIONS,
    CANDIDATES,
    Adoption,
    AdoptionPhase,
    AdoptionStatus,
    Candidate,
    CandidateState,
    Verdict,
    candidate_id,
    candidate_partitions,
    candidates_after,
)
from revops.reconcile.policies.adopting import judge
from revops.reconcile.requesting import require_finance
from revops.table import ConditionFailed, Contention, CursorSigner, Table, begin, merge_pages, present

PAGE = 50
_MOST_SUBSCRIPTIONS = 20
_IMMOVABLE = {CandidateState.APPROVED, CandidateState.ADOPTED}


class Choice(BaseModel):
    """What is to become of one customer. Without `account_id` and `create` it is what the plan proposes; a doubtful one
    needs one of the two."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    stripe_customer_id: Annotated[str, Field(max_length=255, examples=["cus_NffrFeUfNV2Hib"])]
    account_id: Annotated[str, Field(max_length=60, description="The account it belongs to")] = ""
    create: Annotated[bool, Field(description="Make an account of it")] = False
    owner_id: Annotated[str, Field(max_length=128, description="Who owns a new account; you, unless given")] = ""


class AdoptRequest(BaseModel):
    """Which customers of a plan are to be adopted: all the certain ones, or chosen ones. `version` is the plan's."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"version": 2, "all_certain": True}]},
    )

    version: Annotated[int, Field(ge=1, description="The plan's version that was read")]
    all_certain: bool = False
    customers: Annotated[tuple[Choice, ...], Field(max_length=90)] = ()


@dataclass(frozen=True, slots=True)
class PlanPage:
    """A plan with a page of its candidates. `next_cursor` is empty at the end."""

    plan: Adoption
    candidates: list[Candidate]
    next_cursor: str


class AskForAdoption:
    """What people do about plans: Finance and Admins."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        policy: Policy,
        accounts: Accounts,
        cursors: Callable[[], CursorSigner],
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._accounts = accounts
        self._cursors = cursors

    def plan(self, call: CallContext) -> Adoption:
        """Begins a plan. Raises NotFound, Forbidden."""
        require_finance(self._policy, call)
        now = self._clock.now()
        made = Adoption(id=self._ids.new("ADO"), created_at=now, modified_at=now, requested_by=call.principal.id)
        transaction = begin(call, now)
        ADOPTIONS.create(transaction, made)
        self._table.commit(transaction)
        return made

    def read(self, identifier: str, verdict: Verdict | None, limit: int, cursor: str, call: CallContext) -> PlanPage:
        """Raises NotFound for who does not read everybody's billing."""
        if self._policy.readable_owners(call.principal, Resource.BILLING) is not None:
            raise NotFound(ADOPTIONS.title, identifier)
        plan = ADOPTIONS.require(self._table, identifier)
        binding = {"who": call.principal.id, "list": f"candidates/{plan.id}/{verdict or ''}"}
        positions = self._cursors().open(cursor, binding) if cursor else {}
        partitions = candidate_partitions(plan.id, (verdict,) if verdict else tuple(Verdict))
        rows, after = merge_pages(self._table, partitions, positions, limit)
        found = CANDIDATES.load_all(present(self._table.get_many([row.key for row in rows])))
        return PlanPage(plan, found, self._cursors().sign(after, binding) if after else "")

    def adopt(self, identifier: str, wanted: AdoptRequest, call: CallContext) -> Adoption:
        """All of the chosen ones or none; the certain ones follow behind. One that is adopted, or about to be, stays as
        it is. Raises NotFound, Forbidden, Invalid, VersionConflict."""
        require_finance(self._policy, call)
        plan = ADOPTIONS.require(self._table, identifier)
        if plan.status is not AdoptionStatus.PLANNED:
            raise Invalid.field("version", "STR-8 planned", f"the plan is {plan.status}", "a finished plan")
        if plan.version != wanted.version:
            raise VersionConflict(f"the plan {plan.id} is another one by now", plan.version)
        if not wanted.all_certain and not wanted.customers:
            raise Invalid.field("customers", "STR-8 which", "nobody is chosen", "customers, or all_certain")
        now = self._clock.now()
        chosen = self._chosen(plan, wanted.customers, call)
        transaction = begin(call, now)
        for each in chosen:
            CANDIDATES.update(transaction, each)
        after = plan
        if wanted.all_certain:
            phase = {"status": AdoptionStatus.PLANNING, "phase": AdoptionPhase.APPROVING, "place": ""}
            after = plan.revised(now, **phase, approved_by=call.principal.id)
            ADOPTIONS.update(transaction, after)
        if chosen or wanted.all_certain:
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise VersionConflict("somebody decided about one of these meanwhile; read them again", None) from error
        return after

    def _chosen(self, plan: Adoption, choices: tuple[Choice, ...], call: CallContext) -> list[Candidate]:
        by_payer = {choice.stripe_customer_id: choice for choice in choices}
        keys = [CANDIDATES.key(candidate_id(plan.id, payer)) for payer in by_payer]
        rows = self._table.get_many(keys) if keys else []
        issues: list[FieldIssue] = []
        approved: list[Candidate] = []
        for choice, row in zip(by_payer.values(), rows, strict=True):
            held = CANDIDATES.load(row) if row else None
            problem = self._problem(held, choice)
            if problem:
                issues.append(FieldIssue("customers", "STR-8 choice", f"{choice.stripe_customer_id}: {problem}"))
            elif held is not None and held.state not in _IMMOVABLE:
                approved.append(self._approved(held, choice, call))
        if issues:
            raise Invalid("; ".join(issue.message for issue in issues), issues)
        return approved

    def _problem(self, held: Candidate | None, choice: Choice) -> str:
        if held is None:
            return "not in this plan"
        if choice.account_id and choice.create:
            return "an account is named, and one is to be made; one of the two"
        if choice.account_id and self._accounts.active(choice.account_id) is None:
            return f"{choice.account_id} is no active account"
        if held.verdict is Verdict.LINKED and (choice.account_id or choice.create):
            return f"it belongs to {held.account_id} already"
        if held.verdict is Verdict.DOUBTFUL and not (choice.account_id or choice.create):
            return "it is doubtful: name the account it belongs to, or have one made"
        return ""

    def _approved(self, held: Candidate, choice: Choice, call: CallContext) -> Candidate:
        return held.revised(
            self._clock.now(),
            state=CandidateState.APPROVED,
            account_id="" if choice.create else choice.account_id or held.account_id,
            create=choice.create or (held.create and not choice.account_id),
            owner_id=choice.owner_id or call.principal.id,
            chosen=bool(choice.account_id or choice.create),
            approved_by=call.principal.id,
            result="",
        )


class RunAdoption:
    """The worker's part: one block of a plan."""

    def __init__(
        self, table: Table, clock: Clock, stripe: StripeCustomers, subscribed: Subscribed, accounts: Accounts
    ) -> None:
        self._table = table
        self._clock = clock
        self._stripe = stripe
        self._subscribed = subscribed
        self._accounts = accounts

    def __call__(self, identifier: str, call: CallContext) -> Adoption:
        """The plan as it stands after its next block. Raises NotFound; Unavailable and Contention when the block should
        come again."""
        plan = ADOPTIONS.require(self._table, identifier)
        if plan.status is not AdoptionStatus.PLANNING:
            return plan
        try:
            changes = self._block(plan, call)
        except ProvisioningRefused as error:
            changes = {"status": AdoptionStatus.FAILED, "problem": error.detail[:500]}
        after = plan.revised(self._clock.now(), **changes)
        transaction = begin(call, self._clock.now())
        ADOPTIONS.update(transaction, after)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return ADOPTIONS.require(self._table, identifier)  # another worker did this block
        return after

    def _block(self, plan: Adoption, call: CallContext) -> dict[str, Any]:
        match plan.phase:
            case AdoptionPhase.CUSTOMERS:
                return self._customers(plan, call)
            case AdoptionPhase.SUBSCRIPTIONS:
                return self._subscriptions(plan, call)
            case AdoptionPhase.COUNTING:
                return self._counting(plan)
            case _:
                return self._approving(plan, call)

    def _customers(self, plan: Adoption, call: CallContext) -> dict[str, Any]:
        page = self._stripe.customers(plan.place, PAGE)
        by_id = {candidate_id(plan.id, card.id): card for card in page.cards}
        rows = self._table.get_many([CANDIDATES.key(name) for name in by_id]) if by_id else []
        transaction, new = begin(call, self._clock.now()), 0
        for (name, card), row in zip(by_id.items(), rows, strict=True):
            if row is None:
                CANDIDATES.create(transaction, self._candidate(plan, name, card))
                new += 1
        if new:
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise Contention("another worker plans the same page") from error
        return {"place": page.last} if page.last else {"phase": AdoptionPhase.SUBSCRIPTIONS, "place": ""}

    def _candidate(self, plan: Adoption, identifier: str, card: PayerCard) -> Candidate:
        known, now = self._accounts.known(card), self._clock.now()
        judged = judge(card, known)
        return Candidate(
            id=identifier,
            created_at=now,
            modified_at=now,
            adoption_id=plan.id,
            payer=card.id,
            name=card.name,
            domain=known.domain,
            verdict=judged.verdict,
            matches=judged.matches,
            reasons=judged.reasons,
            account_id=judged.account_id,
            create=judged.verdict is Verdict.NONE,
            state=CandidateState.ADOPTED if judged.verdict is Verdict.LINKED else CandidateState.PLANNED,
        )

    def _subscriptions(self, plan: Adoption, call: CallContext) -> dict[str, Any]:
        found, last = self._subscribed.page(plan.place, PAGE)
        by_payer: dict[str, set[str]] = {}
        for payer, subscription_id in found:
            by_payer.setdefault(payer, set()).add(subscription_id)
        keys = [CANDIDATES.key(candidate_id(plan.id, payer)) for payer in by_payer]
        rows = self._table.get_many(keys) if keys else []
        transaction, changed = begin(call, self._clock.now()), 0
        for (payer, ids), row in zip(by_payer.items(), rows, strict=True):
            held = CANDIDATES.load(row) if row else None
            if held is None or held.payer != payer or ids <= set(held.subscriptions):
                continue
            named = sorted({*held.subscriptions, *ids})
            more = held.running + len(ids - set(held.subscriptions))
            update = {"subscriptions": tuple(named[:_MOST_SUBSCRIPTIONS]), "running": more}
            CANDIDATES.update(transaction, held.revised(self._clock.now(), **update))
            changed += 1
        if changed:
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise Contention("another worker notes the same subscriptions") from error
        return {"place": last} if last else {"phase": AdoptionPhase.COUNTING, "place": ""}

    def _counting(self, plan: Adoption) -> dict[str, Any]:
        counts, place = Counter[str](), ""
        while True:
            page = self._table.query(candidates_after(plan.id, place, 200))
            counts.update(each.verdict.value for each in CANDIDATES.load_all(page.rows))
            place = page.last
            if not place:
                break
        now = self._clock.now()
        return {"status": AdoptionStatus.PLANNED, "counts": dict(counts), "planned_at": now, "place": ""}

    def _approving(self, plan: Adoption, call: CallContext) -> dict[str, Any]:
        """The certain ones that nobody decided about, as the plan has them."""
        page = self._table.query(candidates_after(plan.id, plan.place, PAGE))
        now, waiting = self._clock.now(), list[Candidate]()
        for each in CANDIDATES.load_all(page.rows):
            if each.verdict is Verdict.CERTAIN and each.state is CandidateState.PLANNED:
                approved = {"state": CandidateState.APPROVED, "approved_by": plan.approved_by}
                waiting.append(each.revised(now, **approved, owner_id=plan.approved_by))
        transaction = begin(call, now)
        for each in waiting:
            CANDIDATES.update(transaction, each)
        if waiting:
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                raise Contention("somebody decided about one of these") from error
        return {"place": page.last} if page.last else {"status": AdoptionStatus.PLANNED, "place": ""}
