"""CSV as people send it: any common encoding and delimiter, quoted newlines, and lines that are broken.

The file lies on disk in one of two forms: bytes of UTF-8 or Windows-1252, or what UTF-16 was turned into. Records are
cut out of the bytes with bounded memory; a record that is no UTF-8, too long or wrongly quoted has its verdict, and
reading goes on with the line after the one it began on.
"""

import codecs
import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from revops.channels.imports.sheets import MAX_CELL, RawRow, column_name, fitted, trimmed_header, unreadable
from revops.kernel import FieldIssue

MAX_RECORD = 512_000
"""Bytes of one row."""
MAX_RECORD_LINES = 2_000
_OLE, _ZIP = b"\xd0\xcf\x11\xe0", b"PK\x03\x04"
_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 65_536
_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file on disk: its SHA-256 as it came, its encoding as it lies there, and its size there."""

    file: BinaryIO
    sha256: str
    encoding: str
    size: int


def spool(parts: Iterable[bytes], into: BinaryIO, limit: int) -> Spooled:
    """Lays a file on disk, one part at a time, and finds out how it is written: by its mark, else as UTF-8 unless
    more of its lines are none than are. Raises Invalid for what is no text, and for more than `limit` bytes."""
    digest, seen, judge = hashlib.sha256(), 0, _Encoding()
    decoder: codecs.IncrementalDecoder | None = None
    marked = False
    for number, came in enumerate(_head_first(parts, 4)):
        digest.update(came)
        seen += len(came)
        if seen > limit:
            raise unreadable("size", "the file is too large", f"at most {limit} bytes")
        if number == 0:
            decoder, marked = _utf16(came), came.startswith(codecs.BOM_UTF8)
        if decoder is not None:
            text = decoder.decode(came).removeprefix("\ufeff").encode("utf-8", "replace")
        else:
            text = came.removeprefix(codecs.BOM_UTF8) if number == 0 else came
            judge.look(text)
        into.write(text)
    into.flush()
    encoding = "utf-8" if marked or decoder is not None else judge.verdict()
    return Spooled(into, digest.hexdigest(), encoding, into.tell())


def spool_raw(parts: Iterable[bytes], into: BinaryIO, limit: int) -> str:
    """Lays a file on disk as it is; its SHA-256. Raises Invalid for more than `limit` bytes."""
    digest, seen = hashlib.sha256(), 0
    for part in parts:
        digest.update(part)
        seen += len(part)
        if seen > limit:
            raise unreadable("size", "the file is too large", f"at most {limit} bytes")
        into.write(part)
    into.flush()
    return digest.hexdigest()


def _head_first(parts: Iterable[bytes], least: int) -> Iterator[bytes]:
    """The same bytes, the first part long enough to be recognised."""
    head = b""
    given = False
    for part in parts:
        if given:
            yield part
            continue
        head += part
        if len(head) >= least:
            given = True
            yield head
    if not given and head:
        yield head


def _utf16(head: bytes) -> codecs.IncrementalDecoder | None:
    """A decoder where the file is UTF-16: by its mark, or because every other byte of a plain text is zero."""
    if head.startswith((_OLE, _ZIP)):
        what = "an Excel workbook" if head.startswith(_ZIP) else "an old or encrypted Excel workbook"
        raise unreadable("csv", f"this is {what}, not a CSV file", "a CSV file, or kind xlsx for a workbook")
    if head.startswith(codecs.BOM_UTF16_LE):
        return codecs.getincrementaldecoder("utf-16-le")("replace")
    if head.startswith(codecs.BOM_UTF16_BE):
        return codecs.getincrementaldecoder("utf-16-be")("replace")
    pair = head[:200]
    if len(pair) >= 4 and pair[1::2].count(0) > len(pair) // 3 and not any(byte == 0 for byte in pair[0:4:2]):
        return codecs.getincrementaldecoder("utf-16-le")("replace")
    if len(pair) >= 4 and pair[0::2].count(0) > len(pair) // 3 and not any(byte == 0 for byte in pair[1:4:2]):
        return codecs.getincrementaldecoder("utf-16-be")("replace")
    return None


class _Encoding:
    """Counts lines that are UTF-8 beyond ASCII and lines that are not UTF-8."""

    def __init__(self) -> None:
        self._rest = b""
        self._good = self._bad = 0

    def look(self, part: bytes) -> None:
        if part.isascii() and self._rest.isascii():
            self._rest = b""
            return
        lines = (self._rest + part).split(b"\n")
        self._rest = lines.pop()[-_SAMPLE:]
        for line in lines:
            self._count(line)

    def _count(self, line: bytes) -> None:
        if line.isascii():
            return
        try:
            line.decode("utf-8")
            self._good += 1
        except UnicodeDecodeError:
            self._bad += 1
            if _MULTIBYTE.search(line):
                self._good += 1  # a line of UTF-8 that was cut or damaged

    def verdict(self) -> str:
        self._count(self._rest)
        return "cp1252" if self._bad > self._good else "utf-8"


class CsvSheet:
    """`Sheet` over a spooled CSV file."""

    def __init__(self, spooled: Spooled) -> None:
        self._file = spooled.file
        self._encoding = spooled.encoding
        self._size = spooled.size
        self._position = 0
        self._newline = self._line_end()
        self._stray = "\n" if self._newline == b"\r" else "\r"
        self._delimiter = ","
        self.header_row, self._body, raw = self._first()
        try:
            self._delimiter = _delimiter_of(raw, self._stray)
            self.header = trimmed_header(tuple(self._cells(raw)))
        except csv.Error as error:
            raise unreadable(
                "header", "the header row cannot be read", f"at most {MAX_CELL} characters a cell"
            ) from error

    def close(self) -> None:
        """Nothing is kept beside the file."""

    def share(self) -> float:
        return min(1.0, self._position / self._size) if self._size else 1.0

    def rows(self, after: int) -> Iterator[RawRow]:
        number = self.header_row
        for record, issue in self._records(self._body):
            number += 1
            if number > after:
                yield self._row(number, record, issue)

    def _row(self, number: int, record: bytes, issue: FieldIssue | None) -> RawRow:
        if issue is not None:
            return RawRow(number, problem=issue if not record else replace(issue, field=self._large_in(record)))
        if not record.strip():
            return RawRow(number)
        if b"\0" in record:
            field = self._column_with("\0", record)
            return RawRow(number, problem=FieldIssue(field, "nul-byte", "the row holds a NUL byte", "text"))
        try:
            text = record.decode(self._encoding)
        except UnicodeDecodeError as error:
            where = f"byte {error.start + 1} of the row is not {self._encoding.upper()}"
            field = self._column_with("\ufffd", record)
            return RawRow(number, problem=FieldIssue(field, "encoding", where, "UTF-8, UTF-16 or Windows-1252"))
        try:
            cells = tuple(self._cells(text))
        except csv.Error:  # the library's limit on a cell, which is above ours
            field = self._large_in(record)
            return RawRow(number, problem=_too_large(field, f"at most {MAX_CELL} characters a cell"))
        long = next((place for place, cell in enumerate(cells) if len(cell) > MAX_CELL), None)
        if long is not None:
            name = column_name(self.header, long)
            return RawRow(number, problem=_too_large(name, f"at most {MAX_CELL} characters"))
        return fitted(number, cells, len(self.header))

    def _column_with(self, sign: str, record: bytes) -> str:
        """The first column of a damaged row with a character in it; the row where that cannot be told."""
        try:
            cells = self._cells(record.decode(self._encoding, "replace"))
        except csv.Error:
            return "row"
        return next((column_name(self.header, place) for place, cell in enumerate(cells) if sign in cell), "row")

    def _large_in(self, record: bytes) -> str:
        """The column of a cell that no reader takes, of a record that may be cut short; the row where a quote before it
        leaves that open."""
        for place, cell in enumerate(record.split(self._delimiter.encode())):
            if b'"' in cell:
                break
            if len(cell) > 4 * MAX_CELL:  # a character is 4 bytes at most
                return column_name(self.header, place)
        return "row"

    def _cells(self, text: str) -> list[str]:
        return _cells(text, self._delimiter, self._stray)

    def _first(self) -> tuple[int, int, str]:
        """The row number of the header, where the next row begins, and the header's text."""
        number = 0
        for record, issue in self._records(0):
            number += 1
            if issue is not None:
                raise unreadable("header", f"the header row cannot be read: {issue.message}", issue.accepted)
            if not record.strip():
                continue
            try:
                return number, self._position, record.decode(self._encoding)
            except UnicodeDecodeError as error:
                raise unreadable("encoding", "the header row is not UTF-8", "UTF-8, UTF-16 or Windows-1252") from error
        raise unreadable("header", "the file is empty", "a first row that names the columns")

    def _line_end(self) -> bytes:
        """Lines end with LF, with or without CR; where most ends are CR alone, with that."""
        self._file.seek(0)
        sample = self._file.read(_SAMPLE)
        alone = sample.count(b"\r") - sample.count(b"\r\n")
        return b"\r" if alone > sample.count(b"\n") else b"\n"

    # -- records -------------------------------------------------------------------------------------------------

    def _records(self, start: int) -> Iterator[tuple[bytes, FieldIssue | None]]:
        """The records from a position on, each without its line end, or with what is wrong with it."""
        lines = _Lines(self._file, start, self._newline)
        delimiter = self._delimiter.encode()
        while (line := lines.next()) is not None:
            begun = lines.position
            record, issue = self._whole(line, lines, delimiter)
            if issue is not None and lines.position != begun:
                lines.go_to(begun)
            self._position = lines.position
            yield record.rstrip(b"\r\n"), issue

    def _whole(self, line: bytes, lines: "_Lines", delimiter: bytes) -> tuple[bytes, FieldIssue | None]:
        """A record that begins with a line: that line, or with those that its quoted cells go on over. Of one that is
        too large, the beginning."""
        if len(line) > MAX_RECORD:
            return line, _too_large("row", f"at most {MAX_RECORD} bytes a row, {MAX_CELL} characters a cell")
        place = _open_quote(line, 0, delimiter)
        if place < 0:
            return line, None
        record, count = line, 1
        while place >= 0:
            more = lines.next()
            count += 1
            if more is None or count > MAX_RECORD_LINES or len(record) + len(more) > MAX_RECORD:
                return b"", _unclosed("a quoted cell is not closed, or too large")
            end = len(record)
            record += more
            place, right = _close_quote(record, place, end, delimiter)
            if not right:
                return b"", _unclosed("text stands behind the quote that closes a cell")
        return record, None


