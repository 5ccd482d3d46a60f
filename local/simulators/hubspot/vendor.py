"""The simulator itself: authentication, rate limit, routes, and a human's edits under `/_sim/`.

Besides the control routes every simulator has:

POST   /_sim/ui/{type}        a person creates a record in HubSpot: {"properties": {…}, "user_id": n}
POST   /_sim/ui/{type}/{id}   a person edits it (source CRM_UI)
DELETE /_sim/ui/{type}/{id}   a person archives it
POST   /_sim/settings         echo, webhook_format, subscribed_properties, association_changes, rate_limit,
                              rate_window_seconds, search_rate_limit. GET reads them
GET    /_sim/portal           portal and app id
POST   /_sim/owners           one more owner: {"email", "firstName", "lastName"}
"""

import hmac
from dataclasses import dataclass
from typing import Any

from local.simulators.common import (
    Answer,
    Call,
    Delivery,
    Json,
    Outgoing,
    Problem,
    Rule,
    World,
    contracts_folder,
)
from local.simulators.hubspot.associations import Associations, named
from local.simulators.hubspot.contract import Contract
from local.simulators.hubspot.errors import HubspotError, bad_request, not_found, rate_limited, unauthorised
from local.simulators.hubspot.limits import RateLimit
from local.simulators.hubspot.links import LinkRoutes
from local.simulators.hubspot.notifications import API_SOURCE, UI_SOURCE, Notifications
from local.simulators.hubspot.objects import ObjectRoutes
from local.simulators.hubspot.portal import Portal, Source
from local.simulators.hubspot.records import Records
from local.simulators.hubspot.routing import Router, journalled
from local.simulators.hubspot.schema import SchemaRoutes
from local.simulators.hubspot.shapes import UPDATE, shaped

_USER = 41_000_001


@dataclass(frozen=True)
class Identity:
    """Who the simulated app is."""

    token: str
    client_secret: str
    portal_id: int
    app_id: int


class Hubspot:
    """HubSpot, as far as this product meets it."""

    name = "hubspot"

    def __init__(self, world: World, webhook_url: str | None, identity: Identity) -> None:
        self._portal = Portal(world, identity.portal_id, identity.app_id)
        self._notifications = Notifications(
            self._portal, world.store, world.outbox, webhook_url, identity.client_secret
        )
        self._records = Records(self._portal, self._notifications)
        associations = Associations(self._portal, self._notifications)
        self._router = Router(
            LinkRoutes(self._portal, associations).routes
            + ObjectRoutes(self._portal, self._records, associations, world.faults).routes
            + SchemaRoutes(self._portal).routes
        )
        self._authorisation = f"Bearer {identity.token}".encode()
        self._app = Source(API_SOURCE, str(identity.app_id))
        self._limit = RateLimit()
        folder = contracts_folder("hubspot")
        self._contract = Contract(folder) if folder is not None else None

    def handle(self, call: Call) -> Answer:
        """Answer one API request."""
        self._portal.ensure()
        call.params = journalled(call)
        headers: dict[str, str] = {}
        try:
            if not hmac.compare_digest(call.headers.get("authorization", "").encode(), self._authorisation):
                raise unauthorised()
            headers = self._limit.take(self._portal.settings(), search=call.path.endswith("/search"))
            answer = self._router.answer(call, self._app)
        except HubspotError as refusal:
            answer = Answer(refusal.status, refusal.body(), dict(refusal.headers))
        answer.headers |= headers
        return answer

    def injected(self, call: Call, rule: Rule) -> Answer:
        """An error on demand, as HubSpot words it."""
        status = int(rule["status"])
        if status == 429:
            refusal = rate_limited(int(rule.get("retry_after", 1)), "ten_secondly_rolling")
        else:
            refusal = HubspotError(
                status,
                str(rule.get("code", "INTERNAL_ERROR")),
                f"internal error on {call.path}",
            )
        return Answer(refusal.status, refusal.body(), dict(refusal.headers))

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One signed webhook request."""
        return self._notifications.outgoing(deliveries)

    def clock_moved(self) -> None:
        """Nothing here waits for a time."""

    def check_request(self, call: Call) -> list[Problem]:
        """Where a request leaves HubSpot's OpenAPI documents."""
        return [] if self._contract is None else self._contract.check_request(call)

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Where an answer leaves them."""
        return [] if self._contract is None else self._contract.check_answer(call, answer)

    def refuse(self, call: Call, problems: list[Problem]) -> Answer:
        """404 for an unknown endpoint, 400 naming each problem for the rest."""
        if any(problem.code == "endpoint" for problem in problems):
            refusal = not_found(call.path)
        else:
            listed = "; ".join(f"{problem.where or 'body'}: {problem.detail}" for problem in problems)
            errors = [{"message": problem.detail, "in": problem.where} for problem in problems]
            refusal = bad_request(f"Invalid input JSON: {listed}", errors=errors)
        return Answer(refusal.status, refusal.body())

    def contract_state(self) -> str:
        """Whether the checks are on."""
        if self._contract is None:
            return "off: no contracts folder"
        return f"on: HubSpot OpenAPI 2026-09 and v3, {self._contract.size} operations"

    def visible_state(self) -> Json:
        """Everything by kind."""
        self._portal.ensure()
        return self._portal.contents()

    def control(self, method: str, path: str, asked: Any) -> Answer | None:
        """The control routes of this vendor; None for one that is not."""
        self._portal.ensure()
        steps = path.split("/")
        try:
            if steps[0] == "ui" and len(steps) in (2, 3):
                return self._by_hand(method, steps[1:], asked or {})
            if (method, path) == ("GET", "settings"):
                return Answer(200, self._portal.settings())
            if (method, path) == ("POST", "settings"):
                return Answer(200, self._portal.change_settings(asked))
            if (method, path) == ("GET", "portal"):
                return Answer(200, {"portal_id": self._portal.portal_id, "app_id": self._portal.app_id})
            if (method, path) == ("POST", "owners"):
                return Answer(201, self._portal.add_owner(asked))
        except HubspotError as refusal:
            return Answer(refusal.status, refusal.body())
        return None

    def _by_hand(self, method: str, steps: list[str], asked: Json) -> Answer | None:
        """What a person does in HubSpot's own pages."""
        kind = named(steps[0])
        source = Source(UI_SOURCE, f"userId:{asked.get('user_id', _USER)}")
        if method == "POST" and len(steps) == 1:
            properties = shaped(asked, UPDATE)["properties"]
            record = self._records.make(self._records.plan_create(kind, properties), source)
        elif method == "POST":
            record = self._records.find(kind, steps[1])
            properties = shaped(asked, UPDATE)["properties"]
            self._records.make(self._records.plan_update(kind, record, properties), source)
        elif method == "DELETE" and len(steps) == 2:
            record = self._records.find(kind, steps[1])
            self._records.archive(kind, record, source)
        else:
            return None
        return Answer(
            201 if len(steps) == 1 else 200,
            self._records.shown(kind, record, list(record["properties"])),
        )
