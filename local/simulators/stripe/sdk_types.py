"""Stripe's contract read from the types of the installed SDK: the same shapes as the contracts folder holds.

An operation is found in the service modules' source (verb, path, parameter type, return type); a type becomes a
schema when it is first asked for. Only the SDK's own version of the API can be read this way.
"""

import ast
import importlib
import importlib.util
import re
import types
import typing
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import stripe
from stripe._object_classes import OBJECT_CLASSES
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject, UntypedStripeObject
from typing_extensions import is_typeddict

from local.simulators.stripe.context import Object

_METHOD = re.compile(r"\n    def (?P<name>\w+)\((?P<body>.*?)(?=\n    (?:async )?def |\Z)", re.DOTALL)
_PARAMS = re.compile(r'params: (?:Optional\[\s*)?"(\w+)"')
_RETURNS = re.compile(r'\) -> "([^"]+)"')
_REQUEST = re.compile(r'_request\(\s*"(\w+)",\s*"([^"]+)"')
_IMPORT = re.compile(r"from (stripe[\w.]*) import \(?\s*([\w\s,]+?)\s*\)?\n")
_SIMPLE = {str: "string", int: "integer", bool: "boolean", float: "number", type(None): "null"}


def api_version() -> str:
    """The API version the installed SDK describes."""
    return str(stripe.api_version)


def operations() -> Object:
    """Every v1 operation of the SDK: `{"POST /v1/customers": {"params": …, "returns_ref": …}}`."""
    root = Path(str(stripe.__file__)).parent
    found: Object = {}
    for path in sorted(root.glob("**/_*_service.py")):
        source = path.read_text()
        where = {
            name.strip(): module
            for module, names in _IMPORT.findall(source)
            for name in names.split(",")
            if name.strip()
        }
        for method in _METHOD.finditer(source):
            request, params = _REQUEST.search(method["body"]), _PARAMS.search(method["body"])
            returns = _RETURNS.search(method["body"])
            if request and params and returns and request[2].startswith("/v1/"):
                returned = re.sub(r"^(?:ListObject|SearchResultObject)\[(\w+)\]$", r"\1", returns[1])
                found[f"{request[1].upper()} {request[2]}"] = {
                    "params": f"{where[params[1]]}.{params[1]}",
                    "returns_ref": f"{where[returned]}.{returned}" if returned in where else None,
                }
    return found


class SdkSchemas(Mapping[str, Object]):
    """Schemas by qualified name (`stripe._customer.Customer`), built when first read."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._built: dict[str, Object] = {}

    def __getitem__(self, name: str) -> Object:
        if name not in self._built:
            self._built[name] = _schema_of_class(_class(name))
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def request_document() -> Object:
    """Operations and closed parameter schemas."""
    table = operations()
    return {"operations": table, "$defs": SdkSchemas([operation["params"] for operation in table.values()])}


def response_document() -> Object:
    """Schemas of every v1 object, by its class."""
    objects = {name: f"{module}.{cls}" for name, (module, cls) in OBJECT_CLASSES.items()}
    return {"objects": objects, "$defs": SdkSchemas([*objects.values(), "stripe._error_object.ErrorObject"])}


@cache
def _class(name: str) -> Any:
    """The class behind a qualified name; nested classes follow their owner's name."""
    steps = name.split(".")
    cut = next(index for index in range(len(steps), 0, -1) if _is_module(".".join(steps[:index])))
    found: Any = importlib.import_module(".".join(steps[:cut]))
    for step in steps[cut:]:
        found = getattr(found, step)
    return found


@cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _schema_of_class(cls: Any) -> Object:
    names: dict[str, Any] = {"StripeObject": StripeObject}
    for module in (RequestOptions.__module__, cls.__module__):
        names |= {**vars(importlib.import_module(module)), **_type_checking_names(module)}
    hints = typing.get_type_hints(cls, names, include_extras=True)
    options = RequestOptions.__annotations__ if RequestOptions in getattr(cls, "__orig_bases__", ()) else {}
    own = [name for name in hints if name in cls.__annotations__ and name not in options]
    properties: Object = {}
    needed: list[str] = []
    closed = is_typeddict(cls)
    for name in own:
        hint = hints[name]
        if typing.get_origin(hint) in (typing.NotRequired, typing.ClassVar) or hint is typing.ClassVar:
            if typing.get_origin(hint) is not typing.NotRequired:
                continue
            hint = typing.get_args(hint)[0]
        elif closed or type(None) not in typing.get_args(hint):
            needed.append(name.removesuffix("_"))
        properties[name.removesuffix("_")] = _schema(hint)
    schema: Object = {"type": "object", "properties": properties, "required": needed}
    return schema | {"additionalProperties": False} if closed else schema


@cache
def _type_checking_names(module: str) -> dict[str, Any]:
    """What a module imports for type checkers only."""
    source = Path(str(importlib.import_module(module).__file__)).read_text()
    names: dict[str, Any] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module and line.module.startswith("stripe"):
                    if ".params" in line.module or "_client" in line.module:
                        continue
                    loaded = importlib.import_module(line.module)
                    names |= {alias.asname or alias.name: getattr(loaded, alias.name) for alias in line.names}
    return names


def _schema(hint: Any) -> Object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is not None and issubclass(origin, UntypedStripeObject):
        return {"type": "object", "additionalProperties": _schema(arguments[0])}
    if origin is not None and issubclass(origin, StripeObject):
        data = {"type": "array", "items": _schema(arguments[0])}
        return {"type": "object", "properties": {"data": data}, "required": ["data"]}
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    if hint is Decimal:
        return {"type": ["string", "number"]}
    if isinstance(hint, type) and (is_typeddict(hint) or issubclass(hint, StripeObject)):
        return {"$ref": f"#/$defs/{hint.__module__}.{hint.__qualname__}"}
    return {}


def _union(arguments: tuple[Any, ...]) -> Object:
    """Alternatives; a literal beside plain text only means that more values may come, so the literal stays."""
    kept = [argument for argument in arguments if not (argument is str and _has_literal(arguments))]
    schemas: list[Object] = []
    for argument in kept:
        schema = _schema(argument)
        schemas += [] if schema in schemas else [schema]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _has_literal(arguments: tuple[Any, ...]) -> bool:
    values = [argument for argument in arguments if typing.get_origin(argument) is typing.Literal]
    return any(typing.get_args(value) != ("",) for value in values)
