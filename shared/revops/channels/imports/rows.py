"""A row of a file as a submission: cells become fields, what the file does not say comes from the import as a whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from revops.channels.imports.columns import CONSENT_CHANNELS, LEAD_FIELDS, Columns, ImportColumns, spelled
from revops.channels.imports.model import ImportRequest, Issue, RowVerdict, Verdict
from revops.channels.imports.sheets import RawRow
from revops.crm.model import AuthorityLevel, Channel
from revops.crm.normalise import tidy
from revops.crm.submission import AttributionClaim, ConsentStatement, LeadFields, LeadSubmission
from revops.kernel import FieldIssue, Invalid

_METADATA = 500


class _Row(LeadFields):
    """The fields of a row, checked like those of every other sender."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    metadata: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row that says something: its number, its submission, and what was made of single cells."""

    number: int
    submission: LeadSubmission
    notes: tuple[str, ...] = ()


def refused(number: int, issue: FieldIssue, notes: tuple[str, ...] = ()) -> RowVerdict:
    """The verdict on a row that breaks a rule."""
    said = Issue(field=issue.field, rule=issue.rule, message=issue.message, accepted=issue.accepted)
    return RowVerdict(row=number, verdict=Verdict.REFUSED, issue=said, notes=notes)


class ReadRows:
    """Turns rows of one file into submissions, or into the verdict that refuses them."""

    def __init__(self, request: ImportRequest, columns: Columns, rules: ImportColumns) -> None:
        self._request = request
        self._columns = columns
        self._granted = {spelled(word) for word in rules.granted}
        self._withheld = {spelled(word) for word in rules.withheld}
        self._authority = {spelled(level.value): level.value for level in AuthorityLevel}

    def __call__(self, raw: RawRow) -> ReadRow | RowVerdict:
        if raw.problem is not None:
            return refused(raw.number, raw.problem)
        if not any(raw.cells):
            return refused(raw.number, FieldIssue("row", "empty-row", "the row is empty", "a person"))
        if self._columns.is_header(raw.cells):
            return refused(raw.number, FieldIssue("row", "repeated-header", "the row repeats the header", "a person"))
        notes = tuple(f"{self._name(place)}: {said}" for place, said in raw.notes if place < len(self._columns.held))
        try:
            return ReadRow(raw.number, self._submission(raw.cells), notes)
        except Invalid as error:
            return refused(raw.number, error.issues[0], notes)
        except ValidationError as error:
            return refused(raw.number, self._shape(error), notes)

    def _submission(self, cells: Iterable[str]) -> LeadSubmission:
        """Raises Invalid for a word that says no consent, ValidationError for a cell that fits no field."""
        said = {held: cell for held, cell in zip(self._columns.held, cells, strict=True) if held and cell.strip()}
        fields: dict[str, Any] = {name: said[name].strip() for name in LEAD_FIELDS if name in said}
        if "authority_level" in fields:
            fields["authority_level"] = self._authority.get(spelled(fields["authority_level"]), "?")
        metadata = {
            held.removeprefix("metadata."): tidy(cell[: 4 * _METADATA])[:_METADATA]
            for held, cell in said.items()
            if held.startswith("metadata.")
        }
        row = _Row(
            **fields,
            consent=self._consents(said),
            attribution=self._attribution(said),
            metadata=metadata,
            custom_fields={
                held.removeprefix("custom."): cell.strip() for held, cell in said.items() if held.startswith("custom.")
            },
        )
        return LeadSubmission.of(row, Channel.IMPORT)

    def _attribution(self, said: Mapping[str, str]) -> AttributionClaim:
        whole = self._request.attribution
        return AttributionClaim(
            source=said.get("source") or whole.source,
            campaign=said.get("campaign") or whole.campaign,
            medium=said.get("medium") or whole.medium,
            term=said.get("term") or whole.term,
        )

    def _consents(self, said: Mapping[str, str]) -> tuple[ConsentStatement, ...]:
        """The row's own statements; where it makes none, those made for the whole import. A column that names no
        channel speaks of mail."""
        wording = said.get("consent_wording", "").strip()
        own: dict[str, ConsentStatement] = {}
        for field, channel in (("consent", "email"), *((f"consent_{each}", each) for each in CONSENT_CHANNELS)):
            if field in said:
                own[channel] = ConsentStatement(
                    channel=channel, granted=self._grants(field, said[field]), wording_version=wording
                )
        return tuple(own.values()) or self._request.consent

    def _grants(self, field: str, text: str) -> bool:
        word = spelled(text)
        if word in self._granted:
            return True
        if word in self._withheld:
            return False
        raise Invalid.field(field, "CAP-9 consent-value", "neither yes nor no", "yes or no")

    def _name(self, place: int) -> str:
        return self._columns.held[place] or self._columns.header[place][:60]

    def _shape(self, error: ValidationError) -> FieldIssue:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        if field == "authority_level":
            return FieldIssue(field, "enum", "none of the levels", ", ".join(AuthorityLevel))
        longest = first.get("ctx", {}).get("max_length")
        accepted = f"at most {longest} characters" if longest else ""
        return FieldIssue(field, str(first["type"]), str(first["msg"])[:200], accepted)
