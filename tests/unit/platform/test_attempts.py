"""A command that lost a race pauses before it looks again, ever longer and never for as long as the next one."""

import pytest

from revops.table import attempts

pytestmark = pytest.mark.fault("R6")


def test_the_first_attempt_does_not_wait_and_the_others_ever_longer() -> None:
    pauses: list[float] = []
    assert list(attempts(9, pauses.append, lambda: 1.0)) == list(range(9))
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.4, 0.4, 0.4]


def test_the_pauses_of_two_are_spread_over_the_whole_time() -> None:
    pauses: list[float] = []
    parts = iter([0.0, 0.5, 0.25])
    assert list(attempts(4, pauses.append, lambda: next(parts))) == [0, 1, 2, 3]
    assert pauses == [0.0, 0.02, 0.02]


def test_who_is_done_waits_no_more() -> None:
    pauses: list[float] = []
    for attempt in attempts(9, pauses.append, lambda: 1.0):
        if attempt == 1:
            break
    assert pauses == [0.02]
