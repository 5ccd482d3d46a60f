"""Reactions of nurture: leads begin sequences, and what happens to them moves or ends what is under way (LEAD-5)."""

from collections.abc import Callable
from typing import Any

from revops.bus.consume import Occurred
from revops.bus.reactions import Reactions
from revops.nurture.enrolling import EnrolLead, ReviewEnrolments
from revops.nurture.model import Trigger


def nurture_reactions(
    enrol_lead: Callable[[], EnrolLead], review_enrolments: Callable[[], ReviewEnrolments]
) -> Reactions:
    """What the events of leads and their people set going. Who agrees to be written to after the lead was made begins
    then what others began at once."""

    def begins(trigger: Trigger) -> Callable[[Occurred], str]:
        def enrol(event: Occurred) -> str:
            lead_id = event.data["lead_id"]
            return _many(enrol_lead()(lead_id, trigger, event.id, event.call), "sequence begun") if lead_id else ""

        return enrol

    def review(event: Occurred) -> str:
        lead_id = event.data["lead_id"]
        return "nurture reviewed" if lead_id and review_enrolments()(lead_id, event.call) else ""

    def withdrawn(event: Occurred) -> str:
        return "nurture ended" if review_enrolments().person(event.data["person_id"], event.call) else ""

    def catch_up(event: Occurred) -> str:
        """A change of a lead was lost: what its events would have set in motion."""
        lead_id = event.lost("LEAD")
        if not lead_id:
            return ""
        for trigger in (Trigger.LEAD_CREATED, Trigger.SCORE_REACHED):
            enrol_lead()(lead_id, trigger, event.id, event.call)
        review_enrolments()(lead_id, event.call)
        return "nurture caught up"

    again = begins(Trigger.RECYCLED)

    def recycled(event: Occurred) -> str:
        return again(event) if event.data["status"] == "Recycled" else ""

    created = begins(Trigger.LEAD_CREATED)
    return {
        "LeadCreated": (created,),
        "ConsentGranted": (created,),
        "LeadScoreChanged": (begins(Trigger.SCORE_REACHED), review),
        "LeadStatusChanged": (recycled, review),
        "LeadEngaged": (review,),
        "LeadConverted": (review,),
        "ConsentWithdrawn": (withdrawn,),
        "RecordRedriven": (catch_up,),
    }


def _many(made: list[Any], what: str) -> str:
    return f"{len(made)} × {what}" if made else ""
