"""The order form as a PDF, set by fpdf2 in FiraGO (ORD-1).

The letters: Latin with all its accents, Greek, Cyrillic, Devanagari, Arabic, Hebrew, Thai and Georgian, shaped by
HarfBuzz, so that राहुल reads as it should. Chinese, Japanese, Korean, Bengali, Tamil, Armenian and others have no
letters here: such a character is printed as its code point, [U+4E2D], and `unprintable` names the field, so that
somebody sees it before anybody signs.

The same revision gives the same bytes: the date inside is that of the revision, the identifier follows from the
content, and the parts of the fonts that are embedded are those that are used.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pymupdf_fonts
from fontTools.ttLib import TTFont

from revops.orders.model import OrderForm
from revops.orders.policies.form import Form, OrderFormRules, Section, form_of
from revops.settings import SettingsReader

with warnings.catch_warnings():  # it misses what it reads images with, of which a form has none
    warnings.simplefilter("ignore", UserWarning)
    from fpdf import FPDF

SIGNATURE_ANCHOR: Final = "/signature/"
DATE_ANCHOR: Final = "/signed-on/"
"""What e-sign providers look for to place their fields; printed in white."""

_FACES: Final = {"": "figo", "B": "figbo"}
_INK, _FAINT, _RULE, _PAPER = (20, 24, 32), (110, 116, 128), (205, 210, 218), (255, 255, 255)
_MARGIN, _LABEL, _WIDTH, _ROW = 20.0, 58.0, 170.0, 4.5
_UNSHAPED: Final = re.compile(r"[\t\n -\u02ff\u0370-\u0482\u048a-\u058f\u1e00-\u200a\u2010-\u2027\u20a0-\u20cf]*")
"""Letters that look the same whatever stands beside them: shaping them changes nothing and takes ten times as long."""
_SHOWN: Final = ("legal_entity_name", "signatory_name", "contact_email")


@cache
def _font_files() -> Mapping[str, str]:
    """The faces as files, which is what fpdf2 takes; written once a process."""
    folder = Path(mkdtemp(prefix="order-form-"))
    files = {}
    for style, name in _FACES.items():
        path = folder / f"{name}.ttf"
        path.write_bytes(pymupdf_fonts.fontbuffers[name]())
        files[style] = str(path)
    return files


@cache
def _letters() -> frozenset[int]:
    """The code points that every face has."""
    faces = []
    for path in _font_files().values():
        with TTFont(path) as font:
            faces.append(frozenset(font.getBestCmap()))
    return faces[0].intersection(*faces[1:])


def _missing(text: str) -> str:
    """The characters of a text that have no letters here, each once."""
    return "".join(dict.fromkeys(each for each in text if each not in "\n\t" and ord(each) not in _letters()))


def _printable(text: str) -> str:
    gone = _missing(text)
    return "".join(f"[U+{ord(each):04X}]" if each in gone else each for each in text) if gone else text


class _Sheet(FPDF):
    """A4 with the order's reference and the page at the foot."""

    def __init__(self, form: Form) -> None:
        super().__init__(format="A4")
        self._form = form
        for style, path in _font_files().items():
            self.add_font("FiraGO", style, path)
        self.set_margins(_MARGIN, 14, _MARGIN)
        self.set_auto_page_break(auto=True, margin=17)

    def footer(self) -> None:
        self.set_y(-13)
        self._type(8, _FAINT)
        self.cell(_WIDTH / 2, 5, _printable(self._form.reference))
        self.cell(_WIDTH / 2, 5, f"Page {self.page_no()}", align="R")

    def _type(self, size: float, ink: tuple[int, int, int] = _INK, style: str = "") -> None:
        self.set_font("FiraGO", style, size)
        self.set_text_color(*ink)

    def _write(self, width: float, height: float, text: str) -> None:
        """A text from here on, over as many lines as it takes."""
        shown = _printable(text)
        self.set_text_shaping(use_shaping_engine=not _UNSHAPED.fullmatch(shown))
        self.multi_cell(width, height, shown, align="L", new_x="LMARGIN", new_y="NEXT")

    def head(self) -> None:
        self._type(18, style="B")
        self._write(_WIDTH, 9, self._form.title)
        self._type(9, _FAINT)
        self._write(_WIDTH, 5, self._form.reference)
        self.ln(3)

    def section(self, section: Section) -> None:
        self._keep_together(20)
        self.ln(1.5)
        self._type(10.5, style="B")
        self._write(_WIDTH, 5.6, section.heading)
        self._line()
        for label, value in section.rows:
            self._row(label, value)

    def _row(self, label: str, value: str) -> None:
        self._keep_together(_ROW * (1 + value.count("\n")))
        top = self.get_y()
        self._type(8.5, _FAINT)
        self._write(_LABEL, _ROW, label)
        self._type(9)
        self.set_xy(_MARGIN + _LABEL, top)
        self._write(_WIDTH - _LABEL, _ROW, value)

    def clauses(self, clauses: tuple[str, ...]) -> None:
        self.ln(3)
        self._type(8)
        for number, clause in enumerate(clauses, 1):
            self._write(_WIDTH, 4, f"{number}. {clause}")
            self.ln(0.6)

    def signature(self) -> None:
        self._keep_together(34 + 5 * (len(_printable(self._form.signatory)) // 26))
        self.ln(3)
        self._type(9.5)
        self._write(_WIDTH, 5, "Signed for the customer")
        self.ln(12)
        top, half = self.get_y(), _WIDTH / 2 - 5
        for left, anchor, caption in (
            (_MARGIN, SIGNATURE_ANCHOR, self._form.signatory),
            (_MARGIN + half + 10, DATE_ANCHOR, "Date"),
        ):
            self._anchor(left, top - 6, anchor)
            self._line(left, top, half)
            self.set_xy(left, top + 1)
            self._type(8.5, _FAINT)
            self._write(half, 5, caption)

    def _anchor(self, left: float, top: float, text: str) -> None:
        """In a core font and unshaped: a provider searches the text as it stands in the file."""
        self.set_text_shaping(use_shaping_engine=False)
        self.set_font("Helvetica", size=6)
        self.set_text_color(*_PAPER)
        self.set_xy(left, top)
        self.cell(30, 4, text)

    def _line(self, left: float = _MARGIN, top: float | None = None, width: float = _WIDTH) -> None:
        self.set_draw_color(*_RULE)
        place = self.get_y() if top is None else top
        self.line(left, place, left + width, place)
        if top is None:
            self.ln(1)

    def _keep_together(self, height: float) -> None:
        if self.will_page_break(height):
            self.add_page()


class PdfOrderForms:
    """`FormPrinter`: the form under the letter head in force."""

    def __init__(self, settings: SettingsReader) -> None:
        self._settings = settings

    def pdf(self, order: OrderForm) -> bytes:
        form = form_of(order, self._settings.read(OrderFormRules))
        sheet = _Sheet(form)
        sheet.set_title(form.title)
        sheet.set_subject(form.reference)
        sheet.set_creator("revops")
        sheet.set_producer("revops")
        sheet.set_lang("en")
        sheet.set_creation_date((order.revised_at or order.created_at).astimezone(UTC))
        sheet.add_page()
        sheet.head()
        for section in form.sections:
            sheet.section(section)
        sheet.clauses(form.clauses)
        sheet.signature()
        return bytes(sheet.output())

    def unprintable(self, order: OrderForm) -> Mapping[str, str]:
        found = {name: _missing(text) for name, text in _texts(order)}
        return {name: missing for name, missing in found.items() if missing}


def _texts(order: OrderForm) -> Iterator[tuple[str, str]]:
    for name in _SHOWN:
        yield name, str(getattr(order.terms, name))
    address = order.terms.billing_address
    yield "billing_address", "".join((address.line1, address.line2, address.city, address.state, address.postal_code))
