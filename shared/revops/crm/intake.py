"""Lead intake: one submission in, one owned and scored lead out, or the lead it duplicates (CAP-1…12).

Every channel ends here. The decision is taken from eventually consistent reads and proved by the transaction: the
claims on e-mail, phone and partner key hold, or nothing was written and the decision is taken again.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from revops.crm.consent import CONSENTS, ConsentRecord, add_consents
from revops.crm.model import Account, Assignment, DuplicateCheck, Engagement, Lead, MatchVerdict
from revops.crm.policies.assignment import AssignmentRules, account_owner, nobody, turn_for
from revops.crm.policies.intake import completeness, require_attribution, require_consent, require_reachable, spam
from revops.crm.policies.matching import MatchRules, verdict
from revops.crm.ports import Roster
from revops.crm.reading import COPIED, Reading, consents_of, features_of, fresh_consents, move_identity, news
from revops.crm.store import (
    ACCOUNTS,
    LEADS,
    TICKET,
    TICKET_PREFIX,
    Submission,
    add_match_entries,
    lead_key,
    person_row,
    submission_row,
    ticket_key,
)
from revops.crm.submission import LeadSubmission, attribution_of
from revops.kernel import CallContext, Clock, Conflict, IdFactory, Unavailable
from revops.scoring import LeadFacts, ScoringTable, score_lead
from revops.settings import SettingsReader
from revops.table import (
    ABSENT,
    ConditionFailed,
    Contention,
    Query,
    Row,
    Table,
    Transaction,
    begin,
    claim,
    claim_holder,
    claim_key,
    present,
)

_ATTEMPTS = 20
_TURNS = 100
_KEEP_KEYS_SECONDS = 40 * 86_400


@dataclass(frozen=True, slots=True)
class LeadReceipt:
    """What became of a submission: the lead, whether this submission made it, and what the person said about being
    contacted."""

    lead: Lead
    created: bool
    consents: ConsentRecord | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the claims say: the lead that a submission repeats, the account its domain belongs to, and the answer
    that was given to the same partner key before."""

    lead: Lead | None = None
    account: Account | None = None
    answered: LeadReceipt | None = None


@dataclass(slots=True)
class _Draft:
    """A lead in the making: which owner, by which ticket."""

    assignment: Assignment
    account_id: str = ""
    tickets: dict[str, int] = field(default_factory=dict)


