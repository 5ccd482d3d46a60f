"""What people see of an import: dry runs, the result file, progress, and who sees it at all."""

import csv
import io

import pytest

from revops.channels.imports.model import ImportState
from revops.kernel import CallContext, Forbidden, NotFound, Principal, Refused, Role
from tests.builders.imports import SELLER, Importing, bring, leads, person
from tests.builders.lists import csv_file
from tests.builders.memory_table import MemoryTable


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def importing(table: MemoryTable) -> Importing:
    return Importing(table, "sdr-1", "sdr-2", "sdr-3")


@pytest.mark.mission("CAP-7")
def test_a_dry_run_gives_verdicts_and_writes_no_lead(importing: Importing, table: MemoryTable) -> None:
    content, expected, _ = csv_file(17, 150)
    import_id = importing.bring(content, dry_run=True)
    assert leads(table) == []
    got = {verdict.row: verdict.verdict for verdict in importing.verdicts(import_id)}
    exclusive = {"stored": "stored", "joined": "joined", "refused": "refused", "pending": "stored"}
    off = [each for each in expected if got[each.row] != exclusive[each.verdict]]
    assert all(each.verdict == "joined" for each in off), "a dry run knows its own rows by exclusive values alone"
    again = importing.bring(content)
    assert importing.status(again).job.repeats == ""
    then = {verdict.row: verdict.verdict for verdict in importing.verdicts(again)}
    assert then == {each.row: each.verdict for each in expected}


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("S11")
def test_the_result_is_safe_to_open_and_what_is_stored_is_as_it_came(importing: Importing, table: MemoryTable) -> None:
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0", " =1"]
    lines = [f'Ada,"{text}",Firm {n},n{n}@firm{n}.example,,US'.encode() for n, text in enumerate(evil)]
    import_id = bring(importing, *lines)
    rows = list(csv.reader(io.StringIO(importing.result(import_id))))
    assert len(rows) == len(evil) + 1
    for row in rows[1:]:
        for cell in row:
            assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r")), cell
    assert rows[1][10] == "'=1+1"
    assert {lead.last_name for lead in leads(table)} >= {"=1+1", "@SUM(A1)"}


@pytest.mark.mission("CAP-7")
def test_a_row_of_the_wrong_width_stands_in_the_result_as_it_came(importing: Importing) -> None:
    import_id = bring(importing, b"Ada,short,=1", person("long") + b",more,=2")
    short, long = list(csv.reader(io.StringIO(importing.result(import_id))))[1:]
    assert (short[4], short[9:]) == ("row-width", ["Ada", "short", "'=1", "", "", ""])
    assert (long[4], long[10], long[-2:]) == ("row-width", "long", ["more", "'=2"])


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("S1")
def test_only_the_importer_their_manager_and_administrators_see_an_import(importing: Importing) -> None:
    import_id = bring(importing, person("seen"))
    manager = CallContext(Principal("boss", Role.SALES_MANAGER, members=frozenset({"sdr-1"})))
    other_manager = CallContext(Principal("other", Role.SALES_MANAGER, members=frozenset({"rep-9"})))
    for call in (SELLER, manager, CallContext(Principal("root", Role.ADMIN))):
        assert importing.status(import_id, call).progress.rows == 1
        assert import_id in importing.read.result_url(import_id, call)
    strangers = [CallContext(Principal("x", role)) for role in (Role.SDR, Role.SALES_REP, Role.SUPPORT, Role.LEGAL)]
    for call in (*strangers, other_manager):
        with pytest.raises(NotFound):
            importing.status(import_id, call)
        with pytest.raises(NotFound):
            importing.cancel(import_id, call)
    for call in strangers[2:]:
        with pytest.raises(Forbidden):
            importing.upload(b"", call=call)


@pytest.mark.mission("CAP-7")
def test_progress_says_how_far_it_is_and_when_it_is_likely_to_end(importing: Importing, table: MemoryTable) -> None:
    content, _, _ = csv_file(19, 150)
    import_id = importing.upload(content)
    assert importing.status(import_id).estimated_end is None
    importing.run(import_id, seconds_left=lambda: 0.0)
    status = importing.status(import_id)
    assert status.job.state is ImportState.RUNNING
    assert status.progress.rows == 60
    assert 0.05 < status.progress.share < 0.9
    assert status.estimated_end is not None
    with pytest.raises(Refused):
        importing.read.result_url(import_id, SELLER)


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("S16")
def test_the_leads_are_the_importers_doing_in_the_audit(importing: Importing, table: MemoryTable) -> None:
    bring(importing, person("audited"))
    [row] = [row for row in table.rows.values() if row.kind == "LEAD"]
    assert row.stamp is not None
    assert (row.stamp.by, row.stamp.on_behalf_of) == ("system:lead_import", "sdr-1")
