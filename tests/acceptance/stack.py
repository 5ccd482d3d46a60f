"""A running stack as an outside program sees it: what stack.json says, and the doors it names."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from local.aws import client

type Json = dict[str, Any]

WAIT_SECONDS = 90.0
"""Until something counts as hanging: no promise of the product's, whose times have tests of their own."""


def fresh() -> str:
    """A word nobody used before, for names, addresses and keys."""
    return uuid.uuid4().hex[:10]


def eventually[T](what: str, look: Callable[[], T], seconds: float = WAIT_SECONDS) -> T:
    """What `look` finds once it finds something. Raises AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    pause = 0.05
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; last seen: {found!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def at_once[T](tasks: Sequence[Callable[[], T]], workers: int = 16) -> list[T]:
    """The results of tasks, at most `workers` of them under way at a time, in order."""
    with ThreadPoolExecutor(workers) as pool:
        return [each.result() for each in [pool.submit(task) for task in tasks]]


@dataclass
class Stack:
    """The stack and one connection pool to it."""

    told: Mapping[str, Any]
    http: httpx.Client

    # -- its own HTTP API ------------------------------------------------------------------------------------------

    def call(
        self, method: str, path: str, *, user: str = "", key: str = "", token: str = "", **more: Any
    ) -> httpx.Response:
        """One request as a user, with a machine's key (`partner_api_key`, `usage_api_key`), with a token, or bare."""
        headers = dict(more.pop("headers", {}))
        if user or token:
            headers["authorization"] = f"Bearer {token or self.told['tokens'][user]}"
        if key:
            headers["x-api-key"] = self.told[key]
        return self.http.request(method, self.told["api_url"] + path, headers=headers, **more)

    def ok(self, method: str, path: str, *, expect: int = 200, **more: Any) -> Any:
        """The body of an answer that has the expected status."""
        answer = self.call(method, path, **more)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
        return answer.json()

    def refused(self, method: str, path: str, *, expect: int, **more: Any) -> Json:
        """The problem of an answer that has the expected status; every problem has the same shape."""
        answer = self.call(method, path, **more)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
        return problem(answer)

    def user_id(self, name: str) -> str:
        return str(self.told["users"][name]["id"])

    # -- what stands behind it -------------------------------------------------------------------------------------

    @cached_property
    def dynamodb(self) -> Any:
        return client(self.told, "dynamodb")

    def aws(self, service: str) -> Any:
        """A boto3 client of the stack, as its administrator."""
        return client(self.told, service)

    def row(self, pk: str, sk: str) -> Json | None:
        """An item of the table as it stands there."""
        found = self.dynamodb.get_item(
            TableName=self.told["table_name"], Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        item: Json | None = found.get("Item")
        return item

    def rows(self, pk: str, begins: str) -> list[Json]:
        """The items of a partition whose sort key begins so."""
        found = self.dynamodb.query(
            TableName=self.told["table_name"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": begins}},
            ConsistentRead=True,
        )
        items: list[Json] = found["Items"]
        return items

    def run(self, function: str, period: str = "") -> Json:
        """Fires a scheduled function now, as its schedule does; waits for a run of somebody else to end."""

        def fire() -> Json | None:
            answer = self.aws("lambda").invoke(
                FunctionName=f"revops-local-{function}",
                Payload=json.dumps({"period": period or f"acceptance-{fresh()}"}).encode(),
            )
            result: Json = json.loads(answer["Payload"].read())
            assert not answer.get("FunctionError"), f"{function} failed: {json.dumps(result)[:600]}"
            return None if result.get("skipped") and not period else result

        return eventually(f"a run of {function}", fire) or {}

    # -- the vendors' simulators -----------------------------------------------------------------------------------

    def simulator(self, vendor: str, method: str, path: str, **more: Any) -> Any:
        """A simulator's own control door."""
        answer = self.http.request(method, f"{self.told[vendor]['simulator_url']}/{path}", **more)
        assert answer.is_success, f"{vendor} {path}: {answer.status_code} {answer.text[:400]}"
        return answer.json()

    def held(self, vendor: str, kind: str, about: str | None = None) -> Any:
        """What a simulator holds of a kind; only what mentions something, if one says what."""
        asked = {"kind": kind} | ({"about": about} if about else {})
        return self.simulator(vendor, "GET", "_sim/state", params=asked)[kind]

    def misbehave(self, vendor: str, *rules: Json) -> None:
        """Fault rules for a simulator, until `behave`."""
        self.simulator(vendor, "POST", "_sim/faults", json=list(rules))

    def behave(self, vendor: str) -> None:
        """Ends a simulator's faults and lets go what it holds back."""
        self.simulator(vendor, "DELETE", "_sim/faults")
        self.simulator(vendor, "POST", "_sim/flush")

    def stripe(self, method: str, path: str, **data: Any) -> Json:
        """A call of Stripe's own API, form-encoded, as somebody in Stripe's dashboard would cause it."""
        vendor = self.told["stripe"]
        answer = self.http.request(
            method,
            f"{vendor['simulator_url']}/v1/{path}",
            params=data if method == "GET" else None,
            data=None if method == "GET" else data,
            headers={"authorization": f"Bearer {vendor['api_key']}"},
        )
        assert answer.is_success, f"stripe {path}: {answer.status_code} {answer.text[:400]}"
        result: Json = answer.json()
        return result

    def stripe_event(self, raw: bytes, *, at: float | None = None, secret: str = "") -> httpx.Response:
        """Posts a Stripe event, signed as Stripe signs."""
        header = stripe_signature(raw, secret or self.told["stripe"]["secret"], at)
        return self.call("POST", "/webhooks/stripe", content=raw, headers={"stripe-signature": header} | AS_JSON)

    def hubspot_events(self, raw: bytes, *, at: float | None = None, secret: str = "") -> httpx.Response:
        """Posts a batch of HubSpot events, signed as HubSpot signs (version 3)."""
        vendor = self.told["hubspot"]
        stamp = str(round((time.time() if at is None else at) * 1000))
        signed = b"POST" + vendor["webhook_url"].encode().replace(b"%24", b"$") + raw + stamp.encode()
        made = hmac.new((secret or vendor["secret"]).encode(), signed, hashlib.sha256).digest()
        headers = {
            "x-hubspot-signature-v3": base64.b64encode(made).decode(),
            "x-hubspot-request-timestamp": stamp,
        }
        return self.call("POST", "/webhooks/hubspot", content=raw, headers=headers | AS_JSON)

    def contact(self, person_id: str) -> Json | None:
        """The HubSpot contact of a person, with the properties we write."""
        names = "firstname,lastname,email,phone,company,subscription_status,subscription_plan,revops_person_id"
        vendor = self.told["hubspot"]
        answer = self.http.get(
            f"{vendor['simulator_url']}/crm/objects/2026-09/contacts/{person_id}",
            params={"idProperty": "revops_person_id", "properties": names},
            headers={"authorization": f"Bearer {vendor['token']}"},
        )
        found: Json | None = answer.json() if answer.status_code == 200 else None
        return found

    def mails(self, about: str) -> list[Json]:
        """The mails that mention something."""
        answer = self.http.get(f"{self.told['mail']['simulator_url']}/messages", params={"about": about})
        listed: list[Json] = answer.json()["messages"]
        return listed


AS_JSON = {"content-type": "application/json"}


def stripe_signature(raw: bytes, secret: str, at: float | None = None) -> str:
    """The `Stripe-Signature` header over exactly these bytes."""
    stamp = str(int(time.time() if at is None else at))
    made = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={made}"


def problem(answer: httpx.Response) -> Json:
    """The problem of a refused request, after a look at what every problem must and must not say (RFC 9457)."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text[:400]
    body: Json = answer.json()
    assert {"type", "title", "status", "detail", "correlation_id"} <= body.keys(), body
    assert body["status"] == answer.status_code, body
    assert body["correlation_id"], body
    for never in ("Traceback", 'File "', "botocore", "/var/task", "/opt/"):
        assert never not in answer.text, answer.text[:400]
    return body


def fields(refusal: Json) -> set[str]:
    """The fields a problem names."""
    return {issue["field"] for issue in refusal.get("issues", [])}
