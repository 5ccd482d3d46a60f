"""Sixteen workers that make leads one by one and in blocks, and sometimes die in the middle of one.

`run` makes a given number of leads, the last of them after the dead were found; what is left over by then is nothing.
"""

import random
import threading
import time
from collections.abc import Sequence

from revops.adapters.scan import TableScan
from revops.crm.intake import SubmitLead
from revops.crm.model import Lead
from revops.crm.store import LEADS
from revops.crm.submission import LeadSubmission
from revops.crm.tickets import BlockTickets, LeaseTickets
from revops.kernel import RandomIds
from revops.settings import SettingsReader
from revops.table.dynamo import DynamoTable
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, FixedRoster, submission

WORKERS = 16
LAST = 100
"""Leads that are made once the dead are found: more than they can have left behind."""


class Crew:
    """The workers over one table. `died` are those whose block was left behind, `settled` is how many were found."""

    def __init__(self, table: DynamoTable, sellers: Sequence[str]) -> None:
        self.table, self.clock, self.sellers = table, ManualClock(), list(sellers)
        self.leases = LeaseTickets(table, self.clock)
        self.died: list[BlockTickets] = []
        self.settled = 0
        self._lock = threading.Lock()
        self._left = 0
        self._failures: list[Exception] = []

    def run(self, wanted: int) -> list[Lead]:
        """Makes `wanted` leads; all of the table's. Raises what a worker failed with."""
        self._left = wanted - LAST
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
        self.clock.advance(minutes=20)
        self.settled = self.leases.settle()
        submit, late = self._submit(), self.died[:3]
        for number, tickets in enumerate(late):  # some of the dead were only slow: they go on with what they held
            submit(_somebody(f"late-{number}"), CALL, tickets)
            tickets.close()
        for number in range(LAST - len(late)):
            submit(_somebody(f"last-{number}"), CALL)
        return all_leads(self.table)

    def _submit(self) -> SubmitLead:
        settings, roster = SettingsReader(self.table), FixedRoster(*self.sellers)
        return SubmitLead(self.table, self.clock, RandomIds(), settings, roster, sleep=time.sleep)

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        submit, made = self._submit(), 0
        try:
            while (count := self._share(chance.choice((1, 1, 5, 12)))) > 0:
                tickets = None
                if count > 1:
                    asked = count + chance.randrange(4)  # some rows of a file turn out to be known people
                    tickets = BlockTickets(self.leases, self.clock, f"IMP_{number}:{made}", {"sdr": asked})
                for _ in range(count):
                    made += 1
                    submit(_somebody(f"{number}-{made}"), CALL, tickets)
                if tickets is not None and chance.random() < 0.3:
                    self.died.append(tickets)
                elif tickets is not None:
                    tickets.close()
        except Exception as error:  # the thread must not swallow what went wrong
            self._failures.append(error)

    def _share(self, wanted: int) -> int:
        with self._lock:
            count = min(wanted, self._left)
            self._left -= count
            return count


def all_leads(table: DynamoTable) -> list[Lead]:
    """Every lead of a table."""
    scan, rows, after = TableScan(table), [], ""
    while True:
        page = scan.scan(after, 1000)
        rows += [row for row in page.rows if row.kind == LEADS.kind]
        if not page.last:
            return LEADS.load_all(rows)
        after = page.last


def _somebody(name: str) -> LeadSubmission:
    """Somebody nobody knows, who resembles nobody."""
    return submission(
        email=f"p{name}@x{name}.example", phone="", first_name=f"F{name}", last_name=f"L{name}", company=f"C{name}"
    )
