"""A HubSpot that holds the truth, people on a memory table, and a world in which both are worked on."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from revops.inbox import ReceiveSignal, Settlement, Signal, inbox_id
from revops.kernel import CallContext, Principal, Role, time_text
from revops.settings import SettingsDocument, SettingsReader
from revops.sync import (
    ConvergeContact,
    HandleMessage,
    HubspotFields,
    PersonField,
    PersonSnapshot,
    PushPerson,
    RemoteContact,
    SweepDirty,
    dirty_marks,
    mark_dirty,
    push_message,
)
from revops.sync.exchange import sync_call
from revops.sync.fields import FieldMap
from revops.sync.model import IDENTITY, ContactWrite
from revops.sync.ports import RemoteExists, RemoteGone
from revops.table import Entity, EntityKind, Key, Table, Transaction, begin, claim, due_now, holder_of
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.memory_table import MemoryTable


class FakeLead(Entity):
    """The part of a lead that is mapped."""

    person_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    company: str = ""
    job_title: str = ""
    status: str = "New"
    score: int = 0
    score_card: dict[str, int] | None = None


LEADS = EntityKind[FakeLead](
    kind="LEAD", title="lead", model=FakeLead, key=lambda identifier: Key(f"LEAD#{identifier}", "LEAD")
)


class FakePeople:
    """`PeopleDirectory` with a lead per person. `spell` is how this side writes phone numbers."""

    def __init__(self, table: Table, spell: Callable[[str], str] = lambda phone: phone) -> None:
        self.table = table
        self.spell = spell

    def lead_id(self, person_id: str) -> str:
        return person_id.replace("PER_", "LEAD_", 1)

    def lead(self, person_id: str) -> FakeLead:
        return LEADS.require(self.table, self.lead_id(person_id))

    def add(self, person_id: str, now: datetime, **values: str) -> None:
        transaction = begin(sync_like("user:seller"), now)
        lead = FakeLead.model_validate(
            {"id": self.lead_id(person_id), "person_id": person_id, "created_at": now, "modified_at": now, **values}
        )
        LEADS.create(transaction, lead)
        if lead.email:
            claim(transaction, "email", lead.email, person_id)
        self.table.commit(transaction)

    def edit(self, person_id: str, now: datetime, by: str = "user:seller", cause: str = "", **values: object) -> None:
        lead = self.lead(person_id)
        transaction = begin(sync_like(by, cause), now)
        LEADS.update(transaction, lead.revised(now, **values))
        self.table.commit(transaction)

    def snapshot(self, person_id: str) -> PersonSnapshot | None:
        lead = LEADS.get(self.table, self.lead_id(person_id))
        return None if lead is None else _snapshot(lead)

    def find_by_email(self, email: str) -> str | None:
        return holder_of(self.table, "email", email)

    def create(self, transaction: Transaction, contact: RemoteContact, now: datetime) -> PersonSnapshot:
        person_id = f"PER_FROM{contact.id}"
        lead = FakeLead(
            id=self.lead_id(person_id),
            person_id=person_id,
            created_at=now,
            modified_at=now,
            first_name=contact.text("firstname"),
            last_name=contact.text("lastname"),
            email=contact.text("email").lower(),
            phone=self.spell(contact.text("phone")),
            company=contact.text("company"),
            job_title=contact.text("jobtitle"),
        )
        LEADS.create(transaction, lead)
        if lead.email:
            claim(transaction, "email", lead.email, person_id)
        return _snapshot(lead)

    def update(
        self, transaction: Transaction, person: PersonSnapshot, changes: Mapping[PersonField, str], now: datetime
    ) -> PersonSnapshot:
        lead = self.lead(person.person_id)
        values = {field.value: value for field, value in changes.items()}
        if "phone" in values:
            values["phone"] = self.spell(values["phone"])
        after = lead.model_copy(update={"version": person.record_version}).revised(now, **values)
        LEADS.update(transaction, after)
        return _snapshot(after)


def sync_like(by: str, cause: str = "") -> CallContext:
    return CallContext(Principal(by, Role.SYSTEM), causation_id=cause)


def _snapshot(lead: FakeLead) -> PersonSnapshot:
    return PersonSnapshot(
        person_id=lead.person_id,
        record_id=lead.id,
        record_version=lead.version,
        modified_at=lead.modified_at,
        email=lead.email,
        first_name=lead.first_name,
        last_name=lead.last_name,
        phone=lead.phone,
        company=lead.company,
        job_title=lead.job_title,
        created_at=time_text(lead.created_at),
        lead_status=lead.status,
        lead_score=str(lead.score),
    )


class FakeHubspot:
    """`HubspotGateway` over contacts in memory. Every change rings: its event goes to `rung`.

    `around` is called before and after the work of every call with the call's name; raising there is a crash or a
    lost answer. `spell` is how HubSpot keeps phone numbers.
    """

    def __init__(self, clock: ManualClock, spell: Callable[[str], str] = lambda phone: phone) -> None:
        self.clock = clock
        self.spell = spell
        self.records: dict[str, dict[str, str]] = {}
        self.updated: dict[str, datetime] = {}
        self.rung: list[dict[str, str]] = []
        self.reads = 0
        self.writes: list[ContactWrite] = []
        self.around: Callable[[str, str], None] = lambda when, name: None
        self._next = 501
        self._writing = False

    # what people do in HubSpot

    def create(self, **properties: str) -> str:
        identifier = str(self._next)
        self._next += 1
        self.records[identifier] = {}
        self._put(identifier, properties)
        self._ring("creation", identifier)
        return identifier

    def _ring(self, happened: str, identifier: str, **more: str) -> None:
        source = "INTEGRATION" if self._writing else "CRM_UI"
        self.rung.append({"topic": f"contact.{happened}", "objectId": identifier, "changeSource": source, **more})

    def edit(self, identifier: str, **properties: str) -> None:
        self._put(identifier, properties)

    def delete(self, identifier: str) -> None:
        del self.records[identifier]
        self._ring("deletion", identifier)

    def _put(self, identifier: str, properties: Mapping[str, str]) -> None:
        for name, value in properties.items():
            kept = self.spell(value) if name == "phone" else value.lower() if name == "email" else value
            if self.records[identifier].get(name, "") != kept:
                self.records[identifier][name] = kept
                self._ring("propertyChange", identifier, propertyName=name, propertyValue=kept)
        self.updated[identifier] = self.clock.now()

    # the port

    def contact(self, remote_id: str, properties: Sequence[str]) -> RemoteContact | None:
        return self._called("contact", lambda: self._read(remote_id))

    def contact_of(self, person_id: str, properties: Sequence[str]) -> RemoteContact | None:
        return self._called("contact_of", lambda: self._read(self._holder(IDENTITY, person_id)))

    def contacts(self, remote_ids: Sequence[str], properties: Sequence[str]) -> list[RemoteContact]:
        found = self._called("contacts", lambda: [self._read(remote_id) for remote_id in remote_ids])
        return [contact for contact in found if contact is not None]

    def write(self, write: ContactWrite) -> RemoteContact:
        return self._called("write", lambda: self._write(write))

    def define(self, lines: Sequence[FieldMap]) -> int:
        return len(lines)

    def _called[T](self, name: str, work: Callable[[], T]) -> T:
        self.around("before", name)
        result = work()
        self.around("after", name)
        return result

    def _read(self, identifier: str) -> RemoteContact | None:
        self.reads += 1
        if identifier not in self.records:
            return None
        return RemoteContact(identifier, dict(self.records[identifier]), self.updated[identifier])

    def _holder(self, name: str, value: str) -> str:
        return next((key for key, record in self.records.items() if value and record.get(name) == value), "")

    def _write(self, write: ContactWrite) -> RemoteContact:
        target = write.remote_id or self._holder(IDENTITY, write.person_id)
        if target and target not in self.records:
            raise RemoteGone("not there")
        for name in ("email", IDENTITY):
            holder = self._holder(name, write.properties.get(name, ""))
            if holder and holder != target:
                raise RemoteExists(f"Contact already exists. Existing ID: {holder}", holder)
        self.writes.append(write)
        self._writing = True
        if not target:
            target = self.create()
        self._put(target, {**write.properties, IDENTITY: write.person_id})
        self._writing = False
        found = self._read(target)
        if found is None:
            raise AssertionError
        return found


class FakeQueue:
    """`SyncQueue`: what is waiting, with the time from which it may be taken."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.waiting: list[tuple[datetime, dict[str, str]]] = []

    def send(self, message: Mapping[str, str], delay_seconds: int = 0) -> None:
        self.waiting.append((self.clock.now() + timedelta(seconds=delay_seconds), dict(message)))


