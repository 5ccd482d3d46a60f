"""Where a lead came from when its channel does not say so in full (CAP-1, CAP-8): the parameters that advertising puts
into a link, then the page the person came from, then what the channel itself tells.

What a sender stated, or the link that was followed carried as `utm_` parameters, stands as it is. Whatever had to be
worked out flags the attribution as derived.
"""

import re
from collections.abc import Iterable, Mapping
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
_IDENTIFIERS = frozenset({*(click.parameter for click in _CLICKS), *_CAMPAIGN, *_TERM})
_UNFILLED = re.compile(r"none|null|undefined|-|\{.*\}|%7B.*%7D", re.IGNORECASE)
"""What stands in an identifier that was not filled in: a template's word for nothing, or its placeholder, such as
`{{ad.id}}` of Meta and `{campaignid}` of Google."""
_ADDRESS = re.compile(r"(https?|android-app)://(?:[^/?#\\]*@)?([^/?#\\:@\[\]\s]+)(?=[:/?#\\]|$)", re.IGNORECASE)
"""A page, or an Android app by its package: the host stands between user information and port (RFC 3986, 3.2)."""
_EVERYWHERE = re.compile(r"(?:^|\.)(google|yahoo|yandex|pinterest)\.(?:com|cat|[a-z]{2}|com?\.[a-z]{2})$")
"""Sites with an address under the ending of each country."""
_SEARCH = frozenset(
    {"google.*", "yahoo.*", "yandex.*"}
    | {"bing.com", "duckduckgo.com", "ecosia.org", "baidu.com", "qwant.com", "startpage.com"}
)
_NO_SEARCH = frozenset({"accounts", "apps", "calendar", "chat", "docs", "drive", "gm", "mail", "meet", "youtube"})
"""Parts of an engine's site, and of its apps' packages, where nobody searches the web; `gm` is the Gmail app."""
_SOCIAL = frozenset(
    {"facebook.com", "instagram.com", "linkedin.com", "twitter.com", "youtube.com", "xing.com", "reddit.com"}
    | {"tiktok.com", "pinterest.*", "t.co", "x.com", "lnkd.in", "fb.me"}
)


def page_before(fields: Mapping[str, str], header: str, origin: str) -> str:
    """Where the visit of a form came from, as an address for `trace`: the page before, with the query of the page that
    the header `Referer` names. It has no host if the visit came from the site itself, which is as good as direct.

    For the request that sends a form, `Referer` is the page the form stands on. Which page was before that one only
    the form can say, in its field `referrer` (`document.referrer`); without it the header counts, unless `Origin` or
    the address that the form keeps of its page is of the same site."""
    named = _filled(fields.items())
    said = named.get("referrer", "").strip()
    before = said if _host(said) else header
    site = {_bare(_host(address)) for address in (origin, *(named.get(name, "") for name in _LINKS))}
    query = header.partition("#")[0].partition("?")[2]
    root = "" if _bare(_host(before)) in site else _root(before)
    return f"{root}?{query}" if query else root


def trace(
    stated: Mapping[str, str], told: Mapping[str, str], metadata: Mapping[str, str], referrer: str, channel: str
) -> Attribution:
    """The attribution that stands on a lead. `stated` is the sender's own, `told` what the channel worked out from a
    number or an address; `metadata` may hold parameters of the link, `referrer` is the page before (`page_before`)."""
    link = _parameters(metadata, referrer)
    sure = {name: _first(stated.get(name, ""), link.get(_UTM[name], "")) for name in _UTM}
    if sure["source"] and sure["campaign"] and sure["medium"]:
        return Attribution.model_validate(sure)
    host = _host(referrer)
    clicked = next((click for click in _CLICKS if link.get(click.parameter)), None)
    source, medium = (clicked.source, clicked.medium) if clicked else (host, _kind_of(referrer) if host else "")
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
    fields = _filled(metadata.items())
    for address in (referrer, *(fields.get(name, "") for name in _LINKS)):
        found |= _filled(_query(address))
    return found | fields


def _filled(said: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By lower-case name what says something."""
    named = ((name.casefold(), value) for name, value in said)
    return {
        name: value
        for name, value in named
        if value.strip() and not (name in _IDENTIFIERS and _UNFILLED.fullmatch(value.strip()))
    }


def _query(address: str) -> list[tuple[str, str]]:
    if "?" not in address:
        return []
    try:
        return parse_qsl(urlsplit(address).query, max_num_fields=100)
    except ValueError:  # no address, or one with more than anybody's link has
        return []


def _host(address: str) -> str:
    found = _ADDRESS.match(address)
    return found[2].lower().rstrip(".")[:_LONGEST] if found else ""


def _bare(host: str) -> str:
    return host.removeprefix("www.")


def _root(address: str) -> str:
    found = _ADDRESS.match(address)
    return f"{found[1].lower()}://{_host(address)}/" if found else ""


def _kind_of(referrer: str) -> str:
    """The medium of a visit from a host. The package of an app is its maker's domain read backwards."""
    labels = _host(referrer).split(".")
    if referrer.lower().startswith("android-app:"):
        labels.reverse()
    everywhere = _EVERYWHERE.search(".".join(labels))
    site = f"{everywhere[1]}.*" if everywhere else ".".join(labels[-2:])
    if site in _SEARCH and _NO_SEARCH.isdisjoint(labels):
        return "organic"
    return "social" if site in _SOCIAL else "referral"


def _first(*candidates: str) -> str:
    """The first that says something, as one line."""
    lines = (tidy(text[:_LONGEST])[:_LONGEST] for text in candidates)
    return next((line for line in lines if line), "")
