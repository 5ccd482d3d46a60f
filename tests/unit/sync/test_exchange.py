"""People and contacts, both ways: each rule of HUB-1…4 on its own."""

import json
from typing import Any

import pytest

from revops.inbox import INBOX, InboxStatus
from revops.kernel import Unavailable
from revops.sync import HubspotFields, Pushed, conflicts_of, dirty_marks, mark_dirty, read_log
from revops.sync.exchange import sync_call
from revops.sync.fields import FieldMap, Rule
from revops.sync.model import IDENTITY, DirtyMark, PersonSnapshot
from revops.sync.ports import OutcomeUnknown, RateLimited, RemoteRefused
from revops.sync.store import link, linked_person, read_mark, read_state
from revops.table import begin
from tests.unit.sync.fakes import World

ANN = "PER_ANN"


def _world(**more: object) -> World:
    world = World(**more)  # type: ignore[arg-type]
    world.people.add(
        ANN,
        world.clock.now(),
        first_name="Ann",
        last_name="Ray",
        email="ann@example.com",
        phone="+441",
        company="Acme",
    )
    return world


def _settled() -> tuple[World, str]:
    world = _world()
    world.settle()
    return world, next(iter(world.hubspot.records))


def _with_rule(rule: Rule) -> HubspotFields:
    fields = HubspotFields()
    lines = [FieldMap.model_validate({**line.model_dump(), "rule": rule}) for line in fields.contacts]
    return HubspotFields(contacts=tuple(lines))


@pytest.mark.mission("HUB-1", "HUB-2")
def test_a_person_made_here_becomes_one_contact_with_the_mapped_properties() -> None:
    world, identifier = _settled()
    record = world.hubspot.records[identifier]
    assert len(world.hubspot.records) == 1
    assert record[IDENTITY] == ANN
    assert (record["email"], record["firstname"], record["revops_lead_status"]) == ("ann@example.com", "Ann", "New")
    assert record["revops_created_at"] == "2026-11-20T09:00:00.000Z"
    assert len(world.hubspot.writes) == 1
    assert not read_mark(world.table, ANN).is_dirty


@pytest.mark.mission("HUB-4")
def test_the_echo_of_our_own_write_writes_nothing() -> None:
    world = _world()
    world.relay()
    world.work()
    assert world.hubspot.rung
    version, reads = world.people.lead(ANN).version, world.hubspot.reads
    while world.hubspot.rung:
        world.webhook()
    world.relay()
    world.work()
    assert world.people.lead(ANN).version == version
    assert len(world.hubspot.writes) == 1
    assert world.hubspot.reads == reads  # not even a look
    assert not conflicts_of(world.table, ANN)


@pytest.mark.mission("HUB-1", "HUB-3")
def test_a_change_made_there_comes_back_and_does_not_go_out_again() -> None:
    world, identifier = _settled()
    world.hubspot.edit(identifier, phone="+442", firstname="Anna")
    world.settle()
    lead = world.people.lead(ANN)
    assert (lead.phone, lead.first_name) == ("+442", "Anna")
    assert len(world.hubspot.writes) == 1
    assert not conflicts_of(world.table, ANN)


@pytest.mark.mission("HUB-2")
def test_a_change_there_of_a_field_of_ours_is_undone_and_recorded() -> None:
    world, identifier = _settled()
    world.hubspot.edit(identifier, revops_lead_status="Converted", email="else@example.com")
    world.settle()
    assert world.hubspot.records[identifier]["revops_lead_status"] == "New"
    assert world.hubspot.records[identifier]["email"] == "ann@example.com"
    assert world.people.lead(ANN).email == "ann@example.com"
    assert {(c.field, c.rule, c.winner) for c in conflicts_of(world.table, ANN)} == {
        ("lead_status", "owner_wins", "local"),
        ("email", "owner_wins", "local"),
    }


@pytest.mark.mission("HUB-4")
@pytest.mark.parametrize(
    ("rule", "winner"), [(Rule.REMOTE_WINS, "remote"), (Rule.LOCAL_WINS, "local"), (Rule.LATEST_WINS, "local")]
)
def test_a_clash_is_decided_by_the_rule_and_recorded_once_with_both_values(rule: Rule, winner: str) -> None:
    world = _world(fields=_with_rule(rule))
    world.settle()
    identifier = next(iter(world.hubspot.records))
    world.hubspot.edit(identifier, phone="there")
    world.clock.advance(seconds=5)
    world.people.edit(ANN, world.clock.now(), phone="here")
    world.settle()
    value = {"remote": "there", "local": "here"}[winner]
    assert world.people.lead(ANN).phone == value
    assert world.hubspot.records[identifier]["phone"] == value
    (conflict,) = conflicts_of(world.table, ANN)
    assert (conflict.local_value, conflict.remote_value) == ("here", "there")
    assert (conflict.rule, conflict.winner) == (rule.value, winner)


