"""Three-way merge of a person and a contact over what was last agreed. Pure; the same inputs decide alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from revops.sync.fields import Direction, FieldMap, HubspotFields, Rule
from revops.sync.model import FieldBase, PersonField, PersonSnapshot, RemoteContact


@dataclass(frozen=True, slots=True)
class Clash:
    """A field on which both sides had their own value, and how it was decided."""

    line: FieldMap
    local: str
    remote: str
    rule: str
    winner: str


@dataclass(slots=True)
class Merge:
    """What brings both sides together: values to take over here, values to write there, and the new agreement."""

    apply: dict[PersonField, str] = field(default_factory=dict)
    send: dict[str, str] = field(default_factory=dict)
    clashes: list[Clash] = field(default_factory=list)
    bases: dict[str, FieldBase] = field(default_factory=dict)

    @property
    def changes_nothing(self) -> bool:
        """Whether both sides are as agreed, which is what our own echo looks like."""
        return not (self.apply or self.send or self.clashes)


def merge(
    fields: HubspotFields,
    local: PersonSnapshot,
    remote: RemoteContact,
    bases: Mapping[str, FieldBase],
    sent: Mapping[str, str],
) -> Merge:
    """Field by field: changed there only → apply; changed here only → send; both → the line's rule.

    `sent` are the values of a write whose outcome is unknown: finding one of them there means that it landed, and it
    is ours, also when HubSpot spells it in its own way. A field without a base was never agreed on: an empty side then
    counts as not changed.
    """
    result = Merge()
    for line in fields.exchanged:
        here, there = line.outbound(local), remote.text(line.property)
        base = bases.get(line.property)
        mine = sent.get(line.property)
        if mine is not None and _respelt(mine, there) and (base is None or there != base.remote):
            base = FieldBase(local=mine, remote=there, overruled=base.overruled if base else 0)
        result.bases[line.property] = _merge_field(result, fields, line, here, there, base, local, remote)
    return result


def _respelt(ours: str, theirs: str) -> bool:
    """Whether a value found there is one that we sent, in HubSpot's spelling: `+44 20` and `004420` are the same."""
    return ours == theirs or _bare(ours) == _bare(theirs) != ""


def _bare(value: str) -> str:
    return "".join(char for char in value.casefold() if char.isalnum()).lstrip("0")


def _merge_field(
    result: Merge,
    fields: HubspotFields,
    line: FieldMap,
    here: str,
    there: str,
    base: FieldBase | None,
    local: PersonSnapshot,
    remote: RemoteContact,
) -> FieldBase:
    known = base is not None
    base = base or FieldBase()
    if here == there:
        return FieldBase(local=here, remote=there, overruled=base.overruled if base.local == here else 0)
    local_changed = base.pending or here != base.local
    remote_changed = there != base.remote
    if not local_changed and not remote_changed:
        return base  # the same thing in each side's spelling
    if line.direction is Direction.OUT:
        if not known and not here:
            return FieldBase(local=here, remote=there)  # having nothing to say at first sight empties nothing there
        return _ours(result, fields, line, here, there, base, known, local_changed, remote_changed, "owner_wins")
    if remote_changed and not there and line.keep_when_blank:
        return _ours(result, fields, line, here, there, base, known, local_changed, True, "blank_refused")
    if not local_changed:
        result.apply[line.person] = there
        return FieldBase(local=here, remote=there)
    if not remote_changed:
        return _send(result, line, here, there, base)
    wins = _remote_wins(line.rule, local, remote)
    result.clashes.append(Clash(line, here, there, line.rule.value, "remote" if wins else "local"))
    if wins:
        result.apply[line.person] = there
        return FieldBase(local=here, remote=there)
    return _send(result, line, here, there, base)


def _ours(
    result: Merge,
    fields: HubspotFields,
    line: FieldMap,
    here: str,
    there: str,
    base: FieldBase,
    known: bool,
    local_changed: bool,
    remote_changed: bool,
    rule: str,
) -> FieldBase:
    """Our value stands whatever happened there. Undoing the same change for ever is no use: it stops at a bound."""
    if not (known and remote_changed):
        return _send(result, line, here, there, base)
    overruled = 1 if local_changed and not base.pending else base.overruled + 1
    if overruled > fields.max_overrules:
        result.clashes.append(Clash(line, here, there, "left_after_repeats", "remote"))
        return FieldBase(local=here, remote=there, overruled=overruled)
    result.clashes.append(Clash(line, here, there, rule, "local"))
    return _send(result, line, here, there, base.model_copy(update={"overruled": overruled}))


def _send(result: Merge, line: FieldMap, here: str, there: str, base: FieldBase) -> FieldBase:
    result.send[line.property] = here
    return FieldBase(local=base.local, remote=there, pending=True, overruled=base.overruled)


def _remote_wins(rule: Rule, local: PersonSnapshot, remote: RemoteContact) -> bool:
    if rule is Rule.LATEST_WINS:
        return remote.updated_at >= local.modified_at
    return rule is Rule.REMOTE_WINS


def agreed(line: FieldMap, local: PersonSnapshot, remote: RemoteContact, base: FieldBase | None) -> bool:
    """Whether a field stands as agreed on both sides; what the drift report asks."""
    here, there = line.outbound(local), remote.text(line.property)
    return here == there or (base is not None and not base.pending and (here, there) == (base.local, base.remote))
