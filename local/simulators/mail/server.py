"""Routes of the mail view.

GET    /                 the list as a page; ?to=address filters
GET    /view/{id}        one message as a page
GET    /messages         {"count", "messages"}, newest first; each has id, account, from, to, cc, bcc,
                         subject, text, html, sent_at, headers, tags. ?to=address and ?about=text filter
GET    /messages/{id}    one message as JSON
DELETE /messages         forget them
POST   /v2/email/outbound-emails  SES's SendEmail, handed on to the emulator; what it forgets is kept (door.py)
POST   /_sim/faults      a JSON list of rules for that door (common/faults.py); DELETE clears them
GET    /_sim/health      liveness, whether the emulator answers, counts
GET    /_sim/violations  messages refused for a line break in a header field

Every read collects from the emulator first, so what was sent before the request is in the answer.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.simulators.common import Store
from local.simulators.common.faults import RuleError
from local.simulators.mail import pages
from local.simulators.mail.collector import Collector
from local.simulators.mail.door import PATH, Door
from local.simulators.mail.mailbox import Mailbox

_EVERY_SECONDS = 10.0


class Unanswered(Response):
    """The connection ends before the caller hears anything."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class MailView:
    """The application's parts and its routes."""

    def __init__(self, store: Store, emulator_url: str) -> None:
        self._store = store
        self._mailbox = Mailbox(store)
        self._collector = Collector(emulator_url, self._mailbox)
        self._door = Door(store, emulator_url)

    def application(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/", self._list),
            Route("/view/{id:path}", self._view),
            Route("/messages", self._messages, methods=["GET"]),
            Route("/messages", self._clear, methods=["DELETE"]),
            Route("/messages/{id:path}", self._message),
            Route(PATH, self._send, methods=["POST"]),
            Route("/_sim/faults", self._misbehave, methods=["POST"]),
            Route("/_sim/faults", self._behave, methods=["DELETE"]),
            Route("/_sim/flush", self._nothing, methods=["POST"]),
            Route("/_sim/health", self._health),
            Route("/_sim/violations", self._violations),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        collecting = asyncio.create_task(self._collect_for_ever())
        try:
            yield
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
            await self._collector.close()
            await self._door.close()
            self._store.close()

    async def _collect_for_ever(self) -> None:
        while True:
            await self._collector.collect()
            await asyncio.sleep(_EVERY_SECONDS)

    async def _list(self, request: Request) -> Response:
        await self._collector.collect()
        to = request.query_params.get("to") or None
        page = pages.listing(
            self._mailbox.messages(to),
            to,
            self._collector.state,
            len(self._mailbox.refused()),
        )
        return HTMLResponse(page, headers=pages.HEADERS)

    async def _view(self, request: Request) -> Response:
        await self._collector.collect()
        message = self._mailbox.message(request.path_params["id"])
        if message is None:
            return HTMLResponse(
                "<!doctype html><title>Not found</title><p>No such message.",
                404,
                pages.HEADERS,
            )
        return HTMLResponse(pages.detail(message), headers=pages.HEADERS)

    async def _messages(self, request: Request) -> Response:
        await self._collector.collect()
        found = self._mailbox.messages(request.query_params.get("to") or None)
        if about := request.query_params.get("about"):
            found = [message for message in found if about in json.dumps(message, ensure_ascii=False)]
        return JSONResponse({"count": len(found), "messages": found})

    async def _message(self, request: Request) -> Response:
        await self._collector.collect()
        message = self._mailbox.message(request.path_params["id"])
        if message is None:
            return JSONResponse({"detail": "no such message"}, 404)
        return JSONResponse(message)

    async def _clear(self, _: Request) -> Response:
        await self._collector.collect()
        self._mailbox.clear()
        return Response(status_code=204)

    async def _send(self, request: Request) -> Response:
        status, said, heard = await self._door.send(dict(request.headers), await request.body())
        if heard:
            return JSONResponse(
                said, status, {"x-amzn-errortype": str(said.get("__type", ""))} if status >= 400 else {}
            )
        return Unanswered()

    async def _misbehave(self, request: Request) -> Response:
        try:
            self._door.faults.add(json.loads(await request.body()))
        except (RuleError, ValueError) as error:
            return JSONResponse({"detail": str(error)}, 400)
        return JSONResponse(self._door.faults.rules)

    async def _behave(self, _: Request) -> Response:
        self._door.faults.clear()
        return JSONResponse([])

    async def _nothing(self, _: Request) -> Response:
        return JSONResponse({})

    async def _health(self, _: Request) -> Response:
        await self._collector.collect()
        return JSONResponse(
            {
                "status": "ok",
                "vendor": "mail",
                "emulator": self._collector.state,
                "messages": len(self._mailbox.messages()),
                "violations": len(self._mailbox.refused()),
            }
        )

    async def _violations(self, _: Request) -> Response:
        await self._collector.collect()
        return JSONResponse(self._mailbox.refused())
