"""The order form as a PDF, read back with another library."""

import io
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from revops.adapters.order_document import DATE_ANCHOR, SIGNATURE_ANCHOR, PdfOrderForms
from revops.kernel import system_call
from revops.orders.model import OrderForm
from revops.orders.policies.form import OrderFormRules, form_of
from revops.settings import SETTINGS, SettingsReader, SettingsRecord
from revops.table import begin
from tests.builders.memory_table import MemoryTable
from tests.builders.orders import order_terms

pytestmark = pytest.mark.mission("ORD-1")
MADE = datetime(2026, 11, 20, 9, tzinfo=UTC)


def order(**terms: Any) -> OrderForm:
    return OrderForm(
        id="ORD_7ZK4Q0V8M2N6P1R3S5T9W0X2Y4",
        created_at=MADE,
        modified_at=MADE,
        status_since=MADE,
        account_id="ACC_1",
        opportunity_id="OPP_1",
        opened_opportunity=True,
        owner_id="USR_rep",
        terms=order_terms(**terms),
    )


@pytest.fixture(scope="module")
def printer() -> PdfOrderForms:
    return PdfOrderForms(SettingsReader(MemoryTable(), ttl=0))


def worded(clauses: list[str], **head: Any) -> SettingsReader:
    """The settings in which every form says these clauses."""
    table, transaction = MemoryTable(), begin(system_call("tests"), MADE)
    content = {"clauses": clauses, **head}
    SETTINGS.create(transaction, SettingsRecord(id="order_form", created_at=MADE, modified_at=MADE, content=content))
    table.commit(transaction)
    return SettingsReader(table, ttl=0)


def text_of(content: bytes) -> str:
    pages = PdfReader(io.BytesIO(content)).pages
    return "\n".join(page.extract_text() for page in pages)


def test_every_word_of_the_form_is_in_the_file(printer: PdfOrderForms) -> None:
    wanted = order(
        usage=[{"meter": "API Calls", "monthly_cap": 1234, "overage_price": "0.0155"}],
        discount_percent="7.5",
        dpa="2026-02-28",
    )
    content = printer.pdf(wanted)
    assert content.startswith(b"%PDF-")
    words = text_of(content).split()
    for section in form_of(wanted, OrderFormRules()).sections:
        for name, value in section.rows:
            missing = [word for word in f"{name} {value}".split() if word not in words]
            assert not missing, name
    for clause in OrderFormRules().clauses:
        assert not [word for word in clause.split() if word not in words]


def test_what_a_provider_looks_for_stands_once_in_the_file(printer: PdfOrderForms) -> None:
    text = text_of(printer.pdf(order()))
    assert (text.count(SIGNATURE_ANCHOR), text.count(DATE_ANCHOR)) == (1, 1)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("Latin", "Zażółć Gęślą Nguyễn Þórður"),
        ("Greek", "Ευρυδίκη Παπαδοπούλου"),
        ("Cyrillic", "Объединённая Київ Љубљана"),
        ("Devanagari", "राहुल पाटील"),
        ("Thai", "สมชาย"),
        ("Georgian", "ქართული"),
    ],
)
def test_names_read_back_as_they_were_written(printer: PdfOrderForms, script: str, name: str) -> None:
    wanted = order(legal_entity_name=name, signatory_name=name)
    assert printer.unprintable(wanted) == {}, script
    assert text_of(printer.pdf(wanted)).count(name) >= 2, script


def test_what_there_are_no_letters_for_is_printed_as_it_is_numbered_and_named(printer: PdfOrderForms) -> None:
    wanted = order(legal_entity_name="株式会社 Beispiel", signatory_name="தமிழ்")
    assert printer.unprintable(wanted) == {"legal_entity_name": "株式会社", "signatory_name": "தமிழ்"}
    assert "[U+682A][U+5F0F][U+4F1A][U+793E] Beispiel" in text_of(printer.pdf(wanted))


def test_a_standard_form_is_one_page(printer: PdfOrderForms) -> None:
    assert len(PdfReader(io.BytesIO(printer.pdf(order()))).pages) == 1


@pytest.mark.parametrize("clauses", [6, 8, 10])
def test_a_name_of_many_lines_leaves_signature_and_date_side_by_side(clauses: int) -> None:
    content = PdfOrderForms(worded(["Words. " * 60] * clauses)).pdf(order(signatory_name="株" * 200))
    last = PdfReader(io.BytesIO(content)).pages[-1].extract_text()
    assert (SIGNATURE_ANCHOR in last, DATE_ANCHOR in last) == (True, True)


def test_long_terms_are_printed_in_time() -> None:
    """Fifty such clauses may be set; a step of the workflow has 90 seconds, on less than one of these processors."""
    began = time.process_time()
    content = PdfOrderForms(worded(["Words of a lawyer – “as is”. " * 137] * 10)).pdf(order())
    assert time.process_time() - began < 4
    assert len(PdfReader(io.BytesIO(content)).pages) > 4


def test_a_clause_of_blanks_is_printed() -> None:
    assert PdfOrderForms(worded(["\n" * 3000])).pdf(order()).startswith(b"%PDF-")


def test_a_long_form_runs_over_pages_with_its_reference_on_each() -> None:
    wanted = order()
    clauses = [f"Clause {number}. " + "Words of a lawyer. " * 40 for number in range(30)]
    settings = worded(clauses, supplier_name="Lieferant AG", supplier_address=["Weg 2", "Bern"])
    reader = PdfReader(io.BytesIO(PdfOrderForms(settings).pdf(wanted)))
    assert len(reader.pages) >= 3
    assert "Lieferant AG" in reader.pages[0].extract_text()
    assert SIGNATURE_ANCHOR in reader.pages[-1].extract_text()
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text()
        assert f"{wanted.id} · revision 1" in text
        assert f"Page {number}" in text


PRINT = """
import hashlib
from tests.unit.adapters.test_order_document import PdfOrderForms, MemoryTable, SettingsReader, order
content = PdfOrderForms(SettingsReader(MemoryTable(), ttl=0)).pdf(order(signatory_name="राहुल पाटील"))
print(hashlib.sha256(content).hexdigest())
"""


def test_the_same_revision_gives_the_same_bytes_in_every_process(printer: PdfOrderForms) -> None:
    """Whatever became of the order meanwhile; another revision is another file."""
    project = Path(__file__).parents[3]
    environment = {"PYTHONPATH": f"{project / 'shared'}:{project}", "PYTHONHASHSEED": "7"}
    said = [
        subprocess.run(
            [sys.executable, "-c", PRINT], cwd=project, env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1]
    first = order(signatory_name="राहुल पाटील")
    later = first.model_copy(update={"attempt": 4, "version": 9, "modified_at": datetime(2027, 1, 1, tzinfo=UTC)})
    assert printer.pdf(first) == printer.pdf(later)
    assert printer.pdf(first.model_copy(update={"revision": 2})) != printer.pdf(first)
