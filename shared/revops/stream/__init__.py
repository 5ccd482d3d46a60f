"""What follows from a committed change, and what happens to a change that cannot be followed up."""

from revops.stream.dead_letters import DEAD_LETTERS, DeadLetter, KeepDeadLetter
from revops.stream.relay import RelayChanges, RelayOutcome
from revops.stream.sweep import FindLost, RedriveRecords, SweepInbox

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
