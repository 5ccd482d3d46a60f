"""Imports over a table of any kind, with files in memory and a queue that is a list."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from revops.access import Policy
from revops.channels.imports.blocks import StoreRows
from revops.channels.imports.model import ImportRequest, RowVerdict
from revops.channels.imports.ports import RESULTS, UPLOADS, UploadForm
from revops.channels.imports.service import CancelImport, ImportStatus, ReadImports, RequestImport
from revops.channels.imports.store import in_order, verdicts_of
from revops.channels.imports.work import RunImport
from revops.crm.intake import SubmitLead
from revops.crm.many import FindKnown
from revops.crm.model import Lead
from revops.crm.store import LEADS
from revops.crm.tickets import LeaseTickets
from revops.kernel import CallContext, Clock, IdFactory, NotFound, Principal, Role
from revops.settings import SettingsReader
from revops.table import Table
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import FixedRoster
from tests.builders.lists import COLUMNS
from tests.builders.memory_table import MemoryTable

SELLER = CallContext(Principal("sdr-1", Role.SDR), request_id="req-1", ip="203.0.113.9", user_agent="tests")
HEADER = b"First Name,Last Name,Company,E-Mail,Phone,Country\n"
CONSENT = [{"channel": "email", "granted": True, "wording_version": "2026-03"}]
ATTRIBUTION = {"source": "Trade fair", "campaign": "autumn", "medium": "event", "term": "crm"}


class MemoryFiles:
    """`Files` in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.places: dict[str, Path] = {}

    def on_disk(self, import_id: str, place: Path) -> None:
        """The upload is this file, read part by part."""
        self.places[UPLOADS + import_id] = place

    def upload_form(self, name: str, content_type: str, max_bytes: int, seconds: int) -> UploadForm:
        return UploadForm("https://files.example", {"key": name, "Content-Type": content_type})

    def read(self, name: str) -> Iterator[bytes]:
        if name in self.places:
            with self.places[name].open("rb") as file:
                while part := file.read(100_000):
                    yield part
            return
        if name not in self.kept:
            raise NotFound("uploaded file", name)
        content = self.kept[name]
        yield from (content[start : start + 100_000] for start in range(0, len(content), 100_000))

    def write(self, name: str, content: BinaryIO, content_type: str) -> None:
        self.kept[name] = content.read()

    def download_url(self, name: str, file_name: str, content_type: str, seconds: int) -> str:
        return f"https://files.example/{name}?as={file_name}"


class Killed(BaseException):
    """The process died: nothing catches it."""


class Importing:
    """The import of a deployment. `table` is what it works on; `kill_after` ends the process at a commit."""

    def __init__(
        self,
        table: Table,
        *people: str,
        clock: Clock | None = None,
        ids: IdFactory | None = None,
        chunk: int = 60,
    ) -> None:
        self.table = table
        self.chunk = chunk
        self.clock = clock or ManualClock()
        self.ids = ids or seeded_ids(3)
        self.files = MemoryFiles()
        self.queued: list[str] = []
        self.settings = SettingsReader(table, ttl=3600)
        roster = FixedRoster(*(people or ("sdr-1", "sdr-2")))
        self.submit = SubmitLead(table, self.clock, self.ids, self.settings, roster, sleep=lambda _: None)
        self._lookups = ThreadPoolExecutor(4)
        self._holders = itertools.count()
        policy = Policy()
        self.request = RequestImport(table, self.clock, self.ids, policy, self.files)
        self.read = ReadImports(table, self.clock, policy, self.files)
        self.cancel = CancelImport(table, self.clock, policy, self)

    def send(self, import_id: str) -> None:
        self.queued.append(import_id)

    def store(self, job: Any, hold: Any, call: CallContext) -> StoreRows:
        find = FindKnown(self.table, self.settings, self._lookups)
        leases = LeaseTickets(self.table, self.clock)
        return StoreRows(self.table, self.clock, self.submit, find, leases, job, hold, call)

    def run(self, import_id: str, seconds_left: Callable[[], float] = lambda: 900.0) -> str:
        """What one worker does with an import."""
        run = RunImport(self.table, self.clock, self.files, self, self.settings, self.store, chunk=self.chunk)
        return run(import_id, f"worker-{next(self._holders)}", seconds_left)

    def upload(self, content: bytes, kind: str = "csv", call: CallContext = SELLER, **said: Any) -> str:
        """Asks for an import and uploads its file; the import's id."""
        asked = {"file_name": f"list.{kind}", "kind": kind, "columns": COLUMNS} | said
        job, form = self.request(ImportRequest.model_validate(asked), call)
        assert form.fields["key"] == UPLOADS + job.id
        self.files.kept[UPLOADS + job.id] = content
        return job.id

    def bring(self, content: bytes, kind: str = "csv", **said: Any) -> str:
        """Uploads a file and works on it until it is done; the import's id."""
        import_id = self.upload(content, kind, **said)
        self.finish(import_id)
        return import_id

    def finish(self, import_id: str) -> None:
        """Works on an import, and goes on as long as it is handed on."""
        self.queued.append(import_id)
        while self.queued:
            self.run(self.queued.pop())

    def status(self, import_id: str, call: CallContext = SELLER) -> ImportStatus:
        return self.read.one(import_id, call)

    def verdicts(self, import_id: str) -> list[RowVerdict]:
        return list(in_order(verdicts_of(self.table, import_id)))

    def result(self, import_id: str) -> str:
        """The result file's text."""
        return self.files.kept[f"{RESULTS}{import_id}.csv"].decode("utf-8-sig")


def leads(table: MemoryTable) -> list[Lead]:
    """All leads there are."""
    return [LEADS.load(row) for row in table.rows.values() if row.kind == "LEAD"]


def bring(importing: Importing, *lines: bytes, header: bytes = HEADER, **said: Any) -> str:
    """Imports some lines, with attribution and consent for the whole list."""
    asked = {"columns": {}, "attribution": ATTRIBUTION, "consent": CONSENT} | said
    return importing.bring(header + b"".join(line + b"\n" for line in lines), **asked)


def person(name: str, *, phone: str = "", country: str = "GB") -> bytes:
    return f"Ada,{name},Firm {name},{name}@{name}.example,{phone},{country}".encode()
