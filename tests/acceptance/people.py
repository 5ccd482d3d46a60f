"""Invented people and companies, as a form or a partner would send them."""

from typing import Any

from tests.acceptance.stack import Json, Stack, eventually, fresh

ATTRIBUTION = {"source": "Partner One", "campaign": "autumn", "medium": "referral", "term": "crm"}


def person(**said: Any) -> Json:
    """A complete, valid person from the EU at a company of their own, reachable by a fresh address."""
    word = fresh()
    return {
        "first_name": f"Ada {word[:4]}",
        "last_name": f"Lind{word[4:]}",
        "company": f"{word} Werke GmbH",
        "email": f"ada@{word}.example",
        "phone": f"+4930{int(word[:7], 16) % 10**7:07d}",
        "country": "DE",
        "company_size": "50-100",
        "industry": "Software",
        "budget_range": "10k-50k",
        "timeline": "0-3 months",
        "consent": [{"channel": "email", "purpose": "marketing", "granted": True, "wording_version": "2026-03"}],
    } | said


def partner_lead(stack: Stack, *, expect: int = 201, key: str = "", **said: Any) -> Json:
    """A lead as a partner sends it; the lead in the answer."""
    lead: Json = stack.ok(
        "POST",
        "/api/v1/partner/leads",
        expect=expect,
        key="partner_api_key",
        json=person(attribution=ATTRIBUTION) | said,
        headers={"Idempotency-Key": key or fresh()},
    )
    return lead


def by_email(stack: Stack, email: str, user: str = "admin") -> list[Json]:
    """The leads a user finds under an exact address."""
    leads: list[Json] = stack.ok("GET", "/api/v1/leads", user=user, params={"email": email})["leads"]
    return leads


def audit_of(stack: Stack, entity_id: str, versions: int = 1, user: str = "admin") -> Json:
    """A record's audit, once it has that many entries."""

    def look() -> Json | None:
        answer = stack.call("GET", f"/api/v1/audit/{entity_id}", user=user)
        trail: Json = answer.json()
        return trail if answer.status_code == 200 and len(trail["entries"]) >= versions else None

    return eventually(f"{versions} audit entries of {entity_id}", look) or {}


def patched(stack: Stack, lead_id: str, user: str = "admin", **change: Any) -> Json:
    """A lead after a change over whatever version stands by then."""

    def change_it() -> Json | None:
        version = stack.ok("GET", f"/api/v1/leads/{lead_id}", user=user)["version"]
        answer = stack.call("PATCH", f"/api/v1/leads/{lead_id}", user=user, json={"version": version} | change)
        assert answer.status_code in {200, 409}, answer.text[:400]
        body: Json = answer.json()
        return body if answer.status_code == 200 else None

    return eventually("a change", change_it) or {}
