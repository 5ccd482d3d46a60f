"""The customers' routes over the billing slice in memory: sellers, their accounts, and what Stripe says of them."""

from dataclasses import replace
from typing import Any

from revops.access import Policy
from revops.api.cancellations import CancellationUseCases, add_cancellation_routes
from revops.api.customers import CustomerUseCases, add_customer_routes
from revops.api.reports import ReportUseCases, add_report_routes
from revops.billing.assets import LinkAssets
from revops.billing.cancellation import (
    BringCancellations,
    Cancellation,
    Feedback,
    Mode,
    RequestCancellation,
    Standing,
)
from revops.billing.events import work
from revops.billing.lists import ChangeCustomer, ReadCustomers
from revops.billing.meters import ReadMeterReports
from revops.billing.model import BillingFacts, Customer
from revops.billing.ports import StripeRefused
from revops.billing.queries import ReadCustomer
from revops.billing.reports import ReadAssets, ReadReports
from revops.billing.resync import RequestResync, RunResync, SyncCustomer
from revops.billing.rights import CustomerRights
from revops.billing.store import CUSTOMER, customer_of_payer
from revops.kernel import CallContext, Principal, Role
from revops.platform.http import Api
from revops.table import CursorSigner
from tests.builders.billing import START, BillingBench, event_body, subscription
from tests.builders.clock import seeded_ids
from tests.builders.requests import Answer, KnownCallers, ask

TEAM = frozenset({"manager", "rep", "rep2"})
CALLERS = (
    Principal("admin", Role.ADMIN),
    Principal("manager", Role.SALES_MANAGER, members=TEAM),
    Principal("rep", Role.SALES_REP),
    Principal("rep2", Role.SALES_REP),
    Principal("stranger", Role.SALES_REP),
    Principal("sdr", Role.SDR),
    Principal("support", Role.SUPPORT),
    Principal("finance", Role.FINANCE),
    Principal("legal", Role.LEGAL),
)


class StripeSubscriptions:
    """A `CancellationGateway` over the facts of a bench. `done` is what it had to do; `failure` what it raises next,
    before or, with `after_work`, after it did it."""

    def __init__(self, bench: BillingBench) -> None:
        self._bench = bench
        self.done: list[tuple[str, str]] = []
        self.failure: Exception | None = None
        self.after_work = False
        self.meanwhile: Any = lambda: None

    def bring(self, wish: Cancellation, payers: tuple[str, ...]) -> Standing:
        if self.failure and not self.after_work:
            failure, self.failure = self.failure, None
            raise failure
        payer, held = next(
            (payer, each)
            for payer in payers
            for each in self._bench.stripe.truth[payer].subscriptions
            if each.id == wish.subscription_id
        )
        ended = held.status == "canceled"
        now = self._bench.clock.now()
        step, self.meanwhile = self.meanwhile, lambda: None
        step()
        if not ended and wish.mode is Mode.NOW:
            held, ended = subscription("canceled", held.id, ended_at=now), True
            self._say(payer, wish, held)
        elif not ended and wish.mode is Mode.PERIOD_END and held.cancel_at is None:
            held = replace(held, cancel_at=now.replace(month=12))
            self._say(payer, wish, held)
        elif not ended and wish.mode is Mode.KEEP and held.cancel_at is not None:
            held = replace(held, cancel_at=None)
            self._say(payer, wish, held)
        if self.failure:
            failure, self.failure = self.failure, None
            raise failure
        return Standing(ended, held.ended_at if ended else held.cancel_at)

    def _say(self, payer: str, wish: Cancellation, held: Any) -> None:
        facts = self._bench.stripe.truth[payer]
        others = tuple(each for each in facts.subscriptions if each.id != held.id)
        self._bench.stripe.truth[payer] = replace(facts, subscriptions=(*others, held))
        self.done.append((wish.mode.value, held.id))


