"""DocuSign and Adobe Sign over HTTP, against simulators that hold every request and answer to the vendors' contracts.

What both do is shown of both in the same words: the port is one.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.simulators.adobe_sign.oauth import Identity as AdobeIdentity
from local.simulators.adobe_sign.vendor import AdobeSign as AdobeSimulator
from local.simulators.common import World
from local.simulators.common.pdf import text_pdf
from local.simulators.docusign.oauth import Identity as DocusignIdentity
from local.simulators.docusign.vendor import Docusign as DocusignSimulator
from revops.adapters.adobe_sign import AdobeSign
from revops.adapters.adobe_sign_webhook import adobe_sign_signal, known_client, verify_adobe_sign
from revops.adapters.docusign import Docusign
from revops.adapters.docusign_connect import docusign_signal, verify_docusign
from revops.inbox import Signal
from revops.kernel import Forbidden, Invalid, SystemClock, Unavailable
from revops.orders.model import EnvelopeStatus
from revops.signing.model import EnvelopeRequest
from revops.signing.ports import EnvelopeRefused, NoSuchEnvelope, OutcomeUnknown, SignatureProvider
from tests.builders.loopback import Received, Receiver, receiving
from tests.contract.channel_harness import running, word

S = EnvelopeStatus
ORDER = "ORD_0000000000000000000000TEST"
FORM = text_pdf(["Order form", "/signature/ /signed-on/"])
KEY = f"of:{ORDER}:v1:signature-1"
ACCOUNT, USER, INTEGRATION = (f"{digit * 8}-0000-4000-8000-{digit * 12}" for digit in "123")


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def request(number: int = 1, **changes: Any) -> EnvelopeRequest:
    fields: dict[str, Any] = {
        "order_id": ORDER,
        "number": number,
        "title": "Please sign our order form",
        "message": "Please read it.",
        "signatory_name": "Anna Beispiel",
        "signatory_email": "anna@musterwerk.example",
        "document": FORM,
        "sent_at": datetime.now(UTC),
        "expires_after_days": 30,
        "remind_after_days": 3,
    }
    return EnvelopeRequest(**{**fields, **changes})


@dataclass
class Vendor:
    """One provider, its simulator, and what reads its webhooks."""

    name: str
    provider: SignatureProvider
    simulator: httpx.Client
    receiver: Receiver
    things: str
    read: Callable[[Received], Signal]

    def do(self, envelope_id: str, deed: str, **asked: Any) -> None:
        """Somebody does something at the vendor's own door."""
        answer = self.simulator.post(f"/_sim/{self.things}/{envelope_id}/{deed}", json=asked)
        assert answer.status_code == 200, answer.text

    def fail(self, method: str, path: str, **rule: Any) -> None:
        """The next call to a path goes wrong in a way."""
        entry = {"on": "request", "match": {"method": method, "path": path}, "times": 1, **rule}
        assert self.simulator.post("/_sim/faults", json=[entry]).status_code == 200

    def violations(self) -> list[Any]:
        found: list[Any] = self.simulator.get("/_sim/violations").json()
        return found

    def find(self, number: int = 1) -> str | None:
        return self.provider.find(ORDER, number, datetime.now(UTC), [KEY])


@contextmanager
def docusign(folder: Path, key: RSAPrivateKey) -> Iterator[Vendor]:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    hmac_keys = [word(), word()]
    identity = DocusignIdentity(INTEGRATION, USER, ACCOUNT, tuple(hmac_keys))
    with receiving(Receiver()) as receiver:

        def make(world: World) -> DocusignSimulator:
            return DocusignSimulator(world, receiver.url("/webhooks/docusign"), identity)

        with running(folder, make) as client:
            assert client.post("/_sim/public_keys", json={"public_key": public}).status_code == 201
            base = str(client.base_url).rstrip("/")
            secret = {"integration_key": INTEGRATION, "user_id": USER, "account_id": ACCOUNT, "base_url": base}
            secret |= {"oauth_url": base}
            proof = {"hmac_keys": hmac_keys[1:], "account_id": ACCOUNT}
            provider = Docusign(lambda: secret, lambda message: key.sign(message, PKCS1v15(), SHA256()), SystemClock())

            def read(received: Received) -> Signal:
                verify_docusign(received.body, received.headers, proof)
                return docusign_signal(received.body, proof)

            yield Vendor("docusign", provider, client, receiver, "envelopes", read)
            provider.close()


