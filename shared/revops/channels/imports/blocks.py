"""Rows become leads, some ten in a transaction, each block together with the verdicts on its rows.

A row's verdict and its effects are one write, so a worker may be killed between any two. Blocks go out over a few
lanes at once, one at a time on each; a block that somebody else's submission made impossible is taken apart and its
rows go one by one. A chunk's people are looked up while the one before is written, and its blocks are sent behind the
last of that one's, so that no lane ever stands still; rows that might be one person never stand in one block, and the
second is looked up again once the first is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from revops.channels.imports.model import ImportJob, RowVerdict, Verdict
from revops.channels.imports.rows import ReadRow, refused
from revops.channels.imports.store import DRY_RUN_CLAIM, KEEP, Hold, block_row, lane_key, move_lane
from revops.crm.consent import ConsentRecord
from revops.crm.intake import LeadReceipt, SubmitLead
from revops.crm.many import FindKnown, Known
from revops.crm.model import DuplicateCheck, Lead, MatchVerdict, ValidationStatus
from revops.crm.policies.matching import Features
from revops.crm.reading import Reading, features_of
from revops.crm.store import LEADS
from revops.crm.tickets import BlockTickets, LeaseTickets
from revops.kernel import CallContext, Clock, Conflict, Invalid
from revops.table import ABSENT, ConditionFailed, Table, Transaction, begin, claim, claim_holder, claim_key

MAX_OPERATIONS = 92
"""Of the hundred of a transaction: what one more lead can add, and the verdicts and the lane, still fit."""
MAX_VERDICTS = 100
_ROOM = 12
"""Operations that one lead takes at most."""
_WORDS = {"email": "e-mail address", "phone": "phone, and no e-mail"}


class Superseded(Conflict):
    """Another worker took the import over; whatever this one still sends fails."""


@dataclass(slots=True)
class _Lane:
    """One block at a time, each under the version the one before left."""

    number: int
    version: int
    thread: Executor = field(default_factory=lambda: ThreadPoolExecutor(1))


@dataclass(frozen=True, slots=True)
class _Person:
    """A row that says who somebody is, and what is known of them. `before` is the row of a dry run that had the same
    exclusive value; `sought` and `found_by` are what might be the same person, and what this one is found by."""

    row: ReadRow
    reading: Reading
    known: Known
    before: str
    sought: frozenset[str]
    found_by: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A chunk of rows as it was looked up: verdicts of those that were refused, the people, and how many of
    them each pool will get at most."""

    refused: tuple[RowVerdict, ...]
    people: tuple[_Person, ...]
    expected: Mapping[str, int]


