"""What the portal itself needs, and how far both sides have drifted apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from revops.kernel import CallContext, Invalid
from revops.settings import SettingsReader
from revops.sync.fields import HubspotFields
from revops.sync.merge import agreed
from revops.sync.model import RemoteContact, SyncState
from revops.sync.ports import HubspotGateway, PeopleDirectory
from revops.sync.store import SHARDS, states
from revops.table import Table


class EnsureProperties:
    """Makes the portal hold every custom property of the map and the unique one people are known by."""

    def __init__(self, gateway: HubspotGateway, settings: SettingsReader) -> None:
        self._gateway = gateway
        self._settings = settings

    def __call__(self, call: CallContext) -> int:  # noqa: ARG002 - every use case is told who asks
        """Answers how many were missing. Safe to repeat."""
        lines = self._settings.read(HubspotFields).contacts
        return self._gateway.define([line for line in lines if line.custom])


@dataclass(frozen=True, slots=True)
class Drift:
    """A property that is not as agreed on one of the sides. `remote` is None when the contact is not there."""

    person_id: str
    remote_id: str
    property: str
    local: str
    remote: str | None


@dataclass(frozen=True, slots=True)
class DriftPage:
    """Part of the report: what drifted among `checked` people, and where to go on (empty at the end)."""

    checked: int
    drifts: tuple[Drift, ...]
    last: str


class ReportDrift:
    """Compares both sides, a page of people at a time: one call to HubSpot a page."""

    def __init__(
        self, table: Table, gateway: HubspotGateway, people: PeopleDirectory, settings: SettingsReader
    ) -> None:
        self._table = table
        self._gateway = gateway
        self._people = people
        self._settings = settings

    def __call__(self, after: str, call: CallContext, limit: int = 100) -> DriftPage:  # noqa: ARG002
        """`after` is the `last` of the page before. Raises Invalid for one that is not."""
        shard_text, _, position = (after or "0:").partition(":")
        if not shard_text.isdecimal() or int(shard_text) >= SHARDS:
            raise Invalid.field("after", "not-a-position", "not the end of an earlier page")
        shard = int(shard_text)
        found, page = states(self._table, shard, position, min(limit, 100))
        current = [state for state in found if state.remote_id and not state.detached]
        fields = self._settings.read(HubspotFields)
        remote_ids = [state.remote_id for state in current]
        remote = self._gateway.contacts(remote_ids, fields.properties) if remote_ids else []
        drifts = self._compare(fields, current, remote)
        last = f"{shard}:{page.last}" if page.last else f"{shard + 1}:" if shard + 1 < SHARDS else ""
        return DriftPage(len(current), tuple(drifts), last)

    def _compare(
        self, fields: HubspotFields, current: Sequence[SyncState], remote: Sequence[RemoteContact]
    ) -> list[Drift]:
        contacts = {contact.id: contact for contact in remote}
        drifts = []
        for state in current:
            person, contact = self._people.snapshot(state.person_id), contacts.get(state.remote_id)
            if person is None:
                continue
            if contact is None:
                drifts.append(Drift(state.person_id, state.remote_id, "hs_object_id", state.remote_id, None))
                continue
            for line in fields.exchanged:
                if not agreed(line, person, contact, state.bases.get(line.property)):
                    there = contact.text(line.property)
                    drifts.append(Drift(state.person_id, state.remote_id, line.property, line.outbound(person), there))
        return drifts
