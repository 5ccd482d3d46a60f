"""The routes of scores and of the model behind them."""

import pytest

from revops.access import Policy
from revops.api.scoring import ScoringUseCases, add_scoring_routes
from revops.crm.scores import ExplainScore
from revops.kernel import Principal, Role
from revops.platform.http import Api
from revops.scoring.service import ReadScoring
from revops.scoring.training.service import TrainScoring
from revops.settings import SettingsReader
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.requests import KnownCallers, ask, http_event

USERS = [
    Principal("admin", Role.ADMIN),
    Principal("manager", Role.SALES_MANAGER, members=frozenset({"manager"})),
    Principal("sdr-1", Role.SDR),
    Principal("sdr-2", Role.SDR),
]


class Desk:
    """A lead of sdr-1, and nothing to learn from."""

    def __init__(self) -> None:
        self.table, self.blobs, clock = MemoryTable(), MemoryBlobs(), ManualClock()
        settings, policy = SettingsReader(self.table, ttl=0), Policy()
        self.lead = submit_lead(self.table, "sdr-1", clock=clock)(submission(), CALL).lead
        self.train = TrainScoring(self.table, clock, settings, lambda _: [], self.blobs, lambda *_: None)
        self.api = Api(KnownCallers(*USERS))
        explain, read = (
            ExplainScore(self.table, clock, policy, settings),
            ReadScoring(self.table, policy, lambda: self.blobs),
        )
        add_scoring_routes(self.api, ScoringUseCases(explain, read))


@pytest.mark.mission("LEAD-3")
@pytest.mark.fault("S1")
def test_a_score_is_explained_to_its_readers() -> None:
    desk = Desk()
    answer = ask(desk.api, "GET", f"/api/v1/leads/{desk.lead.id}/score", sub="sdr-1")
    assert (answer.status, answer.body["score"]) == (200, desk.lead.score)
    assert sum(line["points"] for line in answer.body["lines"]) == desk.lead.score
    assert answer.body["learned_term"].startswith("0: no model")
    assert ask(desk.api, "GET", f"/api/v1/leads/{desk.lead.id}/score", sub="sdr-2").status == 404


@pytest.mark.mission("LEAD-4", "SAFE-1")
def test_model_and_report_are_for_admins_and_managers() -> None:
    desk = Desk()
    assert ask(desk.api, "GET", "/api/v1/scoring/report", sub="manager").status == 404
    desk.train("p")
    model = ask(desk.api, "GET", "/api/v1/scoring/model", sub="manager")
    assert (model.status, model.body["version"], model.body["speaks"]) == (200, 0, False)
    assert model.body["last_training"]["why"].startswith("too few conversions: 0 of the 100")
    report = ask(desk.api, "GET", "/api/v1/scoring/report", sub="admin")
    assert (report.status, report.body["verdict"]) == (200, "too-few")
    page = desk.api(http_event("GET", "/api/v1/scoring/report?form=html", sub="admin"), None)
    kind = {**page.get("headers", {}), **{k: v[0] for k, v in (page.get("multiValueHeaders") or {}).items()}}
    assert kind["Content-Type"].startswith("text/html")
    assert model.body["last_training"]["why"] in page["body"]
    assert ask(desk.api, "GET", "/api/v1/scoring/report?form=pdf", sub="admin").status == 400
    for path in ("model", "report"):
        assert ask(desk.api, "GET", f"/api/v1/scoring/{path}", sub="sdr-1").status == 403
