"""The access matrix of SAFE-1, probed over HTTP: every user × every route × records of every kind of owner."""

from dataclasses import dataclass

import pytest

from revops.access import MATRIX, Reach, Resource
from revops.kernel import Role
from tests.acceptance import orders
from tests.acceptance.people import audit_of, partner_lead
from tests.acceptance.stack import Json, Stack, eventually, fresh, problem

_NOBODYS_ACCOUNT = "ACC_00000000000000000000000000"


# -- the matrix --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A request on a record of somebody's. `need` is what the matrix has to grant, `allowed` the answer then."""

    resource: Resource
    need: str
    owner: str
    method: str
    path: str
    allowed: int = 200
    body: Json | None = None
    audit: bool = False


@pytest.fixture(scope="module")
def probes(stack: Stack, reps_order: Json, rep2s_order: Json) -> list[Probe]:
    """Requests that change nothing even where they are allowed: a version that never stood, an order that is done."""
    found = [_of_lead("sdr", partner_lead(stack)["id"])]
    for owner, order in (("rep", reps_order), ("rep2", rep2s_order)):
        domain = order["contact_email"].partition("@")[2]
        lead = partner_lead(stack, email=f"{fresh()}@{domain}")
        assert lead["owner_id"] == stack.user_id(owner)
        found += [_of_lead(owner, lead["id"]), _of_order(owner, order)]
        payer = order["stripe_customer_id"]
        eventually("the customer", lambda payer=payer: _linked(stack, payer))  # type: ignore[misc]
        found.append([Probe(Resource.BILLING, "read", owner, "GET", f"/api/v1/customers/{payer}")])
    content = stack.ok("GET", "/api/v1/settings/membership", user="admin")
    found.append(
        [
            Probe(Resource.SETTINGS, "read", "", "GET", "/api/v1/settings/membership"),
            Probe(
                Resource.SETTINGS,
                "read",
                "",
                "POST",
                "/api/v1/settings/membership/plan",
                body={"content": content["content"]},
            ),
            Probe(
                Resource.SETTINGS,
                "write",
                "",
                "PUT",
                "/api/v1/settings/membership",
                body={"content": content["content"], "version": content["version"]},
            ),
        ]
    )
    for probe in (probe for group in found for probe in group if probe.audit):
        audit_of(stack, probe.path.rpartition("/")[2])  # the trail follows the record
    return [probe for group in found for probe in group]


def _linked(stack: Stack, payer: str) -> bool:
    answer = stack.call("GET", f"/api/v1/customers/{payer}", user="admin")
    return answer.status_code == 200 and bool(answer.json()["customer"]["account_id"])


def _of_lead(owner: str, lead_id: str) -> list[Probe]:
    path = f"/api/v1/leads/{lead_id}"
    return [
        Probe(Resource.LEADS, "read", owner, "GET", path),
        Probe(Resource.LEADS, "write", owner, "PATCH", path, 409, {"version": 999_999, "job_title": "Probe"}),
        Probe(Resource.LEADS, "read", owner, "GET", f"/api/v1/audit/{lead_id}", audit=True),
    ]


def _of_order(owner: str, order: Json) -> list[Probe]:
    path = f"/api/v1/orders/{order['id']}"
    return [
        Probe(Resource.ACCOUNTS, "read", owner, "GET", f"/api/v1/accounts/{order['account_id']}"),
        Probe(Resource.OPPORTUNITIES, "read", owner, "GET", f"/api/v1/opportunities/{order['opportunity_id']}"),
        Probe(Resource.ORDERS, "read", owner, "GET", path),
        Probe(Resource.ORDERS, "read", owner, "GET", f"{path}/progress"),
        Probe(Resource.ORDERS, "read", owner, "GET", f"{path}/revisions"),
        Probe(Resource.ORDERS, "read", owner, "GET", f"{path}/comments"),
        Probe(Resource.ORDERS, "read", owner, "GET", f"{path}/document"),
        Probe(Resource.ORDERS, "review", owner, "POST", f"{path}/review", 409, {"decision": "approve"}),
        Probe(Resource.ORDERS, "write", owner, "POST", f"{path}/signature", 200, orders.signature()),
        Probe(Resource.ORDERS, "write", owner, "POST", f"{path}/resume", 409, {}),
        Probe(Resource.ORDERS, "write", owner, "POST", f"{path}/cancel", 409, {"reason": "probe"}),
        Probe(Resource.ACCOUNTS, "read", owner, "GET", f"/api/v1/audit/{order['account_id']}", audit=True),
        Probe(Resource.OPPORTUNITIES, "read", owner, "GET", f"/api/v1/audit/{order['opportunity_id']}", audit=True),
        Probe(Resource.ORDERS, "read", owner, "GET", f"/api/v1/audit/{order['id']}", audit=True),
    ]


