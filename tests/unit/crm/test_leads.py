"""Leads as people work them: listed, found, changed, rescored."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from revops.access import Policy
from revops.crm.model import AuthorityLevel, DuplicateCheck, Lead, LeadStage, LeadStatus, ValidationStatus
from revops.crm.policies.lead_moves import DECIDED_BY, STAGE_MOVES, STATUS_MOVES
from revops.crm.rechecking import RecheckLead
from revops.crm.rescoring import RescoreLeads
from revops.crm.service import ChangeLead, LeadChange, LeadQuery, ReadLeads
from revops.crm.store import LEADS
from revops.kernel import CallContext, Conflict, Forbidden, Invalid, NotFound, Principal, Refused, Role, VersionConflict
from revops.scoring import ScoringTable
from revops.settings import SettingsReader
from revops.table import CursorSigner, Transaction, begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

SIGNER = CursorSigner(b"local-signing-key")
MANAGER = CallContext(Principal("boss", Role.SALES_MANAGER, members=frozenset({"a", "b", "boss"})))


def who(identifier: str, role: Role = Role.SDR) -> CallContext:
    return CallContext(Principal(identifier, role), request_id="r")


class Desk:
    """Leads of several owners."""

    def __init__(self, *people: str) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.settings = SettingsReader(self.table, ttl=0)
        self.submit = submit_lead(self.table, clock=self.clock, roster=FixedRoster(*(people or ("a", "b", "c"))))
        self.read = ReadLeads(self.table, Policy(), lambda: SIGNER)
        self.change = ChangeLead(self.table, self.clock, Policy())
        self.rescore = RescoreLeads(self.table, self.clock, self.settings)
        self.recheck = RecheckLead(self.table, self.clock, self.settings)
        self.count = 0

    def lead(self, **fields: object) -> Lead:
        self.count += 1
        self.clock.advance(seconds=1)
        n = self.count
        return self.submit(submission(**{"email": f"p{n}@x{n}.example", "phone": "", **fields}), CALL).lead

    def stranger(self, **fields: object) -> Lead:
        """A lead that resembles nobody."""
        return self.lead(**{"last_name": f"N{self.count}", "company": f"C{self.count}", **fields})

    def pages(self, query: LeadQuery, call: CallContext, *, inserting: bool = False) -> list[Lead]:
        found: list[Lead] = []
        cursor = ""
        while True:
            page = self.read.list(LeadQuery(**{**_fields(query), "cursor": cursor}), call)  # type: ignore[arg-type]
            assert len(page.leads) <= query.limit
            found += page.leads
            cursor = page.next_cursor
            if not cursor:
                return found
            if inserting:
                self.stranger()


def _fields(query: LeadQuery) -> dict[str, object]:
    return {name: getattr(query, name) for name in LeadQuery.__dataclass_fields__}


def ids(leads: Iterable[Lead]) -> list[str]:
    return [lead.id for lead in leads]


@pytest.mark.mission("LEAD-1", "SAFE-2")
@pytest.mark.fault("S1")
@pytest.mark.parametrize("limit", [1, 3, 7, 100])
@pytest.mark.parametrize("sort", ["created", "score"])
@pytest.mark.parametrize("inserting", [False, True])
def test_every_scope_is_paged_whole_in_order_and_never_shows_anothers(limit: int, sort: str, inserting: bool) -> None:
    desk = Desk()
    sizes = ["1", "10", "50", "250", "1000"]
    stood = [desk.stranger(company_size=sizes[n % 5]) for n in range(24)]
    for scope, call, owners in (
        ("mine", who("a"), {"a"}),
        ("team", MANAGER, {"a", "b"}),
        ("all", who("x", Role.ADMIN), {"a", "b", "c"}),
    ):
        found = desk.pages(LeadQuery(scope=scope, sort=sort, limit=limit), call, inserting=inserting)
        assert len(set(ids(found))) == len(found)
        assert {lead.owner_id for lead in found} <= owners
        wanted = [lead for lead in stood if lead.owner_id in owners]
        wanted.sort(key=lambda lead: (lead.score if sort == "score" else 0, lead.created_at), reverse=True)
        known = set(ids(wanted))
        assert [identifier for identifier in ids(found) if identifier in known] == ids(wanted)
        stood = stood if not inserting else stood + [lead for lead in _all(desk) if lead.id not in set(ids(stood))]


def _all(desk: Desk) -> list[Lead]:
    return [LEADS.load(row) for row in desk.table.rows.values() if row.kind == "LEAD"]


@pytest.mark.fault("S18")
def test_the_cursor_of_the_largest_lists_still_fits_a_query_parameter() -> None:
    people = [f"a0b1c2d3-0000-4000-8000-{n:012d}" for n in range(40)]
    desk = Desk(*people)
    for n in range(240):
        desk.stranger(company_size=str(n * 7))
    admin = who("x", Role.ADMIN)
    boss = CallContext(Principal("boss", Role.SALES_MANAGER, members=frozenset(people)))
    for call, scope, sort in ((admin, "all", "score"), (boss, "team", "created"), (boss, "team", "score")):
        cursor = desk.read.list(LeadQuery(scope=scope, sort=sort, limit=100), call).next_cursor
        assert 0 < len(cursor) <= 8000, (scope, sort)


@pytest.mark.mission("LEAD-1")
def test_by_status_and_least_score() -> None:
    desk = Desk("a")
    leads = [desk.lead(company_size=size) for size in ("1", "50", "1000")]
    desk.change(leads[2].id, LeadChange(version=1, status=LeadStatus.CONTACTED), who("a"))
    new = desk.pages(LeadQuery(sort="score", statuses=(LeadStatus.NEW,)), who("a"))
    assert ids(new) == ids([leads[1], leads[0]])
    both = (LeadStatus.NEW, LeadStatus.CONTACTED)
    best = desk.pages(LeadQuery(sort="score", statuses=both, min_score=leads[1].score), who("a"))
    assert ids(best) == ids([leads[2], leads[1]])
    assert desk.pages(LeadQuery(sort="score", min_score=100), who("a")) == []
    for query in (LeadQuery(statuses=both), LeadQuery(min_score=1)):
        with pytest.raises(Invalid):
            desk.read.list(query, who("a"))


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
def test_a_list_reaches_no_further_than_its_reader() -> None:
    desk = Desk()
    lead = desk.lead()
    for call in (who("a"), MANAGER):
        with pytest.raises(Forbidden):
            desk.read.list(LeadQuery(scope="all"), call)
    for role in (Role.LEGAL, Role.FINANCE):
        with pytest.raises(Forbidden):
            desk.read.list(LeadQuery(), who("a", role))
        with pytest.raises(Forbidden):
            desk.read.list(LeadQuery(email=lead.email), who("a", role))
    assert desk.read.list(LeadQuery(scope="team"), who("b")).leads == []


@pytest.mark.fault("S18")
def test_a_cursor_is_for_one_reader_and_one_list() -> None:
    desk = Desk("a")
    for _ in range(5):
        desk.lead()
    cursor = desk.read.list(LeadQuery(limit=2), who("a")).next_cursor
    for query, call in (
        (LeadQuery(limit=2, cursor=cursor), who("b")),
        (LeadQuery(scope="team", cursor=cursor), who("a")),
        (LeadQuery(sort="score", cursor=cursor), who("a")),
        (LeadQuery(cursor=cursor[:-1]), who("a")),
        (LeadQuery(cursor="nonsense"), who("a")),
    ):
        with pytest.raises(Invalid):
            desk.read.list(query, call)
    assert len(desk.read.list(LeadQuery(limit=9, cursor=cursor), who("a")).leads) == 3


@pytest.mark.mission("CAP-11", "SAFE-2")
@pytest.mark.fault("S1", "S19")
def test_found_by_address_by_whoever_may_read_it_and_nobody_else() -> None:
    desk = Desk("a")
    lead = desk.lead(email="Asha.Rao@Nordlicht.example")
    for address in ("asha.rao@nordlicht.EXAMPLE", " Asha.Rao@nordlicht.example "):
        assert ids(desk.read.list(LeadQuery(email=address), who("a")).leads) == [lead.id]
    hidden = desk.read.list(LeadQuery(email="asha.rao@nordlicht.example"), who("b"))
    assert hidden == desk.read.list(LeadQuery(email="nobody@nordlicht.example"), who("b"))
    assert desk.read.list(LeadQuery(email="not an address#"), who("a")).leads == []


@pytest.mark.mission("SAFE-1")
@pytest.mark.fault("S1", "S17")
def test_another_owners_lead_is_not_there() -> None:
    desk = Desk("a")
    lead = desk.lead()
    assert desk.read.one(lead.id, who("a")) == LEADS.require(desk.table, lead.id)
    for identifier in ("LEAD_x", "", "#", f"{lead.id}#LEAD", "x" * 10_000, f"{lead.id} ", lead.id.lower()):
        with pytest.raises(NotFound):
            desk.read.one(identifier, who("a"))
    with pytest.raises(NotFound) as hidden:
        desk.read.one(lead.id, who("b"))
    with pytest.raises(NotFound) as absent:
        desk.read.one(lead.id[:-1] + "X", who("b"))
    assert len(hidden.value.detail) == len(absent.value.detail)
    with pytest.raises(NotFound):
        desk.change(lead.id, LeadChange(version=1, job_title="x"), who("b"))
    with pytest.raises(Forbidden):
        desk.change(lead.id, LeadChange(version=1, job_title="x"), who("s", Role.SUPPORT))


@pytest.mark.mission("LEAD-2")
@pytest.mark.parametrize("start", list(LeadStatus))
@pytest.mark.parametrize("wanted", list(LeadStatus))
def test_each_move_is_legal_or_refused_with_the_legal_ones_named(start: LeadStatus, wanted: LeadStatus) -> None:
    desk = Desk("a")
    lead = desk.lead()
    _set(desk, lead.revised(desk.clock.now(), status=start))
    change = LeadChange(version=2, status=wanted)
    if start is wanted:
        assert desk.change(lead.id, change, who("a")).version == 2
    elif wanted in STATUS_MOVES[start] and wanted not in DECIDED_BY:
        assert desk.change(lead.id, change, who("a")).status is wanted
    else:
        with pytest.raises(Refused) as refusal:
            desk.change(lead.id, change, who("a"))
        legal = wanted in STATUS_MOVES[start]
        assert refusal.value.extra == ({"route": DECIDED_BY[wanted]} if legal else {"legal": list(STATUS_MOVES[start])})
        assert LEADS.require(desk.table, lead.id).status is start


def _set(desk: Desk, lead: Lead) -> None:
    transaction = begin(CALL, desk.clock.now())
    LEADS.update(transaction, lead)
    desk.table.commit(transaction)


@pytest.mark.mission("LEAD-2")
def test_nobody_types_converted_and_nothing_leaves_it() -> None:
    assert not any(LeadStatus.CONVERTED in moves for moves in STATUS_MOVES.values())
    assert not any(LeadStage.CONVERTED in moves for moves in STAGE_MOVES.values())
    assert STATUS_MOVES[LeadStatus.CONVERTED] == ()
    assert STAGE_MOVES[LeadStage.CONVERTED] == ()
    assert set(STATUS_MOVES) == set(LeadStatus)
    assert set(STAGE_MOVES) == set(LeadStage)


@pytest.mark.mission("LEAD-8")
def test_the_first_contact_is_remembered() -> None:
    desk = Desk("a")
    lead = desk.lead()
    first = desk.clock.now()
    lead = desk.change(lead.id, LeadChange(version=1, status=LeadStatus.CONTACTED), who("a"))
    desk.clock.advance(days=1)
    _set(desk, lead.revised(desk.clock.now(), status=LeadStatus.QUALIFIED))
    lead = desk.change(lead.id, LeadChange(version=3, status=LeadStatus.CONTACTED), who("a"))
    assert (lead.status, lead.contacted_at) == (LeadStatus.CONTACTED, first)


@pytest.mark.fault("R19")
def test_of_two_changes_of_one_version_one_wins_and_the_other_hears_which_stands() -> None:
    desk = Desk("a")
    lead = desk.lead()

    def meanwhile(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.change(lead.id, LeadChange(version=1, job_title="first"), who("a"))

    desk.table.before_commit = meanwhile
    for _ in range(2):
        with pytest.raises(VersionConflict) as lost:
            desk.change(lead.id, LeadChange(version=1, job_title="second"), who("a"))
        assert lost.value.extra == {"current_version": 2}
    assert LEADS.require(desk.table, lead.id).job_title == "first"


@pytest.mark.mission("CAP-10")
def test_a_lead_that_is_completed_later_becomes_valid() -> None:
    desk = Desk("a")
    lead = desk.lead(last_name="", phone="")
    assert (lead.validation_status, lead.missing) == (ValidationStatus.PENDING, ("last_name", "phone"))
    lead = desk.change(lead.id, LeadChange(version=1, last_name="Rao"), who("a"))
    assert (lead.validation_status, lead.missing) == (ValidationStatus.PENDING, ("phone",))
    lead = desk.change(lead.id, LeadChange(version=2, phone="12"), who("a"))
    assert lead.validation_status is ValidationStatus.INVALID
    lead = desk.change(lead.id, LeadChange(version=3, phone="030 901820"), who("a"))
    assert (lead.validation_status, lead.missing) == (ValidationStatus.VALID, ())
    lead = desk.change(lead.id, LeadChange(version=4, company=""), who("a"))
    assert (lead.validation_status, lead.missing) == (ValidationStatus.PENDING, ("company",))


@pytest.mark.mission("CAP-10", "CAP-11")
def test_a_further_submission_completes_a_lead_and_makes_it_findable() -> None:
    desk = Desk("a")
    lead = desk.lead(email="asha@nordlicht.example", last_name="", company="")
    again = desk.lead(email="asha@nordlicht.example", last_name="Rao", company="Nordlicht", phone="030 901820")
    assert again.id == lead.id
    assert (again.validation_status, again.missing) == (ValidationStatus.VALID, ())
    alike = desk.lead(email="asha.r@nordlicht.example", last_name="Rao", company="Nordlicht")
    assert [each.lead_id for each in alike.resembles] == [lead.id]


@pytest.mark.mission("CAP-11")
def test_a_lead_whose_name_was_corrected_by_hand_is_found_under_the_new_one() -> None:
    desk = Desk("a")
    lead = desk.lead(last_name="Typo", company="Elsewhere")
    desk.change(lead.id, LeadChange(version=1, last_name="Rao", company="Nordlicht GmbH"), who("a"))
    assert [each.lead_id for each in desk.lead().resembles] == [lead.id]


@pytest.mark.mission("CAP-11")
def test_looking_again_adds_each_lookalike_once() -> None:
    desk = Desk("a")
    first = desk.lead(email="asha@nordlicht.example")
    second = desk.lead(email="a.rao@nordlicht.example")
    third = desk.lead(email="rao@nordlicht.example")
    for lead in (first, second, third):
        for _ in range(2):
            desk.recheck(lead.id, "event")
    for lead in (first, second, third):
        stands = LEADS.require(desk.table, lead.id)
        others = {first.id, second.id, third.id} - {lead.id}
        assert {each.lead_id for each in stands.resembles} == others
        assert len(stands.resembles) == 2
        assert stands.duplicate_check is DuplicateCheck.PENDING
    desk.recheck("LEAD_gone", "event")


@pytest.mark.mission("LEAD-4")
def test_only_what_is_due_is_rescored_and_decay_is_followed_to_its_end() -> None:
    desk = Desk("a")
    form = desk.lead(channel="form", attribution=None)
    plain = desk.lead()
    assert (form.score - plain.score, plain.rescore_at) == (5, None)
    assert desk.rescore("p") == {"looked_at": 0, "changed": 0}
    scores = [form.score]
    for _ in range(5):
        stands = LEADS.require(desk.table, form.id)
        assert stands.rescore_at is not None
        desk.clock.moment = stands.rescore_at - timedelta(seconds=2)
        assert desk.rescore("p")["looked_at"] == 0
        desk.clock.moment = stands.rescore_at
        assert desk.rescore("p") == {"looked_at": 1, "changed": 1}
        scores.append(LEADS.require(desk.table, form.id).score)
    assert scores == [form.score - n for n in range(6)]
    assert LEADS.require(desk.table, form.id).rescore_at is None
    assert LEADS.require(desk.table, plain.id).version == 1


@pytest.mark.mission("LEAD-4")
def test_a_change_that_matters_is_rescored_and_another_is_not() -> None:
    desk = Desk("a")
    lead = desk.lead(authority_level=None)
    desk.change(lead.id, LeadChange(version=1, job_title="CEO"), who("a"))
    assert desk.rescore("p")["looked_at"] == 0
    desk.change(lead.id, LeadChange(version=2, authority_level=AuthorityLevel.DECISION_MAKER), who("a"))
    assert desk.rescore("p") == {"looked_at": 1, "changed": 1}
    stands = LEADS.require(desk.table, lead.id)
    assert stands.score == lead.score + 25
    assert stands.score_card is not None
    assert sum(part.points for part in stands.score_card.points) == stands.score
    assert ScoringTable().authority["decision maker"] == 25


@pytest.mark.fault("R17", "R19")
def test_two_scoring_runs_at_once_and_a_hand_between_lose_nothing() -> None:
    desk = Desk("a")
    lead = desk.lead(authority_level=None)
    desk.change(lead.id, LeadChange(version=1, authority_level=AuthorityLevel.USER), who("a"))

    def meanwhile(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.change(lead.id, LeadChange(version=2, authority_level=AuthorityLevel.DECISION_MAKER), who("a"))

    desk.table.before_commit = meanwhile
    desk.rescore("p")
    desk.rescore("p")
    assert LEADS.require(desk.table, lead.id).score == lead.score + 25


@pytest.mark.mission("CAP-11")
def test_the_claim_on_a_phone_follows_the_phone() -> None:
    table = MemoryTable()
    submit = submit_lead(table)
    change = ChangeLead(table, ManualClock(), Policy())
    first = submit(submission(email="", phone="+49 30 901820"), CALL).lead
    moved = change(first.id, LeadChange(version=1, phone="+49 30 901821"), CALL)
    assert submit(submission(email="", phone="+49 30 901821", first_name="X"), CALL).lead.id == moved.id
    other = submit(submission(email="", phone="+49 30 901820", first_name="Bo", last_name="Lind"), CALL)
    assert other.created, "the old phone is free again"
    with pytest.raises(Conflict):
        change(other.lead.id, LeadChange(version=1, phone="+49 30 901821"), CALL)
