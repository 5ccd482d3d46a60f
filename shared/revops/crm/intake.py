"""Lead intake: one submission in, one owned and scored lead out, or the lead it duplicates (CAP-1…12).

Every channel ends here. The decision is taken from eventually consistent reads. A new lead is proved by its
transaction: the claims on e-mail, phone and partner key hold, or nothing was written and the decision is taken again. A
further submission is written under the version of the lead it was read at, and under its partner key.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from revops.crm.consent import CONSENTS, ConsentRecord, RecordConsent, add_consents
from revops.crm.facts import facts_of
from revops.crm.lookalikes import lookalikes, reached_at
from revops.crm.model import Account, Assignment, Channel, Engagement, Lead, LeadStatus, MatchVerdict
from revops.crm.normalise import mobile
from revops.crm.policies.assignment import (
    AssignmentRules,
    Traits,
    Turn,
    account_owner,
    instead_of,
    language_in,
    members_named,
    nobody,
    turn_for,
)
from revops.crm.policies.custom_fields import CustomFields, kept_values
from revops.crm.policies.intake import completeness, require_attribution, require_consent, require_reachable
from revops.crm.policies.matching import MatchRules, check_of
from revops.crm.policies.response import ResponseRules, target_for
from revops.crm.policies.spam import SpamRules, spam
from revops.crm.ports import Roster
from revops.crm.reading import COPIED, Reading, consents_of, fresh_consents, further, move_identity, news
from revops.crm.returning import tell_account_owner
from revops.crm.store import (
    ACCOUNTS,
    LEADS,
    add_match_entries,
    match_key,
    person_row,
    standing_at,
    submission_row,
    vacant_keys,
)
from revops.crm.submission import LeadSubmission, attribution_of, with_custom_fields
from revops.crm.tickets import SingleTickets, Tickets
from revops.kernel import CallContext, Clock, Conflict, IdFactory, Unavailable
from revops.scoring import Rules, score_lead
from revops.settings import SettingsReader
from revops.table import (
    ABSENT,
    ConditionFailed,
    Contention,
    Row,
    Table,
    Transaction,
    attempts,
    begin,
    claim,
    claim_holder,
    claim_key,
)

_ATTEMPTS = 20
_TURNS = 100
_NUMBERED = (Channel.WHATSAPP, Channel.CALL)
"""Channels that bring the sender's number themselves."""
_KEEP_KEYS_SECONDS = 40 * 86_400


@dataclass(frozen=True, slots=True)
class LeadReceipt:
    """What became of a submission: the lead, whether this submission made it, and what the person said about being
    contacted."""

    lead: Lead
    created: bool
    consents: ConsentRecord | None = None


