"""What the demo story says when it cannot be told, or ends early."""

from typing import Any

import pytest

from local.story import VENDORS, StoryFailed, tell

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
