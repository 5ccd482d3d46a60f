"""Canonical forms: two ways of writing one thing compare equal, whatever anybody types."""

import unicodedata

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from revops.crm.countries import EU_EEA_UK, by_name, country_code
from revops.crm.normalise import canonical_email, canonical_phone, company_core, fold, mixed_script, tidy
from revops.crm.policies.spam import SpamRules, spam
from tests.builders.crm import submission

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
INVISIBLE = st.sampled_from([*"\u200b\u200e\u200f\u202e\u2066\u2069\ufeff\u00ad\u2060"])


@pytest.mark.fault("S14")
@given(TEXT)
@example("e\u200b\u0301")
@example("\u200b")
@example("\u00a8x")
@example("\uffa0a\uffa0\u0301")
def test_what_is_tidy_stays_as_it_is(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert unicodedata.is_normalized("NFKC", once)
    assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in once)
    assert once == once.strip()
    assert "  " not in once


@pytest.mark.fault("S14")
@given(st.text("abcdefghijklmnop éüßøनमस्ते王明Иван", min_size=1, max_size=20), INVISIBLE, st.data())
def test_invisible_characters_change_nothing(text: str, invisible: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    assert tidy(text[:place] + invisible + text[place:]) == tidy(text)


@pytest.mark.fault("S14")
@given(TEXT)
@example("0\u00a8")
@example("Nguyễn Thế")
def test_folding_forgets_case_and_form_and_is_settled(text: str) -> None:
    once = fold(text)
    assert fold(once) == once
    assert fold(unicodedata.normalize("NFC", text)) == once
    assert fold(unicodedata.normalize("NFKC", text)) == once


@given(TEXT)
def test_nothing_typed_makes_any_reading_fail(text: str) -> None:
    company_core(text)
    mixed_script(text)
    canonical_email(text)
    canonical_phone(text, text)
    country_code(text)


@given(TEXT, TEXT)
@example("\u00b4", "")
@example("a\uff20nordlicht.example", "")
def test_a_canonical_address_is_its_own_canonical_form(local: str, domain: str) -> None:
    for text in (local, f"{local}@{domain}", f"{local}@nordlicht.example"):
        found = canonical_email(text)
        if found is not None:
            assert canonical_email(found.address) == found
            assert found.address.count("@") >= 1
            assert not any(mark in found.address for mark in "\r\n\0 \t")


_LABELS = st.text("abxn09-.", min_size=1, max_size=12)
_ENDS = st.sampled_from(["example", "test", "x.test", "local", "localhost", "invalid", "onion", "arpa", "c1", "co.uk"])


@given(st.text("abx09_+-.", min_size=1, max_size=12), _LABELS, _ENDS)
@example("a", "x---y", "example")
@example("a", "xn--bcher-kva", "example")
@example("a" * 70, "b", "example")
@example("a", "b" * 70, "example")
def test_a_plain_address_is_read_as_the_library_reads_it(local: str, domain: str, end: str) -> None:
    """A space before it keeps an address from the short way that plain ones take."""
    text = f"{local}@{domain}.{end}"
    assert canonical_email(text) == canonical_email(f" {text}")


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Asha@Bücher.example", "ASHA@xn--bcher-kva.example"),
        ("a@BÜCHER.example", "a@bücher.example"),
        (" a@b.example\t", "a@b.example"),
        ("STRASSE@x.example", "straße@x.example"),
    ],
)
def test_one_address_written_two_ways(one: str, other: str) -> None:
    assert canonical_email(one) == canonical_email(other) is not None


@pytest.mark.fault("S15")
@pytest.mark.parametrize(
    "text",
    [
        "a@b.example\r\nBcc: c@d.example",
        "a\n@b.example",
        "a@b",
        "a b@c.example",
        "@b.example",
        "a@",
        "<a@b.example>",
        "",
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert canonical_email(text) is None


@pytest.mark.parametrize(("local", "role"), [("INFO", True), ("sales", True), ("info.desk", False), ("asha", False)])
def test_a_role_mailbox_is_known(local: str, role: bool) -> None:
    found = canonical_email(f"{local}@nordlicht.example")
    assert found is not None
    assert found.role is role


@pytest.mark.mission("LEAD-1")
@pytest.mark.fault("S14")
@pytest.mark.parametrize(
    "name", ["राहुल पाटील", "क्‍ष", "محمد", "می‌خواهم", "王小明", "Þórður", "O’Neill", "Mary-Jane", "Zoë", "Иван"]
)
def test_names_of_every_script_stay_as_they_are_written(name: str) -> None:
    assert tidy(name) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACME Holding GmbH & Co. KG", "acme"),
        ("Công Ty Nguyễn", "cong ty nguyen"),
        ("Müller S.A.R.L.", "MULLER"),
        ("Ångström A.B.", "angstrom"),
        ("Société Générale SA", "societe generale"),
        ("A.C.M.E. Inc.", "acme"),
        ("Ｎｏｒｄｌｉｃｈｔ　ＧｍｂＨ", "nordlicht"),
    ],
)
def test_a_company_is_its_name_without_legal_forms(one: str, other: str) -> None:
    assert company_core(one) == company_core(other)


