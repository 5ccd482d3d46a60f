"""The Stripe simulator as a vendor: authentication, versions, idempotency, dispatch, errors, webhooks."""

import asyncio
import base64
import importlib
import os
from collections.abc import Iterable
from typing import Any

from local.simulators.common import Answer, Call, Delivery, Json, Outgoing, Problem, Rule, World
from local.simulators.stripe import forms, test_clocks, webhooks
from local.simulators.stripe.context import Context, Object, public, routes
from local.simulators.stripe.contract import StripeContract
from local.simulators.stripe.entitled import tell_changes
from local.simulators.stripe.errors import StripeError, invalid
from local.simulators.stripe.lifecycle import run_until
from local.simulators.stripe.query import rendered, search
from local.simulators.stripe.thin import notification, report_errors

API_VERSION = "2026-10-28.endive"

_RESOURCES = (
    *("account", "catalogue", "metering", "payment_methods", "customers", "payments", "setup_intents", "subscriptions"),
    *("changes", "entitlements", "pausing", "invoice_items", "invoices", "schedules", "webhooks"),
    *("disputes", "cash_balance", "credits", "credit_notes", "alerts", "thin", "test_clocks"),
    "notices",
)
for _name in _RESOURCES:
    importlib.import_module(f"local.simulators.stripe.{_name}")

_SEARCHABLE = {
    "subscriptions": "subscription",
    "customers": "customer",
    "invoices": "invoice",
    "prices": "price",
    "products": "product",
    "payment_intents": "payment_intent",
    "charges": "charge",
}
_DAY = 86_400
_CATCH_UP_SECONDS = 60


