"""The HubSpot simulator's notifications, its disorder on demand, and what it holds against its contract."""

import base64
import hashlib
import hmac
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.simulators.common import contracts_folder
from tests.builders.loopback import receiving
from tests.contract.hubspot_harness import (
    CONTACTS,
    DEALS,
    PORTAL,
    SEARCH,
    SECRET,
    Notices,
    Simulator,
    eventually,
    refused,
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with receiving(Notices()) as receiver:
        simulator = Simulator(tmp_path_factory.mktemp("hubspot"), receiver)
        with simulator.running():
            yield simulator


@pytest.fixture
def sim(served: Simulator) -> Iterator[Simulator]:
    """A fresh portal without rate limits; what it answered must have kept to the contract."""
    served.fresh()
    yield served
    wrong = [one for one in served.control("GET", "violations") if one["side"] != "request"]
    assert wrong == []


def signed_rightly(sim: Simulator, headers: dict[str, str], body: bytes) -> bool:
    timestamp = headers["x-hubspot-request-timestamp"]
    text = b"POST" + sim.receiver.address.encode() + body + timestamp.encode()
    expected = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(expected, headers["x-hubspot-signature-v3"])


def test_a_persons_edit_and_our_own_write_are_told_apart(sim: Simulator) -> None:
    app = sim.control("GET", "portal")["app_id"]
    record_id = sim.contact(email="ada@example.com")
    sim.settled()
    sim.control("POST", f"ui/contacts/{record_id}", {"properties": {"lastname": "Lovelace"}, "user_id": 7})
    sim.settled()
    creation, echo, edit = sim.receiver.events()
    assert creation == {
        "appId": app,
        "eventId": creation["eventId"],
        "subscriptionId": creation["subscriptionId"],
        "portalId": PORTAL,
        "occurredAt": creation["occurredAt"],
        "subscriptionType": "object.creation",
        "attemptNumber": 0,
        "objectId": int(record_id),
        "objectTypeId": "0-1",
        "changeFlag": "CREATED",
        "changeSource": "INTEGRATION",
        "sourceId": str(app),
    }
    assert (echo["subscriptionType"], echo["propertyName"]) == ("object.propertyChange", "email")
    assert (echo["changeSource"], echo["propertyValue"]) == ("INTEGRATION", "ada@example.com")
    assert (edit["changeSource"], edit["sourceId"]) == ("CRM_UI", "userId:7")
    assert (edit["propertyName"], edit["propertyValue"]) == ("lastname", "Lovelace")
    assert abs(edit["occurredAt"] - time.time() * 1000) < 60_000
    assert all(signed_rightly(sim, one.headers, one.body) for one in sim.receiver.requests)


def test_a_person_creates_and_archives(sim: Simulator) -> None:
    made = sim.control("POST", "ui/contacts", {"properties": {"email": "bo@example.com"}})
    sim.control("DELETE", f"ui/contacts/{made['id']}")
    sim.settled()
    assert [(one["subscriptionType"], one["changeSource"]) for one in sim.receiver.events()] == [
        ("object.creation", "CRM_UI"),
        ("object.propertyChange", "CRM_UI"),
        ("object.deletion", "CRM_UI"),
    ]


def test_the_echo_can_be_silenced(sim: Simulator) -> None:
    sim.settings(echo=False)
    record_id = sim.contact(email="ada@example.com", firstname="Ada")
    sim.control("POST", f"ui/contacts/{record_id}", {"properties": {"firstname": "Augusta"}})
    sim.settled()
    assert [one["propertyValue"] for one in sim.receiver.events()] == ["Augusta"]


def test_the_legacy_format_names_the_type(sim: Simulator) -> None:
    sim.settings(webhook_format="legacy", subscribed_properties=["dealstage"])
    deal = {"dealname": "Pilot", "dealstage": "appointment"}
    sim.post(DEALS, {"properties": deal, "associations": []}, 201)
    note = {"properties": {"hs_timestamp": "2026-11-20T09:00:00Z"}, "associations": []}
    sim.post("/crm/objects/2026-09/notes", note, 201)
    sim.settled()
    seen = [(one["subscriptionType"], one.get("objectTypeId")) for one in sim.receiver.events()]
    assert seen == [("deal.creation", None), ("deal.propertyChange", None), ("object.creation", "0-46")]


def test_one_change_shares_an_event_id(sim: Simulator) -> None:
    sim.contact(email="ada@example.com", firstname="Ada", lastname="Lovelace")
    sim.settled()
    ids = Counter(one["eventId"] for one in sim.receiver.events())
    assert sorted(ids.values()) == [1, 3]


def test_notifications_travel_in_batches_of_a_hundred(sim: Simulator) -> None:
    inputs = [{"properties": {"email": f"p{n}@example.com"}, "associations": []} for n in range(100)]
    sim.post(f"{CONTACTS}/batch/create", {"inputs": inputs}, 201)
    sim.settled()
    assert [len(batch) for batch in sim.receiver.batches()] == [100, 100]
    told = Counter((one["objectId"], one["subscriptionType"]) for one in sim.receiver.events())
    assert len(told) == 200
    assert set(told.values()) == {1}


def test_a_retry_is_signed_afresh(sim: Simulator) -> None:
    sim.settings(subscribed_properties=[])
    sim.receiver.statuses[:] = [500, 302]
    sim.contact(email="ada@example.com")
    sim.settled()
    assert [batch[0]["attemptNumber"] for batch in sim.receiver.batches()] == [0, 1, 2]
    assert all(signed_rightly(sim, one.headers, one.body) for one in sim.receiver.requests)
    stamps = [int(one.headers["x-hubspot-request-timestamp"]) for one in sim.receiver.requests]
    assert stamps == sorted(set(stamps))


def test_state_and_undelivered_notifications_survive_a_restart(tmp_path: Path) -> None:
    with Notices() as receiver:
        simulator = Simulator(tmp_path, receiver)
        with simulator.running():
            simulator.settings(subscribed_properties=[])
            record_id = simulator.contact(email="ada@example.com")
            name = simulator.unique_property()
        receiver.listen()
        with simulator.running():
            eventually(receiver.events)
            assert [one["objectId"] for one in receiver.events()] == [int(record_id)]
            assert simulator.read(record_id)["properties"]["email"] == "ada@example.com"
            assert simulator.api.get(f"/crm/v3/properties/contacts/{name}").json()["hasUniqueValue"] is True
            taken = {"properties": {"email": "ada@example.com"}, "associations": []}
            refused(simulator.api.post(CONTACTS, json=taken), 409, "CONFLICT")


def test_duplicates_and_disorder_on_demand(sim: Simulator) -> None:
    sim.settings(subscribed_properties=["firstname"], echo=False)
    record_id = sim.contact(email="ada@example.com")

    def edit(value: str) -> None:
        sim.control("POST", f"ui/contacts/{record_id}", {"properties": {"firstname": value}})

    sim.faults({"on": "webhook", "do": "duplicate", "copies": 2, "match": {"type": "firstname"}, "times": 1})
    edit("A")
    sim.settled()
    assert [one["propertyValue"] for one in sim.receiver.events()] == ["A", "A", "A"]
    assert len({one["eventId"] for one in sim.receiver.events()}) == 1

    sim.receiver.requests.clear()
    sim.faults({"on": "webhook", "do": "reorder", "window": 3, "seconds": 30, "times": 3})
    for value in ("B", "C", "D"):
        edit(value)
    sim.settled()
    values = [one["propertyValue"] for one in sim.receiver.events()]
    assert sorted(values) == ["B", "C", "D"]
    assert values != ["B", "C", "D"]

    sim.receiver.requests.clear()
    sim.faults({"on": "webhook", "do": "delay", "seconds": 600, "times": 1})
    edit("E")
    edit("F")
    eventually(sim.receiver.events)
    assert [one["propertyValue"] for one in sim.receiver.events()] == ["F"]
    sim.control("POST", "flush")
    sim.settled()
    assert [one["propertyValue"] for one in sim.receiver.events()] == ["F", "E"]


def test_errors_and_lost_answers_on_demand(sim: Simulator) -> None:
    body = {"properties": {"email": "ada@example.com"}, "associations": []}
    sim.faults({"on": "request", "do": "status", "status": 429, "retry_after": 3, "times": 1})
    answer = sim.api.post(CONTACTS, json=body)
    refused(answer, 429, "RATE_LIMITS")
    assert answer.headers["Retry-After"] == "3"
    sim.faults({"on": "request", "do": "status", "status": 500, "times": 1})
    refused(sim.api.post(CONTACTS, json=body), 500, "INTERNAL_ERROR")
    assert sim.emails() == set()
    tried = [one for one in sim.control("GET", "requests") if one["path"] == CONTACTS]
    assert [(one["status"], one["fault"]) for one in tried] == [(429, "status"), (500, "status")]

    sim.faults({"on": "request", "do": "lose_response", "match": {"method": "POST"}, "times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        sim.api.post(CONTACTS, json=body)
    assert sim.emails() == {"ada@example.com"}
    refused(sim.api.post(CONTACTS, json=body), 409, "CONFLICT")


@pytest.mark.skipif(contracts_folder("hubspot") is None, reason="HubSpot's OpenAPI documents are not here")
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "where"),
    [
        ("GET", "/crm/v3/objects/contacts", None, 404, "/crm/v3/objects/contacts"),
        ("GET", f"{CONTACTS}?page=2", None, 400, "page"),
        ("GET", f"{CONTACTS}?limit=many", None, 400, "limit"),
        ("POST", CONTACTS, {"properties": {"firstname": "Ada"}}, 400, "associations"),
        (
            "POST",
            CONTACTS,
            {"properties": {"firstname": 7}, "associations": []},
            400,
            "properties[firstname]",
        ),
        ("POST", CONTACTS, {"properties": {}, "associations": [], "force": True}, 400, "force"),
        ("POST", f"{CONTACTS}/search", {**SEARCH, "after": 0}, 400, "after"),
    ],
)
def test_what_the_contract_does_not_know_is_refused_and_recorded(
    sim: Simulator, method: str, path: str, body: Any, status: int, where: str
) -> None:
    answer = sim.api.request(method, path, json=body)
    refused(answer, status, "OBJECT_NOT_FOUND" if status == 404 else "VALIDATION_ERROR")
    (violation,) = sim.control("GET", "violations")
    assert violation["side"] == "request"
    assert [problem["where"] for problem in violation["problems"]] == [where]


def test_without_the_contract_bad_input_is_still_refused(tmp_path: Path) -> None:
    without = {"REVOPS_CONTRACTS": os.fspath(tmp_path / "absent")}
    with Notices() as receiver, (simulator := Simulator(tmp_path, receiver, without)).running():
        assert simulator.control("GET", "health")["contract"] == "off: no contracts folder"
        batch = f"{CONTACTS}/batch"
        bad: list[tuple[str, Any]] = [
            (CONTACTS, []),
            (CONTACTS, {"properties": {"firstname": 7}, "associations": []}),
            (CONTACTS, {"properties": {"firstname": "Ada"}}),
            (CONTACTS, {"properties": {"firstname": "Ada"}, "associations": [{"to": 1}]}),
            (f"{CONTACTS}/search", {**SEARCH, "sorts": None}),
            (f"{CONTACTS}/search", {**SEARCH, "filterGroups": [7]}),
            (f"{batch}/create", {"inputs": []}),
            (f"{batch}/update", {"inputs": [{"id": 1}]}),
            (f"{batch}/upsert", {"inputs": [7]}),
            ("/crm/associations/2026-09/deals/contacts/batch/create", {"inputs": [{"from": {}}]}),
            ("/crm/v3/properties/contacts", {"name": "shoe_size"}),
        ]
        for path, body in bad:
            refused(simulator.api.post(path, json=body), 400, "VALIDATION_ERROR")
        refused(simulator.api.post(CONTACTS, content=b"{"), 400, "VALIDATION_ERROR")
        refused(simulator.api.get("/crm/v3/objects/contacts"), 404, "OBJECT_NOT_FOUND")
        assert json.loads(simulator.api.get("/_sim/violations").content) == []