def _reaches(stack: Stack, user: str, reach: Reach, owner: str) -> bool:
    users = stack.told["users"]
    match reach:
        case Reach.ALL:
            return True
        case Reach.TEAM:
            return bool(owner) and users[owner]["team"] == users[user]["team"]
        case Reach.OWN:
            return owner == user
        case _:
            return False


def _expected(stack: Stack, user: str, probe: Probe) -> int:
    """What the matrix says: not readable is 404, readable but not to be changed 403."""
    grants = MATRIX[Role(stack.told["users"][user]["role"])]
    grant = grants[Resource.AUDIT if probe.audit else probe.resource]
    if probe.audit and (grant.read is Reach.NONE or probe.resource not in grant.of):
        return 403  # of no such record at all, whether it is there or not
    if not _reaches(stack, user, grant.read, probe.owner):
        return 404
    if probe.need == "write" and not _reaches(stack, user, grant.write, probe.owner):
        return 403
    if probe.need == "review" and not grant.review:
        return 403
    return probe.allowed


@pytest.mark.usefixtures("demoted")  # begun here, looked at among the tokens
@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
def test_every_user_gets_on_every_route_what_the_matrix_grants(stack: Stack, probes: list[Probe]) -> None:
    wrong = []
    for user in stack.told["users"]:
        for probe in probes:
            more: Json = {} if probe.body is None else {"json": probe.body}
            answer = stack.call(probe.method, probe.path, user=user, **more)
            if answer.status_code != _expected(stack, user, probe):
                wrong.append(
                    f"{user} {probe.method} {probe.path} of {probe.owner or 'nobody'}: "
                    f"{answer.status_code}, not {_expected(stack, user, probe)}: {answer.text[:120]}"
                )
            if answer.status_code >= 400:
                problem(answer)
            if answer.status_code == 404 and probe.owner:
                assert stack.user_id(probe.owner) not in answer.text
    assert not wrong, "\n".join(wrong)


@pytest.mark.mission("SAFE-1", "SAFE-2")
@pytest.mark.fault("S1")
def test_lists_counts_and_creation_follow_the_matrix_too(stack: Stack) -> None:
    for user, entry in stack.told["users"].items():
        grants = MATRIX[Role(entry["role"])]
        for path, resource in (
            ("/api/v1/leads", Resource.LEADS),
            ("/api/v1/leads/counts", Resource.LEADS),
            ("/api/v1/pipeline/counts", Resource.OPPORTUNITIES),
        ):
            expected = 403 if grants[resource].read is Reach.NONE else 200
            answer = stack.call("GET", path, user=user)
            assert answer.status_code == expected, f"{user} {path}: {answer.text[:200]}"
        form = orders.form(account_id=_NOBODYS_ACCOUNT)
        expected = 403 if grants[Resource.ORDERS].write is Reach.NONE else 404
        answer = stack.call("POST", "/api/v1/orders", user=user, json=form)
        assert answer.status_code == expected, f"{user} submits: {answer.text[:200]}"


@pytest.mark.mission("SAFE-1")
def test_an_account_of_somebody_else_takes_no_order(stack: Stack, reps_order: Json) -> None:
    form = orders.form(account_id=reps_order["account_id"])
    stack.refused("POST", "/api/v1/orders", expect=404, user="rep2", json=form)
    deal = orders.form(account_id=reps_order["account_id"], opportunity_id=reps_order["opportunity_id"])
    stack.refused("POST", "/api/v1/orders", expect=400, user="rep", json=deal)  # the deal is won already


@pytest.mark.mission("SAFE-1", "CAP-5", "USE-1")
def test_a_key_opens_its_own_routes_and_no_other(stack: Stack, probes: list[Probe]) -> None:
    for key in ("partner_api_key", "usage_api_key"):
        for probe in probes[:12]:
            more: Json = {} if probe.body is None else {"json": probe.body}
            assert stack.call(probe.method, probe.path, key=key, **more).status_code == 401


@pytest.mark.mission("SAFE-1")
def test_an_unknown_route_or_method_is_refused_without_a_word_too_many(stack: Stack) -> None:
    for method, path in (("GET", "/api/v1/nothing"), ("DELETE", "/api/v1/leads/LEAD_1"), ("PUT", "/api/v1/orders")):
        answer = stack.call(method, path, user="admin")
        assert answer.status_code in {404, 405}
        assert "Traceback" not in answer.text
