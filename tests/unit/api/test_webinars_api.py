"""A batch of attendees over HTTP, by a key that is good when it begins and not when it ends (CAP-5, CAP-6)."""

from typing import Any

import pytest

from revops.access import API_KEYS, Authenticate, HoldRate, IssueKey
from revops.api.webinars import WebinarUseCases, add_webinar_routes
from revops.channels.webinar import TakeAttendees
from revops.crm.engagement import RecordEngagement
from revops.crm.store import LEADS
from revops.kernel import CallContext, Principal, Role
from revops.platform.http import Api
from revops.table import Put, Transaction
from tests.builders.clock import ManualClock
from tests.builders.crm import submit_lead
from tests.builders.memory_table import MemoryTable
from tests.builders.requests import Answer, ask

ADMIN = CallContext(Principal("admin", Role.ADMIN))
FROM = {"source": "Webinar Tool", "campaign": "crm-basics", "medium": "webinar", "term": "crm"}


class Desk:
    """The route as it is wired: one process, which remembers for a while whose key it saw."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.issue = IssueKey(self.table, self.clock)
        authenticate = Authenticate(self.table, clock=self.clock)
        take = TakeAttendees(submit_lead(self.table, clock=self.clock), RecordEngagement(self.table, self.clock))
        self.api = Api(authenticate)
        use = WebinarUseCases(take, HoldRate(self.table, self.clock), authenticate.still_good)
        add_webinar_routes(self.api, use)

    def send(self, key: str, count: int) -> Answer:
        rows: list[dict[str, Any]] = [
            {
                "first_name": f"Asha{number}",
                "last_name": "Rao",
                "email": f"a{number}@nordlicht.example",
                "country": "IN",
            }
            for number in range(count)
        ]
        body = {"attribution": FROM, "attendees": rows}
        return ask(self.api, "POST", "/api/v1/webinars/crm-1/attendees", body, headers={"x-api-key": key})

    def stored(self) -> int:
        return sum(row.kind == LEADS.kind for row in self.table.rows.values())


@pytest.mark.mission("CAP-5", "CAP-6")
@pytest.mark.fault("S8")
def test_a_key_revoked_while_its_batch_is_worked_on_ends_it_at_once_and_keeps_what_is_stored() -> None:
    desk = Desk()
    key = desk.issue("webinar tool", frozenset({"webinar:write"}), ADMIN)

    def revoke(transaction: Transaction) -> None:
        made = any(isinstance(each, Put) and each.row.kind == LEADS.kind for each in transaction.operations)
        if made and desk.stored() == 4 and API_KEYS.require(desk.table, IssueKey.identifier(key)).active:
            desk.issue.revoke(IssueKey.identifier(key), ADMIN)

    desk.table.before_commit = revoke
    answer = desk.send(key, 25)
    assert answer.status == 200
    verdicts = answer.body["verdicts"]
    assert [each["verdict"] for each in verdicts] == ["created"] * 10 + ["not_done"] * 15
    assert {(issue["field"], issue["rule"]) for each in verdicts[10:] for issue in each["issues"]} == {
        ("x-api-key", "CAP-5 revoked")
    }
    assert desk.stored() == 10
