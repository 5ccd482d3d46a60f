"""Which column of a file holds what: headers are recognised by their words, in several languages, or by what the
importer says of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from revops.crm.normalise import fold
from revops.kernel import FieldIssue, Invalid
from revops.settings import SettingsDocument

LEAD_FIELDS = (
    "first_name", "last_name", "company", "email", "phone", "country", "interest_product", "budget_range",
    "authority_level", "timeline", "job_title", "company_size", "industry",
)  # fmt: skip
ATTRIBUTION_FIELDS = ("source", "campaign", "medium", "term")
CONSENT_CHANNELS = ("email", "phone", "whatsapp", "sms", "post")
CONSENT_FIELDS = ("consent", *(f"consent_{channel}" for channel in CONSENT_CHANNELS), "consent_wording")
FIELDS = (*LEAD_FIELDS, *ATTRIBUTION_FIELDS, *CONSENT_FIELDS)
"""What a column can hold; beside these `metadata.<name>` and `custom.<name>`, a declared field of one's own."""

_OWN = re.compile(r"(metadata|custom)\.[\w .-]{1,60}")
_MOST_METADATA = 20

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "first_name": ("forename", "given name", "vorname", "prenom", "nombre", "nome"),
    "last_name": ("surname", "family name", "nachname", "nom", "apellido", "apellidos", "sobrenome"),
    "company": ("company name", "organisation", "organization", "employer", "firma", "unternehmen", "societe",
                "empresa", "account name"),
    "email": ("e-mail", "mail", "email address", "e-mail address", "work email", "e-mail-adresse", "correo",
              "courriel"),
    "phone": ("telephone", "phone number", "mobile", "mobile phone", "tel", "telefon", "telefono", "telefone"),
    "country": ("country code", "land", "pays", "pais"),
    "interest_product": ("product", "product of interest", "interest", "produkt"),
    "budget_range": ("budget",),
    "authority_level": ("authority", "decision role"),
    "timeline": ("time frame", "timeframe", "purchase timeframe"),
    "job_title": ("title", "position", "role", "job", "funktion", "poste", "cargo"),
    "company_size": ("employees", "number of employees", "size", "headcount", "mitarbeiter"),
    "industry": ("sector", "branche", "secteur", "industria"),
    "source": ("utm source", "lead source", "quelle"),
    "campaign": ("utm campaign", "campaign name", "kampagne"),
    "medium": ("utm medium", "channel"),
    "term": ("utm term", "keyword"),
    "consent": ("opt in", "marketing consent", "gdpr consent", "einwilligung"),
    "consent_email": ("email opt in", "email consent"),
    "consent_phone": ("phone opt in", "phone consent"),
    "consent_whatsapp": ("whatsapp opt in", "whatsapp consent"),
    "consent_sms": ("sms opt in", "sms consent"),
    "consent_post": ("post consent", "mail opt in"),
    "consent_wording": ("wording version", "consent version", "consent wording version"),
}  # fmt: skip


class ImportColumns(SettingsDocument):
    """Other words for each field, as they stand in headers; compared without case, accents, spaces and underscores.
    `granted` and `withheld` are the words of a consent column."""

    SETTING: ClassVar[str] = "import_columns"

    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(_SYNONYMS))
    granted: tuple[str, ...] = ("yes", "y", "true", "1", "x", "granted", "opt in", "ja", "oui", "si", "sim")
    withheld: tuple[str, ...] = ("no", "n", "false", "0", "withheld", "opt out", "nein", "non", "nao")


def spelled(text: str) -> str:
    """A header as it is compared."""
    return re.sub(r"[\W_]+", "", fold(text))


def _same_word(cell: str, name: str) -> bool:
    return spelled(cell) == spelled(name)


@dataclass(frozen=True, slots=True)
class Columns:
    """What each column holds, in their order: a field, `metadata.<name>`, `custom.<name>`, or an empty text."""

    header: tuple[str, ...]
    held: tuple[str, ...]

    def is_header(self, cells: Sequence[str]) -> bool:
        """Whether a row repeats the header."""
        return len(cells) == len(self.header) and all(map(_same_word, cells, self.header))


def columns_of(header: Sequence[str], said: Mapping[str, str], rules: ImportColumns) -> Columns:
    """What the columns of a file hold. Raises Invalid naming every column that nobody knows, every field that two
    columns hold, and every word of the importer's that fits no column or no field."""
    given = {spelled(name): target for name, target in said.items()}
    known = {spelled(field): field for field in FIELDS}
    for field, words in rules.synonyms.items():
        known.update({spelled(word): field for word in words})
    held, issues = [], _misnamed(header, said)
    for name in header:
        word = spelled(name)
        target = given.get(word, known.get(word))
        if target is None and name.strip():
            issues.append(_unknown(name))
        held.append(target or "")
    for field in sorted({each for each in held if each and held.count(each) > 1}):
        twice = ", ".join(name for name, each in zip(header, held, strict=True) if each == field)
        accepted = "one column; map the others: metadata.<name>, custom.<name>, or an empty text to leave them out"
        issues.append(FieldIssue(f"columns.{field}", "one-column-per-field", f"stands twice: {twice}", accepted))
    if not issues and not {"email", "phone"} & set(held):
        issues.append(
            FieldIssue("columns", "CAP-10 reachable", "no column holds an e-mail or a phone", "one of the two")
        )
    if issues:
        raise Invalid("the columns do not fit: " + ", ".join(issue.field for issue in issues[:10]), issues[:100])
    return Columns(tuple(header), tuple(held))


def _unknown(name: str) -> FieldIssue:
    accepted = (
        f"{', '.join(FIELDS)}; or map it: a field, metadata.<name>, custom.<name>, or an empty text to leave it out"
    )
    return FieldIssue(f"columns.{name[:60]}", "unknown-column", "no field goes by this name", accepted)


def _misnamed(header: Sequence[str], said: Mapping[str, str]) -> list[FieldIssue]:
    there = {spelled(name) for name in header}
    issues = []
    for name, target in said.items():
        if spelled(name) not in there:
            shown = ", ".join(cell[:60] for cell in header[:50])
            issues.append(FieldIssue(f"columns.{name[:60]}", "no-such-column", "the file has no such column", shown))
        elif target and target not in FIELDS and not _OWN.fullmatch(target):
            issues.append(
                FieldIssue(
                    f"columns.{name[:60]}", "no-such-field", "no field goes by this name",
                    ", ".join(FIELDS) + ", metadata.<name>, custom.<name>",
                )
            )  # fmt: skip
    if sum(target.startswith("metadata.") for target in said.values()) > _MOST_METADATA:
        issues.append(FieldIssue("columns", "bounded-metadata", "too many columns go to metadata", f"{_MOST_METADATA}"))
    return issues