class _Lines:
    """Lines of a file from a position on, a long one cut short: what lies beyond the largest record is passed over."""

    def __init__(self, file: BinaryIO, start: int, newline: bytes) -> None:
        self._file = file
        self._newline = newline
        self.go_to(start)

    def go_to(self, position: int) -> None:
        self._file.seek(position)
        self.position = position
        self._buffer = b""

    def next(self) -> bytes | None:
        """The next line with its end; of one that is too long, the beginning."""
        line = self._until_newline()
        if line is None:
            return None
        if len(line) > MAX_RECORD and not line.endswith(self._newline):
            while (rest := self._until_newline()) is not None and not rest.endswith(self._newline):
                continue
        return line

    def _until_newline(self) -> bytes | None:
        line = self._file.readline(MAX_RECORD + 1) if self._newline == b"\n" else self._until_return()
        self.position += len(line)
        return line or None

    def _until_return(self) -> bytes:
        while (end := self._buffer.find(b"\r")) < 0 and len(self._buffer) <= MAX_RECORD:
            more = self._file.read(_SAMPLE)
            if not more:
                break
            self._buffer += more
        cut = end + 1 if end >= 0 else min(len(self._buffer), MAX_RECORD + 1)
        line, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return line


def _open_quote(record: bytes, start: int, delimiter: bytes) -> int:
    """Where a quoted cell begins that is not closed in the record; -1 where all are. A quote opens a cell only at its
    beginning."""
    if b'"' not in record:
        return -1
    place, size = start, len(record)
    while 0 <= place < size:
        if record[place : place + 1] == b'"':
            closed = _closing(record, place + 1)
            if closed < 0:
                return place
            place = closed + 1
        following = record.find(delimiter, place)
        if following < 0:
            return -1
        place = following + 1
    return -1


