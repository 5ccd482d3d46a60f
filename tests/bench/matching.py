"""How well and how fast the matcher tells who is who."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from revops.crm.model import MatchDecision
from revops.crm.normalise import canonical_email, canonical_phone
from revops.crm.policies.linkage import Values
from revops.crm.policies.matching import Features, Matcher, MatchRules
from tests.bench import febrl
from tests.bench.measure import Row, cpu, median, spent
from tests.builders.match_corpus import MatchCorpus, Record

PEOPLE = 20_000
Pair = tuple[int, int]


def rows(seed: int) -> list[Row]:
    """Quality on the seeded corpus and on FEBRL, and pairs compared per CPU second."""
    return [*_corpus(seed), *febrl.rows()]


@dataclass
class Study:
    """A corpus as the matcher sees it: candidates by blocking keys as intake asks for them, and what was decided.

    `claimed` are pairs that share an exclusive e-mail: intake joins those by the claim, whatever the matcher thinks.
    """

    records: Sequence[Record]
    rules: MatchRules
    features: list[Features] = field(init=False)
    candidates: list[Pair] = field(init=False)
    claimed: set[Pair] = field(init=False)
    truth: set[Pair] = field(init=False)

    def __post_init__(self) -> None:
        self.matcher = Matcher(self.rules)
        self.features = [_features(record) for record in self.records]
        self.values: list[Values] = [self.matcher.values(person) for person in self.features]
        self.candidates = self._candidates()
        addresses = [person.email.address if person.email and not person.email.role else "" for person in self.features]
        self.claimed = _pairs(addresses)
        self.truth = _pairs([str(record.truth) for record in self.records])

    def _candidates(self) -> list[Pair]:
        blocks: dict[str, list[int]] = defaultdict(list)
        for number, person in enumerate(self.features):
            for key in person.blocking_keys():
                blocks[key].append(number)
        most, found = self.rules.max_candidates, set[Pair]()
        for number, person in enumerate(self.features):
            others = dict.fromkeys(other for key in person.search_keys() for other in blocks.get(key, ())[:most])
            found |= {(min(number, other), max(number, other)) for other in list(others)[:most] if other != number}
        return sorted(found)

    def decided(self) -> dict[Pair, MatchDecision]:
        """Each candidate pair that reaches the review, and what follows."""
        found = {}
        for one, other in self.candidates:
            points = self.matcher.score(self.values[one], self.values[other])
            if points is not None:
                found[one, other] = self.matcher.decide(
                    self.features[one], self.features[other], self.values[one], self.values[other], points
                )
        return found


def _features(record: Record) -> Features:
    email = canonical_email(record.email) if record.email else None
    phone = canonical_phone(record.phone, record.country) if record.phone else None
    return Features(record.first, record.last, record.company, email, phone or "")


def _pairs(labels: Sequence[str]) -> set[Pair]:
    """Pairs of places with one label; an empty label is none."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        if label:
            places[label].append(place)
    return {pair for found in places.values() for pair in itertools.combinations(found, 2)}


def _corpus(seed: int) -> list[Row]:
    """20,000 people in some 30,000 records. Joined without a person: what the matcher is certain of, and what the claim
    on an e-mail joins. Recall counts every pair of records of one person, also those that no key and no claim brings
    together, and people who changed everything."""
    corpus = MatchCorpus(seed, PEOPLE)
    study = Study(corpus.records, MatchRules())
    decided = study.decided()
    same = {pair for pair, decision in decided.items() if decision is MatchDecision.SAME}
    review = {pair for pair, decision in decided.items() if decision is MatchDecision.REVIEW}
    joined, fuzzy = same | study.claimed, same - study.claimed
    found = joined | review
    compared = set(study.candidates) | study.claimed
    homographs = {place for place, record in enumerate(corpus.records) if "homograph" in record.how}
    taken_in = {pair for pair in joined if homographs & set(pair)}
    more: dict[str, float | str] = {
        "records": len(corpus.records),
        "people": len({record.truth for record in corpus.records}),
        "true pairs": len(study.truth),
    }
    return [
        Row(
            "auto-merge precision, seeded B2B corpus",
            len(joined & study.truth) / len(joined),
            "",
            0.999,
            at_least=True,
            details=more
            | {
                "exactly": round(len(joined & study.truth) / len(joined), 5),
                "joined": len(joined),
                "by claim": len(study.claimed),
                "fuzzy": len(fuzzy),
                "fuzzy precision": round(len(fuzzy & study.truth) / len(fuzzy), 5),
                "homographs joined": f"{len(taken_in)} of {len(homographs)}",
            },
        ),
        Row(
            "recall with review, blocking included",
            len(found & study.truth) / len(study.truth),
            "",
            0.95,
            at_least=True,
            details={
                "exactly": round(len(found & study.truth) / len(study.truth), 4),
                "pairs compared": len(study.candidates),
                "true pairs that no key brings together": len(study.truth - compared),
                "to review": len(review - joined),
                "of them one person": len((review - joined) & study.truth),
                "joined without a person": round(len(joined & study.truth) / len(study.truth), 4),
            },
        ),
        _rate(study),
    ]


def _rate(study: Study) -> Row:
    """Candidate pairs scored per CPU second, over values made beforehand: what a single core does."""
    score, values, pairs = study.matcher.score, study.values, study.candidates

    def everything() -> None:
        for one, other in pairs:
            score(values[one], values[other])

    rates = _rates(everything, len(pairs))
    return Row("match core", median(rates), "pairs/s", 300_000, at_least=True, low=min(rates), high=max(rates))


def _rates(work: Callable[[], object], pairs: int) -> list[float]:
    spent(work, 1, cpu)
    return [pairs / spent(work, 1, cpu) for _ in range(7)]
