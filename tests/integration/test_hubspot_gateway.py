"""The HubSpot adapter, and both directions over it, against the simulator: real HTTP, checked against the contract."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from revops.adapters.hubspot_gateway import HttpHubspotGateway
from revops.adapters.hubspot_signature import verify_hubspot_signature
from revops.inbox import INBOX, InboxStatus, ReceiveSignal, Settlement, Signal, inbox_id
from revops.kernel import SystemClock, Unavailable
from revops.settings import SettingsReader
from revops.sync import (
    BudgetedGateway,
    ConvergeContact,
    DirtyMark,
    EnsureProperties,
    HandleMessage,
    HubspotFields,
    PushPerson,
    RateBudget,
    ReceiveEvents,
    ReportDrift,
    SweepDirty,
    conflicts_of,
    mark_dirty,
    parse_events,
    read_log,
    signals,
)
from revops.sync.exchange import sync_call
from revops.sync.model import IDENTITY, ContactWrite
from revops.sync.portal import Drift
from revops.sync.ports import OutcomeUnknown, RateLimited, RemoteExists, RemoteGone, RemoteRefused
from revops.sync.store import read_mark
from revops.table.dynamo import DynamoTable
from tests.builders.clock import ManualClock
from tests.builders.loopback import receiving
from tests.contract.hubspot_harness import PORTAL, SECRET, TOKEN, Notices, Simulator
from tests.unit.sync.fakes import FakePeople, NoBlobs, World

FIELDS = HubspotFields()
ANN = "PER_ANN"
RETURNED = ("email", "firstname", "phone", IDENTITY)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    folder: Path = tmp_path_factory.mktemp("hubspot")
    with receiving(Notices()) as receiver, (running := Simulator(folder, receiver)).running():
        yield running


@pytest.fixture
def gateway(simulator: Simulator) -> Iterator[HttpHubspotGateway]:
    simulator.control("DELETE", "faults")
    simulator.fresh()
    made = HttpHubspotGateway(lambda: TOKEN, f"http://127.0.0.1:{simulator.port}")
    made.define([line for line in FIELDS.contacts if line.custom])
    yield made
    made.close()
    assert simulator.control("GET", "violations") == []


@pytest.mark.mission("HUB-2")
def test_properties_are_made_once(gateway: HttpHubspotGateway, simulator: Simulator) -> None:
    simulator.fresh()
    custom = [line for line in FIELDS.contacts if line.custom]
    assert gateway.define(custom) == len(custom) + 1
    assert gateway.define(custom) == 0
    definition = simulator.api.get(f"/crm/v3/properties/contacts/{IDENTITY}").json()
    assert definition["hasUniqueValue"] is True


@pytest.mark.mission("HUB-2")
def test_upsert_goes_by_our_id_and_is_idempotent(gateway: HttpHubspotGateway) -> None:
    write = ContactWrite(ANN, "", {"email": "ann@example.com", "firstname": "Ann"})
    first, second = gateway.write(write), gateway.write(write)
    assert first.id == second.id
    assert gateway.contact_of(ANN, RETURNED) == gateway.contact(first.id, RETURNED)
    changed = gateway.write(ContactWrite(ANN, first.id, {"firstname": "Anna", "phone": ""}))
    assert changed.text("firstname") == "Anna"
    assert [contact.id for contact in gateway.contacts([first.id, "1"], RETURNED)] == [first.id]
    assert gateway.contact("1", RETURNED) is None
    assert gateway.contact_of("PER_NOBODY", RETURNED) is None


def test_refusals_come_with_hubspots_own_words(gateway: HttpHubspotGateway, simulator: Simulator) -> None:
    held = simulator.contact(email="taken@example.com")
    with pytest.raises(RemoteExists) as exists:
        gateway.write(ContactWrite(ANN, "", {"email": "taken@example.com"}))
    assert exists.value.remote_id == held
    with pytest.raises(RemoteRefused, match="invalid"):
        gateway.write(ContactWrite(ANN, held, {"email": "no mail"}))
    with pytest.raises(RemoteGone):
        gateway.write(ContactWrite(ANN, "1", {"firstname": "x"}))
    stranger = HttpHubspotGateway(lambda: "wrong", f"http://127.0.0.1:{simulator.port}")
    with closing(stranger), pytest.raises(Unavailable):
        stranger.contact("1", ())


def _rule(do: str, **more: object) -> dict[str, object]:
    return {"on": "request", "do": do, "match": {"path": "contacts"}, "times": 1, **more}


@pytest.mark.fault("R11")
def test_rates_outages_and_lost_answers_are_told_apart(gateway: HttpHubspotGateway, simulator: Simulator) -> None:
    simulator.faults(_rule("status", status=429, retry_after=3))
    with pytest.raises(RateLimited) as limited:
        gateway.contact("1", ())
    assert limited.value.retry_after == 3
    simulator.faults(_rule("status", status=500))
    with pytest.raises(OutcomeUnknown):
        gateway.contact("1", ())
    simulator.faults(_rule("lose_response"))
    with pytest.raises(OutcomeUnknown):
        gateway.write(ContactWrite(ANN, "", {"email": "ann@example.com"}))
    assert gateway.contact_of(ANN, RETURNED) is not None
    nobody = HttpHubspotGateway(lambda: TOKEN, "http://127.0.0.1:9")
    with closing(nobody), pytest.raises(Unavailable) as away:
        nobody.contact("1", ())
    assert not isinstance(away.value, OutcomeUnknown)
    slow = HttpHubspotGateway(lambda: TOKEN, transport=httpx.MockTransport(_hangs))
    with closing(slow), pytest.raises(OutcomeUnknown):
        slow.contact("1", ())


def _hangs(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("too slow", request=request)


class RealWorld(World):
    """Both sides with the simulator as HubSpot, over HTTP."""

    def __init__(self, gateway: HttpHubspotGateway, simulator: Simulator) -> None:
        super().__init__()
        self.clock.moment = SystemClock().now()
        self.simulator = simulator
        budgeted = BudgetedGateway(gateway, RateBudget(self.table, SystemClock(), self.settings))
        self.push._gateway = budgeted
        self.converge._gateway = budgeted
        self.receive_events = ReceiveEvents(self.table, self.clock, ReceiveSignal(self.table, self.clock, NoBlobs()))

    def deliver(self) -> int:
        """What the webhook function does with what arrived."""
        self.simulator.settled()
        count = 0
        while self.simulator.receiver.requests:
            told = self.simulator.receiver.requests.pop(0)
            verify_hubspot_signature(
                "POST",
                self.simulator.receiver.address,
                told.body,
                told.headers["x-hubspot-request-timestamp"],
                told.headers["x-hubspot-signature-v3"],
                ["local-signing-key", SECRET],
                SystemClock().now(),
            )
            count += self.receive_events(signals(parse_events(told.body, str(PORTAL))), sync_call())
        return count

    def until_quiet(self) -> None:
        for _ in range(40):
            self.relay()
            self.work()
            if not (self.deliver() or self.queue.waiting):
                return
            self.clock.advance(seconds=5)
            time.sleep(0.05)
        raise AssertionError("never quiet")


@pytest.mark.mission("HUB-1", "HUB-3", "HUB-4")
@pytest.mark.parametrize("form", ["object", "legacy"])
def test_both_directions_over_real_http(gateway: HttpHubspotGateway, simulator: Simulator, form: str) -> None:
    simulator.settings(webhook_format=form)
    world = RealWorld(gateway, simulator)
    world.people.add(
        ANN, world.clock.now(), first_name="राहुल", last_name="पाटील", email="ann@example.com", phone="+441"
    )
    world.until_quiet()
    found = gateway.contact_of(ANN, FIELDS.properties)
    assert found is not None
    assert found.text("firstname") == "राहुल"
    assert found.text("revops_created_at") != ""
    simulator.control("POST", f"ui/contacts/{found.id}", {"properties": {"phone": "+442", "jobtitle": "CEO"}})
    other = simulator.control("POST", "ui/contacts", {"properties": {"email": "new@example.com", "lastname": "One"}})
    world.until_quiet()
    assert world.people.lead(ANN).phone == "+442"
    again = gateway.contact(found.id, FIELDS.properties)
    assert again is not None
    assert again.text("jobtitle") == ""
    assert [conflict.field for conflict in conflicts_of(world.table, ANN)] == ["job_title"]
    made = f"PER_FROM{other['id']}"
    assert world.people.lead(made).last_name == "One"
    stamped = gateway.contact(other["id"], RETURNED)
    assert stamped is not None
    assert stamped.person_id == made
    statuses = {INBOX.load(row).status for row in world.table.rows.values() if row.kind == "INBOX"}
    assert statuses == {InboxStatus.APPLIED}
    report = ReportDrift(world.table, gateway, world.people, world.settings)
    after, checked = "", 0
    drifts: list[Drift] = []
    for _ in range(4):
        page = report(after, sync_call())
        after, checked = page.last, checked + page.checked
        drifts += page.drifts
    assert (drifts, checked, after) == ([], 2, "")
    assert EnsureProperties(gateway, world.settings)(sync_call()) == 0


@pytest.mark.mission("HUB-4")
def test_drift_is_found(gateway: HttpHubspotGateway, simulator: Simulator) -> None:
    world = RealWorld(gateway, simulator)
    world.people.add(ANN, world.clock.now(), first_name="Ann", last_name="Ray", email="ann@example.com")
    world.until_quiet()
    found = gateway.contact_of(ANN, RETURNED)
    assert found is not None
    simulator.control("POST", f"ui/contacts/{found.id}", {"properties": {"phone": "+9"}})
    report = ReportDrift(world.table, gateway, world.people, world.settings)
    drifts = [drift for shard in range(4) for drift in report(f"{shard}:", sync_call()).drifts]
    assert [(drift.property, drift.local, drift.remote) for drift in drifts] == [("phone", "", "+9")]


@pytest.mark.mission("HUB-5")
@pytest.mark.fault("R11")
def test_the_budget_keeps_the_portal_from_ever_refusing(gateway: HttpHubspotGateway, simulator: Simulator) -> None:
    simulator.settings(rate_limit=100, rate_window_seconds=10)
    world = RealWorld(gateway, simulator)
    for number in range(15):
        world.people.add(f"PER_{number}", world.clock.now(), last_name="L", email=f"p{number}@example.com")
    world.relay()
    for _ in range(200):
        world.clock.moment = SystemClock().now()
        world.work()
        if not world.queue.waiting:
            break
        time.sleep(0.1)
    journal = simulator.control("GET", "requests")
    assert not [entry for entry in journal if entry["status"] == 429]
    found = [gateway.contact_of(f"PER_{number}", RETURNED) for number in range(15)]
    assert all(found)


@pytest.mark.mission("HUB-1", "HUB-3")
def test_both_directions_on_the_engine(dynamo_table: DynamoTable) -> None:
    """The same transactions on DynamoDB's rules: no item twice in one, conditions and all."""
    world = World()
    clock, ids, settings = world.clock, world.ids, SettingsReader(dynamo_table)
    people = FakePeople(dynamo_table)
    settlement = Settlement(dynamo_table, clock, NoBlobs(), "test")
    receive = ReceiveSignal(dynamo_table, clock, NoBlobs())
    gateway = BudgetedGateway(world.hubspot, RateBudget(dynamo_table, clock, settings))
    push = PushPerson(dynamo_table, clock, ids, gateway, people, settings)
    converge = ConvergeContact(dynamo_table, clock, ids, gateway, people, settings, settlement)
    handle = HandleMessage(dynamo_table, clock, converge, push, settlement, world.queue)

    def ring() -> None:
        while world.hubspot.rung:
            event = world.hubspot.rung.pop()
            number = f"{len(world.hubspot.rung)}-{clock.now()}"
            batch = [Signal("hubspot", number, event["topic"], event["objectId"], json.dumps([event]))]
            assert ReceiveEvents(dynamo_table, clock, receive)(batch, sync_call()) == 1
            assert ReceiveEvents(dynamo_table, clock, receive)(batch, sync_call()) == 0
            handle({"provider": "hubspot", "inbox_id": inbox_id("hubspot", batch[0].event_id)})
            clock.advance(seconds=1)

    people.add(ANN, clock.now(), first_name="Ann", last_name="Ray", email="ann@example.com")
    mark = DirtyMark(ANN, people.lead_id(ANN), 1)
    assert mark_dirty(dynamo_table, mark, clock.now())
    assert not mark_dirty(dynamo_table, mark, clock.now())
    clock.advance(minutes=3)
    assert SweepDirty(dynamo_table, clock, world.queue)(sync_call()) == 1
    assert handle(world.queue.waiting.pop()[1]) == "written"
    assert not read_mark(dynamo_table, ANN).is_dirty
    ring()
    (identifier,) = world.hubspot.records
    people.edit(ANN, clock.now(), phone="here")
    world.hubspot.edit(identifier, phone="there")
    other = world.hubspot.create(email="new@example.com", lastname="One")
    ring()
    assert people.lead(ANN).phone == "there"
    assert [conflict.remote_value for conflict in conflicts_of(dynamo_table, ANN)] == ["there"]
    assert world.hubspot.records[other][IDENTITY] == f"PER_FROM{other}"
    assert {entry.action for entry in read_log(dynamo_table, ANN)} == {"written", "merged"}


@pytest.mark.mission("HUB-5")
def test_workers_at_once_share_one_budget(dynamo_table: DynamoTable) -> None:
    clock = ManualClock()

    def work(_: int) -> int:
        budget = RateBudget(dynamo_table, clock, SettingsReader(dynamo_table))
        count = 0
        with suppress(RateLimited):
            while True:
                budget.spend()
                count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        spent = list(pool.map(work, range(8)))
    assert sum(spent) == 9
