"""Files as rows: CSV in every dress, workbooks with their oddities, and what only looks like one."""

import codecs
import io
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from revops.channels.imports.csv_reading import MAX_RECORD, CsvSheet, spool
from revops.channels.imports.result import neutral
from revops.channels.imports.sheets import RawRow
from revops.channels.imports.xlsx_reading import XlsxSheet, plain
from revops.kernel import Invalid
from tests.builders.workbooks import Cell, workbook

ROWS: list[list[Cell]] = [["E-Mail", "Phone"], ["ada@x.example", 442070123456]]


def csv_rows(content: bytes, part: int = 7) -> tuple[CsvSheet, list[RawRow]]:
    """The rows of a file that arrives in parts of an awkward size."""
    with tempfile.TemporaryFile() as file:
        sheet = CsvSheet(spool(parts_of(content, part), file, 100_000_000))
        return sheet, list(sheet.rows(0))


def parts_of(content: bytes, part: int) -> Iterator[bytes]:
    return (content[start : start + part] for start in range(0, len(content), part))


def xlsx_rows(content: bytes, name: str = "") -> tuple[XlsxSheet, list[RawRow]]:
    with closing(XlsxSheet(io.BytesIO(content), name)) as sheet:
        return sheet, list(sheet.rows(0))


# ── CSV ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-7")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_common_encoding_delimiter_and_line_end(encoding: str, delimiter: str, end: str) -> None:
    lines = [["Name", "Firm"], ["Jörg", "Löwe"], ["Zoë", f'"a{delimiter} b"']]
    content = end.join(delimiter.join(line) for line in lines).encode(encoding)
    sheet, rows = csv_rows(content)
    assert sheet.header == ("Name", "Firm")
    assert [row.cells for row in rows] == [("Jörg", "Löwe"), ("Zoë", f"a{delimiter} b")]
    assert sheet.share() == 1.0


@pytest.mark.mission("CAP-7")
def test_without_a_mark_the_greater_number_of_lines_says_how_a_file_is_written() -> None:
    damaged = "a,b\nराहुल,1\n".encode() + b"M\xfcller,2\nJ\xf6rg,3\n"
    _, guessed = csv_rows(damaged)
    assert [row.cells for row in guessed if not row.problem] == [("Müller", "2"), ("Jörg", "3")]
    _, marked = csv_rows(codecs.BOM_UTF8 + damaged)
    assert [row.cells for row in marked if not row.problem] == [("राहुल", "1")]


@pytest.mark.mission("CAP-7")
def test_rows_count_as_a_spreadsheet_counts_them_and_reading_goes_on_behind_one() -> None:
    sheet, rows = csv_rows(b'\n\na,b\n1,"x\ny"\n\n3,4\n')
    assert sheet.header_row == 3
    assert [(row.number, row.cells) for row in rows] == [(4, ("1", "x\ny")), (5, ()), (6, ("3", "4"))]
    with tempfile.TemporaryFile() as file:
        again = CsvSheet(spool([b'a,b\n1,"x\ny"\n\n3,4\n'], file, 1_000))
        assert [row.number for row in again.rows(2)] == [3, 4]


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R24", "S13")
@pytest.mark.parametrize(
    ("line", "field", "rule"),
    [
        (b"1", "row", "row-width"),
        (b"1,2,3", "row", "row-width"),
        (b"2,M\xfcller", "b", "encoding"),
        (b"2,3,M\xfcller", "column 3", "encoding"),
        (b"M\xfcller" + b"x" * 200_000, "row", "encoding"),
        (b"a\0b,2", "a", "nul-byte"),
        (b'"open,2', "row", "unclosed-quote"),
        (b"x" * (MAX_RECORD + 50) + b",2", "a", "cell-size"),
        (b"1," + b"x" * (MAX_RECORD + 50), "b", "cell-size"),
        (b'"1,1",' + b"x" * (MAX_RECORD + 50), "row", "cell-size"),
        (b"2," + b"x" * 40_000, "b", "cell-size"),
        (b"2," + b"x" * 200_000, "b", "cell-size"),
        (b"1,2\r3,4", "row", "row-width"),
    ],
    ids=[
        "narrow",
        "wide",
        "encoding",
        "encoding beyond",
        "encoding, large",
        "nul",
        "quote",
        "record",
        "end of a record",
        "record, quoted",
        "cell",
        "large cell",
        "two rows",
    ],
)
def test_a_broken_row_has_its_verdict_and_the_next_is_read(line: bytes, field: str, rule: str) -> None:
    good = "Zoë,2\n".encode()
    _, rows = csv_rows(b"a,b\n" + good + line + b"\n" + good, part=50_000)
    assert [(row.problem.field, row.problem.rule) if row.problem else () for row in rows] == [(), (field, rule), ()]
    assert rows[2].cells == ("Zoë", "2")


