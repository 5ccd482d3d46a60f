"""The links of messages over HTTP: an image whatever happens, the way to where the message said, one click out."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from revops.access import HoldRate
from revops.api.page_events import PageEventUseCases, add_page_event_routes
from revops.api.tracking import PIXEL, TrackingUseCases, add_tracking_routes
from revops.crm.consent import RecordConsent, SendGate
from revops.crm.consenting import Unsubscribe
from revops.crm.engagement import RecordEngagement
from revops.crm.links import Links
from revops.crm.model import LeadStatus
from revops.crm.page_events import RecordPageEvents
from revops.crm.store import LEADS
from revops.crm.tracking import TrackMessage
from revops.kernel import Unavailable
from revops.platform.http import Api
from revops.settings import SettingsReader
from revops.table import begin, claim
from tests.builders.clock import ManualClock
from tests.builders.engagement import CHROME, LEAD, MESSAGE, PERSON, PUBLIC, consent, place_lead, record_of
from tests.builders.memory_table import MemoryTable
from tests.builders.requests import KnownCallers, http_event

TARGET = "https://www.example.com/pricing?plan=pro"


class Broken:
    """A table that is not there."""

    def get(self, *_: object, **__: object) -> None:
        raise Unavailable("the table does not answer")

    get_many = query = commit = get


class Bench:
    def __init__(self, table: Any = None) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        place_lead(self.table, self.clock, consent(self.clock))
        transaction = begin(PUBLIC, self.clock.now())
        claim(transaction, "email", "asha.rao@nordlicht.example", LEAD)
        self.table.commit(transaction)
        self.links = Links("", b"key", clock=ManualClock(self.clock.now() - timedelta(hours=1)))
        used, settings = table or self.table, SettingsReader(self.table, ttl=0)
        record = RecordEngagement(used, self.clock, sleep=lambda _: None)
        keys = {"web": frozenset({"engagement:write"}), "other": frozenset({"leads:write"})}
        self.callers = KnownCallers(keys=keys)
        self.api = Api(self.callers)
        use = TrackingUseCases(
            lambda: self.links,
            lambda: TrackMessage(used, self.clock, settings, record),
            lambda: Unsubscribe(self.clock, RecordConsent(used, self.clock, sleep=lambda _: None)),
        )
        add_tracking_routes(self.api, use)
        hold = HoldRate(self.table, self.clock)
        page_events = PageEventUseCases(lambda: RecordPageEvents(used, settings, record), lambda: hold)
        add_page_event_routes(self.api, page_events)

    def ask(self, method: str, path: str, *, agent: str = CHROME, **more: Any) -> dict[str, Any]:
        headers = {"user-agent": agent, **more.pop("headers", {})}
        return self.api(http_event(method, path, headers=headers, **more), None)

    @property
    def counted(self) -> list[str]:
        return [done.event for done in LEADS.require(self.table, LEAD).engagement]


def _is_the_image(answer: dict[str, Any]) -> bool:
    sent = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else b""
    return (answer["statusCode"], answer["headers"]["Content-Type"], sent) == (200, "image/gif", PIXEL)


# ── opened ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("LEAD-5")
def test_the_pixel_is_an_image_that_nobody_keeps_and_counts_once() -> None:
    bench = Bench()
    for _ in range(3):
        answer = bench.ask("GET", bench.links.pixel(LEAD, MESSAGE))
        assert _is_the_image(answer)
        assert "no-store" in answer["headers"]["Cache-Control"]
    assert bench.counted == ["email_open"]


@pytest.mark.parametrize("token", ["x", "A" * 5000, "%2e%2e%2fx", "%00", "ä"])
def test_a_bad_token_gets_the_image_too(token: str) -> None:
    bench = Bench()
    assert _is_the_image(bench.ask("GET", f"/t/open/{token}"))
    assert _is_the_image(bench.ask("GET", bench.links.pixel("LEAD_NOBODY", MESSAGE)))
    assert bench.counted == []


def test_the_image_comes_when_nothing_else_works() -> None:
    bench = Bench(Broken())
    assert _is_the_image(bench.ask("GET", bench.links.pixel(LEAD, MESSAGE)))


def test_a_head_request_gets_no_image_and_counts_nothing() -> None:
    bench = Bench()
    answer = bench.ask("HEAD", bench.links.pixel(LEAD, MESSAGE))
    assert (answer["statusCode"], answer["body"]) == (200, "")
    assert bench.ask("HEAD", bench.links.click(LEAD, MESSAGE, TARGET))["statusCode"] == 302
    assert bench.counted == []


# ── clicked ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("LEAD-5")
def test_a_click_leads_to_where_the_message_said_and_counts_once() -> None:
    bench = Bench()
    for _ in range(2):
        answer = bench.ask("GET", bench.links.click(LEAD, MESSAGE, TARGET))
        assert (answer["statusCode"], answer["headers"]["Location"]) == (302, TARGET)
        assert answer["headers"]["Referrer-Policy"] == "no-referrer"
    assert bench.counted == ["email_click"]


@pytest.mark.fault("S15", "S6")
def test_there_is_no_way_to_another_place() -> None:
    bench = Bench()
    good = bench.links.click(LEAD, MESSAGE, TARGET)
    foreign = Links("", b"another", clock=bench.clock).click(LEAD, MESSAGE, "https://evil.example/")
    pixel = bench.links.pixel(LEAD, MESSAGE).replace("/open/", "/click/")
    for path in (foreign, pixel, good[:-1], good + "A", "/t/click/https:%2F%2Fevil.example", "/t/click/x"):
        answer = bench.ask("GET", path)
        assert answer["statusCode"] == 404
        assert "Location" not in answer["headers"]
        assert "evil" not in answer["body"]
    answer = bench.ask("GET", f"{good}?target=https://evil.example/&url=https://evil.example/")
    assert answer["headers"]["Location"] == TARGET


def test_the_reader_gets_there_when_counting_fails() -> None:
    answer = Bench(Broken()).ask("GET", Bench().links.click(LEAD, MESSAGE, TARGET))
    assert (answer["statusCode"], answer["headers"]["Location"]) == (302, TARGET)


# ── unsubscribed ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-9")
def test_following_the_link_asks_and_changes_nothing() -> None:
    bench = Bench()
    answer = bench.ask("GET", bench.links.unsubscribe(PERSON, "email", MESSAGE))
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert '<form method="post">' in answer["body"]
    assert "default-src 'none'" in answer["headers"]["Content-Security-Policy"]
    for never in ("Asha", "Rao", "nordlicht", PERSON, LEAD):
        assert never not in answer["body"]
    assert record_of(bench.table).marketing


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        ("multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nOne\r\n--x--'),
        ("application/json", ""),
    ],
)  # fmt: skip
def test_one_click_withdraws_with_the_message_as_evidence(kind: str, raw: str) -> None:
    bench = Bench()
    for encoded in (None, raw.encode()):
        answer = bench.ask(
            "POST",
            bench.links.unsubscribe(PERSON, "email", MESSAGE),
            headers={"content-type": kind},
            **({"raw": raw} if encoded is None else {"encoded": encoded}),
        )
        assert (answer["statusCode"], "Unsubscribed" in answer["body"]) == (200, True)
    said = record_of(bench.table).entries[-1]
    assert (said.channel, said.purpose, said.granted) == ("email", "marketing", False)
    assert (said.source, said.ip) == ("unsubscribe link", "203.0.113.9")
    assert said.evidence == f"unsubscribe link of message {MESSAGE}"
    assert len(record_of(bench.table).entries) == 2, "saying it again adds nothing"
    assert not LEADS.require(bench.table, LEAD).gdpr_consent


def test_somebody_who_is_not_there_is_answered_like_anybody() -> None:
    bench = Bench()
    known = bench.ask("POST", bench.links.unsubscribe(PERSON, "email", MESSAGE))
    gone = bench.ask("POST", bench.links.unsubscribe("PER_GONE", "email", MESSAGE))
    assert (gone["statusCode"], gone["body"], gone["headers"]) == (200, known["body"], known["headers"])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_that_is_not_ours_is_nowhere(method: str) -> None:
    bench = Bench()
    for path in ("/t/unsubscribe/x", bench.links.pixel(LEAD, MESSAGE).replace("/open/", "/unsubscribe/")):
        answer = bench.ask(method, path)
        assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (404, "application/problem+json")
        assert LEAD not in answer["body"]
    assert record_of(bench.table).marketing


def test_a_message_on_its_way_makes_a_page_that_says_when_to_try_again() -> None:
    bench = Bench()
    transaction = begin(PUBLIC, bench.clock.now())
    SendGate(bench.table, bench.clock).enter(transaction, PERSON, "email", "MSG_2")
    bench.table.commit(transaction)
    answer = bench.ask("POST", bench.links.unsubscribe(PERSON, "email", MESSAGE))
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "60")
    assert "<form" in answer["body"]
    assert record_of(bench.table).marketing


def test_another_kind_of_body_is_refused() -> None:
    bench = Bench()
    path = bench.links.unsubscribe(PERSON, "email", MESSAGE)
    assert bench.ask("POST", path, raw="<a/>", headers={"content-type": "application/xml"})["statusCode"] == 415
    assert bench.ask("POST", path, encoded=b"\xff\xfe", headers={"content-type": "text/plain"})["statusCode"] == 400


# ── page events ───────────────────────────────────────────────────────────────────────────────────────────────────


def _events(bench: Bench, *events: dict[str, Any], key: str = "web") -> tuple[int, Any]:
    answer = bench.api(
        http_event("POST", "/api/v1/engagement/page-events", {"events": list(events)}, headers={"x-api-key": key}), None
    )
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.mission("LEAD-3")
def test_each_event_of_a_batch_is_told_what_became_of_it() -> None:
    bench = Bench()
    seen = {"event": "pricing_view", "ref": "/pricing:2026-11-20"}
    status, answer = _events(
        bench,
        {**seen, "email": "Asha.Rao@Nordlicht.example"},
        {**seen, "lead_id": LEAD},
        {**seen, "email": "nobody@example.com"},
        {**seen, "lead_id": "LEAD_NOBODY"},
        {**seen, "event": "email_open", "lead_id": LEAD},
        {"event": "page_view", "ref": "/", "lead_id": LEAD, "at": "2026-11-19T10:00:00Z"},
        {**seen, "email": "not an address"},
    )
    assert status == 200
    assert [each["outcome"] for each in answer["results"]] == [
        "counted", "repeated", "unknown_person", "unknown_person", "unknown_event", "counted", "unknown_person",
    ]  # fmt: skip
    assert [each["index"] for each in answer["results"]] == list(range(7))
    assert bench.counted == ["page_view", "pricing_view"]


@pytest.mark.mission("LEAD-3", "LEAD-8")
def test_what_somebody_does_whose_lead_is_converted_is_told_from_what_counted_before() -> None:
    bench = Bench()
    before = {"event": "pricing_view", "ref": "/pricing:2026-11-20", "lead_id": LEAD}
    _events(bench, before)
    lead = LEADS.require(bench.table, LEAD)
    transaction = begin(PUBLIC, bench.clock.now())
    LEADS.update(transaction, lead.revised(bench.clock.now(), status=LeadStatus.CONVERTED))
    bench.table.commit(transaction)
    for _ in range(2):
        status, answer = _events(bench, before, {**before, "ref": "/pricing:2026-11-21"})
        assert (status, [each["outcome"] for each in answer["results"]]) == (200, ["repeated", "archived"])
    assert bench.counted == ["pricing_view"]


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"event": "page_view", "ref": "/", "lead_id": LEAD, "points": 100}, "events.0.points"),
        ({"event": "page_view", "ref": "/", "lead_id": LEAD, "email": "a@example.com"}, "events.0"),
        ({"event": "page_view", "ref": "/"}, "events.0"),
        ({"event": "page_view", "ref": "", "lead_id": LEAD}, "events.0.ref"),
        ({"event": "page_view", "ref": "/?email=a@example.com", "lead_id": LEAD}, "events.0.ref"),
        ({"event": "Page View", "ref": "/", "lead_id": LEAD}, "events.0.event"),
        ({"event": "page_view", "ref": "/", "lead_id": LEAD, "at": "2026-11-19T10:00:00"}, "events.0.at"),
        ({"event": "page_view", "ref": "/", "lead_id": LEAD, "at": "9999-12-31T23:59:59-14:00"}, "events.0.at"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_by_field(event: dict[str, Any], field: str) -> None:
    status, answer = _events(Bench(), event)
    assert (status, [issue["field"] for issue in answer["issues"]]) == (400, [field])


def test_page_events_ask_for_a_key_with_their_scope_and_a_bounded_batch() -> None:
    bench, event = Bench(), {"event": "page_view", "ref": "/", "lead_id": LEAD}
    assert _events(bench, event, key="other")[0] == 403
    assert _events(bench, event, key="nobody")[0] == 401
    assert _events(bench, *[event] * 101)[0] == 400
    assert _events(bench)[0] == 400
    assert bench.counted == []


@pytest.mark.mission("CAP-5")
@pytest.mark.fault("S23")
def test_page_events_are_held_to_the_rate_of_the_key() -> None:
    bench = Bench()
    bench.callers.rates = {"web": 12}  # two in ten seconds
    seen = {"event": "pricing_view", "lead_id": LEAD}
    assert _events(bench, *({**seen, "ref": f"/{n}"} for n in range(3)))[0] == 400
    assert _events(bench, {**seen, "ref": "/1"}, {**seen, "ref": "/2"})[0] == 200
    assert _events(bench, {**seen, "ref": "/3"})[0] == 429
