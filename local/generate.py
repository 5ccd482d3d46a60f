"""Generated documents: the OpenAPI, the event schemas, the tables of routes and events, and the requirements' coverage.

python -m local.generate            writes them
python -m local.generate --check    says which of them are stale, and fails
"""

import argparse
import ast
import json
import os
import pkgutil
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import revops.api
from revops.catalogue import PAYLOADS, Event

ROOT = Path(__file__).parents[1]
OPENAPI = ROOT / "shared" / "revops" / "api" / "openapi.json"
MISSION = Path(os.environ.get("REVOPS_MISSION", ROOT.parent / "shared" / "mission.md"))


def _adders() -> list[Callable[[Any, Any], None]]:
    """What adds routes: the functions `add_…_routes` of every module of the API."""
    modules = [import_module(f"revops.api.{module.name}") for module in pkgutil.iter_modules(revops.api.__path__)]
    return [
        member
        for module in modules
        for name, member in sorted(vars(module).items())
        if re.fullmatch(r"add_\w+_routes?", name) and member.__module__ == module.__name__
    ]


def openapi() -> dict[str, Any]:
    """The whole API as OpenAPI 3.1, from the routes of every function."""
    from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn, HTTPBearer

    from revops.platform.http import Api

    api = Api(cast("Any", None))
    for add in _adders():
        add(api, cast("Any", None))
    document: dict[str, Any] = json.loads(
        api.app.get_openapi_json_schema(
            title="revops",
            version="0.1.0",
            openapi_version="3.1.0",
            description="Lead to cash: leads, accounts, order forms, subscriptions, usage, settings, audit.",
            security_schemes={
                "jwt": HTTPBearer(scheme="bearer", bearerFormat="JWT", description="Access token of the user pool"),
                "apiKey": APIKey.model_validate(
                    {"name": "x-api-key", "in": APIKeyIn.header, "description": "Key of a machine"}
                ),
            },
            security=[{"jwt": []}],
        )
    )
    for method, route in api.public:
        document["paths"][route][method]["security"] = []  # left out, it would mean what the document asks for
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation.get("responses", {}).pop("default", None)
    schemas = document["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return _plainly_named(document)


def _plainly_named(document: dict[str, Any]) -> dict[str, Any]:
    """The same document. Where two models share a name, their schemas are told apart by their parts of the product, not
    by the modules they stand in."""
    schemas = document["components"]["schemas"]
    for long in [name for name in schemas if "__" in name]:
        _, *path, name = long.split("__")
        part = path[1] if path[0] == "api" else path[0]
        short = part.removesuffix("_views").title().replace("_", "") + name
        if short in schemas:
            raise ValueError(f"two schemas would be named {short}")
        schemas[short] = schemas.pop(long)
        document = json.loads(json.dumps(document).replace(f'schemas/{long}"', f'schemas/{short}"'))
        schemas = document["components"]["schemas"]
    return document


def routes_table(document: dict[str, Any]) -> str:
    """The routes as a table for people."""
    lines = ["# Routes", "", "Generated from the code; the whole contract is `GET /api/v1/openapi.json`.", ""]
    lines += ["| method | path | what it does | answers |", "|---|---|---|---|"]
    for path, methods in sorted(document["paths"].items()):
        for method, operation in sorted(methods.items()):
            answers = ", ".join(sorted(operation["responses"]))
            lines.append(f"| {method.upper()} | `{path}` | {operation['summary']} | {answers} |")
    return "\n".join(lines) + "\n"


def event_schemas() -> dict[Path, str]:
    """A JSON Schema per event, envelope included."""
    found = {}
    for payload in PAYLOADS:
        schema = Event.model_json_schema()
        schema["title"] = payload.event_name()
        schema["description"] = (payload.__doc__ or "").strip()
        detail = payload.model_json_schema()
        schema.setdefault("$defs", {}).update(detail.pop("$defs", {}))
        schema["properties"]["data"] = detail
        schema["properties"]["name"] = {"const": payload.event_name()}
        schema["properties"]["schema_version"] = {"const": payload.schema_version}
        path = ROOT / "events" / "catalogue" / f"{payload.event_name()}.v{payload.schema_version}.json"
        found[path] = _json(schema)
    return found


def events_table() -> str:
    """The events as a table for people."""
    lines = [
        "# Events",
        "",
        "Generated from the code; the whole schemas are in [events/catalogue](../../events/catalogue).",
    ]
    lines += ["", "| event | when | data |", "|---|---|---|"]
    for payload in sorted(PAYLOADS, key=lambda payload: payload.event_name()):
        when = " ".join((payload.__doc__ or "").split())
        data = ", ".join(f"`{name}`" for name in payload.model_fields)
        lines.append(f"| `{payload.event_name()}` | {when} | {data} |")
    return "\n".join(lines) + "\n"


def marked_tests() -> dict[str, list[str]]:
    """Mission and fault ids → the tests that claim them, read from the test files' markers."""
    claims: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = path.relative_to(ROOT).as_posix()
        module_marks = _module_marks(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for identifier in sorted({*_marks(node.decorator_list), *module_marks}):
                    claims[identifier].append(f"{name}::{node.name}")
    return dict(claims)


def _module_marks(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            marks = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            return _marks(marks)
    return []


def _marks(decorators: list[ast.expr]) -> list[str]:
    found = []
    for decorator in decorators:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr in {"mission", "fault"}
        ):
            found += [argument.value for argument in decorator.args if isinstance(argument, ast.Constant)]
    return [str(identifier) for identifier in found]


def mission_ids() -> dict[str, str]:
    """Mission ids and the first words of each, from the mission where it is at hand, else from the last document."""
    if MISSION.exists():
        rows = re.findall(r"^- ([A-Z]+-\d+) (.+)$", MISSION.read_text(encoding="utf-8"), re.M)
        return {identifier: re.split(r"[:.;(]", text)[0].strip()[:70] for identifier, text in rows}
    document = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([A-Z]+-\d+) \| ([^|]+?) \|", document, re.M))


def requirements() -> str:
    """Which mission ids are shown to work, and by which tests; which faults are survived."""
    claims, ids = marked_tests(), mission_ids()
    proven = [identifier for identifier in ids if identifier in claims]
    lines = [
        "# Requirements and the tests that show them",
        "",
        "Generated from the test markers. *Acceptance* tests drive the deployed stack through the real trigger; a row",
        "with other suites only is built and tested from inside, in the part that exists.",
        "",
        f"{len(proven)} of {len(ids)} ids are claimed by a test.",
        "",
        "| id | what | acceptance | other tests |",
        "|---|---|---|---|",
    ]
    for identifier, text in ids.items():
        tests = claims.get(identifier, [])
        accepted = [name for name in tests if name.startswith("tests/acceptance")]
        others = len(tests) - len(accepted)
        shown = "<br>".join(f"`{name.removeprefix('tests/acceptance/')}`" for name in accepted[:4]) or "–"
        lines.append(f"| {identifier} | {text} | {shown} | {others or '–'} |")
    lines += ["", "## Faults survived", "", "| fault | tests |", "|---|---|"]
    faults = sorted((name for name in claims if name not in ids), key=lambda name: (name[0], int(name[1:])))
    for identifier in faults:
        names = [f"`{name}`" for name in claims[identifier][:4]]
        lines.append(f"| {identifier} | {'<br>'.join(names)} |")
    return "\n".join(lines) + "\n"


def documents() -> dict[Path, str]:
    """Every generated file and its content."""
    api = openapi()
    return {
        OPENAPI: _json(api),
        ROOT / "docs" / "api" / "routes.md": routes_table(api),
        ROOT / "docs" / "api" / "events.md": events_table(),
        ROOT / "docs" / "requirements.md": requirements(),
        **event_schemas(),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """Generated files that are not what the code would generate now, and files that nothing generates any more."""
    wanted = documents()
    found = [
        path.relative_to(ROOT).as_posix()
        for path, content in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    left = {path for path in (ROOT / "events" / "catalogue").glob("*.json") if path not in wanted}
    return found + [path.relative_to(ROOT).as_posix() for path in sorted(left)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something is stale")
    if parser.parse_args().check:
        names = stale()
        for name in names:
            print(f"✗ {name} is stale\n  why:  the code says something else now\n  next: make docs", file=sys.stderr)
        return 1 if names else 0
    wanted = documents()
    for path in (ROOT / "events" / "catalogue").glob("*.json"):
        if path not in wanted:
            path.unlink()
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    print(f"{len(wanted)} documents written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