def _closing(record: bytes, start: int) -> int:
    """Where the quote stands that closes a cell; -1 where none does. A doubled quote is a quote."""
    place = record.find(b'"', start)
    while place >= 0 and record[place + 1 : place + 2] == b'"':
        place = record.find(b'"', place + 2)
    return place


def _close_quote(record: bytes, opened: int, joined: int, delimiter: bytes) -> tuple[int, bool]:
    """Goes on with a cell that was open, after a line was joined at `joined`: where a cell is still or again open, or
    -1; and whether the quotes are right. Over several lines a closing quote is believed only where the cell ends."""
    closed = _closing(record, max(opened + 1, joined))
    if closed < 0:
        return opened, True
    behind = record[closed + 1 : closed + 2]
    if closed >= joined and behind not in (delimiter, b"", b"\r", b"\n"):
        return -1, False
    return (_open_quote(record, closed + 2, delimiter) if behind == delimiter else -1), True


def _cells(text: str, delimiter: str, stray: str) -> list[str]:
    """The cells of a record. `stray` is the character that ends no line in this file: the library would end a record
    with it, so it is read behind a NUL's mask. Raises csv.Error for a cell beyond the library's limit."""
    if stray not in text:
        return next(csv.reader([text], delimiter=delimiter, strict=False), [])
    masked = csv.reader([text.replace(stray, "\0")], delimiter=delimiter, strict=False)
    return [cell.replace("\0", stray) for cell in next(masked, [])]


def _delimiter_of(header: str, stray: str) -> str:
    """What separates the columns: of the usual ones, the one that cuts the header into most cells."""
    cells = {mark: len(_cells(header, mark, stray)) for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: (cells[mark], -_DELIMITERS.index(mark)))


def _too_large(field: str, accepted: str) -> FieldIssue:
    return FieldIssue(field, "cell-size", "too large", accepted)


def _unclosed(message: str) -> FieldIssue:
    accepted = f'a " at the end of the cell; at most {MAX_RECORD} bytes and {MAX_RECORD_LINES} lines a row'
    return FieldIssue("row", "unclosed-quote", message, accepted)
