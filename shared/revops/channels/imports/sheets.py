"""A file as rows: what both kinds of reader give."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from revops.kernel import FieldIssue, Invalid

MAX_COLUMNS = 200
MAX_CELL = 32_767
"""Characters of a cell, as in a spreadsheet."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it stands in the file. `number` counts as a spreadsheet does. A `problem` says why it cannot be read;
    `notes` say, by position of the cell, what was made of it."""

    number: int
    cells: tuple[str, ...] = ()
    problem: FieldIssue | None = None
    notes: tuple[tuple[int, str], ...] = ()


class Sheet(Protocol):
    """An open file."""

    header: tuple[str, ...]
    header_row: int

    def rows(self, after: int) -> Iterator[RawRow]:
        """The rows below the header whose number is greater, in order. Raises Invalid where the file breaks off."""
        ...

    def share(self) -> float:
        """How much of the file was read, 0 to 1."""
        ...

    def close(self) -> None:
        """Lets go of what was kept beside the file."""
        ...


def unreadable(rule: str, message: str, accepted: str) -> Invalid:
    """What is wrong with a file as a whole."""
    return Invalid.field("file", rule, message, accepted)


def trimmed_header(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The header without the empty cells at its end. Raises Invalid for one that is none."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    if not cells:
        raise unreadable("header", "the file has no header row", "a first row that names the columns")
    if len(cells) > MAX_COLUMNS:
        raise unreadable("header", f"{len(cells)} columns", f"at most {MAX_COLUMNS}")
    return cells


def fitted(number: int, cells: tuple[str, ...], width: int) -> RawRow:
    """A row of the header's width; empty cells beyond it are dropped. What does not fit is a problem; its cells
    are kept for the result."""
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        cells = cells[:width]
    if len(cells) != width:
        issue = FieldIssue("row", "row-width", f"{len(cells)} cells under {width} headers", f"{width} cells")
        return RawRow(number, cells[:MAX_COLUMNS], issue)
    return RawRow(number, cells)


def column_name(header: tuple[str, ...], place: int) -> str:
    """What a verdict calls a column: by its header, else by its number."""
    return (header[place].strip()[:60] if place < len(header) else "") or f"column {place + 1}"
