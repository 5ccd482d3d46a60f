"""A stack that was stopped and started again goes on where it stood, as after `make down` and `make up`."""

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from local.stack.place import PROJECT, Place
from tests.acceptance.people import audit_of, partner_lead, patched
from tests.acceptance.stack import Json, Stack, eventually, fresh

pytestmark = pytest.mark.alone


def _command(verb: str) -> str:
    """What the stack's own command printed; it must hold."""
    command = [sys.executable, "-m", "local.stack", verb, "--for-tests"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def restarted(stack: Stack) -> Iterator[tuple[Json, Json, Stack]]:
    """A lead with its contact in HubSpot and a customer at Stripe, from before; and the stack as it came back."""
    place = Place.of_tests()
    if place.read("stack.json").get("endpoint_url") != stack.told["endpoint_url"]:
        pytest.skip("the stack in use is not the tests' own, and only that one may be stopped")
    lead = partner_lead(stack)
    eventually("the contact", lambda: stack.contact(lead["person_id"]))
    audit_of(stack, lead["id"])
    customer = stack.stripe("POST", "customers", email=lead["email"], name=fresh())
    known = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="sdr")
    assert "stopped: " in _command("down")
    with pytest.raises(httpx.TransportError):
        stack.call("GET", "/api/v1/health")
    assert "nothing had changed" in _command("up")
    with httpx.Client(timeout=60) as http:
        yield known, customer, Stack(json.loads(place.stack_json.read_text(encoding="utf-8")), http)


def test_a_restart_keeps_what_was_there_and_the_work_goes_on(restarted: tuple[Json, Json, Stack]) -> None:
    known, customer, stack = restarted
    assert stack.ok("GET", f"/api/v1/leads/{known['id']}", user="sdr") == known
    assert stack.stripe("GET", f"customers/{customer['id']}")["email"] == known["email"]
    contact = stack.contact(known["person_id"])
    assert contact is not None
    assert contact["properties"]["email"] == known["email"]
    patched(stack, known["id"], company="Nachher AG")  # through table, stream, queue and worker, to HubSpot

    def renamed() -> bool:
        found = stack.contact(known["person_id"])
        return found is not None and found["properties"]["company"] == "Nachher AG"

    eventually("the change in HubSpot", renamed)
    trail = audit_of(stack, known["id"], known["version"] + 1)
    assert trail["faults"] == []
