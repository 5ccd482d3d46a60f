"""DocuSign's eSignature REST API v2.1: envelopes sent, looked at, voided, and their papers (ORD-3).

A sent envelope carries the order form's id in a custom field `order_form`, and `transactionId` is made of the key: by
these it is found again. Neither makes a repeat harmless.
"""

import base64
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from revops.adapters.docusign_grant import DocusignGrant
from revops.adapters.esign_http import EsignHttp, HeldToken, Reply
from revops.kernel import Clock, Unavailable
from revops.orders.model import EnvelopeStatus
from revops.signing.model import EnvelopeFact, EnvelopeRequest, SignedPapers
from revops.signing.ports import EnvelopeRefused, NoSuchEnvelope, OutcomeUnknown

ORDER_FIELD: Final = "order_form"
NUMBER_FIELD: Final = "envelope_number"
_MOST_NAME: Final = 100
_LIMITS: Final = frozenset({"HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "BURST_APIINVOCATION_LIMIT_EXCEEDED"})
_UNKNOWN: Final = frozenset({"ENVELOPE_DOES_NOT_EXIST"})
_STATUSES: Final[Mapping[str, EnvelopeStatus]] = {
    "completed": EnvelopeStatus.COMPLETED,
    "declined": EnvelopeStatus.DECLINED,
    "voided": EnvelopeStatus.VOIDED,
    "deleted": EnvelopeStatus.VOIDED,
    "timedout": EnvelopeStatus.EXPIRED,
}
"""All others (created, sent, delivered, signed, processing, correct) are on the way to one of these."""


class Docusign:
    """`SignatureProvider` over HTTP. `secret` is asked with every call, so that what was rotated reaches running
    functions: integration_key, user_id, account_id, base_url, oauth_url."""

    def __init__(
        self,
        secret: Callable[[], Mapping[str, Any]],
        sign: Callable[[bytes], bytes],
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._secret = secret
        self._http = EsignHttp("DocuSign", transport)
        self._token = HeldToken(DocusignGrant(self._http, secret, sign, clock))

    def close(self) -> None:
        self._http.close()

    def find(self, order_id: str, number: int, since: datetime, keys: Sequence[str]) -> str | None:
        """By transaction first: that is good for seven days and needs no index; then by the custom field."""
        by_transaction = {"transaction_ids": ",".join(map(_transaction_id, keys))}
        from_date = (since - timedelta(days=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        by_field = {"custom_field": f"{ORDER_FIELD}={order_id}", "from_date": from_date}
        for query in (by_transaction, by_field):
            answer = self._checked(self._ask("GET", "/envelopes", params={**query, "include": "custom_fields"}))
            for envelope in answer.fields.get("envelopes", ()):
                fields = _custom_fields(envelope)
                if (fields.get(ORDER_FIELD), fields.get(NUMBER_FIELD)) == (order_id, str(number)):
                    return str(envelope["envelopeId"]).lower()
        return None

    def send(self, request: EnvelopeRequest, key: str) -> str:
        reply = self._checked(self._call(self._http.create, "POST", "/envelopes", json=_definition(request, key)))
        envelope_id = reply.fields.get("envelopeId")
        if not isinstance(envelope_id, str):
            raise OutcomeUnknown("DocuSign's answer names no envelope")
        return envelope_id.lower()

    def state(self, envelope_id: str) -> EnvelopeFact:
        reply = self._checked(self._ask("GET", f"/envelopes/{envelope_id}", params={"include": "recipients"}))
        if not reply.fields:
            raise Unavailable("DocuSign's answer was not JSON")
        return _fact(reply.fields)

    def void(self, envelope_id: str, reason: str) -> None:
        change = {"status": "voided", "voidedReason": reason[:200]}
        self._checked(self._ask("PUT", f"/envelopes/{envelope_id}", json=change))

    def documents(self, envelope_id: str) -> SignedPapers:
        path = f"/envelopes/{envelope_id}/documents"
        signed = self._checked(self._ask("GET", f"{path}/combined", params={"certificate": "false"}))
        certificate = self._checked(self._ask("GET", f"{path}/certificate"))
        return SignedPapers(signed.content, certificate.content)

    def _ask(self, method: str, path: str, **request: Any) -> Reply:
        return self._call(self._http.ask, method, path, **request)

    def _call(self, by: Callable[..., Reply], method: str, path: str, **request: Any) -> Reply:
        """A call with a token. One whose token is not taken had no effect and is made once more with a fresh one."""
        for last in (False, True):
            secret = self._secret()
            identity = f"{secret['integration_key']} {secret['user_id']} {secret['oauth_url']}"
            headers = {
                "Authorization": f"Bearer {self._token(identity)}",
                "Accept": "application/json, application/pdf",
            }
            url = f"{str(secret['base_url']).rstrip('/')}/restapi/v2.1/accounts/{secret['account_id']}{path}"
            reply = by(method, url, headers=headers, **request)
            if last or reply.status != httpx.codes.UNAUTHORIZED:
                break
            self._token.drop()
        return reply

    def _checked(self, reply: Reply) -> Reply:
        """A good answer. Raises Unavailable, EnvelopeRefused, NoSuchEnvelope."""
        if reply.good:
            return reply
        code, message = (str(reply.fields.get(name, "")) for name in ("errorCode", "message"))
        if code in _UNKNOWN:
            raise NoSuchEnvelope("DocuSign knows no such envelope in this account", code)
        raise self._http.refusal(reply, code, message, limits=_LIMITS)


def _transaction_id(key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


def _definition(request: EnvelopeRequest, key: str) -> dict[str, Any]:
    fields = {ORDER_FIELD: request.order_id, NUMBER_FIELD: str(request.number)}
    signer = {
        "email": request.signatory_email,
        "name": request.signatory_name[:_MOST_NAME],
        "recipientId": "1",
        "routingOrder": "1",
        "tabs": {"signHereTabs": [_anchored("/signature/")], "dateSignedTabs": [_anchored("/signed-on/")]},
    }
    document = {
        "documentBase64": base64.b64encode(request.document).decode(),
        "documentId": "1",
        "fileExtension": "pdf",
        "name": f"Order form {request.order_id}.pdf",
    }
    return {
        "status": "sent",
        "emailSubject": request.title[:_MOST_NAME],
        "emailBlurb": request.message,
        "transactionId": _transaction_id(key),
        "documents": [document],
        "recipients": {"signers": [signer]},
        "customFields": {"textCustomFields": [{"name": name, "value": value} for name, value in fields.items()]},
        "notification": _notification(request),
    }


def _anchored(anchor: str) -> dict[str, str]:
    """A tab where the document says; without the word in it the signer chooses the place."""
    return {"anchorString": anchor, "anchorIgnoreIfNotPresent": "true", "recipientId": "1"}


def _notification(request: EnvelopeRequest) -> dict[str, Any]:
    days, remind = request.expires_after_days, request.remind_after_days
    return {
        "useAccountDefaults": "false",
        "expirations": {"expireEnabled": "true", "expireAfter": str(days), "expireWarn": str(min(3, days - 1))},
        "reminders": {
            "reminderEnabled": "true" if remind else "false",
            "reminderDelay": str(remind),
            "reminderFrequency": str(remind),
        },
    }


def _custom_fields(envelope: Mapping[str, Any]) -> dict[str, str]:
    fields = (envelope.get("customFields") or {}).get("textCustomFields") or ()
    return {str(field.get("name")): str(field.get("value", "")) for field in fields}


def _fact(envelope: Mapping[str, Any]) -> EnvelopeFact:
    status = _STATUSES.get(str(envelope.get("status", "")).lower(), EnvelopeStatus.SENT)
    signers: Sequence[Mapping[str, Any]] = (envelope.get("recipients") or {}).get("signers") or ()
    signer = signers[0] if signers else {}
    reason = ""
    match status:
        case EnvelopeStatus.DECLINED:
            reason = next((str(each["declinedReason"]) for each in signers if each.get("declinedReason")), "")
        case EnvelopeStatus.VOIDED:
            reason = str(envelope.get("voidedReason", ""))
            if "has expired" in reason.lower():  # DocuSign voids what expires, and says so here alone
                status = EnvelopeStatus.EXPIRED
        case EnvelopeStatus.SENT if signer.get("status") == "autoresponded":
            reason = "the signatory's address does not take the invitation; correct it at DocuSign, or cancel"
    moments = (envelope.get(f"{envelope.get('status')}DateTime"), envelope.get("statusChangedDateTime"))
    at = next((moment for moment in map(_time, moments) if moment is not None), None)
    if at is None:
        raise EnvelopeRefused("DocuSign does not say when the envelope came to be as it is")
    return EnvelopeFact(status, at, reason, str(signer.get("name", "")))


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
