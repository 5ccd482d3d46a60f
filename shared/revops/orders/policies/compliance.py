"""Which contract documents a region needs before service may start: rules as data (ORD-8)."""

from collections.abc import Mapping
from datetime import date
from typing import ClassVar, Literal

from revops.orders.model import OrderTerms, Region
from revops.settings import SettingsDocument

Document = Literal["dpa", "sccs", "uk_idta"]

_TITLES: Mapping[Document, str] = {
    "dpa": "data processing agreement (DPA)",
    "sccs": "standard contractual clauses (SCCs)",
    "uk_idta": "UK international data transfer agreement (IDTA)",
}


class ComplianceRules(SettingsDocument):
    """The documents each region needs."""

    SETTING: ClassVar[str] = "compliance"

    required: Mapping[Region, tuple[Document, ...]] = {
        Region.EU: ("dpa", "sccs"),
        Region.UK: ("uk_idta",),
        Region.US: (),
        Region.BR: ("dpa",),
    }


def missing_documents(terms: OrderTerms, rules: ComplianceRules, today: date) -> tuple[str, ...]:
    """Titles of the documents that are required and not executed. A date in the future is not executed yet."""
    return tuple(title for _, title in missing_fields(terms, rules, today))


def missing_fields(terms: OrderTerms, rules: ComplianceRules, today: date) -> tuple[tuple[Document, str], ...]:
    """The same, each with the field of the form that says so."""
    return tuple(
        (document, _TITLES[document])
        for document in rules.required.get(terms.region, ())
        if not _executed(getattr(terms, document), today)
    )


def _executed(value: str | date, today: date) -> bool:
    return value <= today if isinstance(value, date) else value != "No"
