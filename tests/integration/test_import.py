"""Imports over the engine: every row its verdict, under a budget of memory, in the presence of others."""

import os
from collections import Counter

import pytest

from revops.adapters.scan import TableScan
from revops.channels.imports.model import ImportState, RowVerdict
from revops.kernel import RandomIds, SystemClock
from tests.builders.dynoxide import DynoxideServer
from tests.builders.imports import Importing
from tests.builders.lists import Expected, csv_file

ROWS = 1_000 * int(os.environ.get("REVOPS_SCALE", "1"))


@pytest.mark.mission("CAP-7", "CAP-8", "CAP-9", "CAP-10", "CAP-11", "CAP-12")
@pytest.mark.fault("R30", "R24")
def test_a_long_list_with_every_kind_of_broken_row(dynoxide: DynoxideServer) -> None:
    """Every verdict is the one its row deserves, owners get the same number, and the same list again adds nobody.
    `REVOPS_SCALE=100` makes it 100,000 rows."""
    table = dynoxide.create_table(stream=False)
    importing = Importing(table, "sdr-1", "sdr-2", "sdr-3", clock=SystemClock(), ids=RandomIds(), chunk=400)
    content, expected, kinds = csv_file(20261120, ROWS)
    assert len(kinds) == 26, kinds
    import_id = importing.bring(content)
    status = importing.status(import_id)
    assert status.job.state is ImportState.COMPLETED
    assert status.progress.counts == Counter(each.verdict for each in expected)
    got = {verdict.row: verdict for verdict in importing.verdicts(import_id)}
    assert len(got) == len(expected)
    off = [each for each in expected if not _fits(each, got)]
    assert off == []
    stood = _leads(importing)
    assert len(stood) == sum(each.verdict in ("stored", "pending") for each in expected)
    owners = Counter(stood.values())
    assert max(owners.values()) - min(owners.values()) <= 1
    importing.bring(content)
    assert _leads(importing) == stood
    if ROWS <= 4_000:  # another file with the same people: each of them is looked up anew
        importing.bring(content + b"\r\n")
        assert _leads(importing) == stood


def _fits(each: Expected, got: dict[int, RowVerdict]) -> bool:
    said = got[each.row]
    rule = said.issue.rule if said.issue else ""
    joins = not each.joins or said.lead_id == got[each.joins].lead_id
    return (said.verdict, rule) == (each.verdict, each.rule) and joins


def _leads(importing: Importing) -> dict[str, str]:
    """Lead → owner, of all there are."""
    found: dict[str, str] = {}
    scan, after = TableScan(importing.table), ""  # type: ignore[arg-type]  # the engine's table
    while True:
        page = scan.scan(after, 1_000)
        found.update({row.pk: row.index["gsi1"][0] for row in page.rows if row.kind == "LEAD"})
        if not page.last:
            return found
        after = page.last
