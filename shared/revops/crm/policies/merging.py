"""What two leads of one person are together, and what they are again when that is undone (CAP-11).

Nothing is lost: what the survivor lacks it gets, what differs is told with both values, what can stand side by side
does. Pure functions over leads and consent records.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from revops.crm.consent import BY_OTHERS, Consent, ConsentRecord
from revops.crm.model import Lead, LeadStatus, Value
from revops.crm.policies.engagement import kept
from revops.kernel import Refused, VersionConflict

CHOSEN = (
    "first_name", "last_name", "company", "email", "phone", "country", "interest_product", "budget_range",
    "authority_level", "timeline", "job_title", "company_size", "industry",
)  # fmt: skip
"""Fields of which one value stands: the survivor's, unless it has none or the other's is chosen."""

_TAKEN = ("account_id", "qualification", "nomination")
"""Fields the survivor gets when it has none; they are not chosen by hand."""
_EARLIEST, _LATEST = ("contacted_at", "first_touch_at"), ("whatsapp_inbound_at",)
_SIDE_BY_SIDE = ("undeliverable", "name_flags")
_NAMED = ("metadata", "custom_fields")
_AHEAD = (LeadStatus.CONTACTED, LeadStatus.QUALIFIED)


class Difference(Value):
    """A field in which the two differed: what stands, and what the other one had."""

    field: str
    kept: str
    other: str


def require_mergeable(survivor: Lead, other: Lead, read: Mapping[str, int]) -> None:
    """Raises Refused, saying why these two are not merged this way round, and VersionConflict for one that is not as it
    was `read` (versions by id)."""
    if survivor.id == other.id:
        raise Refused("a lead is not merged with itself")
    for lead in (survivor, other):
        if lead.merged_into:
            raise Refused(f"lead {lead.id} was merged already", {"merged_into": lead.merged_into})
        if lead.version != read.get(lead.id, lead.version):
            raise VersionConflict(f"lead {lead.id} was changed since it was compared", lead.version)
    if other.status is LeadStatus.CONVERTED:
        both = survivor.status is LeadStatus.CONVERTED
        way = "undo one conversion first" if both else "let it survive"
        raise Refused(f"lead {other.id} was converted: {way}")


def together(survivor: Lead, other: Lead, theirs: frozenset[str]) -> tuple[dict[str, Any], tuple[Difference, ...]]:
    """What changes on the survivor, and in what the two differed. `theirs` are the fields whose other value is to
    stand."""
    changes: dict[str, Any] = {}
    differences: list[Difference] = []
    for name in CHOSEN:
        mine, said = getattr(survivor, name), getattr(other, name)
        if said and (not mine or (name in theirs and said != mine)):
            changes[name] = said
        if mine and said and mine != said:
            stands, left = (said, mine) if name in theirs else (mine, said)
            differences.append(Difference(field=name, kept=str(stands), other=str(left)))
    changes |= {name: getattr(other, name) for name in _TAKEN if getattr(other, name) and not getattr(survivor, name)}
    changes |= _times(survivor, other, _EARLIEST, min) | _times(survivor, other, _LATEST, max)
    for name in _SIDE_BY_SIDE:
        changes[name] = tuple(dict.fromkeys((*getattr(survivor, name), *getattr(other, name))))
    for name in _NAMED:
        changes[name] = {**getattr(other, name), **getattr(survivor, name)}
    done = {(each.event, each.ref, each.at): each for each in (*survivor.engagement, *other.engagement)}
    changes["engagement"] = kept(done.values())
    if survivor.status is LeadStatus.NEW and other.status in _AHEAD:
        changes["status"] = other.status
    merged = (*survivor.merged_from, *other.merged_from, other.id)  # the last merge stands last
    names = (*other.resembles, *survivor.resembles)
    changes["merged_from"] = merged
    changes["resembles"] = tuple(
        {each.lead_id: each for each in names if each.lead_id not in (survivor.id, *merged)}.values()
    )[:5]
    return {name: value for name, value in changes.items() if value != getattr(survivor, name)}, tuple(differences)


def apart(now: Lead, after: Lead, before: Lead) -> dict[str, Any]:
    """What changes on the survivor when a merge is undone: what still is as the merge left it is as it was before;
    what was changed since stays as it is."""
    own = {"id", "version", "created_at", "modified_at", "merged_from", "engagement"}
    changes = {
        name: getattr(before, name)
        for name in Lead.model_fields
        if name not in own and getattr(now, name) == getattr(after, name) != getattr(before, name)
    }
    since = tuple(done for done in now.engagement if done not in after.engagement)
    changes["engagement"] = kept((*before.engagement, *since))
    changes["merged_from"] = before.merged_from
    return changes


def consents_together(
    survivor: ConsentRecord | None, other: ConsentRecord | None, now: datetime
) -> tuple[tuple[Consent, ...], bool]:
    """Everything either said, in the order in which it was said, and whether either is not to be disturbed. The last
    word stands, so an older grant does not overrule a refusal; nor does a later one that came by the public form,
    where anybody can write anybody's address, or with a list."""
    mine, theirs = (record.entries if record else () for record in (survivor, other))
    entries = list(_in_time((*mine, *theirs)))
    last = {(said.channel, said.purpose): said for said in entries}
    for subject, said in last.items():
        refused = [
            stood
            for record in (survivor, other)
            if record and (stood := record.standing(*subject)) is not None and not stood.granted
        ]
        if said.granted and said.source in BY_OTHERS and refused:
            evidence = f"merge: what came by {said.source} lifts no refusal"
            entries.append(refused[-1].model_copy(update={"at": now, "evidence": evidence}))
    return tuple(entries), any(record.do_not_disturb for record in (survivor, other) if record)


def refused_since(now: Sequence[Consent], after: Sequence[Consent]) -> tuple[Consent, ...]:
    """What was refused while two were one: it holds for both. What was agreed to holds for neither, since nobody knows
    which of them said so: each stands by what they had said before, until they say it anew."""
    return tuple(said for said in now[len(after) :] if not said.granted)


def _in_time(entries: Sequence[Consent]) -> list[Consent]:
    """Of what was said at one moment, a refusal comes last."""
    return sorted(entries, key=lambda said: (said.at, not said.granted))


def _times(
    survivor: Lead, other: Lead, names: Sequence[str], choose: Callable[[Sequence[datetime]], datetime]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        known = [at for at in (getattr(survivor, name), getattr(other, name)) if at is not None]
        if known:
            found[name] = choose(known)
    return found
