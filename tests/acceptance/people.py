"""Invented people and companies, as a form or a partner would send them."""

import hashlib
import json
import uuid
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


def arrived(stack: Stack, email: str) -> Json:
    """The lead with an address, once what was sent became one."""
    (lead,) = eventually(f"a lead with the address {email}", lambda: by_email(stack, email))
    return lead


def claimed(stack: Stack, name: str, value: str) -> Json | None:
    """The lead that holds a canonical e-mail (`email`), or the number of somebody without one (`phone`)."""
    held = stack.row(f"CLAIM#{name}#{hashlib.sha256(value.encode()).hexdigest()}", "CLAIM")
    if held is None:
        return None
    lead: Json = stack.ok("GET", f"/api/v1/leads/{json.loads(held['doc']['S'])['holder']}", user="admin")
    return lead


def by_phone(stack: Stack, phone: str) -> Json | None:
    """The lead of somebody who left a number and no address, if there is one."""
    return claimed(stack, "phone", phone)


def fresh_phone() -> str:
    """A German mobile number in E.164 that nobody used before."""
    return f"+49151{uuid.uuid4().int % 10**8:08d}"


def timeline(stack: Stack, record: str) -> list[Json]:
    """The activities about a record, oldest first."""
    found = stack.dynamodb.query(
        TableName=stack.told["table_name"],
        IndexName="gsi1",
        KeyConditionExpression="g1pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"ACTIVITIES#{record}"}},
    )["Items"]
    rows = (stack.row(item["pk"]["S"], item["sk"]["S"]) for item in found)
    return [json.loads(row["doc"]["S"]) for row in rows if row is not None]


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


def acted(
    stack: Stack, lead_id: str, route: str, *, method: str = "POST", user: str = "admin", expect: int = 200, **body: Any
) -> Json:
    """The answer of a route under a lead that asks for its version, over whatever version stands by then."""

    def act() -> Json | None:
        version = stack.ok("GET", f"/api/v1/leads/{lead_id}", user=user)["version"]
        answer = stack.call(method, f"/api/v1/leads/{lead_id}/{route}", user=user, json={"version": version} | body)
        said: Json = answer.json()
        if answer.status_code == 409 and "current_version" in said:
            return None
        assert answer.status_code == expect, answer.text[:600]
        return said

    return eventually(f"{method} {route}", act) or {}
