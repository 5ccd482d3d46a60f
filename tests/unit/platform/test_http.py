"""HTTP as every function speaks it: strict in, problem+json out, nothing told that should not be."""

import json
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import pytest
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, ConfigDict, Field

from revops.kernel import (
    CapReached,
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    Principal,
    Refused,
    Role,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)
from revops.platform.http import Api
from revops.platform.problems import known_error
from revops.table import ConditionFailed, Contention, Throttled
from tests.builders.requests import Answer, KnownCallers, ask, http_event

SECRET = "Asha Rao <asha.rao@nordlicht.example>"


class Order(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=10)]
    count: int = Field(default=1, ge=1)
    day: date | None = None
    inner: "Order | None" = None


class Shown(BaseModel):
    """An answer."""

    text: str


def make(act: Callable[[], Any] = lambda: None, max_body: int = 10_000) -> Api:
    """Routes that do as they are told."""
    api = Api(KnownCallers(Principal("u", Role.ADMIN), keys={"k": frozenset({"a:write"})}), max_body=max_body)

    @api.post("/things", "Takes a body", tag="t", model=Shown)
    def post_thing(body: Order) -> Shown:
        act()
        return Shown(text=f"{body.name} {body.count}")

    @api.get("/things/{thing_id}", "Reads", tag="t", model=Shown)
    def get_thing(
        thing_id: str,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        state: Annotated[list[str] | None, Query()] = None,
    ) -> Shown:
        act()
        return Shown(text=f"{thing_id} {limit} {','.join(state or [])}")

    @api.get("/mine", "Reads as a user", tag="t", model=Shown)
    def get_mine() -> Shown:
        call = api.user_call()
        return Shown(text=f"{call.principal.id} {call.ip} {call.user_agent} {call.request_id}")

    @api.post("/keyed", "Writes with a key", tag="t", model=Shown)
    def post_keyed() -> Shown:
        return Shown(text=api.key_call("a:write").principal.id)

    @api.post("/raw", "Takes bytes", tag="t", model=Shown)
    def post_raw() -> Shown:
        return Shown(text=api.raw_body.hex())

    return api


def is_problem(answer: Answer, status: int) -> bool:
    """A problem as RFC 9457 has it, with the correlation id."""
    assert answer.status == answer.body["status"] == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["type"].startswith("https://")
    assert answer.body["title"]
    assert answer.body["detail"]
    return bool(answer.body["correlation_id"] == "req-77")


ERRORS: list[DomainError] = [
    Invalid("x"), Unauthenticated("x"), Forbidden("x"), NotFound("x"), Conflict("x"), VersionConflict("x", 4),
    Refused("x"), CapReached("x", {"left": 3}), TooLarge("x"), Unavailable("x", retry_after=2.4), Contention("x"),
    Throttled("x"), TooManyRequests("x", retry_after=7.2),
]  # fmt: skip


def _fail(error: Exception) -> Api:
    def act() -> None:
        raise error

    return make(act)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_of_the_domain_is_a_problem(error: DomainError) -> None:
    answer = ask(_fail(error), "GET", "/things/1")
    assert is_problem(answer, error.status)
    assert answer.body["type"].endswith(error.slug)
    assert answer.body | dict(error.extra) == answer.body
    wait = getattr(error, "retry_after", None)
    assert answer.headers.get("retry-after") == (str(round(wait)) if wait else None)


