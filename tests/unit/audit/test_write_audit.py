"""Sweeper and relay meet on one record: whichever entry stands, the chain goes on from that one."""

import pytest

from revops.audit import AuditEntry, WriteAudit, entries_of
from revops.audit.policies import verify_chain
from revops.table import Change, Page, Query, Row, Stamp
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

RECORD = "LEAD#1|LEAD"


def lead(version: int) -> Row:
    return Row("LEAD#1", "LEAD", "LEAD", version, f'{{"score":{version}}}', stamp=Stamp("t", "user"))


class OvertakenTable(MemoryTable):
    """A table where another writer comes between a look at the audit and the next entry."""

    overtake: object = None

    def query(self, query: Query) -> Page:
        page = super().query(query)
        if callable(self.overtake):
            overtake, self.overtake = self.overtake, None
            overtake()
        return page


@pytest.mark.mission("SAFE-3")
@pytest.mark.fault("R15")
def test_who_fills_a_gap_chains_to_the_entry_that_stands() -> None:
    table = OvertakenTable()
    write = WriteAudit(table, ManualClock())
    write(Change("", None, lead(1)))
    # The stream never said version 2 nor 3 to this writer; while it looks, the relay writes the true entry of 2.
    table.overtake = lambda: write(Change("", lead(1), lead(2)))
    write(Change("", lead(3), lead(4)))
    entries: list[AuditEntry] = list(entries_of(table, RECORD))
    assert [(entry.version, entry.gap) for entry in entries] == [(1, False), (2, False), (3, True), (4, False)]
    assert verify_chain(entries) == []
