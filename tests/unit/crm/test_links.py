"""The links of messages: what they carry, and what is not one of ours."""

import base64
import random
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revops.crm.links import LinkClaim, Links, Purpose, safe_target
from revops.kernel import Invalid
from revops.table import CursorSigner
from tests.builders.clock import ManualClock

KEY = b"signing-key-of-a-test"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
TARGET = "https://www.example.com/pricing?plan=pro&seats=5#annual"


def links(key: bytes = KEY, earlier: tuple[bytes, ...] = ()) -> Links:
    return Links("https://go.example.com/", key, earlier=earlier, clock=ManualClock(NOW))


def token(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.mark.mission("LEAD-5")
def test_each_link_says_what_it_was_made_for_and_when() -> None:
    made = links()
    assert made.read(token(made.pixel("LEAD_1", "MSG_1"))) == LinkClaim(Purpose.OPEN, "MSG_1", NOW, lead_id="LEAD_1")
    assert made.read(token(made.click("LEAD_1", "MSG_1", TARGET))) == LinkClaim(
        Purpose.CLICK, "MSG_1", NOW, lead_id="LEAD_1", target=TARGET
    )
    assert made.read(token(made.unsubscribe("PER_1", "email", "MSG_1"))) == LinkClaim(
        Purpose.UNSUBSCRIBE, "MSG_1", NOW, person_id="PER_1", channel="email"
    )


def test_a_link_is_one_segment_under_the_address_of_its_purpose() -> None:
    for url, purpose in (
        (links().pixel("LEAD_1", "MSG_1"), "open"),
        (links().click("LEAD_1", "MSG_1", TARGET), "click"),
        (links().unsubscribe("PER_1", "whatsapp", "MSG_1"), "unsubscribe"),
    ):
        prefix = f"https://go.example.com/t/{purpose}/"
        assert url.startswith(prefix)
        assert url[len(prefix) :].replace("-", "").replace("_", "").isalnum()
        assert len(url) < 400


@pytest.mark.fault("S6")
@pytest.mark.parametrize("asked", list(Purpose))
def test_a_token_is_good_for_its_own_purpose_alone(asked: Purpose) -> None:
    tokens = {
        Purpose.OPEN: token(links().pixel("LEAD_1", "MSG_1")),
        Purpose.CLICK: token(links().click("LEAD_1", "MSG_1", TARGET)),
        Purpose.UNSUBSCRIBE: token(links().unsubscribe("PER_1", "email", "MSG_1")),
    }
    for purpose, made in tokens.items():
        if purpose is asked:
            assert links().read(made, asked).purpose is asked
        else:
            with pytest.raises(Invalid, match="not one of ours"):
                links().read(made, asked)


@pytest.mark.fault("S18")
def test_every_changed_bit_of_a_token_is_refused() -> None:
    good = token(links().click("LEAD_1", "MSG_1", TARGET))
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    for bit in range(len(raw) * 8):
        bent = bytearray(raw)
        bent[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(Invalid):
            links().read(base64.urlsafe_b64encode(bytes(bent)).rstrip(b"=").decode())


@pytest.mark.parametrize(
    "bad", ["", "a", "====", "ä", "../../etc", "A" * 10_000, " ", "\x00", "null", "W10", "eyJhbGciOiJub25lIn0"]
)
def test_what_is_no_token_is_refused_in_the_same_words(bad: str) -> None:
    with pytest.raises(Invalid) as refused:
        links().read(bad)
    assert refused.value.detail == "this link is not one of ours"
    assert not refused.value.issues


@given(st.text(max_size=300))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(Invalid):
        links().read(text)


def test_another_spelling_of_the_same_bytes_is_refused() -> None:
    good = next(made for n in range(9) if len(made := token(links().pixel("LEAD_1", "M" * n))) % 4 == 3)
    raw = base64.urlsafe_b64decode(good + "=")
    spellings = [good[:-1] + last for last in string.ascii_letters + string.digits + "-_"]
    same = [each for each in spellings if base64.urlsafe_b64decode(each + "=") == raw]
    assert len(same) > 1, "the last letter holds bits that say nothing"
    assert [each for each in same if _reads(each)] == [good]
    assert not _reads(good + "=")
    assert not _reads(good + "\n")


def _reads(presented: str) -> bool:
    try:
        links().read(presented)
    except Invalid:
        return False
    return True


@pytest.mark.fault("S18")
def test_a_cursor_under_the_same_key_is_no_link_and_a_link_no_cursor() -> None:
    cursor = CursorSigner(KEY).sign({"a": "b"}, {"who": "x"})
    with pytest.raises(Invalid):
        links().read(cursor)
    with pytest.raises(Invalid):
        CursorSigner(KEY).open(token(links().pixel("LEAD_1", "MSG_1")), {"who": "x"})


@pytest.mark.fault("S8")
def test_after_a_rotation_old_links_are_read_and_new_ones_are_made_with_the_new_key() -> None:
    old, new = links(b"old"), links(b"new", (b"old",))
    assert new.read(token(old.pixel("LEAD_1", "MSG_1"))).lead_id == "LEAD_1"
    with pytest.raises(Invalid):
        old.read(token(new.pixel("LEAD_1", "MSG_1")))
    with pytest.raises(Invalid):
        links(b"new").read(token(old.pixel("LEAD_1", "MSG_1")))


@pytest.mark.fault("S15")
@pytest.mark.parametrize(
    "bad",
    [
        "", "/pricing", "//evil.example/x", "javascript:alert(1)", "data:text/html,x", "ftp://example.com/x", "https://",
        "https:///path", "https://user@evil.example/", "https://www.example.com@evil.example/", "http://[::1",
        "https://example.com/\r\nSet-Cookie: a=b", "https://example.com/ x", "https://example.com/\tx",
        "https:\\\\evil.example", "https://example.com\\@evil.example/", "https://bücher.example/",
        "https://example.com:99999/", "https://example.com:x/",
        "https://example.com/" + "a" * 2000, "mailto:a@example.com",
    ],
)  # fmt: skip
def test_a_click_leads_to_absolute_http_addresses_only(bad: str) -> None:
    with pytest.raises(Invalid) as refused:
        links().click("LEAD_1", "MSG_1", bad)
    assert [issue.field for issue in refused.value.issues] == ["target"]


@pytest.mark.parametrize(
    "good", [TARGET, "http://example.com", "HTTPS://EXAMPLE.COM:8443/%C3%BC?q=a%20b", "https://xn--bcher-kva.example/"]
)
def test_what_a_click_may_lead_to_comes_back_as_it_was(good: str) -> None:
    assert safe_target(good) == good
    made = links()
    assert made.read(token(made.click("LEAD_1", "MSG_1", good))).target == good


def test_ids_of_any_text_come_back_as_they_were() -> None:
    rng, made = random.Random(7), links()
    for _ in range(200):
        lead, message = ("".join(rng.choice('ABC_019"\\,[]#|é') for _ in range(12)) for _ in range(2))
        claim = made.read(token(made.pixel(lead, message)))
        assert (claim.lead_id, claim.message_id) == (lead, message)
