"""Templates of messages, as data, and how they are written out for one person.

A placeholder is `{{first_name}}` or, with what stands in for an empty value, `{{first_name|there}}`. The names are a
closed list. A value is escaped for the place it comes to stand in: HTML, the query of a link, or plain text, where it
loses every control character, so that none can start a line of a header (S15). Values are never read as templates.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, model_validator

from revops.crm.model import Lead
from revops.crm.normalise import canonical_email, tidy
from revops.kernel import Invalid
from revops.nurture import defaults
from revops.nurture.model import Name, Part
from revops.nurture.ports import MailMessage, MessageLinks
from revops.settings import SettingsDocument

FIELDS = frozenset(
    {
        "first_name",
        "last_name",
        "full_name",
        "company",
        "job_title",
        "country",
        "interest_product",
        "sender_name",
        "sender_address",
        "reference",
        "unsubscribe_url",
    }
)
"""What a template may say of a person; `reference` is the message's own id."""
SUBJECT = 200
_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\s*(?:\|([^{}]*))?\}\}")
_BRACES = re.compile(r"\{\{|\}\}")
_ANCHOR = re.compile(r"<a\b(?:[^>]*?\bhref\s*=\s*([\"'])(?P<target>.*?)\1|[^>]*)", re.I | re.S)
"""A link up to the end of its target; one without a target as a whole, so that no text is looked through twice."""
_ADDRESS = re.compile(r"https?://(?:\{\{[^{}]*\}\}|[^\s<>\"{}])+", re.I)
_LINK = re.compile(r"://|\bwww\.|@|\d(?:\.\d{1,3}){3}", re.I)
_SITE = re.compile(r"[^\s.]\.[^\W\d_]{2}")
"""The name of a site in any script: a dot between a sign and two letters, with no space around it. Mail programs know
the endings there are; which of them know which is not kept up with here, so `Node.js` counts as one too."""
_NO_CHARACTER = re.compile(r"&#x?[0-9a-f]{20}", re.I)
_ACTIVE = re.compile(r"<\s*(script|iframe|object|embed|form)\b|\bon\w+\s*=|javascript:", re.I)


def _checked(text: str) -> str:
    """Raises ValueError for a placeholder that nobody fills in."""
    for name, _ in _PLACEHOLDER.findall(text):
        if name not in FIELDS:
            raise ValueError(f"{{{{{name}}}}} is no placeholder; there are {', '.join(sorted(FIELDS))}")
    if _BRACES.search(_PLACEHOLDER.sub("", text)):
        raise ValueError("braces that are no placeholder")
    return text


def _one_line(text: str) -> str:
    if tidy(text) != text:
        raise ValueError("a subject is one line, without control characters")
    return _checked(text)


def _passive(text: str) -> str:
    if _ACTIVE.search(text):
        raise ValueError("a mail carries no script, form or frame")
    if _NO_CHARACTER.search(text):
        raise ValueError("a character reference with more digits than any character has")
    return _checked(text)


Language = Annotated[str, Field(pattern=r"^[a-z]{2}(_[A-Z]{2})?$")]
Line = Annotated[str, Field(min_length=1, max_length=SUBJECT), AfterValidator(_one_line)]
Text = Annotated[str, Field(max_length=20_000), AfterValidator(_checked)]
Html = Annotated[str, Field(min_length=1, max_length=60_000), AfterValidator(_passive)]


class MailTemplate(Part):
    """A mail. An empty `text` is made from the HTML."""

    subject: Line
    html: Html
    text: Text = ""


