"""Where a lead came from, when nobody says so in full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revops.crm.policies.attribution import trace

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
    made = trace(stated, {}, said, referrer, "form")
    assert made.source.strip()
    assert made.campaign.strip()
    assert made.medium.strip()
