"""What a simulator has to deliver, while its state is reset under it."""

import asyncio
from pathlib import Path

import pytest

from local.simulators.common.faults import Faults
from local.simulators.common.outbox import Delivery, Outbox, Outgoing, RetryPolicy
from local.simulators.common.state import Store


def test_what_was_reset_after_it_was_looked_up_is_not_sent(tmp_path: Path) -> None:
    store = Store(tmp_path)
    outbox = Outbox(store, Faults(store), RetryPolicy(), parallel=2)
    for port in (1, 2):  # two addresses, so two requests at once
        outbox.emit(f"http://127.0.0.1:{port}/", "kind", f"evt_{port}", {})
    asked: list[str] = []

    def outgoing(batch: list[Delivery]) -> Outgoing:
        asked.extend(each.event_id for each in batch)
        store.reset()
        return Outgoing(b"{}", {})

    async def a_while() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outbox.work(outgoing), 0.5)

    asyncio.run(a_while())
    assert asked == ["evt_1"]
    assert outbox.deliveries() == []
    store.close()
