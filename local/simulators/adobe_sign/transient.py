"""Transient documents: one file in a multipart request, to be used within seven days."""

import base64
import secrets
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP

from local.simulators.adobe_sign.errors import AdobeError
from local.simulators.common import Call, Json, Problem, World
from local.simulators.common.pdf import NotAPdf, read_text

FIELDS = {"File", "File-Name", "Mime-Type"}
_DAYS = 7 * 86_400


class Transient:
    """Uploaded files, by their id."""

    def __init__(self, world: World) -> None:
        self._world = world

    def upload(self, call: Call) -> Json:
        """Keeps the file of a request; its id. Raises AdobeError."""
        parts = parts_of(call)
        file = parts.get("File")
        if file is None:
            raise AdobeError("NO_FILE_CONTENT")
        content = file.get_payload(decode=True)
        if not isinstance(content, bytes) or not content:
            raise AdobeError("NO_FILE_CONTENT")
        name = _text(parts["File-Name"]) if "File-Name" in parts else file.get_filename() or ""
        if not 0 < len(name) <= 255:
            raise AdobeError("NO_FILE_NAME")
        kind = _text(parts["Mime-Type"]) if "Mime-Type" in parts else file.get_content_type()
        if kind != "application/pdf":
            raise AdobeError("INVALID_MIME_TYPE", "This simulator takes PDFs only.")
        try:
            pages = len(read_text(content))
        except NotAPdf as error:
            raise AdobeError("TRANSIENT_RESOURCE_PROCESSING_FAILED", str(error)) from error
        number = "3AAABLblqZ" + secrets.token_urlsafe(48)
        stored = {"name": name, "pages": pages, "content": base64.b64encode(content).decode()}
        self._world.store.put("transient", number, {**stored, "until": self._world.clock.now() + _DAYS})
        call.params = {"File-Name": name, "Mime-Type": kind, "bytes": len(content)}
        return {"transientDocumentId": number}

    def use(self, number: str) -> Json:
        """An uploaded file that is still there. Raises AdobeError."""
        stored = self._world.store.get("transient", number)
        if stored is None:
            raise AdobeError("INVALID_TRANSIENTDOCUMENT_ID")
        if stored["until"] <= self._world.clock.now():
            raise AdobeError("TRANSIENT_RESOURCE_DELETED")
        return stored


def parts_of(call: Call) -> dict[str, Message]:
    """The parts of a multipart request by their name. Raises AdobeError."""
    kind = call.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise AdobeError("UNSUPPORTED_MEDIA_TYPE")
    whole = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + call.body, policy=HTTP)
    if not whole.is_multipart():
        raise AdobeError("INVALID_MULTIPART")
    parts: dict[str, Message] = {}
    for part in whole.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or name in parts:
            raise AdobeError("INVALID_MULTIPART")
        parts[name] = part
    return parts


def check_parts(call: Call) -> list[Problem]:
    """Parts that the operation does not have, or lacks."""
    try:
        given = set(parts_of(call))
    except AdobeError as error:
        return [Problem("type", "", error.code)]
    problems = [Problem("unknown", name, "not a part of this operation") for name in sorted(given - FIELDS)]
    return problems + ([] if "File" in given else [Problem("missing", "File", "a required part")])


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
