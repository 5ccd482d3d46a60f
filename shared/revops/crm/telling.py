"""Telling people what waits for them: the owner of a new lead, the manager of a missed target, the assignee of a task
(CAP-14, CRM-6).

A mail goes to our own user alone. It names the person and the company, so that the owner knows whom to call, and
carries neither address nor number: those are read here, under the reader's own rights. The signed webhook carries ids
and facts only.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import Field

from revops.access import USERS, User
from revops.crm.model import Lead
from revops.crm.policies.assignment import UNASSIGNED
from revops.crm.policies.response import ResponseRules, clock_of
from revops.crm.response import WatchResponse
from revops.crm.store import LEADS
from revops.crm.tasks import TASKS, Task, TaskStatus
from revops.kernel import CallContext, Clock
from revops.settings import SettingsDocument, SettingsReader
from revops.table import Table

SendMail = Callable[[str, str, str, str], bool]
"""Name (once per name), address, subject, text. True when this call sent it."""
PostMessage = Callable[[str, str, Mapping[str, Any]], bool]
"""Event id, address, message. True when this call delivered it."""


class NoticeRules(SettingsDocument):
    """Where notices lead and go. `record_link` is the page of a record, with `{id}` for its id; empty: its API path.
    `webhook_url` takes the signed messages (https; empty: none are sent)."""

    SETTING: ClassVar[str] = "notices"

    record_link: Annotated[str, Field(max_length=500, pattern=r"^(https?://[^\s{}]+\{id\}[^\s{}]*)?$")] = ""
    webhook_url: Annotated[str, Field(max_length=500, pattern=r"^(https?://[^\s]+)?$")] = ""


class TellOwner:
    """What a lead's new owner is told, and when their time runs out."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        settings: SettingsReader,
        send_mail: SendMail,
        post: PostMessage,
        mail_to_ops: str,
    ) -> None:
        self._table = table
        self._settings = settings
        self._send_mail = send_mail
        self._post = post
        self._mail_to_ops = mail_to_ops
        self._watch = WatchResponse(table, clock)

    def watch(self, lead_id: str, call: CallContext) -> str:
        """Has the response target looked at when its time comes."""
        lead = LEADS.get(self._table, lead_id)
        if lead is None or lead.response is None:
            return ""
        self._watch(lead, call)
        return "response watched"

    def by_mail(self, lead_id: str, owner_id: str, event_id: str) -> str:
        """Tells the owner an event names, unless it is another's by now: who came after has an event of their own."""
        lead = self._told_of(lead_id, owner_id)
        if lead is None:
            return ""
        owner = USERS.get(self._table, owner_id) if owner_id != UNASSIGNED else None
        subject = f"New lead: {_line(lead.company) or lead.id}"
        if owner is None or not owner.email:
            why = "Nobody was there to take" if owner is None else "No mail reaches the owner of"
            return self._mail(event_id, None, "A lead waits for an owner", f"{why} lead {lead.id}.")
        return self._mail(event_id, owner, subject, self._text(lead, owner))

    def by_webhook(self, lead_id: str, owner_id: str, event_id: str) -> str:
        """The same to the company's webhook, without a person's data."""
        url = self._settings.read(NoticeRules).webhook_url
        lead = self._told_of(lead_id, owner_id) if url else None
        if lead is None:
            return ""
        facts = {
            "lead_id": lead.id,
            "owner_id": owner_id,
            "assigned_by": lead.assignment.rule,
            "score": lead.score,
            "respond_by": lead.response.due_at.isoformat() if lead.response else None,
        }
        sent = self._post(event_id, url, {"id": event_id, "type": "lead.assigned", "data": facts})
        return "webhook told" if sent else ""

    def of_missed(self, lead_id: str, task_id: str, event_id: str) -> str:
        """Escalates to whom the task of a missed target stands with."""
        lead, task = LEADS.get(self._table, lead_id), TASKS.get(self._table, task_id)
        if lead is None or task is None:
            return ""
        manager = USERS.get(self._table, task.assignee_id)
        owner = USERS.get(self._table, lead.owner_id)
        name = owner.name if owner else "nobody"
        text = f"Nobody has been in touch with lead {lead.id} in time; it is {name}'s.\n{self._link(lead.id)}"
        return self._mail(event_id, manager, "A response target was missed", text)

    def missed_by_webhook(self, lead_id: str, task_id: str, event_id: str) -> str:
        """The same to the company's webhook."""
        url = self._settings.read(NoticeRules).webhook_url
        lead = LEADS.get(self._table, lead_id) if url else None
        if lead is None:
            return ""
        facts = {"lead_id": lead.id, "owner_id": lead.owner_id, "task_id": task_id}
        sent = self._post(event_id, url, {"id": event_id, "type": "lead.response_missed", "data": facts})
        return "webhook told" if sent else ""

    def of_task(self, task_id: str, assignee_id: str, event_id: str) -> str:
        """Reminds an assignee of a task that is still theirs and open."""
        task = TASKS.get(self._table, task_id)
        if task is None or task.status is not TaskStatus.OPEN or task.assignee_id != assignee_id:
            return ""
        return self._mail(event_id, USERS.get(self._table, assignee_id), "A task is due", self._task_text(task))

    def _told_of(self, lead_id: str, owner_id: str) -> Lead | None:
        lead = LEADS.get(self._table, lead_id)
        quiet = self._settings.read(ResponseRules).quiet_channels
        return lead if lead is not None and lead.owner_id == owner_id and lead.channel not in quiet else None

    def _mail(self, event_id: str, user: User | None, subject: str, text: str) -> str:
        """To a user, or to those who look after what has no owner."""
        known = user is not None and user.active and user.email
        to, name = (user.email, user.id) if user is not None and known else (self._mail_to_ops, "ops")
        return "mailed" if to and self._send_mail(f"{event_id}:{name}", to, subject, text) else ""

    def _text(self, lead: Lead, owner: User) -> str:
        person = " ".join(filter(None, (_line(lead.first_name), _line(lead.last_name)))) or "Somebody"
        lines = [
            f"{person}{f' of {_line(lead.company)}' if lead.company else ''} is your lead {lead.id}.",
            f"Source {_line(lead.attribution.source)}, score {lead.score}.",
            f"How it came to you: {_line(lead.assignment.explanation)}.",
        ]
        if lead.response is not None:
            lines.append(f"Please be in touch by {self._local(lead.response.due_at, owner)}.")
        return "\n".join([*lines, self._link(lead.id)])

    def _task_text(self, task: Task) -> str:
        return f"{_line(task.title)}\nDue {task.due_at:%d/%m/%Y %H:%M} UTC, about {task.related_to}, {task.id}."

    def _local(self, moment: datetime, owner: User) -> str:
        clock = clock_of(owner.time_zone) if owner.time_zone else None
        clock = clock or ZoneInfo(self._settings.read(ResponseRules).time_zone)
        return f"{moment.astimezone(clock):%d/%m/%Y %H:%M} ({clock.key})"

    def _link(self, lead_id: str) -> str:
        link = self._settings.read(NoticeRules).record_link
        return link.replace("{id}", lead_id) if link else f"/api/v1/leads/{lead_id}"


def _line(text: str) -> str:
    """One line, whatever came in: it stands in a mail (S15)."""
    return " ".join(text.split())[:200]
