"""What the service says of itself: its health, and an API description that is complete and true."""

import json
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from revops.kernel import Role
from tests.acceptance.stack import Stack

_ROOT = Path(__file__).parents[2]


@pytest.mark.mission("SEE-5")
def test_health_asks_the_table(stack: Stack) -> None:
    health = stack.ok("GET", "/api/v1/health")
    assert (health["status"], health["table"]) == ("ok", "ok")
    assert health["release"]


def _described(stack: Stack) -> dict[str, Any]:
    document: dict[str, Any] = stack.ok("GET", "/api/v1/openapi.json")
    return document


@pytest.mark.mission("SAFE-2")
def test_the_description_is_the_committed_one(stack: Stack) -> None:
    committed = _ROOT / "shared" / "revops" / "api" / "openapi.json"
    assert _described(stack) == json.loads(committed.read_text(encoding="utf-8"))


def _template_routes() -> set[tuple[str, str]]:
    template = yaml_parse((_ROOT / "template.yaml").read_text(encoding="utf-8"))
    events = [
        event["Properties"]
        for resource in template["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]
    return {(each["Method"].lower(), each["Path"]) for each in events}


@pytest.mark.mission("SAFE-2")
def test_the_description_has_every_route_of_the_template_and_no_other(stack: Stack) -> None:
    described = {(method, path) for path, methods in _described(stack)["paths"].items() for method in methods}
    assert described == _template_routes()


@pytest.mark.mission("SAFE-2")
def test_every_route_is_described_whole(stack: Stack) -> None:
    document = _described(stack)
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            answers = operation["responses"]
            assert any(code[0] in "23" for code in answers), where
            assert {"400", "503"} <= answers.keys(), where
            for code, answer in answers.items():
                if code[0] not in "23":
                    (content,) = answer["content"].items()
                    assert content[0] == "application/problem+json", f"{where} {code}"
            if operation.get("security", document["security"]) != []:
                assert "401" in answers, where
            for reference in _references(operation):
                assert reference.rpartition("/")[2] in schemas, f"{where}: {reference}"


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return found + [each for value in node.values() for each in _references(value)]
    return [each for value in node for each in _references(value)] if isinstance(node, list) else []


@pytest.mark.mission("SAFE-1")
def test_the_public_routes_are_the_ones_that_ask_nobody(stack: Stack) -> None:
    document = _described(stack)
    public = {
        f"{method} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security", document["security"]) == []
    }
    assert public == {
        "post /api/v1/leads",
        "post /webhooks/stripe",
        "post /webhooks/hubspot",
        "get /webhooks/whatsapp",
        "post /webhooks/whatsapp",
        "post /webhooks/docusign",
        "get /webhooks/adobe-sign",
        "post /webhooks/adobe-sign",
        "post /webhooks/twilio/voice",
        "post /webhooks/twilio/status",
        "get /t/open/{token}",
        "head /t/open/{token}",
        "get /t/click/{token}",
        "head /t/click/{token}",
        "get /t/unsubscribe/{token}",
        "post /t/unsubscribe/{token}",
        "get /api/v1/health",
        "get /api/v1/openapi.json",
    }


_CAST = {"admin", "manager", "rep", "sdr", "support", "legal", "finance", "manager2", "rep2"}
_NAMES = ("api_url", "region", "endpoint_url", "table_name", "bus_name", "user_pool_id", "client_id")


def test_the_file_of_the_stack_has_what_an_outside_program_needs(stack: Stack) -> None:
    """Programs that nobody here wrote drive the stack by this file alone, so its shape is a promise."""
    told, users = stack.told, stack.told["users"]
    assert all(isinstance(told[name], str) and told[name] for name in (*_NAMES, "partner_api_key", "usage_api_key"))
    assert users.keys() == told["tokens"].keys() == _CAST
    for user in users.values():
        assert user.keys() == {"id", "role", "team", "email", "password"}
        assert all(user.values())
    assert {user["role"] for user in users.values()} == {role.value for role in Role} - {"Integration", "System"}
    assert users["manager"]["team"] == users["rep"]["team"] == users["sdr"]["team"]
    assert users["manager2"]["team"] == users["rep2"]["team"] != users["rep"]["team"]
    assert told["stripe"].keys() == {"webhook_url", "secret", "simulator_url", "api_key"}
    assert told["hubspot"].keys() == {"webhook_url", "secret", "simulator_url", "token"}
    for vendor in ("stripe", "hubspot"):
        assert all(told[vendor].values())
        assert told[vendor]["webhook_url"] == f"{told['api_url']}/webhooks/{vendor}"
