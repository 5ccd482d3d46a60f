"""Assets a customer brings (STR-4): registered by route or by a bus event, linked as their approval says.

The counts on the profile are those of its links: whoever writes a link writes them in the same transaction, so that a
list of customers and HubSpot show them without asking for every link.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.billing.model import AssetApproval, AssetLink, Customer
from revops.billing.policies import link_status
from revops.billing.rights import CustomerRights
from revops.billing.store import ASSET_LINK, CUSTOMER, asset_link_id, asset_links, customer_for_account, find_customer
from revops.kernel import CallContext, Clock, Invalid
from revops.table import ConditionFailed, Contention, Table, Transaction, begin

MAX_ASSETS = 1000
_ATTEMPTS = 8
_AT_ONCE = 50
_RANK = {AssetApproval.PENDING: 0, AssetApproval.APPROVED: 1, AssetApproval.REJECTED: 2}
"""Of two words of one moment the more careful one stands."""

AssetId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class AssetChange(BaseModel):
    """An asset as its company knows it. `approved_at` is when the approval was given; without it, now."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    approval: AssetApproval
    name: Annotated[str, Field(max_length=200, examples=["Harbour View, flat 3"])] = ""
    approved_at: AwareDatetime | None = None


class AssetApprovalChanged(BaseModel):
    """What an outside system says on the bus: the customer by our id, by a Stripe customer or by its account, the
    asset, its approval and when that was given. Further fields are passed over."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")

    customer: Annotated[str, Field(min_length=1, max_length=120)]
    asset_id: AssetId
    approval: AssetApproval
    name: Annotated[str, Field(max_length=200)] = ""
    approved_at: AwareDatetime


_Said = AssetChange | AssetApprovalChanged


@dataclass(frozen=True, slots=True)
class AssetSync:
    """What bringing the links of a customer in line found: how many by status, and how many it had to change."""

    assets: Mapping[str, int]
    changed: int


class LinkAssets:
    """Registers assets and keeps their links as their approval says."""

    def __init__(self, table: Table, clock: Clock, rights: CustomerRights) -> None:
        self._table = table
        self._clock = clock
        self._rights = rights

    def by_hand(self, identifier: str, asset_id: str, change: AssetChange, call: CallContext) -> AssetLink:
        """Raises NotFound, Forbidden, Invalid, Contention."""
        customer = self._rights.workable(identifier, call)
        return self._link(customer.id, asset_id, change, change.approved_at, call)

    def from_bus(self, said: AssetApprovalChanged, call: CallContext) -> AssetLink | None:
        """What an outside system says; None for a customer that is not here. Any order and repeat of events ends with
        the latest word. Raises Invalid, Contention."""
        known = find_customer(self._table, said.customer)
        customer = known or customer_for_account(self._table, said.customer)
        if customer is None:
            return None
        return self._link(customer.id, said.asset_id, said, said.approved_at, call)

    def sync(self, customer_id: str, call: CallContext) -> AssetSync:
        """Brings every link of a customer in line with its approval, and the counts with the links: alone, or as part
        of the full sync. Raises NotFound, Contention."""
        lost = changed = 0
        while lost < _ATTEMPTS:
            now = self._clock.now()
            customer = CUSTOMER.require(self._table, customer_id)
            links = asset_links(self._table, customer_id)
            wrong = [link for link in links if link.link_status is not link_status(link.approval)]
            counts = dict(sorted(Counter(link_status(link.approval).value for link in links).items()))
            if not wrong and counts == customer.assets:
                return AssetSync(counts, changed)
            transaction = begin(call, now)
            for link in wrong[:_AT_ONCE]:
                ASSET_LINK.update(transaction, link.revised(now, link_status=link_status(link.approval)))
            _count(transaction, customer, counts, now)
            try:
                self._table.commit(transaction)
                changed += len(wrong[:_AT_ONCE])
            except ConditionFailed:
                lost += 1  # a link or the profile was changed meanwhile: all of it is read again
        raise Contention("the customer keeps changing; try again shortly")

    def _link(
        self, customer_id: str, asset_id: str, said: _Said, given_at: datetime | None, call: CallContext
    ) -> AssetLink:
        for _ in range(_ATTEMPTS):
            now = self._clock.now()
            customer = CUSTOMER.require(self._table, customer_id)
            before = ASSET_LINK.get(self._table, asset_link_id(customer_id, asset_id))
            if before is not None and not _is_news(before, said, given_at):
                return before
            if before is None and sum(customer.assets.values()) >= MAX_ASSETS:
                raise Invalid.field("asset_id", "STR-4 assets", f"a customer has at most {MAX_ASSETS} assets")
            after = _linked(customer_id, asset_id, before, said, given_at or now, now)
            counts = Counter(customer.assets)
            counts[after.link_status.value] += 1
            if before is not None:
                counts[before.link_status.value] -= 1
            transaction = begin(call, now)
            if before is None:
                ASSET_LINK.create(transaction, after)
            else:
                ASSET_LINK.update(transaction, after)
            _count(transaction, customer, {status: count for status, count in sorted(counts.items()) if count > 0}, now)
            try:
                self._table.commit(transaction)
            except ConditionFailed:
                continue  # a convergence, or another word about this asset
            return after
        raise Contention("the customer keeps changing; try again shortly")


def _linked(
    customer_id: str,
    asset_id: str,
    before: AssetLink | None,
    said: _Said,
    at: datetime,
    now: datetime,
) -> AssetLink:
    wanted: dict[str, Any] = {
        "approval": said.approval,
        "link_status": link_status(said.approval),
        "approved_at": at,
        "name": said.name or (before.name if before else ""),
    }
    if before is not None:
        return before.revised(now, **wanted)
    return AssetLink(
        id=asset_link_id(customer_id, asset_id),
        created_at=now,
        modified_at=now,
        customer_id=customer_id,
        asset_id=asset_id,
        **wanted,
    )


def _count(transaction: Transaction, customer: Customer, counts: dict[str, int], now: datetime) -> None:
    """The profile with these counts; the commit fails if it was changed meanwhile, also where it keeps its own."""
    if counts == customer.assets:
        transaction.check(CUSTOMER.key(customer.id), customer.version)
    else:
        CUSTOMER.update(transaction, customer.revised(now, assets=counts))


def _is_news(before: AssetLink, said: _Said, at: datetime | None) -> bool:
    """Whether a word is later than the one that stands, or says of the same moment something that outranks it. One
    without a time is of now, and news if it says anything else."""
    renamed = bool(said.name) and said.name != before.name
    if at is None:
        return renamed or said.approval is not before.approval
    if before.approved_at is not None and at != before.approved_at:
        return at > before.approved_at
    return renamed if said.approval is before.approval else _RANK[said.approval] > _RANK[before.approval]
