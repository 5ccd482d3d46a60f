"""Leads that are merged and parted, by use cases alone."""

import json
from collections.abc import Callable
from typing import Any

from revops.access import Policy
from revops.crm.activities import ReadTimeline
from revops.crm.consent import CONSENTS, Consent, RecordConsent
from revops.crm.intake import SubmitLead
from revops.crm.merging import MergeLeads, UndoMerge
from revops.crm.model import Lead
from revops.crm.rechecking import RecheckLead
from revops.crm.response import EscalateMissed, WatchResponse
from revops.crm.service import ChangeLead
from revops.crm.store import LEADS, person_key
from revops.crm.submission import ConsentStatement
from revops.kernel import CallContext, Principal, Role
from revops.settings import SettingsReader
from revops.table import CursorSigner, Key, Row, Transaction
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import Overtaken

NO = (ConsentStatement(channel="email", granted=False),)
YES = (ConsentStatement(channel="email", granted=True),)


def sdr(identifier: str) -> CallContext:
    return CallContext(Principal(identifier, Role.SDR), request_id="r")


class Desk:
    """Leads of one owner, merged and undone."""

    def __init__(self, *owners: str) -> None:
        self.table, self.clock = Overtaken(), ManualClock()
        self.settings = SettingsReader(self.table, ttl=0)
        self.submit: SubmitLead = submit_lead(self.table, clock=self.clock, roster=FixedRoster(*(owners or ("sdr-1",))))
        self.merge = MergeLeads(self.table, self.clock, Policy())
        self.undo = UndoMerge(self.table, self.clock, Policy())
        self.change = ChangeLead(self.table, self.clock, Policy())
        self.recheck = RecheckLead(self.table, self.clock, self.settings)
        self.say = RecordConsent(self.table, self.clock, sleep=lambda _: None)
        self.watch = WatchResponse(self.table, self.clock)
        self.escalate = EscalateMissed(self.table, self.clock)
        self.timeline = ReadTimeline(self.table, Policy(), lambda: CursorSigner(b"local-signing-key"))

    def meanwhile(self, look: str, lead: Lead, work: Callable[[], object]) -> None:
        """Somebody does something once, after the next look at a row of a lead or their person, or before a commit."""
        rows = {
            "ROLES": person_key(lead.person_id),
            "CONSENT": CONSENTS.key(lead.person_id),
            "LEAD": LEADS.key(lead.id),
        }
        rows["SENDING"] = Key(rows["CONSENT"].pk, "SENDING")
        if look in rows:
            self.table.after = (rows[look], work)
            return

        def step_in(_: Transaction) -> None:
            self.table.before_commit = lambda _: None
            work()

        self.table.before_commit = step_in

    def no(self) -> Consent:
        """A refusal said now."""
        return Consent(channel="email", purpose="marketing", granted=False, at=self.clock.now())

    def lead(self, **said: Any) -> Lead:
        self.clock.advance(minutes=1)
        return self.submit(submission(**said), CALL).lead

    def now(self, lead: Lead) -> Lead:
        return LEADS.require(self.table, lead.id)

    def two(self) -> tuple[Lead, Lead]:
        """Somebody known by a company address, and the same person by a private one."""
        first = self.lead(job_title="", industry="", consents=YES)
        return first, self.lead(
            email="asha.rao@gmail.com", phone="+49 30 901821", job_title="CTO", company_size="", consents=YES
        )

    def facts(self) -> dict[Any, tuple[Any, ...]]:
        """All that stands, as a business sees it: no versions, no times of change."""
        return {key: _fact(row) for key, row in self.table.rows.items() if row.kind != "MERGE"}


def _fact(row: Row) -> tuple[Any, ...]:
    doc = json.loads(row.doc) if row.doc else {}
    for name in ("version", "modified_at", "rescore_at", "resembles_at"):
        doc.pop(name, None)
    index = {name: entry for name, entry in row.index.items() if name != "due"}
    return row.kind, doc, index
