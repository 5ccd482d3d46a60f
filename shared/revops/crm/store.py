"""Where the CRM's records stand.

| item | pk | sk |
|---|---|---|
| lead | LEAD#<id> | LEAD |
| further submission of a lead | LEAD#<id> | SUBMISSION#<time>#<id> |
| person | PERSON#<id> | ROLES |
| match entry | MATCH#<hash of a blocking key> | FIRST, or <person> where somebody stands there already |
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
| gsi3 | ACCOUNTS#NAME#<hash of the name's first word> | id | active accounts that may have a company's name |

List sorts are closed: leads by `created` or by `score` (which always goes through a status); deals and accounts by
`created`. A team's list merges its members' partitions. A converted lead is archived: it leaves the lists by `created`
and stays in those by status; a merged one stands in none. Contacts and deals that are not active stand in no list.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from revops.crm.model import CLOSED_STATUSES, Account, Contact, Lead, LeadStatus, Opportunity
from revops.crm.normalise import company_core
from revops.kernel import time_text
from revops.table import (
    ABSENT,
    ANYTHING,
    Entity,
    EntityKind,
    Index,
    Key,
    Query,
    Row,
    Table,
    Transaction,
    due_index,
    query_all,
    shard_of,
)

OPEN_STATUSES = (LeadStatus.NEW, LeadStatus.CONTACTED, LeadStatus.QUALIFIED, LeadStatus.RECYCLED)
"""Statuses of leads that somebody still works on; what a list by score shows unless told otherwise."""
LEAD_SHARDS = 4
_LONGEST_ID = 256
_MERGES = 100
"""How many leads may have gone one into the other before nobody is looked for any more."""

MATCH = "MATCH"
FIRST = "FIRST"
"""Where the first entry of a blocking key stands, so that one read of many keys tells which of them are vacant."""
PERSON = "PERSON"


def lead_key(identifier: str) -> Key:
    """Where a lead stands."""
    return Key(f"LEAD#{identifier}", "LEAD")


def _lead_index(lead: Lead) -> Index:
    if lead.merged_into:
        return {}
    created = f"{time_text(lead.created_at)}#{lead.id}"
    ranked = f"{lead.score:03d}#{created}"
    shard = shard_of(lead.id, LEAD_SHARDS)
    index = {
        "gsi2": (f"LEADS#OWNER#{lead.owner_id}#{lead.status}", ranked),
        "gsi4": (f"LEADS#ALL#{lead.status}#{shard}", ranked),
    }
    if lead.status is not LeadStatus.CONVERTED:
        index["gsi1"] = (f"LEADS#OWNER#{lead.owner_id}", created)
        index["gsi3"] = (f"LEADS#ALL#{shard}", created)
    if lead.rescore_at is not None:
        index["due"] = due_index("score", lead.rescore_at, lead_key(lead.id))
    return index


LEADS = EntityKind[Lead](kind="LEAD", title="lead", model=Lead, key=lead_key, index=_lead_index)


def standing_at(table: Table, identifier: str) -> Lead | None:
    """The lead of an id, or the one it went into."""
    lead = LEADS.get(table, identifier)
    return standing(table, lead) if lead is not None else None


def standing(table: Table, lead: Lead) -> Lead | None:
    """The lead a merged one went into, as it stands now; any other as it is. None for those that went into each other
    in a ring: nobody stands there."""
    found: Lead | None = lead
    for _ in range(_MERGES):
        if found is None or not found.merged_into:
            return found
        found = LEADS.get(table, found.merged_into)
    return None


def closed_lead_keys(table: Table, most: int, statuses: Sequence[LeadStatus] = CLOSED_STATUSES) -> list[Key]:
    """Keys of at most `most` closed leads, those created last: what a model is trained on. The keys of all of them are
    read, and nothing else."""
    found: list[tuple[str, Key]] = []
    for status in statuses:
        for shard in range(LEAD_SHARDS):
            query = Query(pk=f"LEADS#ALL#{status}#{shard}", index="gsi4", limit=1000, documents=False)
            found += [(row.index["gsi4"][1].partition("#")[2], row.key) for row in query_all(table, query)]
    return [key for _, key in sorted(found, reverse=True)[:most]]


def lead_keys_from(table: Table, shard: int, low: str, limit: int) -> list[tuple[str, Key]]:
    """The next leads of a shard in the order of their creation, each with its place in that order; `low` is a time or
    the place after which to go on."""
    query = Query(pk=f"LEADS#ALL#{shard}", index="gsi3", low=low, limit=limit, documents=False)
    return [(row.index["gsi3"][1], row.key) for row in table.query(query).rows]


class Submission(Entity):
    """A further submission of somebody who was a lead already: evidence that it came, and what it said that does not
    stand on the lead: `fields` of a lead that stand there otherwise, and what it said beside them (CAP-10)."""

    lead_id: str
    channel: str
    source: str
    campaign: str
    fields: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)


SUBMISSION = "SUBMISSION"


def submission_row(submission: Submission) -> Row:
    """A further submission stands under its lead."""
    return Row(
        pk=f"LEAD#{submission.lead_id}",
        sk=f"SUBMISSION#{time_text(submission.created_at)}#{submission.id}",
        kind=SUBMISSION,
        doc=submission.model_dump_json(exclude_none=True),
    )


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


def match_row(key: str, person_id: str, lead_id: str, place: str = "") -> Row:
    """Says that a person is found under a blocking key. Carries no data of the person."""
    doc = f'{{"lead":"{lead_id}","person":"{person_id}"}}'
    return Row(pk=f"MATCH#{key}", sk=place or person_id, kind=MATCH, doc=doc)


def match_key(key: str, place: str = FIRST) -> Key:
    """Where somebody stands under a blocking key: the first there, or a person."""
    return Key(f"MATCH#{key}", place)


def matched_lead(row: Row) -> str:
    """The lead of a match entry; an empty text where the first one left."""
    return str(json.loads(row.doc).get("lead", ""))


def vacant_keys(table: Table, keys: Sequence[str], consistent: bool = True) -> frozenset[str]:
    """The blocking keys under which nobody stands."""
    rows = table.get_many([match_key(key) for key in keys], consistent) if keys else []
    return frozenset(key for key, row in zip(keys, rows, strict=True) if row is None)


def person_row(person_id: str, *, lead_id: str = "", contact_id: str = "") -> Row:
    """Which roles a person has."""
    return Row(
        pk=f"PERSON#{person_id}", sk="ROLES", kind=PERSON, doc=f'{{"lead":"{lead_id}","contact":"{contact_id}"}}'
    )


def merged_into(table: Table, person_id: str) -> tuple[str, tuple[Row, ...]]:
    """The person whom a merged one is now (anybody else as they are), and the rows that say so, the standing one's
    own included: a merge and its undoing change one of them, so that whoever writes to the one for the sake of the
    other checks them in the same transaction."""
    said: list[Row] = []
    for _ in range(_MERGES):
        row = table.get(person_key(person_id)) if len(person_id) <= _LONGEST_ID else None
        if row is None or row in said:
            break
        said.append(row)
        into = json.loads(row.doc).get("merged_into", "")
        if not into:
            break
        person_id = into
    return person_id, tuple(said)


def person_key(person_id: str) -> Key:
    """Where it stands which roles a person has: lead, contact or both."""
    return Key(f"PERSON#{person_id}", "ROLES")


def account_name_key(name: str) -> str:
    """Under what an account is looked for by name: the hash of the first word that is no legal form."""
    return hashlib.sha256(f"account:{company_core(name).partition(' ')[0]}".encode()).hexdigest()[:32]


def with_contact(roles: Row, contact_id: str) -> Row:
    """A person's roles with another contact, one version on."""
    doc = json.dumps(json.loads(roles.doc) | {"contact": contact_id})
    return replace(roles, doc=doc, version=roles.version + 1)


