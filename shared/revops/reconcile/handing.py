"""What the Stripe worker does for this slice: the next block of a run or of a plan, a repair, an adoption."""

from collections.abc import Callable
from dataclasses import dataclass

from revops.kernel import CallContext
from revops.reconcile.adopting import AdoptCustomer
from revops.reconcile.adoption import ADOPTIONS, CANDIDATES
from revops.reconcile.model import RunStatus
from revops.reconcile.planning import RunAdoption
from revops.reconcile.repairing import ApplyRepair
from revops.reconcile.store import DIFFERENCES, RECONCILIATIONS
from revops.reconcile.walking import RunReconciliation


@dataclass(frozen=True, slots=True)
class DoReconcileWork:
    """Each use case is made when a message first asks for it."""

    run: Callable[[], RunReconciliation]
    repair: Callable[[], ApplyRepair]
    plan: Callable[[], RunAdoption]
    adopt: Callable[[], AdoptCustomer]

    @staticmethod
    def takes(kind: str) -> bool:
        """Whether a message of this kind is for this slice."""
        return kind in {RECONCILIATIONS.kind, DIFFERENCES.kind, ADOPTIONS.kind, CANDIDATES.kind}

    def __call__(self, kind: str, subject: str, call: CallContext) -> int:
        """How many differences a run found that this ended; 0 for everything else. Raises NotFound; Unavailable and
        Contention when the message should come again."""
        if kind == RECONCILIATIONS.kind:
            run = self.run()(subject, call)
            return run.differences if run.status is RunStatus.DONE else 0
        if kind == DIFFERENCES.kind:
            self.repair()(subject, call)
        elif kind == ADOPTIONS.kind:
            self.plan()(subject, call)
        else:
            self.adopt()(subject, call)
        return 0
