"""What each request body must at least look like, whether or not the vendor's contract is at hand."""

from typing import Any

from local.simulators.common import Json, SchemaChecker
from local.simulators.hubspot.errors import bad_request

TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_NUMBER: Json = {"type": "integer"}
_VALUES: Json = {"type": "object", "additionalProperties": TEXT}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _object(optional: Json | None = None, /, **required: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def batch(entry: Json, optional: Json | None = None, /, **required: Json) -> Json:
    """A batch of entries, with further members beside `inputs`."""
    return _object(optional, inputs=_list(entry), **required)


ID = _object(id=TEXT)
TYPES = _list(_object(associationCategory=TEXT, associationTypeId=_NUMBER))
LINK = _object(**{"from": ID}, to=ID)
TYPED_LINK = _object(**{"from": ID}, to=ID, types=TYPES)
LINKS_OF = _object(**{"from": ID}, to=_list(ID))
TRACED: Json = {"objectWriteTraceId": TEXT}
CREATE = _object(TRACED, properties=_VALUES, associations=_list(_object(to=ID, types=TYPES)))
UPDATE = _object(properties=_VALUES)
KEYED = _object({**TRACED, "idProperty": TEXT}, id=TEXT, properties=_VALUES)
READ = batch(ID, {"idProperty": TEXT}, properties=_list(TEXT), propertiesWithHistory=_list(TEXT))
ERASE = _object({"idProperty": TEXT}, objectId=TEXT)
_FILTER = _object(
    {"value": TEXT, "highValue": TEXT, "values": _list(TEXT)},
    propertyName=TEXT,
    operator=TEXT,
)
SEARCH = _object(
    {"query": TEXT},
    after=TEXT,
    filterGroups=_list(_object(filters=_list(_FILTER))),
    limit=_NUMBER,
    properties=_list(TEXT),
    sorts=_list(TEXT),
)
_OPTION = _object({"displayOrder": _NUMBER, "description": TEXT}, hidden=_FLAG, label=TEXT, value=TEXT)
_OPTIONAL: Json = {
    "description": TEXT,
    "displayOrder": _NUMBER,
    "formField": _FLAG,
    "hidden": _FLAG,
    "options": _list(_OPTION),
}
PROPERTY = _object(
    {**_OPTIONAL, "hasUniqueValue": _FLAG},
    name=TEXT,
    label=TEXT,
    type=TEXT,
    fieldType=TEXT,
    groupName=TEXT,
)
PROPERTY_CHANGE = _object({**_OPTIONAL, "label": TEXT, "type": TEXT, "fieldType": TEXT, "groupName": TEXT})
NAME = _object(name=TEXT)
GROUP = _object({"displayOrder": _NUMBER}, name=TEXT, label=TEXT)


def shaped(value: Any, shape: Json) -> Any:
    """The value, if it has the shape; 400 naming every departure otherwise."""
    problems = SchemaChecker({}).check(value, shape)
    if problems:
        listed = "; ".join(f"{problem.where or 'body'}: {problem.detail}" for problem in problems)
        raise bad_request(f"Invalid input JSON: {listed}")
    return value
