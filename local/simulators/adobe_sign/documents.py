"""The PDFs of an agreement: the combined document, and the audit trail.

Signatures are not drawn into the page: a page of their own says who signed and when. Before the last signature the
combined document is without it.
"""

import base64

from local.simulators.common import Json
from local.simulators.common.pdf import joined, text_pdf


def combined(agreement: Json, *, with_audit: bool) -> bytes:
    """All files in one, with what was signed, and with the audit trail if it is asked for."""
    parts = [base64.b64decode(file["content"]) for file in agreement["_"]["files"]]
    signed = [entry for entry in agreement["_"]["history"] if entry["type"] == "ACTION_COMPLETED"]
    lines = [f"Signed by {entry['participantEmail']} on {entry['date']}" for entry in signed]
    if lines:
        parts.append(text_pdf([f"Agreement {agreement['id']}", *lines]))
    if with_audit:
        parts.append(audit_trail(agreement))
    return joined(parts)


def audit_trail(agreement: Json) -> bytes:
    """What was done with the agreement, as it stands now."""
    lines = ["Audit report", f"Agreement: {agreement['name']}", f"Transaction ID: {agreement['id']}"]
    lines += [f"Status: {agreement['status']}", ""]
    for entry in agreement["_"]["history"]:
        comment = f" ({entry['comment']})" if entry["comment"] else ""
        lines.append(f"{entry['date']} {entry['description']}{comment}")
    return text_pdf(lines)
