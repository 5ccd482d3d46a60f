"""The stack the suite drives. Without one the tests are skipped, except where a missing stack is itself a failure."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]  # xdist has no types

from local.aws import wiring_of
from revops.access import PlaceUser, User
from revops.kernel import Role, system_call
from tests.acceptance import orders
from tests.acceptance.stack import Json, Stack, fresh

_HERE = Path(__file__).parent
_FILE = Path(os.environ.get("REVOPS_STACK", _HERE.parents[1] / ".local" / "test" / "stack.json"))

_LONGEST_FIRST = (
    "test_assignment", "test_membership", "test_orders", "test_esign", "test_hubspot", "test_scoring",
)  # fmt: skip
"""Files that take long begin first, so that none is left over for one worker at the end."""

_WITH = {
    "test_access": "test_assignment", "test_lead_lists": "test_assignment", "test_tokens": "test_assignment",
    "test_keys": "test_assignment", "test_nurture": "test_assignment", "test_nothing_lost": "test_membership",
}  # fmt: skip
"""Files that share a worker with another. One sends people on leave whom others expect at work; two need rules that
are waited for once; two change how soon a queue brings a message again; and what waits more than it works (for rules,
roles and keys to be in force) leaves the other workers to those that work."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types for its schedulers
    """A file is one worker's, because its tests build on each other's set-up."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0]).stem
        return _WITH.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """How the tests are shared out when several workers run them."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; of those that share a worker, those that change what the others find come last."""
    order = {name: place for place, name in enumerate(_LONGEST_FIRST)}
    within = {name: place for place, name in enumerate(_WITH)}

    def place(item: pytest.Item) -> tuple[int, int]:
        file = item.path.stem
        return order.get(_WITH.get(file, file), len(order)), within.get(file, len(within))

    items.sort(key=place)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The deployed stack."""
    reason = f"no stack: {_FILE} is missing; `python -m local.stack up --for-tests` starts one"
    if not _FILE.exists():
        _absent(reason)
    with httpx.Client(timeout=60) as http:
        running = Stack(json.loads(_FILE.read_text(encoding="utf-8")), http)
        try:
            running.ok("GET", "/api/v1/health")
        except httpx.ConnectError:
            _absent(f"the stack of {_FILE} is down; `python -m local.stack up --for-tests` starts it")
        yield running


def _absent(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def stripe_faults(stack: Stack) -> Iterator[Stack]:
    """The stack, for a test that tells the Stripe simulator to misbehave; afterwards it behaves."""
    yield stack
    stack.behave("stripe")


@pytest.fixture
def hubspot_faults(stack: Stack) -> Iterator[Stack]:
    """The stack, for a test that tells the HubSpot simulator to misbehave; afterwards it behaves."""
    yield stack
    stack.behave("hubspot")


@pytest.fixture(scope="session")
def reps_order(stack: Stack) -> Json:
    """An active order of the seller of team A."""
    return orders.active(stack, "rep")


@pytest.fixture(scope="session")
def rep2s_order(stack: Stack) -> Json:
    """An active order of the seller of team B."""
    return orders.active(stack, "rep2")


@pytest.fixture(scope="module")
def impatient_queues(stack: Stack) -> Iterator[Stack]:
    """The stack with worker queues that bring a message again after seconds, as they do after minutes otherwise."""
    sqs, urls = stack.aws("sqs"), [stack.told["resources"][f"{name}QueueUrl"] for name in ("Stripe", "Hubspot")]
    patient = {
        url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"] for url in urls
    }
    for url in urls:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "8"})
    yield stack
    for url, attributes in patient.items():
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)


@dataclass
class Demoted:
    """Somebody who was an Admin until `at`, with the token they had then."""

    token: str
    at: float


def _place(stack: Stack, subject: str, role: Role) -> None:
    wiring, now = wiring_of(stack.told), datetime.now(UTC)
    wanted = User(
        id=subject,
        created_at=now,
        modified_at=now,
        name="temp",
        email=f"{subject}@example.com",
        role=role,
        team_id="team-b",
    )
    PlaceUser(wiring.table, wiring.clock).user(wanted, system_call("acceptance"))


@pytest.fixture(scope="session")
def demoted(stack: Stack) -> Iterator[Demoted]:
    cognito, word = stack.aws("cognito-idp"), fresh()
    name, password = f"{word}@example.com", f"{fresh()}{fresh()}aA7"
    made = cognito.admin_create_user(
        UserPoolId=stack.told["user_pool_id"], Username=name, MessageAction="SUPPRESS", TemporaryPassword=password
    )
    subject = next(each["Value"] for each in made["User"]["Attributes"] if each["Name"] == "sub")
    cognito.admin_set_user_password(
        UserPoolId=stack.told["user_pool_id"], Username=name, Password=password, Permanent=True
    )
    token = stack.aws("cognito-idp").initiate_auth(
        ClientId=stack.told["client_id"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )["AuthenticationResult"]["AccessToken"]
    stack.refused("GET", "/api/v1/settings/scoring", expect=401, token=token)  # nobody placed them yet
    _place(stack, subject, Role.ADMIN)
    stack.ok("GET", "/api/v1/settings/scoring", token=token)
    _place(stack, subject, Role.SALES_REP)
    yield Demoted(token, time.monotonic())
    cognito.admin_delete_user(UserPoolId=stack.told["user_pool_id"], Username=name)
