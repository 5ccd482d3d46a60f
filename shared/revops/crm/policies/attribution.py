"""Where a lead came from when its channel does not say so in full (CAP-1, CAP-8): the parameters that advertising puts
into a link, then the page the person came from, then what the channel itself tells.

What a sender stated, or the link that was followed carried as `utm_` parameters, stands as it is. Whatever had to be
worked out flags the attribution as derived.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from revops.crm.model import Attribution
from revops.crm.normalise import tidy

_LONGEST = 120
_UTM = {"source": "utm_source", "campaign": "utm_campaign", "medium": "utm_medium", "term": "utm_term"}
_LINKS = ("page_url", "landing_page", "landing_url", "url")
"""Fields in which forms keep the address of the page they stood on."""
_CAMPAIGN = ("campaign_name", "gad_campaignname", "gad_campaignid", "campaignid", "campaign_id", "hsa_cam")
"""What names the campaign in the tracking templates of Google Ads and in the URL parameters of Meta Ads."""
_TERM = ("keyword", "hsa_kw", "adset_name")


@dataclass(frozen=True, slots=True)
class _Click:
    """A parameter that an advertising system or a network adds to a link, and what it says of the visit. Those that say
    more stand first: Meta puts `fbclid` on every link, its ads carry the names of ad and set besides."""

    parameter: str
    source: str
    medium: str


_CLICKS = (
    _Click("gclid", "Google Ads", "cpc"),
    _Click("gbraid", "Google Ads", "cpc"),
    _Click("wbraid", "Google Ads", "cpc"),
    _Click("dclid", "Google Display", "display"),
    _Click("msclkid", "Microsoft Ads", "cpc"),
    _Click("adset_id", "Meta Ads", "paid social"),
    _Click("adset_name", "Meta Ads", "paid social"),
    _Click("ad_id", "Meta Ads", "paid social"),
    _Click("li_fat_id", "LinkedIn Ads", "paid social"),
    _Click("ttclid", "TikTok Ads", "paid social"),
    _Click("fbclid", "Meta", "social"),
)
_SEARCH = frozenset({"google", "bing", "duckduckgo", "ecosia", "yahoo", "yandex", "baidu", "qwant", "startpage"})
_SOCIAL = frozenset(
    {"facebook", "instagram", "linkedin", "twitter", "youtube", "xing", "reddit", "pinterest", "tiktok"}
)
_SHORT = frozenset({"t.co", "x.com", "lnkd.in", "fb.me"})


def trace(
    stated: Mapping[str, str], told: Mapping[str, str], metadata: Mapping[str, str], referrer: str, channel: str
) -> Attribution:
    """The attribution that stands on a lead. `stated` is the sender's own, `told` what the channel worked out from a
    number or an address; `metadata` may hold parameters of the link, `referrer` is the page before."""
    link = _parameters(metadata, referrer)
    sure = {name: _first(stated.get(name, ""), link.get(_UTM[name], "")) for name in _UTM}
    if sure["source"] and sure["campaign"] and sure["medium"]:
        return Attribution.model_validate(sure)
    host = _host(referrer)
    clicked = next((click for click in _CLICKS if link.get(click.parameter)), None)
    source, medium = (clicked.source, clicked.medium) if clicked else (host, _kind_of(host) if host else "")
    campaigns = [link.get(name, "") for name in _CAMPAIGN]
    return Attribution(
        source=_first(sure["source"], source, told.get("source", ""), f"{channel} direct"),
        campaign=_first(sure["campaign"], *campaigns, told.get("campaign", ""), "none"),
        medium=_first(sure["medium"], medium, told.get("medium", ""), "direct"),
        term=_first(sure["term"], *(link.get(name, "") for name in _TERM), told.get("term", "")),
        derived=True,
    )


def _parameters(metadata: Mapping[str, str], referrer: str) -> dict[str, str]:
    """What the link carried, by lower-case name: fields of the form win over the address of its page."""
    found: dict[str, str] = {}
    fields = {name.casefold(): value for name, value in metadata.items()}
    for address in (referrer, *(fields.get(name, "") for name in _LINKS)):
        found |= {name.casefold(): value for name, value in _query(address)}
    return found | fields


def _query(address: str) -> list[tuple[str, str]]:
    if "?" not in address:
        return []
    try:
        return parse_qsl(urlsplit(address).query, max_num_fields=100)
    except ValueError:  # no address, or one with more than anybody's link has
        return []


def _host(referrer: str) -> str:
    return referrer.partition("://")[2].partition("/")[0].partition(":")[0].partition("?")[0][:_LONGEST]


def _kind_of(host: str) -> str:
    labels = set(host.casefold().split("."))
    if labels & _SEARCH:
        return "organic"
    return "social" if labels & _SOCIAL or host.casefold() in _SHORT else "referral"


def _first(*candidates: str) -> str:
    """The first that says something, as one line."""
    lines = (tidy(text[:_LONGEST])[:_LONGEST] for text in candidates)
    return next((line for line in lines if line), "")
