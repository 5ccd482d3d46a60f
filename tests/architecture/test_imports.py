"""Who may know whom: the contracts of pyproject.toml, kept, and each able to break."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source import PROJECT, SLICES, package

CONTRACTS: list[dict[str, Any]] = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"][
    "importlinter"
]["contracts"]

# A line that breaks each contract, and the file it is added to.
PLANTED = {
    "layers": ("kernel/clock.py", "import revops.crm.model"),
    "slices": ("usage/policies.py", "import revops.sync.fields"),
    "rules": ("orders/workflow.py", "import stripe"),
    "training": ("scoring/learned.py", "import numpy"),
    "printing": ("orders/document.py", "import fpdf"),
    "kernel": ("kernel/money.py", "import revops.catalogue"),
    "routes": ("api/leads.py", "import revops.adapters.mail"),
    "adapters": ("crm/service.py", "import revops.adapters.mail"),
}


def _lint(shared: Path, *more: str) -> tuple[int, str]:
    said = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", PROJECT / "pyproject.toml", "--no-cache", *more],
        cwd=shared,
        env={**os.environ, "PYTHONPATH": str(shared), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return said.returncode, said.stdout + said.stderr


def test_the_contracts_are_kept() -> None:
    code, said = _lint(PROJECT / "shared")
    assert code == 0, said


@pytest.mark.parametrize("contract", [contract["id"] for contract in CONTRACTS])
def test_a_breach_is_seen(contract: str, tmp_path: Path) -> None:
    """The package in another place, with one import too many."""
    for source in (PROJECT / "shared" / "revops").rglob("*.py"):
        target = tmp_path / source.relative_to(PROJECT / "shared")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    file, line = PLANTED[contract]
    with (tmp_path / "revops" / file).open("a", encoding="utf-8") as broken:
        broken.write(f"\n{line}\n")
    code, said = _lint(tmp_path, "--contract", contract)
    assert (code, "BROKEN" in said) == (1, True), said


def test_every_slice_is_bound_by_the_contract_on_rules() -> None:
    rules = next(contract for contract in CONTRACTS if contract["id"] == "rules")
    assert {f"revops.{name}" for name in SLICES} | {"revops.catalogue"} == set(rules["source_modules"])
    ground = {
        "",
        "adapters",
        "api",
        "bootstrap",
        "catalogue",
        "kernel",
        "payload",
        "payloads_billing",
        "payloads_reconcile",
        "payloads_sales",
        "platform",
        "table",
    }
    assert {source.part for source in package()} - ground == SLICES, "a new folder is a slice, or part of the ground"
