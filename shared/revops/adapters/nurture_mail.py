"""SES v2 as the sender of nurture, and what SES says of a mail afterwards.

One call is made once and ends within 8 seconds (connecting 2, answering 5): the lease that keeps a withdrawal waiting
ends soon after. What went through API fields only cannot inject a header (S15); SES refuses a custom header with a line
break, and so does this adapter before it.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
)

from revops.adapters.aws import error_code
from revops.kernel import Invalid, Refused, Unavailable
from revops.nurture.feedback import Feedback, Verdict
from revops.nurture.ports import MailMessage, OutcomeUnknown

_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, NoCredentialsError)
_SLOWER = frozenset({"TooManyRequestsException", "Throttling", "ThrottlingException", "LimitExceededException"})
_UNREADY = frozenset(
    {
        "AccountSuspendedException",
        "SendingPausedException",
        "MailFromDomainNotVerifiedException",
        "NotFoundException",
        "AccessDeniedException",
        "ExpiredTokenException",
        "UnrecognizedClientException",
    }
)
_SLOWER_PAUSE, _UNREADY_PAUSE = 20.0, 600.0
_TAG = "message_id"


class SesNurtureMail:
    """`MailSender` on SES v2. `configuration_set` is the one whose events come back; empty sends without."""

    def __init__(self, client: Any, sender: str, configuration_set: str = "") -> None:
        self._client = client
        self._sender = sender
        self._configuration_set = configuration_set

    def send(self, message: MailMessage) -> str:
        """SES's message id. Raises Unavailable, Refused or OutcomeUnknown."""
        for name, value in {"to": message.to, "subject": message.subject, **message.headers}.items():
            if any(mark in value for mark in "\r\n\0"):
                raise Refused(f"a line break in the mail header {name}")
        try:
            answer = self._client.send_email(**self._request(message))
        except ClientError as error:
            raise _answered(error) from error
        except _NEVER_SENT as error:
            raise Unavailable("the mail service cannot be reached", retry_after=_SLOWER_PAUSE) from error
        except ParamValidationError as error:
            raise Refused("the mail service's client does not take this message") from error
        except BotoCoreError as error:
            raise OutcomeUnknown(f"the mail service did not answer ({type(error).__name__})") from error
        return str(answer["MessageId"])

    def _request(self, message: MailMessage) -> dict[str, Any]:
        request: dict[str, Any] = {
            "FromEmailAddress": self._sender,
            "Destination": {"ToAddresses": [message.to]},
            "Content": {
                "Simple": {
                    "Subject": _utf8(message.subject),
                    "Body": {"Text": _utf8(message.text), "Html": _utf8(message.html)},
                    "Headers": [{"Name": name, "Value": value} for name, value in message.headers.items()],
                }
            },
            "EmailTags": [{"Name": _TAG, "Value": message.message_id}],
        }
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        return request


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _answered(error: ClientError) -> Exception:
    """What an answer that is no success means: SES answered, so a 4xx says that nothing was sent."""
    code, status = error_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _SLOWER or status == 429:
        return Unavailable("the mail service is throttling", retry_after=_SLOWER_PAUSE)
    if code in _UNREADY:
        return Unavailable(f"the mail service does not send for us ({code})", retry_after=_UNREADY_PAUSE)
    if 400 <= status < 500:
        return Refused(f"the mail service refused the message ({code})")
    return OutcomeUnknown(f"the mail service failed ({code})")


_BOUNCES, _COMPLAINTS = "Email Bounced", "Email Complaint Received"


def read_ses_event(event: Mapping[str, Any]) -> Feedback:
    """What an event of SES on EventBridge says (`source` aws.ses). Only a permanent bounce makes an address one that
    cannot be reached. Raises Invalid for an event of another shape."""
    detail = event.get("detail")
    if event.get("source") != "aws.ses" or not isinstance(detail, dict) or not isinstance(detail.get("mail"), dict):
        raise Invalid("not an event of SES")
    mail = detail["mail"]
    tagged = (mail.get("tags") or {}).get(_TAG) or [""]
    name = str(event.get("detail-type", ""))
    verdict, addresses = Verdict.TEMPORARY, tuple[str, ...]()
    if name == _COMPLAINTS:
        verdict = Verdict.COMPLAINT
    elif name == _BOUNCES:
        bounce = detail.get("bounce") or {}
        if bounce.get("bounceType") == "Permanent":
            verdict = Verdict.UNDELIVERABLE
        addresses = tuple(str(each.get("emailAddress", "")) for each in bounce.get("bouncedRecipients") or ())
    return Feedback(verdict, str(tagged[0]), str(mail.get("messageId", "")), addresses)