def test_the_list_of_errors_is_whole() -> None:
    def below(kind: type[DomainError]) -> set[type[DomainError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    ours = {kind for kind in below(DomainError) if kind.__module__.startswith(("revops.kernel", "revops.table"))}
    assert ours - {DomainError} == {type(error) for error in ERRORS}


@pytest.mark.fault("S16")
@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        KeyError(SECRET),
        RuntimeError(SECRET),
        ConditionFailed([]),
        ZeroDivisionError(),
        OSError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_ours_is_a_500_that_tells_nothing(error: Exception) -> None:
    answer = ask(_fail(error), "POST", "/things", {"name": "x"})
    assert is_problem(answer, 500)
    assert "Asha" not in json.dumps(answer.body)
    assert "Error" not in answer.body["detail"]
    assert "Traceback" not in json.dumps(answer.body)


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    "text",
    ["", "{", "nul", "NaN", '{"name": NaN}', '{"name":"a","name":"b"}', '{"name":"a"} x', '{"name":"\\ud800"}', "[]",
     "1", '"x"', "null", '{"name":' * 500, '{"name": "x", "count": 1e999}',
     '{"name": "x", "count": 99999999999999999999999}'],
    ids=lambda text: repr(text[:24]),
)  # fmt: skip
def test_malformed_json_is_400(text: str) -> None:
    assert is_problem(ask(make(), "POST", "/things", raw=text), 400)


@pytest.mark.fault("S2", "S13")
@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ({}, "name", "missing"),
        ({"name": "x", "owner_id": "me"}, "owner_id", "unknown-or-read-only"),
        ({"name": "x", "inner": {"name": "y", "path": 1}}, "inner.path", "unknown-or-read-only"),
        ({"name": "x" * 11}, "name", "string_too_long"),
        ({"name": 5}, "name", "string_type"),
        ({"name": "x", "count": 0}, "count", "greater_than_equal"),
        ({"name": "x", "count": "many"}, "count", "int_parsing"),
        ({"name": "x", "count": True}, "", ""),
        ({"name": "x", "day": "2026-02-30"}, "day", "date_from_datetime_parsing"),
        ({"name": "x", "inner": {"name": "y", "count": -1}}, "inner.count", "greater_than_equal"),
    ],
    ids=str,
)
def test_a_body_that_does_not_fit_names_field_and_rule(body: dict[str, Any], field: str, rule: str) -> None:
    answer = ask(make(), "POST", "/things", body)
    if not field:
        assert answer.status in (200, 400)
        return
    assert is_problem(answer, 400)
    assert (field, rule) in {(issue["field"], issue["rule"]) for issue in answer.body["issues"]}


@pytest.mark.fault("S16")
@pytest.mark.parametrize(
    "body",
    [
        {"name": SECRET},
        {"name": {"a": SECRET}},
        {"name": [SECRET]},
        {"name": "x", "count": SECRET},
        {"name": "x", "day": SECRET},
        {"name": "x", "inner": SECRET},
        {"name": "x", "other": SECRET},
        [SECRET],
        SECRET,
    ],
    ids=str,
)
def test_a_refusal_repeats_no_value(body: object) -> None:
    answer = ask(make(), "POST", "/things", body)
    assert is_problem(answer, 400)
    assert "asha" not in json.dumps(answer.body).casefold()


@pytest.mark.fault("S13")
def test_a_refusal_stays_small_whatever_was_sent() -> None:
    body = {"name": "x", **{f"{n}" + "k" * 300: 1 for n in range(300)}}
    answer = ask(make(max_body=1_000_000), "POST", "/things", body)
    assert is_problem(answer, 400)
    assert len(json.dumps(answer.body)) < 30_000


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    "path", ["/things/1?limit=0", "/things/1?limit=101", "/things/1?limit=x", "/things/1?limit=", "/things/1?limit=1e1"]
)
def test_a_parameter_that_does_not_fit(path: str) -> None:
    answer = ask(make(), "GET", path)
    assert is_problem(answer, 400)
    assert answer.fields == {"limit"}


def test_a_parameter_given_twice_is_a_list() -> None:
    assert ask(make(), "GET", "/things/1?state=a&state=b").body == {"text": "1 25 a,b"}


@pytest.mark.fault("S2")
@pytest.mark.parametrize("name", ["Limit", "owner", "limit[]", "__proto__", "x" * 500])
def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named(name: str) -> None:
    answer = ask(make(), "GET", f"/things/1?{name}=1")
    assert is_problem(answer, 400)
    assert answer.body["issues"][0]["rule"] == "unknown-parameter"
    assert "limit" in answer.body["issues"][0]["accepted"]
    assert len(answer.body["detail"]) < 200


