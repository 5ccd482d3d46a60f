"""Who is who: the same answer from either side and every time, between 0 and 1, and explained."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from revops.crm.model import MatchDecision
from revops.crm.normalise import CanonicalEmail, canonical_email, canonical_phone
from revops.crm.policies.linkage import Field, Linkage, Swap, fitted
from revops.crm.policies.matching import (
    HOMOGRAPH,
    INVISIBLE,
    MIXED,
    NAMELESS,
    Features,
    FieldPoints,
    Level,
    Matcher,
    MatchRules,
    check_of,
    sound,
)
from revops.crm.scripts import latin

NAMES = st.sampled_from(
    ["", "Asha", "Aisha", "Rao", "Raó", "Meyer", "Meier", "राहुल", "王", "O'Neill", "-", "#|", "ß", "Bob", "Robert",
     "Иван", "Ivan", "Анна Мария", "A.", "van der Berg", "Müller", "Mueller"]
)  # fmt: skip
COMPANIES = st.sampled_from(["", "Nordlicht GmbH", "Nordlicht", "ACME Inc.", "!!!", "Alpha Beta", "Beta Alpha", "AB"])
PHONES = st.sampled_from(["", "+4930901820", "+4930901821", "+442079460018", "+4915151234567", "+4915151234568"])
EMAILS = st.none() | st.builds(
    lambda local, domain: CanonicalEmail(f"{local}@{domain}", domain, role=local == "info"),
    st.sampled_from(["asha.rao", "a.rao", "meyer", "meyer2", "info"]),
    st.sampled_from(["nordlicht.example", "acme.example", "gmail.com", "xn--80ak6aa92e.example"]),
)
WILD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KNOWN_BY_BOTH = Features("", "", "", canonical_email("asha.rao@nordlicht.example"), "+4915151234567")
PEOPLE = st.builds(Features, NAMES | WILD, NAMES | WILD, COMPANIES | WILD, EMAILS, PHONES)
POINTS = st.floats(-20, 20)
LEVELS = st.lists(st.tuples(st.floats(0.01, 1), POINTS), max_size=3, unique_by=lambda level: level[0]).flatmap(
    lambda levels: POINTS.map(
        lambda lowest: tuple(Level(likeness=at, points=points) for at, points in sorted([(0.0, lowest), *levels]))
    )
)
RULES = st.just(MatchRules()) | st.builds(
    MatchRules,
    points=st.builds(FieldPoints, first_name=LEVELS, last_name=LEVELS, company=LEVELS, email=LEVELS, phone=LEVELS),
    same_from=st.floats(0, 30),
    review_from=st.floats(0, 30),
)


@pytest.mark.mission("CAP-11")
@given(PEOPLE, PEOPLE, RULES)
def test_symmetric_bounded_deterministic_and_the_sum_of_its_evidence(
    left: Features, right: Features, rules: MatchRules
) -> None:
    matcher = Matcher(rules)
    told, mirrored = (matcher.verdict("PER_1", "LEAD_1", *pair) for pair in ((left, right), (right, left)))
    assert (
        told
        == matcher.verdict("PER_1", "LEAD_1", left, right)
        == Matcher(rules).verdict("PER_1", "LEAD_1", left, right)
    )
    assert told.score == pytest.approx(mirrored.score, abs=1e-3)
    assert told.decision is mirrored.decision
    assert set(told.flags) == set(mirrored.flags)
    assert 0 <= told.score <= 1
    assert all(0 <= part.similarity <= 1 for part in told.evidence)
    assert told.score == pytest.approx(matcher.likelihood(sum(part.weight for part in told.evidence)), abs=0.02)


@given(PEOPLE, PEOPLE, RULES)
def test_a_pair_is_left_early_only_when_it_cannot_reach_the_floor(
    left: Features, right: Features, rules: MatchRules
) -> None:
    matcher = Matcher(rules)
    one, other = matcher.values(left), matcher.values(right)
    whole = matcher.score(one, other, floor=-1000)
    assert whole is not None
    early = matcher.score(one, other)
    assert early is None or early == pytest.approx(whole)
    assert (early is None) == (whole < rules.review_from) or whole == pytest.approx(rules.review_from)


@given(PEOPLE, PEOPLE)
@example(KNOWN_BY_BOTH, KNOWN_BY_BOTH)
def test_what_follows_is_by_the_thresholds_and_nothing_doubtful_is_certain(left: Features, right: Features) -> None:
    rules = MatchRules()
    matcher = Matcher(rules)
    told = matcher.verdict("PER_1", "LEAD_1", left, right)
    weak = told.score < matcher.likelihood(rules.review_from)
    assert (told.decision is MatchDecision.DIFFERENT) == (weak and NAMELESS not in told.flags)
    if told.flags:
        assert told.decision is not MatchDecision.SAME
    if told.decision is MatchDecision.SAME:
        assert told.score >= matcher.likelihood(rules.same_from)


@given(PEOPLE)
def test_everybody_resembles_themselves_as_much_as_anybody_can(person: Features) -> None:
    matcher = Matcher(MatchRules())
    values = matcher.values(person)
    assert all(part.similarity == 1 for part in matcher.verdict("", "", person, person).evidence)
    assert (matcher.score(values, values, floor=-1000) or 0) >= 0


@pytest.mark.fault("S17")
@given(PEOPLE)
def test_blocking_keys_show_nothing_of_the_person_and_are_few(person: Features) -> None:
    keys = person.blocking_keys()
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)
    assert len(set(keys)) == len(keys) <= 3
    assert set(keys) <= set(person.search_keys())
    assert len(person.search_keys()) <= 5


def person(first: str, last: str, company: str = "Nordlicht GmbH", email: str = "", phone: str = "") -> Features:
    mail = canonical_email(email) if email else None
    return Features(first, last, company, mail, canonical_phone(phone, "DE") or "" if phone else "")


def decided(left: Features, right: Features) -> MatchDecision:
    return Matcher(MatchRules()).verdict("", "", left, right).decision


CELL, DESK = "+49 1515 1234567", "+49 30 901820"
SAME, REVIEW, DIFFERENT = MatchDecision.SAME, MatchDecision.REVIEW, MatchDecision.DIFFERENT


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        # one person for certain
        (person("Asha", "Rao", phone=CELL), person("Asha", "Rao", phone=CELL), SAME),
        (person("Robert", "Lind", phone=CELL), person("Bob", "Lind", phone=CELL), SAME),
        (person("Иван", "Петров", phone=CELL), person("Ivan", "Petrow", phone=CELL), SAME),
        (person("Jürgen", "Müller", phone=CELL), person("Juergen", "Mueller", "Nordlicht", phone=CELL), SAME),
        (person("Rao", "Asha", phone=CELL), person("Asha", "Rao", phone=CELL), SAME),
        (
            person("Asha", "Rao", email="asha.rao@nordlicht.example"),
            person("Asha", "Rao", "Nordlicht", email="asha.roa@nordlicht.example"),
            SAME,
        ),
        # a person looks at it
        (person("Asha", "Rao", phone=CELL), person("Asha", "Rao", "Kontor AG", phone=CELL), REVIEW),
        (person("Asha", "Rao", phone=DESK), person("Asha", "Rao", phone=DESK), REVIEW),
        (person("Robert", "Lind", phone=DESK), person("Bob", "Lind", phone=DESK), REVIEW),
        (person("Jan", "Novak", phone=CELL), person("Jana", "Novak", phone=CELL), REVIEW),
        (
            person("Anna", "Müller", email="anna.mueller@nordlicht.example"),
            person("Anna", "Müller", email="anna.mueller2@nordlicht.example"),
            REVIEW,
        ),
        (person("Asha", "Rao", "Nordlicht", phone=DESK), person("Asha", "Rao", "Nordlicht Iberia", phone=DESK), REVIEW),
        # two people
        (person("Asha", "Rao", phone=DESK), person("Bo", "Lind", phone=DESK), DIFFERENT),
        (
            person("Asha", "Rao", email="info@nordlicht.example", phone=DESK),
            person("Eva", "Ek", email="info@nordlicht.example", phone=DESK),
            DIFFERENT,
        ),
        (person("Petr", "Novak", phone=DESK), person("Hana", "Novak", phone=DESK), DIFFERENT),
        (person("Asha", "Rao"), person("Asha", "Rao", "Kontor AG"), DIFFERENT),
    ],
)
def test_the_cases_a_company_meets(left: Features, right: Features, expected: MatchDecision) -> None:
    assert decided(left, right) is decided(right, left) is expected


OTHER_CELL = "+49 1515 7654321"
PROVIDERS, COUNTRIES = "addresses at two mail providers", "addresses of two countries"
COMPANY, SURNAMES = "two addresses of one company", "surnames differ, in the addresses too"
TWO_MAILBOXES = [
    (("Hans", "Müller", "hans.mueller@gmx.de"), ("Hans", "Müller", "hans.mueller@gmx.net"), PROVIDERS),
    (("John", "Smith", "john.smith@gmail.com"), ("John", "Smith", "john.smith@mail.com"), PROVIDERS),
    (("", "Rossi", "mario.rossi@acme.example"), ("Maria", "Rossi", "maria.rossi@acme.example"), COMPANY),
    (("Maria", "", "maria.bauer@acme.example"), ("Maria", "Sauer", "maria.sauer@acme.example"), COMPANY),
    (("Thomas", "Meier", "thomas.meier@acme.example"), ("Thomas", "Meyer", "thomas.meyer@acme.example"), SURNAMES),
    (("Stefan", "Schmidt", "stefan.schmidt@acme.example"), ("Stefan", "Schmitt", "stefan.schmitt@acme.example"),
     SURNAMES),
    (("Anna", "Hansen", "anna.hansen@acme.example"), ("Anna", "Jansen", "anna.jansen@acme.example"), SURNAMES),
    (("Anna", "Möller", "a.moeller@acme.example"), ("Anna", "Müller", "a.mueller@acme.example"), SURNAMES),
    (("Ali", "Li", "ali.li12@acme.example"), ("Ali", "Lim", "ali.lim12@acme.example"), SURNAMES),
    (("Eva", "Garcia Lopez", "garcia.lopez@acme.example"), ("Eva", "Garcia Lopes", "garcia.lopes@acme.example"),
     SURNAMES),
    (("Meier", "Thomas", "thomas.meier@acme.example"), ("Thomas", "Meyer", "thomas.meyer@acme.example"), SURNAMES),
    (("Maria", "Garcia", "maria.garcia@acme.es"), ("Maria", "Garcia", "maria.garcia@acme.pt"), COUNTRIES),
    (("Ann", "Lee", "ann.lee@acme.co.uk"), ("Ann", "Lee", "ann.lee@acme.co.nz"), COUNTRIES),
]  # fmt: skip


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(("one", "other", "flag"), TWO_MAILBOXES)
@pytest.mark.parametrize("phones", [(DESK, DESK), (CELL, OTHER_CELL), ("", "")])
def test_two_mailboxes_a_slip_apart_are_looked_at_and_it_is_said_why(
    one: tuple[str, str, str], other: tuple[str, str, str], flag: str, phones: tuple[str, str]
) -> None:
    left, right = (
        person(first, last, email=mail, phone=phone)
        for (first, last, mail), phone in zip((one, other), phones, strict=True)
    )
    for pair in ((left, right), (right, left)):
        told = Matcher(MatchRules()).verdict("", "", *pair)
        assert told.decision is REVIEW
        assert told.flags == (flag,)


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(("one", "other", "flag"), TWO_MAILBOXES)
def test_one_mobile_number_outweighs_two_mailboxes(
    one: tuple[str, str, str], other: tuple[str, str, str], flag: str
) -> None:
    left, right = (person(first, last, email=mail, phone=CELL) for first, last, mail in (one, other))
    told = Matcher(MatchRules()).verdict("", "", left, right)
    assert told.decision is SAME, flag
    assert told.flags == ()


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Asha", "Meier", "asha.meier@siemens.com"), ("Asha", "Meier", "asha.meiier@siemens.com")),
        (("Asha", "Meier", "asha.meier@gmail.com"), ("Asha", "Meier", "asha.meier@gmial.com")),
        (("Asha", "Meier", "asha.meier@acme.co"), ("Asha", "Meier", "asha.meier@acme.com")),
        (("Asha", "Meier", "asha.meier@acme.de"), ("Asha", "Meier", "asha.meier@acmee.de")),
        (("Asha", "Meier", "asha.meier@acme.example"), ("Asha", "Meyer", "asah.meier@acme.example")),
        (("Hans", "Müller", "hans.mueller@acme.example"), ("Hans", "Mueller", "hnas.mueller@acme.example")),
        (("John", "O'Neill", "john.oneill@acme.example"), ("John", "ONeill", "jhon.oneill@acme.example")),
        (("Stefan", "Schmid", "s.schmidt@gmail.com"), ("Stefan", "Schmidt", "s.schmidt@gmial.com")),
    ],
)
def test_a_slip_in_an_address_is_one_mailbox(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    left, right = (person(first, last, email=mail) for first, last, mail in (one, other))
    assert decided(left, right) is decided(right, left) is SAME


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("S14")
def test_what_only_looks_the_same_is_never_certain() -> None:
    known = person("Asha", "Rao", email="asha@nordlicht.example", phone=CELL)
    matcher = Matcher(MatchRules())
    for other, flag in (
        (person("Аsha", "Rao", email="asha@nordlicht.example", phone=CELL), MIXED),
        (person("Asha", "Rao", "Nоrdlicht GmbH", email="asha@nordlicht.example", phone=CELL), MIXED),
        (Features("Asha", "Rao", "Nordlicht GmbH", known.email, known.phone, [INVISIBLE]), INVISIBLE),
        (person("Asha", "Rao", email="asha@nоrdlicht.example", phone=CELL), MIXED),
    ):
        told = matcher.verdict("", "", known, other)
        assert told.decision is REVIEW
        assert flag in told.flags
        assert check_of([told]).value == "Pending"
    whole = matcher.verdict("", "", person("Сора", "Rao", phone=CELL), person("Copa", "Rao", phone=CELL))
    assert HOMOGRAPH in whole.flags
    assert whole.decision is not SAME


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize(
    ("one", "other"),
    [("Meyer", "Meier"), ("Müller", "Muller"), ("Hoffmann", "Hofman"), ("Müller", "Mueller"), ("Иванов", "Iwanow"),
     ("Παπαδόπουλος", "Papadopoulos"), ("Schmidt", "Schmitt"), ("van der Berg", "Berg")],
)  # fmt: skip
def test_one_surname_written_two_ways_is_compared(one: str, other: str) -> None:
    keys = [set(Features("Ann", name, "Nordlicht", None, "").blocking_keys()) for name in (one, other)]
    assert keys[0] & keys[1]


@given(WILD | NAMES)
def test_a_spelling_and_a_sound_are_made_of_any_text(text: str) -> None:
    spelled = latin(text.casefold())
    assert latin(spelled) == latin(spelled)
    assert spelled == "" or sound(spelled)


@pytest.mark.mission("CAP-11")
@pytest.mark.parametrize("levels", [[], [(0.5, 1)], [(0, 1), (0, 2)], [(0, 1), (0.9, 2), (0.5, 3)]])
def test_levels_that_do_not_rise_from_nothing_are_refused(levels: list[tuple[float, float]]) -> None:
    with pytest.raises(ValidationError):
        FieldPoints(phone=tuple(Level(likeness=at, points=points) for at, points in levels))


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.text("ab", max_size=3)), min_size=1, max_size=20))
def test_levels_learned_from_pairs_favour_what_pairs_of_one_have(pairs: list[tuple[str, str]]) -> None:
    def equal(one: str, other: str) -> float:
        return float(one == other)

    levels = fitted(equal, [1.0], [(one, one) for one, _ in pairs], [(one, one + "x") for one, _ in pairs])
    linkage = Linkage([Field("f", 0, equal, levels)], [Swap("s", (0, 1), 1)])
    alike, unlike = linkage.score(("a", ""), ("a", "")), linkage.score(("a", ""), ("b", ""))
    if any(one for one, _ in pairs):
        assert (alike or 0) > (unlike or 0)
