"""CAP-12: numbers are given out in order, come back when they are not used, and none is used twice or lost."""

import pytest

from revops.crm.model import Account, Lead
from revops.crm.policies.assignment import UNASSIGNED, AssignmentRules, Territory
from revops.crm.store import ACCOUNTS
from revops.crm.tickets import TICKET, BlockTickets, LeaseTickets, Pool, SingleTickets, ticket_key
from revops.kernel import Unavailable
from revops.settings import SETTINGS, SettingsRecord
from revops.table import ABSENT, ConditionFailed, Row, Transaction, begin, claim
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

pytestmark = pytest.mark.mission("CAP-12")


class Desk:
    """A table with a clock, people to take leads, and leases."""

    def __init__(self, *people: str) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.submit = submit_lead(self.table, *(people or ("a", "b", "c")), clock=self.clock, ids=seeded_ids(3))
        self.leases = LeaseTickets(self.table, self.clock)
        self.made = 0

    def lead(self, tickets: BlockTickets | None = None) -> Lead:
        self.made += 1
        said = submission(email=f"p{self.made}@x{self.made}.example", phone="", last_name=f"Name{self.made}")
        return self.submit(said, CALL, tickets).lead

    def block(self, holder: str, count: int) -> BlockTickets:
        return BlockTickets(self.leases, self.clock, holder, {"sdr": count})

    def pool(self) -> Pool:
        return Pool.of("sdr", self.table.get(ticket_key("sdr")))

    @staticmethod
    def number(lead: Lead) -> int:
        return int(lead.assignment.explanation.rpartition(" ")[2])


def test_single_leads_take_number_after_number() -> None:
    desk = Desk()
    leads = [desk.lead() for _ in range(5)]
    assert [lead.owner_id for lead in leads] == ["a", "b", "c", "a", "b"]
    assert (desk.pool().next, desk.pool().back) == (5, ())


def test_a_pool_of_before_goes_on_at_its_number() -> None:
    desk = Desk()
    key = ticket_key("sdr")
    transaction = begin(CALL, desk.clock.now())
    transaction.put(Row(pk=key.pk, sk=key.sk, kind=TICKET, version=7), ABSENT)
    desk.table.commit(transaction)
    assert [desk.number(desk.lead()), desk.number(desk.lead())] == [7, 8]


def test_a_block_is_one_write_and_its_leads_do_not_touch_the_pool() -> None:
    desk = Desk()
    block = desk.block("IMP_1", 4)
    leads = [desk.lead(block) for _ in range(4)]
    written = [change for change in desk.table.changes if change.after is not None and change.kind == TICKET]
    assert len(written) == 1
    assert [desk.number(lead) for lead in leads] == [0, 1, 2, 3]
    block.close()
    assert (desk.pool().next, desk.pool().back) == (4, ())


def test_what_is_given_back_is_used_first() -> None:
    desk = Desk()
    block = desk.block("IMP_1", 4)
    desk.lead(block)
    assert desk.number(desk.lead()) == 4
    block.close()
    assert [desk.number(desk.lead()) for _ in range(4)] == [1, 2, 3, 5]
    assert desk.pool() == Pool("sdr", desk.pool().version, 6)


def test_a_block_that_runs_out_is_leased_one_more() -> None:
    desk = Desk()
    block = desk.block("IMP_1", 2)
    assert [desk.number(desk.lead(block)) for _ in range(4)] == [0, 1, 2, 3]
    block.close()
    assert [row for row in desk.table.rows if row.sk.startswith("BLOCK#")] == []


def test_a_holder_that_goes_on_keeps_what_is_on_its_way_and_looks_nothing_up() -> None:
    desk = Desk()
    block = desk.block("IMP_1", 2)
    first, flying = desk.lead(block), begin(CALL, desk.clock.now())
    assert block.take(flying, "sdr", "LEAD_FLYING") == 1
    block.committed([first.id])
    block.expect({"sdr": 3})
    assert [desk.number(desk.lead(block)) for _ in range(2)] == [2, 3]
    desk.table.commit(flying)
    block.close(committed=True)
    assert (desk.pool().next, desk.pool().back) == (5, ((4, 4),))