@pytest.mark.mission("CAP-7")
@pytest.mark.parametrize(
    ("content", "cells"),
    [
        (b"a,b\nx\ry,2\n", ("x\ry", "2")),
        (b"a,b\r\nx,2\r\r\n", ("x", "2")),
        (b'a,b\r"x\ny",2\rz,3\r', ("x\ny", "2")),
        (b"a\r1,b\nx,2\n", ("x", "2")),
    ],
)
def test_a_line_end_of_another_kind_is_part_of_its_cell(content: bytes, cells: tuple[str, ...]) -> None:
    _, rows = csv_rows(content)
    assert rows[0].cells == cells


def test_a_header_that_no_sheet_could_hold_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        csv_rows(b"a," + b"x" * 200_000 + b"\n1,2\n", part=50_000)
    assert refusal.value.issues[0].rule == "header"


@pytest.mark.mission("CAP-7")
def test_a_cell_of_200_lines_is_one_cell() -> None:
    text = "\n".join(f'line {number} "quoted"' for number in range(200))
    quoted = text.replace('"', '""')
    _, rows = csv_rows(f'a,b\n1,"{quoted}"\n3,4\n'.encode())
    assert [row.cells for row in rows] == [("1", text), ("3", "4")]


@pytest.mark.fault("R24", "R30")
def test_a_field_of_ten_megabytes_takes_bounded_memory() -> None:
    parts = [b"a,b\n1,", *([b"x" * 100_000] * 100), b"\n3,4\n"]
    with tempfile.TemporaryFile() as file:
        tracemalloc.start()
        sheet = CsvSheet(spool(iter(parts), file, 100_000_000))
        rows = list(sheet.rows(0))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [(row.problem.field, row.problem.rule) if row.problem else () for row in rows] == [("b", "cell-size"), ()]
    assert peak < 8_000_000


@pytest.mark.mission("CAP-7")
def test_empty_cells_beyond_the_header_do_no_harm() -> None:
    _, rows = csv_rows(b"a,b\n1,2,,\n")
    assert rows[0].cells == ("1", "2")


@pytest.mark.fault("S13")
def test_a_file_that_is_too_large_is_refused() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(Invalid, match="too large"):
        spool(iter([b"a" * 60, b"b" * 60]), file, 100)


# ── workbooks ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-7")
@pytest.mark.parametrize("shared", [True, False])
def test_a_workbook_is_read_as_text(shared: bool) -> None:
    rows: list[list[Cell]] = [
        ["Name", "Phone", "Since", "Share"],
        ["राहुल & Söhne", 447900000123, 46346, 0.5],
        [],
        ["x", None, 46346.75, 4.479e11],
    ]
    sheet, found = xlsx_rows(workbook(rows, shared=shared, dates=[(1, 2), (3, 2)]))
    assert sheet.header == ("Name", "Phone", "Since", "Share")
    assert [(row.number, row.cells) for row in found] == [
        (2, ("राहुल & Söhne", "447900000123", "2026-11-20", "0.5")),
        (3, ()),
        (4, ("x", "", "2026-11-20 18:00:00", "447900000000")),
    ]


@pytest.mark.mission("CAP-7")
def test_a_formula_gives_its_last_value_and_says_so() -> None:
    _, [row, empty] = xlsx_rows(workbook([*ROWS, ["x", 1]], formulas={(1, 1): "030 901820", (2, 1): None}))
    assert row.cells == ("ada@x.example", "030 901820")
    assert row.notes == ((1, "a formula: its last calculated value was used"),)
    assert (empty.cells, empty.notes) == (("x", ""), ((1, "a formula: it was saved without a value"),))


