"""The routes by which a tenant is acknowledged, as API Gateway calls them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from revops.access import HoldRate
from revops.api.tenants import TenantUseCases, add_tenant_routes
from revops.kernel import Principal, Role, Unauthenticated
from revops.orders.model import OrderStatus
from revops.platform.http import Api
from tests.builders.activation import ActivationDesk

pytestmark = pytest.mark.mission("ORD-2")


class _Callers:
    """Everybody is who the claims say; a key is good for the scope it is named by."""

    def token(self, claims: Mapping[str, str]) -> Principal:
        return Principal(claims["sub"], Role(claims["role"]))

    def key(self, presented: str) -> Principal:
        if not presented:
            raise Unauthenticated("no key")
        scopes = frozenset({presented})
        return Principal(f"key:{presented}", Role.INTEGRATION, scopes=scopes, rate_per_minute=60)


class _Http:
    def __init__(self) -> None:
        self.desk = ActivationDesk(plans=["Professional"])
        self.api = Api(_Callers())
        hold = HoldRate(self.desk.table, self.desk.clock)
        add_tenant_routes(self.api, TenantUseCases(self.desk.acknowledge, lambda: hold))

    def __call__(self, path: str, body: object, *, key: str = "", role: Role = Role.ADMIN) -> tuple[int, Any]:
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json"} | ({"x-api-key": key} if key else {}),
            "requestContext": {
                "requestId": "req-1",
                "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1", "userAgent": "tests"},
                "authorizer": {"jwt": {"claims": {"sub": "USR_1", "role": role.value}}},
                "stage": "$default",
            },
            "body": json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = self.api(event, None)
        return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def http() -> _Http:
    return _Http()


def test_a_machine_acknowledges_and_is_shown_no_terms(http: _Http) -> None:
    order = http.desk.asking()
    path, body = f"/api/v1/partner/orders/{order.id}/tenant", {"status": "ready", "tenant_id": "tnt-1", "attempt": 1}
    assert http(path, body)[0] == 401
    assert http(path, body, key="leads:write")[0] == 403
    status, receipt = http(path, body, key="tenant:write")
    assert (status, receipt["status"], receipt["tenant"]["tenant_id"]) == (200, "Active", "tnt-1")
    assert set(receipt) == {"order_id", "status", "tenant"}
    assert http(path, body, key="tenant:write") == (200, receipt)
    assert http(path, body | {"tenant_id": "tnt-2"}, key="tenant:write")[0] == 409
    assert http(path.replace(order.id, "ORD_1"), body, key="tenant:write")[0] == 404


def test_an_administrator_does_it_by_hand_and_a_seller_does_not(http: _Http) -> None:
    order = http.desk.asking()
    path, body = f"/api/v1/orders/{order.id}/tenant", {"status": "failed", "reason": "no room"}
    assert http(path, body, role=Role.SUPPORT)[0] == 403
    status, receipt = http(path, body)
    assert (status, receipt["status"], receipt["tenant"]["status"]) == (200, "Blocked", "failed")


@pytest.mark.fault("S2", "S16")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "ready"},
        {"status": "done", "tenant_id": "t"},
        {"status": "ready", "tenant_id": "a b"},
        {"status": "ready", "tenant_id": "t", "order_id": "ORD_2"},
        {"status": "failed", "reason": "a\r\nb"},
        {"status": "failed", "reason": "x" * 301},
        {"status": "ready", "tenant_id": "t", "attempt": 0},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(http: _Http, body: object) -> None:
    order = http.desk.asking()
    assert http(f"/api/v1/partner/orders/{order.id}/tenant", body, key="tenant:write")[0] == 400
    assert http.desk.order(order.id).status is OrderStatus.AWAITING_TENANT


def test_who_has_no_key_is_not_told_what_is_wrong_with_the_body(http: _Http) -> None:
    assert http("/api/v1/partner/orders/ORD_1/tenant", {})[0] == 401
    assert http("/api/v1/partner/orders/ORD_1/tenant", {}, key="tenant:write")[0] == 400


@pytest.mark.fault("S23")
def test_a_key_is_held_to_its_rate(http: _Http) -> None:
    order = http.desk.asking()
    path, body = f"/api/v1/partner/orders/{order.id}/tenant", {"status": "ready", "tenant_id": "tnt-1"}
    assert 429 in {http(path, body, key="tenant:write")[0] for _ in range(70)}
