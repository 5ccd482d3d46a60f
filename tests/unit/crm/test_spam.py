"""Each sign of spam is found, said with its points, and only where it is."""

import pytest

from revops.crm.model import SpamScore
from revops.crm.policies.spam import SpamRules, spam
from tests.builders.crm import submission

pytestmark = [pytest.mark.mission("CAP-10"), pytest.mark.fault("S23")]
RULES = SpamRules()


def test_an_ordinary_submission_is_low_and_says_nothing() -> None:
    for said in ({}, {"first_name": "राहुल", "last_name": "पाटील"}, {"last_name": "McDonald-O'Brien"}):
        assert spam(submission(**said), RULES) == (SpamScore.LOW, ())
    assert spam(submission(metadata={"elapsed_ms": "20000", "message": "see https://x.example"}), RULES)[1] == ()


@pytest.mark.parametrize(
    ("said", "score", "reason"),
    [
        ({"company": "www.win.example"}, SpamScore.MEDIUM, "a link in a name (+30)"),
        ({"metadata": {"message": "http://a http://b https://c"}}, SpamScore.MEDIUM, "3 links (+30)"),
        ({"metadata": {"honeypot": "x"}}, SpamScore.HIGH, "the hidden field was filled in (+60)"),
        ({"last_name": "Раypal"}, SpamScore.MEDIUM, "one word mixes scripts (+30)"),
        ({"metadata": {"elapsed_ms": "90"}}, SpamScore.MEDIUM, "the form was filled in within 90 ms (+30)"),
        ({"email": "x@Mailinator.com"}, SpamScore.MEDIUM, "a disposable address (+40)"),
        ({"metadata": {"message": "Buy VIAGRA now"}}, SpamScore.MEDIUM, "words of spam: viagra (+30)"),
        (
            {"first_name": "Yyyyy", "last_name": "yyyyy", "company": "YYYYY"},
            SpamScore.MEDIUM,
            "the same text in every name (+40)",
        ),
        ({"last_name": "QwRtPsDfGh"}, SpamScore.LOW, "letters at random in a name (+20)"),
        ({"metadata": {"spam_verdict": "FAIL"}}, SpamScore.HIGH, "the mail service takes it for spam (+60)"),
    ],
)
def test_a_sign_is_named_with_its_points(said: dict[str, object], score: SpamScore, reason: str) -> None:
    found = spam(submission(**said), RULES)
    assert found == (score, (reason,))


def test_signs_add_up_and_the_rules_say_what_they_are_worth() -> None:
    both = submission(company="www.win.example", metadata={"elapsed_ms": "90"})
    assert spam(both, RULES)[0] is SpamScore.HIGH
    lenient = RULES.model_copy(update={"points": {"link in a name": 5}})
    assert spam(both, lenient) == (SpamScore.LOW, ("a link in a name (+5)",))
    assert spam(submission(metadata={"elapsed_ms": "9" * 40}), RULES)[0] is SpamScore.LOW


def test_a_word_of_nothing_is_no_sign() -> None:
    assert spam(submission(metadata={"message": "Hello there"}), SpamRules(words=("", "  "))) == (SpamScore.LOW, ())