@pytest.mark.mission("HUB-4")
def test_emptying_a_name_there_brings_ours_back_and_emptying_a_phone_empties_it() -> None:
    world, identifier = _settled()
    world.hubspot.edit(identifier, lastname="", phone="")
    world.settle()
    assert world.hubspot.records[identifier]["lastname"] == "Ray"
    assert world.people.lead(ANN).phone == ""
    assert [c.rule for c in conflicts_of(world.table, ANN)] == ["blank_refused"]


@pytest.mark.mission("HUB-4")
def test_each_side_keeps_its_own_spelling_without_an_endless_exchange() -> None:
    world = _world(here=lambda phone: phone.replace(" ", ""), there=lambda phone: f"({phone})" if phone else "")
    world.settle()
    (identifier,) = world.hubspot.records
    world.hubspot.edit(identifier, phone="+44 20 7")
    world.settle()
    assert world.people.lead(ANN).phone == "(+44207)"
    assert world.hubspot.records[identifier]["phone"] == "(+44 20 7)"
    assert world.push(ANN, sync_call()) is Pushed.NOTHING
    assert len(world.hubspot.writes) == 1


@pytest.mark.mission("HUB-3")
def test_a_contact_made_there_becomes_a_lead_and_is_given_our_id() -> None:
    world = World()
    identifier = world.hubspot.create(email="New@Example.com", firstname="New", lastname="One", jobtitle="CTO")
    world.hubspot.rung *= 3
    world.settle()
    person_id = f"PER_FROM{identifier}"
    assert linked_person(world.table, identifier) == person_id
    assert world.people.lead(person_id).job_title == "CTO"
    assert world.hubspot.records[identifier][IDENTITY] == person_id
    assert world.hubspot.records[identifier]["email"] == "new@example.com"


@pytest.mark.mission("HUB-3")
def test_a_contact_with_a_known_email_is_adopted_from_either_end() -> None:
    for inbound in (True, False):
        world = _world()
        identifier = world.hubspot.create(email="ann@example.com", firstname="Ann", phone="+449", jobtitle="CEO")
        if not inbound:
            world.hubspot.rung.clear()
        world.settle()
        assert list(world.hubspot.records) == [identifier]
        assert world.hubspot.records[identifier][IDENTITY] == ANN
        assert world.hubspot.records[identifier]["jobtitle"] == "CEO"
        assert world.people.lead(ANN).phone == "+449"
        assert [c.field for c in conflicts_of(world.table, ANN)] == ["phone"]


@pytest.mark.mission("HUB-3")
@pytest.mark.fault("R18")
@pytest.mark.parametrize("inbound", [True, False])
def test_a_contact_that_becomes_somebody_elses_in_that_moment_is_not_adopted(inbound: bool) -> None:
    world = _world()
    world.people.add("PER_BOB", world.clock.now(), first_name="Bob", email="bob@example.com")
    identifier = world.hubspot.create(email="ann@example.com", firstname="Ann", phone="+449", jobtitle="CEO")
    if not inbound:
        world.hubspot.rung.clear()
    update = world.people.update

    def raced(*said: Any) -> PersonSnapshot:
        world.people.update = update  # type: ignore[method-assign]
        transaction = begin(sync_call(), world.clock.now())
        link(transaction, identifier, "PER_BOB")
        world.table.commit(transaction)
        return update(*said)

    world.people.update = raced  # type: ignore[method-assign,assignment]
    world.settle()
    assert linked_person(world.table, identifier) == "PER_BOB"
    assert read_state(world.table, ANN).remote_id != identifier
    assert world.people.lead(ANN).phone == "+441"


@pytest.mark.mission("HUB-3")
def test_a_second_contact_of_a_linked_person_is_left_alone() -> None:
    world, _ = _settled()
    other = world.hubspot.create(firstname="Else", **{IDENTITY: ANN})
    world.settle()
    assert world.people.lead(ANN).first_name == "Ann"
    assert "firstname" in world.hubspot.records[other]
    assert any(entry.action == "second contact" for entry in read_log(world.table, ANN))


