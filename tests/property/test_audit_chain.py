"""I4: whatever is edited and however the stream delivers it, one entry per version, each field once, chained."""

import json
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revops.audit import AuditEntry, WriteAudit, changes_between, entries_of, verify_chain
from revops.audit.policies import record_name, sealed
from revops.table import Change, Row, Stamp
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
FIELDS = st.dictionaries(
    st.sampled_from(["name", "stage", "score", "tags", "ü|#"]),
    st.none() | st.integers(0, 3) | st.text(max_size=4) | st.lists(st.integers(0, 2), max_size=2),
    max_size=5,
)
HISTORIES = st.lists(FIELDS, min_size=1, max_size=7)


def _row(version: int, fields: dict[str, Any]) -> Row:
    stamp = Stamp(
        f"2026-11-20T09:00:{version:02d}.000000Z", f"user-{version % 3}", "203.0.113.9", "tests", f"req-{version}"
    )
    doc = json.dumps({"id": "X", "version": version, **fields})
    return Row("ACC#X", "ACCOUNT", "ACCOUNT", version=version, doc=doc, stamp=stamp)


def changes_of(history: list[dict[str, Any]], *, deleted: bool = False) -> list[Change]:
    """The stream of a record's life."""
    rows = [_row(version, fields) for version, fields in enumerate(history, 1)]
    pairs = list(zip([None, *rows], rows, strict=False))
    changes = [Change(f"{n:021d}", before, after) for n, (before, after) in enumerate(pairs)]
    return [*changes, Change(f"{len(rows):021d}", rows[-1], None)] if deleted else changes


def _audit(deliveries: list[Change]) -> tuple[MemoryTable, list[AuditEntry]]:
    table = MemoryTable()
    write = WriteAudit(table, ManualClock())
    for change in deliveries:
        write(change)
    return table, list(entries_of(table, "ACC#X|ACCOUNT"))


@pytest.mark.mission("SAFE-3")
@given(HISTORIES, st.booleans())
def test_in_order_every_field_of_every_version_stands_once_and_follows_the_one_before(
    history: list[dict[str, Any]], deleted: bool
) -> None:
    changes = changes_of(history, deleted=deleted)
    _, entries = _audit(changes)
    assert [entry.version for entry in entries] == list(range(1, len(changes) + 1))
    assert verify_chain(entries) == []
    value: dict[str, Any] = {}
    for change, entry in zip(changes, entries, strict=True):
        names = [field.field for field in entry.changes]
        assert len(set(names)) == len(names)
        for field in entry.changes:
            assert field.old == value.get(field.field), "old is the new of before"
            assert field.old != field.new
            value[field.field] = field.new
        wanted = json.loads(change.after.doc) if change.after else {}
        assert {name: told for name, told in value.items() if told is not None} == {
            name: told for name, told in wanted.items() if told is not None and name != "version"
        }
        if change.after is not None and change.after.stamp is not None:
            assert (entry.by, entry.ip, entry.user_agent) == (change.after.stamp.by, "203.0.113.9", "tests")


@pytest.mark.mission("SAFE-3")
@pytest.mark.fault("R14", "R15")
@given(HISTORIES, st.booleans(), st.integers(0, 2**32))
@settings(max_examples=200)
def test_lost_repeated_and_late_deliveries_leave_one_chain_that_says_what_is_missing(
    history: list[dict[str, Any]], deleted: bool, seed: int
) -> None:
    changes, random = changes_of(history, deleted=deleted), Random(seed)
    arriving = [change for change in changes if random.random() < 0.8] + random.choices(changes, k=random.randrange(4))
    if random.random() < 0.5:
        random.shuffle(arriving)
    _, entries = _audit(arriving)
    assert verify_chain(entries) == []
    versions = [change.after.version if change.after else len(changes) for change in arriving]
    seen = set(versions)
    assert [entry.version for entry in entries] == list(range(1, max(seen, default=0) + 1))
    if versions[:1] == [2]:
        seen.add(1)  # the second shows what the first was
        assert not entries[0].gap
    for entry in entries:
        if entry.version not in seen:
            assert entry.gap
            assert entry.changes == ()
    for entry in entries:
        change = changes[entry.version - 1]
        if not entry.gap:
            assert entry.changes == changes_between(change.before, change.after)


@pytest.mark.mission("SAFE-3")
@pytest.mark.fault("S22")
@given(HISTORIES.filter(lambda history: len(history) > 1), st.data())
def test_every_way_to_tamper_shows(history: list[dict[str, Any]], data: st.DataObject) -> None:
    _, entries = _audit(changes_of(history))
    place = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[place]
    forged = entry.model_copy(update={"by": "somebody else"})
    last = place == len(entries) - 1
    for tampered in (
        [*entries[:place], forged, *entries[place + 1 :]],
        [*entries[:place], sealed(entry.model_copy(update={"previous_hash": "0" * 64})), *entries[place + 1 :]],
        [*entries[:place], entry, entry, *entries[place + 1 :]],
    ):
        assert verify_chain(tampered)
    if not last:  # the newest entry of all is held by the daily root hash, not by its successor
        assert verify_chain([*entries[:place], *entries[place + 1 :]])
        assert verify_chain([*entries[:place], sealed(forged), *entries[place + 1 :]])
        assert verify_chain([*entries[:place], entries[place + 1], entry, *entries[place + 2 :]])


@pytest.mark.fault("S22")
@pytest.mark.parametrize("field", sorted(set(AuditEntry.model_fields) - {"hash"}))
def test_no_field_of_an_entry_is_outside_its_hash(field: str) -> None:
    _, entries = _audit(changes_of([{"name": "a"}, {"name": "b"}]))
    value: Any = {"version": 9, "gap": True, "deleted": True, "changes": ()}.get(field, "other")
    faults = verify_chain([entries[0], entries[1].model_copy(update={field: value})])
    assert any("altered" in fault for fault in faults)


@pytest.mark.fault("R14")
@given(HISTORIES, HISTORIES, st.integers(0, 2**32))
def test_records_delivered_interleaved_keep_chains_of_their_own(
    first: list[dict[str, Any]], second: list[dict[str, Any]], seed: int
) -> None:
    random, table = Random(seed), MemoryTable()
    write = WriteAudit(table, ManualClock())
    queues = [
        changes_of(first),
        [Change(c.sequence, *map(_elsewhere, (c.before, c.after))) for c in changes_of(second)],
    ]
    while any(queues):
        write(random.choice([queue for queue in queues if queue]).pop(0))
    for record, history in (("ACC#X|ACCOUNT", first), ("ACC#Y|ACCOUNT", second)):
        entries = list(entries_of(table, record))
        assert len(entries) == len(history)
        assert verify_chain(entries) == []


def _elsewhere(row: Row | None) -> Row | None:
    return None if row is None else Row("ACC#Y", row.sk, row.kind, row.version, row.doc, stamp=row.stamp)


def test_a_record_is_named_by_its_whole_key() -> None:
    assert record_name(_row(1, {})) == "ACC#X|ACCOUNT"
