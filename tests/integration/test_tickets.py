"""Fair shares under real concurrency: single leads, blocks, holders that die and holders that were only slow."""

from collections import Counter

import pytest

from revops.crm.tickets import Pool, ticket_key
from revops.table.dynamo import DynamoTable
from tests.builders.crew import Crew

WANTED = 400
"""The bench makes 1,000 of them (`fairness`)."""
SELLERS = [f"sdr-{number}" for number in range(7)]


@pytest.mark.mission("CAP-12")
@pytest.mark.fault("R3", "R18")
def test_leads_by_sixteen_workers_with_crashes_are_shared_to_within_one(dynamo_table: DynamoTable) -> None:
    crew = Crew(dynamo_table, SELLERS)
    leads = crew.run(WANTED)
    pool = Pool.of("sdr", dynamo_table.get(ticket_key("sdr")))
    owners = Counter(lead.owner_id for lead in leads)
    numbers = sorted(int(lead.assignment.explanation.rpartition(" ")[2]) for lead in leads)
    assert crew.died, "nobody died: the test shows nothing"
    assert crew.settled == len(crew.died)
    assert len(leads) == WANTED
    assert numbers == list(range(WANTED)), "a number was lost or given out twice"
    assert (pool.next, pool.back) == (WANTED, ())
    assert max(owners.values()) - min(owners[seller] for seller in SELLERS) <= 1
