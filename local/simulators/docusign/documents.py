"""The PDFs of an envelope: each document, all of them combined, and the certificate of completion.

Signatures are not drawn into the page: a page of their own says who signed, when and where. Before completion the
documents are without it, and voided or declined ones say so, as DocuSign's watermark does.
"""

import base64

from local.simulators.common import Json, Store
from local.simulators.common.pdf import joined, text_pdf
from local.simulators.docusign.creation import File


def keep(store: Store, envelope_id: str, files: list[File]) -> None:
    """Stores the documents of an envelope."""
    for file in files:
        document = {"name": file.name, "order": file.order, "content": base64.b64encode(file.content).decode()}
        store.put("file", f"{envelope_id}/{file.id}", {"documentId": file.id, **document})


def files_of(store: Store, envelope: Json) -> list[Json]:
    """The stored documents in their order."""
    wanted = envelope["envelopeId"] + "/"
    found = [document for name, document in store.items("file") if name.startswith(wanted)]
    return sorted(found, key=lambda document: int(document["order"]) if document["order"].isdecimal() else 0)


def combined(store: Store, envelope: Json, *, with_certificate: bool = True) -> bytes:
    """All documents in one, what was signed, and the certificate once the envelope is completed."""
    parts = [base64.b64decode(document["content"]) for document in files_of(store, envelope)]
    parts += _marks(envelope)
    if with_certificate and envelope["status"] == "completed":
        parts.append(certificate(envelope))
    return joined(parts)


def single(store: Store, envelope: Json, document_id: str) -> bytes | None:
    """One document with what was signed; None if the envelope has none of that number."""
    for document in files_of(store, envelope):
        if document["documentId"] == document_id:
            return marked(envelope, document)
    return None


def marked(envelope: Json, document: Json) -> bytes:
    """A stored document with what was signed."""
    return joined([base64.b64decode(document["content"]), *_marks(envelope)])


def certificate(envelope: Json) -> bytes:
    """Who did what and when, as it stands now."""
    lines = [
        "Certificate Of Completion",
        f"Envelope Id: {envelope['envelopeId']}",
        f"Subject: {envelope.get('emailSubject', '')}",
        f"Status: {envelope['status'].capitalize()}",
        "",
    ]
    for signer in envelope["recipients"].get("signers", ()):
        lines += [f"{signer['name']} <{signer['email']}>", f"  Status: {signer['status']}"]
        moments = (("Sent", "sentDateTime"), ("Viewed", "deliveredDateTime"), ("Signed", "signedDateTime"))
        lines += [f"  {word}: {signer[name]}" for word, name in moments if name in signer]
        if "declinedDateTime" in signer:
            lines.append(f"  Declined: {signer['declinedDateTime']}, {signer.get('declinedReason', '')}")
    return text_pdf(lines)


def _marks(envelope: Json) -> list[bytes]:
    signed = [signer for signer in envelope["recipients"].get("signers", ()) if "signedDateTime" in signer]
    lines = [f"Signed by {signer['name']} <{signer['email']}> on {signer['signedDateTime']}" for signer in signed]
    if envelope["status"] in ("voided", "declined"):
        lines.append(envelope["status"].upper())
    return [text_pdf([f"DocuSign Envelope ID: {envelope['envelopeId']}", *lines])] if lines else []