@contextmanager
def adobe_sign(folder: Path, key: RSAPrivateKey) -> Iterator[Vendor]:
    identity = AdobeIdentity(word(), word(), word())
    secret: dict[str, Any] = {
        "client_id": identity.client_id,
        "client_secret": identity.client_secret,
        "refresh_token": identity.refresh_token,
    }

    def echo(received: Received) -> tuple[int, str, str]:
        return 200, "application/json", f'{{"xAdobeSignClientId":"{known_client(received.headers, secret)}"}}'

    with receiving(Receiver(echo)) as receiver:

        def make(world: World) -> AdobeSimulator:
            return AdobeSimulator(world, receiver.url("/webhooks/adobe-sign"), identity)

        with running(folder, make) as client:
            secret["base_url"] = str(client.base_url)
            assert client.post("/_sim/subscribe").status_code == 200
            provider = AdobeSign(lambda: secret)

            def read(received: Received) -> Signal:
                verify_adobe_sign(received.body, received.headers, secret)
                return adobe_sign_signal(received.body, secret)

            yield Vendor("adobe_sign", provider, client, receiver, "agreements", read)
            provider.close()


@pytest.fixture(params=[docusign, adobe_sign], ids=["docusign", "adobe_sign"])
def vendor(request: pytest.FixtureRequest, tmp_path: Path, key: RSAPrivateKey) -> Iterator[Vendor]:
    with request.param(tmp_path, key) as made:
        yield made
        assert made.violations() == []


@pytest.mark.mission("ORD-3")
def test_a_form_is_sent_signed_and_its_papers_fetched(vendor: Vendor) -> None:
    provider = vendor.provider
    assert vendor.find() is None
    envelope_id = provider.send(request(), KEY)
    assert provider.state(envelope_id).status is S.SENT
    assert (vendor.find(), vendor.find(2)) == (envelope_id, None)
    vendor.do(envelope_id, "view")
    assert provider.state(envelope_id).status is S.SENT
    vendor.do(envelope_id, "sign", **({"name": "Anna Beispiel"} if vendor.name == "adobe_sign" else {}))
    fact = provider.state(envelope_id)
    assert (fact.status, fact.signer, fact.reason) == (S.COMPLETED, "Anna Beispiel", "")
    assert abs(datetime.now(UTC) - fact.at) < timedelta(minutes=1)
    papers = provider.documents(envelope_id)
    assert papers.document.startswith(b"%PDF-")
    assert papers.certificate.startswith(b"%PDF-")
    assert papers.document != papers.certificate
    with pytest.raises(EnvelopeRefused):
        provider.void(envelope_id, "too late")
    assert provider.state(envelope_id).status is S.COMPLETED


@pytest.mark.mission("ORD-3")
def test_declined_comes_with_the_signatorys_reason(vendor: Vendor) -> None:
    envelope_id = vendor.provider.send(request(), KEY)
    vendor.do(envelope_id, "decline", reason="too many seats")
    fact = vendor.provider.state(envelope_id)
    assert (fact.status, fact.reason) == (S.DECLINED, "too many seats")


@pytest.mark.mission("ORD-3")
def test_voided_comes_with_ours(vendor: Vendor) -> None:
    envelope_id = vendor.provider.send(request(), KEY)
    vendor.provider.void(envelope_id, "the order form was cancelled")
    fact = vendor.provider.state(envelope_id)
    assert (fact.status, fact.reason) == (S.VOIDED, "the order form was cancelled")


@pytest.mark.mission("ORD-3")
def test_expired_is_told_from_voided(vendor: Vendor) -> None:
    envelope_id = vendor.provider.send(request(), KEY)
    vendor.simulator.post("/_sim/clock", json={"advance_seconds": 31 * 86_400})
    assert vendor.provider.state(envelope_id).status is S.EXPIRED


@pytest.mark.mission("ORD-3")
def test_an_invitation_that_comes_back_is_a_problem_until_the_address_is_mended(vendor: Vendor) -> None:
    envelope_id = vendor.provider.send(request(), KEY)
    vendor.do(envelope_id, "bounce")
    fact = vendor.provider.state(envelope_id)
    assert fact.status is S.SENT
    assert "does not take the invitation" in fact.reason
    address = {"to": "ina@musterwerk.example"} if vendor.name == "adobe_sign" else {"email": "ina@musterwerk.example"}
    vendor.do(envelope_id, "correct", **address)
    assert vendor.provider.state(envelope_id).reason == ""


