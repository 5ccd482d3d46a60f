"""What the demo story says when it cannot be told, or ends early."""

import time
from typing import Any

import pytest

from local.stack.progress import step
from local.story import VENDORS, StoryFailed, tell
from local.story.teller import Teller

NOWHERE = "http://127.0.0.1:9"


def _stack(**vendors: Any) -> dict[str, Any]:
    stack: dict[str, Any] = {vendor: {"simulator_url": NOWHERE} for vendor in VENDORS}
    return stack | {"api_url": NOWHERE, "partner_api_key": "", "tokens": {}} | vendors


@pytest.mark.parametrize("vendor", VENDORS)
def test_with_a_real_vendor_nothing_is_told_and_it_says_why(vendor: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(_stack(**{vendor: {"simulator_url": None}}))
    told = capsys.readouterr().out
    assert told.count("\n") == 2
    assert vendor in told


def test_a_stack_that_does_not_answer_ends_it_with_what_to_do_next() -> None:
    with pytest.raises(StoryFailed) as ended:
        tell(_stack())
    assert "ConnectError" in ended.value.why
    assert "make log FUNCTION=" in ended.value.report()


def test_a_step_that_takes_long_says_what_it_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(_stack(), sign_of_life=0.02)
    looks = iter([None, None, "LEAD_1"])
    with teller.step("A form is sent") as say:
        say(teller.until("the lead", lambda: next(looks)))
        time.sleep(0.1)
    before, _, after = capsys.readouterr().out.partition("      LEAD_1\n")
    assert "      … the lead (" in before
    assert "      … asking (" in after, "what was waited for is here"


def test_a_step_that_is_quick_says_no_more_than_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Teller(_stack()).step("A form is sent") as say:
        say("LEAD_1")
    *told, seconds = capsys.readouterr().out.splitlines()
    assert told == ["", "   1. A form is sent", "      LEAD_1"]
    assert seconds.startswith("      (0.")


def test_a_step_of_the_stack_ends_with_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with step("deploy") as running:
        running.note("3 done")
    with pytest.raises(OSError, match="gone"), step("start"):
        raise OSError("gone")
    done, failed = capsys.readouterr().out.splitlines()
    assert done.startswith("  ✓ deploy — 3 done (0.")
    assert failed == "  ✗ start"