class SubmitLead:
    """The one pipeline behind every channel."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        ids: IdFactory,
        settings: SettingsReader,
        roster: Roster,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._roster = roster
        self._sleep = sleep
        self._jitter = jitter

    def __call__(self, submission: LeadSubmission, call: CallContext) -> LeadReceipt:
        """Raises Invalid (naming field and rule), Conflict for a key reused with another content, Unavailable."""
        require_consent(submission)
        require_attribution(submission)
        reading = Reading.of(submission, call)
        require_reachable(reading.address, reading.phone)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(min(0.4, 0.01 * 2**attempt) * self._jitter())
            known = self._known(reading, consistent=attempt > 0)
            if known.answered is not None:
                return known.answered
            try:
                if known.lead is not None:
                    return self._again(reading, known.lead, call)
                return self._create(reading, known.account, call)
            except (ConditionFailed, Contention):
                continue  # somebody was quicker: look again, the claims now say who
        raise Unavailable("many submissions of one person at once; try again shortly", retry_after=1)

    # -- somebody known ------------------------------------------------------------------------------------------

    def _known(self, reading: Reading, *, consistent: bool) -> _Known:
        names = [claim_key(name, value) for name, value in reading.claims]
        domain = [claim_key("domain", reading.domain)] if reading.domain else []
        partner = [claim_key("partner_key", reading.partner_key)] if reading.partner_key else []
        rows = self._table.get_many([*partner, *domain, *names], consistent)
        if partner and (used := rows.pop(0)) is not None:
            return _Known(answered=self._answered(used, reading))
        account_id = claim_holder(rows.pop(0)) if domain else None
        holder = next((claim_holder(row) for row in rows if row is not None), None)
        lead = LEADS.get(self._table, holder) if holder else None
        account = ACCOUNTS.get(self._table, account_id) if account_id and lead is None else None
        return _Known(lead, account)

    def _answered(self, used: Row, reading: Reading) -> LeadReceipt:
        note = json.loads(json.loads(used.doc)["note"])
        if note["content"] != reading.fingerprint:
            raise Conflict("this Idempotency-Key was used with another content")
        lead = LEADS.require(self._table, claim_holder(used) or "")
        return LeadReceipt(lead, note["created"], CONSENTS.get(self._table, lead.person_id))

    def _again(self, reading: Reading, lead: Lead, call: CallContext) -> LeadReceipt:
        """Another submission of a known person: recorded beside the lead; the lead changes only by what is new."""
        now = self._clock.now()
        attribution = attribution_of(reading.submission)
        transaction = begin(call, now)
        self._answer_once(transaction, reading, lead.id, created=False)
        further = Submission(
            id=self._ids.new("SUB"),
            created_at=now,
            modified_at=now,
            lead_id=lead.id,
            channel=reading.submission.channel,
            source=attribution.source,
            campaign=attribution.campaign,
        )
        transaction.put(submission_row(further), ABSENT)
        record = CONSENTS.get(self._table, lead.person_id)
        fresh = fresh_consents(reading, record, call, now)
        if fresh:
            record = add_consents(transaction, lead.person_id, record, fresh, now)
        changes = news(reading, lead, now, said_more=bool(fresh))
        if record is not None and record.marketing != lead.gdpr_consent:
            changes["gdpr_consent"] = record.marketing
        if changes:
            further_lead = lead.revised(now, **changes)
            LEADS.update(transaction, further_lead)
            move_identity(self._table, transaction, lead, further_lead)
            lead = further_lead
        self._table.commit(transaction)
        return LeadReceipt(lead, created=False, consents=record)

    def _answer_once(self, transaction: Transaction, reading: Reading, lead_id: str, *, created: bool) -> None:
        """A partner's key is claimed with the answer it got, so that a retry gets the same one (CAP-5)."""
        if reading.partner_key:
            note = json.dumps({"content": reading.fingerprint, "created": created})
            expires = int(self._clock.now().timestamp()) + _KEEP_KEYS_SECONDS
            claim(transaction, "partner_key", reading.partner_key, lead_id, ttl=expires, note=note)

    # -- somebody new --------------------------------------------------------------------------------------------

    def _create(self, reading: Reading, account: Account | None, call: CallContext) -> LeadReceipt:
        """A lead whose turn somebody else took meanwhile takes the next one at once, without looking at the rest again:
        a burst of new people contends for nothing but the ticket. Raises ConditionFailed for a lost claim."""
        resembles = self.lookalikes(reading)
        tickets: dict[str, int] = {}
        for attempt in range(_TURNS):
            transaction = begin(call, self._clock.now())
            receipt = self.compose(transaction, reading, account, call, resembles, tickets)
            try:
                self._table.commit(transaction)
            except ConditionFailed as error:
                taken = _turns_taken(error)
                if len(taken) < len(error.failures):
                    raise
                tickets.update(taken)
                self._sleep(min(0.1, 0.002 * attempt) * self._jitter())
                continue
            return receipt
        raise Unavailable("many new leads at once; try again shortly", retry_after=1)

    def account_of(self, reading: Reading) -> Account | None:
        """The account that a person's mail domain belongs to."""
        return self._known(reading, consistent=False).account

    def lookalikes(self, reading: Reading) -> tuple[MatchVerdict, ...]:
        """Whom the person resembles, by the rules in force."""
        return lookalikes(self._table, reading, self._settings.read(MatchRules))

    def compose(
        self,
        transaction: Transaction,
        reading: Reading,
        account: Account | None,
        call: CallContext,
        resembles: tuple[MatchVerdict, ...],
        tickets: Mapping[str, int] | None = None,
    ) -> LeadReceipt:
        """Adds a new lead with all that belongs to it to a transaction: the person, what they said of being contacted,
        the claims, the match entries, the assignment ticket (`tickets` knows the number that is next, by pool;
        otherwise it is read). The commit fails with ConditionFailed when somebody was quicker with any of them."""
        draft = self._assign(reading.submission.country, account, tickets or {})
        lead = self._scored(self._lead(reading, draft, resembles))
        record: ConsentRecord | None = None
        said = consents_of(reading.submission, call, lead.created_at)
        if said:
            record = add_consents(transaction, lead.person_id, None, said, lead.created_at)
            lead = lead.model_copy(update={"gdpr_consent": record.marketing})
        LEADS.create(transaction, lead)
        transaction.put(person_row(lead.person_id, lead_id=lead.id), ABSENT)
        for name, value in reading.claims:
            claim(transaction, name, value, lead.id)
        self._answer_once(transaction, reading, lead.id, created=True)
        add_match_entries(transaction, reading.features.blocking_keys(), lead.person_id, lead.id)
        for pool, ticket in draft.tickets.items():
            key = ticket_key(pool)
            row = Row(pk=key.pk, sk=key.sk, kind=TICKET, version=ticket + 1)
            transaction.put(row, ticket or ABSENT)
        return LeadReceipt(lead, created=True, consents=record)

    def _lead(self, reading: Reading, draft: _Draft, resembles: tuple[MatchVerdict, ...]) -> Lead:
        submission, now = reading.submission, self._clock.now()
        status, missing = completeness(submission.__dict__, reading.unusable)
        spam_score, spam_reasons = spam(submission)
        return Lead(
            id=self._ids.new("LEAD"),
            created_at=now,
            modified_at=now,
            person_id=self._ids.new("PER"),
            attribution=attribution_of(submission),
            owner_id=draft.assignment.owner_id,
            assignee_id=draft.assignment.owner_id,
            assignment=draft.assignment,
            account_id=draft.account_id,
            duplicate_check=DuplicateCheck.PENDING if resembles else DuplicateCheck.PASS,
            resembles=resembles,
            spam_score=spam_score,
            spam_reasons=spam_reasons,
            validation_status=status,
            missing=missing,
            engagement=(Engagement(event="form", at=now),) if submission.channel == "form" else (),
            metadata=submission.metadata,
            **{name: getattr(submission, name) for name in COPIED},
        )

    def _assign(self, country: str, account: Account | None, tickets: Mapping[str, int]) -> _Draft:
        if account is not None and account.active:
            return _Draft(account_owner(account.owner_id, account.id), account.id)
        sdrs = self._roster.sdrs()
        turn = turn_for(country, self._settings.read(AssignmentRules), sdrs, frozenset(sdrs))
        if turn is None:
            return _Draft(nobody())
        ticket = tickets.get(turn.pool)
        if ticket is None:
            row = self._table.get(ticket_key(turn.pool))
            ticket = row.version if row else 0
        return _Draft(turn.take(ticket), tickets={turn.pool: ticket})

    def _scored(self, lead: Lead) -> Lead:
        table, version = self._settings.versioned(ScoringTable)
        card = score_lead(facts_of(lead), table, lead.modified_at, version)
        return lead.model_copy(update={"score": card.score, "score_card": card, "rescore_at": card.changes_at})


