"""What an envelope must have before it is made: documents that are PDFs, recipients with an address, tabs that find
their anchor, custom fields within their bounds, a notification that this simulator can send."""

import base64
import re
from dataclasses import dataclass

from local.simulators.common import Json
from local.simulators.common.pdf import NotAPdf, contains, read_text
from local.simulators.docusign.errors import DocusignError, bad_body, bad_parameter

_FIELDS = {
    *("status", "emailSubject", "emailBlurb", "documents", "recipients", "customFields", "notification"),
    *("eventNotification", "transactionId", "allowReassign", "allowMarkup", "autoNavigation", "enableWetSign"),
    *("enforceSignerVisibility", "envelopeIdStamping", "signingLocation", "useDisclosure"),
}
_DOCUMENT_FIELDS = {"documentBase64", "documentId", "fileExtension", "name", "order"}
_RECIPIENT_FIELDS = {"name", "email", "recipientId", "routingOrder"}
_SIGNER_FIELDS = {*_RECIPIENT_FIELDS, "tabs", "clientUserId", "emailNotification", "note", "roleName", "suppressEmails"}
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+")
_SUBJECT, _CUSTOM_NAME, _CUSTOM_VALUE = 100, 50, 100
_PLACED = ("documentId", "pageNumber", "xPosition", "yPosition")
DEFAULT_DAYS = 120


@dataclass(frozen=True)
class File:
    """A document of an envelope; `text` is that of each page."""

    id: str
    name: str
    order: str
    content: bytes
    text: list[str]


def check(definition: Json) -> list[File]:
    """The documents of a definition that can be made into an envelope. Raises DocusignError."""
    _only(definition, _FIELDS, "")
    status = definition.get("status", "created")
    if status not in ("created", "sent"):
        raise bad_parameter("Value for 'status' must be 'created' or 'sent' when an envelope is created.")
    if len(definition.get("emailSubject", "")) > _SUBJECT:
        raise bad_parameter(f"The 'emailSubject' has more than {_SUBJECT} characters.")
    files = [_file(document) for document in definition.get("documents", ())]
    if len({file.id for file in files}) < len(files):
        raise bad_parameter("Each document of an envelope has a documentId of its own.")
    recipients = definition.get("recipients", {})
    if status == "sent":
        check_complete(definition.get("emailSubject", ""), bool(files), recipients)
    _check_recipients(recipients, files)
    _check_custom_fields(definition.get("customFields", {}))
    days_until_expiry(definition.get("notification", {}))
    if "eventNotification" in definition:
        _check_notification(definition["eventNotification"])
    return files


def check_complete(subject: str, has_documents: bool, recipients: Json) -> None:
    """Refuses to send what lacks a part."""
    if not subject or not has_documents or not recipients.get("signers"):
        raise DocusignError(
            400,
            "ENVELOPE_IS_INCOMPLETE",
            "The Envelope is not Complete. A Complete Envelope Requires Documents, Recipients, Tabs, and a Subject"
            " Line.",
        )


def days_until_expiry(notification: Json) -> int:
    """Days an envelope stays open: its own if it says so explicitly, else the account's. Raises DocusignError."""
    own = notification.get("expirations", {})
    if notification.get("useAccountDefaults") == "true" or own.get("expireEnabled") != "true":
        return DEFAULT_DAYS
    days = own.get("expireAfter", "")
    if not re.fullmatch(r"[1-9]\d{0,2}", days):
        raise bad_parameter("Value for 'expireAfter' must be a number of days between 1 and 999.")
    return int(days)


def _file(document: Json) -> File:
    _only(document, _DOCUMENT_FIELDS, "documents.")
    name, number = str(document.get("name", "")), str(document.get("documentId", ""))
    if not re.fullmatch(r"[1-9]\d{0,9}", number):
        raise bad_parameter("Value for 'documentId' must be a positive number.")
    if document.get("fileExtension", "pdf") != "pdf":
        raise bad_parameter("This simulator takes PDFs only.")
    try:
        content = base64.b64decode(document.get("documentBase64", ""), validate=True)
        return File(number, name, str(document.get("order", number)), content, read_text(content))
    except (ValueError, NotAPdf) as error:
        told = (
            f"System was unable to convert this document to a PDF. Unable to convert Document({number}) File({name})."
        )
        raise DocusignError(400, "UNABLE_TO_CONVERT_DOCUMENT", told) from error


