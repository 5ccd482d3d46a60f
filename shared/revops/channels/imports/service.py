"""What people do with imports: ask for one, follow it, fetch its result, cancel it (CAP-7).

An import is its importer's: they see it, those whose team they stand in, and administrators. Whoever may not change
the importer's leads does not see it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from revops.access import Policy, Resource
from revops.channels.imports.model import MAX_BYTES, ImportJob, ImportKind, ImportRequest, ImportState, Progress
from revops.channels.imports.ports import RESULTS, UPLOADS, Files, ImportQueue, UploadForm
from revops.channels.imports.store import IMPORTS, progress_key, progress_of
from revops.kernel import CallContext, Clock, IdFactory, NotFound, Refused, VersionConflict
from revops.table import Table, begin, commit_update

UPLOAD_SECONDS = 900
DOWNLOAD_SECONDS = 300
CONTENT_TYPES = {
    ImportKind.CSV: "text/csv",
    ImportKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ImportStatus:
    """An import as it stands, and when it is likely to be done."""

    job: ImportJob
    progress: Progress
    estimated_end: datetime | None = None


class RequestImport:
    """Prepares an import and the form its file is uploaded by."""

    def __init__(self, table: Table, clock: Clock, ids: IdFactory, policy: Policy, files: Files) -> None:
        self._table = table
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._files = files

    def __call__(self, request: ImportRequest, call: CallContext) -> tuple[ImportJob, UploadForm]:
        """Raises Forbidden for those who may not create leads."""
        self._policy.require_any(call.principal, Resource.LEADS, write=True)
        now = self._clock.now()
        job = ImportJob(
            id=self._ids.new("IMP"),
            created_at=now,
            modified_at=now,
            importer_id=call.principal.id,
            request=request,
            state_since=now,
        )
        form = self._files.upload_form(UPLOADS + job.id, CONTENT_TYPES[request.kind], MAX_BYTES, UPLOAD_SECONDS)
        transaction = begin(call, now)
        IMPORTS.create(transaction, job)
        self._table.commit(transaction)
        return job, form


class ReadImports:
    """How far an import is, and its result."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, files: Files) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._files = files

    def one(self, import_id: str, call: CallContext) -> ImportStatus:
        """Raises NotFound."""
        job = visible(self._table, self._policy, import_id, call)
        progress = progress_of(self._table.get(progress_key(job.id)))
        return ImportStatus(job, progress, self._estimate(job, progress))

    def result_url(self, import_id: str, call: CallContext) -> str:
        """An address that gives the result file, for a few minutes. Raises NotFound, Refused while there is none."""
        status = self.one(import_id, call)
        if not status.job.state.settled:
            raise Refused(f"the import is {status.job.state.value}; the result comes when it is done")
        if not status.progress.result:
            raise Refused(f"there is no result: {_nothing_of(status.job)}")
        name = f"{status.job.request.file_name.rpartition('.')[0] or 'import'}-result.csv"
        return self._files.download_url(f"{RESULTS}{import_id}.csv", name, "text/csv; charset=utf-8", DOWNLOAD_SECONDS)

    def _estimate(self, job: ImportJob, progress: Progress) -> datetime | None:
        """By the speed so far; None before anything was read."""
        if job.state is not ImportState.RUNNING or not progress.share:
            return None
        return self._clock.now() + timedelta(seconds=progress.seconds * (1 - progress.share) / progress.share)


def _nothing_of(job: ImportJob) -> str:
    """Why no row of a settled import has a verdict that is shown."""
    if job.state is ImportState.CANCELLED:
        return "it was cancelled before a row was read"
    return "see the problems of the import" if job.problems else "the file has a header and no rows"


class CancelImport:
    """Ends an import; rows that have their verdict keep it. Twice is as good as once."""

    def __init__(self, table: Table, clock: Clock, policy: Policy, queue: ImportQueue) -> None:
        self._table = table
        self._clock = clock
        self._policy = policy
        self._queue = queue

    def __call__(self, import_id: str, call: CallContext) -> ImportStatus:
        """Raises NotFound, Refused for one that is done."""
        for _ in range(_ATTEMPTS):
            job = visible(self._table, self._policy, import_id, call)
            if job.state is ImportState.CANCELLED:
                break
            if job.state.settled:
                raise Refused(f"the import is {job.state.value}; only one that is not done can be cancelled")
            now = self._clock.now()
            cancelled = job.revised(now, state=ImportState.CANCELLED, state_since=now)
            transaction = begin(call, now)
            IMPORTS.update(transaction, cancelled)
            try:
                commit_update(self._table, transaction, IMPORTS, cancelled)
            except VersionConflict:
                continue
            if job.state is ImportState.RUNNING:
                self._queue.send(import_id)  # should its worker have died, another writes the result
            break
        job = visible(self._table, self._policy, import_id, call)
        return ImportStatus(job, progress_of(self._table.get(progress_key(job.id))))


def visible(table: Table, policy: Policy, import_id: str, call: CallContext) -> ImportJob:
    """An import the caller may see. Raises NotFound."""
    job = IMPORTS.require(table, import_id)
    if not policy.writes(call.principal, Resource.LEADS, job.importer_id):
        raise NotFound("import", import_id)
    return job
