"""Rules of activation in force, the mail service, and orders that wait for their tenant."""

from dataclasses import dataclass, field
from typing import Any

from revops.adapters.first_tasks import CrmFirstTasks
from revops.bus import ConsumeEvent
from revops.bus.activating import activation_reactions, tenant_reactions
from revops.catalogue import Event
from revops.crm.tasks import TASKS, Task
from revops.kernel import Unavailable
from revops.notices import SendNotice
from revops.orders.events import events
from revops.orders.model import OrderForm, OrderKind, OrderStatus
from revops.orders.policies.activation import ActivationRules
from revops.orders.store import ORDERS
from revops.orders.welcoming import WelcomeCustomer
from revops.settings import SETTINGS, SettingsReader, SettingsRecord
from revops.table import begin
from tests.builders.orders import WORKER, Desk

SOURCE = "tenant-provisioning"


@dataclass(slots=True)
class Post:
    """A mail service that can be down."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)
    down: bool = False

    def send(self, to: str, subject: str, text: str) -> None:
        if self.down:
            raise Unavailable("the mail service did not take the call")
        self.sent.append((to, subject, text))


class ActivationDesk(Desk):
    """The desk of orders with the company's own provisioning system behind the bus."""

    def __init__(self, **tenant: Any) -> None:
        super().__init__()
        self.post = Post()
        if tenant:
            self.rule(tenant={"plans": ["Professional"], "acknowledge_within": "PT1H", "sources": [SOURCE], **tenant})
        settings = SettingsReader(self.table, ttl=0)
        notice = SendNotice(self.table, self.clock, self.post)
        self.welcome = WelcomeCustomer(self.table, self.clock, self.crm, CrmFirstTasks(self.table), settings, notice)
        self.consume = ConsumeEvent(
            activation_reactions(lambda: self.answer, lambda: self.welcome),
            outside=tenant_reactions(lambda: self.acknowledge),
        )

    def rule(self, **changes: Any) -> None:
        """Puts rules in force: those that hold by default with changes."""
        content = ActivationRules.model_validate(changes).model_dump(mode="json")
        now, transaction = self.clock.now(), begin(WORKER, self.clock.now())
        standing = SETTINGS.get(self.table, ActivationRules.SETTING)
        if standing is None:
            made = SettingsRecord(id=ActivationRules.SETTING, created_at=now, modified_at=now, content=content)
            SETTINGS.create(transaction, made)
        else:
            SETTINGS.update(transaction, standing.revised(now, content=content))
        self.table.commit(transaction)

    def asking(self, **terms: Any) -> OrderForm:
        """An order that has come as far as the workflow takes it."""
        return self.run_until_it_waits(self.executed(**terms).id)

    def amending(self, order: OrderForm, **terms: Any) -> OrderForm:
        """A signed amendment of an order, as far as the workflow takes it."""
        now, transaction = self.clock.now(), begin(WORKER, self.clock.now())
        fresh = {"id": f"{order.id}A", "version": 1, "created_at": now, "modified_at": now, "status_since": now}
        changes = {"kind": OrderKind.AMENDMENT, "amends": order.id, "status": OrderStatus.EXECUTED, "tenant": None}
        changed = order.terms.model_copy(update=terms)
        ORDERS.create(transaction, order.model_copy(update={**fresh, **changes, "terms": changed}))
        self.table.commit(transaction)
        return self.run_until_it_waits(f"{order.id}A")

    def say(self, name: str, source: str = SOURCE, **detail: Any) -> str:
        """An event of another system."""
        return self.consume({"source": source, "detail-type": name, "id": "e-1", "detail": detail})

    def said(self, name: str) -> list[Event]:
        """Our events of a name so far."""
        found = [each for change in self.memory.changes for each in events(change)]
        return [each for each in found if each.name == name]

    def tell(self, event: Event) -> str:
        """Delivers an event of ours."""
        return self.consume({"source": "revops", "detail-type": event.name, "detail": event.model_dump(mode="json")})

    def tasks(self) -> list[Task]:
        """Every task that was made."""
        made = {change.after.key: change.after for change in self.memory.changes if change.after is not None}
        return sorted((TASKS.load(row) for row in made.values() if row.kind == "TASK"), key=lambda task: task.due_at)
