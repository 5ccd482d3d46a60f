"""The HTTP server of a simulator and its control routes.

POST /_sim/faults      a JSON list of rules (faults.py); answers the active ones. DELETE clears them
POST /_sim/clock       {"advance_seconds": n}; runs what falls due. GET reads the clock
POST /_sim/reset       forget all state
POST /_sim/flush       try every pending webhook now
POST /_sim/resend      {"event_id": …}: send an event once more
GET  /_sim/health      liveness, contract state, counts of violations and pending webhooks
GET  /_sim/requests    journal: method, path, params, idempotency key, status, fault
GET  /_sim/deliveries  webhooks with their state, tries and answers
GET  /_sim/violations  requests and answers outside the vendor's contract
GET  /_sim/state       every object by kind; ?kind= only those of a kind, ?about= only those that mention a text

Everything else is the vendor's own API. One call runs at a time, as one transaction of the store.
"""

import argparse
import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from local.simulators.common.clock import Clock
from local.simulators.common.contract import Problem
from local.simulators.common.faults import Faults, Rule, RuleError
from local.simulators.common.outbox import Outbox, RetryPolicy
from local.simulators.common.state import Store
from local.simulators.common.vendor import Answer, Call, Json, OwnControls, Vendor, World

_log = logging.getLogger("simulator")


class Simulator:
    """An ASGI application around a vendor."""

    def __init__(self, world: World, vendor: Vendor) -> None:
        self._world = world
        self._vendor = vendor
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        path = unquote(scope["path"])
        if path.startswith("/_sim/"):
            await self._control(request, path, body)(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, path, request.url.query, headers, body)
        rule = self._strike(call)
        if rule is not None and rule["do"] == "delay":
            await asyncio.sleep(float(rule.get("seconds", 1)))
        answer = self._answer(call, rule)
        if rule is not None and rule["do"] == "lose_response":
            _hang_up(send)
            return
        response = Response(answer.encoded(), answer.status, answer.headers, media_type="application/json")
        await response(scope, receive, send)

    def _strike(self, call: Call) -> Rule | None:
        with self._world.store.transaction():
            facts = {"method": call.method, "path": call.path, "about": call.body.decode(errors="replace")}
            return self._world.faults.strike("request", facts)

    def _answer(self, call: Call, rule: Rule | None) -> Answer:
        try:
            with self._world.store.transaction():
                answer = self._work(call, rule)
                self._journal(call, answer.status, rule)
        except Exception as error:
            _log.exception("%s %s", call.method, call.path)
            with self._world.store.transaction():
                problem = {"side": "simulator", "call": f"{call.method} {call.path}", "detail": repr(error)}
                self._world.store.append("violations", problem)
                self._journal(call, 500, rule)
            answer = Answer(500, {"error": {"type": "api_error", "message": f"simulator bug: {error!r}"}})
        return answer

    def _work(self, call: Call, rule: Rule | None) -> Answer:
        vendor = self._vendor
        if rule is not None and rule["do"] == "status":
            if rule.get("after_work"):
                vendor.handle(call)
            return vendor.injected(call, rule)
        problems = vendor.check_request(call)
        if problems:
            self._violation("request", call, problems)
            return vendor.refuse(call, problems)
        answer = vendor.handle(call)
        if wrong := vendor.check_answer(call, answer):
            self._violation("answer", call, wrong)
        return answer

    def _violation(self, side: str, call: Call, problems: list[Problem]) -> None:
        entry: Json = {"side": side, "call": f"{call.method} {call.path}", "problems": [asdict(p) for p in problems]}
        self._world.store.append("violations", entry)

    def _journal(self, call: Call, status: int, rule: Rule | None) -> None:
        entry: Json = {
            "at": self._world.clock.precise(),
            "method": call.method,
            "path": call.path,
            "params": call.params,
            "idempotency_key": call.idempotency_key,
            "status": status,
            "request_id": call.id or None,
            "note": call.note,
            "fault": rule["do"] if rule else None,
        }
        self._world.store.append("requests", entry)

    def _control(self, request: Request, path: str, body: bytes) -> Response:
        name = f"{request.method} {path.removeprefix('/_sim/')}"
        routes: dict[str, Callable[[Any], Any]] = {
            "GET health": lambda _: self._health(),
            "GET requests": lambda _: self._world.store.log("requests"),
            "GET violations": lambda _: self._world.store.log("violations"),
            "GET deliveries": lambda _: [asdict(delivery) for delivery in self._world.outbox.deliveries()],
            "GET state": lambda _: self._state(request.query_params.get("kind"), request.query_params.get("about")),
            "GET clock": lambda _: {"now": self._world.clock.now(), "offset": self._world.clock.offset},
            "GET faults": lambda _: self._fault_state(),
            "POST faults": self._set_faults,
            "DELETE faults": lambda _: self._world.faults.clear(),
            "POST clock": self._advance,
            "POST reset": lambda _: self._world.store.reset(),
            "POST flush": lambda _: self._world.outbox.hurry(),
            "POST resend": lambda asked: {"sent": self._world.outbox.resend(asked["event_id"])},
        }
        try:
            asked = json.loads(body) if body else None
            with self._world.store.transaction():
                if name in routes:
                    return JSONResponse(routes[name](asked))
                if isinstance(self._vendor, OwnControls):
                    answer = self._vendor.control(request.method, path.removeprefix("/_sim/"), asked)
                    if answer is not None:
                        return JSONResponse(answer.body, answer.status)
            return JSONResponse({"detail": f"no control route {name}", "known": sorted(routes)}, 404)
        except (RuleError, json.JSONDecodeError) as error:
            return JSONResponse({"detail": str(error)}, 400)
        except Exception as error:
            _log.exception("%s", name)
            return JSONResponse({"detail": f"simulator bug: {error!r}"}, 500)

    def _state(self, kind: str | None, about: str | None) -> Json:
        state = self._vendor.visible_state()
        return {name: _about(state.get(name, ()), about) for name in (list(state) if kind is None else [kind])}

    def _health(self) -> Json:
        return {
            "status": "ok",
            "vendor": self._vendor.name,
            "contract": self._vendor.contract_state(),
            "violations": len(self._world.store.log("violations")),
            "pending_deliveries": self._world.outbox.pending(),
            "now": self._world.clock.now(),
        }

    def _fault_state(self) -> Json:
        faults = self._world.faults
        return {"rules": faults.rules, "search_lag_seconds": faults.search_lag, "seed": faults.seed}

    def _set_faults(self, asked: Any) -> Json:
        if not isinstance(asked, list):
            raise RuleError("send a JSON list of rules")
        self._world.faults.add(asked)
        return self._fault_state()

    def _advance(self, asked: Any) -> Json:
        seconds = asked.get("advance_seconds") if isinstance(asked, dict) else None
        if not isinstance(seconds, int) or seconds < 0:
            raise RuleError('send {"advance_seconds": n} with a whole number, zero or more')
        now = self._world.clock.advance(seconds)
        self._vendor.clock_moved()
        return {"now": now, "offset": self._world.clock.offset}

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._worker = asyncio.create_task(self._world.outbox.work(self._vendor.outgoing))
                self._worker.add_done_callback(_report)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._worker is not None:
                    self._worker.cancel()
                    await asyncio.gather(self._worker, return_exceptions=True)
                self._world.store.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _about(held: Any, text: str | None) -> Any:
    """Of a kind's objects, by id or in order, those that mention a text; all of them without one."""
    if isinstance(held, dict):
        return held if text is None else {name: one for name, one in held.items() if text in name or text in _text(one)}
    return [one for one in held if text is None or text in _text(one)]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the webhook sender stopped", exc_info=task.exception())


