"""What the code of the product may not do. Each rule is a function from a file to its breaches, each with its place.

It is shown twice: the product has no breach, and a few lines that break the rule on purpose have one. What a rule
bears all the same is named beside it, with the reason; a name that is no longer needed is a breach too.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.architecture.source import (
    SLICES,
    Source,
    argument,
    called,
    dotted,
    functions,
    imports,
    own_nodes,
    package,
)

Breaches = Iterator[str]

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 40


@dataclass(frozen=True)
class Rule:
    """A rule, code that breaks it, the files it looks at, and the places it bears (module or function) with why."""

    breaches: Callable[[Source], Breaches]
    planted: Source
    files: Callable[[], tuple[Source, ...]] = package
    borne: dict[str, str] = field(default_factory=dict)


def planted(text: str, module: str = "revops.billing.service") -> Source:
    return Source(module, text)


def place(source: Source, node: ast.AST) -> str:
    """The innermost function around a node, as `module.Class.function`; the module itself at its top."""
    line = getattr(node, "lineno", 1)
    around = [name for name, found in source.functions() if found.lineno <= line <= (found.end_lineno or found.lineno)]
    return f"{source.module}.{around[-1]}" if around else source.module


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────


def nothing_scans_but_the_sweeper(source: Source) -> Breaches:
    calls = [node for node in source.walk(ast.Call) if called(node) in {"scan", "rate_limited_scan"}]
    named = [node for node in source.walk(ast.Constant) if node.value == "Scan"]
    for node in [*calls, *named]:
        yield source.at(node, f"{place(source, node)} scans; a list is a Query over an index made for it")


def claims_and_access_read_no_index(source: Source) -> Breaches:
    if source.module != "revops.table.claims" and source.part != "access":
        return
    for node in source.walk(ast.Call):
        if called(node) in {"Query", "EntityKind", "Row"} and argument(node, "index") is not None:
            yield source.at(node, "uniqueness and access are never read from an index, which may be behind (R22)")


def indexes_are_read_in_stores_alone(source: Source) -> Breaches:
    """A store is where it is said how a kind of record stands in the table."""
    kinds = [node for node in source.walk(ast.Subscript) if dotted(node.value) == "EntityKind"]
    if source.part not in SLICES or kinds or source.module.rpartition(".")[2] == "store":
        return
    for node in source.walk(ast.Call):
        if called(node) == "Query" and argument(node, "index") is not None:
            yield source.at(node, f"{place(source, node)} queries an index; lists stand beside the record's kind (R22)")


def no_counter_is_moved_without_a_row_written_once(source: Source) -> Breaches:
    """R4: an answer may be lost after the commit. Only a row that cannot be written twice keeps the repeat from
    adding twice. A function that gets its transaction from others leaves that to each of its callers."""
    found = dict(source.functions())
    for name, function in found.items():
        for move in _calls(function, "move"):
            if not isinstance(move.func, ast.Attribute):
                continue
            transaction = dotted(move.func.value)
            for bare in _unguarded(name, move, transaction, found):
                yield source.at(
                    move, f"{source.module}.{bare} adds to a counter beside no put that expects ABSENT or a version"
                )


def _calls(function: ast.FunctionDef, name: str) -> list[ast.Call]:
    return [node for node in own_nodes(function) if isinstance(node, ast.Call) and called(node) == name]


def _unguarded(name: str, move: ast.Call, transaction: str, found: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """The function, or those of its callers, in which nothing guards a move."""
    function = found[name]
    branches = _branches(function)
    guards = [node for node in own_nodes(function) if isinstance(node, ast.Call) and _guards(node)]
    if any(branches[id(guard)] <= branches[id(move)] for guard in guards):
        return
    callers = [(caller, call) for caller, body in found.items() for call in _calls(body, name.rpartition(".")[2])]
    if not callers or transaction not in {parameter.arg for parameter in function.args.args}:
        yield name
        return
    for caller, call in callers:
        yield from _unguarded(caller, call, transaction, found)


def _guards(call: ast.Call) -> bool:
    """Whether a call adds a row that can be written only once."""
    if called(call) in {"create", "update"}:
        return True
    expected = argument(call, "expect", 1) if called(call) == "put" else None
    names = {dotted(node).rpartition(".")[2] for node in ast.walk(expected)} if expected is not None else set()
    return bool(names & {"ABSENT", "version"})


def _branches(function: ast.FunctionDef) -> dict[int, frozenset[int]]:
    """Each node's branches: what stands in a branch is certain only for what stands in it too."""
    found: dict[int, frozenset[int]] = {}

    def visit(node: ast.AST, inside: frozenset[int]) -> None:
        found[id(node)] = inside
        branched = [*node.body, *node.orelse] if isinstance(node, ast.If) else []
        for child in ast.iter_child_nodes(node):
            branch = id(node.body) if isinstance(node, ast.If) and child in node.body else id(node)
            visit(child, inside | {branch} if child in branched else inside)

    visit(function, frozenset())
    return found


