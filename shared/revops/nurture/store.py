"""Where nurture stands.

| item | pk | sk | read by |
|---|---|---|---|
| enrolment | NURTURE#<id> | ENROLMENT | id, which is made of person, sequence and round |
| message | MESSAGE#<id> | MESSAGE | id, which is made of enrolment and step |

| index | partition | sort | list |
|---|---|---|---|
| gsi1 | ENROLMENTS#<lead> | created | the enrolments of a lead |
| gsi2 | ENROLMENTS#PERSON#<person> | created | those of a person |
| due | `nurture` | the next time somebody has to look | the job `nurture` |

Claim `nurture_message`: the vendor's id of a message, held by ours; by it a later word of the vendor finds the message.
Both ids are derived, so an enrolment and a message exist once without any further claim.
"""

from revops.kernel import time_text
from revops.nurture.model import Enrolment, Message
from revops.table import EntityKind, Index, Key, Query, Table, due_index

TOPIC = "nurture"
SENT_AS = "nurture_message"


def enrolment_key(identifier: str) -> Key:
    """Where an enrolment stands."""
    return Key(f"NURTURE#{identifier}", "ENROLMENT")


def _index(enrolment: Enrolment) -> Index:
    created = f"{time_text(enrolment.created_at)}#{enrolment.id}"
    index = {
        "gsi1": (f"ENROLMENTS#{enrolment.lead_id}", created),
        "gsi2": (f"ENROLMENTS#PERSON#{enrolment.person_id}", created),
    }
    if enrolment.next_at is not None:
        index["due"] = due_index(TOPIC, enrolment.next_at, enrolment_key(enrolment.id))
    return index


ENROLMENTS = EntityKind[Enrolment](
    kind="ENROLMENT", title="enrolment", model=Enrolment, key=enrolment_key, index=_index
)
MESSAGES = EntityKind[Message](
    kind="NURTURE_MESSAGE",
    title="message",
    model=Message,
    key=lambda identifier: Key(f"MESSAGE#{identifier}", "MESSAGE"),
)


def enrolments_of(table: Table, lead_id: str, limit: int = 25) -> list[Enrolment]:
    """The enrolments of a lead, the latest first."""
    page = table.query(Query(pk=f"ENROLMENTS#{lead_id}", index="gsi1", descending=True, limit=limit))
    return ENROLMENTS.load_all(table.get_many([row.key for row in page.rows]))


def enrolments_of_person(table: Table, person_id: str, limit: int = 25) -> list[Enrolment]:
    """The enrolments of a person, the latest first."""
    page = table.query(Query(pk=f"ENROLMENTS#PERSON#{person_id}", index="gsi2", descending=True, limit=limit))
    return ENROLMENTS.load_all(table.get_many([row.key for row in page.rows]))