@pytest.mark.mission("CAP-7")
@pytest.mark.parametrize(
    ("cell", "field", "rule"),
    [
        (b"<c r='B2' t='e'><f>1/0</f><v>#DIV/0!</v></c>", "Phone", "cell-error"),
        (b"<c r='B2' t='inlineStr'><is><t>" + b"x" * 32_768 + b"</t></is></c>", "Phone", "cell-size"),
        (b"<c r='B2' t='s'><v>99</v></c>", "Phone", "workbook"),
        (b"<c r='D2' t='e'><v>#N/A</v></c>", "column 4", "cell-error"),
    ],
)
def test_a_cell_that_cannot_be_taken_names_its_column_and_the_next_row_is_read(
    cell: bytes, field: str, rule: str
) -> None:
    sheet = b"<worksheet><sheetData><row><c t='str'><v>E-Mail</v></c><c t='str'><v>Phone</v></c></row>"
    sheet += b"<row>" + cell + b"</row><row><c t='str'><v>x</v></c></row></sheetData></worksheet>"
    _, [refused, good] = xlsx_rows(with_part("xl/worksheets/sheet1.xml", sheet))
    assert refused.problem is not None
    assert (refused.problem.field, refused.problem.rule) == (field, rule)
    assert good.cells == ("x", "")


@pytest.mark.fault("S14")
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("written", "text"),
    [("a_x000D_b", "a\rb"), ("_xD83D__xDE00_", "😀"), ("half _xD800_", "half \ufffd"), ("_x005F_x", "_x")],
)
def test_escaped_characters_are_written_out_and_half_of_one_can_be_stored(
    shared: bool, written: str, text: str
) -> None:
    _, rows = xlsx_rows(workbook([["Name", "Firm"], [written, "x"]], shared=shared))
    assert rows[0].cells == (text, "x")
    assert text.encode().decode() == text


@pytest.mark.mission("CAP-7")
def test_a_sheet_is_chosen_by_name() -> None:
    more: dict[str, list[list[Cell]]] = {"Archive": [["E-Mail"], ["old@x.example"]]}
    book = workbook(ROWS, more_sheets=more)
    assert xlsx_rows(book)[0].header == ("E-Mail", "Phone")
    assert xlsx_rows(book, "archive")[1][0].cells == ("old@x.example",)
    with pytest.raises(Invalid) as refused:
        xlsx_rows(book, "Nowhere")
    assert (refused.value.issues[0].rule, refused.value.issues[0].accepted) == ("no-such-sheet", "Leads, Archive")


@pytest.mark.mission("CAP-7")
def test_strict_workbooks_are_read_too() -> None:
    book = workbook(ROWS, main="http://purl.oclc.org/ooxml/spreadsheetml/main")
    assert xlsx_rows(book)[1][0].cells == ("ada@x.example", "442070123456")


