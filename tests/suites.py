"""What each suite of a run did, told at the run's end: tests, and seconds of work. `python -m tests` loads it.

A suite that was asked for and has no test fails the run.
"""

from collections import Counter
from pathlib import PurePosixPath

import pytest
from _pytest.terminal import TerminalReporter


class PerSuite:
    """Counts reports by the folder under `tests/` that their test stands in."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = [PurePosixPath(each).name for each in asked]
        self._tests: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        suite = PurePosixPath(report.nodeid.partition("::")[0]).parts[1]
        self._tests[suite] += report.when == "call" or report.skipped
        self._seconds[suite] += report.duration  # type: ignore[assignment]  # a Counter of float adds up as well

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and any(not self._tests[suite] for suite in self._asked):
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        for suite in self._asked:
            said = f"{self._tests[suite]:>6} tests {self._seconds[suite]:>8.1f} s of work"
            terminalreporter.write_line(f"  {suite:<14}{said if self._tests[suite] else '  no test'}")


def pytest_configure(config: pytest.Config) -> None:
    """Of the process that tells, not of those it has at work."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(PerSuite(config.args))
