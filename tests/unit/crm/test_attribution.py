"""Where a lead came from, when nobody says so in full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revops.crm.policies.attribution import page_before, trace

pytestmark = pytest.mark.mission("CAP-1", "CAP-8")
ADS = "https://www.example.com/demo?utm_source=newsletter&utm_medium=email&utm_campaign=autumn&utm_term=crm"


@pytest.mark.parametrize(
    ("stated", "metadata", "referrer", "stands"),
    [
        (
            {"source": "a", "campaign": "b", "medium": "c", "term": "d"},
            {"gclid": "1"},
            ADS,
            ("a", "b", "c", "d", False),
        ),
        ({}, {}, ADS, ("newsletter", "autumn", "email", "crm", False)),
        ({}, {"utm_source": "x", "UTM_Campaign": "y", "utm_medium": "z"}, "", ("x", "y", "z", "", False)),
        ({}, {"landing_page": ADS}, "https://www.google.de/", ("newsletter", "autumn", "email", "crm", False)),
        ({"source": "a"}, {}, ADS, ("a", "autumn", "email", "crm", False)),
        ({}, {"gclid": "1"}, "", ("Google Ads", "none", "cpc", "", True)),
        ({}, {"wbraid": "1", "gad_campaignid": "77", "keyword": "crm"}, "", ("Google Ads", "77", "cpc", "crm", True)),
        ({}, {"gclid": "1", "utm_campaign": "spring"}, "", ("Google Ads", "spring", "cpc", "", True)),
        ({}, {"fbclid": "1"}, "https://l.facebook.com/", ("Meta", "none", "social", "", True)),
        (
            {},
            {"fbclid": "1", "ad_id": "9", "campaign_name": "Autumn", "adset_name": "CFOs"},
            "",
            ("Meta Ads", "Autumn", "paid social", "CFOs", True),
        ),
        ({}, {"msclkid": "1"}, "", ("Microsoft Ads", "none", "cpc", "", True)),
        ({}, {}, "https://www.google.co.uk/search?q=x", ("www.google.co.uk", "none", "organic", "", True)),
        ({}, {}, "https://t.co/x", ("t.co", "none", "social", "", True)),
        ({}, {}, "https://search.example:8443/?q=x", ("search.example", "none", "referral", "", True)),
        ({"source": "ads"}, {}, "", ("ads", "none", "direct", "", True)),
        ({}, {}, "", ("form direct", "none", "direct", "", True)),
    ],
)
def test_the_best_that_is_known_stands(
    stated: dict[str, str], metadata: dict[str, str], referrer: str, stands: tuple[str, str, str, str, bool]
) -> None:
    made = trace(stated, {}, metadata, referrer, "form")
    assert (made.source, made.campaign, made.medium, made.term, made.derived) == stands


@pytest.mark.parametrize(
    ("referrer", "source", "medium"),
    [
        ("https://www.google.com/", "www.google.com", "organic"),
        ("https://news.google.com.br/", "news.google.com.br", "organic"),
        ("https://GOOGLE.de.:443/", "google.de", "organic"),
        ("https://search.yahoo.co.jp/search?p=x", "search.yahoo.co.jp", "organic"),
        ("https://duckduckgo.com/", "duckduckgo.com", "organic"),
        (
            "android-app://com.google.android.googlequicksearchbox/",
            "com.google.android.googlequicksearchbox",
            "organic",
        ),
        ("https://mail.google.com/", "mail.google.com", "referral"),
        ("https://docs.google.com/", "docs.google.com", "referral"),
        ("https://accounts.google.de/", "accounts.google.de", "referral"),
        ("https://mail.yahoo.com/", "mail.yahoo.com", "referral"),
        ("android-app://com.google.android.gm/", "com.google.android.gm", "referral"),
        ("android-app://com.google.android.apps.docs", "com.google.android.apps.docs", "referral"),
        ("https://com.google.android.gm/", "com.google.android.gm", "referral"),
        ("https://google.casino.example/", "google.casino.example", "referral"),
        ("https://google.com.casino.example/", "google.com.casino.example", "referral"),
        ("https://not-google.com/", "not-google.com", "referral"),
        ("https://bing.example/", "bing.example", "referral"),
        ("https://l.facebook.com/l.php", "l.facebook.com", "social"),
        ("https://www.pinterest.co.uk/", "www.pinterest.co.uk", "social"),
        ("android-app://com.linkedin.android/", "com.linkedin.android", "social"),
        ("https://facebook.blog.example/", "facebook.blog.example", "referral"),
        ("https://user:pw@foo.example/", "foo.example", "referral"),
        ("https://a@b@foo.example:8443?x=@y", "foo.example", "referral"),
        ("https://foo.example\\@www.google.com/", "foo.example", "referral"),
        ("https://user@/", "form direct", "direct"),
        ("https://[broken/", "form direct", "direct"),
        ("about:client", "form direct", "direct"),
    ],
)
def test_a_visit_is_of_the_kind_of_the_site_it_came_from(referrer: str, source: str, medium: str) -> None:
    made = trace({}, {}, {}, referrer, "form")
    assert (made.source, made.medium, made.derived) == (source, medium, True)


HERE = "https://www.ourcompany.example"
DIRECT = ("form direct", "direct")


@pytest.mark.parametrize(
    ("fields", "header", "origin", "came_from"),
    [
        ({}, f"{HERE}/contact", HERE, DIRECT),
        ({}, f"{HERE}/", "https://ourcompany.example:443", DIRECT),
        ({"page_url": "https://ourcompany.example/contact"}, f"{HERE}/", "", DIRECT),
        ({"Landing_Page": f"{HERE}/autumn"}, f"{HERE}/", "null", DIRECT),
        ({"referrer": ""}, f"{HERE}/", HERE, DIRECT),
        ({"referrer": "https://ourcompany.example/prices"}, f"{HERE}/contact", HERE, DIRECT),
        ({"referrer": "https://www.google.com/"}, f"{HERE}/", HERE, ("www.google.com", "organic")),
        ({"Referrer": " https://www.google.com/ "}, "", "", ("www.google.com", "organic")),
        ({"referrer": "android-app://com.google.android.gm/"}, HERE, HERE, ("com.google.android.gm", "referral")),
        ({"referrer": "a friend, see https://friend.example"}, f"{HERE}/", HERE, DIRECT),
        ({"referrer": "javascript://friend.example/"}, f"{HERE}/", HERE, DIRECT),
        ({"referrer": "a friend"}, "https://search.example/", HERE, ("search.example", "referral")),
        ({}, "https://blog.example/post", HERE, ("blog.example", "referral")),
        ({}, "https://blog.example/post", "", ("blog.example", "referral")),
        ({"page_url": "/contact"}, "https://blog.example/post", "", ("blog.example", "referral")),
        ({}, "", HERE, DIRECT),
        ({}, "", "", DIRECT),
    ],
)
def test_what_comes_from_the_site_itself_is_direct(
    fields: dict[str, str], header: str, origin: str, came_from: tuple[str, str]
) -> None:
    made = trace({}, {}, fields, page_before(fields, header, origin), "form")
    assert ((made.source, made.medium), made.derived) == (came_from, True)


@pytest.mark.parametrize("fields", [{}, {"referrer": "https://www.google.com/?utm_source=theirs"}])
@pytest.mark.parametrize("origin", ["", "https://www.example.com"])
def test_the_parameters_of_the_page_in_the_header_stand_whatever_was_before_it(
    fields: dict[str, str], origin: str
) -> None:
    made = trace({}, {}, fields, page_before(fields, ADS, origin), "form")
    assert (made.source, made.campaign, made.medium, made.derived) == ("newsletter", "autumn", "email", False)


@pytest.mark.parametrize("name", ["ad_id", "Ad_Id", "adset_name", "gclid", "campaign_name", "keyword"])
@pytest.mark.parametrize(
    "value", ["none", "None", "NULL", "undefined", "-", "", "  ", "{{ad.id}}", "{campaignid}", "%7B%7Bad.id%7D%7D"]
)
def test_an_identifier_that_was_not_filled_in_says_nothing(name: str, value: str) -> None:
    made = trace({}, {}, {name: value}, "", "form")
    assert (made.source, made.campaign, made.medium, made.term) == ("form direct", "none", "direct", "")
    made = trace({}, {}, {name: value, "page_url": "/?ad_id=9&campaign_name=Autumn"}, "", "form")
    assert (made.source, made.campaign, made.medium) == ("Meta Ads", "Autumn", "paid social")


def test_a_field_left_empty_hides_nothing_that_the_page_was_opened_with() -> None:
    made = trace({}, {}, {"utm_source": "", "utm_medium": " ", "page_url": ADS}, "", "form")
    assert (made.source, made.medium, made.derived) == ("newsletter", "email", False)


def test_what_a_channel_tells_counts_for_more_than_nothing_and_less_than_a_link() -> None:
    told = {"source": "WhatsApp", "campaign": "+493090182000", "medium": "chat", "term": ""}
    made = trace({}, told, {}, "", "whatsapp")
    assert (made.source, made.campaign, made.medium, made.derived) == ("WhatsApp", "+493090182000", "chat", True)
    made = trace({}, told, {"utm_campaign": "spring"}, "", "whatsapp")
    assert (made.source, made.campaign, made.derived) == ("WhatsApp", "spring", True)


@given(
    st.dictionaries(st.sampled_from(["source", "campaign", "medium", "term"]), st.text(max_size=120)),
    st.dictionaries(
        st.sampled_from(["utm_source", "utm_medium", "utm_campaign", "gclid", "fbclid", "url", "Ad_Id"]) | st.text(),
        st.text(max_size=500),
        max_size=20,
    ),
    st.text(max_size=300) | st.just("https://[broken/?utm_source=x") | st.text(max_size=300).map(lambda t: ADS + t),
)
def test_whatever_is_said_an_attribution_stands(stated: dict[str, str], said: dict[str, str], referrer: str) -> None:
    made = trace(stated, {}, said, page_before(said, referrer, said.get("url", "")), "form")
    assert made.source.strip()
    assert made.campaign.strip()
    assert made.medium.strip()
