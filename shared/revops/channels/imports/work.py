"""The worker's part of an import: from the uploaded file to the verdict of every row and the result file.

Progress is committed after each chunk; meanwhile the next one is on its way already. Whoever finds the import
unfinished goes on behind the last chunk; rows of the chunks that were under way have their verdicts in their blocks and
are passed over. Before its time is up the worker hands the import on to the next one through the queue.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import BinaryIO

from revops.channels.imports.blocks import Seen, StoreRows, Superseded
from revops.channels.imports.columns import Columns, ImportColumns, columns_of
from revops.channels.imports.csv_reading import CsvSheet, spool, spool_raw
from revops.channels.imports.model import (
    MAX_BYTES,
    MAX_ROWS,
    ImportJob,
    ImportKind,
    ImportState,
    Issue,
    Progress,
    RowVerdict,
)
from revops.channels.imports.ports import RESULTS, UPLOADS, Files, ImportQueue
from revops.channels.imports.repeats import Repeats
from revops.channels.imports.result import write_result
from revops.channels.imports.rows import ReadRows
from revops.channels.imports.sheets import RawRow, Sheet, unreadable
from revops.channels.imports.store import (
    CHUNK,
    IMPORTS,
    LANES,
    Hold,
    in_order,
    lane_key,
    move_lane,
    progress_key,
    progress_of,
    progress_row,
    verdicts_of,
)
from revops.channels.imports.xlsx_reading import XlsxSheet
from revops.kernel import CallContext, Clock, DomainError, Invalid, Unavailable, parse_time, system_call, time_text
from revops.settings import SettingsReader
from revops.table import ABSENT, ConditionFailed, Table, begin

HOLD = timedelta(minutes=3)
"""How long a worker is trusted to be alive; longer than one may run."""
ENOUGH = 30.0
"""Seconds that a worker keeps back: for the chunks under way, or for handing on."""
FIRST = 100
"""Rows of the first chunk at most, because nothing is written while they are looked up; each further one may have
twice as many as the one before."""
ROWS_A_SECOND = 2_000.0
"""How fast the result file is written, at least."""

MakeStore = Callable[[ImportJob, Hold, CallContext], StoreRows]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows that were looked up together, the verdicts of those that had one already, and how much of the file was read
    up to their end."""

    seen: Seen
    before: tuple[RowVerdict, ...]
    share: float


