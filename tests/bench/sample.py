"""Invented leads, the same for the same seed."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from revops.crm.facts import facts_of
from revops.crm.model import Assignment, Attribution, AuthorityLevel, Channel, Lead
from revops.crm.reading import features_of
from revops.crm.store import FIRST, LEADS, match_row, person_row
from revops.kernel import RandomIds
from revops.scoring import Rules, ScoringTable, score_lead
from revops.table import Row, claim_key

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
OWNERS = tuple(f"user-{number}" for number in range(8))
_FIRST = ("Asha", "Ben", "Carla", "Deniz", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Katya", "Liam", "Mina")
_STEM = ("ar", "bel", "cor", "dan", "el", "fir", "gor", "hal", "in", "jor", "kel", "lam", "mor", "nad", "or", "pel")
_TRADE = ("Logistics", "Foods", "Optics", "Robotics", "Textiles", "Energy", "Clinics", "Software", "Shipping")
_INDUSTRY = ("Software", "Manufacturing", "Healthcare", "Retail", "Mining", "Financial Services")
_BUDGET = ("10k-50k", "50k–100k", "100k+", "1k - 10k", "not disclosed", "")
_TIMELINE = ("immediate", "0-3 months", "3–6 months", "12+ months", "")
_SIZE = ("50-100", "1,000+ employees", "11–50", "250 people", "5", "")


@dataclass
class Leads:
    """A stream of leads."""

    seed: int

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._ids = RandomIds(self._random.getrandbits)
        self._stood: set[str] = set()
        self._rules = Rules(ScoringTable())

    def fields(self, number: int) -> dict[str, Any]:
        """What a sender says of a person; the number makes the address unique."""
        choose = self._random.choice
        last = "".join(choose(_STEM) for _ in range(3)).title()
        company = f"{choose(_STEM)}{choose(_STEM)}{choose(_STEM)} {choose(_TRADE)}".title()
        return {
            "first_name": choose(_FIRST),
            "last_name": last,
            "company": f"{company} Ltd",
            "email": f"{last.lower()}.{number}@{company.lower().replace(' ', '-')}-{number % 5000}.example",
            "phone": f"+4420{self._random.randrange(70000000, 79999999)}",
            "country": "GB",
            "company_size": choose(_SIZE),
            "industry": choose(_INDUSTRY),
            "budget_range": choose(_BUDGET),
            "timeline": choose(_TIMELINE),
            "authority_level": choose((*AuthorityLevel, None)),
            "job_title": "Head of Operations",
            "interest_product": "API",
        }

    def lead(self, number: int) -> Lead:
        """A lead as intake would have stored it."""
        owner = OWNERS[number % len(OWNERS)]
        at = NOW - timedelta(minutes=number)
        lead = Lead(
            id=self._ids.new("LEAD"),
            created_at=at,
            modified_at=at,
            person_id=self._ids.new("PER"),
            attribution=Attribution(source="Google Ads", campaign="autumn", medium="cpc", term="crm"),
            channel=Channel.PARTNER,
            owner_id=owner,
            assignee_id=owner,
            assignment=Assignment(owner_id=owner, rule="round-robin", explanation="round-robin: number 1 of 8"),
            gdpr_consent=True,
            **self.fields(number),
        )
        card = score_lead(facts_of(lead), self._rules, at)
        return lead.model_copy(update={"score": card.score, "score_card": card})

    def rows_of(self, lead: Lead) -> list[Row]:
        """Everything intake writes for a lead but the ticket: the lead, its person, claim and match entries."""
        claimed = claim_key("email", lead.email)
        keys = features_of(lead).blocking_keys()
        return [
            LEADS.row(lead),
            person_row(lead.person_id, lead_id=lead.id),
            Row(pk=claimed.pk, sk=claimed.sk, kind="CLAIM", doc=f'{{"holder": "{lead.id}"}}'),
            *(match_row(key, lead.person_id, lead.id, self._place(key)) for key in keys),
        ]

    def _place(self, key: str) -> str:
        """The first under a key stands where intake looks for it."""
        if key in self._stood:
            return ""
        self._stood.add(key)
        return FIRST
