"""Consent as submissions bring it: a withdrawal waits for a message on its way there, too (CAP-9, S21)."""

from datetime import timedelta
from typing import Any

import pytest

from revops.crm.consent import CONSENTS, LEASE, ConsentRecord, SendGate
from revops.crm.model import Channel
from revops.crm.store import LEADS
from revops.crm.submission import ConsentStatement
from revops.kernel import Refused
from revops.table import begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable


class Desk:
    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.waited = timedelta()
        self.submit = submit_lead(self.table, clock=self.clock, sleep=self.sleep)
        self.lead = self.submit(submission(), CALL).lead

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)
        self.waited += timedelta(seconds=seconds)

    def again(self, *granted: bool, **more: Any) -> None:
        said = tuple(ConsentStatement(channel="email", granted=each, wording_version="2026-09") for each in granted)
        self.submit(submission(consents=said, **more), CALL)

    @property
    def record(self) -> ConsentRecord:
        return CONSENTS.require(self.table, self.lead.person_id)


@pytest.mark.mission("CAP-9")
@pytest.mark.parametrize("channel", [Channel.PARTNER, Channel.FORM])
def test_a_submission_that_withdraws_waits_for_the_message_that_is_on_its_way(channel: Channel) -> None:
    desk = Desk()
    gate, transaction = SendGate(desk.table, desk.clock), begin(CALL, desk.clock.now())
    gate.enter(transaction, desk.lead.person_id, "email", "MSG_1")
    desk.table.commit(transaction)
    desk.again(False, channel=channel)
    assert desk.waited >= LEASE
    assert [said.granted for said in desk.record.entries] == [True, False]
    assert not LEADS.require(desk.table, desk.lead.id).gdpr_consent
    with pytest.raises(Refused):
        gate.enter(begin(CALL, desk.clock.now()), desk.lead.person_id, "email", "MSG_2")


def test_of_two_statements_of_one_submission_the_last_one_stands() -> None:
    desk = Desk()
    desk.again(True, False)
    assert not desk.record.marketing
    desk.again(False, True)
    assert desk.record.marketing


@pytest.mark.mission("CAP-9")
def test_the_public_form_takes_a_consent_back_and_does_not_bring_it_back() -> None:
    desk = Desk()
    desk.again(False, channel=Channel.FORM)
    desk.again(True, channel=Channel.FORM)
    assert not desk.record.marketing, "anybody may type anybody's address"
    desk.again(True)
    assert desk.record.marketing


@pytest.mark.mission("CAP-9")
def test_what_is_said_names_the_lead_the_channel_and_the_address() -> None:
    desk = Desk()
    [said] = desk.record.entries
    assert (said.source, said.wording_version, said.ip) == ("partner", "2026-03", CALL.ip)
    assert desk.record.lead_id == desk.lead.id
