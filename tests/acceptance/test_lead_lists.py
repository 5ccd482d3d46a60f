"""Lists of leads: mine, my team's, all; newest or best first; paged by cursors nobody else can use (S1, S18)."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.people import acted, by_email, partner_lead, patched
from tests.acceptance.stack import Json, Stack, eventually, fields, fresh

_PATH = "/api/v1/leads"


def _listed(stack: Stack, user: str, **asked: Any) -> Json:
    page: Json = stack.ok("GET", _PATH, user=user, params=asked)
    return page


def _paged(stack: Stack, user: str, **asked: Any) -> Iterator[Json]:
    """Every lead of a list, page by page."""
    cursor = ""
    while True:
        page = _listed(stack, user, **asked, **({"cursor": cursor} if cursor else {}))
        yield from page["leads"]
        cursor = page["next"]
        if not cursor:
            return


@pytest.fixture(scope="module")
def rep2s_leads(stack: Stack, rep2s_order: Json) -> list[str]:
    """Five leads of the seller of team B: people of a company whose account is theirs."""
    domain = rep2s_order["contact_email"].partition("@")[2]
    leads = [
        partner_lead(stack, email=f"{fresh()}@{domain}", company_size=size)
        for size in ("1-10", "11-50", "51-200", "201-1000", "1000+")
    ]
    assert {lead["owner_id"] for lead in leads} == {stack.user_id("rep2")}
    return [lead["id"] for lead in leads]


@pytest.mark.mission("CAP-12")
def test_a_person_of_an_existing_account_goes_to_its_owner(
    stack: Stack, rep2s_leads: list[str], rep2s_order: Json
) -> None:
    lead = stack.ok("GET", f"{_PATH}/{rep2s_leads[0]}", user="rep2")
    assert "account owner" in lead["assigned_by"] or rep2s_order["account_id"] in lead["assigned_by"]
    assert lead["account_id"] == rep2s_order["account_id"]


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
def test_each_sees_the_leads_their_role_reaches_and_no_other(stack: Stack, rep2s_leads: list[str]) -> None:
    ours = partner_lead(stack)["id"]
    sees = {
        ("sdr", "mine"): (True, False),
        ("sdr", "team"): (True, False),
        ("rep", "mine"): (False, False),
        ("rep2", "mine"): (False, True),
        ("rep2", "team"): (False, True),
        ("manager", "team"): (True, False),
        ("manager2", "team"): (False, True),
        ("manager2", "mine"): (False, False),
        ("admin", "all"): (True, True),
        ("support", "all"): (True, True),
    }
    for (user, scope), (sees_ours, sees_theirs) in sees.items():
        found = {lead["id"] for lead in _paged(stack, user, scope=scope, limit=100)}
        assert (ours in found, set(rep2s_leads) <= found) == (sees_ours, sees_theirs), (user, scope)
        if not sees_theirs:
            assert not set(rep2s_leads) & found, (user, scope)
    for user in ("manager", "rep", "sdr"):
        stack.refused("GET", _PATH, expect=403, user=user, params={"scope": "all"})
    for user in ("legal", "finance"):
        stack.refused("GET", _PATH, expect=403, user=user)


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1", "S19")
def test_an_exact_address_finds_only_what_the_caller_may_read(stack: Stack) -> None:
    lead = partner_lead(stack)
    for user, finds in (
        ("admin", 1),
        ("sdr", 1),
        ("manager", 1),
        ("support", 1),
        ("rep", 0),
        ("rep2", 0),
        ("manager2", 0),
    ):
        assert len(by_email(stack, lead["email"].upper(), user)) == finds, user
    assert by_email(stack, f"nobody@{fresh()}.example") == []
    for user in ("legal", "finance"):
        stack.refused("GET", _PATH, expect=403, user=user, params={"email": lead["email"]})


@pytest.mark.mission("SAFE-2", "SEE-4")
def test_counts_are_those_of_the_lists(stack: Stack, rep2s_leads: list[str]) -> None:
    patched(stack, rep2s_leads[0], user="rep2", status="Contacted")
    for user, scope in (("rep2", "mine"), ("manager2", "team"), ("manager", "team"), ("sdr", "mine"), ("admin", "all")):

        def agree(user: str = user, scope: str = scope) -> bool:
            listed = Counter(lead["status"] for lead in _paged(stack, user, scope=scope, limit=100))
            archived = _paged(stack, user, scope=scope, sort="score", status=["Converted"], limit=100)
            listed.update(lead["status"] for lead in archived)  # they stand in the list of their status alone
            return bool(stack.ok("GET", f"{_PATH}/counts", user=user)["counts"] == dict(listed))

        eventually(f"the counts of {user}", agree)
    assert stack.ok("GET", f"{_PATH}/counts", user="rep2")["counts"]["Contacted"] >= 1
    assert stack.ok("GET", f"{_PATH}/counts", user="support") == stack.ok("GET", f"{_PATH}/counts", user="admin")
    for user in ("legal", "finance"):
        stack.refused("GET", f"{_PATH}/counts", expect=403, user=user)


@pytest.mark.mission("LEAD-1", "SAFE-2")
def test_newest_first_and_best_first_in_pages_that_miss_and_repeat_nothing(
    stack: Stack, rep2s_leads: list[str]
) -> None:
    whole = list(_paged(stack, "rep2", limit=100))
    assert [lead["id"] for lead in _paged(stack, "rep2", limit=2)] == [lead["id"] for lead in whole]
    created = [lead["created_at"] for lead in whole]
    assert created == sorted(created, reverse=True)
    assert set(rep2s_leads) <= {lead["id"] for lead in whole}
    best = list(_paged(stack, "rep2", sort="score", limit=2))
    scores = [lead["score"] for lead in best]
    assert scores == sorted(scores, reverse=True)
    assert len({lead["id"] for lead in best}) == len(best)
    bar = scores[len(scores) // 2]
    high = list(_paged(stack, "rep2", sort="score", min_score=bar, limit=100))
    assert [lead["id"] for lead in high] == [lead["id"] for lead in best if lead["score"] >= bar]
    everywhere = list(_paged(stack, "admin", scope="all", limit=50))
    assert [lead["created_at"] for lead in everywhere] == sorted(
        (lead["created_at"] for lead in everywhere), reverse=True
    )


@pytest.mark.mission("LEAD-2")
def test_best_first_of_chosen_statuses(stack: Stack, rep2s_leads: list[str]) -> None:
    acted(stack, rep2s_leads[1], "disqualify", user="rep2", reason="no_need")
    found = list(_paged(stack, "rep2", sort="score", status=["Unqualified", "Disqualified"], limit=100))
    assert rep2s_leads[1] in {lead["id"] for lead in found}
    assert {lead["status"] for lead in found} <= {"Unqualified", "Disqualified"}


@pytest.mark.mission("SAFE-2")
@pytest.mark.fault("S18")
def test_a_cursor_serves_its_own_caller_and_list_alone(stack: Stack, rep2s_leads: list[str]) -> None:
    cursor = _listed(stack, "rep2", limit=2)["next"]
    assert cursor
    assert len(rep2s_leads) > 2
    middle = len(cursor) // 2
    swapped = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    foreign: list[tuple[str, Json]] = [
        ("rep2", {"cursor": swapped}),
        ("rep2", {"cursor": cursor[:-4]}),
        ("rep2", {"cursor": "nonsense"}),
        ("rep2", {"cursor": "é%00"}),
        ("rep2", {"cursor": cursor, "sort": "score"}),
        ("rep2", {"cursor": cursor, "scope": "team"}),
        ("manager2", {"cursor": cursor}),
        ("admin", {"cursor": cursor}),
    ]
    for user, asked in foreign:
        refusal = stack.refused("GET", _PATH, expect=400, user=user, params={"limit": 2} | asked)
        assert fields(refusal) == {"cursor"}, (user, asked)
    assert _listed(stack, "rep2", limit=2, cursor=cursor)["leads"]


@pytest.mark.fault("S13")
@pytest.mark.mission("CAP-10")
@pytest.mark.parametrize(
    "asked",
    [{"nonsense": "1"}, {"limit": 0}, {"limit": 101}, {"limit": "many"}, {"min_score": 101}, {"scope": "everybody"},
     {"sort": "name"}, {"status": "Sold"}, {"email": "x" * 321}, {"cursor": "x" * 4001}],
)  # fmt: skip
def test_a_parameter_that_does_not_fit_is_named(stack: Stack, asked: Json) -> None:
    refusal = stack.refused("GET", _PATH, expect=400, user="admin", params=asked)
    assert {name.partition(".")[0] for name in fields(refusal)} == set(asked)
