"""Who is who: how alike two people are, field by field, and what follows (CAP-11).

An equal e-mail decides by a claim before this is asked. What is compared here is everything that is only evidence. A
pair gets points per field (`linkage`), and by them is one person, two, or for somebody to look at; a doubtful script
or a contradiction keeps a certain pair from being taken for one without being looked at (S14).
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

from pydantic import Field as Setting
from pydantic import model_validator

from revops.crm.free_mail import FREE_MAIL
from revops.crm.model import Channel, DuplicateCheck, MatchDecision, MatchEvidence, MatchVerdict, Value
from revops.crm.normalise import CanonicalEmail, company_core, fold, mobile
from revops.crm.policies.likeness import comparisons as _comparisons
from revops.crm.policies.likeness import two_mailboxes
from revops.crm.policies.linkage import NO_FLOOR, Compare, Field, Linkage, Swap, Values
from revops.crm.scripts import INVISIBLE as INVISIBLE
from revops.crm.scripts import latin, looks, mixed_script
from revops.settings import SettingsDocument

MIXED = "mixed script"
_NO_GROUP: frozenset[int] = frozenset()
_NO_WORDS: frozenset[str] = frozenset()
HOMOGRAPH = "looks the same in another script"
NAMELESS = "one mobile number, and no name to compare"
_NICKNAME = 0.95
"""From which likeness a first name is a form of the same one."""
_FIRST, _LAST, _COMPANY, _EMAIL, _PHONE, _MOBILE = range(6)


class Level(Value):
    """From which likeness (0–1) on a field gives how many points."""

    likeness: float = Setting(ge=0, le=1)
    points: float = Setting(ge=-50, le=50)


def _levels(*pairs: tuple[float, float]) -> tuple[Level, ...]:
    return tuple(Level(likeness=likeness, points=points) for likeness, points in pairs)


class FieldPoints(Value):
    """The points of each compared field. A point is one binary digit of evidence: it doubles the odds that two
    records are one person. What one side lacks gives none. The lowest level starts at 0."""

    first_name: tuple[Level, ...] = _levels((0, -6), (0.8, -1), (0.88, 1.5), (0.95, 3), (1, 4))
    last_name: tuple[Level, ...] = _levels((0, -7), (0.85, 2), (0.92, 5), (1, 7))
    company: tuple[Level, ...] = _levels((0, -3), (0.7, 0), (0.85, 2.5), (0.95, 4))
    email: tuple[Level, ...] = _levels((0, -1), (0.5, 0.5), (0.9, 8), (1, 14))
    phone: tuple[Level, ...] = _levels((0, -1), (0.8, 2), (1, 4))
    mobile: tuple[Level, ...] = _levels((0, -1.5), (0.8, 4), (1, 9))
    swapped_names: float = Setting(default=2, ge=0, le=50)

    @model_validator(mode="after")
    def _from_nothing(self) -> Self:
        for name in ("first_name", "last_name", "company", "email", "phone", "mobile"):
            levels: tuple[Level, ...] = getattr(self, name)
            bounds = [level.likeness for level in levels]
            if not bounds or bounds[0] != 0 or bounds != sorted(set(bounds)):
                raise ValueError(f"{name}: levels rise from a likeness of 0, each once")
        return self


class MatchRules(SettingsDocument):
    """What the matcher goes by. `same_from` and `review_from` are points; `even_at` is where one person and two are
    equally likely, and turns points into a score between 0 and 1. `auto_merge_channels` are those whose sender is
    known well enough that a new lead of theirs, certain to be somebody known, is merged without being asked."""

    SETTING: ClassVar[str] = "matching"

    points: FieldPoints = FieldPoints()
    same_from: float = Setting(default=20, ge=0)
    review_from: float = Setting(default=10, ge=0)
    even_at: float = Setting(default=13, ge=0)
    auto_merge: bool = True
    auto_merge_channels: tuple[Channel, ...] = (
        Channel.PARTNER,
        Channel.WEBINAR,
        Channel.IMPORT,
        Channel.WHATSAPP,
        Channel.CALL,
    )
    legal_forms: tuple[str, ...] = Setting(
        default=("cooperative", "eg", "ev", "gbr", "group", "gruppe", "international", "partg", "scop", "se"),
        description="Words of a company's name that say nothing of who it is, beside the usual legal forms",
    )
    nicknames: tuple[tuple[str, ...], ...] = Setting(
        default=(
            ("alexander", "alex", "aleksandr", "sasha", "sascha", "xander"),
            ("alexandra", "alex", "aleksandra", "sandra", "sasha"),
            ("andrew", "andy", "drew"),
            ("andreas", "andi", "andy"),
            ("anthony", "tony"),
            ("antonio", "toni", "tony"),
            ("benjamin", "ben", "benny"),
            ("catherine", "cathy", "katherine", "kathryn", "kate", "katie"),
            ("ekaterina", "katya", "katia"),
            ("katarzyna", "kasia"),
            ("katharina", "kathi", "katja"),
            ("charles", "charlie", "chuck"),
            ("christian", "chris"),
            ("christina", "chris", "tina", "kristina"),
            ("christopher", "chris", "christoph", "kit"),
            ("daniel", "dan", "danny"),
            ("david", "dave"),
            ("dmitry", "dmitri", "dmitrii", "dima"),
            ("edward", "ed", "eddie", "ted", "eduardo"),
            ("elizabeth", "beth", "betty", "eliza", "liz", "lisa", "elisabeth"),
            ("francis", "frank"),
            ("francisco", "paco", "pancho"),
            ("francesco", "franco"),
            ("frederick", "fred", "freddy"),
            ("friedrich", "fritz"),
            ("gregory", "greg", "grigory"),
            ("helena", "lena"),
            ("elena", "lena"),
            ("james", "jim", "jimmy", "jamie"),
            ("jennifer", "jen", "jenny"),
            ("johannes", "hannes", "hans"),
            ("giovanni", "gianni"),
            ("ioannis", "giannis", "yannis"),
            ("john", "jack", "johnny", "jon", "jonathan"),
            ("jose", "pepe"),
            ("joseph", "joe"),
            ("josef", "sepp"),
            ("konstantinos", "kostas", "konstantin", "costas"),
            ("lawrence", "larry", "laurence", "lorenz"),
            ("margaret", "maggie", "meg", "peggy"),
            ("malgorzata", "gosia"),
            ("maria", "masha"),
            ("matthew", "matt"),
            ("michael", "mike", "mick", "michi"),
            ("mikhail", "misha", "michail"),
            ("natalia", "natalya", "natasha"),
            ("nicholas", "nick", "nico"),
            ("nikolaos", "nikos"),
            ("nikolai", "nikolay", "kolya"),
            ("olga", "olya", "olia"),
            ("pamela", "pam"),
            ("patricia", "pat", "patty", "trish"),
            ("patrick", "pat", "paddy"),
            ("peter", "pete"),
            ("rebecca", "becky", "becca"),
            ("richard", "rich", "rick", "dick", "ricardo"),
            ("robert", "bob", "bobby", "rob", "robbie"),
            ("samantha", "sam"),
            ("samuel", "sam", "sammy"),
            ("sebastian", "basti"),
            ("sergey", "sergei", "sergii", "seryozha", "serge"),
            ("stephen", "steve", "steven"),
            ("susan", "sue", "susie"),
            ("susanne", "susi"),
            ("tatiana", "tanya", "tania"),
            ("theodore", "ted", "theo"),
            ("thomas", "tom", "tommy", "tomas"),
            ("timothy", "tim"),
            ("vladimir", "volodya", "vova", "volodymyr", "wladimir"),
            ("william", "bill", "billy", "will", "willy"),
            ("yulia", "yuliya", "julia", "julija", "iuliia"),
        ),
        description="First names that one person may go by, in Latin letters",
    )
    max_candidates: int = Setting(default=200, ge=1, le=200)


class Features:
    """The canonical forms of one person that matching looks at. `flags` says what is doubtful about how the name is
    written; those in `noted` were seen when it came in and are not to be seen any more."""

    __slots__ = ("_keys_made", "company", "email", "first", "flags", "last", "phone")

    def __init__(
        self,
        first: str,
        last: str,
        company: str,
        email: CanonicalEmail | None,
        phone: str,
        noted: Iterable[str] = (),
    ) -> None:
        self.first = fold(first)
        self.last = fold(last)
        self.company = company_core(company)
        self.email = email
        self.phone = phone
        written = f"{first} {last} {company} {email.readable if email else ''}"
        self._keys_made: tuple[list[str], list[str]] | None = None
        self.flags = tuple(dict.fromkeys([*noted, *([MIXED] if mixed_script(written) else [])]))

    def blocking_keys(self) -> list[str]:
        """Under which keys a person can be found, hashed: an equal phone, the sound of the surname at the sound of
        the company, the sound of the first name behind the mail domain. Two people that share none are never
        compared; one that is written wrongly in one place is still found by another."""
        return list(self._keys_of()[0])

    def search_keys(self) -> list[str]:
        """Under which keys lookalikes are looked for: one's own, and those one has with both names swapped."""
        return list(self._keys_of()[1])

    def _keys_of(self) -> tuple[list[str], list[str]]:
        """Blocking and search keys, made when first asked for."""
        if self._keys_made is None:
            own = self._keys(self.first, self.last)
            self._keys_made = own, list(dict.fromkeys([*own, *self._keys(self.last, self.first)]))
        return self._keys_made

    def _keys(self, first: str, last: str) -> list[str]:
        keys = []
        if self.phone:
            keys.append(f"phone:{self.phone}")
        if last and self.company:
            keys.append(f"company:{sound(latin(self.company))}:{sound(latin(last))}")
        if first and self.email:
            more = sound(latin(last)) if last and self.email.domain in FREE_MAIL else ""
            keys.append(f"domain:{self.email.domain}:{sound(latin(first))}:{more}")
        return [hashlib.sha256(key.encode()).hexdigest()[:32] for key in keys]


