"""The Adobe Sign simulator keeps Adobe's rules: refresh tokens, closed requests, states, webhooks with their echo."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.simulators.adobe_sign.contract import contract_of
from local.simulators.adobe_sign.oauth import Identity
from local.simulators.adobe_sign.vendor import AdobeSign
from local.simulators.adobe_sign.webhooks import HEADER
from local.simulators.common import contracts_folder
from local.simulators.common.pdf import read_text
from tests.builders.loopback import Received, Receiver, receiving
from tests.contract.channel_harness import running, word
from tests.contract.esign_harness import ORDER_FORM, heard

CLIENT, SECRET, REFRESH = word(), word(), word()
API = "/api/rest/v6"
needs_contract = pytest.mark.skipif(contracts_folder("adobe_sign") is None, reason="no contracts folder with Adobe's")


def echo(request: Received) -> tuple[int, str, str]:
    """What a webhook has to answer."""
    return 200, "application/json", json.dumps({"xAdobeSignClientId": request.headers[HEADER.lower()]})


class Account:
    """The simulator, a session of the application, and who listens."""

    def __init__(self, client: httpx.Client, receiver: Receiver) -> None:
        self.client = client
        self.receiver = receiver
        receiver.answer = echo
        self.token = self.refresh().json()["access_token"]

    def refresh(self, **change: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "client_id": CLIENT, "client_secret": SECRET, "refresh_token": REFRESH}
        return self.client.post("/oauth/v2/refresh", data={**form, **change})

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        signed = {"authorization": f"Bearer {self.token}", **(headers or {})}
        return self.client.request(method, API + path, headers=signed, **more)

    def upload(self, content: bytes = ORDER_FORM, **change: Any) -> httpx.Response:
        parts = {"data": {"File-Name": "order.pdf", "Mime-Type": "application/pdf"}, **change}
        return self.call(
            "POST", "/transientDocuments", files={"File": ("order.pdf", content, "application/pdf")}, **parts
        )

    def info(self, **change: Any) -> dict[str, Any]:
        """An order form for two signers, one after the other."""
        signers = [("asha@example.com", 1), ("ben@example.com", 2)]
        return {
            "fileInfos": [{"transientDocumentId": self.upload().json()["transientDocumentId"]}],
            "name": "Order form",
            "participantSetsInfo": [
                {"memberInfos": [{"email": email}], "order": order, "role": "SIGNER"} for email, order in signers
            ],
            "signatureType": "ESIGN",
            "state": "IN_PROCESS",
            "externalId": {"id": "ORD_1"},
            **change,
        }

    def send(self, **change: Any) -> str:
        answer = self.call("POST", "/agreements", json=self.info(**change))
        assert answer.status_code == 201, answer.text
        number: str = answer.json()["id"]
        return number

    def cancel(self, number: str, tag: str | None = None) -> httpx.Response:
        tag = tag or self.call("GET", f"/agreements/{number}").headers["etag"]
        body = {"state": "CANCELLED", "agreementCancellationInfo": {"comment": "price", "notifyOthers": True}}
        return self.call("PUT", f"/agreements/{number}/state", {"if-match": tag}, json=body)

    def status(self, number: str) -> str:
        status: str = self.call("GET", f"/agreements/{number}").json()["status"]
        return status

    def events(self, number: str) -> list[str]:
        return [event["type"] for event in self.call("GET", f"/agreements/{number}/events").json()["events"]]

    def does(self, number: str, deed: str, **asked: Any) -> Any:
        answer = self.client.post(f"/_sim/agreements/{number}/{deed}", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def subscribed(self) -> "Account":
        assert self.client.post("/_sim/subscribe").json() == {"status": 200, "verified": True}
        return self

    def told(self, event: str, count: int = 1) -> list[Any]:
        """Notifications of an event, once there are so many."""
        messages = heard(self.receiver, lambda all_: sum(one["event"] == event for one in all_) >= count)
        return [message for message in messages if message["event"] == event]

    def violations(self) -> Any:
        return self.client.get("/_sim/violations").json()


def simulated(folder: Path, receiver: Receiver) -> Any:
    identity = Identity(CLIENT, SECRET, REFRESH)
    return running(folder, lambda world: AdobeSign(world, receiver.url("/webhooks/adobe-sign"), identity))


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with receiving(Receiver()) as receiver, simulated(tmp_path, receiver) as client:
        yield Account(client, receiver)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One for all tests that change nothing."""
    with receiving(Receiver()) as receiver, simulated(tmp_path_factory.mktemp("adobe"), receiver) as client:
        yield Account(client, receiver)


