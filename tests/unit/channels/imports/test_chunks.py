"""Chunks under way at once: the next one is looked up while one is written, and nothing is missed in between."""

import csv
import io
import zipfile

import pytest

from revops.channels.imports.model import ImportState, Verdict
from revops.table import Put, Transaction
from tests.builders.crm import CALL, submission
from tests.builders.imports import ATTRIBUTION, SELLER, Importing, bring, leads, person
from tests.builders.memory_table import MemoryTable
from tests.builders.workbooks import Cell, workbook

pytestmark = [pytest.mark.mission("CAP-7", "CAP-11"), pytest.mark.fault("R30")]
LINES = (
    b"Ada,North,Firm North,ada@north.example,+44 20 7946 0001,GB",
    b"Ben,South,Firm South,ben@south.example,+44 20 7946 0002,GB",
    b"Ada,North,Firm North,a.north@north.example,+44 20 7946 0001,GB",
    b"Ada,North,Firm North,ada@north.example,+44 20 7946 0001,GB",
    b"Cem,West,Firm West,cem@west.example,+44 20 7946 0003,GB",
    b"Ben,South,Firm South,ben@south.example,+44 20 7946 0002,GB",
)


@pytest.mark.parametrize("chunk", [1, 2, 3, 60])
@pytest.mark.parametrize("dry_run", [False, True])
def test_whoever_stands_in_the_chunk_before_is_known_in_the_next(chunk: int, dry_run: bool) -> None:
    """A dry run knows a row before it by its exclusive value; whom a row resembles needs a lead that stands."""
    table = MemoryTable()
    importing = Importing(table, "sdr-1", chunk=chunk)
    import_id = bring(importing, *LINES, dry_run=dry_run)
    said = [each.verdict for each in importing.verdicts(import_id)]
    third = Verdict.STORED if dry_run else Verdict.PENDING
    assert said == [Verdict.STORED, Verdict.STORED, third, Verdict.JOINED, Verdict.STORED, Verdict.JOINED]
    assert len(leads(table)) == (0 if dry_run else 4)


@pytest.mark.fault("R18")
@pytest.mark.parametrize("chunk", [2, 3])
def test_a_block_that_fails_while_the_next_chunk_is_under_way_costs_no_row(chunk: int) -> None:
    """Somebody is quicker with a person of the first chunk; rows of the next two repeat that chunk's other person."""
    table = MemoryTable()
    importing = Importing(table, "sdr-1", "sdr-2", chunk=chunk)
    met: list[Transaction] = []

    def meanwhile(transaction: Transaction) -> None:
        if not met and any(isinstance(each, Put) and each.row.kind == "LEAD" for each in transaction.operations):
            met.append(transaction)
            importing.submit(submission(email="ben@south.example", last_name="Other", phone=""), CALL)

    table.before_commit = meanwhile
    import_id = bring(importing, *LINES)
    said = [each.verdict for each in importing.verdicts(import_id)]
    stored, joined, pending = Verdict.STORED, Verdict.JOINED, Verdict.PENDING
    assert said == [stored, joined, pending, joined, stored, joined]
    assert importing.status(import_id).progress.rows == len(LINES)
    assert len(leads(table)) == 4
    assert not [key for key in table.rows if key.pk.startswith("TICKET#") and key.sk.startswith("BLOCK#")]


def test_a_file_that_turns_out_too_long_fails_and_what_came_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revops.channels.imports.work.MAX_ROWS", 4)
    table = MemoryTable()
    importing = Importing(table, "sdr-1", chunk=2)
    import_id = bring(importing, *(person(f"p{number}") for number in range(6)))
    status = importing.status(import_id)
    assert status.job.state is ImportState.FAILED
    assert [each.rule for each in status.job.problems] == ["rows"]
    assert status.progress.rows == 4 == len(importing.verdicts(import_id)) == len(leads(table))


@pytest.mark.mission("CAP-7")
def test_a_workbook_that_breaks_off_keeps_what_stands_before_and_says_so_row_by_row() -> None:
    """Five rows, and then XML that is none: no row before it is lost, and the result file can be had."""
    rows: list[list[Cell]] = [["First Name", "E-Mail", "Country"]]
    rows += [[f"P{number}", f"p{number}@firm{number}.example", "US"] for number in range(5)]
    table = MemoryTable()
    importing = Importing(table, "sdr-1", chunk=2)
    import_id = importing.bring(_broken_behind_its_rows(rows), "xlsx", columns={}, attribution=ATTRIBUTION)
    status = importing.status(import_id)
    assert status.job.state is ImportState.FAILED
    assert [each.rule for each in status.job.problems] == ["workbook"]
    assert status.progress.rows == 5 == len(leads(table))
    assert import_id in importing.read.result_url(import_id, SELLER)
    shown = list(csv.reader(io.StringIO(importing.result(import_id))))
    assert [line[1] for line in shown[1:]] == ["stored"] * 5
    assert [line[-3] for line in shown[1:]] == ["P0", "P1", "P2", "P3", "P4"]


def _broken_behind_its_rows(rows: list[list[Cell]]) -> bytes:
    package, out = zipfile.ZipFile(io.BytesIO(workbook(rows))), io.BytesIO()
    with zipfile.ZipFile(out, "w") as broken:
        for name in package.namelist():
            part = package.read(name)
            broken.writestr(name, part.replace(b"</sheetData>", b"<row><c></row>") if "sheet1" in name else part)
    return out.getvalue()
