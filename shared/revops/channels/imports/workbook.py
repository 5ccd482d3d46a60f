"""The package of an Excel workbook: what may be opened, where its sheet lies, its texts and its dates.

A workbook is a zip of XML. It is opened only after its own list of contents was weighed, so that a bomb is refused
before anything is unpacked; while unpacking, no part gives more than that list said. XML is read by expat with
entities left alone. Shared texts lie in a file, not in memory.
"""

import posixpath
import re
import tempfile
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO
from xml.parsers import expat

from revops.channels.imports.sheets import MAX_CELL, unreadable
from revops.kernel import Invalid

MAX_ENTRIES = 2_000
MAX_UNPACKED = 600_000_000
"""Bytes of the whole workbook, unpacked."""
MAX_SIDE_PART = 150_000_000
"""Bytes of its texts, unpacked, and of any part that is no sheet."""
MAX_TEXTS = 4_000_000
"""Shared texts; where each begins is in memory."""
MAX_RATIO = 200
"""Times that a part may grow when unpacked; sheets of short numbers grow some forty times."""
_SMALL = 1_000_000
_READ = 65_536
_OLE = b"\xd0\xcf\x11\xe0"
_ACCEPTED = "an .xlsx workbook of at most 600 MB unpacked, without a password"
_BUILT_IN_DATES = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


def open_package(file: BinaryIO) -> zipfile.ZipFile:
    """The package, after a look at its list of contents. Raises Invalid for anything but a sound, moderate workbook."""
    file.seek(0)
    head = file.read(4)
    if head == _OLE:
        raise unreadable("encrypted-workbook", "the workbook is encrypted, or of the old .xls format", _ACCEPTED)
    file.seek(0)
    try:
        package = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:  # zipfile's, for what is no package
        raise unreadable("workbook", "this is no workbook", _ACCEPTED) from error
    _weigh(package.infolist())
    return package


