"""Who may read a record's history, and that the answer tells nobody what they may not know."""

import pytest

from revops.access import Policy, Resource
from revops.audit import AuditEntry, ReadAudit, WriteAudit, audit_key, entries_of
from revops.kernel import CallContext, Forbidden, NotFound, Principal, Role
from revops.table import ANYTHING, Change, Row, Stamp, begin
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

RECORD = "LEAD#1|LEAD"


def audited(versions: int = 3) -> MemoryTable:
    table = MemoryTable()
    write = WriteAudit(table, ManualClock())
    rows = [
        Row("LEAD#1", "LEAD", "LEAD", version, f'{{"score":{version}}}', stamp=Stamp("t", "user"))
        for version in range(1, versions + 1)
    ]
    for before, after in zip([None, *rows], rows, strict=False):
        write(Change("", before, after))
    return table


def call(role: Role, *members: str) -> CallContext:
    return CallContext(Principal("me", role, members=frozenset(members)))


@pytest.mark.mission("SAFE-1", "SAFE-3")
@pytest.mark.parametrize(
    ("role", "resource", "owner", "answer"),
    [
        (Role.ADMIN, Resource.LEADS, "x", None),
        (Role.SALES_MANAGER, Resource.LEADS, "report", None),
        (Role.SALES_MANAGER, Resource.LEADS, "x", NotFound),
        (Role.SALES_REP, Resource.ACCOUNTS, "me", None),
        (Role.SALES_REP, Resource.ACCOUNTS, "x", NotFound),
        (Role.SDR, Resource.LEADS, "me", None),
        (Role.SDR, Resource.LEADS, "x", NotFound),
        (Role.SDR, Resource.ACCOUNTS, "me", Forbidden),
        (Role.SUPPORT, Resource.LEADS, "me", Forbidden),
        (Role.LEGAL, Resource.ORDERS, "x", None),
        (Role.LEGAL, Resource.LEADS, "x", Forbidden),
        (Role.FINANCE, Resource.BILLING, "x", None),
        (Role.FINANCE, Resource.ORDERS, "x", Forbidden),
        (Role.INTEGRATION, Resource.LEADS, "me", Forbidden),
    ],
)
def test_who_may(role: Role, resource: Resource, owner: str, answer: type[Exception] | None) -> None:
    read = ReadAudit(audited(), Policy())
    if answer is None:
        entries, faults = read(RECORD, resource, owner, call(role, "report"))
        assert (len(entries), faults) == (3, [])
    else:
        with pytest.raises(answer):
            read(RECORD, resource, owner, call(role, "report"))


@pytest.mark.fault("S1")
def test_what_nobody_of_a_role_may_see_is_refused_before_any_record_is_looked_for() -> None:
    read = ReadAudit(MemoryTable(), Policy())
    with pytest.raises(Forbidden):
        read.require_any(Resource.LEADS, call(Role.LEGAL))
    read.require_any(Resource.ORDERS, call(Role.LEGAL))


def test_a_record_without_history() -> None:
    with pytest.raises(NotFound):
        ReadAudit(MemoryTable(), Policy())(RECORD, Resource.LEADS, "x", call(Role.ADMIN))


@pytest.mark.fault("S22")
def test_a_tampered_row_shows_when_it_is_read() -> None:
    table = audited()
    key = audit_key(RECORD, 2)
    row = table.get(key)
    assert row is not None
    transaction = begin(call(Role.ADMIN), ManualClock().now())
    transaction.put(Row(key.pk, key.sk, row.kind, doc=row.doc.replace("user", "nobody")), ANYTHING)
    table.commit(transaction)
    _, faults = ReadAudit(table, Policy())(RECORD, Resource.LEADS, "x", call(Role.ADMIN))
    assert faults == ["version 2: the entry was altered"]


@pytest.mark.mission("SAFE-3")
def test_more_versions_than_a_page_stay_in_order() -> None:
    entries = list(entries_of(audited(120), RECORD))
    assert [entry.version for entry in entries] == list(range(1, 121))


@pytest.mark.mission("SAFE-3")
def test_the_entry_of_a_deletion_says_so_and_keeps_what_was() -> None:
    table = MemoryTable()
    write = WriteAudit(table, ManualClock())
    row = Row("LEAD#1", "LEAD", "LEAD", 1, '{"name":"x"}', counters={"n": 2}, stamp=Stamp("t", "user"))
    write(Change("", None, row))
    write(Change("", row, None))
    last: AuditEntry = list(entries_of(table, RECORD))[-1]
    assert (last.version, last.deleted, last.by) == (2, True, "")
    assert {each.field: each.old for each in last.changes} == {"name": "x", "n": 2}
