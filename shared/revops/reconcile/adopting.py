"""Adopting one customer of Stripe's (STR-8): its metadata names the account, the account its customer, and billing
converges on it.

A claim on the customer keeps two adoptions of it apart, from whatever plan. Every part may be repeated; the one that
must not happen twice, a new account, is written in the transaction that notes it on the candidate, and takes the mail
domain, so that of two customers of one company the second finds the first one's account.
"""

import time
from collections.abc import Callable

from revops.kernel import CallContext, Clock, DomainError, Refused
from revops.reconcile.adopting_ports import AccountCard, Accounts, Known, PayerCard, Profiles, StripeCustomers
from revops.reconcile.adoption import ADOPTING, CANDIDATES, Candidate, CandidateState, Verdict
from revops.reconcile.holding import Hold
from revops.reconcile.policies.adopting import Judged, judge
from revops.table import ConditionFailed, Contention, Table, Transaction, begin, release


class _Changed(Exception):
    """It is another matter than the one that was approved; says why."""


class AdoptCustomer:
    """The worker's part: one approved candidate. Safe to call at any time, any number of times."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        stripe: StripeCustomers,
        accounts: Accounts,
        profiles: Profiles,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._clock = clock
        self._stripe = stripe
        self._accounts = accounts
        self._profiles = profiles
        self._hold = Hold(table, clock, ADOPTING, sleep=sleep)

    def __call__(self, identifier: str, call: CallContext) -> Candidate:
        """The candidate as it stands then. Raises NotFound; Unavailable and Contention when it should come again."""
        candidate = CANDIDATES.require(self._table, identifier)
        if candidate.state is not CandidateState.APPROVED:
            return candidate
        self._hold(candidate.payer, candidate.id, (CANDIDATES.key(candidate.id), candidate.version), call)
        try:
            candidate, state, result = self._adopt(candidate, call)
        except _Changed as error:
            state, result = CandidateState.CHANGED, f"nothing was done: {error}"[:500]
        except DomainError as error:
            if error.retryable:
                raise
            candidate = CANDIDATES.require(self._table, identifier)
            state, result = CandidateState.REFUSED, error.detail[:500]
        return self._settle(candidate, state, result, call)

    def _settle(self, candidate: Candidate, state: CandidateState, result: str, call: CallContext) -> Candidate:
        now = self._clock.now()
        settled = candidate.revised(now, state=state, result=result, settled_at=now)
        transaction = begin(call, now)
        CANDIDATES.update(transaction, settled)
        release(transaction, ADOPTING, candidate.payer)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Contention("another worker settled this adoption") from error
        return settled

    # -- what belongs together ---------------------------------------------------------------------------------------

    def _adopt(self, candidate: Candidate, call: CallContext) -> tuple[Candidate, CandidateState, str]:
        card = self._stripe.customer(candidate.payer)
        if card is None:
            return candidate, CandidateState.REFUSED, f"{candidate.payer} is not at Stripe any more"
        known = self._accounts.known(card)
        account, made = self._account(candidate, card, known)
        profile = known.profile
        if profile is not None and profile.id != account:
            raise Refused(f"nothing was done: its profile here is that of {profile.id}, and stays it")
        if account is None:
            candidate = self._create(candidate, card, known, call)
            account, made = candidate.account_id, "the account was made"
        elif account != candidate.account_id:
            candidate = self._noted(candidate, account, call)
        if card.account_id != account:
            self._stripe.name_account(card.id, account)
        self._link(account, card.id, call)
        self._profiles.adopt(card.id, call)
        return candidate, CandidateState.ADOPTED, made

    def _account(self, candidate: Candidate, card: PayerCard, known: Known) -> tuple[str | None, str]:
        """The account and why; None when one is to be made. What is known now decides, not what was known then."""
        if card.account_id:
            return self._named(candidate, card.account_id)
        if candidate.account_id:
            return self._wanted(candidate, card, known)
        judged = judge(card, known)
        if judged.verdict is Verdict.CERTAIN and not candidate.chosen:
            return judged.account_id, f"an account of this customer exists by now: {'; '.join(judged.reasons)}"
        if judged.verdict is Verdict.DOUBTFUL and not candidate.chosen:
            raise _Changed(f"an account like it exists by now, {_named(judged)}; say which")
        return None, ""

    def _named(self, candidate: Candidate, named: str) -> tuple[str, str]:
        if candidate.account_id and candidate.account_id != named:
            raise _Changed(f"its metadata names {named} by now, not {candidate.account_id}")
        if self._accounts.active(named) is None:
            raise _Changed(f"its metadata names {named}, which is no active account here")
        return named, "its metadata names the account"

    def _wanted(self, candidate: Candidate, card: PayerCard, known: Known) -> tuple[str, str]:
        account: AccountCard | None = self._accounts.active(candidate.account_id)
        if account is None:
            raise _Changed(f"the account {candidate.account_id} is not active any more")
        if candidate.chosen or candidate.create:
            return account.id, "a person chose the account" if candidate.chosen else "the account was made"
        judged = judge(card, known)
        if judged.account_id != account.id:
            raise _Changed(f"it is not certain any more that it belongs to {account.id}: {'; '.join(judged.reasons)}")
        return account.id, "; ".join(judged.reasons)

    # -- writing -----------------------------------------------------------------------------------------------------

    def _create(self, candidate: Candidate, card: PayerCard, known: Known, call: CallContext) -> Candidate:
        """`known` is what said that there is no such account: read again, it could name one that came meanwhile, and
        leave it the mail domain, whose claim keeps a second account from being made."""
        now = self._clock.now()
        transaction = begin(call, now)
        free = known.domain if known.by_domain is None else ""
        owner = candidate.owner_id or candidate.approved_by
        account_id = self._accounts.create(transaction, now, card, free, owner)
        noted = candidate.revised(now, account_id=account_id, create=True)
        CANDIDATES.update(transaction, noted)
        return self._committed(transaction, noted)

    def _noted(self, candidate: Candidate, account_id: str, call: CallContext) -> Candidate:
        now = self._clock.now()
        transaction = begin(call, now)
        noted = candidate.revised(now, account_id=account_id, create=False)
        CANDIDATES.update(transaction, noted)
        return self._committed(transaction, noted)

    def _committed(self, transaction: Transaction, noted: Candidate) -> Candidate:
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Contention("somebody took the mail domain, or this adoption, meanwhile") from error
        return noted

    def _link(self, account_id: str, payer: str, call: CallContext) -> None:
        now = self._clock.now()
        transaction = begin(call, now)
        if not self._accounts.link(transaction, now, account_id, payer):
            return
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Contention("the account was changed meanwhile") from error


def _named(judged: Judged) -> str:
    return ", ".join(match.account_id for match in judged.matches) or "; ".join(judged.reasons)
