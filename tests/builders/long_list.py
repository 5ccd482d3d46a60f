"""Makes a long list as a file: `python -m tests.builders.long_list <place>.csv|.xlsx <seed> <rows> <every>`."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from tests.builders.lists import HEADER, People
from tests.builders.workbooks import workbook

CONSENT = HEADER.index("Opt-in")
_SHEET = "xl/worksheets/sheet1.xml"


def people_lines(seed: int, count: int, every: int = 1) -> Iterator[bytes]:
    """The lines of a CSV file of so many new people, each complete; but only every so-manyth says of consent."""
    people = People(seed)
    yield ",".join(HEADER).encode() + b"\r\n"
    for row in range(2, count + 2):
        cells, _ = people.new(row)
        if row % every:
            cells[CONSENT] = b""
        yield b",".join(cells) + b"\r\n"


def long_workbook(place: Path, lines: Iterator[bytes]) -> None:
    """The same as a workbook whose sheet is written row by row, texts where Excel puts them."""
    texts: list[str] = []
    empty = workbook([["x"]])
    place.write_bytes(empty)
    with zipfile.ZipFile(place) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    head, _, tail = parts.pop(_SHEET).partition(b"<row")
    shared = parts.pop("xl/sharedStrings.xml").partition(b"<si>")[0]
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            package.writestr(name, part)
        with package.open(_SHEET, "w") as sheet:
            sheet.write(head)
            for number, line in enumerate(lines, 1):
                cells = line.decode().rstrip("\r\n").split(",")
                start = len(texts)
                texts += cells
                named = "".join(f"<c t='s'><v>{start + n}</v></c>" for n in range(len(cells)))
                sheet.write(f"<row r='{number}'>{named}</row>".encode())
            sheet.write(tail.partition(b"</row>")[2])
        with package.open("xl/sharedStrings.xml", "w") as strings:
            strings.write(shared)
            for text in texts:
                strings.write(f"<si><t>{escape(text)}</t></si>".encode())
            strings.write(b"</sst>")


def main() -> None:
    place, (seed, count, every) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    lines = people_lines(seed, count, every)
    if place.suffix == ".csv":
        with place.open("wb") as file:
            file.writelines(lines)
    else:
        long_workbook(place, lines)


if __name__ == "__main__":
    main()
