"""Routes of the mail view.

GET    /                 the list as a page; ?to=address filters
GET    /view/{id}        one message as a page
GET    /messages         {"count", "messages"}, newest first; each has id, account, from, to, cc, bcc,
                         subject, text, html, sent_at. ?to=address filters
GET    /messages/{id}    one message as JSON
DELETE /messages         forget them
GET    /_sim/health      liveness, whether the emulator answers, counts
GET    /_sim/violations  messages refused for a line break in a header field

Every read collects from the emulator first, so what was sent before the request is in the answer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.simulators.common import Store
from local.simulators.mail import pages
from local.simulators.mail.collector import Collector
from local.simulators.mail.mailbox import Mailbox

_EVERY_SECONDS = 2.0


class MailView:
    """The application's parts and its routes."""

    def __init__(self, store: Store, emulator_url: str) -> None:
        self._store = store
        self._mailbox = Mailbox(store)
        self._collector = Collector(emulator_url, self._mailbox)

    def application(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/", self._list),
            Route("/view/{id:path}", self._view),
            Route("/messages", self._messages, methods=["GET"]),
            Route("/messages", self._clear, methods=["DELETE"]),
            Route("/messages/{id:path}", self._message),
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
