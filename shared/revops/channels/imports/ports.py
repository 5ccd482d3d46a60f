"""What imports ask of others: where files lie, and who wakes the worker."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

UPLOADS = "uploads/"
RESULTS = "results/"


@dataclass(frozen=True, slots=True)
class UploadForm:
    """How a file is handed in: a form POST to `url` with these fields first and the file last, as `file`."""

    url: str
    fields: Mapping[str, str]


class Files(Protocol):
    """Where uploads and results lie."""

    def upload_form(self, name: str, content_type: str, max_bytes: int, seconds: int) -> UploadForm:
        """A form that takes one file of at most so many bytes under a name, for so long."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, in parts. Raises NotFound."""
        ...

    def write(self, name: str, content: BinaryIO, content_type: str) -> None: ...

    def download_url(self, name: str, file_name: str, content_type: str, seconds: int) -> str:
        """An address that gives the file under a name of its own, for so long."""
        ...


class ImportQueue(Protocol):
    """Wakes the worker for an import."""

    def send(self, import_id: str) -> None:
        """Raises Unavailable."""
        ...
