"""The doors of the e-sign providers: what is let in, what is kept of it, and what everybody else is told."""

import json
import secrets
from typing import Any

import pytest

from revops.adapters.adobe_sign_webhook import adobe_sign_signal, known_client, verify_adobe_sign
from revops.adapters.docusign_connect import docusign_signal, docusign_signature, verify_docusign
from revops.api.esign import EsignWebhooks, add_esign_webhook_routes
from revops.inbox import INBOX, ReceiveSignal, inbox_id
from revops.platform.http import Api
from revops.signing.receive import ReceiveEnvelopeEvent
from tests.builders.blobs import MemoryBlobs
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

ACCOUNT, ENVELOPE = "11111111-0000-4000-8000-111111111111", "5a3c1f0e-0000-4000-8000-000000000001"
AGREEMENT = "CBJCHBCAABAA0000000000000000000000000001"


class Doors:
    """The webhook function over a table in memory; the secrets may be changed."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.keys = [secrets.token_hex(16), secrets.token_hex(16)]
        self.docusign: dict[str, Any] = {"account_id": ACCOUNT, "hmac_keys": list(self.keys)}
        self.adobe: dict[str, Any] = {"client_id": secrets.token_hex(8)}
        receive = ReceiveSignal(self.table, ManualClock(), MemoryBlobs())
        self.api = Api(None)  # type: ignore[arg-type]
        webhooks = EsignWebhooks(
            ReceiveEnvelopeEvent(receive, verify_docusign, docusign_signal, lambda: self.docusign),
            ReceiveEnvelopeEvent(receive, verify_adobe_sign, adobe_sign_signal, lambda: self.adobe),
            lambda headers: known_client(headers, self.adobe),
        )
        add_esign_webhook_routes(self.api, webhooks)

    def send(self, path: str, body: str = "", method: str = "POST", **headers: str) -> tuple[int, Any, dict[str, str]]:
        event = {
            "version": "2.0",
            "routeKey": f"{method} {path}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": body,
            "isBase64Encoded": False,
        }
        answer = self.api(event, None)
        return answer["statusCode"], json.loads(answer["body"]), answer["headers"]

    def connect(self, body: str, key: str, header: str = "x_docusign_signature_1") -> int:
        return self.send("/webhooks/docusign", body, **{header: docusign_signature(key, body.encode())})[0]

    def stored(self) -> list[Any]:
        return [INBOX.load(row) for row in self.table.rows.values() if row.kind == "INBOX"]


@pytest.fixture
def doors() -> Doors:
    return Doors()


def message(**changes: Any) -> str:
    data = {"accountId": ACCOUNT, "envelopeId": ENVELOPE, "envelopeSummary": {"emailSubject": "for Anna"}}
    data |= changes.pop("data", {})
    whole = {"event": "envelope-completed", "retryCount": 0, "generatedDateTime": "2026-11-20T09:00:00Z", "data": data}
    return json.dumps({**whole, **changes})


def notification(**changes: Any) -> str:
    whole = {
        "webhookNotificationId": "n-1",
        "event": "AGREEMENT_WORKFLOW_COMPLETED",
        "eventDate": "2026-11-20T09:00:00Z",
        "agreement": {"id": AGREEMENT, "senderEmail": "anna@musterwerk.example"},
    }
    return json.dumps({**whole, **changes})


@pytest.mark.mission("ORD-3")
@pytest.mark.fault("R1", "S8")
def test_every_key_of_a_rotation_proves_and_a_repeat_is_stored_once(doors: Doors) -> None:
    assert doors.connect(message(), doors.keys[0]) == 200
    assert doors.connect(message(retryCount=1), doors.keys[1], "X_DocuSign_Signature_2") == 200
    [entry] = doors.stored()
    assert (entry.provider, entry.event_type, entry.subject) == ("docusign", "envelope-completed", ENVELOPE)
    assert entry.id == inbox_id("docusign", entry.event_id)
    assert "Anna" not in entry.body
    doors.docusign["hmac_keys"] = doors.keys[1:]
    assert doors.connect(message(event="envelope-voided"), doors.keys[0]) == 400, "a key that was taken out"
    assert doors.connect(message(event="envelope-voided"), doors.keys[1]) == 200
    assert len(doors.stored()) == 2


@pytest.mark.fault("S7")
def test_any_header_of_several_may_be_the_one(doors: Doors) -> None:
    body = message()
    headers = {f"x_docusign_signature_{number}": "AAAA" for number in (1, 2, 4)}
    headers["x_docusign_signature_3"] = docusign_signature(doors.keys[1], body.encode())
    assert doors.send("/webhooks/docusign", body, **headers)[0] == 200


@pytest.mark.fault("S6", "S7", "S9")
@pytest.mark.parametrize(
    ("body", "header"),
    [
        (message() + " ", "as signed"),
        (message(), "none"),
        (message(), "x_docusign_signature"),
        (message(data={"accountId": ENVELOPE}), "good"),
        (message(data={"envelopeId": "../accounts"}), "good"),
        (message(event="<script>"), "good"),
        (json.dumps({"event": "envelope-completed", "data": None}), "good"),
        ("[]", "good"),
        ("{", "good"),
    ],
)
def test_what_is_not_proven_or_not_ours_is_refused(doors: Doors, body: str, header: str) -> None:
    made = docusign_signature(doors.keys[0], body.strip().encode() if header == "as signed" else body.encode())
    headers = {
        "good": {"x_docusign_signature_1": made},
        "as signed": {"x_docusign_signature_1": made},
        "none": {},
        "x_docusign_signature": {"x_docusign_signature": made},
    }[header]
    assert doors.send("/webhooks/docusign", body, **headers)[0] == 400
    assert doors.stored() == []


@pytest.mark.fault("S8")
def test_a_key_that_was_written_alone_is_one_key_and_not_its_letters(doors: Doors) -> None:
    doors.docusign["hmac_keys"], doors.adobe["earlier_client_ids"] = doors.keys[0], doors.keys[1]
    assert doors.connect(message(), doors.keys[0][0]) == 400
    assert doors.send("/webhooks/adobe-sign", notification(), x_adobesign_clientid=doors.keys[1][0])[0] == 403
    assert doors.connect(message(), doors.keys[0]) == 200
    assert doors.send("/webhooks/adobe-sign", notification(), x_adobesign_clientid=doors.keys[1])[0] == 200


@pytest.mark.fault("R28")
def test_without_a_key_to_check_with_they_come_again(doors: Doors) -> None:
    doors.docusign["hmac_keys"], doors.adobe["client_id"] = [], ""
    assert doors.connect(message(), "") == 503
    assert doors.send("/webhooks/adobe-sign", notification(), x_adobesign_clientid="")[0] == 503
    assert doors.stored() == []


@pytest.mark.mission("ORD-3")
def test_adobe_is_given_our_client_id_on_its_challenge_and_with_every_notification(doors: Doors) -> None:
    client = doors.adobe["client_id"]
    for method, body in (("GET", ""), ("POST", notification()), ("POST", notification())):
        status, answer, headers = doors.send("/webhooks/adobe-sign", body, method, x_adobesign_clientid=client)
        assert (status, answer) == (200, {"xAdobeSignClientId": client})
        assert headers["X-AdobeSign-ClientId"] == client
    [entry] = doors.stored()
    assert (entry.provider, entry.subject) == ("adobe_sign", AGREEMENT)
    assert "anna" not in entry.body, "Adobe signs nothing: no more is taken than what to look at"


def test_an_earlier_client_id_counts_until_its_webhooks_are_gone(doors: Doors) -> None:
    earlier, doors.adobe["client_id"] = doors.adobe["client_id"], secrets.token_hex(8)
    assert doors.send("/webhooks/adobe-sign", method="GET", x_adobesign_clientid=earlier)[0] == 403
    doors.adobe["earlier_client_ids"] = [earlier]
    status, answer, _ = doors.send("/webhooks/adobe-sign", method="GET", x_adobesign_clientid=earlier)
    assert (status, answer["xAdobeSignClientId"]) == (200, earlier)


@pytest.mark.fault("S9", "S13")
@pytest.mark.parametrize(
    ("body", "client", "status"),
    [
        (notification(), "somebody", 403),
        (notification(), None, 403),
        (notification(agreement=None), "ours", 400),
        (notification(agreement={"id": "a/../../b"}), "ours", 400),
        (notification(event="agreement"), "ours", 400),
        ("nothing", "ours", 400),
    ],
)
def test_a_stranger_or_a_body_that_names_no_agreement_is_refused(
    doors: Doors, body: str, client: str | None, status: int
) -> None:
    presented = doors.adobe["client_id"] if client == "ours" else client
    headers = {} if presented is None else {"x_adobesign_clientid": presented}
    assert doors.send("/webhooks/adobe-sign", body, **headers)[0] == status
    assert doors.stored() == []
