"""The whole product on one machine: emulator, simulators, build, deployment, demo users.

`python -m local.stack up` makes it from nothing, or finds it already there; `.local/stack.json` describes it.
"""

from local.stack.place import Place, StackFile
from local.stack.progress import StepFailed

__all__ = ["Place", "StackFile", "StepFailed"]