def test_a_company_called_by_a_legal_form_keeps_it() -> None:
    assert company_core("SE") == "se"
    assert company_core("Holding AG") == "holding ag"


@pytest.mark.fault("S14")
@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        ("Pаypal", True),  # Cyrillic а
        ("Αcme", True),  # Greek Α
        ("Иван Smith", False),
        ("राहुल Rao", False),
        ("Zoë", False),
        ("", False),
    ],
)
def test_homographs_are_flagged_and_honest_names_are_not(text: str, flagged: bool) -> None:
    assert mixed_script(text) is flagged
    assert ("one word mixes scripts (+30)" in spam(submission(first_name=text), SpamRules())[1]) is flagged


@pytest.mark.fault("S14")
@pytest.mark.parametrize(("email", "flagged"), [("ashа@nordlicht.example", True), ("иван@nordlicht.example", False)])
def test_a_homograph_in_an_address_is_flagged(email: str, flagged: bool) -> None:
    assert ("one word mixes scripts (+30)" in spam(submission(email=email), SpamRules())[1]) is flagged


@pytest.mark.parametrize(
    ("text", "country", "canonical"),
    [
        ("030 901820", "DE", "+4930901820"),
        ("(030) 90 18-20", "Germany", "+4930901820"),
        ("0049 30 901820", "DE", "+4930901820"),
        ("+49 (0)30 901820", "FR", "+4930901820"),
        ("020 7946 0018", "UK", "+442079460018"),
        ("098765 43210", "India", "+919876543210"),
        ("+91 98765 43210", "", "+919876543210"),
        ("(202) 456-1111", "US", "+12024561111"),
        ("01 42 68 53 00", "France", "+33142685300"),
        ("06 6982", "Italia", "+39066982"),
        ("11 3104-1234", "BR", "+551131041234"),
        ("03-3224-5000", "JP", "+81332245000"),
        ("٠١٢٣", "EG", None),
        ("901820", "", None),
        ("1712345678.0", "DE", "+491712345678"),
        ("+491712345678.00", "", "+491712345678"),
        ("7911123456.0", "GB", "+447911123456"),
        ("030.901820", "DE", "+4930901820"),
        ("12", "DE", None),
        ("call me", "DE", None),
        ("+999 1234567", "", None),
        ("+49 30 901820\r\nX: y", "DE", None),
        ("9" * 300, "DE", None),
    ],
)
def test_phones_of_many_countries(text: str, country: str, canonical: str | None) -> None:
    assert canonical_phone(text, country) == canonical


@given(st.sampled_from(["+4930901820", "+442079460018", "+919876543210", "+12024561111", "+33142685300"]), st.data())
def test_a_canonical_phone_is_its_own_canonical_form_in_any_country(phone: str, data: st.DataObject) -> None:
    country = data.draw(st.sampled_from(["", "DE", "US", "nowhere", "IN"]))
    spaced = "".join(char + data.draw(st.sampled_from(["", " ", "-"])) for char in phone[1:])
    assert canonical_phone(phone, country) == phone
    assert canonical_phone("+" + spaced.strip("- "), country) == phone


EU = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()
EEA_AND_UK = "IS LI NO GB".split()
OWN_CODES = "AX GF GP MF MQ RE YT".split()
"""Parts of Finland and France where the union's law holds (TFEU, article 355), with codes of their own."""


@pytest.mark.mission("CAP-9")
def test_consent_is_a_duty_in_the_eu_the_eea_and_the_uk_and_nowhere_else() -> None:
    assert frozenset(EU + EEA_AND_UK + OWN_CODES) == EU_EEA_UK


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("DE", "DE"), ("de", "DE"), (" Germany ", "DE"), ("DEUTSCHLAND", "DE"), ("DEU", "DE"), ("gbr", "GB"),
        ("UK", "GB"),
        ("u.k.", "GB"), ("Great Britain", "GB"), ("EL", "GR"), ("España", "ES"), ("Österreich", "AT"), ("Polska", "PL"),
        ("Sverige", "SE"), ("The Netherlands", "NL"), ("India", "IN"), ("us", "US"), ("U.S.A.", "US"), ("CH", "CH"),
        ("Frankreich", "FR"), ("Rumänien", "RO"), ("Rumanien", "RO"), ("ESPANA", "ES"), ("Oesterreich", "AT"),
        ("Ελλάδα", "GR"), ("България", "BG"), ("Pays-Bas", "NL"), ("Großbritannien", "GB"), ("La Réunion", "RE"),
        ("Schweiz", "CH"), ("Vietnam", "VN"), ("Viet Nam", "VN"), ("Türkiye", "TR"), ("Turkiye", "TR"),
        ("Côte d'Ivoire", "CI"), ("Hong Kong", "HK"), ("Philippines", "PH"),
        ("", ""), ("XX", ""), ("Atlantis", ""), ("D", ""), ("#", ""),
    ],
)  # fmt: skip
def test_countries_as_people_write_them(text: str, code: str) -> None:
    assert country_code(text) == code


def test_every_country_that_a_phone_may_be_of_has_a_name() -> None:
    assert set(by_name().values()) == set(phonenumbers.SUPPORTED_REGIONS)
