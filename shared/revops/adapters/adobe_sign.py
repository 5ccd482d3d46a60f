"""Adobe Sign's REST API v6: agreements sent, looked at, cancelled, and their papers (ORD-3).

An agreement carries the order form's id and the envelope's number as `externalId`, by which it is found again; that
does not make a repeat harmless.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from revops.adapters.esign_http import EsignHttp, HeldToken, Reply
from revops.kernel import Unavailable
from revops.orders.model import EnvelopeStatus
from revops.signing.model import EnvelopeFact, EnvelopeRequest, SignedPapers
from revops.signing.ports import EnvelopeRefused, NoSuchEnvelope, OutcomeUnknown

_MENDED_BY_HAND: Final = 60.0
_MOST_NAME: Final = 255
_LIMITS: Final = frozenset({"THROTTLING_TOO_MANY_REQUESTS"})
_UNKNOWN: Final = frozenset({"INVALID_AGREEMENT_ID", "RESOURCE_NOT_FOUND"})
_FINAL: Final = frozenset({"OPERATION_NOT_ALLOWED", "AGREEMENT_IN_DRAFT_STATE"})
"""Sent with 403, which otherwise is about rights that somebody mends."""
_UNSIGNED: Final = frozenset({"APPROVED", "ACCEPTED", "DELIVERED", "FORM_FILLED", "ARCHIVED"})
"""How an agreement ends whose recipient was not asked to sign: somebody made it another one at Adobe Sign."""
_SIGNING: Final = frozenset({"SIGNED", "DIGSIGNED", "WRITTEN_SIGNED", "ACTION_COMPLETED", "ACTION_COMPLETED_HOSTED"})
_INVITING: Final = frozenset({"ACTION_REQUESTED", "ACTION_REPLACED_SIGNER", "EMAIL_VIEWED", "EMAIL_BOUNCED"})

type Event = Mapping[str, Any]


class AdobeSign:
    """`SignatureProvider` over HTTP. `secret` is asked with every call, so that what was rotated reaches running
    functions: client_id, client_secret, refresh_token, base_url (the account's API access point)."""

    def __init__(self, secret: Callable[[], Mapping[str, Any]], transport: httpx.BaseTransport | None = None) -> None:
        self._secret = secret
        self._http = EsignHttp("Adobe Sign", transport)
        self._token = HeldToken(self._refresh)

    def close(self) -> None:
        self._http.close()

    def find(
        self,
        order_id: str,
        number: int,
        since: datetime,  # noqa: ARG002 - the port's signature
        keys: Sequence[str],  # noqa: ARG002 - the port's signature
    ) -> str | None:
        query = {"externalId": _external_id(order_id, number), "showHiddenAgreements": "true"}
        found = self._checked(self._ask("GET", "/agreements", params=query)).fields.get("userAgreementList") or ()
        return next((str(each["id"]) for each in found if each.get("id")), None)

    def send(self, request: EnvelopeRequest, key: str) -> str:  # noqa: ARG002 - the port's signature
        name = f"Order form {request.order_id}.pdf"
        form = {"File-Name": name, "Mime-Type": "application/pdf"}
        file = {"File": (name, request.document, "application/pdf")}
        # a document that no agreement refers to is forgotten after a week: uploading it again is harmless
        uploaded = self._checked(self._ask("POST", "/transientDocuments", data=form, files=file))
        document_id = uploaded.fields.get("transientDocumentId")
        if not document_id:
            raise Unavailable("Adobe Sign's answer names no document")
        agreement = _agreement(request, str(document_id))
        agreement_id = self._checked(self._call(self._http.create, "POST", "/agreements", json=agreement)).fields.get(
            "id"
        )
        if not isinstance(agreement_id, str):
            raise OutcomeUnknown("Adobe Sign's answer names no agreement")
        return agreement_id

    def state(self, envelope_id: str) -> EnvelopeFact:
        agreement = self._agreement(envelope_id).fields
        events = self._checked(self._ask("GET", f"/agreements/{envelope_id}/events")).fields.get("events") or ()
        return _fact(agreement, sorted(events, key=lambda event: str(event.get("date", ""))))

    def void(self, envelope_id: str, reason: str) -> None:
        tag = self._agreement(envelope_id).headers.get("etag", "")
        change = {
            "state": "CANCELLED",
            "agreementCancellationInfo": {"comment": reason[:200], "notifyOthers": True},
        }
        path, headers = f"/agreements/{envelope_id}/state", {"If-Match": tag}
        reply = self._ask("PUT", path, json=change, headers=headers)
        if reply.status == httpx.codes.PRECONDITION_FAILED:
            raise Unavailable("the agreement changed meanwhile")
        self._checked(reply)

    def documents(self, envelope_id: str) -> SignedPapers:
        signed = self._checked(self._ask("GET", f"/agreements/{envelope_id}/combinedDocument"))
        trail = self._checked(self._ask("GET", f"/agreements/{envelope_id}/auditTrail"))
        return SignedPapers(signed.content, trail.content)

    def _agreement(self, envelope_id: str) -> Reply:
        reply = self._checked(self._ask("GET", f"/agreements/{envelope_id}"))
        if not reply.fields:
            raise Unavailable("Adobe Sign's answer was not JSON")
        return reply

    def _refresh(self) -> tuple[str, float]:
        """A token, and the seconds it lasts. Raises Unavailable: what is refused here, somebody mends."""
        secret = self._secret()
        form = {
            "grant_type": "refresh_token",
            **{name: str(secret[name]) for name in ("client_id", "client_secret", "refresh_token")},
        }
        reply = self._http.ask("POST", f"{_base(secret)}/oauth/v2/refresh", data=form)
        token, seconds = reply.fields.get("access_token"), reply.fields.get("expires_in")
        if not reply.good or not isinstance(token, str) or not isinstance(seconds, int | float):
            why = str(reply.fields.get("error") or f"status {reply.status}")[:100]
            raise Unavailable(f"Adobe Sign gives no token: {why}", retry_after=_MENDED_BY_HAND)
        return token, float(seconds)

    def _ask(self, method: str, path: str, **request: Any) -> Reply:
        return self._call(self._http.ask, method, path, **request)

    def _call(self, by: Callable[..., Reply], method: str, path: str, **request: Any) -> Reply:
        """A call with a token. One whose token is not taken had no effect and is made once more with a fresh one."""
        more = request.pop("headers", {})
        for last in (False, True):
            secret = self._secret()
            token = self._token(f"{secret['client_id']} {secret['refresh_token']} {secret['base_url']}")
            headers = {"Authorization": f"Bearer {token}", "Accept": "*/*", **more}
            reply = by(method, f"{_base(secret)}/api/rest/v6{path}", headers=headers, **request)
            if last or reply.status != httpx.codes.UNAUTHORIZED:
                break
            self._token.drop()
        return reply

    def _checked(self, reply: Reply) -> Reply:
        """A good answer. Raises Unavailable, EnvelopeRefused, NoSuchEnvelope."""
        if reply.good:
            return reply
        code, message = (str(reply.fields.get(name, "")) for name in ("code", "message"))
        if code in _UNKNOWN:
            raise NoSuchEnvelope("Adobe Sign knows no such agreement in this account", code)
        if code in _FINAL:
            raise EnvelopeRefused(f"Adobe Sign answered {reply.status} {code}: {message}"[:500], code)
        raise self._http.refusal(reply, code, message, limits=_LIMITS)


def _base(secret: Mapping[str, Any]) -> str:
    return str(secret["base_url"]).rstrip("/")


def _external_id(order_id: str, number: int) -> str:
    return f"{order_id}:{number}"


def _agreement(request: EnvelopeRequest, document_id: str) -> dict[str, Any]:
    expires = (request.sent_at + timedelta(days=request.expires_after_days)).astimezone(UTC)
    wanted: dict[str, Any] = {
        "fileInfos": [{"transientDocumentId": document_id}],
        "name": request.title[:_MOST_NAME],
        "message": request.message,
        "participantSetsInfo": [
            {"memberInfos": [{"email": request.signatory_email}], "order": 1, "role": "SIGNER"},
        ],
        "signatureType": "ESIGN",
        "state": "IN_PROCESS",
        "externalId": {"id": _external_id(request.order_id, request.number)},
        "expirationTime": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if request.remind_after_days:
        wanted["firstReminderDelay"] = request.remind_after_days * 24
        wanted["reminderFrequency"] = "WEEKLY_UNTIL_SIGNED" if request.remind_after_days > 1 else "DAILY_UNTIL_SIGNED"
    return wanted


def _fact(agreement: Mapping[str, Any], events: Sequence[Event]) -> EnvelopeFact:
    """Adobe calls both a refusal of the signer's and a recall of the sender's CANCELLED; the events tell them apart."""
    status = str(agreement.get("status", ""))
    if status == "SIGNED":
        return _told(EnvelopeStatus.COMPLETED, agreement, _last(events, _SIGNING))
    if status == "EXPIRED":
        return _told(EnvelopeStatus.EXPIRED, agreement, _last(events, {"EXPIRED", "EXPIRED_AUTOMATICALLY"}))
    if status == "CANCELLED":
        declined = _last(events, {"REJECTED"})
        if declined is not None:
            return _told(EnvelopeStatus.DECLINED, agreement, declined)
        return _told(EnvelopeStatus.VOIDED, agreement, events[-1] if events else None)
    invited = _last(events, _INVITING)
    fact = _told(EnvelopeStatus.SENT, agreement, invited)
    if status in _UNSIGNED:
        problem = f"Adobe Sign calls it {status.lower()}: nobody signed; cancel, or enter a form signed by hand"
        return EnvelopeFact(fact.status, fact.at, problem)
    if invited is not None and invited.get("type") == "EMAIL_BOUNCED":
        problem = "the signatory's address does not take the invitation; replace the signer at Adobe Sign, or cancel"
        return EnvelopeFact(fact.status, fact.at, problem)
    return EnvelopeFact(fact.status, fact.at)


def _told(status: EnvelopeStatus, agreement: Mapping[str, Any], event: Event | None) -> EnvelopeFact:
    moment = _time((event or {}).get("date")) or _time(agreement.get("createdDate"))
    if moment is None:
        raise EnvelopeRefused("Adobe Sign does not say when the agreement came to be as it is")
    if event is None:
        return EnvelopeFact(status, moment)
    reason = "" if status is EnvelopeStatus.COMPLETED else str(event.get("comment") or event.get("description") or "")
    return EnvelopeFact(status, moment, reason, str(event.get("actingUserName", "")))


def _last(events: Sequence[Event], types: frozenset[str] | set[str]) -> Event | None:
    return next((event for event in reversed(events) if event.get("type") in types), None)


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
