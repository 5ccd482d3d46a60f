"""The routes that answer what terms would cost, as API Gateway calls them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from revops.access import Policy
from revops.api.what_if import NEW, add_what_if_routes
from revops.kernel import Principal, Role
from revops.orders.what_if import TryTerms
from revops.platform.http import Api
from revops.settings import SettingsReader
from tests.builders.orders import Desk
from tests.unit.orders.test_what_if import Used

pytestmark = pytest.mark.mission("ORD-6")


class _Tokens:
    """Everybody is who the claims say."""

    def token(self, claims: Mapping[str, str]) -> Principal:
        return Principal(claims["sub"], Role(claims["role"]))

    def key(self, presented: str) -> Principal:
        raise AssertionError(presented)


def post(path: str, body: object, role: Role = Role.SALES_REP) -> tuple[int, Any]:
    desk, api = Desk(), Api(_Tokens())
    settings = SettingsReader(desk.table, ttl=0)
    desk.stripe.read_failure = 1.0
    use = TryTerms(desk.table, desk.clock, desk.crm, Policy(), settings, Used(), lambda: desk.stripe, desk.read)
    add_what_if_routes(api, use)
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "requestId": "req-1",
            "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1", "userAgent": "tests"},
            "authorizer": {"jwt": {"claims": {"sub": "USR_rep", "role": role.value}}},
            "stage": "$default",
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = api(event, None)
    return answer["statusCode"], json.loads(answer["body"])


def test_the_answer_is_numbers_in_minor_units_and_says_why_there_is_no_preview() -> None:
    status, body = post("/api/v1/orders/what-if", {**NEW, "account_id": ""})
    assert status == 200
    assert body["then"]["seats_per_cycle"] == {"minor": 40 * 5605 * 12, "currency": "EUR"}
    assert (body["now"], body["at_once"]["provider"]) == (None, None)
    assert body["at_once"]["no_preview"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seats": 0}, "seats"),
        ({"seats": "many"}, "seats"),
        ({"owner_id": "USR_x"}, "owner_id"),
        ({"discount_percent": 5.5}, "discount_percent"),
        ({"effective_date": "9999-12-31"}, "effective_date"),
        ({"effective_date": "0001-01-01"}, "effective_date"),
        ({"usage": [{"meter": "Pooled", "monthly_cap": 1, "overage_price": "-1"}]}, "usage.0.overage_price"),
    ],
)
def test_bad_input_is_refused_with_its_field(change: dict[str, Any], field: str) -> None:
    status, body = post("/api/v1/orders/what-if", {**NEW, "account_id": "", **change})
    assert status == 400
    assert [issue["field"] for issue in body["issues"]] == [field]


def test_who_has_no_orders_asks_in_vain_and_an_unknown_order_is_not_found() -> None:
    assert post("/api/v1/orders/what-if", {**NEW, "account_id": ""}, Role.SDR)[0] == 403
    assert post("/api/v1/orders/ORD_X/what-if", {"seats": 3})[0] == 404
    assert post("/api/v1/orders/what-if", NEW)[0] == 404
