"""Explained lead scores: fit, engagement that decays, and a bounded learned term (LEAD-3)."""

from revops.scoring.model import Points, ScoreCard
from revops.scoring.policies import LeadFacts, ScoringTable, score_lead

__all__ = ["LeadFacts", "Points", "ScoreCard", "ScoringTable", "score_lead"]
