"""What a new lead costs at DynamoDB: its own transaction, and everything the stream makes of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from revops.access import USERS
from revops.access.model import User
from revops.access.store import place_user
from revops.adapters.people import MarkPeopleDirty
from revops.adapters.roster import TableRoster
from revops.analytics import ApplyRollups
from revops.audit import WriteAudit
from revops.bootstrap import AUDITED, events_of
from revops.catalogue import Event
from revops.crm.intake import SubmitLead
from revops.crm.model import Channel
from revops.crm.submission import AttributionClaim, ConsentStatement, LeadSubmission
from revops.kernel import CallContext, Principal, RandomIds, Role, SystemClock
from revops.settings import SettingsReader
from revops.stream import KeepDeadLetter, RelayChanges
from revops.table import begin as begin_transaction
from revops.table import parse_record
from tests.bench.measure import Row
from tests.bench.sample import Leads
from tests.bench.wire import Meter, metered
from tests.builders.dynoxide import DynoxideServer

LEADS = 40
BATCH = 10
CALL = CallContext(Principal("key:partner", Role.INTEGRATION), request_id="req-1", ip="203.0.113.9", user_agent="bench")

# USD per million request units, on demand, Standard class, Europe (London).
# Published at https://aws.amazon.com/dynamodb/pricing/on-demand/; entered by hand and not verified against it: check
# there before quoting the figure.
WRITE_PRICE = 0.7423
READ_PRICE = 0.1485


class _Outside:
    """The bus, the queues and the blob store: they take everything and cost nothing at the table."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()

    def publish(self, events: Sequence[Event]) -> list[int]:
        self.events.update(event.name for event in events)
        return []

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        self.messages[queue] += len(messages)
        return []

    def put(self, name: str, content: bytes, content_type: str) -> None:
        raise RuntimeError("a record was isolated")

    def get(self, name: str) -> bytes:
        raise KeyError(name)


def rows(engine: DynoxideServer, seed: int) -> list[Row]:
    """Write and read units per new lead, as the engine reports them (ReturnConsumedCapacity INDEXES), the mean of 40
    complete partner leads; units are exact, so there is no noise.

    The request path: a warm function's whole `SubmitLead` (claims looked up, lookalikes searched, ticket read, one
    transaction: lead with its index entries, person, claim on the e-mail, claim on the partner's key, match entries,
    ticket). Everything it causes: that, and the real relay (audit entries, dirty marks) and the real rollups over
    the very stream records, in batches of 10 as a stream delivers them; then the relay and the rollups again over
    what *they* wrote, until nothing new comes. The push to HubSpot is a worker's and is not in it.
    Money is write and read request units only, on demand in eu-west-2 at the constants above.
    """
    table = engine.create_table()
    clock, settings = SystemClock(), SettingsReader(table)
    _people(table)
    submit = SubmitLead(table, clock, RandomIds(), settings, TableRoster(table, clock))
    stream = Leads(seed)
    submit(_submission(stream, 0), CALL)  # a warm function has its settings and its roster
    seen = len(engine.stream_records(table))
    with metered(table) as own:
        for number in range(1, LEADS + 1):
            submit(_submission(stream, number), CALL)
    outside = _Outside()
    relay = RelayChanges(
        audited=AUDITED,
        events_of=events_of(),
        write_audit=WriteAudit(table, clock),
        bus=outside,
        queues=outside,
        mark_dirty=MarkPeopleDirty(table, clock, settings),
        keep_dead_letter=KeepDeadLetter(table, clock, outside),
    )
    rollups = ApplyRollups(table, clock)
    with metered(table) as relayed:
        fresh = engine.stream_records(table)[seen:]
    kinds = Counter(record["dynamodb"]["NewImage"]["kind"]["S"] for record in fresh)
    rolled = Meter()
    while fresh:
        seen += len(fresh)
        with metered(table) as part:
            for start in range(0, len(fresh), BATCH):
                relay(fresh[start : start + BATCH])
        _add(relayed, part)
        with metered(table) as part:
            for start in range(0, len(fresh), BATCH):
                rollups([parse_record(record) for record in fresh[start : start + BATCH]])
        _add(rolled, part)
        fresh = engine.stream_records(table)[seen:]
    engine.drop_table(table)
    contents = _each(kinds)
    whole = own.write_units + relayed.write_units + rolled.write_units
    reads = own.read_units + relayed.read_units + rolled.read_units
    dollars = (whole * WRITE_PRICE + reads * READ_PRICE) / LEADS / 1e6 * 1000
    return [
        Row(
            "capacity per new lead: its transaction",
            own.write_units / LEADS,
            "WCU",
            28,
            details=_where(own) | {"rows": contents},
        ),
        Row(
            "capacity per new lead: everything it causes",
            whole / LEADS,
            "WCU",
            64,
            details={
                "relay (audit, marks) WCU": round(relayed.write_units / LEADS, 2),
                "rollups WCU": round(rolled.write_units / LEADS, 2),
                "all reads RCU": round(reads / LEADS, 2),
                "events": _each(outside.events),
            },
        ),
        Row(
            "reads on the request path of a new lead",
            own.read_units / LEADS,
            "RCU",
            4,
            details={
                "operations": ", ".join(f"{n / LEADS:g} {name}" for name, n in sorted(Counter(own.operations).items()))
            },
        ),
        Row("DynamoDB requests per 1,000 leads (eu-west-2, on demand)", dollars, "USD"),
    ]


def _people(table: Any) -> None:
    now = datetime.now(UTC)
    for number in range(4):
        user = User(
            id=f"user-{number}", created_at=now, modified_at=now, name="N", email="", role=Role.SDR, team_id="TEAM_1"
        )
        transaction = begin_transaction(CALL, now)
        USERS.create(transaction, user)
        place_user(transaction, user, None)
        table.commit(transaction)


def _submission(stream: Leads, number: int) -> LeadSubmission:
    fields = stream.fields(number)
    return LeadSubmission(
        channel=Channel.PARTNER,
        consents=(ConsentStatement(channel="email", granted=True, wording_version="2026-03"),),
        attribution=AttributionClaim(source="Partner One", campaign="autumn", medium="referral", term="crm"),
        idempotency_key=f"lead-{number}",
        **fields,
    )


def _where(meter: Meter) -> dict[str, float | str]:
    return {f"{name} WCU": round(units / LEADS, 2) for name, units in sorted(meter.written.items())}


def _each(counts: Counter[str]) -> str:
    """How many of each a lead has."""
    return ", ".join(f"{count / LEADS:g} {name}" for name, count in sorted(counts.items()))


def _add(total: Meter, part: Meter) -> None:
    total.operations += part.operations
    for mine, theirs in ((total.written, part.written), (total.read, part.read)):
        for name, units in theirs.items():
            mine[name] = mine.get(name, 0.0) + units
