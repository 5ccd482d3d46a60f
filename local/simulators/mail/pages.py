"""The pages. Every value of a message is escaped; its HTML part is shown as source, never rendered."""

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from local.simulators.common import Json

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem .6rem;"
    "border-bottom:1px solid #d8dee4;overflow-wrap:anywhere}pre{white-space:pre-wrap;overflow-wrap:anywhere;"
    "background:#f6f8fa;padding:1rem}time{white-space:nowrap;color:#57606a}"
)


def listing(messages: list[Json], to: str | None, emulator: str, refused: int) -> str:
    """All messages, newest first."""
    rows = "".join(
        f"<tr><td><time>{escape(one['sent_at'])}</time></td><td>{_addresses(one['to'])}</td>"
        f'<td><a href="/view/{escape(quote(one["id"], safe=""))}">{_subject(one)}</a></td>'
        f"<td>{escape(one['from'])}</td></tr>"
        for one in messages
    )
    table = (
        f"<table><thead><tr><th>Sent</th><th>To</th><th>Subject</th><th>From</th></tr></thead>{rows}</table>"
        if messages
        else "<p>No mail yet.</p>"
    )
    notes = f"<p>Messages: {len(messages)}. Emulator: {escape(emulator)}."
    notes += f" Refused: {refused}, for a line break in a header.</p>" if refused else "</p>"
    form = (
        f'<form method="get" action="/"><label>To <input name="to" value="{escape(to or "")}"></label> '
        "<button>Show</button></form>"
    )
    return _page("Sent mail", f"<h1>Sent mail</h1>{form}{notes}{table}")


def detail(message: Json) -> str:
    """One message: its header fields, its text, the source of its HTML."""
    fields = (
        ("From", escape(message["from"])),
        ("To", _addresses(message["to"])),
        ("Cc", _addresses(message["cc"])),
        ("Bcc", _addresses(message["bcc"])),
        ("Sent", escape(message["sent_at"])),
        *((name, escape(value)) for name, value in message.get("headers", {}).items()),
        ("Id", escape(message["id"])),
    )
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in fields if value)
    body = f"<p><a href='/'>All mail</a></p><h1>{_subject(message)}</h1><table>{rows}</table>"
    if message["text"]:
        body += f"<h2>Text</h2><pre>{escape(message['text'])}</pre>"
    if message["html"]:
        body += f"<h2>HTML source</h2><pre>{escape(message['html'])}</pre>"
    return _page(message["subject"] or "Message", body)


def _subject(message: Json) -> str:
    return escape(message["subject"] or "(no subject)")


def _addresses(addresses: Iterable[str]) -> str:
    return ", ".join(escape(one) for one in addresses)


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )
