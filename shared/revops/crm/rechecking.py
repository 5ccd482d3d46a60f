"""A new lead compared once more after its commit (CAP-11).

Two that raced past each other are found now. What resembles somebody goes to the review list as a pair; what is
certain to be somebody known is merged, if the rules say so and the sender is known well enough. A stranger's form is
not: it could be somebody else's data in somebody's name, so a person looks at it first.
"""

from revops.access import Policy
from revops.crm.duplicates import PAIRS, DuplicatePair, PairStatus, pair_id, proposed
from revops.crm.lookalikes import MOST, lookalikes
from revops.crm.merging import MergeLeads
from revops.crm.model import Lead, LeadStatus, MatchDecision, MatchVerdict
from revops.crm.policies.matching import MatchRules, check_of
from revops.crm.reading import features_of
from revops.crm.store import LEADS
from revops.kernel import Clock, Conflict, Refused, VersionConflict, system_call
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Table, begin, commit_update, present

_ATTEMPTS = 5


class RecheckLead:
    """Looks again for lookalikes of a lead, lists the pairs for review, merges what the rules let be merged."""

    def __init__(self, table: Table, clock: Clock, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._settings = settings
        self._merge = MergeLeads(table, clock, Policy())

    def __call__(self, lead_id: str, causation_id: str) -> None:
        """Repeating it adds nothing. A pair that somebody decided on is left alone."""
        for _ in range(_ATTEMPTS):
            lead = LEADS.get(self._table, lead_id)
            if lead is None or lead.merged_into:
                return
            try:
                self._look(lead, causation_id)
            except (ConditionFailed, VersionConflict):
                continue  # the lead was changed, or the other side of a pair listed it at the same time
            return
        raise Conflict("the lead keeps changing; try again shortly")

    def _look(self, lead: Lead, causation_id: str) -> None:
        rules = self._settings.read(MatchRules)
        found = lookalikes(self._table, features_of(lead), rules, but=lead.id, consistent=True)
        again = {each.lead_id for each in found}
        told = (*found, *(each for each in lead.resembles if each.lead_id not in again))[:MOST]
        pairs = {pair.id: pair for pair in self._pairs(lead, told)}
        waiting = tuple(each for each in told if _waits(pairs.get(pair_id(lead.id, each.lead_id))))
        self._propose(lead, waiting, pairs, causation_id)
        for each in waiting:
            pair = pairs.get(pair_id(lead.id, each.lead_id))
            if not (pair and pair.undone) and certain(each, rules) and self._merged(lead.id, each, rules, causation_id):
                return

    def _pairs(self, lead: Lead, told: tuple[MatchVerdict, ...]) -> list[DuplicatePair]:
        keys = [PAIRS.key(pair_id(lead.id, each.lead_id)) for each in told]
        return PAIRS.load_all(present(self._table.get_many(keys))) if keys else []

    def _propose(
        self, lead: Lead, waiting: tuple[MatchVerdict, ...], pairs: dict[str, DuplicatePair], causation_id: str
    ) -> None:
        now = self._clock.now()
        transaction = begin(system_call("recheck_lead", causation_id), now)
        for each in waiting:
            other = LEADS.get(self._table, each.lead_id)
            if pair_id(lead.id, each.lead_id) not in pairs and other is not None:
                PAIRS.create(transaction, proposed(lead, other, each, now))
        if {each.lead_id for each in waiting} != {each.lead_id for each in lead.resembles}:
            LEADS.update(transaction, lead.revised(now, duplicate_check=check_of(waiting), resembles=waiting))
        if transaction.operations:
            commit_update(self._table, transaction, LEADS, lead)

    def _merged(self, lead_id: str, told: MatchVerdict, rules: MatchRules, causation_id: str) -> bool:
        """Whether the two are one now. The one that was there first survives, unless only the other was converted. It
        is the sender of the later one who has to be known: that one's data goes to the other. They are compared as they
        stand, for what was told of them may be of data that somebody corrected since; the merge is of just these
        versions."""
        lead, other = LEADS.get(self._table, lead_id), LEADS.get(self._table, told.lead_id)
        if lead is None or other is None:
            return False
        found = lookalikes(self._table, features_of(lead), rules, but=lead.id, consistent=True)
        if not any(each.lead_id == other.id and certain(each, rules) for each in found):
            return False
        older, newer = sorted((lead, other), key=lambda each: (each.created_at, each.id))
        if newer.channel not in rules.auto_merge_channels:
            return False
        if newer.status is LeadStatus.CONVERTED:
            older, newer = newer, older
        try:
            read = {lead.id: lead.version, other.id: other.version}
            self._merge(older.id, newer.id, system_call("recheck_lead", causation_id), automatic=True, read=read)
        except Refused:
            return False  # it waits in the list, where somebody sees what stands in the way
        return True


def certain(told: MatchVerdict, rules: MatchRules) -> bool:
    """Whether the rules let a pair be merged without a person's word."""
    return rules.auto_merge and told.decision is MatchDecision.SAME and not told.flags


def _waits(pair: DuplicatePair | None) -> bool:
    return pair is None or pair.status is PairStatus.OPEN
