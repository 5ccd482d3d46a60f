"""Explained lead scores: fit, engagement that decays, and a bounded learned term (LEAD-3)."""

from revops.scoring.learned import LearnedModel
from revops.scoring.model import Points, ScoreCard
from revops.scoring.policies import LeadFacts, Rules, ScoringTable, score_lead

__all__ = ["LeadFacts", "LearnedModel", "Points", "Rules", "ScoreCard", "ScoringTable", "score_lead"]
