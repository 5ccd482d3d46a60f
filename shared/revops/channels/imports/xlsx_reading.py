"""A sheet of an Excel workbook as rows of text, one row in memory at a time.

Formulas are not computed: the value that Excel last saved with them is used and the row says so. Numbers are written
out without exponent, dates in ISO 8601.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import BinaryIO

from revops.channels.imports.sheets import (
    MAX_CELL,
    MAX_COLUMNS,
    RawRow,
    column_name,
    fitted,
    trimmed_header,
    unreadable,
)
from revops.channels.imports.workbook import Workbook, parse
from revops.kernel import FieldIssue, Invalid

_LETTERS = re.compile(r"[A-Z]{1,3}")
_CODE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_ESCAPE = re.compile(f"(?:{_CODE.pattern})+")
_WIDEST = 16_384


class XlsxSheet:
    """`Sheet` over a workbook on disk: the sheet of a name, or the first."""

    def __init__(self, file: BinaryIO, name: str = "") -> None:
        self._book = Workbook(file)
        self._name = name
        self.header_row = 0
        self.header: tuple[str, ...] = ()
        self._read = _SheetXml(self._book, self.header)
        self._size = 1
        try:
            self.header_row, self.header = self._first()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._book.close()

    def _first(self) -> tuple[int, tuple[str, ...]]:
        """The header and its row number. Raises Invalid where there is none."""
        for row in self._rows():
            if any(cell.strip() for cell in row.cells):
                return row.number, trimmed_header(row.cells)
        raise unreadable("header", "the sheet is empty", "a first row that names the columns")

    def share(self) -> float:
        return min(1.0, self._read.position / self._size)

    def rows(self, after: int) -> Iterator[RawRow]:
        width = len(self.header)
        for row in self._rows():
            if row.number <= max(after, self.header_row):
                continue
            if row.problem is not None:
                yield row
            elif not any(cell.strip() for cell in row.cells):
                yield RawRow(row.number)
            else:
                cells = row.cells + ("",) * (width - len(row.cells))
                right = fitted(row.number, cells, width)
                yield right if right.problem else RawRow(row.number, right.cells, notes=row.notes)

    def _rows(self) -> Iterator[RawRow]:
        stream, self._size = self._book.sheet(self._name)
        self._read = _SheetXml(self._book, self.header)
        with stream:
            try:
                for _ in parse(stream, self._read.start, self._read.end, self._read.text):
                    self._read.position = stream.tell()
                    yield from self._read.taken()
            except Invalid:
                yield from self._read.taken()  # what stands before the place where the workbook breaks off
                raise


class _SheetXml:
    """Callbacks of the parser: makes rows out of a sheet's elements."""

    def __init__(self, book: Workbook, header: tuple[str, ...]) -> None:
        self.position = 0
        self._book = book
        self._header = header
        self._ready: list[RawRow] = []
        self._number = 0
        self._cells: list[str] = []
        self._notes: list[tuple[int, str]] = []
        self._problem: FieldIssue | None = None
        self._kind = self._style = ""
        self._column = self._count = 0
        self._formula = self._valued = False
        self._words: list[str] = []
        self._length = 0
        self._keep = False
        self._reading = 0

    def taken(self) -> list[RawRow]:
        ready, self._ready = self._ready, []
        return ready

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("v", "t"):
            self._keep = not self._reading
            self._valued = True
        elif name == "c":
            self._begin_cell(attributes)
        elif name == "f":
            self._formula = True
        elif name == "row":
            said = attributes.get("r", "")
            self._number = max(self._number + 1, int(said) if said.isdecimal() and len(said) < 9 else 0)
            self._cells, self._notes, self._problem, self._column, self._count = [], [], None, 0, 0
        elif name == "rPh":
            self._reading += 1

    def text(self, part: str) -> None:
        if self._keep and self._length <= MAX_CELL:
            self._words.append(part)
            self._length += len(part)

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._keep = False
        elif name == "c":
            self._end_cell()
        elif name == "row":
            self._ready.append(RawRow(self._number, tuple(self._cells), self._problem, tuple(self._notes)))
        elif name == "rPh":
            self._reading -= 1

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _WIDEST:
            raise unreadable(
                "workbook", f"row {self._number} has more than {_WIDEST} cells", "a workbook that Excel opens"
            )
        letters = _LETTERS.match(attributes.get("r", ""))
        self._column = _place(letters.group()) if letters else self._column + 1
        self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "")
        self._formula = self._valued = False
        self._words, self._length = [], 0

    def _end_cell(self) -> None:
        place = self._column - 1
        raw = "".join(self._words)
        if place >= MAX_COLUMNS:
            if raw.strip():
                self._problem = FieldIssue(
                    "row", "row-width", f"a cell in column {place + 1}", f"{MAX_COLUMNS} columns"
                )
            return
        if self._length > MAX_CELL:
            self._refuse("cell-size", "too large", f"at most {MAX_CELL} characters")
            return
        value = self._value(raw)
        self._cells.extend("" for _ in range(place - len(self._cells)))
        self._cells[place:] = [value]
        if self._formula:
            said = "its last calculated value was used" if self._valued else "it was saved without a value"
            self._notes.append((place, f"a formula: {said}"))

    def _refuse(self, rule: str, message: str, accepted: str) -> None:
        """The row cannot be taken, for the cell that is being read."""
        self._problem = FieldIssue(column_name(self._header, self._column - 1), rule, message, accepted)

    def _value(self, raw: str) -> str:
        match self._kind:
            case "s":
                return self._shared(raw)
            case "e":
                self._refuse("cell-error", f"holds the error {raw[:10]}", "a value")
                return ""
            case "b":
                return "true" if raw.strip() == "1" else "false"
            case "n":
                return (
                    self._date(raw) if self._style.isdecimal() and int(self._style) in self._book.dates else plain(raw)
                )
            case _:
                return _unescaped(raw)

    def _shared(self, raw: str) -> str:
        try:
            text = self._book.texts[int(raw)]
        except (ValueError, IndexError, OverflowError):
            self._refuse("workbook", "names a text that is not there", "an intact workbook")
            return ""
        if len(text) > MAX_CELL:
            self._refuse("cell-size", "too large", f"at most {MAX_CELL} characters")
            return ""
        return _unescaped(text)

    def _date(self, raw: str) -> str:
        try:
            days = float(raw)
            start = datetime(1904, 1, 1) if self._book.from_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet knows no zone
            moment = start + timedelta(seconds=round(days * 86_400))
        except (ValueError, OverflowError):
            return plain(raw)
        if 0 <= days < 1:
            return moment.time().isoformat()
        return moment.date().isoformat() if days == int(days) else moment.isoformat(" ")


def plain(raw: str) -> str:
    """A number written out: `4.479E+11` is 447900000000, `50.0` is 50; text that is no number stays."""
    if raw.isdecimal():
        return raw
    try:
        number = Decimal(raw.strip())
    except InvalidOperation:
        return raw
    if not number.is_finite() or abs(number.adjusted()) > 30:
        return raw
    return format(number.to_integral_value() if number == number.to_integral_value() else number.normalize(), "f")


def _unescaped(text: str) -> str:
    """A text with Excel's escapes written out: `_x000D_` is a carriage return. Two halves of one character become it;
    half of one alone can be written nowhere and becomes U+FFFD."""
    if "_x" not in text:
        return text
    return _ESCAPE.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    units = b"".join(int(code, 16).to_bytes(2, "little") for code in _CODE.findall(found.group()))
    return units.decode("utf-16-le", "replace")


def _place(letters: str) -> int:
    """A column's number: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return min(number, _WIDEST)
