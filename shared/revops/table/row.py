"""A row of the one table: keys, kind, version, who changed it last, and the entity as one JSON document.

Why one document attribute: on a 20-field lead the CPU of a 25-item query is half that of flat attributes
(docs/adr/0002). What must be counted atomically stands outside the document, as integer counters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Key(NamedTuple):
    """Primary key of an item."""

    pk: str
    sk: str


INDEXES: Mapping[str, tuple[str, str]] = {
    "gsi1": ("g1pk", "g1sk"),
    "gsi2": ("g2pk", "g2sk"),
    "gsi3": ("g3pk", "g3sk"),
    "gsi4": ("g4pk", "g4sk"),
    "due": ("duepk", "duesk"),
}
"""Index name → its key attributes. All project keys only: a list reads its page of documents by primary key, so a
change of content never rewrites an index entry and a list never shows an old version (docs/adr/0002)."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who changed the row, when and from where; becomes the who/when of the audit entry (SAFE-3)."""

    at: str
    by: str
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""
    on_behalf_of: str = ""
    causation_id: str = ""


_STAMP = (
    ("at", "at"),
    ("by", "by"),
    ("ip", "ip"),
    ("ua", "user_agent"),
    ("rid", "request_id"),
    ("obo", "on_behalf_of"),
    ("cause", "causation_id"),
)
_NAMED = frozenset({"pk", "sk", "kind", "v", "doc", "ttl", *(attribute for attribute, _ in _STAMP)}).union(
    *INDEXES.values()
)


@dataclass(slots=True)
class Row:
    """One item. `index` maps an index name to its (pk, sk); `counters` are whole numbers; `ttl` is epoch seconds."""

    pk: str
    sk: str
    kind: str
    version: int = 1
    doc: str = ""
    index: dict[str, tuple[str, str]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    ttl: int | None = None
    stamp: Stamp | None = None

    @property
    def key(self) -> Key:
        return Key(self.pk, self.sk)

    def to_raw(self) -> dict[str, Any]:
        """The item in DynamoDB's wire form. Empty texts are left out: absent and empty mean the same here."""
        raw: dict[str, Any] = {
            "pk": {"S": self.pk},
            "sk": {"S": self.sk},
            "kind": {"S": self.kind},
            "v": {"N": str(self.version)},
        }
        if self.doc:
            raw["doc"] = {"S": self.doc}
        for name, (pk, sk) in self.index.items():
            pk_name, sk_name = INDEXES[name]
            raw[pk_name] = {"S": pk}
            raw[sk_name] = {"S": sk}
        for name, value in self.counters.items():
            raw[name] = {"N": str(value)}
        if self.ttl is not None:
            raw["ttl"] = {"N": str(self.ttl)}
        stamp = self.stamp
        if stamp is not None:
            for attribute, name in _STAMP:
                text = getattr(stamp, name)
                if text:
                    raw[attribute] = {"S": text}
        return raw

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> "Row":
        """The inverse of `to_raw`; an item read through a keys-only index has an empty kind and document."""
        index: dict[str, tuple[str, str]] = {}
        for name, (pk_name, sk_name) in INDEXES.items():
            if pk_name in raw:
                index[name] = (raw[pk_name]["S"], raw[sk_name]["S"])
        counters = {name: int(value["N"]) for name, value in raw.items() if name not in _NAMED and "N" in value}
        ttl = raw.get("ttl")
        stamp = None
        if "by" in raw:
            stamp = Stamp(**{name: raw[attribute]["S"] for attribute, name in _STAMP if attribute in raw})
        return cls(
            pk=raw["pk"]["S"],
            sk=raw["sk"]["S"],
            kind=raw["kind"]["S"] if "kind" in raw else "",
            version=int(raw["v"]["N"]) if "v" in raw else 0,
            doc=raw["doc"]["S"] if "doc" in raw else "",
            index=index,
            counters=counters,
            ttl=int(ttl["N"]) if ttl else None,
            stamp=stamp,
        )
