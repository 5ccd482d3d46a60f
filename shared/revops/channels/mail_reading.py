"""A mail as it arrives, read: who wrote it, to whom, what they say in their own words (CAP-4).

Pure. Nothing in a mail is trusted to be well formed: a header or part that cannot be read is left out, and what could
be read stays. Sources: RFC 5322 and 2047 (headers), RFC 3834 (automatic replies), RFC 3464 (delivery reports), the
headers Amazon SES adds to what it receives.
"""

import hashlib
import re
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from email.utils import getaddresses, parseaddr
from html.parser import HTMLParser
from typing import Any, cast

from revops.crm.normalise import canonical_email, tidy

MAX_TEXT = 10_000
"""Characters of a mail's text that are kept; the mail itself stays where it was received."""
_READ = 500_000
"""Characters of a body that are looked at: what its sender says comes first."""
_LONGEST_OF_A_PART, _LONGEST_HEADER = 300, 2_000
"""Characters of a header that are read: the library's reading of it takes the square of its length, and what describes
content comes once for each part of a mail. All other headers get more: a mail may be addressed to many."""
_PARTS = 200
_EDGES = 2_000
"""Lines of a mail that may begin as the edge of a part does; a plain text may rule itself off by some."""
_DEPTH = 8
_SKIPPED = frozenset({"head", "script", "style", "title", "template", "noscript"})
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "blockquote", "table", "hr", "ul", "ol"})

_FORWARD = re.compile(r"^\s*(?:fwd?|wg|tr|rv|i|doorst|vs|enc|pd)\s*:", re.I)
_FORWARD_LINE = re.compile(
    r"^[\s>*_-]*(?:forwarded message|begin forwarded message|weitergeleitete nachricht|message transf[eé]r[eé]|"
    r"mensaje reenviado|messaggio inoltrato|doorgestuurd bericht)[\s:*_-]*$",
    re.I,
)
_SENDER_LINE = re.compile(r"^[\s>*]*(?:from|von|de|da|van|från|fra|od)\s*:\**\s*(.+)$", re.I)
_REPLY_LINE = re.compile(
    r"^\s*(?:on\b.{4,200}\bwrote|am\b.{4,200}\bschrieb.*|le\b.{4,200}\ba écrit|el\b.{4,200}\bescribió|"
    r"il\b.{4,200}\bha scritto|op\b.{4,200}\bschreef.*|den\b.{4,200}\bskrev.*)\s*:\s*$",
    re.I,
)
_ORIGINAL_LINE = re.compile(
    r"^[\s>_-]*(?:original message|ursprüngliche nachricht|message d'origine|mensaje original|messaggio originale|"
    r"oorspronkelijk bericht)[\s_-]*$",
    re.I,
)
_HEADER_LINE = re.compile(r"^[\s>*]*[^\W\d_][\w ]{1,20}\s*:\**\s*\S")
_BARE = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_LONGEST_LINE = 1_000
_RECEIVER = "amazonses.com"
"""The name under which Amazon SES writes what it found of a mail."""
_MAILBOXES = re.compile(r"^(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)(?:[+.-].*)?$", re.I)


@dataclass(frozen=True, slots=True)
class Sender:
    """A name and an address as written; either may be empty."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """What hung on a mail: its name, its type, its size in bytes."""

    name: str
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was read. `text` is what the sender says, without what they quote; `original` is whose mail was
    forwarded; `automatic` says why no person wrote it, or is empty; `spam`, `virus` and `forged` are what the
    receiving service found; forged is a mail whose domain disowns it (DMARC)."""

    message_id: str
    sender: Sender
    recipients: tuple[str, ...]
    subject: str
    text: str
    organisation: str = ""
    original: Sender | None = None
    automatic: str = ""
    is_reply: bool = False
    attachments: tuple[Attachment, ...] = ()
    spam: bool = False
    virus: bool = False
    forged: bool = False


