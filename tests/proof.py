"""The full counts, for a machine that has nothing else to do for most of an hour; what `make proof` runs.

    python -m tests.proof

Fault schedules and planted bugs first, on every processor. Then a list of 100,000 rows, which keeps one of them busy,
beside ten times the usage stories and every order of a subscription's events, which keep the other.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryFile

from tests.__main__ import PROJECT, Result, run, say

_PYTEST = [sys.executable, "-m", "pytest", "-q", "--timeout", "3000"]


@contextmanager
def beside(name: str, command: list[str], environment: Mapping[str, str]) -> Iterator[Callable[[], Result]]:
    """A command that runs while something else does; what is given waits for it and shows what it said."""
    with TemporaryFile() as said:
        began = time.monotonic()
        running = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=said, stderr=subprocess.STDOUT)

        def ended() -> Result:
            held = running.wait() == 0
            said.seek(0)
            say(f"\n── {name} " + "─" * (76 - len(name)) + "\n" + said.read().decode(errors="replace"))
            return Result(name, held, time.monotonic() - began)

        try:
            yield ended
        finally:
            if running.poll() is None:
                running.terminate()
                running.wait()


def _suite(name: str, environment: Mapping[str, str], path: str, **more: str) -> tuple[str, list[str], dict[str, str]]:
    return name, [*_PYTEST, path], {**environment, **more}


def main() -> int:
    began = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    results = [run("schedules and planted bugs", [sys.executable, "-m", "tests.faults", "proof"], environment)]
    rows = _suite("a list of 100,000 rows", environment, "tests/integration/test_import.py", REVOPS_SCALE="100")
    stories = _suite("usage stories", environment, "tests/property/test_usage_caps.py", REVOPS_SCALE="10")
    lives = _suite("every order", environment, "tests/property/test_subscription_lives.py", REVOPS_EVERY_ORDER="1")
    with beside(*rows) as imported:
        results += [run(*each) for each in (stories, lives)]
        results.append(imported())
    results.append(Result("all", all(result.held for result in results), time.monotonic() - began))
    for result in results:
        say(f"{'✓' if result.held else '✗'} {result.name:<28}{result.seconds:8.1f} s")
    return int(not results[-1].held)


if __name__ == "__main__":
    sys.exit(main())