def package(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def with_part(name: str, content: bytes) -> bytes:
    """A sound workbook with one part replaced."""
    with zipfile.ZipFile(io.BytesIO(workbook(ROWS))) as sound:
        return package({part: sound.read(part) for part in sound.namelist()} | {name: content})


def misplaced(content: bytes) -> bytes:
    """A workbook whose list of contents says it lies elsewhere, so that its parts would begin before the file."""
    where = len(content) - 6
    begins = int.from_bytes(content[where : where + 4], "little") + 1_000_000
    return content[:where] + begins.to_bytes(4, "little") + content[where + 4 :]


_FORMULA = b"<c r='A1'><f/></c>"
_LAUGHS = b"<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><sst><si><t>&b;</t></si></sst>"


@pytest.mark.fault("S12", "S13")
@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "encrypted-workbook"),
        (lambda: b"E-Mail\nada@x.example\n", "workbook"),
        (lambda: workbook(ROWS)[:-400], "workbook"),
        (lambda: package({"readme.txt": b"hello"}), "workbook"),
        (lambda: package({"xl/workbook.xml": bytes(40_000_000)}), "workbook-bomb"),
        (lambda: package({"xl/worksheets/sheet1.xml": bytes(300_000_000)}), "workbook-bomb"),
        (lambda: package({f"part{number}": b"" for number in range(2_001)}), "workbook-size"),
        (lambda: package({"../../etc/cron.d/x": b"x"}), "workbook-path"),
        (lambda: with_part("xl/sharedStrings.xml", _LAUGHS), "workbook-entities"),
        (lambda: with_part("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row>"), "workbook"),
        (lambda: with_part("xl/styles.xml", b"<styleSheet><numFmt numFmtId='x'/></styleSheet>"), "workbook"),
        (lambda: with_part("xl/worksheets/sheet1.xml", b"<worksheet/>"), "header"),
        (lambda: misplaced(workbook(ROWS)), "workbook"),
        (lambda: with_part("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row>" + _FORMULA * 20_000), "workbook"),
    ],
    ids=[
        "ole",
        "text",
        "cut",
        "zip",
        "bomb",
        "sheet bomb",
        "entries",
        "slip",
        "laughs",
        "open",
        "style",
        "empty",
        "misplaced",
        "cells",
    ],
)
def test_what_is_no_sound_workbook_is_refused_at_once(made: Callable[[], bytes], rule: str) -> None:
    """Within a second and 64 MiB (S12)."""
    content = made()
    started = time.thread_time()
    tracemalloc.start()
    with pytest.raises(Invalid) as refused:
        xlsx_rows(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.issues[0].rule == rule
    assert peak < 64 << 20
    assert time.thread_time() - started < 1


def formatted(code: str, styles: str) -> bytes:
    """Styles of cells, and number format 200 by a code."""
    quoted = code.replace('"', "&quot;")
    numbers = f"<numFmts><numFmt numFmtId='200' formatCode='{quoted}'/></numFmts>"
    return f"<styleSheet>{numbers}<cellXfs>{styles}</cellXfs></styleSheet>".encode()


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("S12")
@pytest.mark.parametrize("code", ["[" * 40_000, '"[' * 20_000, "\\" * 40_000])
def test_many_styles_of_one_endless_number_format_cost_no_more_than_one(code: str) -> None:
    styles = (
        f"<styleSheet><numFmts><numFmt numFmtId='200' formatCode='{code.replace('"', '&quot;')}'/></numFmts><cellXfs>"
    )
    content = with_part(
        "xl/styles.xml", (styles + "<xf numFmtId='200'/>" * 20_000 + "</cellXfs></styleSheet>").encode()
    )
    started = time.thread_time()
    assert xlsx_rows(content)
    assert time.thread_time() - started < 1


@pytest.mark.mission("CAP-7")
@pytest.mark.parametrize(
    ("code", "shown"),
    [("yyyy-mm-dd", "2026-11-20"), ("[$-409]d mmm yyyy", "2026-11-20"), ('0.0 "day"', "46346"), ("[Red]0", "46346")],
)
def test_a_number_is_a_day_where_its_format_shows_one(code: str, shown: str) -> None:
    styles = formatted(code, "<xf numFmtId='0'/><xf numFmtId='200'/>")
    made = io.BytesIO(workbook([["Day"], [46346]], dates=[(1, 0)]))
    with zipfile.ZipFile(made) as sound:
        content = package({part: sound.read(part) for part in sound.namelist()} | {"xl/styles.xml": styles})
    _, [row] = xlsx_rows(content)
    assert row.cells == (shown,)


@pytest.mark.fault("S12")
def test_texts_without_number_or_end_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revops.channels.imports.workbook.MAX_TEXTS", 1_000)
    with pytest.raises(Invalid) as refused:
        xlsx_rows(with_part("xl/sharedStrings.xml", b"<sst>" + b"<si/>" * 2_000 + b"</sst>"))
    assert refused.value.issues[0].rule == "workbook-size"
    endless = b"<sst><si><t>E-Mail</t></si><si><t>Phone</t></si><si>" + b"<t>ab</t>" * 100_000 + b"</si></sst>"
    tracemalloc.start()
    _, rows = xlsx_rows(with_part("xl/sharedStrings.xml", endless))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row.problem.rule if row.problem else "" for row in rows] == ["cell-size"]
    assert peak < 5_000_000


@pytest.mark.fault("S12")
def test_a_part_that_lies_about_its_size_gives_no_more_than_it_said() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(ROWS))) as sound:
        parts = {name: sound.read(name) for name in sound.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content if name != "xl/sharedStrings.xml" else b"<sst>" + b" " * 50_000_000)
        made.getinfo("xl/sharedStrings.xml").file_size = 900_000
    with pytest.raises(Invalid):
        xlsx_rows(out.getvalue())


@pytest.mark.mission("CAP-7")
@pytest.mark.parametrize(
    ("raw", "text"),
    [("5", "5"), ("5.0", "5"), ("4.479E+11", "447900000000"), ("0.10", "0.1"), ("-0", "0"), ("1E+400", "1E+400"),
     ("NaN", "NaN"), ("nothing", "nothing"), ("", "")],
)  # fmt: skip
def test_numbers_are_written_out(raw: str, text: str) -> None:
    assert plain(raw) == text or (raw == "-0" and plain(raw) in ("0", "-0"))


@pytest.mark.fault("S11")
@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", " =1", "＝1"])
def test_what_might_be_a_formula_is_neutralised(text: str) -> None:
    assert neutral(text) == f"'{text}"
    assert neutral("Ada") == "Ada"
