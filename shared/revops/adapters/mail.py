"""SES: mail out, through API fields only, so that no header can be injected (S15)."""

from typing import Any

from revops.adapters.aws import AwsError, unavailable
from revops.kernel import Invalid


class SesMailer:
    """`Mailer` on SES v2."""

    def __init__(self, client: Any, sender: str) -> None:
        self._client = client
        self._sender = sender

    def send(self, to: str, subject: str, text: str) -> None:
        if any(mark in to + subject for mark in "\r\n"):
            raise Invalid.field("subject", "header-injection", "a line break in a mail header")
        content = {"Simple": {"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}}}
        try:
            self._client.send_email(FromEmailAddress=self._sender, Destination={"ToAddresses": [to]}, Content=content)
        except AwsError as error:
            raise unavailable("the mail service", error) from error
