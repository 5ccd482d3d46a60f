"""Reactions that tell people: the owner of a lead, the manager of a missed target, the assignee of a task."""

from collections.abc import Callable, Mapping, Sequence

from revops.bus.consume import Occurred, Reaction
from revops.crm.telling import TellOwner

Reactions = Mapping[str, Sequence[Reaction]]


def telling_reactions(tell_owner: Callable[[], TellOwner]) -> Reactions:
    """What an assignment, a missed target and a due reminder set going. Mail and webhook are reactions of their own:
    one that fails does not hold the other up."""

    def watch(event: Occurred) -> str:
        return tell_owner().watch(event.data["lead_id"], event.call)

    def mail(event: Occurred) -> str:
        return tell_owner().by_mail(event.data["lead_id"], event.data["owner_id"], event.id)

    def webhook(event: Occurred) -> str:
        return tell_owner().by_webhook(event.data["lead_id"], event.data["owner_id"], event.id)

    def missed(event: Occurred) -> str:
        return tell_owner().of_missed(event.data["lead_id"], event.data["task_id"], event.id)

    def missed_webhook(event: Occurred) -> str:
        return tell_owner().missed_by_webhook(event.data["lead_id"], event.data["task_id"], event.id)

    def remind(event: Occurred) -> str:
        return tell_owner().of_task(event.data["task_id"], event.data["assignee_id"], event.id)

    def catch_up(event: Occurred) -> str:
        """A change of a lead was lost: its target is watched again."""
        lead_id = event.lost("LEAD")
        return tell_owner().watch(lead_id, event.call) if lead_id else ""

    return {
        "LeadCreated": (watch, mail, webhook),
        "LeadAssigned": (watch, mail, webhook),
        "ResponseTargetMissed": (missed, missed_webhook),
        "TaskReminderDue": (remind,),
        "RecordRedriven": (catch_up,),
    }
