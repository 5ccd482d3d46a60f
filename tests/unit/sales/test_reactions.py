"""What events set going after a sale, and that the audit of its records is read by whose it is (ORD-9, SAFE-3)."""

from datetime import timedelta
from typing import Any

import pytest

from revops.access import Policy, Resource
from revops.audit import ReadAudit, WriteAudit
from revops.bus.consume import ConsumeEvent
from revops.bus.selling import selling_reactions
from revops.catalogue import SOURCE
from revops.sales.store import INVOICES
from revops.sales.telling import TellOfDunning
from tests.builders.sales import ACCOUNT, FINANCE, PAYER, REP, START, SalesBench, charge, executed, invoice, paid
from tests.unit.sales.test_upsells import _usage

pytestmark = pytest.mark.mission("ORD-9", "BUS-1")


class Bus:
    """The reactions over one bench."""

    def __init__(self) -> None:
        self.bench = bench = SalesBench()
        self.mails: list[tuple[str, ...]] = []
        tell = TellOfDunning(bench.table, bench.settings, bench.desk, self._send, "ops@revops.example")
        self.consume = ConsumeEvent(
            selling_reactions(lambda: bench.sell, lambda: bench.hand_over, lambda: bench.look_for_more, lambda: tell)
        )

    def _send(self, *mail: str) -> bool:
        self.mails.append(mail)
        return True

    def tell(self, name: str, **data: Any) -> str:
        return self.consume({"source": SOURCE, "detail-type": name, "detail": {"id": f"evt:{name}", "data": data}})


def test_an_order_is_sold_once_whichever_event_tells_of_it() -> None:
    bus = Bus()
    assert bus.tell("OrderFormProvisioned", order_id="ORD_ONE") == "no reaction", "its subscription does not stand"
    bus.bench.orders.known["ORD_ONE"] = executed()
    for name in ("OrderFormProvisioned", "OrderFormActivated", "OrderFormActivated"):
        assert bus.tell(name, order_id="ORD_ONE") == "sales order stands"
    assert bus.tell("RecordRedriven", kind="ORDER", record="ORDER#ORD_ONE|FORM") == "sales order stands"
    assert bus.tell("RecordRedriven", kind="LEAD", record="LEAD#LEAD_ONE|LEAD") == "no reaction"
    assert len(bus.bench.read.sales_orders(ACCOUNT, 10, "", REP).records) == 1


def test_a_credit_request_goes_to_its_worker_and_an_alert_is_looked_at() -> None:
    bus = Bus()
    assert bus.tell("CreditRequested", request_id="CRQ_ONE", account_id=ACCOUNT) == "credit request handed over"
    assert bus.bench.queue.sent == [{"entity_id": "CRQ_ONE", "kind": "CREDIT_REQUEST"}]
    assert bus.tell("SpendCapAlertRaised", account_id=ACCOUNT) == "no reaction"
    bus.bench.usage.units = _usage(900, 900, 900)
    assert bus.tell("SpendCapAlertRaised", account_id=ACCOUNT) == "1 × upsell opened"


def test_a_stage_is_mailed() -> None:
    bus = Bus()
    bus.bench.mirrored(invoices=(invoice(),))
    bus.bench.manual.moment = START + timedelta(days=40)
    bus.bench.dun("now")
    name = bus.bench.invoice("in_one").id
    assert bus.tell("DunningStageReached", invoice_id=name, stage="Reminded") == "mailed"
    assert bus.mails[0][0] == "evt:DunningStageReached:ops"
    assert PAYER not in bus.mails[0][3]


@pytest.mark.mission("SAFE-3")
def test_every_version_of_an_invoice_is_audited_with_what_changed() -> None:
    bench = SalesBench()
    write = WriteAudit(bench.table, bench.manual)
    bench.mirrored(invoices=(invoice(),))
    bench.mirrored(invoices=(paid(invoice()),), payments=(charge("ch_one", 10_000, ("in_one", 10_000)),))
    for change in [one for one in bench.memory.changes if one.kind == INVOICES.kind]:
        write(change)
    key = INVOICES.key(bench.invoice("in_one").id)
    entries, faults = ReadAudit(bench.table, Policy())(f"{key.pk}|{key.sk}", Resource.BILLING, "", FINANCE)
    assert (len(entries), faults) == (2, [])
    changed = {change.field: (change.old, change.new) for change in entries[1].changes}
    assert changed["status"] == ("Open", "Paid")
    assert changed["remaining"] == (10_000, 0)
