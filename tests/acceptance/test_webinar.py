"""Webinar registrations (CAP-6): a verdict for each attendee, attendance counted once and shown in the score."""

import pytest

from tests.acceptance.people import ATTRIBUTION, by_email, person
from tests.acceptance.stack import Json, Stack, eventually, fresh

pytestmark = pytest.mark.mission("CAP-6")


def _send(stack: Stack, webinar: str, *attendees: Json, **more: object) -> list[Json]:
    body = {"attribution": ATTRIBUTION, "attendees": list(attendees)} | more
    verdicts: list[Json] = stack.ok("POST", f"/api/v1/webinars/{webinar}/attendees", key="partner_api_key", json=body)[
        "verdicts"
    ]
    return verdicts


@pytest.mark.mission("LEAD-3", "CAP-8", "CAP-9")
def test_a_batch_is_judged_row_by_row_and_attendance_raises_the_score(stack: Stack) -> None:
    webinar, came, mistaken = f"crm-{fresh()}", person(), person()
    unconsented = {name: value for name, value in person(country="DE").items() if name != "consent"}
    rows = ({**came, "presence": "attended", "minutes": 42}, {**mistaken, "email": "", "phone": ""}, unconsented)
    verdicts = _send(stack, webinar, *rows)
    assert [each["verdict"] for each in verdicts] == ["created", "refused", "refused"]
    assert verdicts[1]["issues"][0]["rule"] == "CAP-10 reachable"
    assert "CAP-9" in verdicts[2]["issues"][0]["rule"]
    assert [each["verdict"] for each in _send(stack, webinar, rows[0])] == ["created"], "the same answer again"
    (lead,) = by_email(stack, came["email"])
    assert lead["channel"] == "webinar"
    stack.run("score-leads")

    def scored() -> bool:
        (now,) = by_email(stack, came["email"])
        return bool(now["score_card"]["engagement"] == 20)  # 5 for registering, 15 for coming, once each

    eventually("attendance is in the score", scored)
    counted = stack.ok("GET", f"/api/v1/leads/{lead['id']}/engagement", user="admin")["counted"]
    assert {done["event"]: done.get("minutes") for done in counted} == {
        "webinar_registered": None,
        "webinar_attended": 42,
    }


def test_without_attribution_nothing_is_taken_and_a_key_needs_the_right(stack: Stack) -> None:
    (verdict,) = _send(stack, "x", person(), attribution=None)
    assert {issue["rule"] for issue in verdict["issues"]} == {"CAP-8 attribution-required"}
    body = {"attribution": ATTRIBUTION, "attendees": [person()]}
    refusal = stack.refused("POST", "/api/v1/webinars/x/attendees", expect=403, key="usage_api_key", json=body)
    assert "webinar:write" in refusal["detail"]
    stack.refused("POST", "/api/v1/webinars/x/attendees", expect=401, json=body)