# ── authorisation ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refresh_token_is_exchanged_for_an_access_token_of_an_hour(account: Account) -> None:
    granted = account.refresh().json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
    here = f"{str(account.client.base_url).rstrip('/')}/"
    assert account.call("GET", "/baseUris").json() == {"apiAccessPoint": here, "webAccessPoint": here}
    account.client.post("/_sim/tokens/expire")
    assert account.call("GET", "/agreements").json()["code"] == "INVALID_ACCESS_TOKEN"
    assert account.client.get(f"{API}/agreements").json()["code"] == "NO_AUTHORIZATION_HEADER"
    account.client.post("/_sim/refresh_token", json={"revoked": True})
    assert account.refresh().json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"client_id": "x"}, 401, "invalid_client"),
        ({"refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"surprise": "x"}, 400, "invalid_request"),
    ],
)
def test_a_grant_that_does_not_hold_is_refused(
    refusing: Account, change: dict[str, str], status: int, error: str
) -> None:
    answer = refusing.refresh(**change)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


# ── agreements ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_agreement_goes_from_signer_to_signer_and_ends_with_its_pdfs(account: Account) -> None:
    number = account.send(expirationTime="2999-01-01T00:00:00Z")
    shown = account.call("GET", f"/agreements/{number}").json()
    assert (shown["status"], shown["externalId"], shown["senderEmail"]) == (
        "OUT_FOR_SIGNATURE",
        {"id": "ORD_1"},
        "orders@example.com",
    )
    sets = account.call("GET", f"/agreements/{number}/members").json()["participantSets"]
    assert [entry["status"] for entry in sets] == ["WAITING_FOR_MY_SIGNATURE", "NOT_YET_VISIBLE"]
    with pytest.raises(AssertionError, match="turn"):
        account.does(number, "sign", email="ben@example.com")
    account.does(number, "sign", name="Asha Rao")
    assert account.does(number, "sign", name="Ben Ode")["status"] == "SIGNED"
    whole = account.call("GET", f"/agreements/{number}/combinedDocument")
    assert (whole.headers["content-type"], whole.content[:5]) == ("application/pdf", b"%PDF-")
    text = "\n".join(read_text(whole.content))
    assert "Order form" in text
    assert "Signed by ben@example.com" in text
    assert "Audit report" not in text
    with_audit = account.call("GET", f"/agreements/{number}/combinedDocument", params={"attachAuditReport": "true"})
    assert "Audit report" in "".join(read_text(with_audit.content))
    trail = "".join(read_text(account.call("GET", f"/agreements/{number}/auditTrail").content))
    assert "e-signed by Ben Ode" in trail
    requested = ["CREATED", "ACTION_REQUESTED", "ACTION_COMPLETED"]
    assert account.events(number) == [*requested, *requested[1:], "SIGNED"]
    members = account.call("GET", f"/agreements/{number}/members", params={"includeNextParticipantSet": "true"}).json()
    assert members["participantSets"][0]["memberInfos"][0]["name"] == "Asha Rao"
    assert account.violations() == []


def test_an_agreement_is_cancelled_once_and_only_at_its_present_version(account: Account) -> None:
    number = account.send()
    before = account.call("GET", f"/agreements/{number}").headers["etag"]
    assert account.call("GET", f"/agreements/{number}", {"if-none-match": before}).status_code == 304
    account.does(number, "view")
    body = {"state": "CANCELLED"}
    unmatched = account.call("PUT", f"/agreements/{number}/state", json=body)
    assert (unmatched.status_code, unmatched.json()["code"]) == (400, "MISSING_IF_MATCH_HEADER")
    stale = account.cancel(number, before)
    assert (stale.status_code, stale.json()["code"]) == (412, "RESOURCE_MODIFIED")
    assert account.cancel(number).status_code == 204
    assert account.status(number) == "CANCELLED"
    assert account.events(number)[-1] == "RECALLED"
    signed, declined = account.send(), account.send()
    account.does(signed, "sign")
    account.does(signed, "sign")
    account.does(declined, "decline", reason="too dear")
    for over in (number, signed, declined):
        refused = account.cancel(over)
        assert (refused.status_code, refused.json()["code"]) == (403, "OPERATION_NOT_ALLOWED")
    assert account.violations() == []


def test_a_rejected_agreement_is_cancelled_and_only_its_events_say_why(account: Account) -> None:
    number = account.send()
    account.does(number, "decline", reason="too dear")
    assert account.status(number) == "CANCELLED"
    last = account.call("GET", f"/agreements/{number}/events").json()["events"][-1]
    assert (last["type"], last["comment"]) == ("REJECTED", "too dear")
    assert account.client.post(f"/_sim/agreements/{number}/sign", json={}).status_code == 400


