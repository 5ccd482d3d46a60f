"""The order form as a file: printed once for a revision, kept under its hash, and given out by address (ORD-1).

What is reviewed, what is sent out for signature and what the link gives are the same bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from revops.kernel import BlobStore, CallContext, Refused
from revops.orders.model import OrderForm
from revops.orders.ports import DocumentLinks, FormPrinter
from revops.orders.queries import ReadOrder
from revops.orders.reviews import Rendering

LINK_SECONDS = 300


class KeepForm:
    """Prints forms and keeps them. It is the `OrderDocument` of whoever sends one out: of a revision that was printed
    it gives the kept bytes, whatever prints forms today."""

    def __init__(self, printer: FormPrinter, blobs: BlobStore) -> None:
        self._printer = printer
        self._blobs = blobs

    def __call__(self, order: OrderForm) -> Rendering:
        """Where the form of the present revision lies; it is printed unless it was before. Raises Unavailable."""
        if order.document is not None and order.document.revision == order.revision:
            return order.document
        content = self._printer.pdf(order)
        digest = hashlib.sha256(content).hexdigest()
        key = f"forms/{order.id}/{digest}.pdf"
        self._blobs.put(key, content, "application/pdf")
        return Rendering(key=key, sha256=digest, size=len(content), revision=order.revision)

    def pdf(self, order: OrderForm) -> bytes:
        """The form of the present revision. Raises Unavailable."""
        if order.document is not None and order.document.revision == order.revision:
            return self._blobs.get(order.document.key)
        return self._printer.pdf(order)

    def unprintable(self, order: OrderForm) -> Mapping[str, str]:
        """The fields with characters that the form cannot show, and which."""
        return self._printer.unprintable(order)


@dataclass(frozen=True, slots=True)
class FormLink:
    """An address that gives the form for `seconds`, and what the bytes must hash to."""

    url: str
    seconds: int
    document: Rendering


class ReadDocument:
    """The form for somebody who may read the order."""

    def __init__(self, read: ReadOrder, links: DocumentLinks) -> None:
        self._read = read
        self._links = links

    def __call__(self, order_id: str, call: CallContext) -> FormLink:
        """Raises NotFound, and Refused until the form of the present revision is printed."""
        order = self._read(order_id, call)
        document = order.document
        if document is None or document.revision != order.revision:
            raise Refused(f"the form of order {order_id} is not printed yet; that is the first step of its workflow")
        name = f"{order.id}-r{document.revision}.pdf"
        url = self._links.download_url(document.key, name, "application/pdf", LINK_SECONDS)
        return FormLink(url, LINK_SECONDS, document)