_CLASSES = str.maketrans({"z": "s", "x": "s", "c": "k", "q": "k", "w": "v", "f": "v", "d": "t", "b": "p"})
_PARTICLES = frozenset("al bin da das de del den der di die dos el la le san the van von zu".split())


@lru_cache(maxsize=8192)
def sound(name: str) -> str:
    """A rough sound of a name's first word that is no particle: its consonants by kind, doubled ones once; a vowel
    only where it starts.
    `meyer`, `meier` → `mr`; `schmidt`, `schmitt` → `skmt`."""
    words = name.replace("-", " ").replace("'", "").split() or [name]
    word = next((each for each in words if each not in _PARTICLES), words[0]).replace("ph", "f").replace("tz", "s")
    kept: list[str] = []
    for char in word.translate(_CLASSES):
        if kept and char in "aeiouyjh":
            continue
        if not kept or kept[-1] != char:
            kept.append("a" if char in "aeiouyjh" and char.isascii() else char)
    return "".join(kept[:6])


class Matcher:
    """The rules, made ready to compare with. Values made by one matcher are compared by the same."""

    def __init__(self, rules: MatchRules) -> None:
        self.rules = rules
        self._idle = frozenset(latin(fold(word)) for word in rules.legal_forms)
        self._groups: dict[str, frozenset[int]] = {}
        for number, names in enumerate(rules.nicknames):
            for name in names:
                spelled = latin(fold(name))
                self._groups[spelled] = self._groups.get(spelled, frozenset()) | {number}
        self._linkage = _linkage(rules.points)

    def values(self, person: Features) -> Values:
        """A person in the form the linkage compares. A shared mailbox is no evidence of who somebody is."""
        personal = person.email if person.email and not person.email.role else None
        cell = mobile(person.phone)
        return (
            self._name(person.first),
            self._name(person.last),
            self._firm(person.company),
            personal.address.partition("@")[::2] if personal else "",
            "" if cell else person.phone,
            person.phone if cell else "",
        )

    def _name(self, folded: str) -> Any:
        """(spelling, groups of nicknames, words where there are several): either name can be compared with either."""
        spelled = " ".join(latin(folded).replace("-", " ").replace(".", " ").replace("'", "").split())
        words = frozenset(spelled.split(" ")) if " " in spelled else _NO_WORDS
        return (spelled, self._groups.get(spelled.partition(" ")[0], _NO_GROUP), words) if spelled else ""

    def _firm(self, core: str) -> Any:
        """(words in order of the alphabet, set of words, initials)."""
        words = latin(core).split()
        words = [word for word in words if word not in self._idle] or words
        return (" ".join(sorted(words)), frozenset(words), "".join(word[0] for word in words)) if words else ""

    def score(self, left: Values, right: Values, floor: float | None = None) -> float | None:
        """Points of a pair; None when they do not reach the floor, which is that of the review unless told."""
        return self._linkage.score(left, right, self.rules.review_from if floor is None else floor)

    def decide(self, left: Features, right: Features, one: Values, other: Values, points: float) -> MatchDecision:
        """What follows from the points of a pair. Two at one mobile number, of whom one goes by no name, are looked at
        whatever their points: little says that they are one, and nothing that they are two."""
        if points < self.rules.review_from:
            return MatchDecision.REVIEW if nameless(one, other) else MatchDecision.DIFFERENT
        if points < self.rules.same_from or flags_of(left, right) or _contradicts(left, right, one, other):
            return MatchDecision.REVIEW
        return MatchDecision.SAME

    def verdict(self, person_id: str, lead_id: str, left: Features, right: Features) -> MatchVerdict:
        """The explained resemblance of two people, the second of them named by its ids."""
        one, other = self.values(left), self.values(right)
        points = self._linkage.score(one, other, NO_FLOOR) or 0.0
        evidence = self._linkage.explain(one, other)
        decision = self.decide(left, right, one, other, points)
        doubtful = nameless(one, other) and decision is not MatchDecision.SAME  # an e-mail may leave no doubt
        against = _contradicts(left, right, one, other)
        return MatchVerdict(
            person_id=person_id,
            lead_id=lead_id,
            score=self.likelihood(points),
            decision=decision,
            flags=(*flags_of(left, right), *against, *([NAMELESS] if doubtful else [])),
            evidence=tuple(
                MatchEvidence(field=part.field, similarity=round(part.likeness, 4), weight=round(part.points, 2))
                for part in evidence
            ),
        )

    def likelihood(self, points: float) -> float:
        """Points as a score between 0 and 1; one half where one person and two are equally likely."""
        return round(1 / (1 + 2 ** min(60.0, max(-60.0, self.rules.even_at - points))), 4)


