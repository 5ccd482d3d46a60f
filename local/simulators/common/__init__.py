"""What every vendor simulator shares: server, state, clock, webhook outbox, fault control, contract checks.

A simulator is a `Vendor` (see `vendor.py`) handed to `Simulator`; `run` is its command line. Control routes
live under `/_sim/` and are listed in `server.py`.
"""

from local.simulators.common.clock import Clock
from local.simulators.common.contract import Problem, SchemaChecker, contracts_folder, leaves
from local.simulators.common.faults import Faults, Rule
from local.simulators.common.outbox import Delivery, Outbox, Outgoing, RetryPolicy
from local.simulators.common.server import Simulator, run
from local.simulators.common.state import Store
from local.simulators.common.vendor import Answer, Call, Json, Vendor, World

__all__ = [
    "Answer",
    "Call",
    "Clock",
    "Delivery",
    "Faults",
    "Json",
    "Outbox",
    "Outgoing",
    "Problem",
    "RetryPolicy",
    "Rule",
    "SchemaChecker",
    "Simulator",
    "Store",
    "Vendor",
    "World",
    "contracts_folder",
    "leaves",
    "run",
]
