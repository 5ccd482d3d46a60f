"""What prints order forms, loaded with the first of them: its layer is heavy, and most steps of an order print none."""

from collections.abc import Mapping
from functools import cached_property

from revops.orders.model import OrderForm
from revops.orders.ports import FormPrinter
from revops.settings import SettingsReader


class LazyPrinter:
    """`FormPrinter` that becomes the real one when it is first asked."""

    def __init__(self, settings: SettingsReader) -> None:
        self._settings = settings

    def pdf(self, order: OrderForm) -> bytes:
        return self._printer.pdf(order)

    def unprintable(self, order: OrderForm) -> Mapping[str, str]:
        return self._printer.unprintable(order)

    @cached_property
    def _printer(self) -> FormPrinter:
        from revops.adapters.order_document import PdfOrderForms

        return PdfOrderForms(self._settings)
