"""Mails, invented, as they lie in the bucket of received mail."""

from email.message import EmailMessage
from email.policy import SMTP


def mail(
    text: str = "Please call me about your product.",
    *,
    sender: str = "Asha Rao <asha.rao@nordlicht.example>",
    to: str = "sales@revops.example",
    subject: str = "A question",
    message_id: str = "<m-1@nordlicht.example>",
    html: str = "",
    **headers: str,
) -> EmailMessage:
    """A mail; further headers by name, `_` for `-`."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    if message_id:
        message["Message-ID"] = message_id
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    if text:
        message.set_content(text)
    if html and text:
        message.add_alternative(html, subtype="html")
    elif html:
        message.set_content(html, subtype="html")
    return message


def raw(message: EmailMessage) -> bytes:
    """Its bytes, with the line ends of the wire."""
    return message.as_bytes(policy=SMTP)