@pytest.mark.fault("S13")
def test_oversized_is_413_before_anybody_reads_it() -> None:
    api = make(max_body=100)
    assert is_problem(ask(api, "POST", "/things", raw="{" * 101), 413)
    assert is_problem(ask(api, "POST", "/things", raw="é" * 60), 413), "bytes count, not characters"
    assert is_problem(ask(api, "POST", "/things", encoded=b"x" * 101), 413)
    assert ask(api, "POST", "/things", raw='{"name":"' + "x" * 10 + '"}').status == 200


@pytest.mark.fault("S7")
def test_a_body_in_base64_is_the_same_body() -> None:
    assert ask(make(), "POST", "/things", encoded=b'{"name":"x"}').body == {"text": "x 1"}
    assert ask(make(), "POST", "/raw", encoded="é\r\n".encode()).body == {"text": "c3a90d0a"}
    assert ask(make(), "POST", "/raw", raw="é\r\n").body == {"text": "c3a90d0a"}


@pytest.mark.fault("S7", "S13")
@pytest.mark.parametrize("body", ["not base64!", "AAA", "é", "/w==", "gICA"])
def test_a_body_that_is_no_text_is_400(body: str) -> None:
    event = http_event("POST", "/things", raw=body) | {"isBase64Encoded": True}
    answer = make()(event, None)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["status"] == 400


def test_routes_that_are_none() -> None:
    for method, path in (("GET", "/"), ("GET", "/nothing?x=1"), ("DELETE", "/things/1"), ("POST", "/things/1/x")):
        assert is_problem(ask(make(), method, path), 404)


@pytest.mark.fault("S17")
@pytest.mark.parametrize("text", ["a|b", "USER#x", "..", "%23", "👍", "x" * 3000, "a b", "\x00", "LEAD_' OR 1=1"])
def test_whatever_stands_in_a_path_is_a_text_or_no_route(text: str) -> None:
    answer = ask(make(), "GET", f"/things/{text}")
    assert answer.status in (200, 404)


def test_content_of_another_type_is_415() -> None:
    answer = ask(make(), "POST", "/things", raw="name=x", headers={"content-type": "text/plain"})
    assert answer.status in (400, 415)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.fault("S5")
@pytest.mark.parametrize(
    "context",
    [{}, {"authorizer": None}, {"authorizer": {}}, {"authorizer": {"jwt": {"claims": {}}}},
     {"authorizer": {"jwt": {"claims": {"sub": "u", "token_use": "id"}}}},
     {"authorizer": {"jwt": {"claims": {"sub": "v", "token_use": "access"}}}}],
    ids=str,
)  # fmt: skip
def test_without_proof_of_who_asks_it_is_401(context: dict[str, Any]) -> None:
    event = http_event("GET", "/mine")
    event["requestContext"] |= context
    assert make()(event, None)["statusCode"] == 401


@pytest.mark.mission("SAFE-3")
def test_a_call_knows_who_asks_and_from_where() -> None:
    assert ask(make(), "GET", "/mine", sub="u").body == {"text": "u 203.0.113.9 tests/1 req-77"}


@pytest.mark.mission("CAP-5")
def test_a_key_needs_the_scope() -> None:
    api = Api(KnownCallers(keys={"k": frozenset({"a:write"}), "other": frozenset({"a:read"})}))

    @api.post("/keyed", "Writes with a key", tag="t", model=Shown)
    def post_keyed() -> Shown:
        return Shown(text=api.key_call("a:write").principal.id)

    assert ask(api, "POST", "/keyed", headers={"x-api-key": "k"}).body == {"text": "key:k"}
    assert is_problem(ask(api, "POST", "/keyed", headers={"x-api-key": "other"}), 403)
    assert is_problem(ask(api, "POST", "/keyed", headers={"x-api-key": "none"}), 401)
    assert is_problem(ask(api, "POST", "/keyed"), 401)


def test_what_is_no_known_error_is_a_defect() -> None:
    assert known_error(RuntimeError("x")) is None
    assert known_error(Invalid("x")) is not None
