"""The HubSpot simulator's API behaves as HubSpot's does, over real HTTP."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.builders.loopback import receiving
from tests.contract.hubspot_harness import CONTACTS, DEALS, SEARCH, Notices, Simulator, refused


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


def test_a_record_lives_from_creation_to_archive(sim: Simulator) -> None:
    record_id = sim.contact(email="Ada@Example.com", firstname="Ada", lastname="राहुल")
    first = sim.read(record_id, "email", "lastname", "phone")
    assert first["properties"]["email"] == "ada@example.com"
    assert first["properties"]["lastname"] == "राहुल"
    assert first["properties"]["phone"] is None

    changed = sim.api.patch(
        f"{CONTACTS}/{record_id}",
        json={"properties": {"phone": "+44 20 7946 0000"}},
    ).json()
    assert changed["properties"]["phone"] == "+44 20 7946 0000"
    assert changed["updatedAt"] > first["updatedAt"]
    again = sim.api.patch(
        f"{CONTACTS}/{record_id}",
        json={"properties": {"phone": "+44 20 7946 0000"}},
    ).json()
    assert again["updatedAt"] == changed["updatedAt"]

    with_history = sim.api.get(f"{CONTACTS}/{record_id}", params={"propertiesWithHistory": "phone"}).json()
    assert [entry["sourceType"] for entry in with_history["propertiesWithHistory"]["phone"]] == [
        "INTEGRATION",
    ]

    assert sim.api.delete(f"{CONTACTS}/{record_id}").status_code == 204
    assert sim.api.delete(f"{CONTACTS}/{record_id}").status_code == 204
    refused(sim.api.get(f"{CONTACTS}/{record_id}"), 404, "OBJECT_NOT_FOUND")
    archived = sim.api.get(f"{CONTACTS}/{record_id}", params={"archived": "true"}).json()
    assert archived["archived"]
    assert archived["archivedAt"]


def test_refused_values_are_named_all_at_once(sim: Simulator) -> None:
    properties = {"email": "not-an-address", "shoe_size": "44", "lifecyclestage": "fan", "hs_object_id": "7"}
    body = refused(
        sim.api.post(CONTACTS, json={"properties": properties, "associations": []}),
        400,
        "VALIDATION_ERROR",
    )
    assert body["message"].startswith("Property values were not valid: [{")
    found = {one["name"]: one["error"] for one in json.loads(body["message"].split(": ", 1)[1])}
    assert found == {
        "email": "INVALID_EMAIL",
        "shoe_size": "PROPERTY_DOESNT_EXIST",
        "lifecyclestage": "INVALID_OPTION",
        "hs_object_id": "READ_ONLY_VALUE",
    }
    refused(sim.api.post(CONTACTS, json={"properties": {}, "associations": []}), 400, "VALIDATION_ERROR")
    assert sim.emails() == set()


def test_an_email_is_held_by_one_contact(sim: Simulator) -> None:
    first = sim.contact(email="ada@example.com")
    second = sim.contact(email="bo@example.com")
    taken = {"properties": {"email": "ADA@example.com"}, "associations": []}
    body = refused(sim.api.post(CONTACTS, json=taken), 409, "CONFLICT")
    assert body["message"] == f"Contact already exists. Existing ID: {first}"
    move = sim.api.patch(f"{CONTACTS}/{second}", json={"properties": {"email": "ada@example.com"}})
    assert refused(move, 409, "CONFLICT")["message"].endswith(first)
    sim.api.delete(f"{CONTACTS}/{first}")
    assert sim.contact(email="ada@example.com") not in (first, second)


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic abc"])
def test_a_wrong_token_is_refused(sim: Simulator, header: str) -> None:
    answer = httpx.get(f"{sim.api.base_url}{CONTACTS}", headers={"Authorization": header})
    refused(answer, 401, "INVALID_AUTHENTICATION")


def test_a_batch_holds_a_hundred(sim: Simulator) -> None:
    inputs = [{"properties": {"email": f"p{n}@example.com"}, "associations": []} for n in range(101)]
    refused(sim.api.post(f"{CONTACTS}/batch/create", json={"inputs": inputs}), 400, "VALIDATION_ERROR")
    created = sim.post(f"{CONTACTS}/batch/create", {"inputs": inputs[:100]}, 201)
    assert len(created["results"]) == 100
    pages, after = [], None
    while True:
        query = {"limit": "40", **({"after": after} if after else {})}
        page = sim.api.get(CONTACTS, params=query).json()
        pages.append(len(page["results"]))
        after = page.get("paging", {}).get("next", {}).get("after")
        if after is None:
            break
    assert pages == [40, 40, 20]


def test_a_batch_is_all_or_nothing_unless_its_entries_are_traced(sim: Simulator) -> None:
    good = {"properties": {"email": "good@example.com"}, "associations": []}
    bad = {"properties": {"email": "bad"}, "associations": []}
    answer = sim.api.post(f"{CONTACTS}/batch/create", json={"inputs": [good, bad]})
    refused(answer, 400, "VALIDATION_ERROR")
    assert sim.emails() == set()

    traced = [{**good, "objectWriteTraceId": "one"}, {**bad, "objectWriteTraceId": "two"}]
    mixed = sim.post(f"{CONTACTS}/batch/create", {"inputs": traced}, 207)
    assert [one["objectWriteTraceId"] for one in mixed["results"]] == ["one"]
    assert mixed["numErrors"] == 1
    assert mixed["errors"][0]["context"]["objectWriteTraceId"] == ["two"]
    assert sim.emails() == {"good@example.com"}


def test_what_is_not_there_makes_a_batch_207(sim: Simulator) -> None:
    record_id = sim.contact(email="ada@example.com")
    wanted: dict[str, Any] = {"properties": [], "propertiesWithHistory": [], "inputs": [{"id": record_id}]}
    assert len(sim.post(f"{CONTACTS}/batch/read", wanted)["results"]) == 1
    mixed = sim.post(f"{CONTACTS}/batch/read", {**wanted, "inputs": [{"id": record_id}, {"id": "1"}]}, 207)
    assert [one["id"] for one in mixed["results"]] == [record_id]
    assert (mixed["errors"][0]["category"], mixed["errors"][0]["context"]["ids"]) == (
        "OBJECT_NOT_FOUND",
        ["1"],
    )
    updates = [{"id": key, "properties": {"firstname": "Ada"}} for key in (record_id, "1")]
    partly = sim.post(f"{CONTACTS}/batch/update", {"inputs": updates}, 207)
    assert partly["numErrors"] == 1
    assert sim.read(record_id)["properties"]["firstname"] == "Ada"


def test_upsert_by_a_custom_unique_property(sim: Simulator) -> None:
    name = sim.unique_property()

    def upsert(key: str, by: str = name, **properties: str) -> httpx.Response:
        entry = {"idProperty": by, "id": key, "properties": properties}
        return sim.api.post(f"{CONTACTS}/batch/upsert", json={"inputs": [entry]})

    created = upsert("PER_1", email="ada@example.com", firstname="Ada").json()["results"][0]
    assert created["new"] is True
    partial = upsert("PER_1", lastname="Lovelace").json()["results"][0]
    assert (partial["new"], partial["id"]) == (False, created["id"])
    held = sim.api.get(f"{CONTACTS}/PER_1", params={"idProperty": name}).json()["properties"]
    assert (held["email"], held["firstname"], held["lastname"]) == ("ada@example.com", "Ada", "Lovelace")

    by_email = upsert("ada@example.com", "email", firstname="Augusta")
    assert refused(by_email, 400, "VALIDATION_ERROR")["message"].startswith(
        "Partial upserts are not supported",
    )
    assert sim.read(created["id"])["properties"]["firstname"] == "Ada"
    refused(upsert("Ada", "firstname", lastname="L"), 400, "VALIDATION_ERROR")
    refused(upsert("PER_2", email="ada@example.com"), 409, "CONFLICT")

    twice = [{"idProperty": name, "id": "PER_3", "properties": {"firstname": text}} for text in ("A", "B")]
    refused(sim.api.post(f"{CONTACTS}/batch/upsert", json={"inputs": twice}), 400, "VALIDATION_ERROR")
    second = sim.contact(email="bo@example.com")
    taken = sim.api.patch(f"{CONTACTS}/{second}", json={"properties": {name: "PER_1"}})
    assert "CONFLICTING_UNIQUE_VALUE" in refused(taken, 400, "VALIDATION_ERROR")["message"]


def test_search_filters_sorts_and_pages(sim: Simulator) -> None:
    for number, amount in enumerate(("900", "1000", "25000", "")):
        deal = {"dealname": f"Deal {number}", "dealstage": "qualification", "amount": amount}
        sim.post(DEALS, {"properties": deal, "associations": []}, 201)
    for left_out in ("after", "sorts"):
        body = {name: value for name, value in SEARCH.items() if name != left_out}
        refused(sim.api.post(f"{DEALS}/search", json=body), 400, "VALIDATION_ERROR")

    def names(operator: str, **filter_: Any) -> list[str]:
        one = {"propertyName": "amount", "operator": operator, **filter_}
        body = {
            **SEARCH,
            "sorts": ["-amount"],
            "filterGroups": [{"filters": [one]}],
            "properties": ["dealname"],
        }
        return [row["properties"]["dealname"] for row in sim.post(f"{DEALS}/search", body)["results"]]

    assert names("GTE", value="1000") == ["Deal 2", "Deal 1"]
    assert names("BETWEEN", value="900", highValue="1000") == ["Deal 1", "Deal 0"]
    assert names("NOT_HAS_PROPERTY") == ["Deal 3"]
    assert names("IN", values=["900", "25000"]) == ["Deal 2", "Deal 0"]
    page = sim.post(f"{DEALS}/search", {**SEARCH, "limit": 3})
    assert (page["total"], len(page["results"]), page["paging"]["next"]["after"]) == (4, 3, "3")
    refused(sim.api.post(f"{DEALS}/search", json={**SEARCH, "limit": 201}), 400, "VALIDATION_ERROR")


def test_search_trails_by_the_lag(sim: Simulator) -> None:
    record_id = sim.contact(email="ada@example.com", firstname="Ada")
    sim.faults({"search_lag_seconds": 60})
    assert sim.emails() == set()
    sim.control("POST", "clock", {"advance_seconds": 61})
    assert sim.emails() == {"ada@example.com"}
    sim.api.patch(f"{CONTACTS}/{record_id}", json={"properties": {"email": "new@example.com"}})
    assert sim.emails() == {"ada@example.com"}
    assert sim.read(record_id)["properties"]["email"] == "new@example.com"
    sim.control("DELETE", "faults")
    assert sim.emails() == {"new@example.com"}


def test_the_rate_limit_answers_429_and_lets_go(sim: Simulator) -> None:
    sim.settings(rate_limit=5, rate_window_seconds=2)
    answers = [sim.api.get(CONTACTS) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[0].headers["X-HubSpot-RateLimit-Remaining"] == "4"
    body = refused(answers[5], 429, "RATE_LIMITS")
    assert body["policyName"] == "TEN_SECONDLY_ROLLING"
    wait = int(answers[5].headers["Retry-After"])
    assert 1 <= wait <= 2
    time.sleep(wait)
    assert sim.api.get(CONTACTS).status_code == 200


def test_associations_run_both_ways(sim: Simulator) -> None:
    contact = sim.contact(email="ada@example.com")
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}
    deal_body = {
        "properties": {"dealname": "Pilot", "dealstage": "appointment"},
        "associations": [{"to": {"id": contact}, "types": [spec]}],
    }
    deal = sim.post(DEALS, deal_body, 201)["id"]
    read = sim.post("/crm/associations/2026-09/contacts/deals/batch/read", {"inputs": [{"id": contact}]})
    assert [to["toObjectId"] for to in read["results"][0]["to"]] == [deal]
    shown = sim.api.get(f"{CONTACTS}/{contact}", params={"associations": "deals"}).json()
    assert shown["associations"]["deals"]["results"] == [{"id": deal, "type": "contact_to_deal"}]

    note = {
        "properties": {"hs_timestamp": "2026-11-20T09:00:00Z", "hs_note_body": "Called"},
        "associations": [],
    }
    note_id = sim.post("/crm/objects/2026-09/notes", note, 201)["id"]
    put = sim.api.put(f"/crm/objects/2026-09/notes/{note_id}/associations/default/contacts/{contact}")
    assert [one["associationSpec"]["associationTypeId"] for one in put.json()["results"]] == [202, 201]
    assert sim.api.delete(f"{DEALS}/{deal}/associations/contacts/{contact}").status_code == 204
    gone = sim.post("/crm/associations/2026-09/deals/contacts/batch/read", {"inputs": [{"id": deal}]}, 207)
    assert gone["results"] == []
    missing = sim.api.put(f"/crm/objects/2026-09/notes/{note_id}/associations/default/contacts/1")
    refused(missing, 404, "OBJECT_NOT_FOUND")
