"""The DocuSign simulator keeps DocuSign's rules: signed assertions, closed requests, states, signed messages."""

import base64
import copy
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from local.simulators.common import contracts_folder
from local.simulators.common.pdf import read_text
from local.simulators.docusign.connect import signature
from local.simulators.docusign.contract import contract_of
from local.simulators.docusign.oauth import GRANT, Identity
from local.simulators.docusign.vendor import Docusign
from tests.builders.loopback import Receiver, receiving
from tests.contract.channel_harness import running, word
from tests.contract.esign_harness import ANCHOR, ORDER_FORM, assertion, heard, key, public_pem

ACCOUNT, USER, INTEGRATION = str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())
KEYS = (word(), word())
BASE = f"/restapi/v2.1/accounts/{ACCOUNT}/envelopes"
needs_contract = pytest.mark.skipif(contracts_folder("docusign") is None, reason="no contracts folder with DocuSign's")


def definition(**change: Any) -> dict[str, Any]:
    """An order form for two signers, one after the other."""
    tabs = {"signHereTabs": [{"anchorString": ANCHOR}], "dateSignedTabs": [{"anchorString": ANCHOR}]}
    signers = [
        {"email": "asha@example.com", "name": "Asha Rao", "recipientId": "1", "routingOrder": "1", "tabs": tabs},
        {"email": "ben@example.com", "name": "Ben Ode", "recipientId": "2", "routingOrder": "2"},
    ]
    document = {"documentId": "1", "name": "Order form", "fileExtension": "pdf"}
    return {
        "emailSubject": "Please sign",
        "documents": [{**document, "documentBase64": base64.b64encode(ORDER_FORM).decode()}],
        "recipients": {"signers": signers},
        "customFields": {"textCustomFields": [{"name": "order_form", "value": "ORD_1"}]},
        "notification": {"expirations": {"expireEnabled": "true", "expireAfter": "30", "expireWarn": "3"}},
        "status": "sent",
        **change,
    }


