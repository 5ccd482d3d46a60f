"""Who gets a new lead: the account's owner, else a territory's people, else everybody in turn (CAP-12).

The turn is a ticket number, and who gets a ticket is a function of it, of the people and of their weights. So the
counts of any run of tickets over an unchanged team of equal weights differ by at most one; with weights, the first
tickets of any number give each the share of the weight to within one. Whoever joins or leaves starts no arrears: a
change of the team costs a difference of at most one more, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from revops.access import UNASSIGNED
from revops.crm.countries import country_code
from revops.crm.model import Assignment
from revops.crm.normalise import tidy
from revops.kernel import IN_ORDER, Role
from revops.settings import SettingsDocument

__all__ = [
    "OWNERS",
    "UNASSIGNED",
    "AssignmentRules",
    "Territory",
    "Traits",
    "Turn",
    "account_owner",
    "by_hand",
    "instead_of",
    "language_in",
    "members_named",
    "nobody",
    "one_round",
    "turn_for",
]

OWNERS = frozenset({Role.ADMIN, Role.SALES_MANAGER, Role.SALES_REP, Role.SDR})
"""Roles of those who may be named as the owner of a lead, or of an account and its deal."""

Weight = Annotated[int, Field(ge=0, le=10)]
_Words = Annotated[frozenset[Annotated[str, Field(max_length=120)]], IN_ORDER]


@dataclass(frozen=True, slots=True)
class Traits:
    """What the rules look at in a new lead. `language` is a tag such as `de` or `de-AT`, empty when nobody said."""

    country: str = ""
    industry: str = ""
    company_size: str = ""
    source: str = ""
    language: str = ""


def language_in(metadata: Mapping[str, str]) -> str:
    """The language a form says it was shown in: a tag under `language`, or a locale."""
    return (metadata.get("language") or metadata.get("locale", "")).replace("_", "-")


class Territory(BaseModel):
    """People who take some leads, in turn. A criterion that is empty asks for nothing; all that are not must fit.
    Countries are ISO codes or names; the rest is compared without regard to case, a language by its first part."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    countries: _Words = frozenset()
    industries: _Words = frozenset()
    company_sizes: _Words = frozenset()
    sources: _Words = frozenset()
    languages: _Words = frozenset()
    user_ids: tuple[str, ...]

    def takes(self, traits: Traits) -> bool:
        """Whether a lead with these traits is this territory's."""
        wanted = (
            (self.countries, traits.country, _country),
            (self.industries, traits.industry, _plain),
            (self.company_sizes, traits.company_size, _plain),
            (self.sources, traits.source, _plain),
            (self.languages, traits.language, _tongue),
        )
        return all(
            not words or (bool(said) and read(said) in {read(word) for word in words}) for words, said, read in wanted
        )


def _plain(said: str) -> str:
    return tidy(said).casefold()


@lru_cache(maxsize=1024)
def _country(said: str) -> str:
    return country_code(said) or _plain(said)


def _tongue(said: str) -> str:
    return _plain(said).replace("_", "-").partition("-")[0]


class AssignmentRules(SettingsDocument):
    """Territories are tried in order; who matches none goes to all SDRs in turn. `weights` says how many leads of a
    round somebody takes (user id → 0 to 10); one where nothing is said, and 0 takes none. `capacity` is how many
    leads somebody works on at most: whoever has as many is passed over while others have not. It is counted half a
    minute behind, so it is a brake and not a wall."""

    SETTING: ClassVar[str] = "assignment"

    territories: tuple[Territory, ...] = ()
    weights: dict[str, Weight] = Field(default_factory=dict)
    capacity: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)


class Turn(BaseModel):
    """Whose turn it is among whom: `pool` names the ticket counter, `weights` go with the members."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    pool: str
    members: tuple[str, ...]
    rule: str
    weights: tuple[int, ...] = ()

    def take(self, ticket: int) -> Assignment:
        """The owner for a ticket."""
        order = one_round(self.members, self.weights or (1,) * len(self.members))
        position = ticket % len(order)
        return Assignment(
            owner_id=order[position],
            rule=self.rule,
            explanation=f"{self.rule}: number {position + 1} of {len(order)}, ticket {ticket}",
        )


@lru_cache(maxsize=64)
def one_round(members: tuple[str, ...], weights: tuple[int, ...]) -> tuple[str, ...]:
    """The order of one round: everybody as often as their weight, spread evenly.

    After any number t of turns everybody has had their share of t to within one. Somebody's k-th turn lies between
    (k - 1) / share and k / share; of those whose next turn may come, the one whose must come first is next. That
    meets every deadline, because one turn is all that each needs at a time and the shares sum to one (Liu and
    Layland's schedule of unit jobs by earliest deadline).
    """
    common = gcd(*weights)
    shares = [weight // common for weight in weights]
    whole = sum(shares)
    had = [0] * len(members)
    order = []
    for turn in range(whole):
        ready = [n for n, share in enumerate(shares) if had[n] * whole < (turn + 1) * share]
        first = min(ready, key=lambda n: (-(-(had[n] + 1) * whole // shares[n]), n))
        had[first] += 1
        order.append(members[first])
    return tuple(order)


def turn_for(
    traits: Traits,
    rules: AssignmentRules,
    sdrs: Sequence[str],
    present: frozenset[str],
    full: frozenset[str] = frozenset(),
) -> Turn | None:
    """Among whom a new lead goes round; None when nobody is there. `present` are those of `members_named` and of the
    SDRs who are there, `full` those who work on as many leads as they can. A pool whose people are all full goes on
    among them: a lead waits for nobody."""
    for territory in rules.territories:
        if territory.takes(traits):
            name, people = territory.name, territory.user_ids
            turn = _turn(f"territory-{name}", f"territory {name}", people, rules, present, full)
            if turn is not None:
                return turn
    return _turn("sdr", "round-robin", sdrs, rules, present, full)


def members_named(rules: AssignmentRules) -> frozenset[str]:
    """Everybody whom a territory names, whatever their role."""
    return frozenset(user for territory in rules.territories for user in territory.user_ids)


def _turn(
    pool: str,
    rule: str,
    people: Sequence[str],
    rules: AssignmentRules,
    present: frozenset[str],
    full: frozenset[str],
) -> Turn | None:
    there = tuple(user for user in dict.fromkeys(people) if user in present and rules.weights.get(user, 1))
    members = tuple(user for user in there if user not in full) or there
    if not members:
        return None
    return Turn(pool=pool, members=members, rule=rule, weights=tuple(rules.weights.get(user, 1) for user in members))


def account_owner(owner_id: str, account_id: str) -> Assignment:
    """A person of an existing account goes to its owner."""
    return Assignment(owner_id=owner_id, rule="account owner", explanation=f"works at {account_id}")


def instead_of(assignment: Assignment, account_id: str) -> Assignment:
    """The owner found by the next rules, or nobody, because the account's own is away or has left."""
    explanation = f"works at {account_id}, whose owner is absent; {assignment.explanation}"
    return assignment.model_copy(update={"explanation": explanation})


def by_hand(owner_id: str, by: str, reason: str) -> Assignment:
    """Somebody handed the lead over."""
    return Assignment(owner_id=owner_id, rule="by hand", explanation=f"by {by}: {reason}")


def nobody() -> Assignment:
    """Nobody is there to take it."""
    return Assignment(
        owner_id=UNASSIGNED, rule="none present", explanation="nobody is there to take it; a manager hands it out"
    )
