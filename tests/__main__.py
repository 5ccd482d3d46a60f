"""Every suite, one after the other, with what each took; what `make test` runs.

    python -m tests [--workers 2] [suite …]

The acceptance suite drives a deployed stack. It gets one of its own, made from nothing and stopped whatever happens;
the stack of `make up` is not touched.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SUITES = ("unit", "property", "contract", "integration", "faults", "architecture")
DEPLOYED = "acceptance"
WAITING = "contract"
"""The suite that waits for simulators more than it works."""


def say(text: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Result:
    """What became of a step: its name, whether it held, and its seconds."""

    name: str
    held: bool
    seconds: float


def run(name: str, command: list[str], environment: Mapping[str, str]) -> Result:
    """One command, its output as it comes."""
    say(f"\n── {name} " + "─" * (76 - len(name)))
    began = time.monotonic()
    done = subprocess.run(command, cwd=PROJECT, env=environment, check=False)
    return Result(name, done.returncode == 0, time.monotonic() - began)


def pytest(suite: str, workers: int) -> list[str]:
    """The command of a suite. A suite without tests fails, as pytest has it."""
    command = [sys.executable, "-m", "pytest", "-q", f"tests/{suite}"]
    if workers == 1:
        return command
    at_once = workers + 2 if suite == WAITING else workers
    return [*command, "-n", str(at_once), "--dist", "worksteal"]


def on_the_stack(workers: int) -> dict[str, list[str]]:
    """The commands of the acceptance suite, by name. It waits more than it works, so there is a worker more; its
    conftest says which tests may run beside each other. What takes the stack's time has it to itself afterwards."""
    command = [sys.executable, "-m", "pytest", "-q", f"tests/{DEPLOYED}", "--durations", "10", "--durations-min", "10"]
    beside = ["-m", "not alone", "-n", str(workers + 1), "--dist", "loadscope", "--no-loadscope-reorder"]
    return {DEPLOYED: [*command, *beside], f"{DEPLOYED}, alone": [*command, "-m", "alone"]}


@contextmanager
def layers_meanwhile(environment: Mapping[str, str]) -> Iterator[None]:
    """Builds the layers beside the first suites: they wait for the disk more than they work. Whoever needs one that is
    not there yet waits for it; one that cannot be built is named by whoever needs it."""
    command = [sys.executable, "-m", "local.stack.build"]
    quiet = subprocess.DEVNULL
    building = subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        building.terminate()
        building.wait()


def on_a_stack(steps: Mapping[str, list[str]], environment: Mapping[str, str]) -> list[Result]:
    """Commands against a stack made for them, which is stopped afterwards."""

    def stack(verb: str) -> list[str]:
        return [sys.executable, "-m", "local.stack", verb, "--for-tests"]

    results: list[Result] = []
    told = {**environment, "CI": "1"}  # a stack that is missing then fails the suite instead of skipping it
    try:
        for verb in ("forget", "up"):
            results.append(run(f"stack {verb}", stack(verb), environment))
            if not results[-1].held:
                return results
        results += [run(name, command, told) for name, command in steps.items()]
    finally:
        results.append(run("stack down", stack("down"), environment))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests", description="Run the suites that must pass.")
    parser.add_argument("suites", nargs="*", help="all of them by default", metavar="suite")
    parser.add_argument("--workers", type=int, default=2, help="tests at once")
    given = parser.parse_args()
    wanted = given.suites or [*SUITES, DEPLOYED]
    if unknown := set(wanted) - {*SUITES, DEPLOYED}:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join([*SUITES, DEPLOYED])}")
    # Ended from outside, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A dozen processes a suite import the same modules; compiled once, they start in half the time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    with layers_meanwhile(environment) if len(wanted) > 1 else nullcontext():
        results = [run(suite, pytest(suite, given.workers), environment) for suite in SUITES if suite in wanted]
        if DEPLOYED in wanted:
            results += on_a_stack(on_the_stack(given.workers), environment)
    say("\n" + "─" * 80)
    for result in results:
        say(f"{'✓' if result.held else '✗'} {result.name:<24}{result.seconds:8.1f} s")
    say(f"  {'all':<24}{time.monotonic() - began:8.1f} s")
    failed = [result.name for result in results if not result.held]
    if failed:
        say(f"✗ failed: {', '.join(failed)}\n  next: python -m pytest tests/<suite> shows one alone")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
