"""Rescoring when the rules have changed, and that nobody is read otherwise (LEAD-4)."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from revops.access import Policy
from revops.bootstrap import settings_documents
from revops.crm.events import events
from revops.crm.model import Lead, LeadStatus
from revops.crm.rescoring import IN_FORCE_AFTER, RescoreLeads
from revops.crm.scores import ExplainScore
from revops.crm.store import LEADS
from revops.kernel import CallContext, NotFound, Principal, Role
from revops.scoring import LearnedModel
from revops.scoring.learned import FieldWeights
from revops.settings import SettingsReader
from revops.settings.service import ChangeSettings
from revops.sync.marks import dirty_marks
from revops.table import Key, Query, Row, Transaction, begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable

MODEL = LearnedModel(
    base_rate=0.2, fields={"industry": FieldWeights(values={"software": 1.0, "retail": 0.0}, other=-0.5)}
)


class Watched(MemoryTable):
    """Remembers which leads' documents were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Key] = []

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        self.read += [key for key in keys if key.sk == "LEAD"]
        return super().get_many(keys, consistent)

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        if key.sk == "LEAD":
            self.read.append(key)
        return super().get(key, consistent)


class Company:
    """Leads and the rules their scores are made by."""

    def __init__(self, leads: int = 0) -> None:
        self.table, self.clock = Watched(), ManualClock()
        self.settings = SettingsReader(self.table, ttl=0)
        self.submit = submit_lead(self.table, clock=self.clock)
        self.rescore = RescoreLeads(self.table, self.clock, self.settings)
        self.change = ChangeSettings(self.table, self.clock, Policy(), settings_documents(), {})
        self.explain = ExplainScore(self.table, self.clock, Policy(), self.settings)
        self.leads = [self.lead(industry=("Software", "Retail")[n % 2]) for n in range(leads)]
        self.table.read.clear()

    def lead(self, **fields: object) -> Lead:
        n = len(self.table.rows)
        self.clock.advance(seconds=1)
        own = {"email": f"p{n}@x{n}.example", "phone": "", "last_name": f"N{n}", "company": f"C{n}"}
        return self.submit(submission(**own | fields), CALL).lead

    def now(self, lead: Lead) -> Lead:
        return LEADS.require(self.table, lead.id)

    def apply(self, model: LearnedModel) -> None:
        version = self.change.read("scoring_model", CALL).version
        self.change.apply("scoring_model", model.model_dump(mode="json"), version, CALL)

    def settle(self) -> None:
        """Runs until everybody follows the rules."""
        for _ in range(3):
            self.clock.advance(minutes=5)
            self.rescore("p")
        self.table.read.clear()


@pytest.mark.mission("LEAD-4")
def test_nobody_is_read_while_nothing_changes() -> None:
    company = Company(leads=30)
    assert company.rescore("p") == {"looked_at": 0, "changed": 0}
    assert company.table.read == []
    company.apply(MODEL)
    company.settle()
    writes = len(company.table.changes)
    assert company.rescore("p") == {"looked_at": 0, "changed": 0}
    assert (company.table.read, len(company.table.changes)) == ([], writes)


@pytest.mark.mission("LEAD-3", "LEAD-4")
def test_a_new_model_reaches_every_open_lead_and_writes_only_what_it_changes() -> None:
    company = Company(leads=30)
    company.apply(MODEL)
    assert company.rescore("p") == {"looked_at": 30, "changed": 15}
    for lead in company.leads:
        after = company.now(lead)
        assert after.score_card is not None
        assert after.score - lead.score == after.score_card.learned == (9 if lead.industry == "Software" else 0)
        assert after.version == (2 if lead.industry == "Software" else 1), "who stays the same is not written"
        assert after.score == sum(part.points for part in after.score_card.points)


@pytest.mark.mission("LEAD-4")
def test_a_new_table_of_points_reaches_them_too() -> None:
    company = Company(leads=4)
    content = company.change.read("scoring", CALL).content | {"industry": {"software": 0}}
    company.change.apply("scoring", content, 0, CALL)
    assert company.rescore("p")["changed"] == 4
    assert {company.now(lead).score - lead.score for lead in company.leads} == {-15, -8}


@pytest.mark.mission("LEAD-4")
def test_closed_leads_keep_the_score_they_were_closed_with() -> None:
    company = Company(leads=2)
    lost = company.leads[0]
    transaction = begin(CALL, company.clock.now())
    LEADS.update(transaction, lost.revised(company.clock.now(), status=LeadStatus.DISQUALIFIED))
    company.table.commit(transaction)
    company.apply(MODEL)
    company.rescore("p")
    assert company.now(lost).score == lost.score


