"""What follows from a committed change, and what happens to a change that cannot be followed up.

Each name is loaded when it is first asked for: the API reads dead letters and must not load the relay.
"""

from typing import TYPE_CHECKING

from revops.kernel.face import face

if TYPE_CHECKING:
    from revops.stream.dead_letters import DEAD_LETTERS, DeadLetter, KeepDeadLetter
    from revops.stream.relay import RelayChanges, RelayOutcome
    from revops.stream.sweep import FindLost, RedriveRecords, SweepInbox

_FOUND_IN = {
    "DEAD_LETTERS": "dead_letters",
    "DeadLetter": "dead_letters",
    "FindLost": "sweep",
    "KeepDeadLetter": "dead_letters",
    "RedriveRecords": "sweep",
    "RelayChanges": "relay",
    "RelayOutcome": "relay",
    "SweepInbox": "sweep",
}

__all__ = [
    "DEAD_LETTERS",
    "DeadLetter",
    "FindLost",
    "KeepDeadLetter",
    "RedriveRecords",
    "RelayChanges",
    "RelayOutcome",
    "SweepInbox",
]

__getattr__ = face(__name__, _FOUND_IN)
