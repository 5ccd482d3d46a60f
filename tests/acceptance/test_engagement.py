"""What people do with messages and pages, and how it moves the score (LEAD-3, LEAD-5)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.aws import wiring_of
from revops.access import IssueKey
from revops.crm.links import Links
from revops.kernel import system_call
from tests.acceptance.people import partner_lead
from tests.acceptance.stack import Json, Stack, eventually, fields, fresh

BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
}
APPLE = {"user-agent": "Mozilla/5.0"}
TARGET = "https://www.example.com/pricing?plan=pro#annual"


class _Earlier:
    """A clock that is behind: a message that was made some time ago."""

    def __init__(self, **ago: float) -> None:
        self.ago = timedelta(**ago)

    def now(self) -> datetime:
        return datetime.now(UTC) - self.ago


def _links(stack: Stack, **ago: float) -> Links:
    """Links as a message of some time ago has them: under the deployment's own key."""
    key = str(wiring_of(stack.told).secrets.read("internal")["signing_key"]).encode()
    return Links("", key, clock=_Earlier(**(ago or {"hours": 1})))


def _engagement(stack: Stack, lead: Json) -> Any:
    return stack.ok("GET", f"/api/v1/leads/{lead['id']}/engagement", user="admin")


def _counted(stack: Stack, lead: Json) -> list[tuple[str, str]]:
    return [(done["event"], done["ref"]) for done in _engagement(stack, lead)["counted"]]


def _points(stack: Stack, lead: Json) -> int:
    card = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="admin")["score_card"]
    return int(card["engagement"])


@pytest.mark.mission("LEAD-3", "LEAD-4", "LEAD-5")
def test_an_open_and_a_click_move_the_score_once(stack: Stack) -> None:
    lead, message = partner_lead(stack), f"MSG_{fresh()}"
    before, links = _points(stack, lead), _links(stack)
    for _ in range(3):
        image = stack.call("GET", links.pixel(lead["id"], message), headers=BROWSER)
        assert (image.status_code, image.headers["content-type"]) == (200, "image/gif")
        assert image.content.startswith(b"GIF89a")
        assert "no-store" in image.headers["cache-control"]
        click = stack.call("GET", links.click(lead["id"], message, TARGET), headers=BROWSER, follow_redirects=False)
        assert (click.status_code, click.headers["location"]) == (302, TARGET)
    assert sorted(_counted(stack, lead)) == [("email_click", message), ("email_open", message)]

    def rescored() -> bool:
        stack.run("score-leads")
        return _points(stack, lead) == before + 15

    assert eventually("+5 for the open and +10 for the click", rescored)


@pytest.mark.mission("LEAD-5")
def test_a_scanner_and_apples_proxy_are_seen_and_not_counted(stack: Stack) -> None:
    lead, message = partner_lead(stack), f"MSG_{fresh()}"
    links = _links(stack)
    pixel, click = links.pixel(lead["id"], message), links.click(lead["id"], message, TARGET)
    assert stack.call("HEAD", pixel, headers=BROWSER).status_code == 200
    assert stack.call("HEAD", click, headers=BROWSER, follow_redirects=False).status_code == 302
    assert stack.call("GET", pixel, headers=APPLE).status_code == 200
    fast = _links(stack, seconds=0).click(lead["id"], message, TARGET)
    assert stack.call("GET", fast, headers=BROWSER, follow_redirects=False).status_code == 302
    seen = _engagement(stack, lead)
    assert seen["counted"] == []
    assert sorted((each["event"], each["reason"]) for each in seen["not_counted"]) == [
        ("email_click", "a HEAD request looks and does not open"),
        ("email_click", "sooner than 5 s after the message was made"),
        ("email_open", "a HEAD request looks and does not open"),
        ("email_open", "fetched by a machine: Apple Mail Privacy Protection"),
    ]


@pytest.mark.mission("LEAD-5")
def test_who_follows_every_link_is_a_machine_and_its_clicks_are_taken_back(stack: Stack) -> None:
    lead, message = partner_lead(stack), f"MSG_{fresh()}"
    links = _links(stack)
    for page in ("a", "b", "c", "d"):
        url = links.click(lead["id"], message, f"https://www.example.com/{page}")
        stack.call("GET", url, headers=BROWSER, follow_redirects=False)
    assert _counted(stack, lead) == []
    reasons = [each["reason"] for each in _engagement(stack, lead)["not_counted"]]
    assert reasons == ["3 links of the message or more within 10 s"]


@pytest.mark.mission("LEAD-5")
@pytest.mark.fault("S6", "S15")
def test_a_link_leads_nowhere_but_where_the_message_said(stack: Stack) -> None:
    lead = partner_lead(stack)
    forged = Links("", b"some other key").click(lead["id"], "MSG_X", "https://evil.example/")
    for path in (forged, "/t/click/x", _links(stack).pixel(lead["id"], "MSG_X").replace("/open/", "/click/")):
        refusal = stack.refused("GET", path, expect=404, headers=BROWSER, follow_redirects=False)
        assert "evil" not in str(refusal)
    image = stack.call("GET", "/t/open/x", headers=BROWSER)
    assert (image.status_code, image.headers["content-type"]) == (200, "image/gif"), (
        "whoever opens a mail gets an image"
    )
    assert _counted(stack, lead) == []


@pytest.fixture(scope="module")
def web_key(stack: Stack) -> str:
    """The key of a web analytics system."""
    wiring = wiring_of(stack.told)
    issue = IssueKey(wiring.table, wiring.clock)
    return str(issue(f"web-{fresh()}", frozenset({"engagement:write"}), system_call("acceptance")))


@pytest.mark.mission("LEAD-3", "LEAD-5")
def test_page_events_count_for_people_who_are_leads_and_say_so_for_others(stack: Stack, web_key: str) -> None:
    lead, day = partner_lead(stack), fresh()
    path, headers = "/api/v1/engagement/page-events", {"x-api-key": web_key}
    events = [
        {"event": "pricing_view", "ref": f"/pricing:{day}", "email": lead["email"].upper()},
        {"event": "pricing_view", "ref": f"/pricing:{day}", "lead_id": lead["id"]},
        {"event": "page_view", "ref": "/", "email": f"nobody@{day}.example"},
        {"event": "email_click", "ref": "/", "lead_id": lead["id"]},
    ]
    answer = stack.ok("POST", path, headers=headers, json={"events": events})
    assert [each["outcome"] for each in answer["results"]] == [
        "counted",
        "repeated",
        "unknown_person",
        "unknown_event",
    ]
    assert _counted(stack, lead) == [("pricing_view", f"/pricing:{day}")]
    bad = {"events": [{"event": "page_view", "ref": "/", "lead_id": lead["id"], "points": 50}]}
    assert fields(stack.refused("POST", path, expect=400, headers=headers, json=bad)) == {"events.0.points"}
    stack.refused("POST", path, expect=403, key="usage_api_key", json={"events": events})
    stack.refused("POST", path, expect=401, headers={"x-api-key": fresh()}, json={"events": events})
