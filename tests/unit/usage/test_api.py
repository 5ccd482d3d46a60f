"""Usage events over HTTP, with the sample every deployment is tried with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from revops.api.usage import SCOPE, UsageUseCases, add_usage_routes
from revops.kernel import Principal, Role, Unauthenticated
from revops.platform.http import Api
from tests.builders.memory_table import MemoryTable
from tests.builders.usage import UsageDesk, api_calls

SAMPLE = Path(__file__).parents[3] / "events" / "usage_api.json"
KEY = "a-key-with-usage-write"


class Keys:
    """Knows two keys: one may write usage, one may not."""

    def token(self, claims: Mapping[str, str]) -> Principal:
        raise Unauthenticated("no tokens here")

    def key(self, presented: str) -> Principal:
        scopes = {KEY: frozenset({SCOPE}), "another": frozenset({"leads:write"})}
        if presented not in scopes:
            raise Unauthenticated("this key is not valid")
        return Principal("key:metering", Role.INTEGRATION, scopes=scopes[presented])


@pytest.fixture
def desk() -> UsageDesk:
    desk = UsageDesk(MemoryTable())
    desk.plan(api_calls(20, "0.015"), spend_cap=10_000)
    return desk


@pytest.fixture
def api(desk: UsageDesk) -> Api:
    api = Api(Keys())
    add_usage_routes(api, UsageUseCases(desk.record))
    return api


def post(api: Api, body: Mapping[str, Any] | str | None = None, key: str = KEY, **fields: Any) -> tuple[int, Any]:
    event = json.loads(SAMPLE.read_text("utf-8"))
    event["headers"]["x-api-key"] = key
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    elif fields:
        event["body"] = json.dumps(json.loads(event["body"]) | fields)
    answer = api(event, None)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.mission("USE-1")
def test_counted_then_counted_before(api: Api) -> None:
    status, first = post(api)
    assert status == 201
    assert first == {
        "event_id": "req-2026-11-20-000017",
        "account_id": "ACC_7ZK3M0Q8W2XR5T9VB1N4C6D8EF",
        "meter": "API Calls",
        "quantity": 25,
        "cycle": "2026-11",
        "included_units": 20,
        "overage_units": 5,
        "overage_cost": "0.075",
        "currency": "EUR",
        "duplicate": False,
        "remaining": {"included": 0, "units": None, "spend": {"minor": 9992, "currency": "EUR"}},
    }
    status, again = post(api)
    assert (status, again) == (200, first | {"duplicate": True})


@pytest.mark.mission("USE-3")
def test_a_reached_cap_answers_402_with_the_numbers(api: Api) -> None:
    status, problem = post(api, quantity=10**6)
    assert status == 402
    assert problem["title"] == "Cap reached"
    numbers = {name: problem[name] for name in ("cap", "cycle", "unit", "limit", "used", "remaining", "requested")}
    assert numbers == {
        "cap": "Spend",
        "cycle": "2026-11",
        "unit": "EUR",
        "limit": "100",
        "used": "0",
        "remaining": "100",
        "requested": "14999.7",
    }


@pytest.mark.parametrize(("key", "status"), [("", 401), ("unknown", 401), ("another", 403)])
def test_the_key_decides(api: Api, desk: UsageDesk, key: str, status: int) -> None:
    assert post(api, key=key)[0] == status
    assert desk.units() == 0


@pytest.mark.fault("S2", "S13")
@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": 0},
        {"quantity": "25"},
        {"quantity": 2.5},
        {"meter": "logins"},
        {"occurred_at": "2026-01-01T00:00:00Z"},
        {"occurred_at": "yesterday"},
        {"account_id": "ACC_1#PLAN"},
        {"cost": 0},
    ],
)
def test_bad_events_are_refused_by_field(api: Api, desk: UsageDesk, fields: dict[str, Any]) -> None:
    status, problem = post(api, **fields)
    assert status == 400
    assert problem["issues"][0]["field"] == next(iter(fields))
    assert desk.units() == 0


@pytest.mark.parametrize("body", ["", "{", "[]", '{"quantity": NaN}', '{"id": "1", "id": "2"}', "null", '"x"'])
def test_bad_bodies_are_refused(api: Api, body: str) -> None:
    assert post(api, body)[0] == 400


def test_an_account_without_a_plan_is_not_found(api: Api) -> None:
    assert post(api, account_id="ACC_unknown")[0] == 404


def test_an_id_that_names_another_event_is_a_conflict(api: Api) -> None:
    assert post(api)[0] == 201
    assert post(api, quantity=24)[0] == 409
