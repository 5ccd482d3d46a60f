"""Consuming events. The bus delivers at least once and in any order, so every reaction can be repeated.

Reactions to our own events: the order workflow starts and wakes, a new lead is compared once more with those that
raced it, the caps of an active order come into force, and people are told by mail. An event that nobody here reacts
to is acknowledged.
"""

from collections.abc import Callable, Mapping
from typing import Any

from revops.catalogue import SOURCE
from revops.crm.service import RecheckLead
from revops.kernel import CallContext, Invalid, system_call
from revops.notices import SendNotice
from revops.orders.workflow import AnswerWait, StartWorkflow

_WAKES = ("OrderFormReviewed", "OrderFormExecuted", "OrderFormCancelled")
_LOUD = frozenset({"high", "urgent"})


class ConsumeEvent:
    """Reacts to one event as EventBridge hands it over. Returns what was done, for the log."""

    def __init__(
        self,
        *,
        start_workflow: Callable[[], StartWorkflow],
        answer_wait: Callable[[], AnswerWait],
        recheck_lead: Callable[[], RecheckLead],
        send_notice: Callable[[], SendNotice],
        apply_order_caps: Callable[[], Callable[[str, CallContext], object]],
        mail_to_ops: str,
    ) -> None:
        self._start_workflow = start_workflow
        self._answer_wait = answer_wait
        self._recheck_lead = recheck_lead
        self._send_notice = send_notice
        self._apply_order_caps = apply_order_caps
        self._mail_to_ops = mail_to_ops

    def __call__(self, envelope: Mapping[str, Any]) -> str:
        """Raises Invalid for what is no event of ours, DomainError for what is to be tried again."""
        name, detail = str(envelope.get("detail-type", "")), envelope.get("detail")
        ours = envelope.get("source") == SOURCE and isinstance(detail, dict)
        if not ours or not isinstance(detail, dict) or not isinstance(detail.get("data"), dict) or "id" not in detail:
            raise Invalid("not an event of this product")
        data, event_id = detail["data"], str(detail["id"])
        match name:
            case "OrderFormSubmitted" | "OrderFormResumed":
                self._start_workflow()(data["order_id"], data["attempt"])
                return "workflow started"
            case _ if name in _WAKES:
                woken = self._answer_wait()(data["order_id"], system_call("bus_consumer", event_id))
                return f"{woken} executions woken"
            case "LeadCreated":
                self._recheck_lead()(data["lead_id"], event_id)
                return "lead rechecked"
            case "RecordRedriven" if data["kind"] == "ORDER":  # what its lost events would have set in motion
                return self._bring_up_to_date(str(data["record"]).partition("|")[0].removeprefix("ORDER#"), event_id)
            case "OrderFormActivated":
                self._apply_order_caps()(data["order_id"], system_call("bus_consumer", event_id))
                return "caps in force"
            case _:
                return self._tell(event_id, _notice(name, data))

    def _bring_up_to_date(self, order_id: str, event_id: str) -> str:
        call = system_call("bus_consumer", event_id)
        self._answer_wait()(order_id, call)
        self._apply_order_caps()(order_id, call)
        return "order brought up to date"

    def _tell(self, event_id: str, notice: tuple[str, str] | None) -> str:
        if notice is None:
            return "no reaction"
        if self._mail_to_ops:
            self._send_notice()(event_id, self._mail_to_ops, *notice)
        return "mailed"


def _notice(name: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Subject and text of the mail about an event, if it is worth one. Ids only: who may see more looks it up under
    their own rights."""
    match name:
        case "NoteCreated" if data["priority"] in _LOUD:
            return f"A {data['priority']}-priority note", f"Note {data['note_id']} about {data['related_to']}."
        case "SpendCapAlertRaised":
            share, cap = f"{data['threshold_percent']} %", data["cap"]
            text = f"Account {data['account_id']} crossed {share} of its {cap} cap in {data['cycle']}."
            return f"{share} of a {cap} cap is used", text
        case "OrderFormBlocked":
            text = (
                f"Order {data['order_id']} is blocked at {data['step']}. Its progress says why; resume it once mended."
            )
            return "An order form is blocked", text
        case _:
            return None