class NoBlobs:
    def put(self, name: str, content: bytes, content_type: str) -> None:
        raise AssertionError(name)

    def get(self, name: str) -> bytes:
        raise AssertionError(name)


class World:
    """Both sides, the relay, the queue and the worker, each moved by hand."""

    def __init__(
        self,
        seed: int = 1,
        here: Callable[[str], str] = lambda phone: phone,
        there: Callable[[str], str] = lambda phone: phone,
        fields: HubspotFields | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.table = MemoryTable()
        self.ids = seeded_ids(seed)
        self.people = FakePeople(self.table, here)
        self.hubspot = FakeHubspot(self.clock, there)
        self.queue = FakeQueue(self.clock)
        self.settings = FixedSettings(self.table, fields or HubspotFields())
        self.settlement = Settlement(self.table, self.clock, NoBlobs(), "test")
        self.receive = ReceiveSignal(self.table, self.clock, NoBlobs())
        self.push = PushPerson(self.table, self.clock, self.ids, self.hubspot, self.people, self.settings)
        self.converge = ConvergeContact(
            self.table, self.clock, self.ids, self.hubspot, self.people, self.settings, self.settlement
        )
        self.handle = HandleMessage(
            self.table, self.clock, self.converge, self.push, self.settlement, self.queue, jitter=lambda: 0.0
        )
        self.sweep = SweepDirty(self.table, self.clock, self.queue)
        self.relayed = 0
        self._events = 0

    def relay(self) -> None:
        """What the stream's consumer does with every change so far."""
        while self.relayed < len(self.table.changes):
            change = self.table.changes[self.relayed]
            for mark in dirty_marks(change):
                mark_dirty(self.table, mark, self.clock.now())
                self.queue.send(push_message(mark.person_id))
            if change.kind == "INBOX" and change.after and '"Received"' in change.after.doc:
                self.queue.send({"provider": "hubspot", "inbox_id": change.key.pk.removeprefix("INBOX#")})
            self.relayed += 1

    def webhook(self, index: int = 0, keep: bool = False) -> str:
        """One of the rung bells arrives (and may arrive again)."""
        event = self.hubspot.rung[index] if keep else self.hubspot.rung.pop(index)
        self._events += 1
        signal = Signal("hubspot", f"event-{self._events}", event["topic"], event["objectId"], json.dumps([event]))
        self.receive(signal, sync_call())
        return inbox_id("hubspot", signal.event_id)

    def work(self) -> None:
        """Every message that may be taken is handled; one that fails comes back in half a minute."""
        now = self.clock.now()
        ready = [message for due, message in self.queue.waiting if due <= now]
        self.queue.waiting = [entry for entry in self.queue.waiting if entry[0] > now]
        for message in ready:
            self.handle(message)

    def settle(self, rounds: int = 60) -> int:
        """Everything that is under way is finished; answers in how many rounds of 20 s."""
        for count in range(rounds):
            while self.hubspot.rung:
                self.webhook()
            self.relay()
            self.work()
            self.relay()
            self.sweep(sync_call())
            if not (self.hubspot.rung or self.queue.waiting) and self.relayed == len(self.table.changes):
                far = self.clock.now() + timedelta(days=1)
                if not any(True for _ in due_now(self.table, "sync", far)):
                    return count
            self.clock.advance(seconds=20)
        raise AssertionError("never quiet")


class FixedSettings(SettingsReader):
    """Settings that are what a test says."""

    def __init__(self, table: MemoryTable, fields: HubspotFields) -> None:
        super().__init__(table)
        self._fixed: dict[str, SettingsDocument] = {fields.SETTING: fields}

    def read[D: SettingsDocument](self, document: type[D]) -> D:
        fixed = self._fixed.get(document.SETTING)
        return fixed if isinstance(fixed, document) else document()
