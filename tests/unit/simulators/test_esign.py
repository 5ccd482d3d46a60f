"""Parts of the signature vendors' simulators that need no server and no contract."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.simulators.adobe_sign import shapes
from local.simulators.adobe_sign.errors import AdobeError
from local.simulators.adobe_sign.transient import check_parts
from local.simulators.adobe_sign.webhooks import Webhooks
from local.simulators.common import Call, Clock, Faults, Outbox, RetryPolicy, Store, World
from local.simulators.common.pdf import NotAPdf, contains, joined, read_text, text_pdf
from local.simulators.docusign import times
from local.simulators.docusign.connect import signature
from local.simulators.docusign.creation import days_until_expiry
from local.simulators.docusign.errors import DocusignError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = Store(tmp_path)
    faults = Faults(store)
    yield World(store, Clock(store), faults, Outbox(store, faults, RetryPolicy()), {})
    store.close()


def test_a_text_becomes_pages_and_is_read_again() -> None:
    document = text_pdf(["Price (net) \\ é", *(f"line {number}" for number in range(60))])
    pages = read_text(document)
    assert len(pages) == 2
    assert "Price (net) \\ é" in pages[0]
    assert "line 59" in pages[1]
    assert len(read_text(joined([document, text_pdf(["last"])]))) == 3
    assert len(read_text(text_pdf([]))) == 1


@pytest.mark.parametrize("broken", [b"", b"hello", b"%PDF-", b"%PDF-1.4\nnonsense", text_pdf(["x"])[:200]])
def test_what_is_no_pdf_is_told_apart(broken: bytes) -> None:
    with pytest.raises(NotAPdf):
        read_text(broken)
    with pytest.raises(NotAPdf):
        joined([text_pdf(["x"]), broken])


def test_words_are_found_whatever_their_spacing_and_case() -> None:
    assert contains("Signed:  / Signature_1 /", "/signature_1/")
    assert not contains("Signed: /signature_2/", "/signature_1/")


def test_a_connect_signature_is_base64_of_hmac_sha256_over_the_raw_body() -> None:
    expected = b64encode(hmac.new(b"key", b'{"a": 1}', hashlib.sha256).digest()).decode()
    assert signature("key", b'{"a": 1}') == expected


def test_docusigns_times_are_read_as_they_are_written() -> None:
    written = times.written(1_700_000_000.25)
    assert written == "2023-11-14T22:13:20.2500000Z"
    assert times.read("from_date", written) == 1_700_000_000.25
    assert times.read("from_date", "2023-11-14") == times.read("from_date", "2023-11-14T02:00:00+02:00")
    with pytest.raises(DocusignError):
        times.read("from_date", "yesterday")


def test_adobes_times_have_whole_seconds_and_a_zone() -> None:
    assert shapes.written(1_700_000_000.9) == "2023-11-14T22:13:20Z"
    assert shapes.read("2023-11-14T22:13:20Z") == 1_700_000_000
    for bad in ("2023-11-14T22:13:20", "soon"):
        with pytest.raises(AdobeError):
            shapes.read(bad)


@pytest.mark.parametrize(
    ("notification", "days"),
    [
        ({}, 120),
        ({"expirations": {"expireEnabled": "true", "expireAfter": "30"}}, 30),
        ({"expirations": {"expireAfter": "30"}}, 120),
        ({"useAccountDefaults": "true", "expirations": {"expireEnabled": "true", "expireAfter": "30"}}, 120),
    ],
)
def test_an_envelope_has_its_own_days_only_if_it_enables_them(notification: dict[str, Any], days: int) -> None:
    assert days_until_expiry(notification) == days


@pytest.mark.parametrize(
    ("answer", "settles"),
    [
        (httpx.Response(200, headers={"x-adobesign-clientid": "app"}), True),
        (httpx.Response(202, json={"xAdobeSignClientId": "app"}), True),
        (httpx.Response(200, headers={"x-adobesign-clientid": "other"}), False),
        (httpx.Response(200, json={"xAdobeSignClientId": "other"}), False),
        (httpx.Response(200, json=["app"]), False),
        (httpx.Response(200, text="app"), False),
        (httpx.Response(403, headers={"x-adobesign-clientid": "app"}), False),
    ],
)
def test_an_adobe_notification_is_settled_by_its_echo_alone(
    world: World, answer: httpx.Response, settles: bool
) -> None:
    assert Webhooks(world, None, "app").echoes(answer) is settles
    assert world.outbox.acknowledges(answer) is settles


def test_parts_of_an_upload_are_checked() -> None:
    def call(**files: bytes) -> Call:
        request = httpx.Request(
            "POST", "http://127.0.0.1/", files={name.replace("_", "-"): v for name, v in files.items()}
        )
        return Call("POST", "/", "", dict(request.headers), request.read())

    assert check_parts(call(File=b"x", Mime_Type=b"application/pdf")) == []
    assert [one.code for one in check_parts(call(Other=b"x"))] == ["unknown", "missing"]
    assert [one.code for one in check_parts(Call("POST", "/", "", {}, b"x"))] == ["type"]


def test_a_vendor_may_want_more_than_a_success(world: World) -> None:
    assert world.outbox.acknowledges(httpx.Response(204))
    assert not world.outbox.acknowledges(httpx.Response(302))