class _Forgiving(EmailPolicy):
    """The policy of the library, but for headers that cost more than they say: a long one is cut off, and one that
    cannot be read (comments in comments in comments) is empty."""

    def header_fetch_parse(self, name: str, value: Any) -> Any:
        most = _LONGEST_OF_A_PART if name.lower().startswith("content-") else _LONGEST_HEADER
        try:
            return super().header_fetch_parse(name, value[:most] if type(value) is str else value)
        except (MessageError, ValueError, KeyError, IndexError, AttributeError, RecursionError):
            return ""


_POLICY = cast("EmailPolicy[EmailMessage]", _Forgiving())


def read_mail(raw: bytes) -> Mail:
    """Reads a mail, whole or cut off, from its bytes."""
    raw = _bounded(raw)
    try:
        message = BytesParser(policy=_POLICY).parsebytes(raw)
    except RecursionError:  # parts in parts without end: its head still says who wrote
        message = BytesParser(policy=_POLICY).parsebytes(raw, headersonly=True)
    texts, pages, attachments, inner = _parts(message)
    written = ("\n".join(texts) or text_of_html("\n".join(pages)))[:_READ]
    said, rest = _without_quotes(written)
    subject = _header(message, "subject")
    forwarded = bool(_FORWARD.match(subject)) or any(_is(_FORWARD_LINE, line) for line in written.splitlines())
    identifier = _header(message, "message-id")
    return Mail(
        message_id=identifier or "sha256:" + hashlib.sha256(raw).hexdigest(),
        sender=_reply_to(message),
        recipients=_recipients(message),
        subject=subject[:300],
        text=(said or rest)[:MAX_TEXT],
        organisation=_header(message, "organization") or _header(message, "organisation"),
        original=inner or (_original(written) if forwarded else None),
        automatic=_automatic(message),
        is_reply=bool(_header(message, "in-reply-to") or _header(message, "references")),
        attachments=attachments,
        spam=_header(message, "x-ses-spam-verdict").upper() == "FAIL",
        virus=_header(message, "x-ses-virus-verdict").upper() == "FAIL",
        forged=_is_forged(message),
    )


def _bounded(raw: bytes) -> bytes:
    """A mail up to where more lines begin like the edge of a part than any mail has parts: what its sender says comes
    first, and a million empty parts would take minutes and all memory."""
    place = 0
    for _ in range(_EDGES):
        place = raw.find(b"\n--", place + 1)
        if place < 0:
            return raw
    return raw[:place]


def person_name(written: str) -> tuple[str, str]:
    """First and last name out of a display name: `Rao, Asha` and `Asha Rao (Nordlicht)` are both Asha Rao."""
    name = tidy(re.sub(r"[\"<>]|\(.*?\)|\[.*?\]", " ", written)).strip(" '")
    if not name or "@" in name:
        return "", ""
    if name.count(",") == 1:
        last, first = (part.strip() for part in name.split(","))
        return first, last
    first, _, last = name.rpartition(" ")
    return (first, last) if first else (last, "")