@pytest.mark.mission("HUB-3")
def test_deleting_there_detaches_and_deletes_nothing_here() -> None:
    world, identifier = _settled()
    world.hubspot.delete(identifier)
    world.settle()
    world.people.edit(ANN, world.clock.now(), first_name="Anna")
    world.settle()
    assert world.hubspot.records == {}
    assert read_state(world.table, ANN).detached
    assert world.people.lead(ANN).first_name == "Anna"
    again = world.hubspot.create(email="ann@example.com", firstname="Annie")
    world.settle()
    assert world.hubspot.records[again][IDENTITY] == ANN
    assert not read_state(world.table, ANN).detached


@pytest.mark.mission("HUB-3")
def test_a_look_that_saw_an_older_contact_cannot_undo_a_later_look() -> None:
    """A→B→A: the first worker reads B, the second reads A and changes nothing, the first then tries to commit B."""
    world, identifier = _settled()
    world.hubspot.edit(identifier, phone="B")
    first = world.webhook()
    world.hubspot.edit(identifier, phone="+441")
    second = world.webhook()
    world.hubspot.records[identifier]["phone"] = "B"  # as the first look finds it
    stepped: list[str] = []

    def step_in(when: str, name: str) -> None:
        if (when, name) == ("after", "contact") and not stepped:
            stepped.append(name)
            world.hubspot.records[identifier]["phone"] = "+441"
            world.handle({"provider": "hubspot", "inbox_id": second})

    world.hubspot.around = step_in
    world.handle({"provider": "hubspot", "inbox_id": first})
    assert world.people.lead(ANN).phone == "+441"


@pytest.mark.fault("R6")
def test_two_workers_on_one_person_never_leave_the_old_value_there() -> None:
    world, identifier = _settled()
    world.people.edit(ANN, world.clock.now(), phone="old")
    world.relay()
    outcome: list[str] = []

    def step_in(when: str, name: str) -> None:
        if (when, name) == ("before", "write") and not outcome:
            outcome.append("")
            world.people.edit(ANN, world.clock.now(), phone="new")
            world.relay()
            with pytest.raises(Unavailable, match="another worker"):
                world.push(ANN, sync_call())

    world.hubspot.around = step_in
    assert world.push(ANN, sync_call()) is Pushed.WRITTEN
    assert world.hubspot.records[identifier]["phone"] == "old"
    assert read_mark(world.table, ANN).is_dirty  # marked again while the write was under way
    world.settle()
    assert world.hubspot.records[identifier]["phone"] == "new"


@pytest.mark.fault("R14")
def test_a_change_made_there_while_we_write_waits_and_is_not_lost() -> None:
    world, identifier = _settled()
    world.people.edit(ANN, world.clock.now(), phone="ours")
    world.relay()
    answers: list[str] = []

    def step_in(when: str, name: str) -> None:
        if (when, name) == ("before", "write") and not answers:
            world.hubspot.edit(identifier, company="Theirs")
            answers.append(world.handle({"provider": "hubspot", "inbox_id": world.webhook()}))

    world.hubspot.around = step_in
    assert world.push(ANN, sync_call()) is Pushed.WRITTEN
    assert answers == ["waits 30 s"]
    world.hubspot.rung.clear()
    world.settle()
    assert world.people.lead(ANN).company == "Theirs"
    assert world.hubspot.records[identifier]["phone"] == "ours"


@pytest.mark.fault("R4")
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_never_came_is_looked_up_after_the_lease(when: str) -> None:
    world, identifier = _settled()
    world.people.edit(ANN, world.clock.now(), phone="new")
    world.relay()

    def lose(at: str, name: str) -> None:
        if (at, name) == (when, "write"):
            raise OutcomeUnknown("no answer", retry_after=5.0)

    world.hubspot.around = lose
    with pytest.raises(Unavailable) as waited:
        world.push(ANN, sync_call())
    assert waited.value.retry_after == 30
    world.hubspot.around = lambda at, name: None
    with pytest.raises(Unavailable):
        world.push(ANN, sync_call())
    count = len(world.hubspot.writes)
    world.clock.advance(seconds=31)
    assert world.push(ANN, sync_call()) is (Pushed.WRITTEN if when == "before" else Pushed.NOTHING)
    assert len(world.hubspot.writes) == (count + 1 if when == "before" else count)
    assert world.hubspot.records[identifier]["phone"] == "new"
    assert not read_mark(world.table, ANN).is_dirty
    assert not conflicts_of(world.table, ANN)


