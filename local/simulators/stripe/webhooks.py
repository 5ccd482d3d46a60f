"""Events and webhook endpoints: what happened, who is told, and the signature that proves the sender."""

import fnmatch
import hashlib
import hmac
import json
import secrets
import time

from local.simulators.common import Delivery, Outbox, Outgoing
from local.simulators.stripe.context import Context, Emission, Object, merge_metadata, required, routes
from local.simulators.stripe.errors import invalid
from local.simulators.stripe.forms import Params, boolean
from local.simulators.stripe.query import in_range, page
from local.simulators.stripe.thin import event_of

MAIN = "main"
"""Stands for the endpoint given on the command line."""


def publish(ctx: Context, outbox: Outbox, main_url: str | None, version: str, request: Object) -> None:
    """Turn what a call emitted into events and queue them for every endpoint that wants them."""
    for emission in ctx.emitted:
        thin = emission.type.startswith("v1.")
        event = event_of(ctx, emission) if thin else _snapshot(ctx, emission, version, request)
        wanted = {"enabled_events": ctx.config.get("webhook_events", ["*"])}
        targets = [(MAIN, main_url)] if main_url and _wants(wanted, emission.type) else []
        targets += [
            (endpoint["id"], endpoint["url"])
            for endpoint in ctx.all("webhook_endpoint")
            if endpoint["status"] == "enabled" and _wants(endpoint, emission.type)
        ]
        if not thin:
            event["pending_webhooks"] = len(targets)
        ctx.save(event)
        for endpoint_id, url in targets:
            outbox.emit(url, emission.type, event["id"], {"endpoint": endpoint_id}, json.dumps(event))
    ctx.emitted.clear()


def _snapshot(ctx: Context, emission: Emission, version: str, request: Object) -> Object:
    event: Object = {
        "id": ctx.new_id("evt_"),
        "object": "event",
        "api_version": version,
        "created": emission.at,
        "data": {"object": emission.object},
        "livemode": False,
        "pending_webhooks": 0,
        "request": request,
        "type": emission.type,
    }
    if emission.previous is not None:
        event["data"]["previous_attributes"] = emission.previous
    return event


def _wants(endpoint: Object, type_: str) -> bool:
    return any(fnmatch.fnmatchcase(type_, pattern) for pattern in endpoint["enabled_events"])


def signed(event: Object, secret: str, at: int | None = None) -> Outgoing:
    """The webhook request for an event: Stripe-Signature with the time of sending."""
    body = json.dumps(event, indent=2, ensure_ascii=False).encode()
    moment = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={moment},v1={digest}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Accept": "*/*",
    }
    return Outgoing(body, headers)


def secret_for(ctx: Context, delivery: Delivery, main_secret: str) -> str:
    """The signing secret of a delivery's endpoint."""
    endpoint = ctx.find("webhook_endpoint", delivery.payload["endpoint"])
    return main_secret if endpoint is None else str(endpoint["_secret"])


@routes("GET", "/v1/events/{event}")
def retrieve_event(ctx: Context, params: Params, event: str) -> Object:
    """One event."""
    return ctx.get("event", event)


@routes("GET", "/v1/events")
def list_events(ctx: Context, params: Params) -> Object:
    """Events by type (with `*`), types, delivery and time."""
    types = params.get("types") or ([params["type"]] if params.get("type") else [])
    found = [
        event
        for event in ctx.all("event")
        if (not types or any(fnmatch.fnmatchcase(event["type"], pattern) for pattern in types))
        and (
            "delivery_success" not in params or boolean(params["delivery_success"]) == (event["pending_webhooks"] == 0)
        )
        and in_range(event["created"], params.get("created"))
    ]
    return page(params, found, "/v1/events")


@routes("POST", "/v1/webhook_endpoints")
def create_endpoint(ctx: Context, params: Params) -> Object:
    """Register an address; its secret is shown this once."""
    if not params.get("enabled_events"):
        raise invalid("Missing required param: enabled_events.", "enabled_events", "parameter_missing")
    endpoint: Object = {
        "id": ctx.new_id("we_"),
        "object": "webhook_endpoint",
        "api_version": params.get("api_version"),
        "application": None,
        "created": ctx.now,
        "description": params.get("description"),
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merge_metadata({}, params.get("metadata")),
        "status": "enabled",
        "url": required(params, "url"),
        "_secret": "whsec" + "_" + secrets.token_urlsafe(24),
    }
    ctx.save(endpoint)
    return {**endpoint, "secret": endpoint["_secret"]}


@routes("POST", "/v1/webhook_endpoints/{endpoint}")
def update_endpoint(ctx: Context, params: Params, endpoint: str) -> Object:
    """Change address, events, description or state."""
    held = ctx.get("webhook_endpoint", endpoint)
    for name in ("url", "enabled_events", "description"):
        held[name] = params.get(name, held[name])
    if "disabled" in params:
        held["status"] = "disabled" if boolean(params["disabled"]) else "enabled"
    held["metadata"] = merge_metadata(held["metadata"], params.get("metadata"))
    return ctx.save(held)


@routes("DELETE", "/v1/webhook_endpoints/{endpoint}")
def delete_endpoint(ctx: Context, params: Params, endpoint: str) -> Object:
    """Stop sending to an address."""
    ctx.get("webhook_endpoint", endpoint)
    ctx.store.delete("webhook_endpoint", endpoint)
    return {"id": endpoint, "object": "webhook_endpoint", "deleted": True}


@routes("GET", "/v1/webhook_endpoints/{endpoint}")
def retrieve_endpoint(ctx: Context, params: Params, endpoint: str) -> Object:
    """One endpoint, without its secret."""
    return ctx.get("webhook_endpoint", endpoint)


@routes("GET", "/v1/webhook_endpoints")
def list_endpoints(ctx: Context, params: Params) -> Object:
    """All endpoints."""
    return page(params, ctx.all("webhook_endpoint"), "/v1/webhook_endpoints")
