"""A row of a file as a submission: cells become fields, what the file does not say comes from the import as a whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from revops.channels.imports.columns import CONSENT_CHANNELS, LEAD_FIELDS, Columns, ImportColumns, spelled
from revops.channels.imports.model import ImportRequest, Issue, RowVerdict, Verdict
from revops.channels.imports.sheets import RawRow, column_name
from revops.crm.model import AuthorityLevel, Channel
from revops.crm.normalise import tidy
from revops.crm.submission import AttributionClaim, ConsentStatement, LeadFields, LeadSubmission
from revops.kernel import FieldIssue, Invalid

_METADATA = 500
_SAYS_YES_OR_NO = frozenset(["consent", *(f"consent_{channel}" for channel in CONSENT_CHANNELS)])
_MOST_SAID = 600
"""Characters of what is said beside a verdict: the verdicts of a hundred rows are one document."""
_ACCEPTED_IN_A_LIST = {
    "CAP-8 attribution-required": "a value in its column, or attribution for the whole list",
    "CAP-9 consent-required-eu-eea-uk": "yes or no in a column of consent, or consent for the whole list",
}
"""Where somebody who hands in a list says what other senders say in a body."""


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


def refused(number: int, issues: Sequence[FieldIssue], notes: tuple[str, ...] = ()) -> RowVerdict:
    """The verdict on a row that breaks a rule; what else is wrong with it stands in the notes."""
    first, *others = issues
    accepted = _ACCEPTED_IN_A_LIST.get(first.rule, first.accepted)[:500]
    said = Issue(field=first.field, rule=first.rule, message=first.message[:300], accepted=accepted)
    more = (f"{each.field}: {each.message}" for each in others)
    return RowVerdict(row=number, verdict=Verdict.REFUSED, issue=said, notes=_within((*more, *notes)))


def _within(notes: Iterable[str]) -> tuple[str, ...]:
    """As many of the notes as there is room for."""
    kept, room = list[str](), _MOST_SAID
    for note in notes:
        kept.append(note if len(note) <= room else f"{note[: max(0, room - 1)]}…")
        room -= len(note)
        if room <= 0:
            break
    return tuple(kept)


class ReadRows:
    """Turns rows of one file into submissions, or into the verdict that refuses them."""

    def __init__(self, request: ImportRequest, columns: Columns, rules: ImportColumns) -> None:
        self._request = request
        self._columns = columns
        self._granted = {spelled(word) for word in rules.granted}
        self._withheld = {spelled(word) for word in rules.withheld}
        self._authority = {spelled(level.value): level.value for level in AuthorityLevel}
        self._metadata = [place for place, held in enumerate(columns.held) if held.startswith("metadata.")]
        self._unnamed = [place for place, name in enumerate(columns.header) if not name.strip()]

    def __call__(self, raw: RawRow) -> ReadRow | RowVerdict:
        if raw.problem is not None:
            return refused(raw.number, [raw.problem])
        if not any(raw.cells):
            return refused(raw.number, [FieldIssue("row", "empty-row", "the row is empty", "a person")])
        if self._columns.is_header(raw.cells):
            return refused(raw.number, [FieldIssue("row", "repeated-header", "the row repeats the header", "a person")])
        notes = self._notes(raw)
        try:
            self._require_value_of_consent(raw)
            return ReadRow(raw.number, self._submission(raw.cells), notes)
        except Invalid as error:
            return refused(raw.number, error.issues, notes)
        except ValidationError as error:
            return refused(raw.number, [self._shape(error)], notes)

    def _notes(self, raw: RawRow) -> tuple[str, ...]:
        """What was made of single cells: each thing once, with the columns it is about."""
        told: dict[str, list[str]] = {}
        for place, said in (*raw.notes, *self._not_kept(raw.cells)):
            if place < len(self._columns.held):
                told.setdefault(said, []).append(self._name(place))
        return _within(f"{said} ({', '.join(names)})" for said, names in told.items())

    def _require_value_of_consent(self, raw: RawRow) -> None:
        """A row that says something of consent which nobody knows, such as a formula without its value, does not get
        the consent of the whole list. Raises Invalid."""
        for place, said in raw.notes:
            field = self._columns.held[place] if place < len(self._columns.held) else ""
            if field in _SAYS_YES_OR_NO and not raw.cells[place].strip():
                raise Invalid.field(field, "CAP-9 consent-value", said, "yes or no")

    def _not_kept(self, cells: Sequence[str]) -> Iterator[tuple[int, str]]:
        """What a row says that stays in the file alone."""
        for place in self._metadata:
            if len(cells[place]) > _METADATA and tidy(cells[place]) != _kept(cells[place]):
                yield place, f"only the first {_METADATA} characters are kept"
        for place in self._unnamed:
            if cells[place].strip():
                yield place, "left out: its column has no name"

    def _submission(self, cells: Iterable[str]) -> LeadSubmission:
        """Raises Invalid for a word that says no consent, ValidationError for a cell that fits no field."""
        said = {held: cell for held, cell in zip(self._columns.held, cells, strict=True) if held and cell.strip()}
        fields: dict[str, Any] = {name: said[name].strip() for name in LEAD_FIELDS if name in said}
        if "authority_level" in fields:
            fields["authority_level"] = self._authority.get(spelled(fields["authority_level"]), "?")
        metadata = {
            held.removeprefix("metadata."): _kept(cell) for held, cell in said.items() if held.startswith("metadata.")
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
        return self._columns.held[place] or column_name(self._columns.header, place)

    def _shape(self, error: ValidationError) -> FieldIssue:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        if field == "authority_level":
            return FieldIssue(field, "enum", "none of the levels", ", ".join(AuthorityLevel))
        longest = first.get("ctx", {}).get("max_length")
        accepted = f"at most {longest} characters" if longest else ""
        return FieldIssue(field, str(first["type"]), str(first["msg"])[:200], accepted)


def _kept(cell: str) -> str:
    """A cell as it stands in a lead's metadata."""
    return tidy(cell[: 4 * _METADATA])[:_METADATA]
