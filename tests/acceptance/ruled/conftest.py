"""Rules that files about assignment and nurture both need, and that are none of the stack's own.

A function keeps what it read for 30 seconds, so they are written together and waited for once, and put back after the
last test in this folder.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.people import ATTRIBUTION, partner_lead
from tests.acceptance.rules import applied, away, content_of
from tests.acceptance.stack import Json, Stack, fresh
from tests.builders.loopback import Receiver, receiving

_IN_FORCE = 33.0
"""Seconds after which every function has the rules and the absences that were written."""
_FAIR = "Fair 2026"
"""The source of leads that are to hear from somebody within a minute."""
_ANYTIME = {"begins": "00:00:00", "ends": "00:00:00", "weekends": True}


class Notices(Receiver):
    """A company's own webhook, on this machine."""

    @property
    def address(self) -> str:
        return self.url("/hooks")

    def messages(self, about: str) -> list[Json]:
        return [json.loads(one.body) for one in self.requests if about in one.body.decode()]


@dataclass
class Rules:
    """What is in force: a territory of three sellers, one of whom is away and another has twice the weight; a
    sequence of seconds; a receiver of notices. Two leads of the fair came the moment the rules were in force, of whom
    the seller called one: their minute passes beside whatever else is tested."""

    territory: str
    country: str
    sellers: dict[str, str]
    receiver: Notices
    uncalled: Json
    called: Json


def _step(name: str, channel: str, after: str, template: str, **more: Any) -> Json:
    of = {"of": "enrolment", "language": "en", "only_if": "", "score_rise": 0}
    return {"name": name, "channel": channel, "after": after, "template": template} | of | more


def _seconds(stack: Stack) -> Json:
    """The nurture settings with a mail at once, another after 30 s, a follow-up by WhatsApp once engaged, a task after
    32 s, at any hour."""
    sequences = content_of(stack, "nurture")["sequences"]
    steps = [
        _step("mail-1", "email", "PT0S", "welcome-1"),
        _step("mail-2", "email", "PT30S", "welcome-2"),
        _step("whatsapp-1", "whatsapp", "PT1S", "follow-up-1", of="engagement", only_if="engaged"),
        _step("sdr-task", "task", "PT32S", "Call {{full_name}}"),
    ]
    welcome = sequences["welcome"] | {"steps": steps}
    return {"sequences": sequences | {"welcome": welcome}, "quiet": _ANYTIME, "spacing": "PT0S"}


@pytest.fixture(scope="package")
def rules(stack: Stack) -> Iterator[Rules]:
    """The rules of these files, once they are in force everywhere."""
    sellers = {name: stack.user_id(name) for name in ("rep", "rep2", "manager")}
    territory = f"isle-{fresh()}"
    assignment = {
        "territories": [
            {"name": territory, "countries": ["IS"], "user_ids": list(sellers.values())},
            {"name": f"away-{fresh()}", "countries": ["LI"], "user_ids": [sellers["rep"], sellers["rep2"]]},
        ],
        "weights": {sellers["manager"]: 2},
    }
    fair = {"name": "fair", "minutes": 1, "sources": [_FAIR], "around_the_clock": True}
    with ExitStack() as while_in_force:
        receiver = while_in_force.enter_context(receiving(Notices()))
        wanted: dict[str, Json] = {
            "assignment": assignment,
            "response": {"rules": [fair, {"name": "standard", "minutes": 60}]},
            "notices": {"webhook_url": receiver.address},
            "nurture": _seconds(stack),
        }
        for name, changes in wanted.items():
            while_in_force.enter_context(applied(stack, name, changes))
        while_in_force.enter_context(away(stack, "rep2", manager="manager2"))
        time.sleep(_IN_FORCE)
        from_the_fair = ATTRIBUTION | {"source": _FAIR}
        uncalled, called = [partner_lead(stack, country="LI", attribution=from_the_fair) for _ in range(2)]
        call = {"type": "call", "about": called["id"], "subject": "First call", "outcome": "Positive"}
        stack.ok("POST", "/api/v1/activities", expect=201, user="rep", json=call)
        yield Rules(territory, "IS", sellers, receiver, uncalled, called)