class RunImport:
    """Works on one import until it is done or the time is up."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        files: Files,
        queue: ImportQueue,
        settings: SettingsReader,
        store: MakeStore,
        *,
        chunk: int = CHUNK,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._clock = clock
        self._files = files
        self._queue = queue
        self._settings = settings
        self._store = store
        self._chunk = chunk
        self._repeats = Repeats(table, clock)
        self._monotonic = monotonic

    def __call__(self, import_id: str, holder: str, seconds_left: Callable[[], float]) -> str:
        """What became of it, for the log. Raises what the table and the files raise, and Unavailable while another
        worker has it, for that may be one that failed on this very message: the message then comes again."""
        job = IMPORTS.get(self._table, import_id)
        if job is None:
            return "no such import"
        if job.state.settled and job.state is not ImportState.CANCELLED:
            return "settled before"
        hold = self._take(job, holder)
        if hold is None:
            raise Unavailable("another worker has the import")
        call = system_call("lead_import", causation_id=job.id, on_behalf_of=job.importer_id)
        run = _Run(self, job, hold, holder, call, seconds_left)
        with tempfile.TemporaryFile() as file:
            try:
                return run.whole(file)
            except Superseded:
                return "another worker took it over"
            except Exception:  # whatever it was: the message that comes again in seconds must not find the import held
                run.let_go()
                raise

    def _take(self, job: ImportJob, holder: str) -> Hold | None:
        """A hold on the import: moves the progress and every lane, so that nothing an earlier worker still sends can
        be committed. None while another worker is trusted to be alive."""
        keys = [progress_key(job.id), *(lane_key(job.id, lane) for lane in range(LANES))]
        found = self._table.get_many(keys)
        row, versions = found[0], [lane.version if lane else 0 for lane in found[1:]]
        if row is not None and parse_time(json.loads(row.doc)["until"]) > self._clock.now():
            return None
        version = row.version if row else 0
        now = self._clock.now()
        transaction = begin(system_call("lead_import", causation_id=job.id), now)
        until = time_text(now + HOLD)
        transaction.put(progress_row(job.id, version + 1, progress_of(row), holder, until), version or ABSENT)
        for lane, at in enumerate(versions):
            move_lane(transaction, job.id, lane, at)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            return None
        return Hold(job.id, version + 1, tuple(at + 1 for at in versions))


class _Run:
    """One worker's run over one import."""

    def __init__(
        self,
        parts: RunImport,
        job: ImportJob,
        hold: Hold,
        holder: str,
        call: CallContext,
        seconds_left: Callable[[], float],
    ) -> None:
        self._table, self._clock, self._files = parts._table, parts._clock, parts._files
        self._queue, self._settings, self._repeats = parts._queue, parts._settings, parts._repeats
        self._make_store, self._monotonic, self._chunk = parts._store, parts._monotonic, parts._chunk
        self._job = job
        self._hold = hold
        self._version = hold.version
        self._holder = holder
        self._call = call
        self._seconds_left = seconds_left
        self._content = ""
        self._progress = progress_of(self._table.get(progress_key(job.id)))

    def whole(self, file: BinaryIO) -> str:
        """The file as a whole: fetched, read, worked on, answered."""
        try:
            sheet = self._opened(file)
        except Invalid as error:
            return self._fail(error, None)
        with closing(sheet):
            try:
                return self._answer(sheet)
            except Invalid as error:
                return self._fail(error, sheet)

    def _fail(self, error: Invalid, sheet: Sheet | None) -> str:
        """Ends an import whose file cannot be read, or not to its end. Rows that have their verdict keep it, and the
        result file says so, unless the file is no longer the one they were read from."""
        self._progress = progress_of(self._table.get(progress_key(self._job.id)))
        issues = [Issue(field=i.field, rule=i.rule, message=i.message, accepted=i.accepted) for i in error.issues]
        shown = self._progress.rows > 0 and sheet is not None and self._job.content == self._content
        if sheet is not None and shown:
            if self._short_of_time():
                return self._hand_on()
            self._write_result(sheet)
        cancelled = self._job.state is ImportState.CANCELLED  # nobody waits for it: it stays what its importer made it
        return self._settle(
            ImportState.CANCELLED if cancelled else ImportState.FAILED, problems=tuple(issues), result=shown
        )

    def _answer(self, sheet: Sheet) -> str:
        job = self._job
        said = columns_of(sheet.header, job.request.columns, self._settings.read(ImportColumns))
        if job.state is ImportState.AWAITING_UPLOAD:
            self._change(state=ImportState.RUNNING, state_since=self._clock.now(), content=self._content)
        elif job.content and job.content != self._content:
            raise unreadable("changed", "the file changed while it was read", "a new import")
        if self._job.state is ImportState.CANCELLED:
            return self._finish(ImportState.CANCELLED, sheet)
        earlier = self._repeats.of(self._job)
        if earlier is not None and self._progress.rows == 0:
            self._progress = self._repeats.copy(self._job, earlier, self._call)
            return self._finish(ImportState.COMPLETED, sheet, repeats=earlier.id)
        return self._work(sheet, said)

    def _opened(self, file: BinaryIO) -> Sheet:
        """The file as a sheet, laid on disk. Raises Invalid for one that cannot be read."""
        job, parts = self._job, self._files.read(UPLOADS + self._job.id)
        sheet: Sheet
        if job.request.kind is ImportKind.CSV:
            spooled = spool(parts, file, MAX_BYTES)
            content, sheet = spooled.sha256, CsvSheet(spooled)
        else:
            content = spool_raw(parts, file, MAX_BYTES)
            sheet = XlsxSheet(file, job.request.sheet)
        said = job.request.model_dump_json(exclude={"file_name", "dry_run"})
        self._content = hashlib.sha256(f"{content}\0{said}".encode()).hexdigest()
        return sheet

    def _work(self, sheet: Sheet, columns: Columns) -> str:
        read = ReadRows(self._job.request, columns, self._settings.read(ImportColumns))
        done = {said.row: said for said in verdicts_of(self._table, self._job.id, self._progress.last_row + 1)}
        store = self._make_store(self._job, self._hold, self._call)
        try:
            whole = self._send(self._chunks(sheet, read, done, store), store)
            store.finish()
        finally:
            store.close()
        cancelled = self._job.state is ImportState.CANCELLED
        if not (whole or cancelled):
            return self._hand_on()
        if self._short_of_time():
            return self._hand_on()
        return self._finish(ImportState.CANCELLED if cancelled else ImportState.COMPLETED, sheet)

    def _short_of_time(self) -> bool:
        """Whether the result file might not be written before the time is up."""
        return self._seconds_left() < ENOUGH + self._progress.rows / ROWS_A_SECOND and self._progress.rows > 0

    def _send(self, chunks: Iterator[_Chunk], store: StoreRows) -> bool:
        """Sends chunk after chunk, and settles each once the next one is sent. Answers whether that was all of the
        file; it is not when the import is cancelled or the time is up. Raises Invalid where the file breaks off, after
        what stands before has its verdicts."""
        started, sent, going_on = self._monotonic(), None, True
        following = _tried(chunks)
        while going_on and following.exception() is None and (chunk := following.result()):
            store.send(chunk.seen)
            if sent is not None:
                started = self._settled(store.settle(), sent, started)
            sent = chunk
            going_on = self._job.state is not ImportState.CANCELLED and self._seconds_left() >= ENOUGH
            if going_on:
                following = _tried(chunks)
        if sent is not None:
            self._settled(store.settle(last=True), sent, started)
        return going_on and following.result() is None

    def _settled(self, verdicts: list[RowVerdict], chunk: _Chunk, started: float) -> float:
        """Commits the progress after a chunk, and looks whether the import was cancelled; the time it is now."""
        now = self._monotonic()
        self._note(self._progress.with_verdicts([*verdicts, *chunk.before], chunk.share, now - started))
        self._job = IMPORTS.require(self._table, self._job.id)
        return now

    def _chunks(self, sheet: Sheet, read: ReadRows, done: dict[int, RowVerdict], store: StoreRows) -> Iterator[_Chunk]:
        """The rest of the file. Raises Invalid where it breaks off."""
        rows, taken = sheet.rows(self._progress.last_row), self._progress.rows
        length = min(self._chunk, FIRST)
        broken: Invalid | None = None
        while broken is None:
            raw, broken = _some(rows, length)
            if not raw:
                break
            length, taken = min(2 * length, self._chunk), taken + len(raw)
            if taken > MAX_ROWS:
                raise unreadable("rows", "the file has too many rows", f"at most {MAX_ROWS}; the rest in another file")
            fresh = [read(row) for row in raw if row.number not in done]
            before = tuple(done[row.number] for row in raw if row.number in done)
            yield _Chunk(store.look(fresh), before, sheet.share())
        if broken is not None:
            raise broken

    def _note(self, progress: Progress, until: str | None = None) -> None:
        """Commits the progress. Raises Superseded when another worker has the import."""
        now = self._clock.now()
        transaction = begin(self._call, now)
        row = progress_row(
            self._job.id, self._version + 1, progress, self._holder, time_text(now + HOLD) if until is None else until
        )
        transaction.put(row, self._version)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Superseded("another worker has the import") from error
        self._version += 1
        self._progress = progress

    def let_go(self) -> None:
        """Leaves the import to the next worker. Where that cannot be noted, the hold ends by itself."""
        with suppress(DomainError):
            self._note(self._progress, time_text(self._clock.now()))

    def _hand_on(self) -> str:
        """Lets go and calls the next worker. Dying in between costs the time of the hold."""
        self._note(self._progress, time_text(self._clock.now()))
        self._queue.send(self._job.id)
        return "handed on"

    def _finish(self, state: ImportState, sheet: Sheet, *, repeats: str = "") -> str:
        """Writes the result file and ends the import."""
        self._write_result(sheet)
        return self._settle(state, repeats=repeats, result=self._progress.rows > 0)

    def _write_result(self, sheet: Sheet) -> None:
        with tempfile.TemporaryFile() as result:
            write_result(sheet, in_order(verdicts_of(self._table, self._job.id)), result)
            result.seek(0)
            self._files.write(f"{RESULTS}{self._job.id}.csv", result, "text/csv; charset=utf-8")

    def _settle(self, state: ImportState, *, result: bool, problems: tuple[Issue, ...] = (), repeats: str = "") -> str:
        share = 1.0 if state is ImportState.COMPLETED else self._progress.share
        self._note(self._progress.model_copy(update={"share": share, "result": result}), time_text(self._clock.now()))
        if self._job.state is not state:
            self._change(state=state, state_since=self._clock.now(), problems=problems, repeats=repeats)
        return state.value

    def _change(self, **changes: object) -> None:
        """The import's next version, unless somebody cancelled it meanwhile, which then stands."""
        changed = self._job.revised(self._clock.now(), **changes)
        transaction = begin(self._call, changed.modified_at)
        IMPORTS.update(transaction, changed)
        if changed.state is ImportState.COMPLETED and not changed.request.dry_run and not changed.repeats:
            self._repeats.remember(transaction, changed)
        try:
            self._table.commit(transaction)
        except ConditionFailed:
            self._job = IMPORTS.require(self._table, self._job.id)
        else:
            self._job = changed


def _some(rows: Iterator[RawRow], length: int) -> tuple[list[RawRow], Invalid | None]:
    """The next rows, and what is wrong with the file where it breaks off behind them."""
    some: list[RawRow] = []
    try:
        for row in islice(rows, length):
            some.append(row)
    except Invalid as error:
        return some, error
    return some, None


def _tried(chunks: Iterator[_Chunk]) -> Future[_Chunk | None]:
    """The next chunk, or what is wrong with the file from there on: that is said once the chunk before is settled."""
    following: Future[_Chunk | None] = Future()
    try:
        following.set_result(next(chunks, None))
    except Invalid as error:
        following.set_exception(error)
    return following