Also = Callable[[Transaction, LeadReceipt], None]
"""Adds to the transaction of a submission what is true if and only if it is, such as a row's verdict."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the claims say: the lead that a submission repeats, the account its domain belongs to, by which claim the
    person is known, and the answer that was given to the same partner key before; and under which of the person's
    blocking keys nobody stands."""

    lead: Lead | None = None
    account: Account | None = None
    by: Row | None = None
    answered: LeadReceipt | None = None
    vacant: frozenset[str] = frozenset()


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

    def read(self, submission: LeadSubmission, call: CallContext) -> Reading:
        """A submission in canonical form, once it brings what its channel must. Raises Invalid, naming field and
        rule."""
        require_consent(submission)
        require_attribution(submission)
        submission = with_custom_fields(submission, self._settings.read(CustomFields))
        reading = Reading.of(submission, call)
        require_reachable(reading.address, reading.phone, reading.unusable)
        return reading

    def __call__(
        self,
        submission: LeadSubmission,
        call: CallContext,
        tickets: Tickets | None = None,
        also: Also | None = None,
        same_as: str = "",
    ) -> LeadReceipt:
        """Raises Invalid (naming field and rule), Conflict for a key reused with another content, Unavailable. Whoever
        makes many leads at once brings `tickets` leased in a block; `also` adds what is to be committed with it, and
        `same_as` is the lead that the sender knows it to repeat, though nothing exclusive says so."""
        reading = self.read(submission, call)
        for attempt in attempts(_ATTEMPTS, self._sleep, self._jitter):
            known = self._known(reading, consistent=attempt > 0)
            if known.answered is not None:
                return known.answered
            lead = known.lead or (standing_at(self._table, same_as) if same_as else None)
            try:
                if lead is not None:
                    return self._again(reading, known, lead, call, also)
                return self._create(reading, known, call, tickets, also)
            except (ConditionFailed, Contention):
                continue  # somebody was quicker: look again, the claims now say who
        raise Unavailable("many submissions of one person at once; try again shortly", retry_after=1)

    # -- somebody known ------------------------------------------------------------------------------------------

    def _known(self, reading: Reading, *, consistent: bool) -> _Known:
        names = [claim_key(name, value) for name, value in reading.claims]
        domain = [claim_key("domain", reading.domain)] if reading.domain else []
        partner = [claim_key("partner_key", reading.partner_key)] if reading.partner_key else []
        keys = reading.features.blocking_keys()
        rows = self._table.get_many([*partner, *domain, *names, *(match_key(key) for key in keys)], consistent)
        vacant = frozenset(key for key, row in zip(keys, rows[len(rows) - len(keys) :], strict=True) if row is None)
        del rows[len(rows) - len(keys) :]
        if partner and (used := rows.pop(0)) is not None:
            return _Known(answered=self._answered(used, reading))
        account_id = claim_holder(rows.pop(0)) if domain else None
        by = next((row for row in rows if row is not None), None)
        lead = standing_at(self._table, claim_holder(by) or "") if by is not None else self._nameless(reading, vacant)
        account = ACCOUNTS.get(self._table, account_id) if account_id and lead is None else None
        return _Known(lead, account, by, vacant=vacant)

    def _nameless(self, reading: Reading, vacant: frozenset[str]) -> Lead | None:
        """Who calls or writes from a mobile number and goes by neither name nor e-mail is the one person known at it
        (CAP-2, CAP-3). Where several are, or none, it is somebody of their own."""
        said = reading.submission
        if said.channel not in _NUMBERED or said.email or said.first_name or said.last_name:
            return None
        if not mobile(reading.phone) or vacant.issuperset(reading.features.blocking_keys()):
            return None
        there = {lead.id: lead for lead in reached_at(self._table, reading.phone)}
        return next(iter(there.values())) if len(there) == 1 else None

    def _answered(self, used: Row, reading: Reading) -> LeadReceipt:
        note = json.loads(json.loads(used.doc)["note"])
        if note["content"] != reading.fingerprint:
            raise Conflict("this Idempotency-Key was used with another content")
        lead = LEADS.require(self._table, claim_holder(used) or "")
        return LeadReceipt(lead, note["created"], CONSENTS.get(self._table, lead.person_id))

    def _again(self, reading: Reading, known: _Known, lead: Lead, call: CallContext, also: Also | None) -> LeadReceipt:
        """Another submission of a known person: recorded beside the lead; the lead changes only by what is new."""
        now = self._clock.now()
        record = CONSENTS.get(self._table, lead.person_id)
        said = fresh_consents(reading, record, call, now)
        if not said and reading.submission.consents and not self._still(known.by):
            raise Contention("the person is known by another lead by now")
        fresh = tuple(each for each in said if each.granted)
        if len(fresh) < len(said):  # what is withdrawn is so before anything else, and waits for a message on its way
            withdrawn = [each for each in said if not each.granted]
            record = RecordConsent(self._table, self._clock, sleep=self._sleep)(lead.person_id, withdrawn, call)
            lead, now = LEADS.require(self._table, lead.id), self._clock.now()
        transaction = begin(call, now)
        self._answer_once(transaction, reading, lead.id, created=False)
        if fresh:
            record = add_consents(transaction, lead.person_id, record, fresh, now, lead_id=lead.id)
        changes: dict[str, Any] = {}
        if lead.status is LeadStatus.CONVERTED:  # archived: whoever looks after the account hears of it
            tell_account_owner(self._table, transaction, lead, reading.submission.channel, now)
        else:
            changes = news(reading, lead, now, said_more=bool(said))
        if record is not None and record.marketing != lead.gdpr_consent:
            changes["gdpr_consent"] = record.marketing
        if changes:
            further_lead = lead.revised(now, **changes)
            LEADS.update(transaction, further_lead)
            move_identity(self._table, transaction, lead, further_lead)
            lead = further_lead
        if said and known.by is not None and known.by.key not in set(transaction.keys()):
            # Whoever undoes a merge meanwhile gives the claim back: then it is another's word.
            transaction.check(known.by.key, known.by.version)
        transaction.put(submission_row(further(reading, lead, self._ids.new("SUB"), now)), ABSENT)
        return self._commit(transaction, LeadReceipt(lead, created=False, consents=record), also)

    def _still(self, by: Row | None) -> bool:
        """Whether a claim stands as it was read: if so, what was read between is of the one who is known by it."""
        return by is None or by == self._table.get(by.key)

    def _commit(self, transaction: Transaction, receipt: LeadReceipt, also: Also | None) -> LeadReceipt:
        if also is not None:
            also(transaction, receipt)
        self._table.commit(transaction)
        return receipt

    def _answer_once(self, transaction: Transaction, reading: Reading, lead_id: str, *, created: bool) -> None:
        """A partner's key is claimed with the answer it got, so that a retry gets the same one (CAP-5)."""
        if reading.partner_key:
            note = json.dumps({"content": reading.fingerprint, "created": created})
            expires = int(self._clock.now().timestamp()) + _KEEP_KEYS_SECONDS
            claim(transaction, "partner_key", reading.partner_key, lead_id, ttl=expires, note=note)

    # -- somebody new --------------------------------------------------------------------------------------------

    def _create(
        self,
        reading: Reading,
        known: _Known,
        call: CallContext,
        tickets: Tickets | None,
        also: Also | None,
    ) -> LeadReceipt:
        """A lead whose turn somebody else took meanwhile takes the next one at once, without looking at the rest again:
        a burst of new people contends for nothing but the ticket. Raises ConditionFailed for a lost claim."""
        resembles = self.lookalikes(reading, known.vacant)
        tickets = tickets or SingleTickets(self._table, self._clock)
        for attempt in range(_TURNS):
            transaction = begin(call, self._clock.now())
            receipt = self.compose(transaction, reading, known.account, call, resembles, tickets, known.vacant)
            try:
                return self._commit(transaction, receipt, also)
            except ConditionFailed as error:
                if not tickets.lost(receipt.lead.id, error):
                    raise
                self._sleep(min(0.1, 0.002 * attempt) * self._jitter())
        raise Unavailable("many new leads at once; try again shortly", retry_after=1)

    def account_of(self, reading: Reading) -> Account | None:
        """The account that a person's mail domain belongs to."""
        return self._known(reading, consistent=False).account

    def lookalikes(self, reading: Reading, vacant: frozenset[str] = frozenset()) -> tuple[MatchVerdict, ...]:
        """Whom the person resembles, by the rules in force; nobody is looked for under `vacant` keys."""
        return lookalikes(self._table, reading.features, self._settings.read(MatchRules), vacant=vacant)

    def compose(
        self,
        transaction: Transaction,
        reading: Reading,
        account: Account | None,
        call: CallContext,
        resembles: tuple[MatchVerdict, ...],
        tickets: Tickets | None = None,
        vacant: frozenset[str] | None = None,
    ) -> LeadReceipt:
        """Adds a new lead with all that belongs to it to a transaction: the person, what they said of being contacted,
        the claims, the match entries (`vacant` are the blocking keys under which nobody stands; they are looked up
        otherwise), the assignment ticket (out of `tickets`; otherwise the pool's next). The commit fails with
        ConditionFailed when somebody was quicker with any of them."""
        lead_id, tickets = self._ids.new("LEAD"), tickets or SingleTickets(self._table, self._clock)
        assignment = self._assign(transaction, reading.submission, account, tickets, lead_id)
        lead = self._targeted(self._scored(self._lead(lead_id, reading, assignment, account, resembles)))
        record: ConsentRecord | None = None
        said = consents_of(reading.submission, call, lead.created_at)
        if said:
            record = add_consents(transaction, lead.person_id, None, said, lead.created_at, lead_id=lead.id)
            lead = lead.model_copy(update={"gdpr_consent": record.marketing})
        LEADS.create(transaction, lead)
        transaction.put(person_row(lead.person_id, lead_id=lead.id), ABSENT)
        for name, value in reading.claims:
            claim(transaction, name, value, lead.id)
        self._answer_once(transaction, reading, lead.id, created=True)
        keys = reading.features.blocking_keys()
        vacant = vacant_keys(self._table, keys) if vacant is None else vacant
        add_match_entries(transaction, keys, lead.person_id, lead.id, vacant)
        return LeadReceipt(lead, created=True, consents=record)

    def _lead(
        self,
        lead_id: str,
        reading: Reading,
        assignment: Assignment,
        account: Account | None,
        resembles: tuple[MatchVerdict, ...],
    ) -> Lead:
        submission, now = reading.submission, self._clock.now()
        status, missing = completeness(submission.__dict__, reading.unusable)
        spam_score, spam_reasons = spam(submission, self._settings.read(SpamRules))
        return Lead(
            id=lead_id,
            created_at=now,
            modified_at=now,
            person_id=self._ids.new("PER"),
            attribution=attribution_of(submission),
            owner_id=assignment.owner_id,
            assignee_id=assignment.owner_id,
            assignment=assignment,
            account_id=account.id if account is not None and account.active else "",
            duplicate_check=check_of(resembles),
            resembles=resembles,
            name_flags=submission.name_flags,
            spam_score=spam_score,
            spam_reasons=spam_reasons,
            validation_status=status,
            missing=missing,
            engagement=(Engagement(event="form", at=now),) if submission.channel == "form" else (),
            metadata=submission.metadata,
            custom_fields=kept_values(submission.custom_fields),
            **{name: getattr(submission, name) for name in COPIED},
        )

    def turn(self, submission: LeadSubmission, account: Account | None) -> Turn | None:
        """Among whom the lead of a submission would go round; None when it is its account's owner's, or nobody's.
        Whoever makes many leads knows by it how many tickets of which pool to lease."""
        if account is not None and account.active and self._roster.present({account.owner_id}):
            return None
        rules, sdrs = self._settings.read(AssignmentRules), self._roster.sdrs()
        present = frozenset(sdrs) | self._roster.present(members_named(rules) - frozenset(sdrs))
        working = self._roster.open_leads(frozenset(rules.capacity))
        full = frozenset(user for user, count in working.items() if count >= rules.capacity[user])
        traits = traits_of(submission) if rules.territories else Traits()  # nothing but territories looks at them
        return turn_for(traits, rules, sdrs, present, full)

    def _assign(
        self,
        transaction: Transaction,
        submission: LeadSubmission,
        account: Account | None,
        tickets: Tickets,
        lead_id: str,
    ) -> Assignment:
        turn = self.turn(submission, account)
        taken = turn.take(tickets.take(transaction, turn.pool, lead_id)) if turn else None
        if account is None or not account.active:
            return taken or nobody()
        if taken is None and self._roster.active({account.owner_id}):
            return account_owner(account.owner_id, account.id)  # who comes back is better than nobody
        return instead_of(taken or nobody(), account.id)

    def _targeted(self, lead: Lead) -> Lead:
        """With the time by which the owner is to be in touch (CAP-14)."""
        rules, zone = self._settings.read(ResponseRules), self._roster.zone(lead.owner_id)
        target = target_for(lead, rules, zone, lead.created_at)
        return lead if target is None else lead.model_copy(update={"response": target})

    def _scored(self, lead: Lead) -> Lead:
        card = score_lead(facts_of(lead), Rules.in_force(self._settings), lead.modified_at)
        return lead.model_copy(update={"score": card.score, "score_card": card, "rescore_at": card.changes_at})


def traits_of(submission: LeadSubmission) -> Traits:
    """What the assignment rules look at in a submission."""
    return Traits(
        country=submission.country,
        industry=submission.industry,
        company_size=submission.company_size,
        source=attribution_of(submission).source,
        language=language_in(submission.metadata),
    )
