"""What begins when an order is in service: the customer is welcomed and the owner of the account has their first tasks
(ORD-2). Both follow from the event and may be repeated; an amendment or renewal welcomes nobody again."""

from collections.abc import Callable
from datetime import timedelta

from revops.kernel import CallContext, Clock
from revops.orders.model import OrderForm, OrderKind, OrderStatus
from revops.orders.policies.activation import ActivationRules
from revops.orders.ports import CrmRecords, FirstTask, FirstTasks
from revops.orders.store import ORDERS
from revops.settings import SettingsReader
from revops.table import ConditionFailed, Contention, Table, begin

SendMail = Callable[[str, str, str, str], bool]
"""Name (once per name), address, subject, text. True when this call sent it."""

_NEWS = timedelta(days=30)
"""Who has been a customer for longer is not welcomed: a change that was lost and found is not news (R15). Shorter than
the notice is kept that tells a second mail from the first."""


class WelcomeCustomer:
    """Mails the order's contact once, and makes the owner's tasks once."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        crm: CrmRecords,
        tasks: FirstTasks,
        settings: SettingsReader,
        send_mail: SendMail,
    ) -> None:
        self._table = table
        self._clock = clock
        self._crm = crm
        self._tasks = tasks
        self._settings = settings
        self._send_mail = send_mail

    def mail(self, order_id: str) -> str:
        """One mail per order. Raises Unavailable while another call may be sending it, or when it was not taken."""
        order = self._begun(order_id)
        welcome = self._settings.read(ActivationRules).welcome
        if order is None or not welcome.active:
            return ""
        sent = self._send_mail(f"welcome:{order.id}", order.terms.contact_email, *welcome.written(order))
        return "customer welcomed" if sent else ""

    def tasks(self, order_id: str, call: CallContext) -> str:
        """Each task of the rules once per order, whatever became of it. Raises Contention."""
        order = self._begun(order_id)
        if order is None:
            return ""
        now = self._clock.now()
        owner_id = self._crm.account(order.account_id).owner_id or order.owner_id
        transaction = begin(call, now)
        made = 0
        for rule in self._settings.read(ActivationRules).onboarding:
            wanted = FirstTask(
                origin=f"onboarding:{order.id}:{rule.name}",
                title=rule.title,
                about=order.account_id,
                assignee_id=owner_id,
                due_at=order.status_since + timedelta(days=rule.after_days),
                details=f"Order form {order.id} is in service.",
            )
            made += self._tasks.add(transaction, now, wanted)
        if not made:
            return ""
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:
            raise Contention("another call makes these tasks; the next delivery looks again") from error
        return f"{made} onboarding tasks"

    def _begun(self, order_id: str) -> OrderForm | None:
        """The order, if a customer's service has just begun with it."""
        order = ORDERS.get(self._table, order_id)
        if order is None or order.status is not OrderStatus.ACTIVE or order.kind is not OrderKind.NEW:
            return None
        return order if order.status_since + _NEWS > self._clock.now() else None