def test_an_agreement_ends_with_its_time(account: Account) -> None:
    number, endless = account.send(expirationTime="2999-01-01T00:00:00Z"), account.send()
    account.client.post("/_sim/clock", json={"advance_seconds": 1000 * 366 * 86_400})
    assert (account.status(number), account.status(endless)) == ("EXPIRED", "OUT_FOR_SIGNATURE")
    account.does(endless, "expire")
    assert account.status(endless) == "EXPIRED"


def test_a_wrong_address_bounces_and_is_replaced(account: Account) -> None:
    account.subscribed()
    number = account.send()
    account.does(number, "bounce")
    assert account.told("AGREEMENT_EMAIL_BOUNCED")
    corrected = account.does(number, "correct", email="asha@example.com", to="asha.rao@example.com")
    assert corrected["participantSetsInfo"][0]["memberInfos"] == [{"email": "asha.rao@example.com"}]
    assert account.told("AGREEMENT_ACTION_REQUESTED", 2)[1]["participantUserEmail"] == "asha.rao@example.com"
    assert account.violations() == []


def _set(body: Any) -> Any:
    return body["participantSetsInfo"][0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body.update(name=" "), "MISSING_REQUIRED_PARAM"),
        (lambda body: body.update(fileInfos=[]), "INVALID_FILE_INFO"),
        (lambda body: body.update(fileInfos=[{"transientDocumentId": "x"}]), "INVALID_TRANSIENTDOCUMENT_ID"),
        (lambda body: body.update(participantSetsInfo=[]), "MIN_ADDRESSES_NOT_MET"),
        (lambda body: _set(body).update(memberInfos=[]), "MIN_ADDRESSES_NOT_MET"),
        (lambda body: _set(body).update(order=4), "INVALID_ORDER"),
        (lambda body: _set(body).update(role="APPROVER"), "INVALID_PARTICIPANT_ROLE"),
        (lambda body: _set(body)["memberInfos"][0].update(email="nobody"), "INVALID_EMAIL"),
        (lambda body: body.update(expirationTime="2020-01-01T00:00:00Z"), "PAST_EXPIRY_TIME"),
        (lambda body: body.update(expirationTime="soon"), "INVALID_ARGUMENTS"),
        (lambda body: body.update(signatureType="WRITTEN"), "INVALID_ARGUMENTS"),
        (lambda body: body.update(workflowId="x"), "INVALID_ARGUMENTS"),
    ],
)
def test_what_cannot_become_an_agreement_is_refused(
    refusing: Account, change: Callable[[Any], object], code: str
) -> None:
    body = copy.deepcopy(refusing.info())
    change(body)
    answer = refusing.call("POST", "/agreements", json=body)
    assert answer.json()["code"] == code, answer.text
    assert refusing.client.get("/_sim/state").json()["agreement"] == {}


def test_only_a_pdf_can_be_uploaded_and_it_is_gone_after_a_week(account: Account) -> None:
    assert account.upload(b"hello").json()["code"] == "TRANSIENT_RESOURCE_PROCESSING_FAILED"
    assert account.upload(b"").json()["code"] == "NO_FILE_CONTENT"
    assert account.upload(data={"Mime-Type": "text/plain"}).json()["code"] == "INVALID_MIME_TYPE"
    assert account.upload(data={"File-Name": "x" * 256}).json()["code"] == "NO_FILE_NAME"
    assert account.upload(data={}).status_code == 201
    info = account.info()
    account.client.post("/_sim/clock", json={"advance_seconds": 8 * 86_400})
    late = account.call("POST", "/agreements", json=info)
    assert (late.status_code, late.json()["code"]) == (404, "TRANSIENT_RESOURCE_DELETED")


