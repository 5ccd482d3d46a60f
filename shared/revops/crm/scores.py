"""A lead's score, explained to whoever may read the lead (LEAD-3)."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.access import Policy, Resource
from revops.crm.facts import facts_of
from revops.crm.model import Lead
from revops.crm.store import LEADS
from revops.kernel import CallContext, Clock
from revops.scoring import LearnedModel, Rules, score_lead
from revops.scoring.explain import ScoreLine, WouldChange, explain, what_would_change
from revops.settings import SettingsReader
from revops.table import Table


class ScoreExplanation(BaseModel):
    """Why a lead has its score and what would raise it. `lines` sum to `score`."""

    model_config = ConfigDict(defer_build=True)

    lead_id: str
    score: int = Field(ge=0, le=100)
    fit: int
    engagement: int
    learned: int = Field(ge=-20, le=20)
    lines: list[ScoreLine]
    table_version: int = Field(description="Version of the table of points it was made by; 0: the defaults")
    model_version: int = Field(description="Version of the model it was made by; 0: there was none")
    changes_at: AwareDatetime | None = Field(default=None, description="When decay alone changes it next")
    learned_term: str = Field(examples=["0: no model was trained yet"], description="What the learned term rests on")
    if_rescored_now: int = Field(ge=0, le=100, description="What the next run makes of it, by the rules in force")
    would_change: list[WouldChange] = Field(description="What would raise it, beside `if_rescored_now`, most first")


class ExplainScore:
    """One lead's score."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, settings: SettingsReader) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._settings = settings

    def __call__(self, lead_id: str, call: CallContext) -> ScoreExplanation:
        """Raises NotFound for what is not there or not for this caller."""
        lead = LEADS.require(self._table, lead_id)
        self._policy.require_read(call.principal, Resource.LEADS, lead.owner_id, f"lead {lead_id}")
        rules, now, facts = Rules.in_force(self._settings), self._clock.now(), facts_of(lead)
        now_card = score_lead(facts, rules, now)
        card = lead.score_card or now_card
        return ScoreExplanation(
            lead_id=lead.id,
            score=card.score,
            fit=card.fit,
            engagement=card.engagement,
            learned=card.learned,
            lines=explain(card, facts, rules.model, rules.model_version),
            table_version=card.table_version,
            model_version=card.model_version,
            changes_at=card.changes_at,
            learned_term=_rests_on(lead, rules.model, card.model_version, rules.model_version),
            if_rescored_now=now_card.score,
            would_change=what_would_change(facts, rules, now),
        )


def _rests_on(lead: Lead, model: LearnedModel, used: int, in_force: int) -> str:
    """What the learned term of a score rests on, in words."""
    if not model.speaks:
        return "0: no model was trained yet, or too few leads were converted to train one"
    if used != in_force:
        return f"model {used}; model {in_force} is in force since, and the next run follows it"
    if not lead.as_created:
        return f"model {used}, which looks at what the lead came with"
    return f"model {used}, which looks at what the lead came with: {', '.join(sorted(lead.as_created))} as first given"