@lru_cache(maxsize=4)
def matcher(rules: MatchRules) -> Matcher:
    """The matcher of a set of rules, made once for as long as they stand."""
    return Matcher(rules)


def check_of(resembles: Sequence[MatchVerdict]) -> DuplicateCheck:
    """The outcome of a comparison (CAP-10): somebody known for certain, somebody perhaps known, nobody."""
    if any(told.decision is MatchDecision.SAME for told in resembles):
        return DuplicateCheck.FAIL
    return DuplicateCheck.PENDING if resembles else DuplicateCheck.PASS


def flags_of(left: Features, right: Features) -> tuple[str, ...]:
    """What is doubtful about how either is written, and whether they only look the same."""
    flags = dict.fromkeys([*left.flags, *right.flags])
    for name in ("first", "last", "company"):
        one, other = getattr(left, name), getattr(right, name)
        if one != other and looks(one) == looks(other):
            flags[HOMOGRAPH] = None
    return tuple(flags)


def nameless(left: Values, right: Values) -> bool:
    """Whether two have one mobile number, and one of them goes by no name at all."""
    if not left[_MOBILE] or left[_MOBILE] != right[_MOBILE]:
        return False
    return not (left[_FIRST] or left[_LAST]) or not (right[_FIRST] or right[_LAST])


