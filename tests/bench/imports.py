"""Importing a list: the whole import over the bare transactions it makes, and the memory it takes."""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from revops.channels.imports.model import Verdict
from revops.channels.imports.store import LANES
from revops.kernel import RandomIds, SystemClock
from revops.table import Transaction
from revops.table.dynamo import DynamoTable
from tests.bench.measure import Pair, Row, wall
from tests.builders.dynoxide import DynoxideServer, running_dynoxide
from tests.builders.imports import ATTRIBUTION, Importing
from tests.builders.long_list import people_lines

ROWS = 10_000
ROUNDS = 3
MEMORY_ROWS, EVERY = 100_000, 20


class _Recording(DynamoTable):
    """The table, which keeps the transactions it commits."""

    kept: list[Transaction]

    def commit(self, transaction: Transaction) -> None:
        super().commit(transaction)
        self.kept.append(transaction)


def rows(seed: int) -> list[Row]:
    """10,000 new people, one CSV file, duplicate check and all, on an engine of its own for each half of a round, its
    stream off (the engine's writes slow down with the length of a stream). The floor: the very transactions of that
    import, built before, committed over as many lanes, to an empty table, and nothing else: no reading, no look-up.
    Wall time, because what is compared is who waits for whom; a round is import and floor, one after the other."""
    content = b"".join(people_lines(seed, ROWS))
    ours, floor, made = [], [], 0
    for _ in range(ROUNDS):
        with running_dynoxide() as engine:
            table = _table(engine)
            importing = Importing(table, "sdr-1", "sdr-2", clock=SystemClock(), ids=RandomIds(), chunk=400)
            started = wall()
            import_id = importing.bring(content)
            ours.append((wall() - started) / ROWS)
            assert importing.status(import_id).progress.counts[Verdict.STORED] == ROWS
        with running_dynoxide() as engine:
            empty = _table(engine)
            started = wall()
            _replay(empty, table.kept)
            floor.append((wall() - started) / ROWS)
            made = len(table.kept)
    pair = Pair(tuple(floor), tuple(ours))  # a speed over a speed: the floor's time over the import's
    row = pair.row(f"import of {ROWS:,} rows with duplicate check over its bare transactions", 0.85)
    details = {
        "import rows/s": round(1 / sorted(ours)[len(ours) // 2]),
        "floor rows/s": round(1 / sorted(floor)[len(floor) // 2]),
        "transactions": made,
    }
    return [
        Row(row.name, row.value, budget=0.85, at_least=True, low=row.low, high=row.high, details=dict(details)),
        *memory(seed),
    ]


def _table(engine: DynoxideServer) -> _Recording:
    made = engine.create_table(stream=False)
    table = _Recording(made.name, made.connection.region, engine.endpoint_url)
    table.connection._client = made.connection.client
    table.kept = []
    return table


def _replay(table: DynamoTable, transactions: list[Transaction]) -> None:
    """Commits transactions as the import did: each lane's one after the other, the lanes at once, and beside them
    what belongs to none (tickets, progress)."""
    lanes: dict[str, list[Transaction]] = {}
    for transaction in transactions:
        keys = transaction.keys()
        named = [key.sk for key in keys if key.sk.startswith("LANE#")]
        if len(named) > 1:  # the one that takes hold of every lane comes before them
            DynamoTable.commit(table, transaction)
        else:
            lanes.setdefault(named[0] if named else "", []).append(transaction)

    def one_by_one(lane: list[Transaction]) -> None:
        for transaction in lane:
            DynamoTable.commit(table, transaction)

    with ThreadPoolExecutor(LANES + 1) as pool:
        for _ in pool.map(one_by_one, lanes.values()):
            continue


def memory(seed: int) -> list[Row]:
    """The most memory a process holds while it imports a file of 100,000 rows, dry: every row read and judged, every
    20th of them a person who is looked up, the others without the consent they need."""
    found = []
    for kind in ("csv", "xlsx"):
        command = [sys.executable, "-m", "tests.bench.imports", kind, str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        peak, seconds = done.stdout.split()
        found.append(
            Row(
                f"memory of an import of {MEMORY_ROWS:,} rows as {kind}, dry",
                float(peak), "MiB", 256, details={"seconds": float(seconds)},
            )
        )  # fmt: skip
    return found


def _weigh(kind: str, seed: int) -> None:
    """Runs a dry import against an engine of its own and prints the peak of this process, and the seconds. The file
    is made by another process."""
    with running_dynoxide() as engine, tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"list.{kind}"
        subprocess.run(
            [sys.executable, "-m", "tests.builders.long_list", str(place), str(seed), str(MEMORY_ROWS), str(EVERY)],
            check=True,
        )
        importing = Importing(_table(engine), "sdr-1", clock=SystemClock(), ids=RandomIds(), chunk=400)
        import_id = importing.upload(b"", kind, attribution=ATTRIBUTION, dry_run=True)
        importing.files.on_disk(import_id, place)
        started = time.monotonic()
        importing.finish(import_id)
        assert importing.status(import_id).progress.rows == MEMORY_ROWS
        sys.stdout.write(f"{_peak():.1f} {time.monotonic() - started:.1f}\n")


def _peak() -> float:
    """The most memory this process held, in MiB. What `getrusage` says would begin with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    _weigh(sys.argv[1], int(sys.argv[2]))
