"""Fair shares of new leads: how far counts differ, and how often the shared row of a pool is written for it."""

from collections import Counter

from revops.crm.tickets import ticket_key
from tests.bench.measure import Row
from tests.builders.crew import WORKERS, Crew
from tests.builders.dynoxide import DynoxideServer

WANTED = 1000
SELLERS = [f"sdr-{number}" for number in range(7)]


def rows(engine: DynoxideServer) -> list[Row]:
    """1,000 leads through the whole `SubmitLead` by 16 workers over one table and seven sellers: half of the turns one
    by one, half in blocks of 5 or 12, three blocks in ten left behind by a holder that dies and found by the schedule,
    some of the dead only slow. The difference is between the seller with most leads and the one with fewest."""
    table = engine.create_table()
    crew = Crew(table, SELLERS)
    owners = Counter(lead.owner_id for lead in crew.run(WANTED))
    pool = table.get(ticket_key("sdr"))
    engine.drop_table(table)
    apart = max(owners.values()) - min(owners[seller] for seller in SELLERS)
    return [
        Row(
            f"fairness: {WANTED:,} leads by {WORKERS} workers, counts apart",
            apart,
            "leads",
            1,
            details={
                "blocks left behind and found": f"{len(crew.died)} / {crew.settled}",
                "writes of the pool's row": pool.version if pool else 0,
            },
        )
    ]
