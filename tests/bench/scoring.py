"""Scoring against a plain Python dot product."""

import operator
import random
import re
from collections.abc import Sequence
from datetime import timedelta

from revops.crm.intake import facts_of
from revops.scoring import LeadFacts, ScoringTable, score_lead
from tests.bench.measure import Row, cpu, side_by_side
from tests.bench.sample import NOW, Leads

LEADS = 100_000
DISTINCT = 4_000
_DIGITS = re.compile(r"\d[\d,]*")
_DASH = re.compile(r"\s*[–—-]\s*")


class DotProduct:
    """The same points as a linear model in plain Python: a 0/1 feature per listed value, the weights of the table,
    one sum of products, clamped. No explanation, no time of the next change, nothing validated."""

    def __init__(self, table: ScoringTable) -> None:
        lists = (table.industry, table.budget, table.timeline, table.authority)
        self._bands = [band.at_least for band in table.company_size]
        self._places: list[dict[str, int]] = []
        weights: list[float] = [band.points for band in table.company_size]
        for listed in lists:
            self._places.append({name: len(weights) + place for place, name in enumerate(listed)})
            weights += listed.values()
        self._events = {name: len(weights) + place for place, name in enumerate(table.engagement)}
        self._weights = [*weights, *table.engagement.values()]
        self._half_life = table.half_life_days

    def features(self, facts: LeadFacts) -> list[float]:
        found = [0.0] * len(self._weights)
        number = _DIGITS.search(facts.company_size)
        if number:
            people = int(number.group().replace(",", ""))
            for place, least in enumerate(self._bands):
                if people >= least:
                    found[place] = 1.0
                    break
        texts = (facts.industry, facts.budget_range, facts.timeline, facts.authority_level)
        for places, text in zip(self._places, texts, strict=True):
            place = places.get(_DASH.sub("-", text.strip().casefold()), -1)
            if place >= 0:
                found[place] = 1.0
        for name, at in facts.engagement:
            days = (NOW - at).total_seconds() / 86_400
            found[self._events[name]] += 0.5 ** (days / self._half_life)
        return found

    def product(self, features: Sequence[float]) -> int:
        total: float = sum(map(operator.mul, self._weights, features))
        return max(0, min(100, round(total)))

    def __call__(self, facts: LeadFacts) -> int:
        return self.product(self.features(facts))


def rows(seed: int) -> list[Row]:
    """CPU of scoring 100,000 leads (4,000 different ones, 25 times over; half of them with one to four engagements).

    Reading of the budget: both sides start from a lead's facts, texts as people typed them, and end with its score.
    The floor turns the facts into numbers and takes the dot product with the weights, in plain Python; `score_lead`
    does that and explains every point and says when decay next changes the score. The bare product over features
    made beforehand stands in the details: it is what remains when nothing has to be read. `score_lead` remembers texts
    it has folded and points it has explained (a few hundred for any company); the plain floor remembers nothing.
    """
    stream, chance = Leads(seed), random.Random(seed)
    table = ScoringTable()
    everyone: list[LeadFacts] = []
    for number in range(DISTINCT):
        events = [
            (chance.choice(("email_open", "email_click", "form")), NOW - timedelta(hours=chance.randrange(1, 900)))
            for _ in range(chance.choice((0, 0, 0, 0, 1, 2, 3, 4)))
        ]
        plain = facts_of(stream.lead(number))
        everyone.append(
            LeadFacts(
                plain.company_size, plain.industry, plain.budget_range, plain.timeline, plain.authority_level, events
            )
        )
    model = DotProduct(table)
    apart = sum(abs(score_lead(facts, table, NOW).score - model(facts)) > 1 for facts in everyone)
    if apart:
        raise AssertionError(f"{apart} of {DISTINCT} leads score differently; the comparison would be of two things")

    def explained() -> None:
        for facts in everyone:
            score_lead(facts, table, NOW)

    def plainly() -> None:
        for facts in everyone:
            model(facts)

    prepared = [model.features(facts) for facts in everyone]

    def bare() -> None:
        for features in prepared:
            model.product(features)

    pair = side_by_side(explained, plainly, rounds=5, times=LEADS // DISTINCT // 5, clock=cpu)
    core = side_by_side(bare, plainly, rounds=3, times=2, clock=cpu)
    scale = 1e6 / DISTINCT
    more: dict[str, float | str] = {"bare product µs": round(min(core.ours) * scale, 2)}
    return [pair.row("scoring 100,000 leads over a plain dot product", 1.1, scale, "µs a lead", **more)]
