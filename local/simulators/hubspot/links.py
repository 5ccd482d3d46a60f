"""Routes of associations, API version 2026-09."""

from local.simulators.common import Answer, Json
from local.simulators.hubspot import shapes
from local.simulators.hubspot.associations import Associations, default_id, named
from local.simulators.hubspot.batches import answer, inputs
from local.simulators.hubspot.catalogue import ObjectType
from local.simulators.hubspot.errors import HubspotError, bad_request
from local.simulators.hubspot.portal import Portal, Source
from local.simulators.hubspot.routing import Asked, Route

_OBJECT = "/crm/objects/2026-09/{start}/{from_id}/associations"
_BATCH = "/crm/associations/2026-09/{start}/{end}/batch"


class LinkRoutes:
    """Links made, read and undone."""

    def __init__(self, portal: Portal, associations: Associations) -> None:
        self._portal = portal
        self._associations = associations
        self.routes: list[Route] = [
            ("PUT", _OBJECT + "/default/{end}/{to_id}", self._put_default),
            ("PUT", _OBJECT + "/{end}/{to_id}", self._put),
            ("DELETE", _OBJECT + "/{end}/{to_id}", self._delete),
            ("POST", f"{_BATCH}/read", self._read),
            ("POST", f"{_BATCH}/create", self._create),
            ("POST", f"{_BATCH}/associate/default", self._create_default),
            ("POST", f"{_BATCH}/archive", self._archive),
            ("POST", f"{_BATCH}/labels/archive", self._archive_types),
        ]

    def _ends(self, asked: Asked) -> tuple[ObjectType, ObjectType]:
        return named(asked.arguments["start"]), named(asked.arguments["end"])

    def _put_default(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        ((one, other),) = self._make_all(
            start,
            end,
            [(_entry(asked), [default_id(start, end)])],
            asked.source,
        )
        return answer(self._portal, _both_ways(start, one, end, other), [])

    def _put(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        type_ids = _type_ids(asked.body(shapes.TYPES))
        ((one, other),) = self._make_all(start, end, [(_entry(asked), type_ids)], asked.source)
        return Answer(201, _pair(start, one, end, other))

    def _delete(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        self._associations.remove(
            start,
            asked.arguments["from_id"],
            end,
            asked.arguments["to_id"],
            None,
            asked.source,
        )
        return Answer(204, None)

    def _read(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        results, absent = [], []
        for entry in inputs(asked.body(shapes.batch(shapes.ID))):
            links = self._associations.of(start, entry["id"], end)
            if links:
                results.append({"from": {"id": entry["id"]}, "to": [_shown(link) for link in links]})
            else:
                absent.append(entry["id"])
        errors = []
        if absent:
            message = f"No {end.label} is associated with {start.label} {', '.join(absent)}."
            refusal = HubspotError(404, "OBJECT_NOT_FOUND", message, context={"fromObjectId": absent})
            errors = [refusal.as_batch_error()]
        return answer(self._portal, results, errors)

    def _create(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        entries = inputs(asked.body(shapes.batch(shapes.TYPED_LINK)))
        wanted = [(entry, _type_ids(entry["types"])) for entry in entries]
        made = self._make_all(start, end, wanted, asked.source)
        return answer(self._portal, [_pair(start, one, end, other) for one, other in made], [], 201)

    def _create_default(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        entries = inputs(asked.body(shapes.batch(shapes.LINK)))
        wanted = [(entry, [default_id(start, end)]) for entry in entries]
        made = self._make_all(start, end, wanted, asked.source)
        results = [spec for one, other in made for spec in _both_ways(start, one, end, other)]
        return answer(self._portal, results, [])

    def _make_all(
        self, start: ObjectType, end: ObjectType, wanted: list[tuple[Json, list[int]]], source: Source
    ) -> list[tuple[str, str]]:
        """Links between pairs that are all checked before any is made; returns the pairs of ids."""
        planned = []
        for entry, type_ids in wanted:
            from_id, to_id = entry["from"]["id"], entry["to"]["id"]
            planned.append((from_id, self._associations.checked(start, from_id, end, to_id, type_ids)))
        for from_id, target in planned:
            self._associations.make(start, from_id, target, source)
        return [(from_id, target.id) for from_id, target in planned]

    def _archive(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        for entry in inputs(asked.body(shapes.batch(shapes.LINKS_OF))):
            for other in entry["to"]:
                self._associations.remove(start, entry["from"]["id"], end, other["id"], None, asked.source)
        return answer(self._portal, [], [])

    def _archive_types(self, asked: Asked) -> Answer:
        start, end = self._ends(asked)
        for entry in inputs(asked.body(shapes.batch(shapes.TYPED_LINK))):
            only = _type_ids(entry["types"])
            self._associations.remove(start, entry["from"]["id"], end, entry["to"]["id"], only, asked.source)
        return answer(self._portal, [], [])


def _entry(asked: Asked) -> Json:
    return {"from": {"id": asked.arguments["from_id"]}, "to": {"id": asked.arguments["to_id"]}}


def _type_ids(specs: list[Json]) -> list[int]:
    if not specs:
        raise bad_request("Invalid input JSON: at least one association type is required")
    if any(spec["associationCategory"] != "HUBSPOT_DEFINED" for spec in specs):
        raise bad_request("only HUBSPOT_DEFINED association types exist in this portal")
    return [spec["associationTypeId"] for spec in specs]


def _both_ways(start: ObjectType, from_id: str, end: ObjectType, to_id: str) -> list[Json]:
    return [
        {
            "from": {"id": one_id},
            "to": {"id": other_id},
            "associationSpec": {
                "associationCategory": "HUBSPOT_DEFINED",
                "associationTypeId": default_id(one, other),
            },
        }
        for one, one_id, other, other_id in ((start, from_id, end, to_id), (end, to_id, start, from_id))
    ]


def _pair(start: ObjectType, from_id: str, end: ObjectType, to_id: str) -> Json:
    return {
        "fromObjectTypeId": start.type_id,
        "fromObjectId": from_id,
        "toObjectTypeId": end.type_id,
        "toObjectId": to_id,
        "labels": [],
    }


def _shown(link: Json) -> Json:
    types = [{"category": "HUBSPOT_DEFINED", "typeId": type_id} for type_id in link["type_ids"]]
    return {"toObjectId": link["to_id"], "associationTypes": types}
