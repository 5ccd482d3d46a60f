"""What the documents name exists: routes, commands, alarms, outputs, log codes, settings, files, links and snippets."""

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local import generate, operate
from revops.bootstrap import Wiring, settings_documents
from revops.platform.logging import LogCode

PROJECT = Path(__file__).parents[3]
README, DOCS = PROJECT / "README.md", PROJECT / "docs"
ARCHITECTURE, RUNBOOK, SETTINGS = (DOCS / f"{name}.md" for name in ("architecture", "runbook", "settings"))

DECISIONS = sorted((DOCS / "adr").glob("*.md"))
"""Dated: they say what was so when it was decided."""
DOCUMENTS = [README, PROJECT / "CHANGELOG.md", *sorted({*DOCS.rglob("*.md")} - {*DECISIONS})]
DOCUMENTS += sorted((PROJECT / "local").rglob("*.md"))
_METHODS = "GET|HEAD|POST|PUT|PATCH|DELETE"


def _name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _template() -> dict[str, Any]:
    template: dict[str, Any] = yaml_parse(_text(PROJECT / "template.yaml"))
    return template


def _of_type(kind: str) -> set[str]:
    return {name for name, resource in _template()["Resources"].items() if resource["Type"] == kind}


def _blocks(path: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks in a language, without the indentation of the list they stand in."""
    for indent, language, block in re.findall(r"^( *)```(\w*)\n(.*?)^ *```", _text(path), re.M | re.S):
        if language in languages:
            yield re.sub(f"^{indent}", "", block, flags=re.M)


documents = pytest.mark.parametrize("path", DOCUMENTS, ids=_name)


@cache
def _routes() -> list[tuple[str, re.Pattern[str]]]:
    """Every route: its method, and what its address looks like."""
    paths = json.loads(_text(generate.OPENAPI))["paths"]
    shapes = {path: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))) for path in paths}
    return [(method.upper(), shapes[path]) for path, methods in paths.items() for method in methods]


@documents
def test_every_route_it_names_exists(path: Path) -> None:
    named = re.findall(rf"\b({_METHODS})\s+`?(/(?:api|webhooks|t)/[\w/{{}}.-]+)", _text(path))
    named += re.findall(rf'curl [^\n]*?-X ({_METHODS}) "\$API(/[\w/{{}}.-]+)', _text(path))
    unknown = {
        f"{method} {route}"
        for method, route in named
        if not any(method == known and shape.fullmatch(route.rstrip(".")) for known, shape in _routes())
    }
    assert not unknown


@documents
def test_every_file_it_names_exists(path: Path) -> None:
    roots = {each.name for each in PROJECT.iterdir() if each.is_dir() and not each.name.startswith(".")}
    named = {name for name in re.findall(r"`([\w./-]+/[\w./-]*)`", _text(path)) if name.partition("/")[0] in roots}
    missing = {name for name in named if not (PROJECT / name).exists()}
    assert not missing


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^ *```.*?^ *```", "", _text(path), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*DOCUMENTS, *DECISIONS], ids=_name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _text(path)):
        if target.startswith(("https://", "http://")):
            continue
        place, _, anchor = target.partition("#")
        there = (path.parent / place).resolve() if place else path
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), target


@documents
def test_every_python_snippet_finds_what_it_asks_for(path: Path) -> None:
    for block in [*_blocks(path, "python"), *_heredocs(path)]:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                missing = [each.name for each in node.names if not hasattr(module, each.name)]
                assert not missing, f"{node.module}: {missing}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "wiring":
                assert hasattr(Wiring, node.attr) or node.attr in {"config", "table"}, f"wiring.{node.attr}"


def _heredocs(path: Path) -> Iterator[str]:
    for block in _blocks(path, "sh"):
        yield from re.findall(r"<<'PY'\n(.*?)^PY$", block, re.M | re.S)


@documents
def test_every_command_of_operation_is_one(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in _blocks(path, "sh"):
        for line in block.replace("\\\n", " ").replace("$operate", "python -m local.operate replay").splitlines():
            words = shlex.split(line, comments=True) if "-m local.operate " in line and "=" not in line[:9] else []
            if "local.operate" in words:
                try:
                    operate.parser().parse_args(words[words.index("local.operate") + 1 :])
                except SystemExit:
                    pytest.fail(f"{line}\n{capsys.readouterr().err}")


@documents
def test_every_output_of_the_stack_it_names_is_one(path: Path) -> None:
    known = _template()["Outputs"].keys() | _template()["Parameters"].keys()
    assert set(re.findall(r"<([A-Z][a-z]+[A-Z]\w+)>", _text(path))) <= known


# ── the runbook ───────────────────────────────────────────────────────────────────────────────────────────────────


def _section(path: Path, heading: str) -> str:
    return _text(path).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _first_column(table: str) -> set[str]:
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_runbook_says_what_to_do_about_every_alarm() -> None:
    assert _first_column(_section(RUNBOOK, "Alarms")) == _of_type("AWS::CloudWatch::Alarm")


def test_the_runbook_knows_where_every_dead_letter_lies() -> None:
    queues = {name for name in _of_type("AWS::SQS::Queue") if name.endswith("DeadLetters")}
    assert {name for name in _first_column(_section(RUNBOOK, "Dead letters")) if name.endswith("Url")} == {
        f"{name}Url" for name in queues
    }


def test_the_runbook_explains_every_code_of_the_logs() -> None:
    assert _first_column(_section(RUNBOOK, "Logs")) == {code.value for code in LogCode}


# ── the settings ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_settings_document_has_its_line_document_decides() -> None:
    assert _first_column(_text(SETTINGS)) == {
        name for name, document in settings_documents().items() if document.IN_FILE
    }


# ── the architecture ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_architecture_says_what_every_function_does() -> None:
    functions = {path.parent.name for path in (PROJECT / "functions").glob("*/app.py")}
    assert _first_column(_section(ARCHITECTURE, "The flow")) == functions


def test_the_architecture_leads_to_every_table_of_keys() -> None:
    package = PROJECT / "shared" / "revops"
    with_table = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^\| [^\n]*\| pk ", ast.get_docstring(ast.parse(_text(path))) or "", re.M)
    }
    named = {name for name in _first_column(_section(ARCHITECTURE, "The table")) if name.endswith(".py")}
    assert not with_table - named
    assert not {name for name in named if not (package / name).is_file()}


# ── the decisions ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_index_of_decisions_has_each_under_its_title() -> None:
    index = dict(re.findall(r"^\| \[\d{4}\]\(([\w.-]+)\) \| (.+) \|$", _text(DOCS / "adr" / "README.md"), re.M))
    titles = {path.name: _text(path).partition("\n")[0] for path in DECISIONS if path.name != "README.md"}
    assert {name: f"# {name[:4]} – {title}" for name, title in index.items()} == titles