def _contradicts(left: Features, right: Features, one: Values, other: Values) -> tuple[str, ...]:
    """Why a pair is not taken for one however many points it has: first names of two people in one family, or
    addresses that are two mailboxes. A nickname is enough only where the mobile number is the same too, and that number
    outweighs the addresses."""
    if one[_EMAIL] and one[_EMAIL] == other[_EMAIL]:
        return ()
    found = []
    given, theirs = one[_FIRST], other[_FIRST]
    crossed = given == other[_LAST] and theirs == one[_LAST]
    own = one[_MOBILE] and one[_MOBILE] == other[_MOBILE]
    if given and theirs and not crossed and _comparisons().first_name(given, theirs) < (_NICKNAME if own else 1):
        found.append("first names differ")
    if one[_EMAIL] and other[_EMAIL] and not own:
        named = all((given, theirs, one[_LAST], other[_LAST]))
        surnames = [(left.last, right.first), (left.first, right.last)] if crossed else [(left.last, right.last)]
        found += two_mailboxes(one[_EMAIL], other[_EMAIL], surnames, named=named)
    return tuple(found)


def _linkage(points: FieldPoints) -> Linkage:
    def field(name: str, place: int, compare: Compare) -> Field:
        return Field(name, place, compare, [(level.likeness, level.points) for level in getattr(points, name)])

    how = _comparisons()
    return Linkage(
        [
            field("mobile", _MOBILE, how.number),
            field("email", _EMAIL, how.email),
            field("last_name", _LAST, how.last_name),
            field("first_name", _FIRST, how.first_name),
            field("phone", _PHONE, how.number),
            field("company", _COMPANY, how.company),
        ],
        [Swap("names swapped", (_FIRST, _LAST), points.swapped_names)],
    )