class CustomerDesk:
    """Routes, worker and stream of the customers. Accounts: ACC_REP is rep's, ACC_REP2 rep2's, ACC_FAR stranger's."""

    def __init__(self) -> None:
        self.bench = BillingBench(ACC_REP="rep", ACC_REP2="rep2", ACC_FAR="stranger")
        table, clock, policy, ids = self.bench.table, self.bench.clock, Policy(), seeded_ids(5)
        self.rights = CustomerRights(table, policy, self.bench.accounts)
        self.link = LinkAssets(table, clock, self.rights)
        self.resync = RequestResync(table, clock, ids, policy)
        self.kept: list[str] = []
        self.in_the_way = ""
        self.sync = SyncCustomer(table, clock, self.bench.converge, self.link)
        self.stripe = StripeSubscriptions(self.bench)
        self.bring = BringCancellations(table, clock, self.stripe, self.sync, self.keep)
        self.run = RunResync(table, clock, self.sync)

        def cursors() -> CursorSigner:
            return CursorSigner(b"local-signing-key")

        self.api = Api(KnownCallers(*CALLERS))
        read = ReadCustomers(table, policy, self.rights, cursors)
        change, assets = ChangeCustomer(table, clock, self.rights), ReadAssets(table, clock, self.rights)
        add_customer_routes(
            self.api,
            CustomerUseCases(self.rights, ReadCustomer(table), read, change, self.link, assets, self.resync),
        )
        request = RequestCancellation(table, clock, self.rights)
        add_cancellation_routes(self.api, CancellationUseCases(request))
        reports = ReadReports(table, clock, policy, cursors)
        add_report_routes(self.api, ReportUseCases(reports, ReadMeterReports(table, clock, policy), self.resync))
        self._told = 0
        self._made = 0

    def keep(self, subscription_id: str, _: CallContext) -> str:
        """`KeepAsAgreed` that remembers; the sellers of this desk have no orders."""
        self.kept.append(subscription_id)
        return self.in_the_way

    def ask(self, method: str, path: str, body: object = None, user: str = "admin") -> Answer:
        return ask(self.api, method, f"/api/v1{path}", body, sub=user)

    def customer(self, account: str = "ACC_REP", **facts: Any) -> Customer:
        """A customer of an account, converged."""
        self._made += 1
        payer = f"cus_{self._made}"
        running = facts.pop("subscriptions", (subscription(id_=f"sub_{self._made}"),))
        self.bench.stripe.truth[payer] = BillingFacts(
            payer, currency="EUR", account_id=account, subscriptions=running, **facts
        )
        self.bench.work(event_body(f"evt_made_{payer}", "customer.created", {"id": payer, "object": "customer"}))
        self.bench.clock.advance(seconds=1)
        return self.of(payer)

    def of(self, payer: str) -> Customer:
        return CUSTOMER.require(self.bench.table, customer_of_payer(self.bench.table, payer) or "")

    def stream(self) -> int:
        """Hands the worker what the changes since the last time give it to do, until there is nothing more."""
        done = 0
        while True:
            changes, self._told = self.bench.table.changes[self._told :], len(self.bench.table.changes)
            messages = [message for change in changes for _, message in work(change)]
            if not messages:
                return done
            for message in messages:
                done += 1
                self.handle(message)

    def handle(self, message: Any) -> None:
        """What the worker's function does with a message."""
        use = self.bring if message["kind"] == "CANCELLATION" else self.run
        use(message["entity_id"], self.bench.call)


def wish_of(subscription: str, mode: Mode) -> Cancellation:
    """What somebody of finance wants of a subscription."""
    return Cancellation(
        id="CUST_1.x", created_at=START, modified_at=START, customer_id="CUST_1", subscription_id=subscription,
        mode=mode, reason="moves away", feedback=Feedback.UNUSED, requested_by="finance", requested_at=START,
    )  # fmt: skip


def refused(code: str = "resource_missing") -> StripeRefused:
    """Stripe's no."""
    return StripeRefused("Stripe answered 404 resource_missing: No such subscription", code)