def _weigh(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise unreadable("workbook-size", f"{len(entries)} parts", f"at most {MAX_ENTRIES}")
    whole = 0
    for entry in entries:
        whole += entry.file_size
        name = entry.filename
        if name.startswith("/") or ".." in name.split("/") or "\\" in name:
            raise unreadable("workbook-path", "a part lies outside the workbook", _ACCEPTED)
        if entry.flag_bits & 1:
            raise unreadable("encrypted-workbook", "a part is encrypted", _ACCEPTED)
        grows = entry.file_size > _SMALL and entry.file_size > MAX_RATIO * max(entry.compress_size, 1)
        if grows or (entry.file_size > MAX_SIDE_PART and "/worksheets/" not in name):
            raise unreadable("workbook-bomb", "a part unpacks to far more than it should", _ACCEPTED)
    if whole > MAX_UNPACKED:
        raise unreadable("workbook-size", f"{whole} bytes unpacked", _ACCEPTED)


def parse(stream: IO[bytes], start: Start, end: End, text: Text) -> Iterator[None]:
    """Reads XML part by part, calling back; yields after each part. Names come without their namespace. Raises
    Invalid for bad XML and for declared entities."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(" ")[2], attributes)
    parser.EndElementHandler = lambda name: end(name.rpartition(" ")[2])
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = _entity
    try:
        while part := stream.read(_READ):
            parser.Parse(part, False)
            yield
        parser.Parse(b"", True)
    except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise _broken() from error
    yield


def _entity(*_: object) -> None:
    raise unreadable("workbook-entities", "the workbook declares XML entities", _ACCEPTED)


def _broken() -> Invalid:
    return unreadable("workbook", "the workbook is damaged", "a workbook that Excel opens")


def _part(package: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return package.open(name)
    except (KeyError, zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:  # not there, cut, odd, encrypted
        raise _broken() from error


def _whole(package: zipfile.ZipFile, name: str, start: Start) -> None:
    """Reads a small part for its elements alone."""
    with _part(package, name) as stream:
        for _ in parse(stream, start, lambda _: None, lambda _: None):
            continue


class Workbook:
    """An open workbook: `sheet` opens a sheet's XML, `texts` are the shared texts, `dates` the styles of dates."""

    def __init__(self, file: BinaryIO) -> None:
        self._package = open_package(file)
        self._sheets: dict[str, str] = {}
        self.from_1904 = False
        targets = self._targets()
        self._read_contents(targets)
        self.dates = self._date_styles(targets)
        self.texts = self._texts(targets)

    def sheet(self, name: str) -> tuple[IO[bytes], int]:
        """The XML of a sheet, the first where no name is given, and its size. Raises Invalid naming the sheets."""
        if not self._sheets:
            raise _broken()
        chosen = name or next(iter(self._sheets))
        place = next((where for title, where in self._sheets.items() if title.casefold() == chosen.casefold()), None)
        if place is None:
            titles = ", ".join(list(self._sheets)[:50])
            raise Invalid.field("sheet", "no-such-sheet", "the workbook has no sheet of this name", titles)
        return _part(self._package, place), self._package.getinfo(place).file_size

    def _targets(self) -> dict[str, tuple[str, str]]:
        """Relationship id → its kind and the part it points at."""
        found: dict[str, tuple[str, str]] = {}

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "Relationship" and attributes.get("TargetMode") != "External":
                target = attributes.get("Target", "")
                place = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
                found[attributes.get("Id", "")] = (attributes.get("Type", "").rpartition("/")[2], place)

        _whole(self._package, "xl/_rels/workbook.xml.rels", start)
        return found

    def _read_contents(self, targets: dict[str, tuple[str, str]]) -> None:
        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "workbookPr":
                self.from_1904 = attributes.get("date1904") in ("1", "true")
            if name == "sheet":
                link = next((value for key, value in attributes.items() if key.rpartition(" ")[2] == "id"), "")
                kind, place = targets.get(link, ("", ""))
                if kind == "worksheet":
                    self._sheets[attributes.get("name", "")] = place

        _whole(self._package, "xl/workbook.xml", start)

    def _date_styles(self, targets: dict[str, tuple[str, str]]) -> frozenset[int]:
        place = next((place for kind, place in targets.values() if kind == "styles"), "")
        if not place:
            return frozenset()
        shows: dict[int, bool] = {}
        dates: set[int] = set()
        inside = {"cellXfs": False}
        count = -1

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal count
            if name == "numFmt":
                number = int(attributes.get("numFmtId", "0"))
                shows[number] = _shows_date(attributes.get("formatCode", ""))
            elif name in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
                inside["cellXfs"] = name == "cellXfs"
            elif name == "xf" and inside["cellXfs"]:
                count += 1
                number = int(attributes.get("numFmtId", "0"))
                if number in _BUILT_IN_DATES or shows.get(number, False):
                    dates.add(count)

        try:
            _whole(self._package, place, start)
        except ValueError as error:
            raise _broken() from error
        return frozenset(dates)

    def _texts(self, targets: dict[str, tuple[str, str]]) -> "SharedTexts":
        place = next((place for kind, place in targets.values() if kind == "sharedStrings"), "")
        texts = SharedTexts()
        if place and place in self._package.namelist():
            with _part(self._package, place) as stream:
                try:
                    texts.fill(stream)
                except BaseException:
                    texts.close()
                    raise
        return texts

    def close(self) -> None:
        """Lets go of the shared texts."""
        self.texts.close()


def _shows_date(code: str) -> bool:
    """Whether a number format shows a date or time: it has their letters outside quotes, colours and escapes."""
    bare = re.sub(r'"[^"]*"|\[[^\[\]]*\]|\\.|_.|\*.', "", code)
    return bool(re.search(r"[dmyhs]", bare, re.I)) and "general" not in bare.casefold()


class SharedTexts:
    """The workbook's texts by number. They lie in a file; only where each begins is in memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the workbook is
        self._starts = array("Q", [0])

    def fill(self, stream: IO[bytes]) -> None:
        """Reads the part that holds them: runs of rich text are joined, readings of characters left out."""
        words: list[str] = []
        state = {"text": False, "reading": 0, "length": 0}

        def start(name: str, _: dict[str, str]) -> None:
            if name == "rPh":
                state["reading"] += 1
            state["text"] = name == "t" and not state["reading"]

        def end(name: str) -> None:
            state["text"] = False
            if name == "rPh":
                state["reading"] -= 1
            elif name == "si":
                written = self._file.write("".join(words).encode("utf-8", "replace"))
                self._starts.append(self._starts[-1] + written)
                words.clear()
                state["length"] = 0
                if len(self._starts) > MAX_TEXTS:
                    raise unreadable("workbook-size", f"more than {MAX_TEXTS} texts", _ACCEPTED)

        def text(part: str) -> None:
            if state["text"] and state["length"] <= MAX_CELL:  # one character more says that it is too large
                words.append(part)
                state["length"] += len(part)

        for _ in parse(stream, start, end, text):
            continue

    def close(self) -> None:
        self._file.close()

    def __getitem__(self, number: int) -> str:
        """Raises IndexError."""
        begin, until = self._starts[number], self._starts[number + 1]
        self._file.seek(begin)
        return self._file.read(until - begin).decode()