def test_what_was_on_its_way_when_its_holder_died_comes_back() -> None:
    desk = Desk()
    killed = desk.block("IMP_1", 1)
    killed.take(begin(CALL, desk.clock.now()), "sdr", "LEAD_FLYING")
    killed.expect({"sdr": 1})
    assert desk.number(desk.lead(killed)) == 1
    again = desk.block("IMP_1", 2)
    assert [desk.number(desk.lead(again)) for _ in range(2)] == [0, 2]


def test_a_holder_that_was_killed_finds_its_block_again() -> None:
    desk = Desk()
    killed = desk.block("IMP_1", 5)
    assert [desk.number(desk.lead(killed)) for _ in range(2)] == [0, 1]
    again = desk.block("IMP_1", 3)
    assert [desk.number(desk.lead(again)) for _ in range(3)] == [2, 3, 4]
    fewer = desk.block("IMP_2", 4)
    desk.lead(fewer)
    smaller = desk.leases.lease("sdr", 1, "IMP_2")
    assert smaller.numbers == (6,)
    assert desk.number(desk.lead()) == 7


def test_the_schedule_finds_the_block_of_a_holder_that_does_not_come_again() -> None:
    desk = Desk()
    killed = desk.block("IMP_1", 5)
    desk.lead(killed)
    assert desk.leases.settle() == 0
    desk.clock.advance(minutes=17)
    assert desk.leases.settle() == 1
    assert desk.leases.settle() == 0
    assert sorted(desk.number(desk.lead()) for _ in range(4)) == [1, 2, 3, 4]


@pytest.mark.fault("R3")
def test_a_holder_that_was_only_slow_shares_no_number_with_who_came_after() -> None:
    desk = Desk()
    slow = desk.block("IMP_1", 4)
    first = desk.lead(slow)
    desk.clock.advance(minutes=17)
    desk.leases.settle()
    late = desk.lead(slow)
    others = [desk.lead() for _ in range(3)]
    last = desk.lead(slow)
    numbers = [desk.number(lead) for lead in (first, late, *others, last)]
    assert sorted(numbers) == list(range(6))
    slow.close()
    assert desk.pool().back == ()


def test_a_lead_that_is_refused_leaves_its_number_to_the_next() -> None:
    desk = Desk()
    block = desk.block("IMP_1", 3)
    taken = submission(email="taken@x.example", phone="")
    calls = 0

    def interfere(transaction: Transaction) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # the lease was the first; somebody is quicker with the address
            desk.table.before_commit = lambda _: None
            submit_lead(desk.table, "z", ids=seeded_ids(9))(taken, CALL)

    desk.table.before_commit = interfere
    assert not desk.submit(taken, CALL, block).created
    assert [desk.number(desk.lead(block)) for _ in range(3)] == [0, 1, 2]
    block.close()
    assert (desk.pool().next, desk.pool().back) == (4, ())


def test_losing_more_than_the_number_is_not_losing_a_turn() -> None:
    table, clock = MemoryTable(), ManualClock()
    tickets = SingleTickets(table, clock)
    ours = begin(CALL, clock.now())
    tickets.take(ours, "sdr", "LEAD_1")
    claim(ours, "email", "a@x.example", "LEAD_1")
    theirs = begin(CALL, clock.now())
    SingleTickets(table, clock).take(theirs, "sdr", "LEAD_2")
    claim(theirs, "email", "a@x.example", "LEAD_2")
    table.commit(theirs)
    with pytest.raises(ConditionFailed) as caught:
        table.commit(ours)
    assert not tickets.lost("LEAD_1", caught.value)