def test_an_envelope_nobody_knows_is_told_apart(vendor: Vendor) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(NoSuchEnvelope):
        vendor.provider.state(unknown)


def test_what_the_vendor_will_not_send_is_refused_for_good(vendor: Vendor) -> None:
    with pytest.raises(EnvelopeRefused, match="answered 4"):
        vendor.provider.send(request(signatory_email="nobody"), KEY)
    assert vendor.find() is None


# -- a line that loses things ----------------------------------------------------------------------------------------


@pytest.mark.fault("R8")
@pytest.mark.parametrize(
    ("rule", "done"),
    [
        ({"do": "lose_response"}, True),
        ({"do": "status", "status": 500, "after_work": True}, True),
        ({"do": "status", "status": 503}, False),
    ],
)
def test_without_an_answer_the_outcome_is_unknown_until_it_is_looked_up(
    vendor: Vendor, rule: dict[str, Any], done: bool
) -> None:
    vendor.fail("POST", "/(envelopes|agreements)$", **rule)
    with pytest.raises(OutcomeUnknown):
        vendor.provider.send(request(), KEY)
    assert (vendor.find() is not None) == done


def test_a_token_is_used_again_and_one_that_ended_is_replaced(vendor: Vendor) -> None:
    envelope_id = vendor.provider.send(request(), KEY)
    vendor.provider.state(envelope_id)
    assert vendor.simulator.post("/_sim/tokens/expire").json() == {"ended": 1}, "one token served every call"
    assert vendor.provider.state(envelope_id).status is S.SENT
    assert vendor.simulator.post("/_sim/tokens/expire").json() == {"ended": 1}


def test_a_grant_that_was_taken_back_is_mended_by_hand(vendor: Vendor) -> None:
    route, taken = (
        ("consent", {"granted": False}) if vendor.name == "docusign" else ("refresh_token", {"revoked": True})
    )
    vendor.simulator.post(f"/_sim/{route}", json=taken)
    with pytest.raises(Unavailable, match="gives no token") as refused:
        vendor.provider.send(request(), KEY)
    assert refused.value.retry_after == 60.0


@pytest.mark.parametrize("status", [429, 503])
def test_limits_and_outages_are_to_be_tried_again(vendor: Vendor, status: int) -> None:
    envelope_id = vendor.provider.send(request(), KEY)
    vendor.fail("GET", envelope_id, do="status", status=status)
    with pytest.raises(Unavailable) as refused:
        vendor.provider.state(envelope_id)
    assert refused.value.retry_after
    assert vendor.provider.state(envelope_id).status is S.SENT


# -- what they tell --------------------------------------------------------------------------------------------------


def told(vendor: Vendor, event: str) -> list[Received]:
    """The webhooks of an event, once there is one."""
    for _ in range(250):
        found = [each for each in list(vendor.receiver.requests) if each.method == "POST"]
        found = [each for each in found if json.loads(each.body)["event"] == event]
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing told of {event}")


@pytest.mark.mission("ORD-3")
@pytest.mark.fault("S7")
def test_their_webhooks_prove_themselves_and_name_the_envelope(vendor: Vendor) -> None:
    envelope_id = vendor.provider.send(request(), KEY)
    vendor.do(envelope_id, "sign")
    event = "envelope-completed" if vendor.name == "docusign" else "AGREEMENT_WORKFLOW_COMPLETED"
    [received] = told(vendor, event)
    signal = vendor.read(received)
    assert (signal.provider, signal.event_type, signal.subject) == (vendor.name, event, envelope_id)
    assert "anna" not in signal.body, "whoever signs is asked of the vendor, not kept of its webhook"
    if vendor.name == "docusign":
        with pytest.raises(Invalid):
            vendor.read(Received("POST", received.path, received.headers, received.body + b" "))
    else:
        strange = {**received.headers, "x-adobesign-clientid": "somebody-else"}
        with pytest.raises(Forbidden):
            vendor.read(Received("POST", received.path, strange, received.body))
