"""The links of messages as mail programs and browsers follow them: opened, clicked, unsubscribed (LEAD-5, CAP-9).

Whoever opens a mail gets an image, whatever the link says and whatever fails here; whoever clicks gets to where the
message said. Following a link changes nothing but counters: scanners follow every one. Unsubscribing is a POST, from
the page's button or from the mail program's own (`List-Unsubscribe-Post: List-Unsubscribe=One-Click`, RFC 8058), and is
in force when it is answered. A link that is not ours is answered like one that never was, and no page shows anything of
a person.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from revops.crm.consenting import Unsubscribe
from revops.crm.links import LinkClaim, Links, Purpose
from revops.crm.policies.machines import Fetch
from revops.crm.tracking import TrackMessage
from revops.kernel import DomainError, Invalid, NotFound, Unavailable
from revops.platform.http import Api, Raw

HTML = "text/html; charset=utf-8"
GIF = "image/gif"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent pixel."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "application/json")
_FRESH = {"Cache-Control": "no-store, max-age=0", "X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}
_PAGE_HEADERS = {
    **_FRESH,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}
button{{font:inherit;padding:.6rem 1.2rem}}</style></head>
<body><h1>{title}</h1><p>{text}</p>{form}</body></html>
"""
_BUTTON = (
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    '<button type="submit">Unsubscribe</button></form>'
)


@dataclass(frozen=True, slots=True)
class TrackingUseCases:
    """What the routes call. `links` reads with the keys of the moment."""

    links: Callable[[], Links]
    track: Callable[[], TrackMessage]
    unsubscribe: Callable[[], Unsubscribe]


def add_tracking_routes(api: Api, use: TrackingUseCases) -> None:
    """Registers the routes."""

    def fetch() -> Fetch:
        event = api.event
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        method = event.get("requestContext", {}).get("http", {}).get("method", "")
        return Fetch(method, headers.get("user-agent", ""), headers)

    def claim(token: str, purpose: Purpose) -> LinkClaim:
        """Raises NotFound for a token that is not ours."""
        try:
            return use.links().read(token, purpose)
        except Invalid as error:
            raise NotFound("this page") from error

    def opened(token: str) -> Raw:
        try:
            use.track().opened(use.links().read(token, Purpose.OPEN), fetch(), api.public_call("tracking"))
        except DomainError as error:  # the reader gets the image; that nothing was counted shows in the log
            api.note(error)
        return Raw(200, GIF, PIXEL if fetch().method == "GET" else "", _FRESH)

    def clicked(token: str) -> Raw:
        link = claim(token, Purpose.CLICK)
        try:
            use.track().clicked(link, fetch(), api.public_call("tracking"))
        except DomainError as error:
            api.note(error)
        return Raw(302, headers={"Location": link.target, **_FRESH})

    def asked(token: str) -> Raw:
        link = claim(token, Purpose.UNSUBSCRIBE)
        way = _CHANNELS.get(link.channel, "this way")
        question = f"Press the button and you get no more marketing messages by {way}."
        return _page(200, "Unsubscribe", question, _BUTTON)

    public: dict[str, Any] = {"tag": "tracking", "security": [], "plain": True, "minds_query": False}

    api.get("/t/open/{token}", "The image that tells that a message was opened: always an image", gives=GIF, **public)(
        opened
    )
    api.head("/t/open/{token}", "The same without the image; counts nothing", gives=GIF, **public)(opened)
    api.get(
        "/t/click/{token}",
        "A link of a message: leads to where the message said",
        status=302,
        errors=(404,),
        gives=HTML,
        **public,
    )(clicked)
    api.head("/t/click/{token}", "The same; counts nothing", status=302, errors=(404,), gives=HTML, **public)(clicked)
    api.get(
        "/t/unsubscribe/{token}",
        "A page that asks whether to unsubscribe; changes nothing",
        errors=(404,),
        gives=HTML,
        **public,
    )(asked)

    @api.post(
        "/t/unsubscribe/{token}",
        "Unsubscribes from the channel of the message, at once: the page's button and RFC 8058's one click",
        errors=(404,),
        gives=HTML,
        takes=_FORMS,
        **public,
    )
    def unsubscribe(token: str) -> Raw:
        link = claim(token, Purpose.UNSUBSCRIBE)
        try:
            use.unsubscribe()(link, api.public_call("unsubscribe"))
        except Unavailable as error:
            api.note(error)
            later = "A message to you is on its way at this moment. Please press the button again in a minute."
            return _page(503, "Not yet", later, _BUTTON, {"Retry-After": "60"})
        done = f"You get no more marketing messages by {_CHANNELS.get(link.channel, 'this way')}."
        return _page(200, "Unsubscribed", done)


_CHANNELS = {"email": "e-mail", "whatsapp": "WhatsApp", "sms": "SMS", "phone": "phone", "post": "post"}


def _page(status: int, title: str, text: str, form: str = "", more: dict[str, str] | None = None) -> Raw:
    return Raw(status, HTML, _PAGE.format(title=title, text=text, form=form), {**_PAGE_HEADERS, **(more or {})})