def _account_index(account: Account) -> Index:
    index = {"gsi2": (f"ACCOUNTS#OWNER#{account.owner_id}", f"{time_text(account.created_at)}#{account.id}")}
    if account.active:
        index["gsi3"] = (f"ACCOUNTS#NAME#{account_name_key(account.name)}", account.id)
    return index


ACCOUNTS = EntityKind[Account](
    kind="ACCOUNT",
    title="account",
    model=Account,
    key=lambda identifier: Key(f"ACC#{identifier}", "ACCOUNT"),
    index=_account_index,
)


def _contact_index(contact: Contact) -> Index:
    if not contact.active:
        return {}
    return {"gsi1": (f"ACCOUNT#CONTACTS#{contact.account_id}", f"{time_text(contact.created_at)}#{contact.id}")}


CONTACTS = EntityKind[Contact](
    kind="CONTACT",
    title="contact",
    model=Contact,
    key=lambda identifier: Key(f"CON#{identifier}", "CONTACT"),
    index=_contact_index,
)


def contacts_of(table: Table, account_id: str, limit: int = 100) -> list[Contact]:
    """The active contacts of an account, the oldest first."""
    page = table.query(Query(pk=f"ACCOUNT#CONTACTS#{account_id}", index="gsi1", limit=limit, documents=False))
    return CONTACTS.load_all(table.get_many([row.key for row in page.rows]))


def accounts_named_like(table: Table, company: str, limit: int = 200) -> list[Account]:
    """The active accounts whose name begins with the same word as a company's."""
    query = Query(pk=f"ACCOUNTS#NAME#{account_name_key(company)}", index="gsi3", limit=limit, documents=False)
    found = ACCOUNTS.load_all(table.get_many([row.key for row in table.query(query).rows]))
    return [account for account in found if account.active]


def _opportunity_index(opportunity: Opportunity) -> Index:
    if not opportunity.active:
        return {}
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


def add_match_entries(
    transaction: Transaction, keys: Sequence[str], person_id: str, lead_id: str, vacant: frozenset[str]
) -> None:
    """Makes a person findable under blocking keys. Under a vacant one the person is the first; the commit fails with
    ConditionFailed when somebody else was."""
    for key in keys:
        if key in vacant:
            transaction.put(match_row(key, person_id, lead_id, FIRST), ABSENT)
        else:
            transaction.put(match_row(key, person_id, lead_id), ANYTHING)


def remove_match_entries(table: Table, transaction: Transaction, keys: Sequence[str], person_id: str) -> None:
    """Ends that a person is found under blocking keys. Where the person was the first, the place stays taken: others
    may stand behind."""
    for key, row in zip(keys, table.get_many([match_key(key) for key in keys]) if keys else (), strict=True):
        if row is not None and json.loads(row.doc).get("person") == person_id:
            transaction.put(Row(pk=row.pk, sk=FIRST, kind=MATCH, doc="{}"), ANYTHING)
        else:
            transaction.delete(match_key(key, person_id))
