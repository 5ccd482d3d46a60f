"""The simulator itself. This product calls nothing of Twilio's API, so every endpoint is unknown here; what there is to
do is behind the doors under `/_sim/`, besides those every simulator has:

POST /_sim/calls              somebody calls: {"from", "to", "name", "country", "seconds", "answered", "hangs_up"}
POST /_sim/calls/{sid}/again  the webhook is asked about the call once more, as after a lost answer
"""

from typing import Any

import httpx

from local.simulators.common import Answer, Call, Delivery, Json, Outgoing, Problem, Rule, World
from local.simulators.twilio.calls import Calls


class Twilio:
    """Twilio, as far as this product meets it."""

    name = "twilio"

    def __init__(self, world: World, webhook_url: str | None, token: str, account: str) -> None:
        self._world = world
        self._calls = Calls(world, webhook_url, token, account)

    def handle(self, call: Call) -> Answer:
        """Nothing of the API is simulated."""
        return self.refuse(call, [])

    def injected(self, call: Call, rule: Rule) -> Answer:
        """An error on demand, as Twilio words it."""
        return Answer(int(rule["status"]), {"code": 20500, "message": call.path, "status": int(rule["status"])})

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One signed webhook request."""
        return self._calls.outgoing(deliveries)

    def clock_moved(self) -> None:
        """Nothing here waits for a time."""

    def check_request(self, call: Call) -> list[Problem]:
        """Every endpoint is unknown."""
        return [Problem("endpoint", call.path, f"no operation {call.method} {call.path}")]

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """A refusal is in Twilio's shape."""
        known = isinstance(answer.body, dict) and {"code", "message", "status"} == answer.body.keys()
        return [] if known else [Problem("type", call.path, "not a refusal of Twilio's")]

    def refuse(self, call: Call, problems: list[Problem]) -> Answer:
        """404, as Twilio words it."""
        told = problems[0].detail if problems else f"no operation {call.method} {call.path}"
        return Answer(404, {"code": 20404, "message": told, "status": 404})

    def contract_state(self) -> str:
        """What is checked."""
        return "TwiML: on, by the documentation; the API is not simulated"

    def visible_state(self) -> Json:
        """Everything by kind."""
        return {"call": dict(self._world.store.items("call"))}

    def control(self, method: str, path: str, asked: Any) -> Answer | None:
        """The control routes of this vendor; None for one that is not."""
        steps = path.split("/")
        if method != "POST":
            return None
        try:
            match steps:
                case ["calls"] if isinstance(asked, dict):
                    return Answer(201, self._calls.ring(asked))
                case ["calls", sid, "again"]:
                    return Answer(200, self._calls.again(sid))
        except (ValueError, KeyError, httpx.HTTPError) as error:
            return Answer(400, {"detail": f"{type(error).__name__}: {error}"})
        return None
