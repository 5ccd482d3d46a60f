"""The simulator itself: the Graph API's door, and everybody's own under `/_sim/`.

Besides the control routes every simulator has:

POST /_sim/people/{number}            what a person is like: {"name", "reachable", "reads"}
POST /_sim/people/{number}/messages   they write: {"text": {"body": …}}, or another kind; "name", "referral", "context"
POST /_sim/people/{number}/reads      they read a message of the business: {"message_id"}
POST /_sim/templates                  one more approved template: {"name", "languages": {code: body parameters}}
POST /_sim/subscribe                  Meta's handshake with the webhook address; what it answered
"""

import hmac
import json
import secrets
from dataclasses import asdict
from typing import Any

import httpx

from local.simulators.common import Answer, Call, Delivery, Json, Outgoing, Problem, Rule, World, contracts_folder
from local.simulators.whatsapp import contract
from local.simulators.whatsapp.business import Business, number_of
from local.simulators.whatsapp.errors import GraphError, bad_parameter, rate_limited, unauthorised, unknown_path
from local.simulators.whatsapp.people import People
from local.simulators.whatsapp.webhooks import Identity, Webhooks


class Whatsapp:
    """WhatsApp's Cloud API, as far as this product meets it."""

    name = "whatsapp"

    def __init__(self, world: World, webhook_url: str | None, identity: Identity) -> None:
        self._world = world
        self._identity = identity
        self._webhooks = Webhooks(world, webhook_url, identity)
        with world.store.transaction():
            self._business = Business(world, self._webhooks)
        self._people = People(world, self._business, self._webhooks)
        folder = contracts_folder("whatsapp")
        self._examples = contract.Examples(folder) if folder is not None else None

    def handle(self, call: Call) -> Answer:
        """Answer one API request."""
        try:
            presented = call.headers.get("authorization", "").encode()
            if not hmac.compare_digest(presented, f"Bearer {self._identity.token}".encode()):
                raise unauthorised()
            found = contract.PATH.fullmatch(call.path)
            if found is None or call.method != "POST":
                raise unknown_path(call.path)
            call.params = json.loads(call.body)
            number_of(call.path, self._identity.number_id, found[1])
            return self._business.send(call.params)
        except GraphError as refusal:
            return refusal.answer()

    def injected(self, call: Call, rule: Rule) -> Answer:
        """An error on demand, as Meta words it."""
        status = int(rule["status"])
        if status == 429:
            return rate_limited().answer()
        return GraphError(status, 131000 if status >= 500 else 100, "Something went wrong", call.path).answer()

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One signed webhook request."""
        return self._webhooks.outgoing(deliveries)

    def clock_moved(self) -> None:
        """Nothing here waits for a time."""

    def check_request(self, call: Call) -> list[Problem]:
        """Where a request leaves what Meta documents."""
        return contract.check_request(call)

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Where an answer leaves what Meta documents."""
        return contract.check_answer(call, answer)

    def refuse(self, call: Call, problems: list[Problem]) -> Answer:
        """Meta's words for a request outside its contract."""
        if any(problem.code == "endpoint" for problem in problems):
            return unknown_path(call.path).answer()
        return bad_parameter("; ".join(f"{each.where or 'body'}: {each.detail}" for each in problems)).answer()

    def contract_state(self) -> str:
        """Whether the checks are on."""
        if self._examples is None:
            return "requests: on, by the documentation; webhooks: off, no contracts folder"
        return f"requests: on, by the documentation; webhooks: on, examples of {', '.join(self._examples.kinds)}"

    def visible_state(self) -> Json:
        """Everything by kind."""
        store = self._world.store
        return {each: dict(store.items(each)) for each in ("person", "template", "sent", "received")}

    def control(self, method: str, path: str, asked: Any) -> Answer | None:
        """The control routes of this vendor; None for one that is not."""
        steps = path.split("/")
        if method != "POST" or not isinstance(asked or {}, dict):
            return None
        given: Json = asked or {}
        try:
            match steps:
                case ["people", number]:
                    return Answer(200, self._business.change(number, given))
                case ["people", number, "messages"]:
                    return self._written(number, given)
                case ["people", _, "reads"]:
                    return Answer(200, self._business.read(str(given["message_id"])))
                case ["templates"]:
                    return Answer(201, self._business.approve(str(given["name"]), given["languages"]))
                case ["subscribe"]:
                    return self._subscribe()
        except (ValueError, KeyError) as error:
            return Answer(400, {"detail": str(error)})
        return None

    def _written(self, number: str, asked: Json) -> Answer:
        message, value = self._people.write(number, asked)
        problems = self._examples.check(value) if self._examples is not None else []
        if problems:
            entry = {"side": "webhook", "call": f"message {message['type']}", "problems": [asdict(p) for p in problems]}
            self._world.store.append("violations", entry)
        return Answer(201, {"id": message["id"], "wa_id": message["from"]})

    def _subscribe(self) -> Answer:
        if self._webhooks.url is None:
            raise ValueError("there is no webhook address")
        challenge = str(secrets.randbelow(10**10))
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": self._identity.verify_token}
        answer = httpx.get(self._webhooks.url, params=asked, timeout=10, trust_env=False)
        verified = answer.status_code == 200 and answer.text == challenge
        return Answer(200, {"status": answer.status_code, "verified": verified})
