"""The steps that the workflow takes by itself, one module each (ORD-2).

A step looks at an order as it stands, does its work so that it may be done again, and moves the order on.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from revops.kernel import CallContext, Clock
from revops.orders.document import KeepForm
from revops.orders.model import ESignMethod, OrderForm, Step
from revops.orders.moves import TakeStep
from revops.orders.ports import CrmRecords, SignatureSender
from revops.orders.provisioning.service import ProvisionOrder
from revops.orders.steps.activation import ActivateOrder
from revops.orders.steps.provisioning import ProvisionStep
from revops.orders.steps.review import CheckOrder
from revops.orders.steps.signature import RequestSignature
from revops.settings import SettingsReader
from revops.table import Table


class StepAction(Protocol):
    """Takes one step. Raises what trying again may cure, and DomainError that is not retryable when it fails for
    good."""

    def __call__(self, order: OrderForm, call: CallContext, started_at: datetime) -> OrderForm: ...


def order_steps(
    table: Table,
    clock: Clock,
    crm: CrmRecords,
    provision: ProvisionOrder,
    settings: SettingsReader,
    signing: Mapping[ESignMethod, SignatureSender],
    forms: KeepForm,
) -> Mapping[Step, StepAction]:
    """Every step the workflow takes by itself."""
    take = TakeStep(table, clock)
    return {
        Step.REVIEW: CheckOrder(table, clock, take, settings, forms),
        Step.REQUEST_SIGNATURE: RequestSignature(take, signing),
        Step.PROVISION: ProvisionStep(take, clock, crm, provision),
        Step.ACTIVATE: ActivateOrder(take, clock, settings),
    }
