"""Reactions to our own events: the order workflow starts and wakes, the caps of an active order come into force, a new
lead is compared once more with those that raced it, one that is handed over takes its pairs and open tasks along, a
good one is nominated, and people are told by mail."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from revops.bus.consume import Occurred, Reaction
from revops.crm.qualification import NominateLead
from revops.crm.rechecking import RecheckLead
from revops.crm.task_owners import TasksFollowLead
from revops.kernel import CallContext
from revops.notices import SendNotice
from revops.orders.workflow import AnswerWait, StartWorkflow

Reactions = Mapping[str, Sequence[Reaction]]
_LOUD = frozenset({"high", "urgent"})


class ApplyCaps(Protocol):
    """Puts in force what limits usage now: by an order that changed, or by a term that ended."""

    def __call__(self, order_id: str, call: CallContext) -> object: ...

    def after_term(self, renewal_id: str, call: CallContext) -> object: ...


def order_reactions(
    start_workflow: Callable[[], StartWorkflow],
    answer_wait: Callable[[], AnswerWait],
    apply_order_caps: Callable[[], ApplyCaps],
) -> Reactions:
    """What an order's events set going, and the end of its subscription."""

    def start(event: Occurred) -> str:
        start_workflow()(event.data["order_id"], event.data["attempt"])
        return "workflow started"

    def wake(event: Occurred) -> str:
        return f"{answer_wait()(event.data['order_id'], event.call)} executions woken"

    def caps(event: Occurred) -> str:
        apply_order_caps()(event.data["order_id"], event.call)
        return "caps in force"

    def over(event: Occurred) -> str:
        return "caps in force" if apply_order_caps().after_term(event.data["renewal_id"], event.call) else ""

    def catch_up(event: Occurred) -> str:
        """A change of an order or of a term was lost: what its events would have set in motion."""
        if renewal_id := event.lost("RENEWAL"):
            apply_order_caps().after_term(renewal_id, event.call)
            return "caps brought up to date"
        order_id = event.lost("ORDER")
        if not order_id:
            return ""
        answer_wait()(order_id, event.call)
        apply_order_caps()(order_id, event.call)
        return "order brought up to date"

    return {
        "OrderFormSubmitted": (start,),
        "OrderFormResumed": (start,),
        "OrderFormReviewed": (wake,),
        "OrderFormDeclined": (wake,),
        "OrderFormExecuted": (wake,),
        "OrderFormCancelled": (wake,),
        "OrderFormActivated": (caps,),
        "RenewalDecided": (over,),
        "RecordRedriven": (catch_up,),
    }


def lead_reactions(recheck_lead: Callable[[], RecheckLead]) -> Reactions:
    """What a lead's events set going."""

    def recheck(event: Occurred) -> str:
        recheck_lead()(event.data["lead_id"], event.id)
        return "lead rechecked"

    def catch_up(event: Occurred) -> str:
        """A change of a lead was lost: it may be the one that made it."""
        if lead_id := event.lost("LEAD"):
            recheck_lead()(lead_id, event.id)
        return "lead rechecked" if lead_id else ""

    return {"LeadCreated": (recheck,), "RecordRedriven": (catch_up,)}


def handover_reactions(
    follow_owners: Callable[[], Callable[[str, CallContext], object]],
    tasks_follow: Callable[[], TasksFollowLead],
) -> Reactions:
    """A lead has another owner, or stands for another one too: the pairs that wait for a decision and the tasks that
    are open go with it."""

    def pairs(event: Occurred) -> str:
        follow_owners()(event.data["lead_id"], event.call)
        return "pairs follow the owner"

    def tasks(event: Occurred) -> str:
        return f"{tasks_follow()(event.data['lead_id'], event.call)} tasks follow the owner"

    def pairs_again(event: Occurred) -> str:
        """A change of a lead was lost: it may be the one that handed it over."""
        if lead_id := event.lost("LEAD"):
            follow_owners()(lead_id, event.call)
        return "pairs follow the owner" if lead_id else ""

    def tasks_again(event: Occurred) -> str:
        if task_id := event.lost("TASK"):
            return "task follows the owner" if tasks_follow().one(task_id, event.call) else ""
        lead_id = event.lost("LEAD")
        return f"{tasks_follow()(lead_id, event.call)} tasks follow the owner" if lead_id else ""

    def task(event: Occurred) -> str:
        return "task follows the owner" if tasks_follow().one(event.data["task_id"], event.call) else ""

    return {
        "LeadAssigned": (pairs, tasks),
        "LeadMerged": (tasks,),
        "LeadUnmerged": (tasks,),
        "TaskOpened": (task,),
        "RecordRedriven": (pairs_again, tasks_again),
    }


