"""Batches of up to a hundred, all or nothing, unless every entry carries an `objectWriteTraceId`.

With it each entry succeeds or fails by itself and a mixed answer is 207. Records that are not there make a
read or an update 207 either way.
"""

from collections.abc import Callable
from typing import Any

from local.simulators.common import Answer, Json
from local.simulators.hubspot.associations import Associations, Target
from local.simulators.hubspot.catalogue import ObjectType
from local.simulators.hubspot.errors import HubspotError, bad_request
from local.simulators.hubspot.portal import Portal, Source
from local.simulators.hubspot.records import Batch, Change, Records
from local.simulators.hubspot.values import iso

LIMIT = 100
type Plan = Callable[[Json, Batch], tuple[Change, list[Target]]]


def inputs(body: Json) -> list[Json]:
    """The entries of a batch; 400 for none or too many."""
    entries: list[Json] = body["inputs"]
    if not entries:
        raise bad_request("Invalid input JSON: 'inputs' must hold at least one entry")
    if len(entries) > LIMIT:
        raise bad_request(f"The maximum number of inputs supported in a batch request is {LIMIT}")
    return entries


def answer(portal: Portal, results: list[Any], errors: list[Json], status: int = 200) -> Answer:
    """A batch answer: `status`, or 207 with `errors` and `numErrors`."""
    at = iso(portal.now())
    body: Json = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
    if errors:
        body |= {"errors": errors, "numErrors": len(errors)}
    return Answer(207 if errors else status, body)


def missing(kind: ObjectType, ids: list[str]) -> Json:
    """The one `errors` entry that names every record that is not there."""
    message = f"Could not get some {kind.label} objects, they may be deleted or not exist."
    message += " Check that ids are valid."
    return HubspotError(404, "OBJECT_NOT_FOUND", message, context={"ids": ids}).as_batch_error()


class Batches:
    """Batch calls on records."""

    def __init__(self, portal: Portal, records: Records, associations: Associations) -> None:
        self._portal = portal
        self._records = records
        self._associations = associations

    def read(self, kind: ObjectType, body: Json, *, archived: bool) -> Answer:
        """Records by id or unique property; duplicates answer once."""
        results, absent = [], []
        for record_id in dict.fromkeys(entry["id"] for entry in inputs(body)):
            try:
                record = self._records.find(kind, record_id, body.get("idProperty"), archived=archived)
            except HubspotError as refusal:
                if refusal.status != 404:
                    raise
                absent.append(record_id)
                continue
            shown = self._records.shown(kind, record, body["properties"])
            if names := body["propertiesWithHistory"]:
                shown["propertiesWithHistory"] = self._records.history(record, names)
            results.append(shown)
        return answer(self._portal, results, [missing(kind, absent)] if absent else [])

    def create(self, kind: ObjectType, body: Json, source: Source) -> Answer:
        """New records, with their links."""

        def plan(entry: Json, batch: Batch) -> tuple[Change, list[Target]]:
            change = self._records.plan_create(kind, entry["properties"], batch)
            return change, self._associations.plan(kind, entry["associations"])

        return self._carry_out(kind, inputs(body), plan, source, 201, upsert=False)

    def update(self, kind: ObjectType, body: Json, source: Source) -> Answer:
        """New values for records by id or unique property."""
        entries = inputs(body)
        _distinct(entries)
        present, absent = [], []
        for entry in entries:
            try:
                record = self._records.find(kind, entry["id"], entry.get("idProperty"))
            except HubspotError as refusal:
                if refusal.status != 404:
                    raise
                absent.append(entry["id"])
                continue
            present.append((entry, record))
        places = {id(entry): record for entry, record in present}

        def plan(entry: Json, batch: Batch) -> tuple[Change, list[Target]]:
            return self._records.plan_update(kind, places[id(entry)], entry["properties"], batch), []

        found = [entry for entry, _ in present]
        lost = [missing(kind, absent)] if absent else []
        return self._carry_out(kind, found, plan, source, 200, upsert=False, errors=lost)

    def upsert(self, kind: ObjectType, body: Json, source: Source) -> Answer:
        """Create or update by a unique property; every entry names the same one."""
        entries = inputs(body)
        _distinct(entries)
        names = {entry.get("idProperty") for entry in entries}
        name = names.pop() if len(names) == 1 else None
        if not isinstance(name, str) or name == "hs_object_id":
            raise bad_request("idProperty is required and must be the same unique property for every input")
        self._records.unique_property(kind, name)

        def plan(entry: Json, batch: Batch) -> tuple[Change, list[Target]]:
            return self._records.plan_upsert(kind, name, entry["id"], entry["properties"], batch), []

        return self._carry_out(kind, entries, plan, source, 200, upsert=True)

    def archive(self, kind: ObjectType, body: Json, source: Source) -> Answer:
        """Put records away; those that are not there are ignored."""
        for entry in inputs(body):
            record = self._portal.record(kind, entry["id"])
            if record is not None:
                self._records.archive(kind, record, source)
        return Answer(204, None)

    def _carry_out(
        self,
        kind: ObjectType,
        entries: list[Json],
        plan: Plan,
        source: Source,
        status: int,
        *,
        upsert: bool,
        errors: list[Json] | None = None,
    ) -> Answer:
        single = bool(entries) and all("objectWriteTraceId" in entry for entry in entries)
        batch, planned, failed = Batch(), [], list(errors or [])
        for entry in entries:
            held = dict(batch.taken)
            try:
                planned.append((entry, *plan(entry, batch)))
            except HubspotError as refusal:
                if not single:
                    raise
                batch.taken = held
                failure = refusal.as_batch_error()
                failure["context"] = {
                    **failure["context"],
                    "objectWriteTraceId": [entry["objectWriteTraceId"]],
                }
                failed.append(failure)
        results = []
        for entry, change, targets in planned:
            record = self._records.make(change, source)
            for target in targets:
                self._associations.make(kind, record["id"], target, source)
            shown = self._records.shown(kind, record, [*kind.returned, *change.values], nulls=False)
            if upsert:
                shown["new"] = change.new
            if "objectWriteTraceId" in entry:
                shown["objectWriteTraceId"] = entry["objectWriteTraceId"]
            results.append(shown)
        return answer(self._portal, results, failed, status)


def _distinct(entries: list[Json]) -> None:
    seen = [entry["id"] for entry in entries]
    if twice := sorted({value for value in seen if seen.count(value) > 1}):
        raise bad_request(f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique")
