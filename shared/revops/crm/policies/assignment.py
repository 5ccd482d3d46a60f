"""Who gets a new lead: the account's owner, else a territory's people, else everybody in turn (CAP-12).

The turn is a ticket number; the one who gets a ticket is a function of it and of the people, so the counts of any run
of tickets over an unchanged team differ by at most one.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from revops.crm.countries import country_code
from revops.crm.model import Assignment
from revops.settings import SettingsDocument

UNASSIGNED = "queue:unassigned"
"""The owner of a lead when nobody at all is there to take it; administrators see it, nothing is lost."""


class Territory(BaseModel):
    """People who take the leads of some countries, in turn."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    countries: frozenset[str]
    user_ids: tuple[str, ...]


class AssignmentRules(SettingsDocument):
    """Territories are tried in order; who matches none goes to all SDRs in turn."""

    SETTING: ClassVar[str] = "assignment"

    territories: tuple[Territory, ...] = ()


class Turn(BaseModel):
    """Whose turn it is among whom: `pool` names the ticket counter."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    pool: str
    members: tuple[str, ...]
    rule: str

    def take(self, ticket: int) -> Assignment:
        """The owner for a ticket."""
        position = ticket % len(self.members)
        return Assignment(
            owner_id=self.members[position],
            rule=self.rule,
            explanation=f"{self.rule}: number {position + 1} of {len(self.members)}, ticket {ticket}",
        )


def turn_for(country: str, rules: AssignmentRules, sdrs: Sequence[str], present: frozenset[str]) -> Turn | None:
    """Among whom a new lead goes round; None when nobody is there."""
    code = country_code(country)
    for territory in rules.territories:
        members = tuple(user for user in territory.user_ids if user in present)
        if code in territory.countries and members:
            return Turn(pool=f"territory-{territory.name}", members=members, rule=f"territory {territory.name}")
    return Turn(pool="sdr", members=tuple(sdrs), rule="round-robin") if sdrs else None


def account_owner(owner_id: str, account_id: str) -> Assignment:
    """A person of an existing account goes to its owner."""
    return Assignment(owner_id=owner_id, rule="account owner", explanation=f"works at {account_id}")


def nobody() -> Assignment:
    """Nobody is there to take it."""
    return Assignment(
        owner_id=UNASSIGNED, rule="none present", explanation="no active SDR; an administrator hands it out"
    )
