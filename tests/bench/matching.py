"""How many pairs of people the matcher compares in a second."""

import itertools
import random

from revops.crm.policies.matching import Features, MatchRules, compare
from revops.crm.reading import features_of
from tests.bench.measure import Row, cpu, median, spent
from tests.bench.sample import Leads


def rows(seed: int) -> list[Row]:
    """Pairs per CPU second of `compare`, explanation included, over features made beforehand: seeded people against
    each other, each eighth pair the same person written a little differently. The quality of the match is not
    measured here."""
    stream, chance = Leads(seed), random.Random(seed)
    people = [features_of(stream.lead(number)) for number in range(400)]
    pairs: list[tuple[Features, Features]] = []
    for left, right in itertools.islice(itertools.combinations(people, 2), 8000):
        if chance.randrange(8):
            pairs.append((left, right))
        else:
            pairs.append((left, Features(left.first[:-1], left.last, left.company, left.email, left.phone)))
    rules = MatchRules()

    def all_pairs() -> None:
        for left, right in pairs:
            compare(left, right, rules)

    rates = [len(pairs) / spent(all_pairs, 1, cpu) for _ in range(7)]
    return [Row("match core", median(rates), "pairs/s", low=min(rates), high=max(rates))]