def qualification_reactions(nominate_lead: Callable[[], NominateLead]) -> Reactions:
    """What a score sets going. The lead is read as it is now, so a lost change of it is made good by any later one, and
    by the sweeper's word that there was one."""

    def nominate(event: Occurred) -> str:
        return nominate_lead()(event.data["lead_id"], event.id)

    def catch_up(event: Occurred) -> str:
        lead_id = event.lost("LEAD")
        return nominate_lead()(lead_id, event.id) if lead_id else ""

    names = ("LeadCreated", "LeadScoreChanged", "LeadStatusChanged")  # the last: a lead that is worked on once more
    return {**dict.fromkeys(names, (nominate,)), "RecordRedriven": (catch_up,)}


def notice_reactions(send_notice: Callable[[], SendNotice], mail_to_ops: str) -> Reactions:
    """Mails to those who look after what has no owner to tell. Ids only: who may see more looks it up under their own
    rights."""

    def tell(event: Occurred) -> str:
        notice = _notice(event.name, event.data)
        if notice is None or not mail_to_ops:
            return ""
        send_notice()(event.id, mail_to_ops, *notice)
        return "mailed"

    told = ("CatalogueDrifted", "MeterErrorsReported", "NoteCreated", "SpendCapAlertRaised", "OrderFormBlocked")
    return dict.fromkeys((*told, "ReconciliationFinished"), (tell,))


def joined(*tables: Reactions) -> Reactions:
    """One table of several: an event's reactions stand in the order of the tables."""
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: tuple(react for table in tables for react in table.get(name, ())) for name in names}


def _notice(name: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Subject and text of the mail about an event, if it is worth one."""
    match name:
        case "NoteCreated" if data["priority"] in _LOUD:
            return f"A {data['priority']}-priority note", f"Note {data['note_id']} about {data['related_to']}."
        case "MeterErrorsReported":
            meter = f"meter {data['meter_id']}" if data.get("meter_id") else "a meter that is not there"
            text = (
                f"Stripe did not take {data['error_count']} usage events for {meter} ({data['codes']}). They are not "
                f"billed until somebody mends it; report {data['report_id']} has the window and samples."
            )
            return "Usage was not taken by Stripe", text
        case "SpendCapAlertRaised":
            share, cap = f"{data['threshold_percent']} %", data["cap"]
            text = f"Account {data['account_id']} crossed {share} of its {cap} cap in {data['cycle']}."
            return f"{share} of a {cap} cap is used", text
        case "CatalogueDrifted":
            text = (
                f"Somebody changed {data['count']} entries of the catalogue at {data['provider']}: "
                f"{', '.join(data['keys'])}. Orders that need them are refused. `make catalogue` shows the difference "
                "and, with APPLY=1, closes it."
            )
            return "The billing catalogue was changed", text
        case "ReconciliationFinished" if data["differences"] or data["status"] == "Failed":
            found = ", ".join(f"{count} {severity}" for severity, count in sorted(data["by_severity"].items()))
            text = (
                f"Reconciliation {data['reconciliation_id']} of {data['orders']} order forms and "
                f"{data['subscriptions']} subscriptions is {data['status']}: {data['differences']} differences "
                f"({found or 'none'}). It says what each costs a month and proposes repairs; nothing was changed."
            )
            return "Order forms and Stripe differ", text
        case "OrderFormBlocked":
            text = (
                f"Order {data['order_id']} is blocked at {data['step']}. Its progress says why; resume it once mended."
            )
            return "An order form is blocked", text
        case _:
            return None
