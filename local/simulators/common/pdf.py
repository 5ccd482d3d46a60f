"""PDF as a signature vendor handles it: read for its words, put together, and pages of plain text of its own."""

import io
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter
from pypdf.errors import PyPdfError

_HEIGHT, _TOP, _LEADING = 842, 790, 16
_LINES_OF_A_PAGE = 45


class NotAPdf(ValueError):
    """Bytes that cannot be read as a PDF with at least one page."""


def text_pdf(lines: Sequence[str]) -> bytes:
    """A PDF of plain text, set in Helvetica, one string a line; what Latin-1 lacks becomes a question mark."""
    pages = [lines[at : at + _LINES_OF_A_PAGE] for at in range(0, max(len(lines), 1), _LINES_OF_A_PAGE)]
    numbers = [4 + 2 * index for index in range(len(pages))]
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in zip(numbers, pages, strict=True):
        shown = b"".join(b"(" + _escaped(line) + b") '\n" for line in page)
        content = b"BT /F1 11 Tf %d TL 60 %d Td\n%sET" % (_LEADING, _TOP, shown)
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        head = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 {_HEIGHT}] {resources} /Contents {number + 1} 0 R >>"
        objects += [head.encode(), b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)]
    return _assembled(objects)


def read_text(document: bytes) -> list[str]:
    """The text of each page. Raises NotAPdf."""
    try:
        pages = [page.extract_text() for page in _reader(document).pages]
    except (PyPdfError, ValueError, KeyError, TypeError) as error:
        raise NotAPdf(str(error)) from error
    if not pages:
        raise NotAPdf("no pages")
    return pages


def joined(documents: Sequence[bytes]) -> bytes:
    """All pages of these PDFs in one. Raises NotAPdf."""
    writer = PdfWriter()
    try:
        for document in documents:
            writer.append(_reader(document))
    except (PyPdfError, ValueError, KeyError, TypeError) as error:
        raise NotAPdf(str(error)) from error
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def contains(text: str, words: str) -> bool:
    """Whether the words stand in a text, whatever the case and however the layout spaced them."""
    return "".join(words.split()).casefold() in "".join(text.split()).casefold()


def _reader(document: bytes) -> PdfReader:
    if not document.startswith(b"%PDF-"):
        raise NotAPdf("no PDF header")
    return PdfReader(io.BytesIO(document))


def _escaped(line: str) -> bytes:
    raw = line.encode("latin-1", "replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _assembled(objects: list[bytes]) -> bytes:
    """The objects, numbered from 1, with their table; the first is the catalogue."""
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + tail
