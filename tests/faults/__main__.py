"""Run schedules: one, a range, for some minutes, or the whole proof.

python -m tests.faults --seed 17 [--engine dynoxide] [--trace] [--shrink]
python -m tests.faults --seeds 0-4999 [--engine dynoxide] [--minutes 10]
python -m tests.faults mutants
python -m tests.faults proof
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "shared")]  # as pytest does; processes inherit it

from tests.faults.proof import proof, run_mutants, run_one, run_range  # noqa: E402
from tests.faults.world import Plan  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("proof", "mutants"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", default="")
    parser.add_argument("--engine", choices=("memory", "dynoxide"), default="memory")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--without", default="", help="actors to leave out, separated by commas")
    parser.add_argument("--cast", default="", help="actors who play, instead of a choice by the seed, by commas")
    parser.add_argument("--spared", default="", help="mishaps to leave out, as actor:number")
    given = parser.parse_args(arguments)
    if given.what == "proof":
        return int(proof() > 0)
    if given.what == "mutants":
        return int(run_mutants() > 0)
    named = (given.without, given.spared, given.cast)
    without, spared, cast = (frozenset(filter(None, text.split(","))) for text in named)
    if given.seed is not None:
        plan = Plan(given.seed, given.engine, without=without, spared=spared, trace=given.trace, cast=cast)
        return run_one(plan, shorter=given.shrink)
    first, _, last = (given.seeds or "0-999999").partition("-")
    minutes = given.minutes or (0.0 if given.seeds else 1.0)
    return int(run_range(int(first), int(last or first), given.engine, minutes, cast) > 0)


if __name__ == "__main__":
    sys.exit(main())
