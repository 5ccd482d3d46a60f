"""A list of leads handed in as a file: what was asked for, how far it is, and what became of each row (CAP-7)."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from revops.crm.submission import AttributionClaim, ConsentStatement
from revops.table import Entity

MAX_BYTES = 50_000_000
"""Largest file that is taken."""
MAX_ROWS = 200_000
"""Most rows of one file; a longer list comes in parts."""


class ImportKind(StrEnum):
    """What kind of file it is."""

    CSV = "csv"
    XLSX = "xlsx"


class ImportState(StrEnum):
    """How far an import is. `Failed` is a file that could not be read at all; single bad rows never fail one."""

    AWAITING_UPLOAD = "Awaiting Upload"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def settled(self) -> bool:
        return self in (ImportState.COMPLETED, ImportState.FAILED, ImportState.CANCELLED)


class Verdict(StrEnum):
    """What became of a row: a new lead; a known one that it was added to; a new one that may be a known person and
    waits for somebody's word; or nothing, with the reason."""

    STORED = "stored"
    JOINED = "joined"
    PENDING = "pending"
    REFUSED = "refused"


class Issue(BaseModel):
    """What is wrong: where, by which rule, and what would be accepted."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    field: str = ""
    rule: str = ""
    message: str = ""
    accepted: str = ""


class RowVerdict(BaseModel):
    """One row and what became of it. `row` counts as a spreadsheet does: the header is row 1. `why` says why a row was
    joined or waits; `notes` what was made of single cells."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    row: int
    verdict: Verdict
    lead_id: str = ""
    why: str = ""
    issue: Issue | None = None
    notes: tuple[str, ...] = ()


def _file_name(text: str) -> str:
    if any(ord(char) < 32 for char in text) or "/" in text or "\\" in text:
        raise ValueError("a file name without a path")
    return text


_Header = Annotated[str, StringConstraints(max_length=200)]
_Field = Annotated[str, StringConstraints(max_length=80)]


class ImportRequest(BaseModel):
    """What somebody who hands in a list says of it. `columns` names what a column holds where its header does not: a
    field of a lead, `metadata.<name>`, `custom.<name>`, or an empty text to leave it out. `attribution` and `consent`
    hold for every row that does not say otherwise itself (CAP-8, CAP-9)."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    file_name: Annotated[
        str, StringConstraints(min_length=1, max_length=200), AfterValidator(_file_name), Field(examples=["fair.csv"])
    ]
    kind: ImportKind = Field(examples=["csv"])
    sheet: str = Field(default="", max_length=31, description="Of a workbook: the sheet's name; the first otherwise")
    columns: dict[_Header, _Field] = Field(default_factory=dict, max_length=200, examples=[{"Stand": "metadata.stand"}])
    attribution: AttributionClaim = Field(
        default_factory=AttributionClaim,
        examples=[{"source": "Trade fair", "campaign": "autumn", "medium": "event", "term": "crm"}],
    )
    consent: tuple[ConsentStatement, ...] = Field(default=(), max_length=10)
    dry_run: bool = Field(default=False, description="Every row gets its verdict and nothing is stored")


class ImportJob(Entity):
    """An import. `problems` says what is wrong with the file as a whole; `content` is the file's SHA-256, known once
    it was read."""

    importer_id: str
    request: ImportRequest
    state: ImportState = ImportState.AWAITING_UPLOAD
    state_since: AwareDatetime
    problems: tuple[Issue, ...] = ()
    content: str = ""
    repeats: str = ""


class Progress(BaseModel):
    """How far the rows are. `rows` have their verdict for good, up to `last_row`; `share` of the file was read (0 to
    1), in so many `seconds` of work. `result` says that the result file lies ready."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    rows: int = 0
    last_row: int = 0
    counts: dict[Verdict, int] = Field(default_factory=dict)
    refused_by_rule: dict[str, int] = Field(default_factory=dict)
    share: float = 0.0
    seconds: float = 0.0
    result: bool = False

    def with_verdicts(self, verdicts: list[RowVerdict], share: float, seconds: float) -> "Progress":
        """The progress after some more rows."""
        counts, rules = dict(self.counts), dict(self.refused_by_rule)
        for each in verdicts:
            counts[each.verdict] = counts.get(each.verdict, 0) + 1
            if each.verdict is Verdict.REFUSED and each.issue is not None:
                rules[each.issue.rule] = rules.get(each.issue.rule, 0) + 1
        return Progress(
            rows=self.rows + len(verdicts),
            last_row=max([self.last_row, *(each.row for each in verdicts)]),
            counts=counts,
            refused_by_rule=rules,
            share=share,
            seconds=self.seconds + seconds,
        )
