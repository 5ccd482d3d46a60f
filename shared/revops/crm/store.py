"""Where the CRM's records stand.

| item | pk | sk |
|---|---|---|
| lead | LEAD#<id> | LEAD |
| further submission of a lead | LEAD#<id> | SUBMISSION#<time>#<id> |
| person | PERSON#<id> | ROLES |
| match entry | MATCH#<hash of a blocking key> | <person> |
| assignment ticket | TICKET#<pool> | TICKET |
| account | ACC#<id> | ACCOUNT |
| contact | CON#<id> | CONTACT |
| opportunity | OPP#<id> | OPPORTUNITY |
| claims | `email`, `phone` (person without e-mail), `partner_key`, `domain` (account) | |

| index | partition | sort | list |
|---|---|---|---|
| gsi1 | LEADS#OWNER#<owner> | created | an owner's leads, newest first |
| gsi2 | LEADS#OWNER#<owner>#<status> | score, created | an owner's leads of a status, best first |
| gsi3 | LEADS#ALL#<shard> | created | everybody's leads, newest first |
| gsi4 | LEADS#ALL#<status>#<shard> | score, created | everybody's leads of a status, best first |
| due | `score` | the next time the rounded score changes | scheduled scoring |
| gsi1 | ACCOUNT#OPPS#<account>, ACCOUNT#CONTACTS#<account> | created | an account's deals and people |
| gsi2 | OPPS#OWNER#<owner>, ACCOUNTS#OWNER#<owner> | created | an owner's deals and accounts |

List sorts are closed: leads by `created` or by `score` (which always goes through a status); deals and accounts by
`created`. A team's list merges its members' partitions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from revops.crm.model import Account, Contact, Lead, LeadStatus, Opportunity
from revops.kernel import time_text
from revops.table import ANYTHING, Entity, EntityKind, Index, Key, Query, Row, Table, Transaction, due_index, shard_of

OPEN_STATUSES = (LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.QUALIFIED, LeadStatus.RECYCLED)
"""Statuses of leads that somebody still works on; what a list by score shows unless told otherwise."""
LEAD_SHARDS = 4

MATCH = "MATCH"
PERSON = "PERSON"
TICKET = "TICKET"
TICKET_PREFIX = "TICKET#"


def lead_key(identifier: str) -> Key:
    """Where a lead stands."""
    return Key(f"LEAD#{identifier}", "LEAD")


def _lead_index(lead: Lead) -> Index:
    created = f"{time_text(lead.created_at)}#{lead.id}"
    ranked = f"{lead.score:03d}#{created}"
    shard = shard_of(lead.id, LEAD_SHARDS)
    index = {
        "gsi1": (f"LEADS#OWNER#{lead.owner_id}", created),
        "gsi2": (f"LEADS#OWNER#{lead.owner_id}#{lead.status}", ranked),
        "gsi3": (f"LEADS#ALL#{shard}", created),
        "gsi4": (f"LEADS#ALL#{lead.status}#{shard}", ranked),
    }
    if lead.rescore_at is not None:
        index["due"] = due_index("score", lead.rescore_at, lead_key(lead.id))
    return index


LEADS = EntityKind[Lead](kind="LEAD", title="lead", model=Lead, key=lead_key, index=_lead_index)


class Submission(Entity):
    """A further submission of somebody who was a lead already: evidence that it came, and what it said of consent."""

    lead_id: str
    channel: str
    source: str
    campaign: str


SUBMISSION = "SUBMISSION"


def submission_row(submission: Submission) -> Row:
    """A further submission stands under its lead."""
    return Row(
        pk=f"LEAD#{submission.lead_id}",
        sk=f"SUBMISSION#{time_text(submission.created_at)}#{submission.id}",
        kind=SUBMISSION,
        doc=submission.model_dump_json(exclude_none=True),
    )


def submissions_of(table: Table, lead_id: str, limit: int = 100) -> list[Submission]:
    """The further submissions of a lead, newest first."""
    page = table.query(Query(pk=f"LEAD#{lead_id}", begins="SUBMISSION#", descending=True, limit=limit, consistent=True))
    return [Submission.model_validate_json(row.doc) for row in page.rows]


@dataclass(frozen=True, slots=True)
class LeadList:
    """One of the closed set of lead lists. `owners` None means everybody's."""

    owners: frozenset[str] | None
    by_score: bool = False
    statuses: Sequence[LeadStatus] = OPEN_STATUSES
    min_score: int = 0

    def partitions(self) -> dict[str, Query]:
        """Name → query of each partition that the list merges."""
        low = f"{self.min_score:03d}" if self.by_score and self.min_score else ""
        if self.owners is None:
            places = [str(shard) for shard in range(LEAD_SHARDS)]
            heads = {place: (f"LEADS#ALL#{place}", f"LEADS#ALL#{{status}}#{place}") for place in places}
            plain, ranked = "gsi3", "gsi4"
        else:
            heads = {owner: (f"LEADS#OWNER#{owner}", f"LEADS#OWNER#{owner}#{{status}}") for owner in self.owners}
            plain, ranked = "gsi1", "gsi2"
        if not self.by_score:
            return {name: Query(pk=head[0], index=plain, descending=True) for name, head in heads.items()}
        return {
            f"{name}/{status}": Query(pk=head[1].format(status=status), index=ranked, low=low, descending=True)
            for name, head in heads.items()
            for status in self.statuses
        }

    def rank(self, row: Row) -> str:
        """The sort text of a row of this list."""
        index = "gsi3" if self.owners is None else "gsi1"
        if self.by_score:
            index = "gsi4" if self.owners is None else "gsi2"
        return row.index[index][1]


