"""The usage functions as Lambda runs them: their `app.py` on the engine, with their samples from `events/`."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from revops import bootstrap
from revops.access import IssueKey
from revops.crm.notes import NotePriority, notes_about
from revops.kernel import SystemClock, time_text
from revops.table.dynamo import DynamoTable
from revops.usage import SetCapPlan
from tests.builders.dynoxide import REGION, DynoxideServer
from tests.builders.usage import ACCOUNT, CALL, alerts_of, api_calls, terms

ROOT = Path(__file__).parents[2]
CONTEXT = SimpleNamespace(aws_request_id="11111111-2222-3333-4444-555555555555")


@pytest.fixture
def deployed(
    dynoxide: DynoxideServer, dynamo_table: DynamoTable, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DynamoTable]:
    """The environment the template gives the functions, over a fresh table."""
    monkeypatch.setenv("TABLE_NAME", dynamo_table.name)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", dynoxide.endpoint_url)
    bootstrap.wiring.cache_clear()
    yield dynamo_table
    bootstrap.wiring.cache_clear()


def function(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"functions.{name}.app", ROOT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sample(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text("utf-8"))


@pytest.mark.mission("USE-1", "USE-3", "USE-4")
def test_usage_comes_in_until_the_cap_and_the_sweep_tells_once(deployed: DynamoTable) -> None:
    SetCapPlan(deployed, SystemClock())(terms(api_calls(20, "0.015"), spend_cap=30), CALL)
    event = sample("usage_api")
    IssueKey(deployed, SystemClock())(
        "metering", frozenset({"usage:write"}), CALL, presented=event["headers"]["x-api-key"]
    )
    usage_api = function("usage_api")

    def post(identifier: str, quantity: int) -> tuple[int, Any]:
        body = json.loads(event["body"]) | {
            "id": identifier,
            "quantity": quantity,
            "occurred_at": time_text(SystemClock().now()),
        }
        answer = usage_api.handler(event | {"body": json.dumps(body)}, CONTEXT)
        return answer["statusCode"], json.loads(answer["body"])

    assert post("one", 25)[0] == 201
    assert post("two", 15)[0] == 201
    status, problem = post("three", 1)
    assert (status, problem["cap"], problem["remaining"]) == (402, "Spend", "0")
    sweep = function("spend_cap_alerts")
    scheduled = sample("spend_cap_alerts")
    assert sweep.handler(scheduled, CONTEXT)["raised"] == 6
    assert sweep.handler(scheduled, CONTEXT)["skipped"]
    assert sweep.handler(scheduled | {"time": "2026-11-20T09:05:00Z"}, CONTEXT)["raised"] == 0
    assert len(alerts_of(deployed, ACCOUNT)) == 6
    notes = notes_about(deployed, ACCOUNT)
    assert sorted(note.priority for note in notes) == [NotePriority.HIGH] * 2 + [NotePriority.MEDIUM] * 4


@pytest.mark.parametrize("key", ["", "unknown"])
def test_without_a_good_key_nothing_is_counted(deployed: DynamoTable, key: str) -> None:
    SetCapPlan(deployed, SystemClock())(terms(api_calls(20)), CALL)
    event = sample("usage_api")
    event["headers"]["x-api-key"] = key
    body = json.loads(event["body"]) | {"occurred_at": time_text(SystemClock().now())}
    answer = function("usage_api").handler(event | {"body": json.dumps(body)}, CONTEXT)
    assert answer["statusCode"] == 401
