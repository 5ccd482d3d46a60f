"""Lists that must agree: kinds and their audit, rules and their files, events and their schemas, markers and the ids
they name, routes and the document of the API. What stands on one list and not on the other is named.
"""

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import revops
from local import generate
from revops.bootstrap import AUDITED, events_of, settings_documents
from revops.catalogue import PAYLOADS
from revops.platform.logging import LogCode
from revops.table import EntityKind
from tests.architecture.source import PROJECT, argument, called, dotted, package, template_for_aws

LONGEST_RETRY = timedelta(days=30)
"""Stripe retries for three days; a row that recognises a repeat outlives every retry by far (R1)."""

UNAUDITED = {
    "INBOX": "what a vendor said, kept whole; what was made of it is audited where it took effect",
    "CREATION": "the steps of making one thing at Stripe; the order they lead to is audited",
    "BILLING_LOG": "a log itself: entries are added and never changed",
    "ENROLMENT": "a log itself: each step with its time, how it ended and why, and who began and ended it",
    "NURTURE_MESSAGE": "written once and never changed",
    "TRACE": "counts and times of fetches; what counts is on the lead, which is audited",
    "MERGE": "both leads as they were, kept to undo by; what it changed on either is audited there",
    "ENVELOPE": "when its provider is asked again; what it told is on the order, which is audited",
    "DEADLETTER": "written by the relay, which audits; auditing it would make it its own cause",
}
"""Kinds of entities without an audit entry per version, and why."""

KEPT = {
    "revops.channels.imports.blocks": "KEEP",
    "revops.channels.imports.repeats": "KEEP",
    "revops.channels.imports.store": "KEEP",
    "revops.crm.intake": "_KEEP_KEYS_SECONDS",
    "revops.crm.tickets": "KEEP_CLAIMS",
    "revops.inbox.store": "KEEP",
    "revops.notices.service": "_KEEP_SECONDS",
    "revops.orders.store": "WAIT_KEPT",
    "revops.orders.submission": "_CLAIM_KEPT",
    "revops.sales.ledger": "CLAIM_KEPT",
    "revops.sync.store": "LOG_KEEP",
    "revops.table.leases": "KEEP",
}
"""Where rows expire, and the constant that says after how long: seconds or a timedelta."""
EXPIRES_SOON = {
    "revops.table.claims": "the claimer says how long",
    "revops.reconcile.store": "what one run saw; nothing but that run looks at it",
}


def _modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(revops.__path__, "revops."):
        yield importlib.import_module(found.name)


def _kinds() -> dict[str, str]:
    """Each kind of entity and the module that says how it stands in the table."""
    return {
        value.kind: module.__name__
        for module in _modules()
        for value in vars(module).values()
        if isinstance(value, EntityKind)
    }


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_kind_is_audited_or_says_why_not() -> None:
    kinds = _kinds()
    assert not AUDITED & UNAUDITED.keys()
    assert kinds.keys() == AUDITED | UNAUDITED.keys()


def test_every_kind_has_one_description() -> None:
    said = re.compile(r"EntityKind\[\w+\]\(\s*kind=\"(\w+)\"")
    found = [kind for source in package() for kind in said.findall(source.text)]
    assert sorted(found) == sorted(_kinds())


@pytest.mark.fault("R1")
def test_what_recognises_a_repeat_outlives_every_retry() -> None:
    for module, name in KEPT.items():
        kept = getattr(importlib.import_module(module), name)
        lives = kept if isinstance(kept, timedelta) else timedelta(seconds=kept)
        assert lives >= LONGEST_RETRY, f"{module}.{name}: a repeat after {lives} would count twice (R1)"


def test_every_expiry_is_on_the_list() -> None:
    expiring = set()
    for source in package():
        calls = [node for node in source.walk(ast.Call) if argument(node, "ttl") is not None]
        assigned = [
            node for node in source.walk(ast.Assign) if any(dotted(target).endswith(".ttl") for target in node.targets)
        ]
        if source.part != "table" or source.module.endswith(("leases", "claims")):
            expiring |= {source.module for node in calls if called(node) in {"Row", "claim"}}
            expiring |= {source.module for _ in assigned}
    assert expiring == KEPT.keys() | EXPIRES_SOON.keys()


