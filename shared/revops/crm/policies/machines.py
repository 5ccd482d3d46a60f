"""Who fetched what a message links to: a person, or a machine on their behalf (LEAD-5). Pure, over rules that are data.

How vendors are recognised, by what their own pages and the senders who measure them say:

- **Apple Mail Privacy Protection** loads every image of every message soon after delivery through relays, whether or
  not anybody reads it. Its user agent is the bare `Mozilla/5.0` (SocketLabs, "Identifying Apple MPP opens"). Not an
  open. Its clicks come from the person's own browser and count.
- **Gmail's image proxy** (`GoogleImageProxy`, via ggpht.com) loads an image when the message is shown and then keeps it
  (Word to the Wise, 2013; WURFL counts it as a mail client since 2018). That is an open, and the one there will be.
  What Gmail loads at delivery comes within seconds, or as `Edge/12.246 Mozilla/5.0` (mautic #10245, keila #164), or as
  `Gmail-content-sampling` (mssola/user_agent #71), and is none. Yahoo's proxy loads at the time of reading too.
- **Security gateways** (Microsoft Defender Safe Links, Proofpoint, Mimecast, Barracuda, Cisco, Trend Micro, Fortinet,
  Sophos …) open every message and follow every link within seconds of delivery. Some name themselves; the others are
  known by how they behave: HEAD requests, no user agent, a fetch sooner than a person can read, several links of one
  message within seconds.
- **Browsers and previews** that load ahead say so: `Sec-Purpose: prefetch`, `Purpose`, `X-Purpose`, `X-Moz`; chat and
  search previews name themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from revops.settings import SettingsDocument

OPEN: Final = "email_open"
CLICK: Final = "email_click"
"""What a pixel and a click are called in the table of points (`scoring`)."""

Act = Literal["email_open", "email_click"]
EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Words = Annotated[str, Field(min_length=1, max_length=200)]


class Machine(BaseModel):
    """A machine that is known by its user agent: the whole of it (`is`) or parts of it (`has`), whatever their case."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    whole: Annotated[tuple[Words, ...], Field(max_length=50)] = ()
    has: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    acts: tuple[Act, ...] = (OPEN, CLICK)


class EngagementRules(SettingsDocument):
    """What counts as a person's doing. `machines` are asked in order; `links_at_once` different links of one message
    within `at_once_seconds` are a scanner's, those before the last one too; what a message gets older than
    `count_for_days` counts no more. `page_events` are what web analytics may tell; what each event is worth stands in
    the table of points (`scoring`)."""

    SETTING: ClassVar[str] = "engagement"

    machines: Annotated[tuple[Machine, ...], Field(max_length=50)] = (
        Machine(name="Apple Mail Privacy Protection", whole=("Mozilla/5.0",), acts=(OPEN,)),
        Machine(name="Gmail at delivery", has=("Edge/12.246 Mozilla/5.0", "Gmail-content-sampling")),
        Machine(
            name="security scanner",
            has=(
                "barracuda", "proofpoint", "mimecast", "safelinks", "ciscosecureemail", "ironport", "trendmicro",
                "fortinet", "fortimail", "sophos", "symantec", "messagelabs", "checkpoint", "avanan", "vadesecure",
                "spamexperts", "urlscan", "virustotal", "zscaler", "forcepoint",
            ),
        ),
        Machine(
            name="link preview",
            has=(
                "slackbot", "facebookexternalhit", "whatsapp/", "twitterbot", "linkedinbot", "telegrambot",
                "skypeuripreview", "discordbot", "bingpreview", "googlebot", "bingbot", "applebot",
            ),
        ),
        Machine(
            name="program",
            has=(
                "curl/", "wget/", "python-requests", "python-urllib", "go-http-client", "java/", "headless",
                "phantomjs", "libwww-perl", "crawler", "spider",
            ),
        ),
    )  # fmt: skip
    prefetch_headers: Annotated[tuple[Words, ...], Field(max_length=20)] = (
        "sec-purpose",
        "purpose",
        "x-purpose",
        "x-moz",
    )
    open_after_seconds: float = Field(default=3, ge=0, le=600, allow_inf_nan=False)
    click_after_seconds: float = Field(default=5, ge=0, le=600, allow_inf_nan=False)
    links_at_once: int = Field(default=3, ge=2, le=50)
    at_once_seconds: float = Field(default=10, ge=0, le=600, allow_inf_nan=False)
    count_for_days: int = Field(default=90, ge=1, le=3650)
    page_events: Annotated[tuple[EventName, ...], Field(max_length=50)] = ("page_view", "pricing_view", "download")


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request for what a message links to. `headers` are by lower-case name."""

    method: str
    user_agent: str
    headers: Mapping[str, str]


def machine_reason(act: str, fetch: Fetch, made_at: datetime, now: datetime, rules: EngagementRules) -> str:
    """Why a fetch is not a person's doing, in words; an empty text when it may be. `made_at` is when the message was
    made."""
    agent = fetch.user_agent.strip().casefold()
    if fetch.method.upper() != "GET":
        return f"a {fetch.method.upper()[:10]} request looks and does not open"
    if not agent:
        return "no user agent"
    for machine in rules.machines:
        if act in machine.acts and _is(machine, agent):
            return f"fetched by a machine: {machine.name}"
    for name in rules.prefetch_headers:
        said = fetch.headers.get(name.casefold(), "").casefold()
        if "prefetch" in said or "preview" in said or "prerender" in said:
            return f"loaded ahead: {name}"
    soonest = rules.open_after_seconds if act == OPEN else rules.click_after_seconds
    if now - made_at < timedelta(seconds=soonest):
        return f"sooner than {soonest:g} s after the message was made"
    if now - made_at > timedelta(days=rules.count_for_days):
        return f"later than {rules.count_for_days} days after the message was made"
    return ""


def burst_reason(at: datetime, clicks: Sequence[datetime], rules: EngagementRules) -> str:
    """Why a click is a scanner's who follows every link; an empty text when it may be a person's. `clicks` are the
    times of the clicks on the message's different links, with this one, at `at`, among them."""
    close = [click for click in clicks if abs(click - at) <= timedelta(seconds=rules.at_once_seconds)]
    if len(close) < rules.links_at_once:
        return ""
    return f"{rules.links_at_once} links of the message or more within {rules.at_once_seconds:g} s"


def _is(machine: Machine, agent: str) -> bool:
    return any(agent == each.casefold() for each in machine.whole) or any(
        each.casefold() in agent for each in machine.has
    )
