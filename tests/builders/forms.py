"""A printer of forms that is quick: the words of the form, without a page."""

from collections.abc import Mapping

from revops.orders.model import OrderForm
from revops.orders.policies.form import OrderFormRules, form_of


class PlainPrinter:
    """`FormPrinter` that writes the form's words into what begins like a PDF."""

    def __init__(self) -> None:
        self.printed = 0
        self.gaps: dict[str, str] = {}

    def pdf(self, order: OrderForm) -> bytes:
        self.printed += 1
        form = form_of(order, OrderFormRules())
        lines = [form.title, form.reference, *(f"{name}: {text}" for each in form.sections for name, text in each.rows)]
        return b"%PDF-1.7\n" + "\n".join(lines).encode() + b"\n%%EOF\n"

    def unprintable(self, order: OrderForm) -> Mapping[str, str]:
        return self.gaps


class PlainLinks:
    """`DocumentLinks` whose addresses say what they give."""

    def download_url(self, name: str, file_name: str, content_type: str, seconds: int) -> str:
        return f"https://files.example/{name}?as={file_name}&for={seconds}"
