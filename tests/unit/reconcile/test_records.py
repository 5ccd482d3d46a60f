"""Requests to end a subscription, as reconciling sees them."""

import pytest

from revops.adapters.reconcile_records import StoredEndWishes
from revops.billing.cancellation import CANCELLATIONS, Cancellation, CancellationState, Mode, cancellation_id
from revops.billing.model import BillingFacts
from revops.billing.store import customer_for_account
from revops.table import begin
from tests.builders.billing import BillingBench

pytestmark = pytest.mark.mission("ORD-7", "STR-5")


@pytest.mark.parametrize(
    ("mode", "state", "wanted"),
    [
        (Mode.NOW, CancellationState.REQUESTED, True),
        (Mode.PERIOD_END, CancellationState.SCHEDULED, True),
        (Mode.NOW, CancellationState.CANCELLED, True),
        (Mode.NOW, CancellationState.REFUSED, False),
        (Mode.KEEP, CancellationState.REQUESTED, False),
        (Mode.KEEP, CancellationState.KEPT, False),
    ],
)
def test_who_asked_to_end_it(mode: Mode, state: CancellationState, wanted: bool) -> None:
    bench = BillingBench(ACC_ONE="USR_rep")
    bench.stripe.truth["cus_one"] = BillingFacts("cus_one", account_id="ACC_ONE")
    bench.converge.converge_payer("cus_one", bench.call)
    customer, wishes = customer_for_account(bench.table, "ACC_ONE"), StoredEndWishes(bench.table)
    assert customer is not None
    assert not wishes.wanted("ACC_ONE", "sub_one")
    now, transaction = bench.clock.now(), begin(bench.call, bench.clock.now())
    wish = Cancellation(
        id=cancellation_id(customer.id, "sub_one"),
        created_at=now,
        modified_at=now,
        customer_id=customer.id,
        subscription_id="sub_one",
        mode=mode,
        requested_by="USR_fin",
        requested_at=now,
        state=state,
    )
    CANCELLATIONS.create(transaction, wish)
    bench.table.commit(transaction)
    assert (wishes.wanted("ACC_ONE", "sub_one") is not None) is wanted
    assert not wishes.wanted("ACC_ONE", "sub_two")
    assert not wishes.wanted("ACC_NOBODY", "sub_one")