class WhatsappTemplate(Part):
    """A message by WhatsApp: the template that WhatsApp approved, by its name and language there and with its
    parameters in order, and the free text that is sent instead while the person's 24-hour window is open."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$", examples=["follow_up_1"])]
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$", examples=["en"])]
    parameters: Annotated[tuple[Annotated[str, AfterValidator(_checked)], ...], Field(max_length=10)] = ()
    text: Annotated[str, Field(min_length=1, max_length=4_000), AfterValidator(_checked)]


class Footer(Part):
    """What stands below every mail in a language; it has the link to unsubscribe."""

    html: Html
    text: Text

    @model_validator(mode="after")
    def _leaves(self) -> Self:
        if not all("{{unsubscribe_url}}" in part for part in (self.html, self.text)):
            raise ValueError("both parts of a footer have {{unsubscribe_url}}")
        return self


class NurtureTemplates(SettingsDocument):
    """The texts of nurture: by name and language (LEAD-5)."""

    SETTING: ClassVar[str] = "nurture_templates"

    sender_name: Annotated[str, Field(max_length=120)] = "Revenue team"
    sender_address: Annotated[str, Field(max_length=300)] = "1 Example Street, London"
    mails: dict[Name, Annotated[dict[Language, MailTemplate], Field(min_length=1)]] = Field(
        default_factory=lambda: _parsed(MailTemplate, defaults.mails())
    )
    whatsapp: dict[Name, Annotated[dict[Language, WhatsappTemplate], Field(min_length=1)]] = Field(
        default_factory=lambda: _parsed(WhatsappTemplate, defaults.whatsapp())
    )
    footers: Annotated[dict[Language, Footer], Field(min_length=1)] = Field(
        default_factory=lambda: {name: Footer.model_validate(said) for name, said in defaults.footers().items()}
    )

    def mail(self, name: str, language: str) -> MailTemplate | None:
        """A mail in a language, in English or in any it has; None when there is none of that name."""
        return _spoken(self.mails.get(name), language)

    def message(self, name: str, language: str) -> WhatsappTemplate | None:
        """A WhatsApp message, likewise."""
        return _spoken(self.whatsapp.get(name), language)

    def footer(self, language: str) -> Footer:
        """The footer, likewise."""
        return _spoken(self.footers, language) or next(iter(self.footers.values()))


def _parsed[P: Part](kind: type[P], said: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, P]]:
    return {name: {language: kind.model_validate(one) for language, one in each.items()} for name, each in said.items()}


def _spoken[P: Part](variants: Mapping[str, P] | None, language: str) -> P | None:
    if not variants:
        return None
    for wanted in (language, language.partition("_")[0], "en"):
        if wanted in variants:
            return variants[wanted]
    return next(iter(variants.values()))


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who a message is to and which one it is. `values` fills the placeholders."""

    lead_id: str
    person_id: str
    message_id: str
    to: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, lead: Lead, message_id: str, to: str, templates: NurtureTemplates) -> Self:
        """A lead as a recipient: each value on one line, without control characters. What would lead elsewhere counts
        as not said: anybody can fill in the form with another's address and a link for a name. Only a company may be
        called after a site, that of the lead's own mail address; in a message to a phone not even so, because whoever
        named the phone may have made up the address."""
        said = {name: getattr(lead, name) for name in FIELDS if name in Lead.model_fields}
        said["full_name"] = f"{lead.first_name} {lead.last_name}"
        values = {name: tidy(str(value)) for name, value in said.items()}
        home = "" if to.startswith("+") else lead.email
        values = {
            name: "" if _leads_away(value) and not (name == "company" and _own_site(value, home)) else value
            for name, value in values.items()
        }
        values |= {
            "sender_name": tidy(templates.sender_name),
            "sender_address": tidy(templates.sender_address),
            "reference": message_id,
        }
        return cls(lead.id, lead.person_id, message_id, to, values)


def _leads_away(value: str) -> bool:
    """Whether a mail program could make a link of a tidy value. Signs that only go with a letter are looked past: an
    ending such as that of India is written with them, and one that is not seen can stand in any."""
    letters = "".join(char for char in value if unicodedata.category(char) not in ("Mn", "Mc", "Me", "Cf"))
    return bool(_LINK.search(letters) or _SITE.search(letters))


def _own_site(company: str, email: str) -> bool:
    """Whether a company is called after the domain of an address, with `www.` or without, in any script."""
    address = canonical_email(email) if email.strip() else None
    there = canonical_email(f"info@{company.casefold().removeprefix('www.')}")
    return address is not None and there is not None and address.domain == there.domain


