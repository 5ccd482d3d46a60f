"""Who tells the story: the stack's doors, the steps, and what ends it."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from local.aws import client
from local.stack.progress import StepFailed, alive, show

_WAIT_SECONDS = 60.0


class StoryFailed(StepFailed):
    """A step did not come true."""

    def __init__(self, why: str) -> None:
        super().__init__("the story ends here", why, "make log FUNCTION=change_relay, or another folder of functions/")


@dataclass
class Teller:
    """The stack, who is asking, and what was told so far."""

    stack: Mapping[str, Any]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    number: int = 0
    awaited: str = ""
    """What the story waits for just now."""
    sign_of_life: float = 2.0
    """Seconds after which a step that is not done says so."""

    def call(self, method: str, path: str, *, user: str = "", key: str = "", **more: Any) -> httpx.Response:
        """One request as a user or with a machine's key."""
        headers = dict(more.pop("headers", {}))
        if user:
            headers["authorization"] = f"Bearer {self.stack['tokens'][user]}"
        if key:
            headers["x-api-key"] = self.stack[key]
        return self.http.request(method, self.stack["api_url"] + path, headers=headers, **more)

    def ok(self, method: str, path: str, *, expect: int = 200, **more: Any) -> Any:
        """The answer's body. Raises StoryFailed for another status."""
        answer = self.call(method, path, **more)
        if answer.status_code != expect:
            raise StoryFailed(f"{method} {path} answered {answer.status_code}, not {expect}: {answer.text[:600]}")
        return answer.json()

    def simulator(self, vendor: str, method: str, path: str, **more: Any) -> Any:
        """A vendor simulator's own door."""
        answer = self.http.request(method, self.stack[vendor]["simulator_url"] + path, **more)
        answer.raise_for_status()
        return answer.json()

    def stripe(self, method: str, path: str, **data: Any) -> Any:
        """A request to Stripe itself, as its dashboard would make it. Raises StoryFailed when it refuses."""
        vendor = self.stack["stripe"]
        headers = {"authorization": f"Bearer {vendor['api_key']}"}
        answer = self.http.request(method, f"{vendor['simulator_url']}/v1/{path}", data=data or None, headers=headers)
        if not answer.is_success:
            raise StoryFailed(f"Stripe refused {method} {path}: {answer.text[:600]}")
        return answer.json()

    def run_schedule(self, function: str) -> dict[str, Any]:
        """Fires a scheduled function now, as its schedule does every few minutes."""
        answer = client(self.stack, "lambda").invoke(
            FunctionName=f"revops-local-{function}",
            Payload=json.dumps({"period": f"story-{uuid.uuid4().hex[:12]}"}).encode(),
        )
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise StoryFailed(f"{function} failed: {json.dumps(result)[:600]}")
        return result

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` finds once it finds something. Raises StoryFailed after a minute."""
        deadline = time.monotonic() + _WAIT_SECONDS
        self.awaited, pause = what, 0.1
        while time.monotonic() < deadline:
            found = look()
            if found:
                self.awaited = ""
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        raise StoryFailed(f"waited {_WAIT_SECONDS:.0f} s in vain for: {what}")

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Tells one step: its lines as they come, what it waits for while it takes long, its time at the end."""
        self.number += 1
        print(f"\n  {self.number:>2}. {title}", flush=True)
        began = time.monotonic()
        with alive(lambda seconds: f"      … {self.awaited or 'asking'} ({seconds:.0f} s)", self.sign_of_life):
            yield lambda line: show(f"      {line}")
        show(f"      ({time.monotonic() - began:.2f} s)")


def points(lead: Mapping[str, Any]) -> list[str]:
    """The points of a lead's score, in words."""
    return [f"{part['points']} {part['factor']}" for part in lead["score_card"]["points"] if part["points"]]


def name_of(teller: Teller, user_id: str) -> str:
    """Who a user is in the demo."""
    return next((name for name, user in teller.stack["users"].items() if user["id"] == user_id), user_id)


def clock(moment: str) -> str:
    """A time as people here write it."""
    return datetime.fromisoformat(moment).strftime("%d/%m/%Y %H:%M:%S")


def require(truth: bool, what: str) -> None:
    """Raises StoryFailed unless it is so."""
    if not truth:
        raise StoryFailed(what)