def _turns_taken(error: ConditionFailed) -> dict[str, int]:
    """The tickets that others took, as pool → the number that is next."""
    return {
        failure.key.pk.removeprefix(TICKET_PREFIX): failure.current.version if failure.current else 0
        for failure in error.failures
        if failure.key.pk.startswith(TICKET_PREFIX)
    }


def facts_of(lead: Lead) -> LeadFacts:
    """What scoring looks at in a lead."""
    return LeadFacts(
        company_size=lead.company_size,
        industry=lead.industry,
        budget_range=lead.budget_range,
        timeline=lead.timeline,
        authority_level=lead.authority_level or "",
        engagement=tuple((done.event, done.at) for done in lead.engagement),
    )


def lookalikes(table: Table, reading: Reading, rules: MatchRules, *, but: str = "") -> tuple[MatchVerdict, ...]:
    """Who else a person resembles, best first, at most five, each explained (CAP-11)."""
    found: dict[str, None] = {}
    for key in reading.features.blocking_keys():
        page = table.query(Query(pk=f"MATCH#{key}", limit=rules.max_candidates, consistent=bool(but)))
        for row in page.rows:
            lead_id = json.loads(row.doc)["lead"]
            if lead_id != but:
                found[lead_id] = None
    candidates = list(found)[: rules.max_candidates]
    if not candidates:
        return ()
    verdicts = []
    for lead in LEADS.load_all(present(table.get_many([lead_key(lead_id) for lead_id in candidates], False))):
        alike = verdict(lead.person_id, lead.id, reading.features, features_of(lead), rules)
        if alike is not None:
            verdicts.append(alike)
    return tuple(sorted(verdicts, key=lambda each: -each.score)[:5])
