"""What the import worker is woken by: a file that arrived, or an import handed on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from revops.channels.imports.ports import UPLOADS
from revops.channels.imports.work import RunImport
from revops.kernel import Invalid


class HandleImportMessage:
    """Works on the import that a message names."""

    def __init__(self, run: RunImport) -> None:
        self._run = run

    def __call__(self, message: Mapping[str, Any], holder: str, seconds_left: Callable[[], float]) -> str:
        """What became of it, for the log. Raises Invalid for a message that names none."""
        return ", ".join(self._run(import_id, holder, seconds_left) for import_id in _imports(message)) or "nothing"


def _imports(message: Mapping[str, Any]) -> Iterator[str]:
    if message.get("Event") == "s3:TestEvent":  # what S3 sends when a notification is configured
        return
    if "import_id" in message:
        yield str(message["import_id"])
        return
    records = message.get("Records")
    if not isinstance(records, list):
        raise Invalid("a message names an import, or is S3's notice of an upload")
    for record in records:
        key = unquote_plus(str(record["s3"]["object"]["key"]))
        if not key.startswith(UPLOADS):
            raise Invalid("a file that is no upload")
        yield key.removeprefix(UPLOADS)
