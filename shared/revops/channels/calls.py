"""Calls as they are told of: proven, stored once, answered. What follows is `voice.py`'s; a webhook that verifies and
stores does not load it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import Field

from revops.inbox import ReceiveSignal, Signal
from revops.kernel import CallContext, several
from revops.settings import SettingsDocument, SettingsReader

Number = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{5,14}$", examples=["+493090182000"])]
_WITHHELD = ("+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253")
"""How Twilio writes the callers ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and UNAVAILABLE: as numbers on a keypad."""


class VoiceRules(SettingsDocument):
    """What a caller hears and how calls are read. `forward_to` are tried together for `ring_seconds`; `campaigns` gives
    the campaign of a number of ours; `withheld` are callers that stand for nobody."""

    SETTING: ClassVar[str] = "inbound_calls"

    greeting: Annotated[str, Field(max_length=500)] = "Thank you for calling. We will get back to you shortly."
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}-[A-Z]{2}$")] = "en-GB"
    forward_to: tuple[Number, ...] = Field(default=(), max_length=10)
    ring_seconds: Annotated[int, Field(ge=5, le=600)] = 20
    campaigns: dict[str, str] = Field(default_factory=dict, examples=[{"+493090182000": "billboards"}])
    withheld: tuple[str, ...] = _WITHHELD


class CallStatus(StrEnum):
    """How a call stands, each outweighing those before it: a stage that says nothing here, under way, over without a
    word of who took it, over and nobody took it, taken by one of us."""

    OTHER = "other"
    UNDER_WAY = "under way"
    ENDED = "ended"
    MISSED = "missed"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class CallReport:
    """What one of several notices says of a call. `id` is the vendor's, with its name; `caller` and `called` are as the
    network gave them."""

    id: str
    caller: str
    called: str
    status: CallStatus
    at: datetime
    inbound: bool
    name: str = ""
    country: str = ""
    seconds: int | None = None


Parameters = Sequence[tuple[str, str]]


class ProveTwilio(Protocol):
    """Proves who sent a form to an address. Raises Invalid."""

    def __call__(self, url: str, parameters: Parameters, signature: str, tokens: Sequence[str]) -> None: ...


class ReceiveTwilio:
    """Proves the sender, stores each report of a call once, and says what the caller is to hear."""

    def __init__(
        self,
        receive: ReceiveSignal,
        settings: SettingsReader,
        secret: Callable[[], Mapping[str, Any]],
        parse: Callable[[bytes], Parameters],
        prove: ProveTwilio,
        read: Callable[[Parameters, Sequence[str]], Signal],
        answer: Callable[[VoiceRules], str],
    ) -> None:
        self._receive = receive
        self._settings = settings
        self._secret = secret
        self._parse = parse
        self._prove = prove
        self._read = read
        self._answer = answer

    def __call__(self, url: str, raw: bytes, signature: str, call: CallContext) -> str:
        """The answer to a call that comes in. Raises Invalid for what is not proven."""
        secret, parameters = self._secret(), self._parse(raw)
        self._prove(url, parameters, signature, several(secret, "auth_tokens"))
        self._receive(self._read(parameters, several(secret, "accounts")), call)
        return self._answer(self._settings.read(VoiceRules))


class ReceiveConnect:
    """Stores each event of Amazon Connect once."""

    def __init__(self, receive: ReceiveSignal, read: Callable[[Mapping[str, Any]], Signal]) -> None:
        self._receive = receive
        self._read = read

    def __call__(self, event: Mapping[str, Any], call: CallContext) -> str:
        return "call stored" if self._receive(self._read(event), call) else "call stored before"
