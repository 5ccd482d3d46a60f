"""What planned rules would have meant: the rules in force and the planned ones over records that exist (settings plan).

Only the newest records are looked at, so a plan costs the same at any size; the preview says how many.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from revops.crm.intake import facts_of
from revops.crm.policies.assignment import AssignmentRules, turn_for
from revops.crm.store import LEADS, LeadList
from revops.scoring import ScoringTable, score_lead
from revops.settings import SettingsDocument
from revops.table import Table, merge_pages, present

if TYPE_CHECKING:
    from revops.crm.model import Lead
    from revops.settings.service import Preview

SAMPLE = 100


def previews(table: Table) -> Mapping[str, "Preview"]:
    """Document name → its preview, for the documents whose decisions can be replayed."""
    return {
        ScoringTable.SETTING: lambda current, wanted: _scoring(_recent_leads(table), current, wanted),
        AssignmentRules.SETTING: lambda current, wanted: _assignment(_recent_leads(table), current, wanted),
    }


def _recent_leads(table: Table) -> list["Lead"]:
    wanted = LeadList(owners=None)
    rows, _ = merge_pages(table, wanted.partitions(), {}, SAMPLE, wanted.rank)
    return LEADS.load_all(present(table.get_many([row.key for row in rows], consistent=False)))


def _scoring(leads: list["Lead"], current: SettingsDocument, wanted: SettingsDocument) -> list[str]:
    if not isinstance(current, ScoringTable) or not isinstance(wanted, ScoringTable):
        return []
    lines = []
    for lead in leads:
        before = score_lead(facts_of(lead), current, lead.modified_at).score
        after = score_lead(facts_of(lead), wanted, lead.modified_at).score
        if before != after:
            lines.append(f"{lead.id}: score {before} → {after}")
    return [f"{len(lines)} of the {len(leads)} newest leads would score differently", *lines[:20]]


def _assignment(leads: list["Lead"], current: SettingsDocument, wanted: SettingsDocument) -> list[str]:
    if not isinstance(current, AssignmentRules) or not isinstance(wanted, AssignmentRules):
        return []
    people = sorted({lead.owner_id for lead in leads})
    present_people = frozenset(people) | {user for rule in wanted.territories for user in rule.user_ids}
    moved = 0
    for lead in leads:
        before = turn_for(lead.country, current, people, present_people)
        after = turn_for(lead.country, wanted, people, present_people)
        moved += (before.pool if before else "") != (after.pool if after else "")
    return [f"{moved} of the {len(leads)} newest leads would have gone to another round"]
