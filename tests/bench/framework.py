"""What HTTP costs on top of the use case."""

import contextlib
import json
import os
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict

from revops.kernel import CallContext, Principal, Role
from revops.platform.http import Api
from tests.bench.layers import ROOT
from tests.bench.measure import Row, cpu, median, side_by_side

ROUNDS = 11


class Change(BaseModel):
    """A body as the routes take them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    status: str | None = None
    company: str | None = None


class View(BaseModel):
    """An answer as the routes give them."""

    id: str
    version: int
    status: str
    company: str
    by: str


@dataclass(frozen=True, slots=True)
class _Anybody:
    principal: Principal

    def token(self, claims: Any) -> Principal:
        return self.principal

    def key(self, presented: str) -> Principal:
        return self.principal


def _use_case(lead_id: str, body: Change, call: CallContext) -> View:
    return View(
        id=lead_id, version=body.version + 1, status=body.status or "", company=body.company or "", by=call.principal.id
    )


def _read(lead_id: str, call: CallContext) -> View:
    return View(id=lead_id, version=1, status="New", company="", by=call.principal.id)


def rows() -> list[Row]:
    """Microseconds of CPU per request: `Api.__call__` over an API Gateway event, less the same use case called
    directly with its arguments made.

    In it: the refusal of unreadable bodies, routing among seven routes, authentication's call, parsing and checking
    the body, the answer's model to JSON, the log line formatted and written (to /dev/null). The use case itself does
    next to nothing. PATCH with a body and GET without; the budget is for the dearer one.
    """
    principal = Principal("user-1", Role.ADMIN)
    api = Api(_Anybody(principal))

    @api.patch("/api/v1/leads/{lead_id}", "Change", tag="leads", model=View)
    def patch(lead_id: str, body: Change) -> View:
        return _use_case(lead_id, body, api.user_call())

    @api.get("/api/v1/leads/{lead_id}", "Read", tag="leads", model=View)
    def get(lead_id: str) -> View:
        return _read(lead_id, api.user_call())

    for name in ("accounts", "orders", "tickets", "notes", "tasks"):
        api.get(f"/api/v1/{name}/{{lead_id}}", name, tag=name, model=View)(get)

    call = CallContext(principal, request_id="req-1", ip="192.0.2.1", user_agent="sample")
    change = Change(version=3, status="Contacted", company="Nordlicht GmbH")
    patched, read = _event("PATCH", change.model_dump_json()), _event("GET", "")
    measured = []
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        for event, direct in (
            (patched, lambda: _use_case("LEAD_1", change, call)),
            (read, lambda: _read("LEAD_1", call)),
        ):
            assert api(event, None)["statusCode"] == 200
            measured.append(side_by_side(partial(api, event, None), direct, rounds=ROUNDS, times=400, clock=cpu))
    result = []
    for name, pair, budget in (("PATCH with a body", measured[0], 90.0), ("GET", measured[1], None)):
        extra = [(a - b) * 1e6 for a, b in zip(pair.ours, pair.floor, strict=True)]
        details: dict[str, float | str] = {
            "whole µs": round(median(pair.ours) * 1e6, 1),
            "use case µs": round(median(pair.floor) * 1e6, 1),
        }
        row = Row(
            f"framework per request, {name}",
            median(extra),
            "µs",
            budget,
            low=min(extra),
            high=max(extra),
            details=details,
        )
        result.append(row)
    return result


def _event(method: str, body: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / "stripe_webhook.json").read_text())
    path = "/api/v1/leads/LEAD_1"
    event["rawPath"] = path
    event["headers"] = {"content-type": "application/json"}
    event["requestContext"]["http"] |= {"method": method, "path": path}
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": "user-1", "token_use": "access"}}}
    event["body"] = body or None
    return event
