"""HubSpot's truth behind `HubspotGateway`, with lost answers and rate limits."""

from collections.abc import Callable

from revops.sync.ports import OutcomeUnknown, RateLimited
from tests.builders.clock import ManualClock
from tests.faults.trouble import Killed, Mishap, Trouble
from tests.unit.sync.fakes import FakeHubspot

_CALL = (Mishap.KILL_BEFORE, Mishap.KILL_AFTER, Mishap.UNREACHED, Mishap.SILENT, Mishap.THROTTLED_OUT)


class FaultyHubspot(FakeHubspot):
    """`FakeHubspot` whose calls cross a port."""

    def __init__(self, clock: ManualClock, trouble: Trouble, turn: Callable[[str], None]) -> None:
        super().__init__(clock, spell=lambda phone: phone.replace(" ", ""))
        self._trouble = trouble
        self._turn = turn
        self.told = 0
        self._pending: dict[str, Mishap | None] = {}
        self.around = self._cross

    def _cross(self, when: str, name: str) -> None:
        actor = self._trouble.actor()
        self._turn(f"hubspot {name}")
        if when == "before":
            mishap = self._pending[actor] = self._trouble.strikes(f"hubspot {name}", _CALL)
            if mishap is Mishap.KILL_BEFORE:
                raise Killed
            if mishap is Mishap.UNREACHED:
                raise OutcomeUnknown("no answer")
            if mishap is Mishap.THROTTLED_OUT:
                raise RateLimited("slow down", retry_after=2)
            return
        mishap = self._pending.get(actor)
        if mishap is Mishap.KILL_AFTER:
            raise Killed
        if mishap is Mishap.SILENT:
            raise OutcomeUnknown("no answer")
