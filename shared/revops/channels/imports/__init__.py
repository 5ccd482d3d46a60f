"""Lists of leads as files: CSV and Excel by upload, a verdict for every row (CAP-7)."""

from typing import TYPE_CHECKING

from revops.kernel.face import face

if TYPE_CHECKING:
    from revops.channels.imports.model import (
        ImportJob,
        ImportKind,
        ImportRequest,
        ImportState,
        Progress,
        RowVerdict,
        Verdict,
    )
    from revops.channels.imports.service import CancelImport, ReadImports, RequestImport
    from revops.channels.imports.work import RunImport

__all__ = [
    "CancelImport",
    "ImportJob",
    "ImportKind",
    "ImportRequest",
    "ImportState",
    "Progress",
    "ReadImports",
    "RequestImport",
    "RowVerdict",
    "RunImport",
    "Verdict",
]

_MODEL = ("ImportJob", "ImportKind", "ImportRequest", "ImportState", "Progress", "RowVerdict", "Verdict")
_SERVICE = ("CancelImport", "ReadImports", "RequestImport")

__getattr__ = face(
    __name__, dict.fromkeys(_MODEL, "model") | dict.fromkeys(_SERVICE, "service") | {"RunImport": "work"}
)