def _check_recipients(recipients: Json, files: list[File]) -> None:
    _only(recipients, {"signers", "carbonCopies"}, "recipients.")
    everybody = [(each, _SIGNER_FIELDS) for each in recipients.get("signers", ())]
    everybody += [(each, _RECIPIENT_FIELDS) for each in recipients.get("carbonCopies", ())]
    for recipient, known in everybody:
        _only(recipient, known, "recipients.")
        if not re.fullmatch(r"[1-9]\d{0,9}", recipient.get("recipientId", "")):
            raise bad_parameter("Value for 'recipientId' must be a positive number.")
        if not re.fullmatch(r"[1-9]\d{0,3}", recipient.get("routingOrder", "1")):
            raise bad_parameter("Value for 'routingOrder' must be a positive number.")
        check_address(recipient.get("name", ""), recipient.get("email", ""), recipient["recipientId"])
        for kind, tabs in recipient.get("tabs", {}).items():
            for tab in tabs:
                _check_tab(kind, tab, files)
    numbers = [recipient["recipientId"] for recipient, _ in everybody]
    if len(set(numbers)) < len(numbers):
        raise bad_parameter("Each recipient of an envelope has a recipientId of its own.")


def check_address(name: str, email: str, recipient_id: str) -> None:
    """Refuses a recipient without a name, or whose address nothing could reach."""
    if not name.strip():
        raise bad_parameter(f"Value for 'name' must be specified. Recipient id {recipient_id}.")
    if not _EMAIL.fullmatch(email) or len(email) > 100:
        told = f"The email address for the recipient is invalid. The recipient Id follows. {recipient_id}"
        raise DocusignError(400, "INVALID_EMAIL_ADDRESS_FOR_RECIPIENT", told)


def _check_tab(kind: str, tab: Json, files: list[File]) -> None:
    anchor = tab.get("anchorString", "")
    if anchor:
        found = any(contains(page, anchor) for file in files for page in file.text)
        if not found and tab.get("anchorIgnoreIfNotPresent") != "true":
            told = f"Anchor tab string was not found in the document. {kind}, anchor string {anchor}"
            raise DocusignError(400, "ANCHOR_TAB_STRING_NOT_FOUND", told)
        return
    if missing := [name for name in _PLACED if not tab.get(name)]:
        raise bad_parameter(f"A tab without an anchorString needs {', '.join(missing)}.")
    file = next((file for file in files if file.id == tab["documentId"]), None)
    if file is None:
        raise DocusignError(400, "TAB_REFERS_TO_MISSING_DOCUMENT", f"No document {tab['documentId']} in this envelope.")
    if not tab["pageNumber"].isdecimal() or not 1 <= int(tab["pageNumber"]) <= len(file.text):
        raise DocusignError(400, "TAB_OUT_OF_BOUNDS", f"Document {file.id} has no page {tab['pageNumber']}.")


def _check_custom_fields(fields: Json) -> None:
    _only(fields, {"textCustomFields"}, "customFields.")
    for field in fields.get("textCustomFields", ()):
        if not 0 < len(field.get("name", "")) <= _CUSTOM_NAME or len(field.get("value", "")) > _CUSTOM_VALUE:
            told = f"A custom field has a name of up to {_CUSTOM_NAME} and a value of up to {_CUSTOM_VALUE} characters."
            raise bad_parameter(told)


def _check_notification(notification: Json) -> None:
    data = notification.get("eventData", {})
    if not notification.get("url"):
        raise bad_parameter("Value for 'url' must be specified in an eventNotification.")
    if not notification.get("events"):
        raise bad_parameter("Value for 'events' must be specified in an eventNotification.")
    if notification.get("deliveryMode", "SIM") != "SIM" or data.get("version") != "restv2.1":
        raise bad_parameter("This simulator sends JSON SIM only: deliveryMode SIM, eventData.version restv2.1.")
    if data.get("format", "json") != "json":
        raise bad_parameter("This simulator sends JSON SIM only: eventData.format json.")


def _only(given: Json, known: set[str], where: str) -> None:
    """Refuses what DocuSign may know and this simulator does not act upon: silence would hide a difference."""
    if unknown := sorted(set(given) - known):
        raise bad_body(f"This simulator does not know {', '.join(where + name for name in unknown)}.")
