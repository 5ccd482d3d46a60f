"""Who is who, on the deployed stack: the review list, merging, and undoing it (CAP-11)."""

from typing import Any

import pytest

from tests.acceptance.people import audit_of, by_email, partner_lead, person
from tests.acceptance.stack import Json, Stack, at_once, eventually, fields, fresh

_LIST = "/api/v1/duplicates"
_MERGES = "/api/v1/merges"


def _lead(stack: Stack, lead: Json, user: str = "admin") -> Json:
    found: Json = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user=user)
    return found


def _waiting(stack: Stack, user: str = "admin") -> list[Json]:
    found: list[Json] = []
    cursor = ""
    while True:
        page = stack.ok("GET", _LIST, user=user, params={"limit": 50} | ({"cursor": cursor} if cursor else {}))
        found += page["pairs"]
        cursor = page["next"]
        if not cursor:
            return found


def _pair_of(stack: Stack, lead: Json, user: str = "admin") -> Json | None:
    pairs = _waiting(stack, user)
    return next((pair for pair in pairs if lead["id"] in {side["id"] for side in pair["leads"]}), None)


def _two(stack: Stack, **second: Any) -> tuple[Json, Json, Json]:
    """Somebody, the same person again by another address, and the pair they are by then."""
    said = person()
    first = partner_lead(stack, **said)
    word = fresh()
    again = {"email": f"ada.{word}@mail-{word}.example", "job_title": "CTO", **second}
    other = partner_lead(stack, **(said | again))
    pair = eventually("the pair in the review list", lambda: _pair_of(stack, other)) or {}
    return first, other, pair


def _mobile() -> str:
    return f"+491515{int(fresh()[:8], 16) % 10**7:07d}"


@pytest.mark.mission("CAP-11", "CAP-10")
def test_a_resemblance_is_pending_and_listed_with_what_speaks_for_it(stack: Stack) -> None:
    first, other, pair = _two(stack)
    assert _lead(stack, other)["duplicate_check"] == "Pending"
    assert [side["id"] for side in pair["leads"]] == [other["id"], first["id"]]
    assert (pair["status"], pair["proposed"]) == ("Open", "review")
    evidence = {part["field"]: part for part in pair["evidence"]}
    assert evidence["first_name"]["similarity"] == evidence["company"]["similarity"] == 1
    assert 0.5 < pair["score"] <= 1


@pytest.mark.mission("CAP-11", "SAFE-3")
def test_a_pair_is_merged_and_the_merge_undone(stack: Stack) -> None:
    first, other, pair = _two(stack, timeline="immediate")
    before = [_lead(stack, lead) for lead in (first, other)]
    decided = stack.ok(
        "POST",
        f"{_LIST}/{pair['id']}/decision",
        user="admin",
        json={"decision": "merge", "values": {"timeline": other["id"]}},
    )
    assert decided["status"] == "Merged"
    survivor, merged = _lead(stack, first), _lead(stack, other)
    assert (survivor["timeline"], survivor["job_title"], survivor["email"]) == ("immediate", "CTO", first["email"])
    assert (merged["merged"], merged["merged_into"]) == (True, first["id"])
    assert [lead["id"] for lead in by_email(stack, other["email"])] == [first["id"]]
    assert _pair_of(stack, other) is None
    merge = stack.ok("GET", f"{_MERGES}/{merged['merge_id']}", user="admin")
    assert {(each["field"], each["kept"]) for each in merge["differences"]} == {
        ("email", first["email"]),
        ("timeline", "immediate"),
    }
    again = partner_lead(stack, expect=200, email=other["email"])
    assert again["id"] == first["id"], "who writes by the merged address is the survivor"
    change = {"version": merged["version"], "job_title": "CEO"}
    stack.refused("PATCH", f"/api/v1/leads/{other['id']}", expect=409, user="admin", json=change)

    undone = stack.ok("POST", f"{_MERGES}/{merge['id']}/undo", user="admin")
    assert undone["undone_at"]
    same = (
        "first_name", "last_name", "company", "email", "phone", "job_title", "timeline", "owner_id", "merged_into",
        "merged_from", "gdpr_consent", "status",
    )  # fmt: skip
    for lead, was in zip((first, other), before, strict=True):
        now = _lead(stack, lead)
        assert {name: now[name] for name in same} == {name: was[name] for name in same}
    assert [lead["id"] for lead in by_email(stack, other["email"])] == [other["id"]]
    assert _pair_of(stack, other) is not None, "it waits for another word"
    for lead in (first, other):
        trail = audit_of(stack, lead["id"], _lead(stack, lead)["version"])
        assert trail["faults"] == []


