"""Scoring against a plain Python dot product."""

import math
import operator
import random
import re
from collections.abc import Sequence
from datetime import timedelta

from revops.crm.facts import facts_of
from revops.crm.model import Engagement, Lead
from revops.scoring import LearnedModel, Rules, ScoringTable, score_lead
from revops.scoring.learned import FieldWeights
from tests.bench.measure import Row, cpu, side_by_side
from tests.bench.sample import NOW, Leads
from tests.builders.history import VALUES

LEADS = 100_000
DISTINCT = 4_000
_DIGITS = re.compile(r"\d[\d,]*")
_DASH = re.compile(r"\s*[–—-]\s*")
_LEVELS = (
    ("chief", re.compile(r"\b(?:chief|c[etfoimp]o|founder|owner|president)\b")),
    ("head", re.compile(r"\b(?:vp|vice|head|director)\b")),
    ("manager", re.compile(r"\b(?:manager|lead)\b")),
    ("junior", re.compile(r"\b(?:intern|trainee|assistant)\b")),
)
_FREE = frozenset({"gmail.com", "outlook.com", "web.de", "gmx.de", "yahoo.com"})
_SIZES = (1000, 250, 50, 10, 1)


def the_model() -> LearnedModel:
    """A model of the size a company's would have: twelve fields, some fifty weights."""
    fields = {name: FieldWeights(values=dict(values), other=-0.05) for name, values in VALUES.items()}
    return LearnedModel(base_rate=0.2, fields=fields)


class DotProduct:
    """The same as two linear models in plain Python: a 0/1 feature per listed value, the weights of table and model,
    one sum of products for the points and one for the log odds, bounded, added, clamped. No explanation, no time of the
    next change, nothing validated, nothing remembered."""

    def __init__(self, table: ScoringTable, model: LearnedModel) -> None:
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
        self._values: list[dict[str, int]] = []
        self._others: list[int] = []
        learned: list[float] = []
        for name in VALUES:
            field = model.fields[name]
            self._values.append({value: len(learned) + place for place, value in enumerate(field.values)})
            learned += [*field.values.values(), field.other]
            self._others.append(len(learned) - 1)
        self._learned = learned

    def features(self, lead: Lead) -> tuple[list[float], list[float]]:
        texts = [
            _DASH.sub("-", text.strip().casefold())
            for text in (
                lead.industry, lead.budget_range, lead.timeline, lead.authority_level or "", lead.interest_product,
                lead.country, lead.channel, lead.attribution.source, lead.attribution.medium,
            )
        ]  # fmt: skip
        industry, budget, timeline, authority, product, country, channel, source, medium = texts
        number = _DIGITS.search(lead.company_size)
        people = int(number.group().replace(",", "")) if number else -1
        found = self._fit(people, (industry, budget, timeline, authority))
        for done in lead.engagement:
            days = (NOW - done.at).total_seconds() / 86_400
            found[self._events[done.event]] += 0.5 ** (days / self._half_life)
        title, domain = lead.job_title.casefold(), lead.email.rpartition("@")[2].casefold()
        level = next((name for name, words in _LEVELS if words.search(title)), "other" if title else "")
        mail = "" if not domain else "free" if domain in _FREE else "company"
        size = next((str(least) for least in _SIZES if people >= least), "")
        came = (size, industry, budget, timeline, authority, level, product, country, channel, source, medium, mail)
        odds = [0.0] * len(self._learned)
        for values, other, value in zip(self._values, self._others, came, strict=True):
            odds[values.get(value, other)] = 1.0
        return found, odds

    def _fit(self, people: int, texts: Sequence[str]) -> list[float]:
        found = [0.0] * len(self._weights)
        for place, least in enumerate(self._bands):
            if people >= least:
                found[place] = 1.0
                break
        for places, text in zip(self._places, texts, strict=True):
            place = places.get(text, -1)
            if place >= 0:
                found[place] = 1.0
        return found

    def product(self, features: tuple[Sequence[float], Sequence[float]]) -> int:
        found, odds = features
        points: float = sum(map(operator.mul, self._weights, found))
        learned: float = sum(map(operator.mul, self._learned, odds))
        return max(0, min(100, round(points + 20 * math.tanh(learned / 2))))

    def __call__(self, lead: Lead) -> int:
        return self.product(self.features(lead))


def rows(seed: int) -> list[Row]:
    """CPU of scoring 100,000 leads (4,000 different ones, 25 times over; half of them with one to four engagements) by
    a table and a model of twelve fields.

    Reading of the budget: both sides start from a lead, texts as people typed them, and end with its score. The floor
    turns the lead into numbers and takes two dot products with the weights, in plain Python; `facts_of` and
    `score_lead` do that and explain every point and say when decay next changes the score. The bare products over
    features made beforehand stand in the details: they are what remains when nothing has to be read. `score_lead`
    remembers texts it has folded and points it has explained (a few hundred for any company); the plain floor remembers
    nothing.
    """
    stream, chance = Leads(seed), random.Random(seed)
    everyone = [_engaged(stream.lead(number), chance) for number in range(DISTINCT)]
    rules = Rules(ScoringTable(), the_model(), 1, 1)
    floor = DotProduct(rules.table, rules.model)
    apart = sum(abs(score_lead(facts_of(lead), rules, NOW).score - floor(lead)) > 1 for lead in everyone)
    if apart:
        raise AssertionError(f"{apart} of {DISTINCT} leads score differently; the comparison would be of two things")

    def explained() -> None:
        for lead in everyone:
            score_lead(facts_of(lead), rules, NOW)

    def plainly() -> None:
        for lead in everyone:
            floor(lead)

    prepared = [floor.features(lead) for lead in everyone]

    def bare() -> None:
        for features in prepared:
            floor.product(features)

    origins = [facts_of(lead).origin for lead in everyone]

    def learned() -> None:
        for origin in origins:
            rules.model.points(origin)

    pair = side_by_side(explained, plainly, rounds=5, times=LEADS // DISTINCT // 5, clock=cpu)
    core = side_by_side(bare, learned, rounds=3, times=2, clock=cpu)
    scale = 1e6 / DISTINCT
    more: dict[str, float | str] = {
        "bare products µs": round(min(core.ours) * scale, 2),
        "learned term alone µs": round(min(core.floor) * scale, 2),
    }
    return [pair.row("scoring 100,000 leads over a plain dot product", 1.1, scale, "µs a lead", **more)]


def _engaged(lead: Lead, chance: random.Random) -> Lead:
    done = tuple(
        Engagement(
            event=chance.choice(("email_open", "email_click", "form")),
            at=NOW - timedelta(hours=chance.randrange(1, 900)),
        )
        for _ in range(chance.choice((0, 0, 0, 0, 1, 2, 3, 4)))
    )
    return lead.model_copy(update={"engagement": done})
