"""What Adobe Sign says of an agreement, as the port has it."""

from datetime import UTC, datetime

import httpx
import pytest

from revops.adapters.adobe_sign import AdobeSign
from revops.orders.model import EnvelopeStatus
from revops.signing.model import EnvelopeFact

pytestmark = pytest.mark.mission("ORD-3")
MADE, DONE = "2026-11-20T09:00:00Z", "2026-11-22T10:00:00Z"


def state(status: str, *events: tuple[str, str]) -> EnvelopeFact:
    """The fact of an agreement with these events, which Adobe gives out in any order."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/oauth/v2/refresh"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        if request.url.path.endswith("/events"):
            told = [{"type": name, "date": at, "actingUserName": f"who {name}"} for name, at in events]
            return httpx.Response(200, json={"events": told})
        return httpx.Response(200, json={"id": "a-1", "status": status, "createdDate": MADE})

    fields = ("client_id", "client_secret", "refresh_token")
    secret = {**dict.fromkeys(fields, "x"), "base_url": "https://adobe.example"}
    provider = AdobeSign(lambda: secret, httpx.MockTransport(answer))
    try:
        return provider.state("a-1")
    finally:
        provider.close()


def test_a_signed_agreement_is_completed_by_who_signed_last() -> None:
    fact = state("SIGNED", ("ACTION_COMPLETED", DONE), ("CREATED", MADE), ("ACTION_REQUESTED", MADE))
    assert fact == EnvelopeFact(
        EnvelopeStatus.COMPLETED, datetime(2026, 11, 22, 10, tzinfo=UTC), "", "who ACTION_COMPLETED"
    )


@pytest.mark.parametrize("status", ["APPROVED", "ACCEPTED", "DELIVERED", "FORM_FILLED", "ARCHIVED"])
def test_what_nobody_was_asked_to_sign_executes_nothing_and_says_so(status: str) -> None:
    """Somebody made the recipient an approver, or filed the paper, at Adobe Sign."""
    fact = state(status, ("ACTION_COMPLETED", DONE), ("ACTION_REQUESTED", MADE))
    assert fact.status is EnvelopeStatus.SENT
    assert status.lower() in fact.reason


@pytest.mark.parametrize("status", ["OUT_FOR_SIGNATURE", "WAITING_FOR_VERIFICATION", "A_WORD_OF_TOMORROW", ""])
def test_any_other_word_is_on_the_way(status: str) -> None:
    assert state(status, ("ACTION_REQUESTED", MADE)).status is EnvelopeStatus.SENT