@pytest.mark.fault("R8")
def test_two_creations_are_two_agreements_and_both_are_found_again(account: Account) -> None:
    lost = {"on": "request", "match": {"path": "agreements"}, "do": "lose_response", "times": 1}
    account.client.post("/_sim/faults", json=[lost])
    with pytest.raises(httpx.TransportError):
        account.send()
    account.send()
    found = account.call("GET", "/agreements", params={"externalId": "ORD_1"}).json()
    assert [row["status"] for row in found["userAgreementList"]] == ["OUT_FOR_SIGNATURE"] * 2
    page = account.call("GET", "/agreements", params={"pageSize": "1"}).json()
    rest = account.call("GET", "/agreements", params={"pageSize": "1", "cursor": page["page"]["nextCursor"]}).json()
    assert page["userAgreementList"] + rest["userAgreementList"] == found["userAgreementList"]
    assert rest["page"] == {}
    assert account.call("GET", "/agreements", params={"externalId": "ord_1"}).json()["userAgreementList"] == []
    account.client.post("/_sim/faults", json=[{"search_lag_seconds": 60}])
    assert account.call("GET", "/agreements", params={"externalId": "ORD_1"}).json()["userAgreementList"] == []
    for params, code in (({"pageSize": "0"}, "INVALID_PAGE_SIZE"), ({"cursor": "x"}, "INVALID_CURSOR")):
        assert account.call("GET", "/agreements", params=params).json()["code"] == code
    assert account.violations() == []


def test_too_much_is_throttled_and_says_for_how_long(account: Account) -> None:
    account.client.post("/_sim/faults", json=[{"on": "request", "do": "status", "status": 429, "retry_after": 7}])
    refused = account.call("GET", "/agreements")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert (refused.json()["code"], refused.json()["retryAfter"]) == ("THROTTLING_TOO_MANY_REQUESTS", 7)


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with receiving(Receiver()) as receiver:
        with simulated(tmp_path, receiver) as client:
            first = Account(client, receiver).subscribed()
            number = first.send()
        with simulated(tmp_path, receiver) as client:
            again = Account(client, receiver)
            again.does(number, "sign")
            assert again.told("AGREEMENT_ACTION_COMPLETED")
            assert b"%PDF-" in again.call("GET", f"/agreements/{number}/combinedDocument").content


# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_told_before_the_address_returned_the_client_id(account: Account) -> None:
    account.send()
    account.receiver.answer = lambda _: (200, "text/plain", "fine")
    assert account.client.post("/_sim/subscribe").json() == {"status": 200, "verified": False}
    account.receiver.answer = lambda _: (403, "application/json", json.dumps({"xAdobeSignClientId": CLIENT}))
    assert account.client.post("/_sim/subscribe").json() == {"status": 403, "verified": False}
    account.receiver.answer = echo
    assert all(request.method == "GET" for request in account.receiver.requests)
    assert {request.headers[HEADER.lower()] for request in account.receiver.requests} == {CLIENT}
    account.subscribed()
    account.send()
    assert len(account.told("AGREEMENT_CREATED")) == 1


def test_each_event_is_told_with_the_agreement_as_it_was(account: Account) -> None:
    account.subscribed()
    number = account.send()
    account.does(number, "sign")
    account.does(number, "sign")
    (done,) = account.told("AGREEMENT_WORKFLOW_COMPLETED")
    assert (done["agreement"]["id"], done["agreement"]["status"]) == (number, "SIGNED")
    assert done["agreement"]["externalId"] == {"id": "ORD_1"}
    first = account.told("AGREEMENT_ACTION_COMPLETED")[0]
    assert (first["agreement"]["status"], first["participantUserEmail"]) == ("OUT_FOR_SIGNATURE", "asha@example.com")
    for deed, event in (("decline", "AGREEMENT_REJECTED"), ("expire", "AGREEMENT_EXPIRED")):
        account.does(account.send(), deed)
        assert account.told(event)
    account.cancel(account.send())
    assert account.told("AGREEMENT_RECALLED")
    posted = [request for request in account.receiver.requests if request.method == "POST"]
    assert {request.headers[HEADER.lower()] for request in posted} == {CLIENT}
    assert len({json.loads(request.body)["webhookNotificationId"] for request in posted}) == len(posted)
    assert account.violations() == []


@pytest.mark.fault("R1", "R2")
def test_an_answer_without_the_client_id_is_none_and_messages_are_doubled_and_dropped_on_demand(
    account: Account,
) -> None:
    account.subscribed()
    answers: list[tuple[int, str, str]] = [
        (200, "text/plain", "fine"),
        (500, "text/plain", ""),
        (204, "text/plain", ""),
    ]
    account.receiver.answer = lambda request: answers.pop(0) if answers else echo(request)
    faults = [
        {"on": "webhook", "do": "duplicate", "match": {"type": "CREATED"}, "times": 1},
        {"on": "webhook", "do": "drop", "match": {"type": "ACTION_REQUESTED"}, "times": 1},
    ]
    assert account.client.post("/_sim/faults", json=faults).status_code == 200
    account.send()
    assert len(account.told("AGREEMENT_CREATED", 5)) == 5
    deliveries = account.client.get("/_sim/deliveries").json()
    given = sorted(answer for one in deliveries for answer in one["answers"])
    assert given[:4] == ["200", "200", "200 without acknowledgement", "204 without acknowledgement"]
    assert [one["status"] for one in deliveries if one["type"] == "AGREEMENT_ACTION_REQUESTED"] == ["dropped"]


