"""Routes of CRM objects, API version 2026-09."""

from local.simulators.common import Answer, Faults, Json
from local.simulators.hubspot import shapes
from local.simulators.hubspot.associations import Associations, named
from local.simulators.hubspot.batches import Batches
from local.simulators.hubspot.catalogue import CONTACT, ObjectType
from local.simulators.hubspot.errors import bad_request, not_found
from local.simulators.hubspot.portal import Portal
from local.simulators.hubspot.records import Records
from local.simulators.hubspot.routing import Asked, Route
from local.simulators.hubspot.search import search

_PAGE, _LONGEST_PAGE = 10, 100
BASE = "/crm/objects/2026-09/{objectType}"


class ObjectRoutes:
    """Reads and writes of records."""

    def __init__(self, portal: Portal, records: Records, associations: Associations, faults: Faults) -> None:
        self._portal = portal
        self._records = records
        self._associations = associations
        self._batches = Batches(portal, records, associations)
        self._faults = faults
        self.routes: list[Route] = [
            ("GET", BASE, self._list),
            ("POST", BASE, self._create),
            ("POST", f"{BASE}/search", self._search),
            ("POST", f"{BASE}/gdpr-delete", self._erase),
            ("POST", f"{BASE}/batch/read", self._batch_read),
            ("POST", f"{BASE}/batch/create", self._batch_create),
            ("POST", f"{BASE}/batch/update", self._batch_update),
            ("POST", f"{BASE}/batch/upsert", self._batch_upsert),
            ("POST", f"{BASE}/batch/archive", self._batch_archive),
            ("GET", BASE + "/{objectId}", self._read),
            ("PATCH", BASE + "/{objectId}", self._update),
            ("DELETE", BASE + "/{objectId}", self._archive),
        ]

    def _kind(self, asked: Asked) -> ObjectType:
        return named(asked.arguments["objectType"])

    def _full(self, asked: Asked, kind: ObjectType, record: Json) -> Json:
        shown = self._records.shown(kind, record, asked.many("properties"))
        if names := asked.many("propertiesWithHistory"):
            shown["propertiesWithHistory"] = self._records.history(record, names)
        linked = {}
        for end in (named(name) for name in asked.many("associations")):
            if links := self._associations.of(kind, record["id"], end):
                label = f"{kind.singular}_to_{end.singular}"
                linked[end.plural] = {"results": [{"id": link["to_id"], "type": label} for link in links]}
        if linked:
            shown["associations"] = linked
        return shown

    def _list(self, asked: Asked) -> Answer:
        kind, limit, after = self._kind(asked), asked.one("limit") or str(_PAGE), asked.one("after") or "0"
        if not limit.isdecimal() or not 1 <= int(limit) <= _LONGEST_PAGE:
            raise bad_request(f"limit must be between 1 and {_LONGEST_PAGE}")
        if not after.isdecimal():
            raise bad_request("after is not a cursor of an earlier page")
        archived = asked.flag("archived")
        held = [
            record
            for record in self._portal.records(kind)
            if (record["archived"] is not None) is archived and int(record["id"]) > int(after)
        ]
        page = held[: int(limit)]
        body: Json = {"results": [self._full(asked, kind, record) for record in page]}
        if len(held) > len(page):
            body["paging"] = {"next": {"after": page[-1]["id"]}}
        return Answer(200, body)

    def _create(self, asked: Asked) -> Answer:
        kind, body = self._kind(asked), asked.body(shapes.CREATE)
        change = self._records.plan_create(kind, body["properties"])
        targets = self._associations.plan(kind, body["associations"])
        record = self._records.make(change, asked.source)
        for target in targets:
            self._associations.make(kind, record["id"], target, asked.source)
        return Answer(201, self._records.shown(kind, record, [*kind.returned, *change.values], nulls=False))

    def _read(self, asked: Asked) -> Answer:
        kind = self._kind(asked)
        archived = asked.flag("archived")
        record = self._records.find(
            kind,
            asked.arguments["objectId"],
            asked.one("idProperty"),
            archived=archived,
        )
        return Answer(200, self._full(asked, kind, record))

    def _update(self, asked: Asked) -> Answer:
        kind = self._kind(asked)
        record = self._records.find(kind, asked.arguments["objectId"], asked.one("idProperty"))
        change = self._records.plan_update(kind, record, asked.body(shapes.UPDATE)["properties"])
        self._records.make(change, asked.source)
        return Answer(200, self._records.shown(kind, record, [*kind.returned, *change.values]))

    def _archive(self, asked: Asked) -> Answer:
        kind = self._kind(asked)
        record = self._portal.record(kind, asked.arguments["objectId"])
        if record is not None:  # deleting what is not there answers 204 all the same
            self._records.archive(kind, record, asked.source)
        return Answer(204, None)

    def _erase(self, asked: Asked) -> Answer:
        kind, body = self._kind(asked), asked.body(shapes.ERASE)
        if kind is not CONTACT:
            raise not_found()
        self._records.erase(
            kind,
            self._records.find(kind, body["objectId"], body.get("idProperty")),
            asked.source,
        )
        return Answer(204, None)

    def _search(self, asked: Asked) -> Answer:
        kind, body = self._kind(asked), asked.body(shapes.SEARCH)
        total, page, following = search(self._portal, kind, body, self._faults.search_lag)
        results = [self._records.shown(kind, record, body["properties"]) for record in page]
        answer: Json = {"total": total, "results": results}
        if following is not None:
            answer["paging"] = {"next": {"after": following}}
        return Answer(200, answer)

    def _batch_read(self, asked: Asked) -> Answer:
        return self._batches.read(self._kind(asked), asked.body(shapes.READ), archived=asked.flag("archived"))

    def _batch_create(self, asked: Asked) -> Answer:
        return self._batches.create(self._kind(asked), asked.body(shapes.batch(shapes.CREATE)), asked.source)

    def _batch_update(self, asked: Asked) -> Answer:
        return self._batches.update(self._kind(asked), asked.body(shapes.batch(shapes.KEYED)), asked.source)

    def _batch_upsert(self, asked: Asked) -> Answer:
        return self._batches.upsert(self._kind(asked), asked.body(shapes.batch(shapes.KEYED)), asked.source)

    def _batch_archive(self, asked: Asked) -> Answer:
        return self._batches.archive(self._kind(asked), asked.body(shapes.batch(shapes.ID)), asked.source)