@pytest.mark.mission("CAP-11")
def test_told_apart_they_are_never_proposed_again(stack: Stack) -> None:
    _, other, pair = _two(stack)
    body = {"decision": "different"}
    decided = stack.ok("POST", f"{_LIST}/{pair['id']}/decision", user="admin", json=body)
    assert decided["status"] == "Different"
    assert decided["decided_by"] == stack.user_id("admin")
    assert _lead(stack, other)["duplicate_check"] == "Pass"
    assert _pair_of(stack, other) is None
    assert stack.ok("POST", f"{_LIST}/{pair['id']}/decision", user="admin", json=body) == decided


@pytest.mark.mission("CAP-11")
def test_who_is_certain_is_merged_by_the_system_and_a_strangers_form_is_not(stack: Stack) -> None:
    said = person(phone=_mobile())
    first = partner_lead(stack, **said)
    other = partner_lead(stack, **(said | {"email": f"a@{fresh()}.example"}))
    merged = eventually("the merge", lambda: now if (now := _lead(stack, other))["merged"] else None) or {}
    assert merged["merged_into"] == first["id"]
    assert stack.ok("GET", f"{_MERGES}/{merged['merge_id']}", user="admin")["automatic"] is True

    address = f"b@{fresh()}.example"
    assert stack.call("POST", "/api/v1/leads", json=said | {"email": address}).status_code == 202
    (stranger,) = eventually("the lead of the form", lambda: by_email(stack, address) or None) or []
    pair = eventually("the pair", lambda: _pair_of(stack, stranger)) or {}
    assert (pair["proposed"], _lead(stack, stranger)["duplicate_check"]) == ("same", "Fail")
    assert _lead(stack, stranger)["merged"] is False


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("S14")
@pytest.mark.parametrize("how", ["homograph", "invisible"])
def test_what_only_looks_like_somebody_is_never_merged_silently(stack: Stack, how: str) -> None:
    said = person(phone=_mobile())
    partner_lead(stack, **said)
    name = said["first_name"].replace("A", "А", 1) if how == "homograph" else f"A\u200bda{said['first_name'][3:]}"
    other = partner_lead(stack, **(said | {"email": f"c@{fresh()}.example", "first_name": name}))
    pair = eventually("the pair", lambda: _pair_of(stack, other)) or {}
    assert pair["flags"]
    assert (pair["proposed"], _lead(stack, other)["merged"]) == ("review", False)


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("R19")
def test_merged_both_ways_at_once_one_stands(stack: Stack) -> None:
    first, other, _ = _two(stack)

    def merge(one: Json, two: Json) -> int:
        body = {"survivor_id": one["id"], "merged_id": two["id"]}
        return stack.call("POST", _MERGES, user="admin", json=body).status_code

    answers = at_once([lambda: merge(first, other), lambda: merge(other, first)] * 3, 6)
    assert set(answers) <= {200, 409, 503}
    assert 200 in answers
    now = [_lead(stack, lead) for lead in (first, other)]
    assert sorted(lead["merged"] for lead in now) == [False, True]


@pytest.mark.mission("CAP-11", "SAFE-1")
@pytest.mark.fault("S1", "S2", "S19")
def test_nobody_else_learns_that_either_exists(stack: Stack) -> None:
    first, other, pair = _two(stack)
    nowhere = "DUP_" + "A" * 26
    body = {"decision": "different"}
    for user in ("rep", "rep2", "manager2"):
        assert _pair_of(stack, other, user) is None
        hidden = stack.refused("POST", f"{_LIST}/{pair['id']}/decision", expect=404, user=user, json=body)
        absent = stack.refused("POST", f"{_LIST}/{nowhere}/decision", expect=404, user=user, json=body)
        assert hidden["detail"].replace(pair["id"], "") == absent["detail"].replace(nowhere, "")
        merge = {"survivor_id": first["id"], "merged_id": other["id"]}
        stack.refused("POST", _MERGES, expect=404, user=user, json=merge)
    for user in ("legal", "finance"):
        stack.refused("GET", _LIST, expect=403, user=user)
    assert _pair_of(stack, other, "support") is not None
    stack.refused("POST", f"{_LIST}/{pair['id']}/decision", expect=403, user="support", json=body)
    assert _pair_of(stack, other, "sdr") is not None, "both are the SDR's own"


@pytest.mark.mission("CAP-11")
@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"decision": "perhaps"}, "decision"),
        ({}, "decision"),
        ({"decision": "merge", "survivor_id": "LEAD_other"}, "survivor_id"),
        ({"decision": "merge", "values": {"score": "LEAD_other"}}, "values.score"),
        ({"decision": "merge", "owner_id": "x"}, "owner_id"),
        ({"decision": "different", "survivor_id": "LEAD_other"}, "survivor_id"),
    ],
)
def test_a_decision_that_does_not_fit_is_named(stack: Stack, body: Json, named: str) -> None:
    _, _, pair = _two(stack)
    refusal = stack.refused("POST", f"{_LIST}/{pair['id']}/decision", expect=400, user="admin", json=body)
    assert fields(refusal) == {named}