def test_a_webhook_can_be_registered_found_and_switched_off(account: Account) -> None:
    asked = {
        "name": "second",
        "scope": "ACCOUNT",
        "state": "ACTIVE",
        "webhookSubscriptionEvents": ["AGREEMENT_WORKFLOW_COMPLETED"],
        "webhookUrlInfo": {"url": account.receiver.url("/second")},
        "webhookConditionalParams": {"webhookAgreementEvents": {"includeSignedDocuments": True}},
    }
    account.receiver.answer = lambda _: (200, "text/plain", "fine")
    assert account.call("POST", "/webhooks", json=asked).json()["code"] == "INVALID_WEBHOOK_URL"
    account.receiver.answer = echo
    made = account.call("POST", "/webhooks", json=asked)
    number = made.json()["id"]
    assert made.headers["location"].endswith(f"/webhooks/{number}")
    assert account.call("POST", "/webhooks", json=asked).json()["code"] == "DUPLICATE_WEBHOOK_CONFIGURATION"
    plain = {**asked, "webhookUrlInfo": {"url": "http://hooks.example.com"}}
    assert account.call("POST", "/webhooks", json=plain).json()["code"] == "INVALID_WEBHOOK_URL"
    listed = account.call("GET", "/webhooks").json()["userWebhookList"]
    assert [webhook["id"] for webhook in listed] == [number]
    assert len(account.call("GET", "/webhooks", params={"showInActiveWebhooks": "true"}).json()["userWebhookList"]) == 2
    agreement = account.send(participantSetsInfo=account.info()["participantSetsInfo"][:1])
    account.does(agreement, "sign")
    (done,) = account.told("AGREEMENT_WORKFLOW_COMPLETED")
    assert done["agreement"]["signedDocumentInfo"]["document"]
    shown = account.call("GET", f"/webhooks/{number}")
    off = account.call(
        "PUT", f"/webhooks/{number}/state", {"if-match": shown.headers["etag"]}, json={"state": "INACTIVE"}
    )
    assert off.status_code == 204
    assert account.call("GET", f"/webhooks/{number}").json()["status"] == "INACTIVE"
    assert account.call("GET", "/webhooks/x").json()["code"] == "INVALID_WEBHOOK_ID"
    assert account.violations() == []


# ── Adobe's own documents ─────────────────────────────────────────────────────────────────────────────────────────────


@needs_contract
def test_what_adobes_contract_does_not_name_is_refused(account: Account) -> None:
    number = account.send()
    calls = [
        account.call("POST", "/agreements", json=account.info(surprise=1)),
        account.call("POST", "/agreements", json=account.info(state="SIGNED")),
        account.call("POST", "/agreements", json={"name": "x"}),
        account.call("GET", f"/agreements/{number}", params={"colour": "blue"}),
        account.call("GET", f"/agreements/{number}/mood"),
        account.call("DELETE", f"/agreements/{number}"),
        account.call("POST", "/transientDocuments", files={"File": b"x", "Other": b"y"}),
        account.call("POST", "/transientDocuments", data={"File": "x"}),
        account.call("GET", "/baseUris?x=1"),
    ]
    assert [call.status_code for call in calls] == [400, 400, 400, 400, 404, 404, 400, 400, 400]
    assert calls[2].json()["code"] == "MISSING_REQUIRED_PARAM"
    assert len(account.violations()) == len(calls)
    # What Adobe knows and this simulator does not is refused too, and no violation.
    assert account.call("GET", f"/agreements/{number}/signingUrls").status_code == 404
    assert account.call("GET", f"/agreements/{number}/combinedDocument", params={"versionId": "1"}).status_code == 400
    assert account.call("GET", "/agreements/x").json()["code"] == "INVALID_AGREEMENT_ID"
    assert len(account.violations()) == len(calls)


@needs_contract
def test_notifications_are_checked_too() -> None:
    folder = contracts_folder("adobe_sign")
    assert folder is not None
    contract = contract_of(folder)
    assert contract.check_notification({"event": "AGREEMENT_CREATED", "webhookId": "1"}) == []
    assert [one.code for one in contract.check_notification({"event": "AGREEMENT_CREATED", "mood": "x"})] == ["unknown"]
    assert [one.code for one in contract.check_notification({"event": "AGREEMENT_SUNG"})] == ["enum"]
