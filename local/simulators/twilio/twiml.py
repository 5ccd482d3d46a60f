"""TwiML, read strictly: the verbs this product uses, with the attributes Twilio documents for them.

What is not listed here is refused, as Twilio's own parser refuses what it does not know.
"""

from dataclasses import dataclass
from xml.etree import ElementTree

_ATTRIBUTES = {
    "Response": set[str](),
    "Say": {"language", "voice", "loop"},
    "Dial": {"action", "method", "timeout", "answerOnBridge", "callerId", "timeLimit", "hangupOnStar", "ringTone"},
    "Number": {"url", "method", "statusCallback", "statusCallbackEvent", "statusCallbackMethod", "sendDigits"},
}
_INSIDE = {"Response": {"Say", "Dial"}, "Dial": {"Number"}, "Say": set[str](), "Number": set[str]()}


class TwimlError(ValueError):
    """A document that Twilio would not carry out."""


@dataclass(frozen=True)
class Script:
    """What a caller hears and where they are put through to; `action` is told what became of that."""

    said: tuple[str, ...]
    numbers: tuple[str, ...]
    action: str


def read_twiml(content_type: str, body: str) -> Script:
    """The document as steps. Raises TwimlError for anything Twilio does not know."""
    if content_type.partition(";")[0].strip() not in {"text/xml", "application/xml"}:
        raise TwimlError(f"content type {content_type!r}; Twilio carries out XML")
    if "<!" in body:
        raise TwimlError("a document type or a comment")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - of our own API, and without declarations
    except ElementTree.ParseError as error:
        raise TwimlError(f"not XML: {error}") from error
    if root.tag != "Response":
        raise TwimlError(f"the document is a {root.tag}, not a Response")
    _check(root)
    dial = root.find("Dial")
    numbers = () if dial is None else tuple((number.text or "").strip() for number in dial.iter("Number"))
    said = tuple((say.text or "").strip() for say in root.iter("Say"))
    return Script(said, numbers, "" if dial is None else dial.get("action", ""))


def _check(element: ElementTree.Element) -> None:
    if unknown := set(element.attrib) - _ATTRIBUTES[element.tag]:
        raise TwimlError(f"{element.tag} has no {sorted(unknown)}")
    for child in element:
        if child.tag not in _INSIDE[element.tag]:
            raise TwimlError(f"no {child.tag} inside {element.tag}")
        _check(child)
