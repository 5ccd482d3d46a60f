"""The project's Python files, parsed once, and what the rules about them need to ask."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from local.stack import expand
from local.stack.expand import Template

PROJECT = Path(__file__).resolve().parents[2]

SLICES = frozenset(
    {
        "access",
        "analytics",
        "audit",
        "billing",
        "bus",
        "channels",
        "crm",
        "inbox",
        "notices",
        "nurture",
        "orders",
        "reconcile",
        "sales",
        "scoring",
        "settings",
        "signing",
        "stream",
        "sync",
        "usage",
    }
)
"""The folders of `shared/revops` that hold what the product decides; the rest is ground, doors and wiring."""


@dataclass(frozen=True)
class Source:
    """One file. `module` is its import path, `revops.crm.store`, or `functions.crm_api.app`."""

    module: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def part(self) -> str:
        """`crm` of `revops.crm.store`; "" for what is not of the package."""
        names = self.module.split(".")
        return names[1] if names[0] == "revops" and len(names) > 1 else ""

    def at(self, node: ast.AST, said: str) -> str:
        """A breach, with the place that commits it."""
        return f"{self.module}:{getattr(node, 'lineno', 1)}: {said}"

    def walk[T: ast.AST](self, *kinds: type[T]) -> Iterator[T]:
        for node in ast.walk(self.tree):
            if isinstance(node, kinds):
                yield node

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef]]:
        """Every function with its dotted name inside the module, nested ones included."""
        yield from _functions(self.tree, "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            if isinstance(child, ast.FunctionDef):
                yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What stands in a function itself, without the functions defined in it."""
    for child in ast.iter_child_nodes(function):
        yield from _own(child)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, ast.FunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from _own(child)


def called(call: ast.Call) -> str:
    """The last name of what is called: `put` of `transaction.put(…)`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """`datetime.now` of the expression `datetime.now`; "" for anything that is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """An argument by its name, or by its place."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and len(call.args) > position:
        return call.args[position]
    return None


def imports(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Each imported module, or `module.name` for what is imported from one."""
    for node in source.walk(ast.ImportFrom):
        yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
    for plain in source.walk(ast.Import):
        yield from ((plain, alias.name) for alias in plain.names)


@cache
def package() -> tuple[Source, ...]:
    """The files of `shared/revops`."""
    root = PROJECT / "shared"
    return tuple(_read(path, root) for path in sorted((root / "revops").rglob("*.py")))


@cache
def functions() -> tuple[Source, ...]:
    """The Lambda functions' `app.py`."""
    return tuple(_read(path, PROJECT) for path in sorted((PROJECT / "functions").glob("*/app.py")))


@cache
def template_for_aws() -> Template:
    """The template as `sam deploy` hands it to CloudFormation. Shared: who changes it, copies it."""
    return expand.for_aws()


@cache
def template_for_emulator() -> Template:
    """The template as the local deploy hands it to the emulator; who changes it, copies it."""
    return expand.for_emulator(expand.load(), lambda uri: ("artifacts", uri), {"Platform": "local"})


def _read(path: Path, root: Path) -> Source:
    names = path.relative_to(root).with_suffix("").parts
    module = ".".join(names[:-1] if names[-1] == "__init__" else names)
    return Source(module, path.read_text(encoding="utf-8"))
