"""What planned rules would have meant: the rules in force and the planned ones over records that exist (settings plan).

Rules of assignment and nurture are replayed over the newest leads, those of scoring over the newest and some converted
ones, whose keys are all read to find them; a preview says over how many it speaks.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from revops.crm.history import LeadHistory
from revops.crm.policies.assignment import AssignmentRules, Traits, language_in, members_named, turn_for
from revops.crm.store import LEADS, LeadList
from revops.kernel import Clock
from revops.nurture.model import Sequence, StepChannel, Trigger
from revops.nurture.policies import NurtureRules
from revops.nurture.templates import NurtureTemplates
from revops.scoring import LearnedModel, Rules, ScoringTable
from revops.scoring.replay import replay
from revops.settings import SettingsDocument, SettingsReader
from revops.table import Table, merge_pages, present

if TYPE_CHECKING:
    from revops.crm.model import Lead
    from revops.settings.service import Preview

SAMPLE = 100
HISTORY = 600


def previews(table: Table, clock: Clock) -> Mapping[str, "Preview"]:
    """Document name → its preview, for the documents whose decisions can be replayed."""
    return {
        ScoringTable.SETTING: lambda current, wanted: _scoring(table, clock, current, wanted),
        LearnedModel.SETTING: lambda current, wanted: _scoring(table, clock, current, wanted),
        NurtureRules.SETTING: lambda current, wanted: _nurture(table, current, wanted),
        AssignmentRules.SETTING: lambda current, wanted: _assignment(_recent_leads(table), current, wanted),
    }


def _recent_leads(table: Table) -> list["Lead"]:
    wanted = LeadList(owners=None)
    rows, _ = merge_pages(table, wanted.partitions(), {}, SAMPLE, wanted.rank)
    return LEADS.load_all(present(table.get_many([row.key for row in rows], consistent=False)))


def _scoring(table: Table, clock: Clock, current: SettingsDocument, wanted: SettingsDocument) -> list[str]:
    """The newest leads, open and closed, under both; all else as in force."""
    if not (_scores(current) and _scores(wanted)):
        return []
    rules = Rules.in_force(SettingsReader(table))
    history = LeadHistory(table, clock).sample(HISTORY)
    return replay(history, _with(rules, current), _with(rules, wanted)).lines()


def _scores(document: SettingsDocument) -> bool:
    return isinstance(document, ScoringTable | LearnedModel)


def _with(rules: Rules, document: SettingsDocument) -> Rules:
    if isinstance(document, LearnedModel):
        return replace(rules, model=document)
    return replace(rules, table=document) if isinstance(document, ScoringTable) else rules


def _assignment(leads: list["Lead"], current: SettingsDocument, wanted: SettingsDocument) -> list[str]:
    if not isinstance(current, AssignmentRules) or not isinstance(wanted, AssignmentRules):
        return []
    people = sorted({lead.owner_id for lead in leads})
    everybody = frozenset(people) | members_named(current) | members_named(wanted)
    moved = 0
    for lead in leads:
        source, language = lead.attribution.source, language_in(lead.metadata)
        traits = Traits(lead.country, lead.industry, lead.company_size, source, language)
        before, after = (turn_for(traits, rules, people, everybody) for rules in (current, wanted))
        moved += (before.pool if before else "") != (after.pool if after else "")
    return [f"{moved} of the {len(leads)} newest leads would have gone to another round"]


def _nurture(table: Table, current: SettingsDocument, wanted: SettingsDocument) -> list[str]:
    """Whom each sequence would have taken up, and steps whose template is not there."""
    if not isinstance(current, NurtureRules) or not isinstance(wanted, NurtureRules):
        return []
    leads = [lead for lead in _recent_leads(table) if lead.gdpr_consent]
    lines = []
    for name in sorted(current.sequences.keys() | wanted.sequences.keys()):
        before, after = (sum(_begins(lead, rules.sequences.get(name)) for lead in leads) for rules in (current, wanted))
        if before != after:
            lines.append(f"{name}: {after} of the {len(leads)} newest leads with consent would begin, {before} do now")
    templates = SettingsReader(table, ttl=0).read(NurtureTemplates)
    known = {StepChannel.EMAIL: templates.mails.keys(), StepChannel.WHATSAPP: templates.whatsapp.keys()}
    lines += [
        f"{name}, step {step.name}: there is no {step.channel} template {step.template}"
        for name, sequence in wanted.sequences.items()
        for step in sequence.steps
        if step.channel in known and step.template not in known[step.channel]
    ]
    return lines


def _begins(lead: "Lead", sequence: Sequence | None) -> bool:
    """Whether a lead fits what begins a sequence."""
    if sequence is None or not sequence.active or lead.status not in sequence.statuses:
        return False
    reached = Trigger.SCORE_REACHED in sequence.triggers and lead.score >= sequence.score_at_least
    return reached or Trigger.LEAD_CREATED in sequence.triggers
