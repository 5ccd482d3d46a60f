"""How much a submission looks like spam, with each reason and its points (CAP-1, CAP-10, S23).

A submission is never thrown away for it: a lead with a high score is kept, shown as such, and gets no messages.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field

from revops.crm.model import SpamScore
from revops.crm.normalise import fold, mixed_script
from revops.crm.submission import LeadSubmission
from revops.settings import SettingsDocument

_LINK = re.compile(r"https?://|www\.[a-z0-9]", re.I)
_VOWEL = re.compile(r"[aeiouy]", re.I)
_Worth = Annotated[int, Field(ge=0, le=100)]


class SpamRules(SettingsDocument):
    """Points for each sign, and from how many a submission is of Medium and of High score.

    `honeypot_field` is a field that people do not see and programs fill in; `elapsed_field` carries the milliseconds
    between showing and sending the form. Words and domains are compared casefolded.
    """

    SETTING: ClassVar[str] = "spam"

    medium_from: int = Field(default=30, ge=1)
    high_from: int = Field(default=60, ge=1)
    honeypot_field: str = "honeypot"
    elapsed_field: str = "elapsed_ms"
    fastest_ms: int = Field(default=1500, ge=0)
    points: dict[str, _Worth] = Field(
        default={
            "link in a name": 30, "many links": 30, "honeypot": 60, "mixed scripts": 30, "too fast": 30,
            "disposable address": 40, "spam words": 30, "same text everywhere": 40, "letters at random": 20,
            "receiving service": 60,
        }
    )  # fmt: skip
    words: tuple[str, ...] = ("backlinks", "casino", "cialis", "crypto giveaway", "seo package", "viagra")
    disposable_domains: tuple[str, ...] = (
        "10minutemail.com", "guerrillamail.com", "mailinator.com", "sharklasers.com", "trashmail.com", "yopmail.com",
    )  # fmt: skip


def spam(submission: LeadSubmission, rules: SpamRules) -> tuple[SpamScore, tuple[str, ...]]:
    """The score and its reasons, each with its points. Pure."""
    found = [(sign, why) for sign, looks in _SIGNS.items() if (why := looks(submission, rules))]
    worth = {sign: rules.points.get(sign, 0) for sign, _ in found}
    reasons = tuple(f"{why} (+{worth[sign]})" for sign, why in found if worth[sign])
    total = sum(worth.values())
    if total >= rules.high_from:
        return SpamScore.HIGH, reasons
    return (SpamScore.MEDIUM if total >= rules.medium_from else SpamScore.LOW), reasons


_Sign = Callable[[LeadSubmission, SpamRules], str]


def _names(submission: LeadSubmission) -> str:
    return f"{submission.first_name} {submission.last_name} {submission.company}"


def _texts(submission: LeadSubmission) -> str:
    return " ".join((_names(submission), submission.job_title, *submission.metadata.values()))


def _link_in_name(submission: LeadSubmission, _: SpamRules) -> str:
    return "a link in a name" if _LINK.search(_names(submission)) else ""


def _many_links(submission: LeadSubmission, _: SpamRules) -> str:
    count = len(_LINK.findall(_texts(submission)))
    return f"{count} links" if count >= 3 else ""


def _honeypot(submission: LeadSubmission, rules: SpamRules) -> str:
    return "the hidden field was filled in" if submission.metadata.get(rules.honeypot_field) else ""


def _mixed_scripts(submission: LeadSubmission, _: SpamRules) -> str:
    parts = submission.email.replace("@", " ").replace(".", " ")
    return "one word mixes scripts" if mixed_script(f"{_names(submission)} {parts}") else ""


def _too_fast(submission: LeadSubmission, rules: SpamRules) -> str:
    elapsed = submission.metadata.get(rules.elapsed_field, "")
    fast = elapsed.isascii() and elapsed.isdigit() and int(elapsed[:12]) < rules.fastest_ms
    return f"the form was filled in within {int(elapsed[:12])} ms" if fast else ""


def _disposable(submission: LeadSubmission, rules: SpamRules) -> str:
    domain = submission.email.strip().rpartition("@")[2].casefold()
    return "a disposable address" if domain in rules.disposable_domains else ""


def _words(submission: LeadSubmission, rules: SpamRules) -> str:
    text = fold(_texts(submission))
    found = sorted(word for word, looks in _patterns(rules.words) if looks.search(text))
    return "words of spam: " + ", ".join(found) if found else ""


@lru_cache(maxsize=8)
def _patterns(words: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((word, re.compile(rf"\b{re.escape(folded)}\b")) for word in words if (folded := fold(word)))


def _same_text(submission: LeadSubmission, _: SpamRules) -> str:
    said = [fold(text) for text in (submission.first_name, submission.last_name, submission.company) if text]
    return "the same text in every name" if len(said) == 3 and len(set(said)) == 1 and len(said[0]) > 3 else ""


def _random_letters(submission: LeadSubmission, _: SpamRules) -> str:
    """Long Latin words without a vowel, or that change between capitals and small letters again and again."""
    for word in _names(submission).split():
        if len(word) < 8 or not word.isascii() or not word.isalpha():
            continue
        turns = sum(one.islower() and other.isupper() for one, other in pairwise(word))
        if turns >= 3 or not _VOWEL.search(word):
            return "letters at random in a name"
    return ""


def _receiving_service(submission: LeadSubmission, _: SpamRules) -> str:
    return "the mail service takes it for spam" if submission.metadata.get("spam_verdict") == "FAIL" else ""


_SIGNS: Mapping[str, _Sign] = {
    "link in a name": _link_in_name,
    "many links": _many_links,
    "honeypot": _honeypot,
    "mixed scripts": _mixed_scripts,
    "too fast": _too_fast,
    "disposable address": _disposable,
    "spam words": _words,
    "same text everywhere": _same_text,
    "letters at random": _random_letters,
    "receiving service": _receiving_service,
}