class StripeSimulator:
    """Stripe's API over the simulator's state (see `common.vendor.Vendor`)."""

    name = "stripe"

    def __init__(self, world: World, webhook_url: str | None, api_keys: list[str], secret: str) -> None:
        self._world = world
        self._webhook_url = webhook_url
        self._keys = api_keys
        self._secret = secret
        self._contract = StripeContract.load(API_VERSION)
        world.outbox.on_delivered = self._delivered
        world.outbox.copy_event = self._copy_event
        if webhook_url:
            with world.store.transaction():
                world.outbox.readdress(lambda delivery: delivery.payload["endpoint"] == webhooks.MAIN, webhook_url)

    @classmethod
    def from_environment(cls, world: World, webhook_url: str | None) -> "StripeSimulator":
        """Keys from STRIPE_SIM_API_KEY, secrets from STRIPE_SIM_WEBHOOK_SECRET; both comma separated."""
        keys = [key for key in os.environ.get("STRIPE_SIM_API_KEY", "").split(",") if key]
        secrets = [secret for secret in os.environ.get("STRIPE_SIM_WEBHOOK_SECRET", "").split(",") if secret]
        if not keys or (webhook_url and not secrets):
            raise SystemExit("Set STRIPE_SIM_API_KEY, and STRIPE_SIM_WEBHOOK_SECRET where webhooks are sent.")
        return cls(world, webhook_url, keys, secrets[0] if secrets else "")

    # Requests

    def handle(self, call: Call) -> Answer:
        """Answer one request."""
        self._read(call)
        try:
            self._admit(call)
            replay = self._replay(call)
        except StripeError as error:
            return self._finish(call, error.status, {"error": error.error})
        if replay is not None:
            return replay
        status, body = self._perform(call)
        return self._remember(call, self._finish(call, status, body))

    def _read(self, call: Call) -> None:
        if call.id:
            return
        call.id = self._context().new_id("req_")[:18]
        call.idempotency_key = call.headers.get("idempotency-key")
        text = call.body.decode() if call.method == "POST" or (call.method == "DELETE" and call.body) else call.query
        try:
            call.params = forms.parse(text)
        except (forms.FormError, UnicodeDecodeError) as error:
            call.note = f"unreadable parameters: {error}"

    def _authorised(self, call: Call) -> bool:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            value = base64.b64decode(value + "==").decode(errors="replace").partition(":")[0]
        return value in self._keys

    def _admit(self, call: Call) -> None:
        if not call.headers.get("authorization"):
            raise StripeError(401, "invalid_request_error", "You did not provide an API key.")
        if not self._authorised(call):
            raise StripeError(401, "invalid_request_error", "Invalid API Key provided.")
        version = call.headers.get("stripe-version", API_VERSION)
        if version != API_VERSION:
            message = f"Invalid Stripe API version: {version}. This simulator speaks {API_VERSION}."
            raise invalid(message, code="invalid_api_version")
        if call.note:
            raise invalid("Invalid request parameters.")

    def _perform(self, call: Call) -> tuple[int, Any]:
        self._catch_up()
        store = self._world.store
        ctx = self._context()
        writing = call.method != "GET"
        if writing:
            store.commit()
        expand = call.params.get("expand") or []
        params = {name: value for name, value in call.params.items() if name != "expand"}
        try:
            body = rendered(ctx, self._dispatch(ctx, call, params), expand)
        except StripeError as error:
            if not error.keeps_effects:
                ctx.emitted.clear()
                if writing:
                    store.rollback()
            self._publish(ctx, call)
            return error.status, {"error": error.error}
        if ctx.dry:
            ctx.emitted.clear()
            store.rollback()
        self._publish(ctx, call)
        return 200, body

    def _dispatch(self, ctx: Context, call: Call, params: Json) -> Any:
        found = routes.match(call.method, call.path)
        steps = call.path.strip("/").split("/")
        if call.method == "GET" and len(steps) == 3 and steps[2] == "search" and steps[1] in _SEARCHABLE:
            return search(ctx, _SEARCHABLE[steps[1]], params, call.path, self._world.faults.search_lag)
        if found is None:
            message = f"Unrecognized request URL ({call.method}: {call.path})."
            raise StripeError(404, "invalid_request_error", message)
        handler, places = found
        if call.method != "GET":
            test_clocks.enter(ctx, call.path, places, params)
        return handler(ctx, params, **places)

    def _publish(self, ctx: Context, call: Call | None) -> None:
        tell_changes(ctx)
        if any(emission.type == test_clocks.ADVANCING for emission in ctx.emitted):
            asyncio.get_running_loop().call_later(test_clocks.seconds(ctx) + 0.01, self._settle)
        request: Object = {"id": None, "idempotency_key": None}
        if call is not None:
            request = {"id": call.id, "idempotency_key": call.idempotency_key}
        webhooks.publish(ctx, self._world.outbox, self._webhook_url, API_VERSION, request)

    def _finish(self, call: Call, status: int, body: Any) -> Answer:
        if status >= 400:
            body["error"].setdefault("request_log_url", f"https://dashboard.stripe.example/logs/{call.id}")
        headers = {"Request-Id": call.id, "Stripe-Version": API_VERSION}
        if call.idempotency_key:
            headers |= {"Idempotency-Key": call.idempotency_key, "Original-Request": call.id}
        return Answer(status, body, headers)

    # Idempotency

    def _replay(self, call: Call) -> Answer | None:
        if call.method != "POST" or not call.idempotency_key:
            return None
        held = self._world.store.get("_idempotency", call.idempotency_key)
        if held is None or self._world.clock.now() - held["at"] >= _DAY:
            return None
        if (held["path"], held["params"]) != (call.path, call.params):
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{call.idempotency_key}' if you meant to execute a different request."
            )
            raise StripeError(400, "idempotency_error", message)
        call.note = "replayed"
        headers = {**held["headers"], "Idempotent-Replayed": "true", "Request-Id": call.id}
        return Answer(held["status"], held["body"], headers)

    def _remember(self, call: Call, answer: Answer) -> Answer:
        if call.method == "POST" and call.idempotency_key and answer.status not in (401, 409, 429):
            kept = {
                "at": self._world.clock.now(),
                "path": call.path,
                "params": call.params,
                "status": answer.status,
                "body": answer.body,
                "headers": answer.headers,
            }
            self._world.store.put("_idempotency", call.idempotency_key, kept)
        return answer

    def injected(self, call: Call, rule: Rule) -> Answer:
        """A status on demand; an answer of 500 or more is saved under the idempotency key, as Stripe does."""
        self._read(call)
        status = int(rule["status"])
        type_ = "api_error" if status >= 500 else "invalid_request_error"
        message = {429: "Request rate limit exceeded.", 409: "This object cannot be accessed right now."}
        error: Json = {"type": type_, "message": message.get(status, "An unknown error occurred.")}
        if status in (409, 429):
            error["code"] = "rate_limit" if status == 429 else "lock_timeout"
        answer = self._finish(call, status, {"error": error})
        if "retry_after" in rule:
            answer.headers["Retry-After"] = str(rule["retry_after"])
        return self._remember(call, answer) if status >= 500 else answer

    # Time and webhooks

    def _context(self) -> Context:
        return Context(self._world.store, self._world.clock.now(), self._world.config)

    def clock_moved(self) -> None:
        """Run everything due since the last time this was done."""
        store, now = self._world.store, self._world.clock.now()
        ctx = self._context()
        ctx.now = int(store.setting("ran_until", now))
        run_until(ctx, now)
        store.set_setting("ran_until", now)
        self._publish(ctx, None)
        for key, saved in store.items("_idempotency"):
            if now - saved["at"] >= _DAY:
                store.delete("_idempotency", key)

    def _catch_up(self) -> None:
        """Let real time have its effect too: once a minute, on a request."""
        now = self._world.clock.now()
        if now - int(self._world.store.setting("ran_until", 0)) >= _CATCH_UP_SECONDS:
            self.clock_moved()
        self._settle_clocks()

    def _settle(self) -> None:
        """Advances of test clocks come to their end without a request too."""
        with self._world.store.transaction():
            self._settle_clocks()

    def _settle_clocks(self) -> None:
        ctx = self._context()
        test_clocks.settle(ctx)
        self._publish(ctx, None)

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One event, signed at this moment."""
        ctx = self._context()
        told = ctx.find("v2.core.event", deliveries[0].event_id)
        event = notification(told) if told else public(ctx.get("event", deliveries[0].event_id))
        return webhooks.signed(event, webhooks.secret_for(ctx, deliveries[0], self._secret))

    def _delivered(self, delivery: Delivery) -> None:
        event = self._world.store.get("event", delivery.event_id)
        if event is not None and event["pending_webhooks"] and not delivery.duplicate:
            event["pending_webhooks"] -= 1
            self._world.store.put("event", event["id"], event)

    def _copy_event(self, event_id: str) -> str:
        """The same fact as another event: Stripe may tell one thing twice under different ids."""
        ctx = self._context()
        told = ctx.find("v2.core.event", event_id) or ctx.get("event", event_id)
        return str(ctx.save({**told, "id": ctx.new_id("evt_")})["id"])

    def control(self, method: str, path: str, asked: Any) -> Answer | None:
        """POST meter-errors {"meter": id or null, "code": …, "count": n}: usage that Stripe took and did not count."""
        if (method, path) != ("POST", "meter-errors"):
            return None
        ctx = self._context()
        report_errors(ctx, asked.get("meter"), asked["code"], int(asked["count"]), asked.get("identifiers", []))
        self._publish(ctx, None)
        return Answer(200, {"reported": int(asked["count"])})

    # Contract

    def check_request(self, call: Call) -> list[Problem]:
        """Unknown endpoints and parameters, wrong types and values."""
        self._read(call)
        if self._contract is None or not self._authorised(call):
            return []
        versioned = "stripe-version" in call.headers
        return self._contract.request(call.method, call.path, call.params, versioned=versioned)

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Departures of the simulator itself."""
        if self._contract is None:
            return []
        return self._contract.answer(call.method, call.path, answer.status, answer.body)

    def refuse(self, call: Call, problems: list[Problem]) -> Answer:
        """Stripe's own words for the first problem."""
        first = problems[0]
        if first.code == "endpoint":
            error = StripeError(404, "invalid_request_error", first.detail)
        elif first.code == "unknown":
            error = invalid(f"Received unknown parameter: {first.where}", first.where, "parameter_unknown")
        elif first.code == "missing":
            error = invalid(f"Missing required param: {first.where}.", first.where, "parameter_missing")
        elif first.code == "empty":
            message = f"You passed an empty string for '{first.where}'."
            error = invalid(message, first.where, "parameter_invalid_empty")
        else:
            error = invalid(f"Invalid {first.where}: {first.detail}", first.where)
        return self._finish(call, error.status, {"error": error.error})

    def contract_state(self) -> str:
        """One line for the health route."""
        if self._contract is None:
            return "off: neither contracts folder nor SDK types for this version"
        return f"on: {API_VERSION}, from {self._contract.source}"

    def visible_state(self) -> dict[str, Iterable[Json]]:
        """Every object by kind."""
        store = self._world.store
        return {kind: map(public, store.all(kind)) for kind in store.kinds()}