def test_a_pool_that_never_stands_still_is_said_to_be_busy() -> None:
    desk = Desk()

    def interfere(transaction: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.lead()
        desk.table.before_commit = interfere

    desk.table.before_commit = interfere
    with pytest.raises(Unavailable):
        desk.leases.lease("sdr", 3, "IMP_1")


# ── account owners and absences ───────────────────────────────────────────────────────────────────────────────────


def _with_account(desk: Desk, owner: str) -> None:
    transaction = begin(CALL, desk.clock.now())
    account = Account(
        id="ACC_1", created_at=desk.clock.now(), modified_at=desk.clock.now(), name="Nordlicht GmbH", owner_id=owner
    )
    ACCOUNTS.create(transaction, account)
    claim(transaction, "domain", "nordlicht.example", "ACC_1")
    desk.table.commit(transaction)


def test_a_person_of_an_account_goes_to_its_owner() -> None:
    desk = Desk()
    _with_account(desk, "rep-1")
    lead = desk.submit(submission(), CALL).lead
    assert (lead.owner_id, lead.account_id, lead.assignment.rule) == ("rep-1", "ACC_1", "account owner")
    assert desk.pool().next == 0


def test_an_absent_owner_is_skipped_and_the_lead_says_so() -> None:
    desk = Desk()
    _with_account(desk, "rep-1")
    away = submit_lead(desk.table, clock=desk.clock, roster=FixedRoster("a", away={"rep-1"}))
    lead = away(submission(), CALL).lead
    assert (lead.owner_id, lead.account_id, lead.assignment.rule) == ("a", "ACC_1", "round-robin")
    assert "ACC_1, whose owner is absent" in lead.assignment.explanation


def test_somebody_at_their_capacity_is_passed_over() -> None:
    desk = Desk()
    now = desk.clock.now()
    content = AssignmentRules(capacity={"a": 2}).model_dump(mode="json")
    transaction = begin(CALL, now)
    SETTINGS.create(transaction, SettingsRecord(id="assignment", created_at=now, modified_at=now, content=content))
    desk.table.commit(transaction)
    roster = FixedRoster("a", "b")
    submit = submit_lead(desk.table, clock=desk.clock, roster=roster)
    owners = []
    for number in range(4):
        roster.working["a"] = number
        owners.append(submit(submission(email=f"q{number}@y{number}.example", phone=""), CALL).lead.owner_id)
    assert owners == ["a", "b", "b", "b"]


def test_an_absent_owner_is_better_than_nobody() -> None:
    desk = Desk()
    _with_account(desk, "rep-1")
    empty = submit_lead(desk.table, clock=desk.clock, roster=FixedRoster(away={"rep-1"}))
    assert empty(submission(), CALL).lead.owner_id == "rep-1"


def test_an_account_owner_who_has_left_gets_no_lead_and_it_waits_for_a_manager() -> None:
    desk = Desk()
    _with_account(desk, "rep-1")
    empty = submit_lead(desk.table, clock=desk.clock, roster=FixedRoster(gone={"rep-1"}))
    lead = empty(submission(), CALL).lead
    assert (lead.owner_id, lead.account_id, lead.assignment.rule) == (UNASSIGNED, "ACC_1", "none present")
    assert "ACC_1, whose owner is absent; nobody is there to take it" in lead.assignment.explanation
    others = submit_lead(desk.table, clock=desk.clock, roster=FixedRoster("a", gone={"rep-1"}), ids=seeded_ids(8))
    assert others(submission(email="bo@nordlicht.example", last_name="Lind", phone=""), CALL).lead.owner_id == "a"


def test_a_territory_may_name_people_of_any_role_and_skips_the_absent() -> None:
    desk = Desk()
    rules = AssignmentRules(
        territories=(Territory(name="de", countries=frozenset({"DE"}), user_ids=("rep-1", "rep-2")),)
    )
    now = desk.clock.now()
    record = SettingsRecord(id="assignment", created_at=now, modified_at=now, content=rules.model_dump(mode="json"))
    transaction = begin(CALL, now)
    SETTINGS.create(transaction, record)
    desk.table.commit(transaction)
    roster = FixedRoster("a", away={"rep-1"})
    lead = submit_lead(desk.table, clock=desk.clock, roster=roster)(submission(), CALL).lead
    assert (lead.owner_id, lead.assignment.rule) == ("rep-2", "territory de")


def test_a_lead_that_went_to_its_accounts_owner_took_no_ticket_and_costs_the_block_none() -> None:
    desk = Desk()
    _with_account(desk, "rep-1")
    block = desk.block("import", 2)
    owned = desk.submit(submission(), CALL, block).lead
    assert owned.owner_id == "rep-1"
    shared = desk.lead(block)
    block.committed([owned.id, shared.id])
    block.close(committed=True)
    assert desk.lead().owner_id != shared.owner_id
