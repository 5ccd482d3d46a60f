"""Whether size matters: intake and the dashboard's counts on a small and on a large table."""

import gzip
import json
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from revops.access import Policy
from revops.adapters.roster import TableRoster
from revops.analytics import ReadCounts, rollup_key
from revops.crm.intake import SubmitLead
from revops.crm.model import Channel
from revops.crm.submission import AttributionClaim, ConsentStatement, LeadSubmission
from revops.kernel import CallContext, Principal, RandomIds, Role, SystemClock
from revops.settings import SettingsReader
from revops.table import Key
from revops.table import Row as TableRow
from revops.table.dynamo import DynamoTable
from tests.bench.measure import Pair, Row, side_by_side, wall
from tests.bench.sample import OWNERS, Leads
from tests.builders.dynoxide import REGION, dynoxide_binary, table_properties
from tests.builders.loopback import free_port

SMALL, LARGE = 1_000, 100_000
CALL = CallContext(Principal("key:partner", Role.INTEGRATION), request_id="req-1", ip="203.0.113.9", user_agent="bench")
SUBMISSIONS = 150


def rows(seed: int) -> list[Row]:
    """Intake and counts on 1,000 leads and on 100,000, in one engine, turn by turn.

    The tables are filled by importing them (the engine's own import of DynamoDB exports) with every row that intake
    writes for a lead: some 700,000 rows in the large one. Wall time, because the engine's work is what size could
    change. Intake: the whole `SubmitLead` of new, complete partner leads, one after another, medians of five rounds.
    Counts: `ReadCounts` for a manager with eight people, that is one BatchGet of nine folded items, over the same
    BatchGet through the same client with its answer left as it came.
    """
    with _filled(seed) as (small, large, seconds):
        return [
            _intake(small, large, seed, seconds),
            _counts(small, SMALL),
            _counts(large, LARGE),
        ]


def _intake(small: DynamoTable, large: DynamoTable, seed: int, seconds: float) -> Row:
    stream = Leads(seed + 1)
    clock = SystemClock()
    submits = [
        SubmitLead(table, clock, RandomIds(), SettingsReader(table), TableRoster(table, clock))
        for table in (large, small)
    ]
    numbers = iter(range(10**6, 10**7))

    def one(submit: SubmitLead) -> None:
        submit(_submission(stream, next(numbers)), CALL)

    samples: list[list[float]] = [[], []]
    for _ in range(10):
        for submit in submits:
            one(submit)
    for turn in range(5):
        times: list[list[float]] = [[], []]
        for _ in range(SUBMISSIONS // 5):
            for side in (0, 1) if turn % 2 else (1, 0):
                started = wall()
                one(submits[side])
                times[side].append(wall() - started)
        for side in (0, 1):
            samples[side].append(sorted(times[side])[len(times[side]) // 2])
    pair = Pair(tuple(samples[0]), tuple(samples[1]))
    name = f"intake latency at {LARGE:,} leads over {SMALL:,}"
    return pair.row(name, 1.1, 1e3, "ms", **{"filled in s": round(seconds)})


def _counts(table: DynamoTable, size: int) -> Row:
    manager = Principal("manager", Role.SALES_MANAGER, "TEAM_1", frozenset(OWNERS))
    call = CallContext(manager, request_id="req-1")
    read = ReadCounts(table, Policy())
    keys = [rollup_key(f"leads:{owner}") for owner in (*OWNERS, "manager")]
    raw = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in keys]
    client: Any = table.connection.client
    assert sum(read.leads_by_status(call).values()) == size
    pair = side_by_side(
        lambda: read.leads_by_status(call),
        lambda: client.batch_get_item(RequestItems={table.name: {"Keys": raw, "ConsistentRead": False}}),
        rounds=9,
        times=80,
        clock=wall,
    )
    return pair.row(f"counts of {size:,} leads over one BatchGet of the folded items", 1.2)


def _submission(stream: Leads, number: int) -> LeadSubmission:
    return LeadSubmission(
        channel=Channel.PARTNER,
        consents=(ConsentStatement(channel="email", granted=True, wording_version="2026-03"),),
        attribution=AttributionClaim(source="Partner One", campaign="autumn", medium="referral", term="crm"),
        idempotency_key=f"lead-{number}",
        **stream.fields(number),
    )


# -- filling -------------------------------------------------------------------------------------------------------


@contextmanager
def _filled(seed: int) -> Iterator[tuple[DynamoTable, DynamoTable, float]]:
    """An engine of its own with both tables, the small and the large one, and how long that took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        properties = {name: value for name, value in table_properties().items() if name != "StreamSpecification"}
        schemas = [{"Table": {"TableName": name, **properties}} for name in ("small", "large")]
        (place / "schema.json").write_text(json.dumps(schemas))
        for name, count in (("small", SMALL), ("large", LARGE)):
            _export(place / "export" / name / "data", count, seed)
        port = free_port()
        command = [str(dynoxide_binary()), "import", "--source", str(place / "export"), "--schema"]
        command += [str(place / "schema.json"), "--serve", "--port", str(port)]
        engine = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            _wait(engine, port)
            endpoint = f"http://127.0.0.1:{port}"
            tables = [DynamoTable(name, REGION, endpoint) for name in ("small", "large")]
            yield tables[0], tables[1], time.monotonic() - started
        finally:
            engine.terminate()
            engine.wait(10)


def _export(folder: Path, count: int, seed: int) -> None:
    """The rows of so many leads and their counters, in the form of a DynamoDB export to S3."""
    folder.mkdir(parents=True)
    stream = Leads(seed)
    counted: Counter[str] = Counter()
    with gzip.open(folder / "rows.json.gz", "wt", compresslevel=1) as file:

        def write(row: TableRow) -> None:
            file.write(json.dumps({"Item": row.to_raw()}) + "\n")

        for number in range(count):
            lead = stream.lead(number)
            counted[lead.owner_id] += 1
            for row in stream.rows_of(lead):
                write(row)
        for owner, leads in counted.items():
            key = rollup_key(f"leads:{owner}")
            write(TableRow(pk=key.pk, sk=key.sk, kind="ROLLUP", counters={"New": leads}))


def _wait(engine: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and engine.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 0.5):
                break
        except OSError:
            time.sleep(0.2)
    else:
        raise RuntimeError("the engine did not serve what it was to import")
    DynamoTable("large", REGION, f"http://127.0.0.1:{port}").get(Key("HEALTH", "HEALTH"))