def text_of_html(page: str) -> str:
    """The words of an HTML page, a line where the page breaks one."""
    reader = _PageReader()
    try:
        reader.feed(_closed(page[:_READ]))
        reader.close()
    except (AssertionError, ValueError):  # what html.parser raises for some malformed declarations
        pass
    lines = (" ".join(line.split()) for line in "".join(reader.words).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _closed(page: str) -> str:
    """A page without comments and declarations, in which every tag ends before the next begins: over one that never
    ends the parser would go again and again, for minutes."""
    kept: list[str] = []
    place = 0
    while (begins := page.find("<!--", place)) >= 0:
        kept.append(page[place:begins])
        ends = page.find("-->", begins + 2)
        place = ends + 3 if ends >= 0 else len(page)
    kept.append(page[place:])
    return re.sub(r"<(?![^<>]*>)", "&lt;", re.sub(r"<[!?][^<>]*>?", "", "".join(kept)))


class _PageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's signature
        self._skipping += tag in _SKIPPED
        if tag in _BREAKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._skipping = max(0, self._skipping - (tag in _SKIPPED))
        if tag in _BREAKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.words.append(data)


def _parts(message: EmailMessage) -> tuple[list[str], list[str], tuple[Attachment, ...], Sender | None]:
    """Its plain texts, its pages, what hangs on it, and the sender of a mail that hangs on it."""
    texts: list[str] = []
    pages: list[str] = []
    attachments: list[Attachment] = []
    inner: Sender | None = None
    waiting: list[tuple[EmailMessage, int]] = [(message, 0)]
    for _ in range(_PARTS):
        if not waiting:
            break
        part, depth = waiting.pop(0)
        kind = part.get_content_type()
        if kind == "message/rfc822":
            held = part.get_payload()
            mail = held[0] if isinstance(held, list) and held else None
            inner = inner or (_reply_to(mail) if isinstance(mail, EmailMessage) else None)
        elif part.is_multipart() and depth < _DEPTH:
            waiting = [(each, depth + 1) for each in part.iter_parts() if isinstance(each, EmailMessage)] + waiting
        elif part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text":
            attachments.append(Attachment(_filename(part), kind, len(_bytes(part))))
        else:
            (pages if kind == "text/html" else texts).append(_text(part))
    return [text for text in texts if text.strip()], pages, tuple(attachments), inner


def _text(part: EmailMessage) -> str:
    """The text of a part in whatever encoding it claims; a wrong claim costs some letters, not the text."""
    content = _bytes(part)
    for charset in (part.get_content_charset() or "utf-8", "utf-8"):
        try:
            return content.decode(charset)
        except (LookupError, ValueError):  # no such encoding, a name that can be none, or other bytes
            continue
    return content.decode("latin-1")


def _bytes(part: EmailMessage) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except (MessageError, ValueError, KeyError):
        return b""
    return content if isinstance(content, bytes) else b""


def _filename(part: EmailMessage) -> str:
    try:
        return tidy(part.get_filename() or "")[:120]
    except (MessageError, ValueError, KeyError, IndexError):
        return ""


def _header(message: EmailMessage, name: str) -> str:
    """A header in one line, however it is encoded; empty when it is not there or cannot be read."""
    try:
        value = message.get(name)
        return "" if value is None else tidy(str(value))
    except (MessageError, ValueError, KeyError, IndexError, AttributeError, RecursionError):  # what parsers trip over
        return ""


def _reply_to(message: EmailMessage) -> Sender:
    """Who is to be answered: Reply-To when it names somebody, with the name From gives."""
    name, address = _mailbox(_header(message, "from"))
    answer_name, answer = _mailbox(_header(message, "reply-to"))
    if answer and canonical_email(answer) is None:
        answer_name = answer = ""
    return Sender(tidy(answer_name or name), (answer or address).strip())


def _mailbox(written: str) -> tuple[str, str]:
    """The name and the address of a mailbox as written; both empty when it cannot be read. Of several mailboxes it is
    the first, and a comma in a name need not be quoted: Outlook shows `Rao, Asha <asha@nordlicht.example>`."""
    written = written[:1_000]
    try:
        name, address = parseaddr(written)
    except (ValueError, IndexError, RecursionError):
        name, address = "", ""
    if "@" in address:
        return name, address
    shown, _, rest = written.partition("<")
    inside = rest.partition(">")[0].strip()
    first = written.partition(",")[0].strip()
    if "@" in inside and "@" not in shown:
        return shown.strip(' "'), inside
    return ("", first) if _BARE.fullmatch(first) else (name, address)


def _is_forged(message: EmailMessage) -> bool:
    """Whether the receiving service found that the sender's domain disowns the mail. Its own result is the topmost that
    bears its name (RFC 8601, authserv-id); what others found, or is written below in its name, came with the mail."""
    try:
        results = message.get_all("authentication-results") or []
    except (MessageError, ValueError, KeyError, IndexError, AttributeError):
        return False
    found = (tidy(str(result)).casefold() for result in results)
    return "dmarc=fail" in next((said for said in found if _written_by(said) == _RECEIVER), "")


def _written_by(result: str) -> str:
    """The authserv-id of an Authentication-Results header; a version may stand behind it."""
    return result.partition(";")[0].partition(" ")[0]


def _recipients(message: EmailMessage) -> tuple[str, ...]:
    """The addresses it was written to; the one it was delivered to first, where the service says."""
    written = [_header(message, name) for name in ("x-original-to", "delivered-to", "to", "cc")]
    try:
        found = getaddresses([each for each in written if each], strict=False)  # one that is odd costs no other
    except (ValueError, IndexError, RecursionError):
        return ()
    addresses = (address.strip().casefold() for _, address in found)
    return tuple(dict.fromkeys(address for address in addresses if "@" in address))[:20]


def _automatic(message: EmailMessage) -> str:
    """Why no person wrote this; an empty text when one did."""
    submitted = _header(message, "auto-submitted").casefold()
    if submitted and not submitted.startswith("no"):
        return f"Auto-Submitted: {submitted[:40]}"
    if message.get_content_type() == "multipart/report":
        return "a delivery report"
    if message.get("return-path") is not None and _header(message, "return-path") == "<>":
        return "sent with an empty return path, as reports are"
    precedence = _header(message, "precedence").casefold()
    if precedence in {"bulk", "junk", "list", "auto_reply"}:
        return f"Precedence: {precedence}"
    for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress"):
        if _header(message, name) and (name != "x-auto-response-suppress" or submitted):
            return f"an automatic reply ({name})"
    if message.get("list-id") is not None or message.get("list-unsubscribe") is not None:
        return "sent to a list"
    address = _mailbox(_header(message, "from"))[1]
    if _MAILBOXES.match(address.partition("@")[0]):
        return "sent by a mailbox that nobody reads"
    return ""


def _is(kind: re.Pattern[str], line: str) -> re.Match[str] | None:
    """What a line is, if it is one of this kind. Longer ones than a mail may have (RFC 5322, 2.1.1) are none: over
    them a pattern would go again and again, for minutes."""
    return kind.match(line) if len(line) <= _LONGEST_LINE else None


def _without_quotes(text: str) -> tuple[str, str]:
    """What the sender says, and the whole without the marks of quoting."""
    said: list[str] = []
    lines = text.replace("\r", "").splitlines()
    for number, line in enumerate(lines):
        two = f"{line.rstrip()} {lines[number + 1].strip()}" if number + 1 < len(lines) else line
        if any(_is(kind, line) for kind in (_ORIGINAL_LINE, _FORWARD_LINE, _REPLY_LINE)) or _is(_REPLY_LINE, two):
            break
        if _is(_SENDER_LINE, line) and _is_header_block(lines[number : number + 5]):
            break
        if not line.lstrip().startswith(">"):
            said.append(line)
    whole = "\n".join(line.lstrip("> ") for line in lines)
    return "\n".join(said).strip(), whole.strip()


def _is_header_block(lines: list[str]) -> bool:
    """Whether these lines are the head of a quoted mail: several of the names such heads have, in any language."""
    return sum(bool(_is(_HEADER_LINE, line)) for line in lines) >= 3


def _original(text: str) -> Sender | None:
    """Whose mail a forwarded text is, by the first line that names a sender with an address."""
    for line in text.replace("\r", "").splitlines():
        found = _is(_SENDER_LINE, line)
        if not found:
            continue
        written = re.sub(r"\[mailto:([^\]]+)\]", r"<\1>", found.group(1)).replace("*", "")
        name, address = _mailbox(written)
        if "@" in address:
            return Sender(tidy(name), address.strip())
    return None