def write_mail(
    template: MailTemplate, footer: Footer, recipient: Recipient, links: MessageLinks, language: str
) -> MailMessage:
    """The whole mail: both parts with the footer, links that tell who followed them, the pixel, and the headers by
    which a mail program unsubscribes (RFC 2369, RFC 8058)."""
    leave = links.unsubscribe(recipient.person_id, "email", recipient.message_id)
    values = {**recipient.values, "unsubscribe_url": leave}
    subject = tidy(_plain(template.subject, values))[:SUBJECT]
    text = template.text or plain_text(template.html)

    def click(target: str) -> str:
        return _clicked(links, recipient, target)

    body = _html(f"{template.html}\n{footer.html}", values, click)
    pixel = links.pixel(recipient.lead_id, recipient.message_id)
    image = f'<img src="{html.escape(pixel)}" alt="" width="1" height="1">' if pixel else ""
    page = (
        f'<!doctype html><html lang="{html.escape(language.replace("_", "-"))}"><head><meta charset="utf-8">'
        f"<title>{html.escape(subject)}</title></head><body>{body}{image}</body></html>"
    )
    return MailMessage(
        message_id=recipient.message_id,
        to=recipient.to,
        subject=subject,
        text=_text(f"{text.strip()}\n\n{footer.text.strip()}\n", values, click),
        html=page,
        headers={"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    )


def write_line(template: str, recipient: Recipient) -> str:
    """One line of plain text, such as a parameter of a WhatsApp template or the title of a task."""
    return tidy(_plain(template, recipient.values))


def write_text(template: str, recipient: Recipient) -> str:
    """Plain text of several lines."""
    return _plain(template, recipient.values).strip()


def _plain(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: _value(found, values), template)


def _value(found: re.Match[str], values: Mapping[str, str]) -> str:
    return values.get(found[1], "").strip() or (found[2] or "")


def _html(template: str, values: Mapping[str, str], click: Callable[[str], str]) -> str:
    """The template with escaped values; each link by way of `click`."""
    written: list[str] = []
    place = 0

    def escaped(found: re.Match[str]) -> str:
        return html.escape(_value(found, values))

    for link in _ANCHOR.finditer(template):
        if link["target"] is None:
            continue
        begins, ends = link.span("target")
        written.append(_PLACEHOLDER.sub(escaped, template[place:begins]))
        written.append(html.escape(_target(html.unescape(link["target"]), values, click)))
        place = ends
    written.append(_PLACEHOLDER.sub(escaped, template[place:]))
    return "".join(written)


def _text(template: str, values: Mapping[str, str], click: Callable[[str], str]) -> str:
    """The template with plain values; each link by way of `click`."""
    written: list[str] = []
    place = 0
    for link in _ADDRESS.finditer(template):
        whole = link[0].rstrip(".,;:!?)")
        written.append(_plain(template[place : link.start()], values))
        written.append(_target(whole, values, click))
        place = link.start() + len(whole)
    written.append(_plain(template[place:], values))
    return "".join(written)


def _target(link: str, values: Mapping[str, str], click: Callable[[str], str]) -> str:
    """Where a link of a template leads. Values stand in it percent-encoded; unsubscribing is told from a click."""
    if link.strip() == "{{unsubscribe_url}}":
        return values["unsubscribe_url"]
    target = _PLACEHOLDER.sub(lambda found: quote(_value(found, values), safe=""), link.strip())
    return click(target) if target.lower().startswith(("http://", "https://")) else target


def _clicked(links: MessageLinks, recipient: Recipient, target: str) -> str:
    """The link that counts; the bare one where it cannot be counted."""
    encoded = quote(target, safe=":/?#[]@!$&'()*+,;=%-._~")
    try:
        return links.click(recipient.lead_id, recipient.message_id, encoded)
    except Invalid:
        return encoded


# -- from HTML to plain text -----------------------------------------------------------------------------------------

_BLOCKS = frozenset(
    {"p", "div", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "br", "hr"}
)
_UNSEEN = frozenset({"head", "style", "title"})
_MARKUP = re.compile(
    r"""<!--(?:.*?-->|.*)|<[!?][^<>]*>
    |<(?P<end>/?)(?P<tag>[a-z][a-z0-9:-]*+)(?P<said>(?:[^<>"']|"[^"<]*"|'[^'<]*')*+|[^<>]*)>""",
    re.I | re.S | re.X,
)
"""A comment, a declaration or a tag. A tag ends before the next one begins, and a comment that is never closed at the
end of the page, so that no text is looked through twice, as the library's parser does with tags that do not end."""
_REFERENCE = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I)


class _Reader:
    """Collects the text of a page; a link is written out behind its words. A link ends where the next one begins."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._hidden = 0
        self._link: tuple[str, int] | None = None

    def begins(self, tag: str, said: str) -> None:
        if tag in _UNSEEN:
            self._hidden += 1
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in _BLOCKS:
            self.parts.append("\n" if tag in ("br", "tr") else "\n\n")
        elif tag == "a":
            self._written_out()
            found = _REFERENCE.search(said)
            target = html.unescape(found[1] or found[2] or found[3] or "") if found else ""
            self._link = (target, len(self.parts))

    def ends(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS and tag != "br":
            self.parts.append("\n" if tag == "tr" else "\n\n")
        elif tag == "a":
            self._written_out()

    def reads(self, text: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", html.unescape(text)))

    def _written_out(self) -> None:
        if self._link is None:
            return
        (target, place), self._link = self._link, None
        label = "".join(self.parts[place:]).strip()
        if target and target != label:
            self.parts.append(f": {target}" if label else target)


def plain_text(page: str) -> str:
    """The text of an HTML page or fragment, with its links written out."""
    reader, place = _Reader(), 0
    for markup in _MARKUP.finditer(page):
        reader.reads(page[place : markup.start()])
        place = markup.end()
        if markup["end"]:
            reader.ends(markup["tag"].lower())
        elif markup["tag"]:
            reader.begins(markup["tag"].lower(), markup["said"])
    reader.reads(page[place:])
    reader.ends("a")
    lines = (line.strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
