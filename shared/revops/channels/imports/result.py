"""The result file: every row as it came, with what became of it (CAP-7), safe to open in a spreadsheet (S11)."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from revops.channels.imports.model import RowVerdict
from revops.channels.imports.sheets import Sheet

VERDICT_COLUMNS = ("row", "verdict", "lead_id", "field", "rule", "message", "accepted", "why", "notes")
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_SHOWN = 500
"""Characters of a cell that the result repeats."""


def neutral(text: str) -> str:
    """A text no spreadsheet takes for a formula: one that might be gets an apostrophe in front."""
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS_FORMULA) or text.startswith(_STARTS_FORMULA) else text


def write_result(sheet: Sheet, verdicts: Iterable[RowVerdict], into: BinaryIO) -> int:
    """Writes the result as CSV in UTF-8 with a mark, which Excel needs; `verdicts` come by row. Returns the rows. A row
    that could not be read stands with its verdict alone."""
    text = io.TextIOWrapper(into, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([*VERDICT_COLUMNS, *(neutral(name[:_SHOWN]) for name in sheet.header)])
    rows = sheet.rows(0)
    width, count = len(sheet.header), 0
    for verdict in verdicts:
        cells = next((row.cells for row in rows if row.number >= verdict.row), ())
        shown = [neutral(cell[:_SHOWN]) for cell in cells] + [""] * (width - len(cells))
        writer.writerow([*(neutral(each) for each in _said(verdict)), *shown])
        count += 1
    text.detach()
    return count


def _said(verdict: RowVerdict) -> Iterator[str]:
    issue = verdict.issue
    yield str(verdict.row)
    yield verdict.verdict.value
    yield verdict.lead_id
    yield issue.field if issue else ""
    yield issue.rule if issue else ""
    yield issue.message if issue else ""
    yield issue.accepted if issue else ""
    yield verdict.why
    yield "; ".join(verdict.notes)