def _hang_up(send: Send) -> None:
    """Close the connection without a word: the client cannot know whether the work was done."""
    cycle: Any = getattr(send, "__self__", None)
    cycle.transport.abort()


def run(
    make_vendor: Callable[[World, str | None], Vendor],
    description: str,
    *,
    batch: int = 1,
    retry: Json | None = None,
) -> None:
    """Command line of a simulator: `--port --state --webhook-url --config`; serves loopback until SIGTERM.

    `make_vendor` gets the world and the webhook address (None: no webhooks). The config file is JSON; its
    `retry` object sets the fields of RetryPolicy (over the vendor's own `retry`), `parallel` how
    many webhook requests are under way at once (1), the rest is the vendor's.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the state")
    parser.add_argument("--webhook-url", help="where events are sent; none if absent")
    parser.add_argument("--config", type=Path, help="JSON file with further settings")
    arguments = parser.parse_args()
    config: Json = json.loads(arguments.config.read_text()) if arguments.config else {}
    store = Store(arguments.state)
    faults = Faults(store)
    policy = RetryPolicy(**{**(retry or {}), **config.get("retry", {})})
    outbox = Outbox(store, faults, policy, batch, int(config.get("parallel", 1)))
    world = World(store, Clock(store), faults, outbox, config)
    app = Simulator(world, make_vendor(world, arguments.webhook_url))
    settings = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=60,
    )
    uvicorn.Server(settings).run()