@pytest.mark.fault("R11")
def test_a_429_frees_the_person_at_once_and_the_message_comes_back() -> None:
    world, identifier = _settled()
    world.people.edit(ANN, world.clock.now(), phone="new")
    world.relay()

    def refuse(at: str, name: str) -> None:
        if (at, name) == ("before", "write"):
            raise RateLimited("slow down", retry_after=7.0)

    world.hubspot.around = refuse
    world.work()
    ((due, message),) = world.queue.waiting
    assert (due - world.clock.now()).total_seconds() == 7
    assert message["waits"] == "1"
    assert read_state(world.table, ANN).sending is None
    world.hubspot.around = lambda at, name: None
    world.settle()
    assert world.hubspot.records[identifier]["phone"] == "new"


@pytest.mark.mission("HUB-4")
def test_a_refusal_for_good_is_kept_with_its_words_and_not_repeated() -> None:
    world, _ = _settled()
    world.people.edit(ANN, world.clock.now(), email="bad")
    world.relay()

    def refuse(at: str, name: str) -> None:
        if (at, name) == ("before", "write"):
            raise RemoteRefused("Email address bad is invalid")

    world.hubspot.around = refuse
    world.settle()
    assert read_state(world.table, ANN).refused == "Email address bad is invalid"
    assert read_log(world.table, ANN)[0].action == "refused"
    assert not read_mark(world.table, ANN).is_dirty
    world.hubspot.around = lambda at, name: None
    world.people.edit(ANN, world.clock.now(), email="ann2@example.com")
    world.settle()
    assert read_state(world.table, ANN).refused == ""


@pytest.mark.mission("HUB-4")
def test_undoing_what_something_there_keeps_making_stops_at_the_bound() -> None:
    world, identifier = _settled()
    start = len(world.hubspot.writes)
    for _ in range(12):
        world.hubspot.edit(identifier, jobtitle="by workflow")
        world.settle()
    assert len(world.hubspot.writes) - start == 5
    assert conflicts_of(world.table, ANN)[-1].rule == "left_after_repeats"
    world.people.edit(ANN, world.clock.now(), job_title="ours")
    world.settle()
    assert world.hubspot.records[identifier]["jobtitle"] == "ours"


@pytest.mark.fault("R12")
def test_what_cannot_be_taken_in_is_a_dead_letter_with_its_reason() -> None:
    world = World()
    world.hubspot.create(email="x@example.com")

    def refuse(at: str, name: str) -> None:
        raise RemoteRefused("no such property")

    world.hubspot.around = refuse
    identifier = world.webhook()
    assert world.handle({"provider": "hubspot", "inbox_id": identifier}) == "dead"
    entry = INBOX.require(world.table, identifier)
    assert (entry.status, entry.reason) == (InboxStatus.DEAD, "no such property")


@pytest.mark.mission("HUB-1")
def test_only_changes_of_mapped_fields_by_others_make_dirty() -> None:
    world, _ = _settled()
    now = world.clock.now()
    world.people.edit(ANN, now, score=12, score_card={"fit": 5, "engagement": 7, "learned": 0})
    world.settle()
    before = len(world.table.changes)
    world.people.edit(ANN, now, score=9, score_card={"fit": 5, "engagement": 4, "learned": 0})
    world.people.edit(ANN, now, by="system:hubspot_sync", phone="x")
    world.people.edit(ANN, now)
    assert not [mark for change in world.table.changes[before:] for mark in dirty_marks(change)]
    world.people.edit(ANN, now, score=10, score_card={"fit": 6, "engagement": 4, "learned": 0})
    (mark,) = dirty_marks(world.table.changes[-1])
    assert mark == DirtyMark(ANN, "LEAD_ANN", world.people.lead(ANN).version, ("revops_lead_score",))
    assert mark_dirty(world.table, mark, now)
    assert not mark_dirty(world.table, mark, now)  # the stream repeats itself


@pytest.mark.fault("R15")
def test_what_the_queue_lost_is_sent_again_with_growing_waits() -> None:
    world = _world()
    world.relay()
    world.queue.waiting.clear()
    assert world.sweep(sync_call()) == 0
    waits = []
    for _ in range(3):
        started = world.clock.now()
        while not world.sweep(sync_call()):
            world.clock.advance(seconds=30)
        waits.append((world.clock.now() - started).total_seconds())
    assert waits == [120, 120, 240]
    assert world.queue.waiting[0][1] == {"entity_id": ANN, "kind": "PERSON"}
    world.settle()
    assert len(world.hubspot.records) == 1


def test_the_state_and_the_log_hold_no_more_than_they_need() -> None:
    world, identifier = _settled()
    for number in range(60):
        world.hubspot.edit(identifier, phone=f"+44{number}")
        world.settle()
    log = read_log(world.table, ANN)
    assert len(log) <= 50
    assert all("+44" not in json.dumps(entry.model_dump(mode="json")) for entry in log)