def no_partition_key_is_constant(source: Source) -> Breaches:
    for node in source.walk(ast.Call):
        keyed = {"Key": 0, "Row": 0, "Query": 0, "CursorKey": 0}.get(called(node))
        if keyed is not None and _constant(argument(node, "pk", keyed)):
            yield source.at(node, f"{place(source, node)}: one key takes all writes; a key has a part that varies")
    for entries in source.walk(ast.Dict):
        for name, value in zip(entries.keys, entries.values, strict=True):
            index = isinstance(name, ast.Constant) and re.fullmatch(r"gsi\d|due", str(name.value))
            if index and isinstance(value, ast.Tuple) and _constant(value.elts[0]):
                yield source.at(value, f"{place(source, value)}: one index key takes all entries; shard it")


def _constant(value: ast.expr | None) -> bool:
    if isinstance(value, ast.JoinedStr):
        return not any(isinstance(part, ast.FormattedValue) for part in value.values)
    return isinstance(value, ast.Constant) and bool(value.value)


# ── time, chance, money, surroundings ─────────────────────────────────────────────────────────────────────────────

_CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
_CHANCE = {"random", "uuid", "secrets"}


def slices_get_time_and_chance_handed_in(source: Source) -> Breaches:
    """A parameter's default may name the real one; nothing else may."""
    if source.part not in SLICES:
        return
    defaults = {
        id(node)
        for parameters in source.walk(ast.arguments)
        for default in [*parameters.defaults, *parameters.kw_defaults]
        if default is not None
        for node in ast.walk(default)
    }
    read: list[tuple[ast.AST, str]] = [(node, dotted(node)) for node in source.walk(ast.Attribute)]
    read += [(node, f"{node.module}.{node.names[0].name}") for node in source.walk(ast.ImportFrom)]
    for node, name in read:
        if id(node) not in defaults and (name in _CLOCKS or name.partition(".")[0] in _CHANCE):
            yield source.at(node, f"{place(source, node)} reads {name}; clocks and chance are handed in")


def money_is_never_a_float(source: Source) -> Breaches:
    """What a line says of waiting may be one: seconds are no money."""
    if source.part not in {"billing", "orders", "sales", "usage"} and source.module != "revops.kernel.money":
        return
    floats: list[ast.Name | ast.Constant] = [node for node in source.walk(ast.Name) if node.id == "float"]
    floats += [node for node in source.walk(ast.Constant) if isinstance(node.value, float)]
    for node in floats:
        if not re.search(r"wait|sleep|jitter|second", source.lines[node.lineno - 1], re.I):
            yield source.at(node, f"{place(source, node)}: money and rates are whole minor units and exact decimals")


def the_environment_is_read_by_the_configuration_alone(source: Source) -> Breaches:
    """And there by a function: nothing is read while a module is imported."""
    for node, name in imports(source):
        if name.partition(".")[0] == "os" and source.module != "revops.platform.config":
            yield source.at(node, "what comes from outside comes through revops.platform.config")
    inside = {id(node) for _, function in source.functions() for node in ast.walk(function)}
    for read in source.walk(ast.Attribute):
        if dotted(read) in {"os.environ", "os.getenv"} and id(read) not in inside:
            yield source.at(read, "the environment is read when it is asked for, not at import")


# ── errors and logs ───────────────────────────────────────────────────────────────────────────────────────────────


def catching_everything_has_a_reason(source: Source) -> Breaches:
    for handler in source.walk(ast.ExceptHandler):
        caught = {"BaseException"} if handler.type is None else {dotted(node) for node in ast.walk(handler.type)}
        if not caught & {"Exception", "BaseException"} or _raises_again(handler):
            continue
        if not any("#" in line for line in source.lines[handler.lineno - 1 : handler.body[0].lineno]):
            yield source.at(handler, f"{place(source, handler)} catches everything and no comment says why it must")


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def logs_start_with_a_code(source: Source) -> Breaches:
    for node in source.walk(ast.Call):
        if dotted(node.func) in {"log", "log_error"} and source.module != "revops.platform.logging":
            code = dotted(node.args[0]) if node.args else ""
            if not code.startswith("LogCode."):
                yield source.at(node, "a log line starts with a LogCode, so that it can be found")
        elif dotted(node.func) == "print":
            yield source.at(node, "nothing is printed; a log line is written by revops.platform.logging")
    for imported, name in imports(source):
        if source.module != "revops.platform.logging" and name in {"logging", "aws_lambda_powertools.Logger"}:
            yield source.at(imported, "log lines are written by revops.platform.logging, which knows what may be said")