def match_row(key: str, person_id: str, lead_id: str) -> Row:
    """Says that a person is found under a blocking key. Carries no data of the person."""
    return Row(pk=f"MATCH#{key}", sk=person_id, kind=MATCH, doc=f'{{"lead":"{lead_id}"}}')


def match_key(key: str, person_id: str) -> Key:
    """Where a person stands under a blocking key."""
    return Key(f"MATCH#{key}", person_id)


def ticket_key(pool: str) -> Key:
    """Where a pool's round-robin ticket stands: whose turn it is."""
    return Key(TICKET_PREFIX + pool, "TICKET")


def person_row(person_id: str, *, lead_id: str = "", contact_id: str = "") -> Row:
    """Which roles a person has."""
    return Row(
        pk=f"PERSON#{person_id}", sk="ROLES", kind=PERSON, doc=f'{{"lead":"{lead_id}","contact":"{contact_id}"}}'
    )


def person_key(person_id: str) -> Key:
    """Where it stands which roles a person has: lead, contact or both."""
    return Key(f"PERSON#{person_id}", "ROLES")


def _account_index(account: Account) -> Index:
    return {"gsi2": (f"ACCOUNTS#OWNER#{account.owner_id}", f"{time_text(account.created_at)}#{account.id}")}


ACCOUNTS = EntityKind[Account](
    kind="ACCOUNT",
    title="account",
    model=Account,
    key=lambda identifier: Key(f"ACC#{identifier}", "ACCOUNT"),
    index=_account_index,
)


def _contact_index(contact: Contact) -> Index:
    return {"gsi1": (f"ACCOUNT#CONTACTS#{contact.account_id}", f"{time_text(contact.created_at)}#{contact.id}")}


CONTACTS = EntityKind[Contact](
    kind="CONTACT",
    title="contact",
    model=Contact,
    key=lambda identifier: Key(f"CON#{identifier}", "CONTACT"),
    index=_contact_index,
)


def _opportunity_index(opportunity: Opportunity) -> Index:
    created = f"{time_text(opportunity.created_at)}#{opportunity.id}"
    return {
        "gsi1": (f"ACCOUNT#OPPS#{opportunity.account_id}", created),
        "gsi2": (f"OPPS#OWNER#{opportunity.owner_id}", created),
    }


OPPORTUNITIES = EntityKind[Opportunity](
    kind="OPPORTUNITY",
    title="opportunity",
    model=Opportunity,
    key=lambda identifier: Key(f"OPP#{identifier}", "OPPORTUNITY"),
    index=_opportunity_index,
)


def add_match_entries(transaction: Transaction, keys: Sequence[str], person_id: str, lead_id: str) -> None:
    """Makes a person findable under blocking keys."""
    for key in keys:
        transaction.put(match_row(key, person_id, lead_id), ANYTHING)
