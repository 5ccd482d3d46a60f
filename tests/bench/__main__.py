"""`make bench`: runs every row, prints the table, writes .local/bench.json.

    python -m tests.bench [--seed N] [--only cold,data,…]

Timings are never asserted anywhere: what misses its budget is said so here and in docs/benchmarks.md.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import (
    at_size,
    capacity,
    cold,
    data_layer,
    fairness,
    framework,
    imports,
    matching,
    rescoring,
    scoring,
    sizes,
    usage,
    webhook,
)
from tests.bench.layers import built_layers
from tests.bench.measure import Row
from tests.builders.dynoxide import running_dynoxide

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / ".local" / "bench.json"


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def processor() -> str:
    """What this runs on, without a name of the machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} × {model or platform.machine()}"


def shown(row: Row) -> str:
    value = f"{row.value:,.2f} {row.unit}" if abs(row.value) < 1000 else f"{row.value:,.0f} {row.unit}"
    noise = "" if row.low is None or row.high is None else f"{row.low:,.2f}–{row.high:,.2f}"
    limit = "" if row.budget is None else f"{'≥' if row.at_least else '≤'} {row.budget:g}"
    return f"{row.name:<66} {value:>16}  {noise:>15}  {limit:>8}  {row.verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="The budgets, measured side by side.")
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--only", default="", help="groups of rows, by comma")
    arguments = parser.parse_args()
    seed: int = arguments.seed
    wanted = set(filter(None, arguments.only.split(",")))

    say(f"seed {seed} · Python {platform.python_version()} · {processor()} · load {os.getloadavg()[0]:.1f}")
    rows: list[Row] = []
    started = time.monotonic()
    with running_dynoxide() as engine:
        groups: dict[str, Callable[[], list[Row]]] = {
            "sizes": lambda: sizes.rows(built_layers()),
            "cold": lambda: cold.rows(built_layers(), seed),
            "data": lambda: data_layer.rows(engine, seed),
            "framework": framework.rows,
            "capacity": lambda: capacity.rows(engine, seed),
            "fairness": lambda: fairness.rows(engine),
            "usage": lambda: usage.rows(engine),
            "webhook": lambda: webhook.rows(engine),
            "burst": lambda: webhook.burst(engine),
            "scoring": lambda: scoring.rows(seed),
            "rescoring": lambda: rescoring.rows(seed),
            "matching": lambda: matching.rows(seed),
            "import": lambda: imports.rows(seed),
            "size": lambda: at_size.rows(seed),
        }
        unknown = wanted - groups.keys()
        if unknown:
            parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
        say(f"{'':<66} {'measured':>16}  {'min–max':>15}  {'budget':>8}")
        for name, measure in groups.items():
            if wanted and name not in wanted:
                continue
            begun = time.monotonic()
            for row in measure():
                rows.append(row)
                say(shown(row))
                if row.details:
                    say("    " + " · ".join(f"{key} {value}" for key, value in row.details.items()))
            say(f"    ({name}: {time.monotonic() - begun:.0f} s)")
    write(rows, seed, time.monotonic() - started, whole=not wanted)
    missed = [row.name for row in rows if row.verdict == "MISSED"]
    say()
    say(
        f"{len(rows)} rows in {time.monotonic() - started:.0f} s; "
        + (f"missed: {'; '.join(missed)}" if missed else "none missed")
    )


def write(rows: list[Row], seed: int, seconds: float, *, whole: bool) -> None:
    """The same as JSON; a run of some groups only leaves the file of the last whole run alone."""
    if not whole:
        return
    RESULT.parent.mkdir(exist_ok=True)
    content = {
        "seed": seed,
        "python": platform.python_version(),
        "processor": processor(),
        "seconds": round(seconds, 1),
        "rows": [
            {
                "name": row.name,
                "value": round(row.value, 4),
                "unit": row.unit,
                "budget": row.budget,
                "comparison": "at least" if row.at_least else "at most",
                "verdict": row.verdict or "shown",
                "low": row.low,
                "high": row.high,
                "details": row.details,
            }
            for row in rows
        ],
    }
    RESULT.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
