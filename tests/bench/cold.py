"""Cold starts: a fresh interpreter, the built layers, everything up to the answer of the first request.

Why CPU time: what a cold start waits for besides the processor is the disk, and that is the machine's neighbour here
and Firecracker's there. Wall time stands beside it in the details.
"""

import hashlib
import hmac
import json
import os
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from revops.access import USERS
from revops.access.model import User
from revops.crm.store import LEADS
from revops.kernel import Role
from tests.bench.layers import ROOT, Layers
from tests.bench.measure import Pair, Row
from tests.bench.sample import NOW, Leads

ROUNDS = 17
_WEBHOOK_FLOOR = """
from aws_lambda_powertools import Logger
import stripe
import botocore.session
Logger()
botocore.session.get_session().create_client("dynamodb", region_name="eu-west-2")
"""
_API_FLOOR = """
import botocore.session
import pydantic
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
botocore.session.get_session().create_client("dynamodb", region_name="eu-west-2")
APIGatewayHttpResolver(enable_validation=True)
"""
_HANDLED = """
from app import handler
answer = handler(json.loads(event), None)
assert answer["statusCode"] == {status}, answer
"""
_HARNESS = """
import sys
sys.path[:0] = {path!r}
event = sys.stdin.read()
import json, time
wall, cpu = time.perf_counter(), time.process_time()
{work}
sys.stderr.write(f"\\n{{time.process_time() - cpu}} {{time.perf_counter() - wall}} {{len(sys.modules)}}")
"""


def rows(layers: Layers, seed: int) -> list[Row]:
    """Ratios of the functions to their floors.

    Each start is a new `python3.13 -S -E -s -B`: no site packages, no environment of this machine, no bytecode
    written; what it imports are the built layers with their compiled bytecode, and `functions/<name>`. The function
    is imported and answers one request, its table and secret calls going to a stub on loopback that answers at once.
    The floor only imports, and makes what every such function has: no request, no route. Interpreter start is
    outside both. Floor and functions take turns; the ratio is the median of the rounds' ratios.
    """
    lead = Leads(seed).lead(1)
    user = User(
        id=secrets.token_hex(8), created_at=NOW, modified_at=NOW, name="A", email="", role=Role.ADMIN, team_id=""
    )
    key = secrets.token_hex(16)
    with stub(key, [USERS.row(user).to_raw(), LEADS.row(lead).to_raw()]) as endpoint:
        starts = _Starts(layers, endpoint)
        form = json.dumps({**Leads(seed).fields(1), "consent": [{"channel": "email", "granted": True}]})
        works: dict[str, tuple[str, str, Any]] = {
            "webhook floor": ("", _WEBHOOK_FLOOR, dict),
            "stripe_webhook": ("stripe_webhook", _HANDLED.format(status=200), lambda: _signed(key)),
            "API floor": ("", _API_FLOOR, dict),
            "crm_api": (
                "crm_api",
                _HANDLED.format(status=200),
                lambda: _request("GET", f"/api/v1/leads/{lead.id}", subject=user.id),
            ),
            "lead_intake": (
                "lead_intake",
                _HANDLED.format(status=202),
                lambda: _request("POST", "/api/v1/leads", form),
            ),
        }
        samples: dict[str, list[tuple[float, float, int]]] = {name: [] for name in works}
        for number in range(ROUNDS + 1):
            for name, (function, work, event) in works.items():
                sample = starts.one(function, work, event())
                if number:  # the first round fills the disk cache
                    samples[name].append(sample)
    return [
        _row("cold start of stripe_webhook, first request included", samples, "stripe_webhook", "webhook floor", 1.10),
        _row("cold start of crm_api, first request included", samples, "crm_api", "API floor", 1.25),
        _row("cold start of lead_intake, first request included", samples, "lead_intake", "API floor", None),
    ]


def _row(
    name: str, samples: dict[str, list[tuple[float, float, int]]], function: str, floor: str, budget: float | None
) -> Row:
    pair = Pair(tuple(each[0] for each in samples[function]), tuple(each[0] for each in samples[floor]))
    walls = [statistics.median(each[1] for each in samples[which]) * 1000 for which in (function, floor)]
    return pair.row(
        name,
        budget,
        1e3,
        "ms CPU",
        **{"ours ms wall": round(walls[0], 1), "floor ms wall": round(walls[1], 1)},
        modules=samples[function][0][2],
        **{"floor modules": samples[floor][0][2]},
    )


class _Starts:
    """Starts interpreters."""

    def __init__(self, layers: Layers, endpoint: str) -> None:
        self._layers = layers
        self._environment = {
            **_globals(),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "eu-west-2",
            "AWS_DEFAULT_REGION": "eu-west-2",
            "TABLE_NAME": "bench",
            "SECRET_PREFIX": "bench/",
            "STAGE": "bench",
        }

    def one(self, function: str, work: str, event: dict[str, Any]) -> tuple[float, float, int]:
        """CPU seconds, wall seconds and modules of one start."""
        program = _HARNESS.format(path=self._layers.path(function), work=work)
        # the interpreter itself, not the environment's: an environment has packages of its own
        python = getattr(sys, "_base_executable", sys.executable)
        done = subprocess.run(
            [python, "-S", "-E", "-s", "-B", "-c", program],
            input=json.dumps(event),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT / "tests" / "bench",
        )
        if done.returncode:
            raise RuntimeError(f"{function or 'the floor'} did not start:\n{done.stderr[-3000:]}")
        cpu, wall, modules = done.stderr.rpartition("\n")[2].split()
        return float(cpu), float(wall), int(modules)


def _globals() -> dict[str, str]:
    kept = ("PATH", "LD_LIBRARY_PATH", "LANG")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "LOG_LEVEL": "INFO",
    }


# -- what the functions are sent -----------------------------------------------------------------------------------


def _request(method: str, path: str, body: str = "", subject: str = "") -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / "stripe_webhook.json").read_text())
    event["rawPath"] = path
    event["headers"] = {"content-type": "application/json"}
    event["requestContext"]["http"] |= {"method": method, "path": path}
    event["body"] = body or None
    if subject:
        claims = {"sub": subject, "token_use": "access"}
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return event


def _signed(key: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / "stripe_webhook.json").read_text())
    at = int(time.time())
    made = hmac.new(key.encode(), f"{at}.{event['body']}".encode(), hashlib.sha256).hexdigest()
    event["headers"]["stripe-signature"] = f"t={at},v1={made}"
    return event


# -- what they call ------------------------------------------------------------------------------------------------


@contextmanager
def stub(key: str, items: list[dict[str, Any]]) -> Iterator[str]:
    """DynamoDB and Secrets Manager as far as a first request asks them: these items, and nothing else."""
    found = {(item["pk"]["S"], item["sk"]["S"]): item for item in items}
    secret = json.dumps({"webhook_secrets": [key], "account": "acct_bench", "livemode": False})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one packet

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            answer: dict[str, Any] = {}
            if operation == "GetSecretValue":
                answer = {"Name": sent["SecretId"], "SecretString": secret}
            elif operation == "GetItem":
                item = found.get((sent["Key"]["pk"]["S"], sent["Key"]["sk"]["S"]))
                answer = {"Item": item} if item else {}
            elif operation == "BatchGetItem":
                answer = {"Responses": {}, "UnprocessedKeys": {}}
            elif operation == "Query":
                answer = {"Items": [], "Count": 0, "ScannedCount": 0}
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
