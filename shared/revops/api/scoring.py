"""Scores explained, the model behind them, and its report."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from revops.crm.scores import ExplainScore, ScoreExplanation
from revops.platform.http import Api
from revops.platform.problems import JSON
from revops.scoring.service import ModelView, ReadScoring
from revops.scoring.training.model import Report


@dataclass(frozen=True, slots=True)
class ScoringUseCases:
    """What the scoring routes call."""

    explain: ExplainScore
    read: ReadScoring


def add_scoring_routes(api: Api, use: ScoringUseCases) -> None:
    """Registers the routes."""

    @api.get(
        "/api/v1/leads/{lead_id}/score",
        "Why a lead has its score, point by point, and what would raise it",
        tag="leads",
        model=ScoreExplanation,
        errors=(401, 404),
    )
    def get_score(lead_id: str) -> ScoreExplanation:
        return use.explain(lead_id, api.user_call())

    @api.get(
        "/api/v1/scoring/model",
        "The model behind the learned term: its version, how good it is, since when, and what the newest training said",
        tag="scoring",
        model=ModelView,
        errors=(401, 403),
    )
    def get_model() -> ModelView:
        return use.read.model(api.user_call())

    @api.get(
        "/api/v1/scoring/report",
        "The newest training: backtest, calibration, weights, verdict; as JSON, or as a page with plots",
        tag="scoring",
        model=Report,
        errors=(401, 403, 404),
    )
    def get_report(
        form: Annotated[Literal["json", "html"], Query(description="html is one page, with nothing to fetch")] = "json",
    ) -> Response[Any]:
        call = api.user_call()
        if form == "html":
            return Response(status_code=200, content_type="text/html; charset=utf-8", body=use.read.page(call))
        return Response(status_code=200, content_type=JSON, body=use.read.report(call))