class Account:
    """The simulator, a session of the integration, and who listens to Connect."""

    def __init__(self, client: httpx.Client, receiver: Receiver) -> None:
        self.client = client
        self.receiver = receiver
        added = client.post("/_sim/public_keys", json={"public_key": public_pem(key())})
        assert added.json() == {"keys": 1}
        self.token = self.grant().json()["access_token"]

    def grant(self, private: Any = None, algorithm: str = "RS256", **claims: Any) -> httpx.Response:
        now = int(time.time())
        said: dict[str, Any] = {"iss": INTEGRATION, "sub": USER, "aud": urlsplit(str(self.client.base_url)).netloc}
        said |= {"iat": now, "exp": now + 3600, "scope": "signature impersonation", **claims}
        form = {"grant_type": GRANT, "assertion": assertion(said, private or key(), algorithm)}
        return self.client.post("/oauth/token", data=form)

    def call(self, method: str, path: str = "", **more: Any) -> httpx.Response:
        return self.client.request(method, BASE + path, headers={"authorization": f"Bearer {self.token}"}, **more)

    def send(self, **change: Any) -> str:
        answer = self.call("POST", json=definition(**change))
        assert answer.status_code == 201, answer.text
        number: str = answer.json()["envelopeId"]
        return number

    def does(self, number: str, deed: str, **asked: Any) -> Any:
        answer = self.client.post(f"/_sim/envelopes/{number}/{deed}", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def told(self, event: str, count: int = 1) -> list[Any]:
        """Messages of an event, once there are so many."""
        messages = heard(self.receiver, lambda all_: sum(one["event"] == event for one in all_) >= count)
        return [message for message in messages if message["event"] == event]

    def violations(self) -> Any:
        return self.client.get("/_sim/violations").json()


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with receiving(Receiver()) as receiver, simulated(tmp_path, receiver) as client:
        yield Account(client, receiver)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One for all tests that change nothing."""
    with receiving(Receiver()) as receiver, simulated(tmp_path_factory.mktemp("docusign"), receiver) as client:
        yield Account(client, receiver)


def simulated(folder: Path, receiver: Receiver, config: dict[str, Any] | None = None) -> Any:
    identity = Identity(INTEGRATION, USER, ACCOUNT, KEYS)
    return running(folder, lambda world: Docusign(world, receiver.url("/webhooks/docusign"), identity), config)


# ── authorisation ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_signed_assertion_is_exchanged_for_a_token_that_says_whose_it_is(account: Account) -> None:
    granted = account.grant().json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
    me = account.client.get("/oauth/userinfo", headers={"authorization": f"Bearer {granted['access_token']}"}).json()
    (mine,) = me["accounts"]
    assert (me["sub"], mine["account_id"], mine["is_default"]) == (USER, ACCOUNT, True)
    assert mine["base_uri"] == str(account.client.base_url).rstrip("/")


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"iss": "somebody"}, ("invalid_grant", "issuer_not_found")),
        ({"sub": "somebody"}, ("invalid_grant", "user_not_found")),
        ({"aud": "account.example.com"}, ("invalid_grant", "invalid_audience")),
        ({"exp": 1}, ("invalid_grant", "expired_grant")),
        ({"iat": 99999999999}, ("invalid_grant", "grant_not_yet_valid")),
        ({"scope": "signature"}, ("consent_required", None)),
        ({"algorithm": "none"}, ("invalid_grant", "unsupported_algorithm")),
    ],
)
def test_an_assertion_that_does_not_hold_is_refused(
    refusing: Account, claims: dict[str, Any], refusal: tuple[str, str | None]
) -> None:
    answer = refusing.grant(**claims)
    assert answer.status_code == 400
    assert (answer.json()["error"], answer.json().get("error_description")) == refusal


def test_a_foreign_key_a_taken_back_consent_and_a_token_that_is_over_open_nothing(account: Account) -> None:
    other = generate_private_key(65537, 2048)
    assert account.grant(other).json()["error_description"] == "no_valid_keys_or_signatures"
    assert account.client.post("/_sim/public_keys", json={"public_key": "no key"}).status_code == 400
    assert account.client.post("/_sim/public_keys", json={"public_key": public_pem(other)}).json() == {"keys": 2}
    assert account.grant(other).status_code == account.grant().status_code == 200
    account.client.post("/_sim/consent", json={"granted": False})
    assert account.grant().json() == {"error": "consent_required"}
    assert account.call("GET", f"/{uuid.uuid4()}").status_code == 404
    account.client.post("/_sim/tokens/expire")
    refused = account.call("GET", f"/{uuid.uuid4()}")
    assert (refused.status_code, refused.json()["errorCode"]) == (401, "AUTHORIZATION_INVALID_TOKEN")
    assert account.client.get(f"{BASE}/{uuid.uuid4()}").status_code == 401


# ── envelopes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_envelope_goes_from_signer_to_signer_and_ends_with_its_pdfs(account: Account) -> None:
    number = account.send()
    assert account.call("GET", f"/{number}").json()["status"] == "sent"
    signers = account.call("GET", f"/{number}/recipients").json()["signers"]
    assert [signer["status"] for signer in signers] == ["sent", "created"]
    with pytest.raises(AssertionError, match="turn"):
        account.does(number, "sign", email="ben@example.com")
    account.does(number, "sign")
    before = account.call("GET", f"/{number}/documents/combined").content
    assert not any("Certificate" in page for page in read_text(before))
    assert account.does(number, "sign", email="ben@example.com")["status"] == "completed"
    shown = account.call("GET", f"/{number}", params={"include": "recipients,custom_fields"}).json()
    assert shown["customFields"]["textCustomFields"][0]["value"] == "ORD_1"
    assert [signer["status"] for signer in shown["recipients"]["signers"]] == ["completed", "completed"]
    answer = account.call("GET", f"/{number}/documents/combined")
    assert (answer.headers["content-type"], answer.content[:5]) == ("application/pdf", b"%PDF-")
    text = "\n".join(read_text(answer.content))
    assert all(words in text for words in ("Order form", "Signed by Ben Ode", "Certificate Of Completion"))
    alone = read_text(account.call("GET", f"/{number}/documents/certificate").content)
    assert "Status: Completed" in alone[0]
    assert "Certificate" not in "".join(read_text(account.call("GET", f"/{number}/documents/1").content))
    assert account.call("GET", f"/{number}/documents/7").status_code == 404
    listed = account.call("GET", f"/{number}/documents").json()["envelopeDocuments"]
    assert [document["documentId"] for document in listed] == ["1", "certificate"]
    history = account.call("GET", f"/{number}/audit_events").json()["auditEvents"]
    actions = [f["value"] for event in history for f in event["eventFields"] if f["name"] == "Action"]
    assert [action for action in actions if action == "Signed"] == ["Signed", "Signed"]
    assert account.violations() == []


def test_what_is_over_cannot_be_voided_and_voiding_needs_a_reason(account: Account) -> None:
    number = account.send()
    nameless = account.call("PUT", f"/{number}", json={"status": "voided"})
    assert "voidedReason" in nameless.json()["message"]
    assert account.call("PUT", f"/{number}", json={"status": "voided", "voidedReason": "price"}).status_code == 200
    assert account.call("GET", f"/{number}").json()["voidedReason"] == "price"
    for over in (number, _completed(account), _declined(account)):
        refused = account.call("PUT", f"/{over}", json={"status": "voided", "voidedReason": "again"})
        assert (refused.status_code, refused.json()["errorCode"]) == (400, "ENVELOPE_CANNOT_VOID_INVALID_STATE")
        with pytest.raises(AssertionError, match="the envelope is"):
            account.does(over, "sign")


def _completed(account: Account) -> str:
    number = account.send()
    account.does(number, "sign")
    account.does(number, "sign")
    return number


def _declined(account: Account) -> str:
    number = account.send()
    signer = account.does(number, "decline", reason="too dear")["recipients"]["signers"][0]
    assert (signer["status"], signer["declinedReason"]) == ("declined", "too dear")
    return number


def test_an_envelope_ends_with_its_days_and_the_account_has_days_of_its_own(account: Account) -> None:
    number, other = account.send(), account.send(notification={"expirations": {"expireAfter": "30"}})
    account.client.post("/_sim/clock", json={"advance_seconds": 31 * 86_400})
    over = account.call("GET", f"/{number}").json()
    assert (over["status"], over["voidedReason"]) == ("voided", "Envelope has expired.")
    assert account.call("GET", f"/{other}").json()["status"] == "sent"
    account.client.post("/_sim/clock", json={"advance_seconds": 90 * 86_400})
    assert account.call("GET", f"/{other}").json()["status"] == "voided"
    assert len(account.told("envelope-voided", 2)) == 2


def test_a_correction_invites_again_and_a_bounce_waits_for_one(account: Account) -> None:
    number = account.send()
    account.does(number, "bounce", reason="no such mailbox")
    corrected = account.does(number, "correct", email="asha.rao@example.com")
    assert corrected["status"] == "sent"
    assert account.told("envelope-corrected")
    again = account.told("recipient-sent", 2)[-1]["data"]["envelopeSummary"]["recipients"]["signers"][0]
    assert (again["email"], again["status"]) == ("asha.rao@example.com", "sent")
    assert account.violations() == []


def test_a_draft_is_sent_by_a_change_of_its_status(account: Account) -> None:
    number = account.send(status="created")
    assert account.call("GET", f"/{number}").json()["status"] == "created"
    refused = account.call("PUT", f"/{number}", json={"status": "voided", "voidedReason": "x"})
    assert refused.json()["errorCode"] == "ENVELOPE_CANNOT_VOID_INVALID_STATE"
    assert account.call("PUT", f"/{number}", json={"status": "sent"}).status_code == 200
    assert account.call("GET", f"/{number}").json()["status"] == "sent"


def _signer(body: Any) -> Any:
    return body["recipients"]["signers"][0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body.pop("emailSubject"), "ENVELOPE_IS_INCOMPLETE"),
        (lambda body: body.update(documents=[]), "ENVELOPE_IS_INCOMPLETE"),
        (lambda body: body.update(recipients={}), "ENVELOPE_IS_INCOMPLETE"),
        (lambda body: body.update(status="completed"), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body.update(emailSubject="x" * 101), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body.update(templateId="1"), "INVALID_REQUEST_BODY"),
        (lambda body: _signer(body).update(email="nobody"), "INVALID_EMAIL_ADDRESS_FOR_RECIPIENT"),
        (lambda body: _signer(body).update(name=" "), "INVALID_REQUEST_PARAMETER"),
        (lambda body: _signer(body).update(recipientId="2"), "INVALID_REQUEST_PARAMETER"),
        (
            lambda body: _signer(body)["tabs"]["signHereTabs"][0].update(anchorString="/x/"),
            "ANCHOR_TAB_STRING_NOT_FOUND",
        ),
        (lambda body: _signer(body)["tabs"].update(signHereTabs=[{"documentId": "1"}]), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body["documents"][0].update(documentBase64="bm8="), "UNABLE_TO_CONVERT_DOCUMENT"),
        (lambda body: body["documents"][0].update(documentBase64="%"), "UNABLE_TO_CONVERT_DOCUMENT"),
        (lambda body: body["documents"].append(body["documents"][0]), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body["notification"]["expirations"].update(expireAfter="0"), "INVALID_REQUEST_PARAMETER"),
        (lambda body: body.update(eventNotification={"url": "http://127.0.0.1"}), "INVALID_REQUEST_PARAMETER"),
        (
            lambda body: body["customFields"]["textCustomFields"].append({"name": "n", "value": "x" * 101}),
            "INVALID_REQUEST_PARAMETER",
        ),
    ],
)
def test_a_definition_that_cannot_become_an_envelope_is_refused(
    refusing: Account, change: Callable[[Any], object], code: str
) -> None:
    body = copy.deepcopy(definition())
    change(body)
    answer = refusing.call("POST", json=body)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code), answer.text
    assert refusing.client.get("/_sim/state").json()["envelope"] == {}


def test_a_tab_may_miss_its_anchor_only_if_it_says_so(account: Account) -> None:
    body = definition()
    tab = {"anchorString": "/nowhere/", "anchorIgnoreIfNotPresent": "true"}
    _signer(body)["tabs"] = {"signHereTabs": [tab, {**_placed(), "pageNumber": "1"}]}
    assert account.call("POST", json=body).status_code == 201
    _signer(body)["tabs"] = {"signHereTabs": [{**_placed(), "pageNumber": "2"}]}
    assert account.call("POST", json=body).json()["errorCode"] == "TAB_OUT_OF_BOUNDS"
    _signer(body)["tabs"] = {"signHereTabs": [{**_placed(), "documentId": "9"}]}
    assert account.call("POST", json=body).json()["errorCode"] == "TAB_REFERS_TO_MISSING_DOCUMENT"


def _placed() -> dict[str, str]:
    return {"documentId": "1", "pageNumber": "1", "xPosition": "100", "yPosition": "100"}


# ── finding them again ────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_creations_are_two_envelopes_and_both_are_found_again(account: Account) -> None:
    made = [account.send(transactionId="of-1") for _ in range(2)]
    assert made[0] != made[1]
    by_transaction = account.call("GET", params={"transaction_ids": "of-1"}).json()
    assert [envelope["envelopeId"] for envelope in by_transaction["envelopes"]] == made
    by_field = {"custom_field": "order_form=ORD_1", "from_date": "2020-01-01", "include": "custom_fields"}
    found = account.call("GET", params=by_field).json()
    assert (found["totalSetSize"], len(found["envelopes"])) == ("2", 2)
    assert found["envelopes"][0]["customFields"]["textCustomFields"][0]["name"] == "order_form"
    page = account.call("GET", params={**by_field, "count": "1", "start_position": "1"}).json()
    assert [envelope["envelopeId"] for envelope in page["envelopes"]] == made[1:]
    assert "envelopes" not in account.call("GET", params={**by_field, "custom_field": "order_form=ORD_2"}).json()
    account.does(made[0], "decline")
    declined = account.call("GET", params={"from_date": "2020-01-01", "status": "declined,voided"}).json()
    assert [envelope["envelopeId"] for envelope in declined["envelopes"]] == made[:1]
    account.client.post("/_sim/clock", json={"advance_seconds": 8 * 86_400})
    assert "envelopes" not in account.call("GET", params={"transaction_ids": "of-1"}).json()
    changed = account.call("PUT", "/status", params={"envelope_ids": "request_body"}, json={"envelopeIds": made}).json()
    assert [envelope["status"] for envelope in changed["envelopes"]] == ["sent", "declined"]
    assert account.violations() == []


def test_a_list_needs_a_beginning_and_may_trail_behind(account: Account) -> None:
    account.send()
    refused = account.call("GET", params={"custom_field": "order_form=ORD_1"})
    assert "from_date" in refused.json()["message"]
    late = account.call("GET", params={"from_date": "2999-01-01T00:00:00.0000000Z"}).json()
    assert late["totalSetSize"] == "0"
    account.client.post("/_sim/faults", json=[{"search_lag_seconds": 60}])
    behind = account.call("GET", params={"custom_field": "order_form=ORD_1", "from_date": "2020-01-01"}).json()
    assert behind["totalSetSize"] == "0"
    for params in (
        {"from_date": "soon"},
        {"from_date": "2020-01-01", "status": "lost"},
        {"envelope_ids": "", "email": "x"},
    ):
        assert account.call("GET", params=params).status_code == 400


# ── faults and limits ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.fault("R8")
def test_an_answer_can_be_lost_after_the_envelope_was_made(account: Account) -> None:
    account.client.post("/_sim/faults", json=[{"on": "request", "do": "lose_response", "times": 1}])
    with pytest.raises(httpx.TransportError):
        account.call("POST", json=definition(transactionId="of-2"))
    assert account.call("GET", params={"transaction_ids": "of-2"}).json()["totalSetSize"] == "1"


def test_limits_are_told_and_kept(tmp_path: Path) -> None:
    limits = {"hourly_limit": 4, "burst_limit": 2}
    with receiving(Receiver()) as receiver, simulated(tmp_path, receiver, limits) as client:
        account = Account(client, receiver)
        first = account.call("GET", params={"from_date": "2020-01-01"})
        assert (first.headers["x-ratelimit-limit"], first.headers["x-burstlimit-remaining"]) == ("4", "1")
        account.call("GET", params={"from_date": "2020-01-01"})
        refused = account.call("GET", params={"from_date": "2020-01-01"})
        assert (refused.status_code, refused.json()["errorCode"]) == (429, "BURST_APIINVOCATION_LIMIT_EXCEEDED")
        client.post("/_sim/faults", json=[{"on": "request", "do": "status", "status": 400, "times": 1}])
        limited = account.call("GET", params={"from_date": "2020-01-01"})
        assert (limited.status_code, limited.json()["errorCode"]) == (400, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED")


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with receiving(Receiver()) as receiver:
        with simulated(tmp_path, receiver) as client:
            number, token = (account := Account(client, receiver)).send(), account.token
        with simulated(tmp_path, receiver) as client:
            again = Account(client, receiver)
            again.token = token
            assert again.call("GET", f"/{number}").json()["status"] == "sent"
            assert b"%PDF-" in again.call("GET", f"/{number}/documents/combined").content


# ── Connect ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_connect_tells_each_event_signed_with_every_key(account: Account) -> None:
    number = account.send()
    account.does(number, "sign")
    account.does(number, "sign")
    (done,) = account.told("envelope-completed")
    assert (done["apiVersion"], done["data"]["accountId"], done["data"]["envelopeId"]) == ("v2.1", ACCOUNT, number)
    summary = done["data"]["envelopeSummary"]
    assert summary["status"] == "completed"
    assert summary["customFields"]["textCustomFields"][0]["value"] == "ORD_1"
    assert account.told("recipient-completed", 2)[1]["data"]["recipientId"] == "2"
    events = [json.loads(request.body)["event"] for request in account.receiver.requests]
    assert events[:3] == ["envelope-created", "envelope-sent", "recipient-sent"]
    for request in account.receiver.requests:
        for position, secret in enumerate(KEYS, start=1):
            assert request.headers[f"x-docusign-signature-{position}"] == signature(secret, request.body)
    account.client.post("/_sim/hmac_keys", json={"keys": [KEYS[1]]})
    account.send()
    account.told("envelope-sent", 2)
    assert account.receiver.requests[-1].headers["x-docusign-signature-1"] == signature(
        KEYS[1], account.receiver.requests[-1].body
    )
    assert account.violations() == []


@pytest.mark.fault("R1", "R2")
def test_connect_tries_again_and_is_doubled_and_mixed_up_on_demand(account: Account) -> None:
    account.receiver.statuses = [503, 500]
    faults = [
        {"on": "webhook", "do": "duplicate", "match": {"type": "envelope-sent"}, "times": 1},
        {"on": "webhook", "do": "reorder", "match": {"type": "completed"}, "window": 2, "seconds": 5, "times": 2},
        {"on": "webhook", "do": "drop", "match": {"type": "envelope-delivered"}},
    ]
    assert account.client.post("/_sim/faults", json=faults).status_code == 200
    number = account.send(recipients={"signers": definition()["recipients"]["signers"][:1]})
    account.does(number, "sign")
    account.told("recipient-completed")
    events = [one["event"] for one in heard(account.receiver, lambda all_: all_[-1]["event"] == "recipient-completed")]
    assert events.index("envelope-completed") < events.index("recipient-completed")
    assert "envelope-delivered" not in events
    told = account.client.get("/_sim/deliveries").json()
    answers = {(one["type"], one["duplicate"]): one["answers"] for one in told}
    assert answers["envelope-created", False] == ["503", "200"]
    assert answers["envelope-sent", False] == ["500", "200"]
    assert answers["envelope-sent", True] == ["200"]
    assert answers["envelope-delivered", False] == []
    assert {json.loads(one.body)["retryCount"] for one in account.receiver.requests} == {0, 1}


def test_an_envelope_can_have_a_listener_of_its_own(account: Account) -> None:
    notification = {
        "url": account.receiver.url("/own"),
        "requireAcknowledgment": "true",
        "deliveryMode": "SIM",
        "events": ["envelope-voided"],
        "eventData": {"version": "restv2.1", "format": "json", "includeData": ["documents"]},
    }
    number = account.send(eventNotification=notification)
    account.call("PUT", f"/{number}", json={"status": "voided", "voidedReason": "price"})
    account.told("envelope-voided", 2)
    (own,) = [request for request in account.receiver.requests if request.path == "/own"]
    assert "x-docusign-signature-1" not in own.headers
    (whole,) = json.loads(own.body)["data"]["envelopeSummary"]["envelopeDocuments"]
    assert base64.b64decode(whole["PDFBytes"]).startswith(b"%PDF-")


# ── DocuSign's own documents ──────────────────────────────────────────────────────────────────────────────────────────


@needs_contract
def test_what_docusigns_contract_does_not_name_is_refused(account: Account) -> None:
    number = account.send()
    calls = [
        account.call("POST", json=definition(surprise="1")),
        account.call("POST", json=definition(customFields={"textCustomFields": [{"name": "a", "value": 1}]})),
        account.call("GET", f"/{number}", params={"colour": "blue"}),
        account.call("GET", f"/{number}/mood"),
        account.call("PATCH", f"/{number}", json={}),
        account.client.get("/oauth/userinfo?x=1"),
        account.client.post("/oauth/token", data={"grant_type": GRANT}),
    ]
    assert [call.status_code for call in calls] == [400, 400, 400, 404, 404, 400, 400]
    assert len(account.violations()) == len(calls)
    # What DocuSign knows and this simulator does not is refused too, and no violation.
    assert account.call("GET", f"/{number}/documents/combined", params={"watermark": "true"}).status_code == 400
    assert account.call("GET", f"/{number}/form_data").status_code == 404
    foreign = account.client.get(
        f"/restapi/v2.1/accounts/{uuid.uuid4()}/envelopes/{number}",
        headers={"authorization": f"Bearer {account.token}"},
    )
    assert foreign.json()["errorCode"] == "USER_DOES_NOT_BELONG_TO_SPECIFIED_ACCOUNT"
    assert len(account.violations()) == len(calls)


@needs_contract
def test_messages_and_files_are_checked_too() -> None:
    folder = contracts_folder("docusign")
    assert folder is not None
    contract = contract_of(folder)
    assert contract.check_message({"event": "envelope-sent", "retryCount": 0}) == []
    assert [one.code for one in contract.check_message({"event": 1, "mood": "x"})] == ["type", "unknown"]