@dataclass(slots=True)
class _Block:
    """Rows that will be written together."""

    transaction: Transaction
    verdicts: list[RowVerdict] = field(default_factory=list)
    rows: list[tuple[ReadRow, Reading, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Sent:
    """What is under way of a chunk, and what its people are found by: while they may be on their way, and once they
    are there."""

    blocks: list[tuple[Future[list[RowVerdict]], _Block | None]] = field(default_factory=list)
    flying: set[str] = field(default_factory=set)
    there: set[str] = field(default_factory=set)


class StoreRows:
    """Writes the rows of one import for one worker that holds it."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        submit: SubmitLead,
        find: FindKnown,
        leases: LeaseTickets,
        job: ImportJob,
        hold: Hold,
        call: CallContext,
    ) -> None:
        self._table = table
        self._clock = clock
        self._submit = submit
        self._find = find
        self._tickets = BlockTickets(leases, clock, job.id)
        self._job = job
        self._call = call
        self._lanes = [_Lane(number, version) for number, version in enumerate(hold.lanes)]
        self._turn = 0
        self._before, self._now = _Sent(), _Sent()
        self._expires = int((clock.now() + KEEP).timestamp())

    @property
    def lanes(self) -> tuple[int, ...]:
        """The versions the lanes stand at."""
        return tuple(lane.version for lane in self._lanes)

    def close(self) -> None:
        """Ends the lanes once what they were given is done."""
        for lane in self._lanes:
            lane.thread.shutdown()

    def look(self, rows: Sequence[ReadRow | RowVerdict]) -> Seen:
        """Reads and looks up a chunk, when nothing but the one before it is still being written."""
        said: list[RowVerdict] = []
        people: list[tuple[ReadRow, Reading]] = []
        for row in rows:
            if isinstance(row, RowVerdict):
                said.append(row)
                continue
            try:
                people.append((row, self._submit.read(row.submission, self._call)))
            except Invalid as error:
                said.append(refused(row.number, error.issues, row.notes))
        found = tuple(self._people(people))
        return Seen(tuple(said), found, self._expected(found))

    def send(self, seen: Seen) -> None:
        """Sends the rows of a chunk behind those of the one before it, when everything earlier is settled. Raises what
        the table raises."""
        self._before, self._now = self._now, _Sent()
        self._tickets.expect(seen.expected)
        block = self._block()
        for said in seen.refused:
            block = self._say(block, said)
        for person in seen.people:
            block = self._row(block, person)
        self._send(block)

    def settle(self, *, last: bool = False) -> list[RowVerdict]:
        """The verdicts, each committed, of the chunk before the one that was sent last, or of that one. Raises
        Superseded, and what the table raises: then some may be."""
        return self._settled(self._now if last else self._before)

    def finish(self) -> None:
        """Gives back the tickets that were not used, once everything sent is settled."""
        self._tickets.close(committed=True)

    # -- one row -------------------------------------------------------------------------------------------------

    def _row(self, block: _Block, person: _Person) -> _Block:
        recent = (self._before, self._now)
        if any(not chunk.flying.isdisjoint(person.sought) for chunk in recent):  # may be somebody who is on their way
            self._send(block)
            for chunk in recent:
                chunk.blocks = [(_done(self._settled(chunk)), None)]
            block = self._block()
        if any(not chunk.there.isdisjoint(person.sought) for chunk in recent):
            [person] = self._people([(person.row, person.reading)])
        row, reading, known = person.row, person.reading, person.known
        if person.before:
            why = f"the same as row {person.before}"
            return self._say(block, RowVerdict(row=row.number, verdict=Verdict.JOINED, why=why, notes=row.notes))
        twin = known.lead or self._twin(reading, known)
        if twin is not None and self._job.request.dry_run:
            return self._say(block, _joined(row, reading, twin))
        if twin is not None:
            self._now.flying.update(person.found_by)
            self._send_alone(row, reading, "" if known.lead else twin.id)
            return block
        if len(block.transaction.operations) + _ROOM > MAX_OPERATIONS:
            self._send(block)
            block = self._block()
        self._now.flying.update(person.found_by)
        if self._job.request.dry_run:
            self._rehearse(block, row, reading, known)
        else:
            self._compose(block, row, reading, known)
        return block

    def _compose(self, block: _Block, row: ReadRow, reading: Reading, known: Known) -> None:
        receipt = self._submit.compose(
            block.transaction, reading, known.account, self._call, known.resembles, self._tickets, known.vacant
        )
        block.rows.append((row, reading, receipt.lead.id))
        block.verdicts.append(_verdict(row, reading, receipt))

    def _rehearse(self, block: _Block, row: ReadRow, reading: Reading, known: Known) -> None:
        """A dry run claims what a lead would, for itself alone."""
        for name, value in reading.claims:
            holder = str(row.number)
            claim(block.transaction, DRY_RUN_CLAIM, self._rehearsed(name, value), holder, ttl=self._expires)
        kind = Verdict.PENDING if known.resembles else Verdict.STORED
        block.verdicts.append(RowVerdict(row=row.number, verdict=kind, why=_why(known.resembles), notes=row.notes))

    def _people(self, read: Sequence[tuple[ReadRow, Reading]]) -> list[_Person]:
        """What is known of each, now."""
        before = self._rehearsed_rows([reading for _, reading in read]) if self._job.request.dry_run else {}
        people = []
        for (row, reading), known in zip(read, self._find([reading for _, reading in read]), strict=True):
            own = [f"{name}:{value}" for name, value in reading.claims]
            same = next((number for mark in own if (number := before.get(mark))), "")
            sought = frozenset([*own, *reading.features.search_keys()])
            people.append(
                _Person(row, reading, known, same, sought, frozenset([*own, *reading.features.blocking_keys()]))
            )
        return people

    def _rehearsed_rows(self, readings: Sequence[Reading]) -> dict[str, str]:
        """Of a dry run: exclusive value → the row that had it before."""
        pairs = [pair for reading in readings for pair in reading.claims]
        rows = self._table.get_many([claim_key(DRY_RUN_CLAIM, self._rehearsed(*pair)) for pair in pairs])
        return {
            f"{name}:{value}": claim_holder(row) or ""
            for (name, value), row in zip(pairs, rows, strict=True)
            if row is not None
        }

    def _twin(self, reading: Reading, known: Known) -> Lead | None:
        """Of a person without an exclusive value, such as one behind a shared mailbox: the lead that says exactly the
        same of who they are, so that a list that comes twice is not taken for new people."""
        if reading.claims:
            return None
        for alike in known.resembles:
            lead = LEADS.get(self._table, alike.lead_id)
            if lead is not None and _identity(features_of(lead)) == _identity(reading.features):
                return lead
        return None

    def _rehearsed(self, name: str, value: str) -> str:
        return f"{self._job.id}\0{name}\0{value}"

    def _expected(self, people: Sequence[_Person]) -> dict[str, int]:
        """How many leads each pool will get at most, so that its tickets are leased in one write. Never too few: a
        second block would hold numbers of the first that are still on their way."""
        expected: dict[str, int] = {}
        if self._job.request.dry_run:
            return expected
        for person in people:
            known = person.known
            turn = None if known.lead else self._submit.turn(person.reading.submission, known.account)
            if turn is not None:
                expected[turn.pool] = expected.get(turn.pool, 0) + 1
        return expected

    # -- sending -------------------------------------------------------------------------------------------------

    def _block(self) -> _Block:
        return _Block(begin(self._call, self._clock.now()))

    def _say(self, block: _Block, verdict: RowVerdict) -> _Block:
        block.verdicts.append(verdict)
        if len(block.verdicts) < MAX_VERDICTS:
            return block
        self._send(block)
        return self._block()

    def _lane(self) -> _Lane:
        self._turn = (self._turn + 1) % len(self._lanes)
        return self._lanes[self._turn]

    def _send(self, block: _Block) -> None:
        if not block.verdicts:
            return
        lane = self._lane()
        self._now.blocks.append((lane.thread.submit(self._commit, lane, block), block))

    def _commit(self, lane: _Lane, block: _Block) -> list[RowVerdict]:
        self._seal(block.transaction, lane, block.verdicts)
        self._table.commit(block.transaction)
        lane.version += 1
        return block.verdicts

    def _send_alone(self, row: ReadRow, reading: Reading, twin_id: str) -> None:
        """A row of somebody known: it goes the way of every single submission."""
        lane = self._lane()
        self._now.blocks.append((lane.thread.submit(self._one, lane, row, reading, twin_id), None))

    def _one(self, lane: _Lane, row: ReadRow, reading: Reading, twin_id: str = "") -> list[RowVerdict]:
        return [self._alone(lane, row, reading, twin_id)]

    def _alone(self, lane: _Lane, row: ReadRow, reading: Reading, twin_id: str) -> RowVerdict:
        said: list[RowVerdict] = []

        def also(transaction: Transaction, receipt: LeadReceipt) -> None:
            if said and self._stands(lane) != lane.version:
                raise Superseded("another worker has the import")
            said[:] = [_verdict(row, reading, receipt)]
            self._seal(transaction, lane, said)

        self._submit(row.submission, self._call, None, also, twin_id)
        lane.version += 1
        return said[0]

    def _seal(self, transaction: Transaction, lane: _Lane, verdicts: Sequence[RowVerdict]) -> None:
        transaction.put(block_row(self._job.id, sorted(verdicts, key=lambda each: each.row), self._expires), ABSENT)
        move_lane(transaction, self._job.id, lane.number, lane.version)

    def _stands(self, lane: _Lane) -> int:
        row = self._table.get(lane_key(self._job.id, lane.number))
        return row.version if row else 0

    def _settled(self, chunk: _Sent) -> list[RowVerdict]:
        """Waits for everything that was sent of a chunk. A block that failed is taken apart."""
        verdicts: list[RowVerdict] = []
        blocks, chunk.blocks = chunk.blocks, []
        for future, block in blocks:
            try:
                verdicts += future.result()
            except ConditionFailed as error:
                if block is None or any(error.at(lane_key(self._job.id, lane.number)) for lane in self._lanes):
                    raise Superseded("another worker has the import") from error
                verdicts += self._apart(block, error)
            else:
                self._tickets.committed(lead_id for _, _, lead_id in (block.rows if block else ()))
        chunk.there |= chunk.flying
        chunk.flying = set()
        return verdicts

    def _apart(self, block: _Block, error: ConditionFailed) -> list[RowVerdict]:
        """The rows of a block one by one, after somebody was quicker with one of them."""
        lane = self._lanes[0]
        own = {row.number for row, _, _ in block.rows}
        plain = _Block(begin(self._call, self._clock.now()), [each for each in block.verdicts if each.row not in own])
        for _, _, lead_id in block.rows:
            self._tickets.lost(lead_id, error)
        again = [lane.thread.submit(self._commit, lane, plain)] if plain.verdicts else []
        again += [lane.thread.submit(self._one, lane, row, reading) for row, reading, _ in block.rows]
        return self._settled(_Sent([(future, None) for future in again]))


def _done(verdicts: list[RowVerdict]) -> Future[list[RowVerdict]]:
    future: Future[list[RowVerdict]] = Future()
    future.set_result(verdicts)
    return future


def _identity(person: Features) -> tuple[str, ...]:
    address = person.email.address if person.email else ""
    return person.first, person.last, person.company, address, person.phone


def _verdict(row: ReadRow, reading: Reading, receipt: LeadReceipt) -> RowVerdict:
    """What became of a row that was taken."""
    lead = receipt.lead
    if not receipt.created:
        return _joined(row, reading, lead, receipt.consents)
    pending = lead.duplicate_check is DuplicateCheck.PENDING
    notes = row.notes
    if lead.validation_status is not ValidationStatus.VALID:
        lacks = "; ".join(each if ":" in each else f"{each} is missing" for each in lead.missing)
        notes = (f"{lead.validation_status.value} (CAP-10): {lacks}", *notes)
    return RowVerdict(
        row=row.number,
        verdict=Verdict.PENDING if pending else Verdict.STORED,
        lead_id=lead.id,
        why=_why(lead.resembles),
        notes=notes,
    )


def _joined(row: ReadRow, reading: Reading, lead: Lead, record: ConsentRecord | None = None) -> RowVerdict:
    same = " and ".join(_WORDS.get(name, name) for name, _ in reading.claims) or "name, company and contact"
    unusable = (f"{name}: {why}" for name, why in reading.unusable.items())
    notes = (*_still_refused(reading, record), *unusable, *row.notes)
    return RowVerdict(row=row.number, verdict=Verdict.JOINED, lead_id=lead.id, why=f"the same {same}", notes=notes)


def _still_refused(reading: Reading, record: ConsentRecord | None) -> Iterator[str]:
    """The consents of a row that do not stand because the person refused or withdrew them before."""
    if record is None:
        return
    for said in reading.submission.consents:
        stands = record.standing(said.channel, said.purpose)
        if said.granted and stands and not stands.granted:
            yield f"CAP-9: {said.purpose} consent for {said.channel} was refused before: no list changes that"


def _why(resembles: Sequence[MatchVerdict]) -> str:
    """How alike a new lead is to people who are known, best first; not who they are, which its readers may see."""
    if not resembles:
        return ""
    best = resembles[0]
    fields = ", ".join(f"{part.field} {part.similarity:.2f}" for part in best.evidence)
    others = f", and to {len(resembles) - 1} more" if len(resembles) > 1 else ""
    return f"{best.score:.2f} alike to somebody known ({fields}){others}"