# ── how it reads ──────────────────────────────────────────────────────────────────────────────────────────────────


def files_are_short(source: Source) -> Breaches:
    if len(source.lines) > MOST_LINES_OF_A_FILE:
        yield f"{source.module}: {len(source.lines)} lines; split it by policy or by transaction"


def handlers_are_short(source: Source) -> Breaches:
    if len(source.lines) > MOST_LINES_OF_A_FUNCTION:
        yield f"{source.module}: {len(source.lines)} lines; a handler parses, calls one use case and answers"


def functions_are_short(source: Source) -> Breaches:
    """Its own lines: the docstring and the functions defined inside it count for themselves."""
    for name, function in source.functions():
        inner = [child for child in own_nodes(function) if isinstance(child, ast.FunctionDef)]
        length = _lines(function) - sum(_lines(child) for child in inner)
        if ast.get_docstring(function):
            length -= _lines(function.body[0])
        if length > MOST_LINES_OF_A_FUNCTION:
            yield source.at(function, f"{source.module}.{name} has {length} lines; at most {MOST_LINES_OF_A_FUNCTION}")


def _lines(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return (node.end_lineno or node.lineno) - first + 1


def everything_public_says_what_it_is(source: Source) -> Breaches:
    """Modules, classes and functions. A method speaks through its class or the port it stands behind."""
    if not ast.get_docstring(source.tree):
        yield f"{source.module}: a module says what it is for"
    for node in source.tree.body:
        public = isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
        if public and isinstance(node, ast.ClassDef | ast.FunctionDef) and not ast.get_docstring(node):
            yield source.at(node, f"{source.module}.{node.name} has no docstring")


def what_is_private_stays_at_home(source: Source) -> Breaches:
    for node, name in imports(source):
        if re.search(r"\._(?!_)", name) and name.startswith("revops."):
            yield source.at(node, f"{source.module} imports {name}, which is private to its module")


# ── functions: parse, call one use case, answer ───────────────────────────────────────────────────────────────────

_PLUMBING = ("revops.api.", "revops.bootstrap.", "revops.platform.", "revops.kernel.")


def handlers_know_routes_and_wiring_alone(source: Source) -> Breaches:
    for node, name in imports(source):
        ours = name.partition(".")[0] == "revops"
        if ours and not name.startswith(_PLUMBING):
            yield source.at(node, f"{source.module} imports {name}; a handler is given its use case by the wiring")
        elif not ours and name.partition(".")[0] not in {"collections", "dataclasses", "typing"}:
            yield source.at(node, f"{source.module} imports {name}; a handler has no business with it")


def handlers_decide_nothing(source: Source) -> Breaches:
    """At most three branches and no loop: what needs more is a use case."""
    branches = list(source.walk(ast.If, ast.IfExp, ast.Match))
    if len(branches) > 3:
        yield source.at(branches[3], f"{source.module} has {len(branches)} branches; a rule belongs to a slice")
    for node in source.walk(ast.While, ast.Try, ast.ClassDef):
        yield source.at(node, f"{source.module} loops, catches or defines a class; that belongs to a slice")


def handlers_fail_without_words(source: Source) -> Breaches:
    """S16: Lambda writes the message of what a handler raises into the log. A batch of messages raises nothing."""
    for node in source.tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name != "handler":
            continue
        reports = "reports_failure" in {dotted(decorator) for decorator in node.decorator_list}
        if not reports and not _calls(node, "handle_messages"):
            yield source.at(node, f"{source.module} may raise what quotes a person; it reports_failure")


RULES = [
    Rule(
        nothing_scans_but_the_sweeper,
        planted("page = connection.dispatch('Scan', arguments)"),
        borne={
            "revops.adapters.scan": "the sweeper's own walk, a page at a time",
            "revops.stream.sweep": "the sweeper, asking for the next page",
        },
    ),
    Rule(
        claims_and_access_read_no_index,
        planted("found = Query(pk=f'USER#{email}', index='gsi1')", "revops.access.store"),
    ),
    Rule(
        indexes_are_read_in_stores_alone,
        planted("found = Query(pk=f'LEADS#{owner}', index='gsi1')", "revops.crm.service"),
    ),
    Rule(
        no_counter_is_moved_without_a_row_written_once,
        planted("def spend(transaction):\n    transaction.move(key, 'SPEND', {'left': -1})"),
        borne={
            "revops.table.rates.take_block": "a lost answer costs a block of one slot and grants none",
        },
    ),
    Rule(
        no_partition_key_is_constant,
        planted("row = Row(pk='SEQUENCE', sk='ORDER', kind='SEQUENCE')"),
        borne={
            "revops.stream.sweep": "where the one sweeper stands; written once a period",
            "revops.sync.budget": "the portal's stop sign: one per portal, written when HubSpot says 429",
            "revops.settings.service._as_row": "two versions laid beside each other as rows; neither is written",
            "revops.table.row": "names of attributes, not keys",
            "revops.bootstrap.routes": "the health check reads a row that never stands there",
        },
    ),
    Rule(slices_get_time_and_chance_handed_in, planted("def due():\n    return datetime.now(UTC)")),
    Rule(money_is_never_a_float, planted("def total(amount: float): ...", "revops.orders.policies.pricing")),
    Rule(
        the_environment_is_read_by_the_configuration_alone,
        planted("import os\nSTAGE = os.environ['STAGE']"),
        borne={"revops": "says once that our validation has no plug-ins, before pydantic looks for some"},
    ),
    Rule(catching_everything_has_a_reason, planted("try:\n    send()\nexcept Exception:\n    pass")),
    Rule(logs_start_with_a_code, planted("log('sent', count=1)")),
    Rule(files_are_short, planted("x = 1\n" * 401)),
    Rule(functions_are_short, planted("def long():\n" + "    x = 1\n" * 41)),
    Rule(everything_public_says_what_it_is, planted('"""Billing."""\n\n\ndef bill(): ...')),
    Rule(what_is_private_stays_at_home, planted("from revops.crm.store import _lead_index")),
    Rule(handlers_are_short, planted("x = 1\n" * 41, "functions.crm_api.app"), functions),
    Rule(
        handlers_know_routes_and_wiring_alone,
        planted("from revops.crm.store import LEADS", "functions.crm_api.app"),
        functions,
        borne={
            "functions.change_relay.app": "a re-drive names records by their keys",
            "functions.order_steps.app": "the workflow's task is an argument of the use case",
        },
    ),
    Rule(
        handlers_decide_nothing,
        planted("while True:\n    pass", "functions.crm_api.app"),
        functions,
    ),
    Rule(
        handlers_fail_without_words,
        planted("def handler(event, context):\n    return sweep(event)", "functions.housekeeping.app"),
        functions,
    ),
    Rule(everything_public_says_what_it_is, planted("def handler(event): ...", "functions.crm_api.app"), functions),
]


def _label(rule: Rule) -> str:
    return rule.breaches.__name__ + ("-in-handlers" if rule.files is functions else "")


def _unborne(rule: Rule, breaches: Breaches, used: set[str]) -> Iterator[str]:
    for breach in breaches:
        reasons = {name for name in rule.borne if re.search(rf"(^|\s){re.escape(name)}(?![.]?\w)", breach)}
        used |= reasons
        if not reasons:
            yield breach


@pytest.mark.fault("R4", "R22")
@pytest.mark.parametrize("rule", RULES, ids=_label)
def test_the_code_keeps(rule: Rule) -> None:
    used: set[str] = set()
    breaches = [breach for source in rule.files() for breach in _unborne(rule, rule.breaches(source), used)]
    assert not breaches, "\n".join(breaches)
    assert not rule.borne.keys() - used, "borne although nothing breaks it any more"


@pytest.mark.parametrize("rule", RULES, ids=_label)
def test_a_breach_is_seen(rule: Rule) -> None:
    assert list(rule.breaches(rule.planted))


def test_a_guard_in_another_branch_guards_nothing() -> None:
    text = """
def take():
    if row is None:
        transaction.put(fresh, ABSENT)
        return
    transaction.move(key, 'SLOT', {'left': -1})
"""
    assert list(no_counter_is_moved_without_a_row_written_once(planted(text)))


def test_a_caller_may_hold_the_guard() -> None:
    text = """
def record(call):
    transaction.put(ledger_row(entry), ABSENT)
    charge(transaction)

def charge(transaction):
    transaction.move(key, 'SPEND', {'left': -1})
"""
    assert not list(no_counter_is_moved_without_a_row_written_once(planted(text)))