# ── rules a company may change ────────────────────────────────────────────────────────────────────────────────────


def test_every_document_of_rules_has_its_file_and_every_file_its_document() -> None:
    """But for those a job writes: applying the files must not undo the job."""
    in_files = {name for name, document in settings_documents().items() if document.IN_FILE}
    assert {path.stem for path in (PROJECT / "config").glob("*.json")} == in_files


@pytest.mark.parametrize("name", sorted(name for name, document in settings_documents().items() if document.IN_FILE))
def test_a_file_says_what_the_document_says(name: str) -> None:
    """Valid, every field spelled out and in the document's own form: a plan of it shows no difference."""
    document = settings_documents()[name]
    written = json.loads((PROJECT / "config" / f"{name}.json").read_text("utf-8"))
    read = document.model_validate(written)
    assert json.loads(read.model_dump_json()) == written
    assert set(written) == set(document.model_fields)


@pytest.mark.parametrize("name", sorted(settings_documents()))
def test_a_document_of_rules_has_sensible_defaults(name: str) -> None:
    settings_documents()[name]()


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("BUS-1")
def test_every_event_has_its_generated_schema() -> None:
    files = {path.stem for path in (PROJECT / "events" / "catalogue").glob("*.json")}
    assert files == {f"{payload.event_name()}.v{payload.schema_version}" for payload in PAYLOADS}


def test_every_name_of_an_event_in_the_code_is_in_the_catalogue() -> None:
    """What matches on the name of an event that nobody publishes would wait for ever."""
    known = {payload.event_name() for payload in PAYLOADS}
    named = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")
    unknown = [
        source.at(node, f"{node.value} is in no catalogue")
        for source in package()
        if source.module.endswith((".consume", ".events"))
        for node in source.walk(ast.Constant)
        if isinstance(node.value, str) and named.fullmatch(node.value) and node.value not in known
    ]
    assert not unknown, "\n".join(unknown)


def test_every_event_is_published_by_a_slice() -> None:
    """An event is made where its payload is: in a slice's function of a change, or where it shows that one was lost."""
    made = {
        called(node)
        for source in package()
        if source.module.endswith((".events", ".notes", ".relay"))
        for node in source.walk(ast.Call)
    }
    assert not {payload.event_name() for payload in PAYLOADS} - made


def test_every_function_of_changes_is_asked_by_the_relay() -> None:
    makers = {
        source.module
        for source in package()
        for name, function in source.functions()
        if name == "events" and function.args.args and function.args.args[0].arg == "change"
    }
    assert {function.__module__ for function in events_of()} == makers


# ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_document_of_the_api_has_every_route_of_the_template() -> None:
    paths = generate.openapi()["paths"]
    documented = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    apis = [
        resource["Properties"]["Body"]["paths"]
        for resource in template_for_aws()["Resources"].values()
        if resource["Type"] == "AWS::ApiGatewayV2::Api"
    ]
    deployed = {f"{method.upper()} {path}" for api in apis for path, methods in api.items() for method in methods}
    assert {route for route in deployed if not route.startswith("OPTIONS ")} == documented


# ── markers and generated documents ───────────────────────────────────────────────────────────────────────────────


def _faults() -> set[str]:
    """Ids of the fault catalogue, where it is at hand; else the shape of one."""
    catalogue = PROJECT.parent / "shared" / "faults.md"
    if catalogue.exists():
        return set(re.findall(r"^\| ([RS]\d+) \|", catalogue.read_text("utf-8"), re.M))
    return {f"R{number}" for number in range(1, 31)} | {f"S{number}" for number in range(1, 25)}


def test_every_id_that_a_test_claims_exists() -> None:
    known = generate.mission_ids().keys() | _faults()
    unknown = {name: tests for name, tests in generate.marked_tests().items() if name not in known}
    assert not unknown


def test_what_is_generated_is_what_the_code_says() -> None:
    stale = generate.stale()
    assert not stale, f"{stale}: `make docs` writes them anew"


def test_codes_of_log_lines_are_distinct() -> None:
    assert len({code.value for code in LogCode}) == len(LogCode.__members__)
    assert all(re.fullmatch(r"[A-Z]{3,4}\d{3}", code.value) for code in LogCode)
