"""The routes of orders as API Gateway calls them."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from revops.api.orders import EXAMPLE, OrderUseCases, add_order_routes
from revops.kernel import Principal, Role
from revops.orders.model import OrderStatus
from revops.platform.http import Api
from tests.builders.orders import PDF, Desk

pytestmark = pytest.mark.mission("ORD-1")


class _Tokens:
    """Everybody is who the claims say."""

    def token(self, claims: Mapping[str, str]) -> Principal:
        return Principal(claims["sub"], Role(claims["role"]))

    def key(self, presented: str) -> Principal:
        raise AssertionError(presented)


class _Http:
    def __init__(self) -> None:
        self.desk = Desk()
        self.api = Api(_Tokens())
        desk = self.desk
        add_order_routes(
            self.api,
            OrderUseCases(desk.submit, desk.read, desk.progress, desk.review, desk.sign, desk.resume, desk.cancel),
        )

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        sub: str = "USR_rep",
        role: Role = Role.SALES_REP,
        **h: str,
    ) -> tuple[int, Any]:
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in h.items()}},
            "requestContext": {
                "requestId": "req-1",
                "http": {"method": method, "path": path, "sourceIp": "192.0.2.1", "userAgent": "tests"},
                "authorizer": {"jwt": {"claims": {"sub": sub, "role": role.value}}},
                "stage": "$default",
            },
            "body": json.dumps(body) if body is not None else None,
            "isBase64Encoded": False,
        }
        answer = self.api(event, None)
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def http() -> _Http:
    return _Http()


def test_an_order_over_http_from_form_to_service(http: _Http) -> None:
    status, order = http("POST", "/api/v1/orders", EXAMPLE, idempotency_key="k-1")
    assert (status, order["status"], order["discount_percent"]) == (201, "Submitted", "5")
    assert {name: order[name] for name in EXAMPLE if name != "billing_address"} == {
        name: value for name, value in EXAMPLE.items() if name != "billing_address"
    }
    assert http("POST", "/api/v1/orders", EXAMPLE, idempotency_key="k-1") == (200, order)
    path = f"/api/v1/orders/{order['id']}"
    http.desk.run_until_it_waits(order["id"])
    status, progress = http("GET", f"{path}/progress")
    assert (status, progress["step"], progress["waits_for"]) == (200, "await_signature", "signature")
    signed = {
        "signatory_name": "Anna Beispiel",
        "signed_on": "2026-11-20",
        "document": base64.b64encode(PDF).decode(),
    }
    status, order = http("POST", f"{path}/signature", signed)
    assert (status, order["status"], order["signature"]["size"]) == (200, "Executed", len(PDF))
    http.desk.run_until_it_waits(order["id"])
    status, order = http("GET", path)
    assert (status, order["status"]) == (200, "Active")
    assert order["stripe_subscription_id"]


def test_review_resume_and_cancel_over_http(http: _Http) -> None:
    _, order = http("POST", "/api/v1/orders", {**EXAMPLE, "discount_percent": "40"})
    path = f"/api/v1/orders/{order['id']}"
    http.desk.run_until_it_waits(order["id"])
    assert http("POST", f"{path}/review", {"decision": "approve"})[0] == 403
    legal: dict[str, Any] = {"sub": "USR_legal", "role": Role.LEGAL}
    assert http("POST", f"{path}/review", {"decision": "maybe"}, **legal)[0] == 400
    assert http("POST", f"{path}/review", {"decision": "approve"}, **legal)[1]["status"] == "Approved"
    assert http("POST", f"{path}/review", {"decision": "approve"}, **legal)[0] == 409
    assert http("POST", f"{path}/resume", {})[1]["attempt"] == 2
    assert http("POST", f"{path}/cancel", {"reason": "no budget"})[1]["status"] == "Cancelled"
    status, problem = http("POST", f"{path}/resume", {})
    assert (status, problem["type"].rpartition("/")[2]) == (409, "step-not-allowed")


@pytest.mark.fault("S1", "S2", "S13")
def test_what_may_not_be_is_told_and_stored_nowhere(http: _Http) -> None:
    _, order = http("POST", "/api/v1/orders", EXAMPLE)
    path = f"/api/v1/orders/{order['id']}"
    before = len(http.desk.memory.rows)
    for wrong in ({**EXAMPLE, "status": "Executed"}, {**EXAMPLE, "owner_id": "USR_2"}, {**EXAMPLE, "seats": 0}):
        status, problem = http("POST", "/api/v1/orders", wrong)
        assert (status, len(problem["issues"])) == (400, 1), problem
    assert http("POST", "/api/v1/orders", {})[0] == 400
    assert http("GET", path, sub="USR_stranger")[0] == 404
    assert http("GET", f"{path}/progress", sub="USR_stranger")[0] == 404
    assert http("POST", f"{path}/cancel", {"reason": "x"}, sub="USR_finance", role=Role.FINANCE)[0] == 403
    signed = {"signatory_name": "A", "signed_on": "2026-11-20", "document": "not base64!"}
    assert http("POST", f"{path}/signature", signed)[0] == 400
    assert http.desk.order(order["id"]).status is OrderStatus.SUBMITTED
    assert len(http.desk.memory.rows) == before


def test_the_routes_are_in_the_document(http: _Http) -> None:
    document = json.loads(http.api.app.get_openapi_json_schema(title="t", version="1"))
    paths = [path for path in document["paths"] if path.startswith("/api/v1/orders")]
    assert len(paths) == 7