@pytest.mark.mission("LEAD-4")
def test_who_was_scored_by_the_old_rules_after_the_walk_is_met_by_the_next() -> None:
    """A container that still keeps the old rules makes a lead after the walk has passed."""
    company = Company(leads=3)
    company.apply(MODEL)
    company.rescore("p1")
    behind = SettingsReader(company.table, ttl=1e9)
    behind._kept["scoring_model"] = (behind._monotonic(), LearnedModel(), 0)
    company.submit._settings = behind
    late = company.lead(industry="Software")
    assert late.score_card is not None
    assert late.score_card.model_version == 0
    company.clock.advance(seconds=IN_FORCE_AFTER.total_seconds())
    company.table.read.clear()
    assert company.rescore("p2")["changed"] == 1
    assert company.now(late).score == late.score + 9
    company.table.read.clear()
    company.rescore("p3")
    assert company.table.read == []


@pytest.mark.mission("LEAD-4")
@pytest.mark.fault("R19")
def test_a_lead_that_changes_during_the_walk_is_rescored_all_the_same() -> None:
    company = Company(leads=1)
    company.apply(MODEL)
    [lead] = company.leads

    def meddle(transaction: Transaction) -> None:
        if any(key.sk == "LEAD" for key in [*transaction.keys()]):
            company.table.before_commit = lambda _: None
            other = begin(CALL, company.clock.now())
            LEADS.update(other, company.now(lead).revised(company.clock.now(), job_title="CTO"))
            company.table.commit(other)

    company.table.before_commit = meddle
    assert company.rescore("p")["changed"] == 1
    assert (company.now(lead).job_title, company.now(lead).score) == ("CTO", lead.score + 9)


@pytest.mark.mission("LEAD-4")
@pytest.mark.fault("R17")
def test_a_walk_goes_on_where_a_run_stopped() -> None:
    company = Company(leads=25)
    company.apply(MODEL)
    query, seen = company.table.query, []

    def slow(wanted: Query) -> object:
        if wanted.index == "gsi3":
            seen.append(wanted.pk)
            company.clock.advance(seconds=20)
        return query(wanted)

    company.table.query = slow  # type: ignore[method-assign, assignment]
    changed = [company.rescore(f"p{run}")["changed"] for run in range(4)]
    assert 0 < changed[0] < 13
    assert sum(changed) == 13
    assert len(seen) == 4, "each shard was walked once"
    assert {company.now(lead).score_card.learned for lead in company.leads[::2]} == {9}  # type: ignore[union-attr]


@pytest.mark.mission("LEAD-4")
def test_a_step_of_decay_does_not_go_out_with_a_learned_term_and_a_new_model_does() -> None:
    company = Company()
    lead = company.lead(channel="form", industry="Software", attribution=None)
    company.apply(MODEL)
    company.table.changes.clear()
    company.rescore("p")
    [change] = [each for each in company.table.changes if each.kind == "LEAD"]
    assert [mark.person_id for mark in dirty_marks(change)] == [lead.person_id]
    assert [event.name for event in events(change)] == ["LeadScoreChanged"]
    company.settle()
    due = company.now(lead).rescore_at
    assert due is not None
    company.clock.moment = max(due, company.clock.now()) + timedelta(seconds=1)
    company.table.changes.clear()
    company.rescore("p")
    [change] = [each for each in company.table.changes if each.kind == "LEAD"]
    assert dirty_marks(change) == []
    assert [event.name for event in events(change)] == ["LeadScoreChanged"]


@pytest.mark.mission("LEAD-3")
def test_the_explanation_sums_to_the_score_and_says_what_it_rests_on() -> None:
    company = Company()
    lead = company.lead(industry="Software", timeline="")
    shown = company.explain(lead.id, CALL)
    assert (shown.score, shown.learned_term[:2]) == (lead.score, "0:")
    company.apply(MODEL)
    waiting = company.explain(lead.id, CALL)
    assert (waiting.score, waiting.if_rescored_now) == (lead.score, lead.score + 9)
    assert "the next run follows it" in waiting.learned_term
    company.rescore("p")
    after = company.explain(lead.id, CALL)
    assert (after.score, after.model_version, after.learned) == (lead.score + 9, 1, 9)
    assert sum(line.points for line in after.lines) == after.score
    assert {(line.factor, line.value) for line in after.lines if line.part == "learned"} == {("industry", "software")}
    assert ("timeline", "immediate", "unknown", 15) in {
        (way.factor, way.value, way.how, way.gain) for way in after.would_change
    }


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S1")
def test_a_score_is_explained_to_those_who_may_read_the_lead() -> None:
    company = Company(leads=1)
    with pytest.raises(NotFound):
        company.explain(company.leads[0].id, CallContext(Principal("stranger", Role.SDR)))
    with pytest.raises(NotFound):
        company.explain("LEAD_NOBODY", CALL)
