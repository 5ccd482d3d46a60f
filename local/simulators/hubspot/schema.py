"""Routes of properties and owners, API v3."""

from local.simulators.common import Answer, Json
from local.simulators.hubspot import shapes
from local.simulators.hubspot.associations import named
from local.simulators.hubspot.batches import answer, inputs
from local.simulators.hubspot.catalogue import ObjectType
from local.simulators.hubspot.errors import HubspotError, bad_request, not_found
from local.simulators.hubspot.portal import Portal
from local.simulators.hubspot.properties import Properties
from local.simulators.hubspot.routing import Asked, Route

_PROPERTIES = "/crm/v3/properties/{objectType}"
_OWNERS = "/crm/v3/owners"
_LONGEST_PAGE = 500


class SchemaRoutes:
    """What records are made of, and who they belong to."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._properties = Properties(portal)
        self.routes: list[Route] = [
            ("GET", _PROPERTIES, self._list),
            ("POST", _PROPERTIES, self._create),
            ("GET", f"{_PROPERTIES}/groups", self._groups),
            ("POST", f"{_PROPERTIES}/groups", self._create_group),
            ("GET", _PROPERTIES + "/groups/{group}", self._group),
            ("POST", f"{_PROPERTIES}/batch/create", self._batch_create),
            ("POST", f"{_PROPERTIES}/batch/read", self._batch_read),
            ("POST", f"{_PROPERTIES}/batch/archive", self._batch_archive),
            ("GET", _PROPERTIES + "/{name}", self._read),
            ("PATCH", _PROPERTIES + "/{name}", self._update),
            ("DELETE", _PROPERTIES + "/{name}", self._archive),
            ("GET", _OWNERS, self._owners),
            ("GET", _OWNERS + "/{owner}", self._owner),
        ]

    def _kind(self, asked: Asked) -> ObjectType:
        return named(asked.arguments["objectType"])

    def _list(self, asked: Asked) -> Answer:
        return Answer(
            200,
            {"results": self._properties.listed(self._kind(asked), archived=asked.flag("archived"))},
        )

    def _create(self, asked: Asked) -> Answer:
        return Answer(201, self._properties.create(self._kind(asked), asked.body(shapes.PROPERTY)))

    def _read(self, asked: Asked) -> Answer:
        archived = asked.flag("archived")
        return Answer(
            200,
            self._properties.one(self._kind(asked), asked.arguments["name"], archived=archived),
        )

    def _update(self, asked: Asked) -> Answer:
        change = asked.body(shapes.PROPERTY_CHANGE)
        return Answer(200, self._properties.update(self._kind(asked), asked.arguments["name"], change))

    def _archive(self, asked: Asked) -> Answer:
        self._properties.archive(self._kind(asked), asked.arguments["name"])
        return Answer(204, None)

    def _groups(self, asked: Asked) -> Answer:
        return Answer(200, {"results": self._properties.groups(self._kind(asked))})

    def _group(self, asked: Asked) -> Answer:
        return Answer(200, self._properties.group(self._kind(asked), asked.arguments["group"]))

    def _create_group(self, asked: Asked) -> Answer:
        return Answer(201, self._properties.create_group(self._kind(asked), asked.body(shapes.GROUP)))

    def _batch_create(self, asked: Asked) -> Answer:
        results, errors = [], []
        for entry in inputs(asked.body(shapes.batch(shapes.PROPERTY))):
            try:
                results.append(self._properties.create(self._kind(asked), entry))
            except HubspotError as refusal:
                errors.append(refusal.as_batch_error())
        return answer(self._portal, results, errors, 201)

    def _batch_read(self, asked: Asked) -> Answer:
        body, kind, results, absent = asked.body(shapes.batch(shapes.NAME)), self._kind(asked), [], []
        for entry in inputs(body):
            try:
                results.append(
                    self._properties.one(kind, entry["name"], archived=body.get("archived") is True),
                )
            except HubspotError:
                absent.append(entry["name"])
        refusal = HubspotError(
            404,
            "OBJECT_NOT_FOUND",
            "Some properties do not exist",
            context={"name": absent},
        )
        return answer(self._portal, results, [refusal.as_batch_error()] if absent else [])

    def _batch_archive(self, asked: Asked) -> Answer:
        for entry in inputs(asked.body(shapes.batch(shapes.NAME))):
            self._properties.archive(self._kind(asked), entry["name"])
        return Answer(204, None)

    def _owners(self, asked: Asked) -> Answer:
        limit, after = asked.one("limit") or "100", asked.one("after") or "0"
        if not limit.isdecimal() or not after.isdecimal() or not 1 <= int(limit) <= _LONGEST_PAGE:
            raise bad_request(f"limit must be between 1 and {_LONGEST_PAGE} and after a cursor")
        email = asked.one("email")
        held = [
            owner
            for owner in self._portal.owners()
            if owner["archived"] is asked.flag("archived")
            and int(owner["id"]) > int(after)
            and (email is None or owner["email"] == email.lower())
        ]
        page = held[: int(limit)]
        body: Json = {"results": page}
        if len(held) > len(page):
            body["paging"] = {"next": {"after": page[-1]["id"]}}
        return Answer(200, body)

    def _owner(self, asked: Asked) -> Answer:
        key = "userId" if asked.one("idProperty") == "userId" else "id"
        for owner in self._portal.owners():
            if str(owner[key]) == asked.arguments["owner"]:
                return Answer(200, owner)
        raise not_found("Owner")
