"""Lists of leads as files: ask for an upload, follow it, fetch every row's verdict, cancel (CAP-7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import BaseModel, ConfigDict, Field

from revops.channels.imports.model import ImportRequest, ImportState, Issue
from revops.channels.imports.service import CancelImport, ImportStatus, ReadImports, RequestImport
from revops.platform.http import Api

TAG = "imports"
EXAMPLE = {
    "file_name": "fair.csv",
    "kind": "csv",
    "columns": {"Stand": "metadata.stand"},
    "attribution": {"source": "Trade fair", "campaign": "autumn", "medium": "event", "term": "crm"},
    "consent": [{"channel": "email", "purpose": "marketing", "granted": True, "wording_version": "2026-03"}],
}


class UploadView(BaseModel):
    """How the file is handed in: POST a form to `url` with `fields` as they are and the file last, as `file`."""

    model_config = ConfigDict(defer_build=True)

    url: str
    fields: dict[str, str]


class ImportView(BaseModel):
    """An import: its state, and how many rows have which verdict."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["IMP_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    file_name: str
    dry_run: bool
    state: ImportState
    state_since: datetime
    rows_read: int = Field(description="Rows that have their verdict for good")
    stored: int
    joined: int
    pending: int
    refused: int
    refused_by_rule: dict[str, int] = Field(examples=[{"CAP-9 consent-required-eu-eea-uk": 3}])
    share: float = Field(ge=0, le=1, description="How much of the file was read")
    estimated_end: datetime | None = None
    problems: tuple[Issue, ...] = Field(default=(), description="What is wrong with the file as a whole")
    repeats: str = Field(default="", description="The import that the very same file was before")
    created_at: datetime

    @classmethod
    def of(cls, status: ImportStatus) -> Self:
        job, progress = status.job, status.progress
        counts = {kind.value: count for kind, count in progress.counts.items()}
        return cls(
            id=job.id,
            file_name=job.request.file_name,
            dry_run=job.request.dry_run,
            state=job.state,
            state_since=job.state_since,
            rows_read=progress.rows,
            stored=counts.get("stored", 0),
            joined=counts.get("joined", 0),
            pending=counts.get("pending", 0),
            refused=counts.get("refused", 0),
            refused_by_rule=progress.refused_by_rule,
            share=round(progress.share, 4),
            estimated_end=status.estimated_end,
            problems=job.problems,
            repeats=job.repeats,
            created_at=job.created_at,
        )


class RequestedImportView(BaseModel):
    """A new import and how its file is handed in, within 15 minutes."""

    model_config = ConfigDict(defer_build=True)

    id: str = Field(examples=["IMP_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"])
    upload: UploadView


class ResultView(BaseModel):
    """Where the result file lies, for five minutes."""

    model_config = ConfigDict(defer_build=True)

    url: str = Field(examples=["https://bucket.example/results/IMP_2K7QF0X9M4T8.csv?X-Amz-Signature=…"])


@dataclass(frozen=True, slots=True)
class ImportUseCases:
    """What the import routes call."""

    request: RequestImport
    read: ReadImports
    cancel: CancelImport


def add_import_routes(api: Api, use: ImportUseCases) -> None:
    """Registers the routes."""

    @api.post(
        "/api/v1/imports",
        "Ask for an import: answers with a form that takes the file; the upload starts it",
        tag=TAG,
        status=201,
        model=RequestedImportView,
        errors=(401, 403, 413, 415),
    )
    def request_import(body: Annotated[ImportRequest, Body(examples=[EXAMPLE])]) -> tuple[RequestedImportView, int]:
        job, form = use.request(body, api.user_call())
        upload = UploadView(url=form.url, fields=dict(form.fields))
        return RequestedImportView(id=job.id, upload=upload), 201

    @api.get(
        "/api/v1/imports/{import_id}",
        "How far an import is: rows by verdict and by rule, since when, until when",
        tag=TAG,
        model=ImportView,
        errors=(401, 404),
    )
    def get_import(import_id: str) -> ImportView:
        return ImportView.of(use.read.one(import_id, api.user_call()))

    @api.get(
        "/api/v1/imports/{import_id}/result",
        "The address of the result file: every row as it came, its verdict, lead, field and rule",
        tag=TAG,
        model=ResultView,
        errors=(401, 404, 409),
    )
    def get_import_result(import_id: str) -> ResultView:
        return ResultView(url=use.read.result_url(import_id, api.user_call()))

    @api.post(
        "/api/v1/imports/{import_id}/cancel",
        "Cancel an import; rows that have their verdict keep it",
        tag=TAG,
        model=ImportView,
        errors=(401, 404, 409),
    )
    def cancel_import(import_id: str) -> ImportView:
        return ImportView.of(use.cancel(import_id, api.user_call()))
