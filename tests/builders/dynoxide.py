"""dynoxide, the engine of the integration, race, fault and bench suites: one binary, in memory, exact in races.

`DynoxideServer` starts it on a free loopback port and ends it by SIGTERM; `create_table` makes a table as
`template.yaml` describes it, so the suites and a deployment cannot drift apart.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
import yaml
from botocore.config import Config

from revops.table.dynamo import DynamoTable
from tests.builders.loopback import free_port

REGION = "eu-west-2"
ROOT = Path(__file__).resolve().parents[2]
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_EC2_METADATA_DISABLED": "true"}
_TABLE_PROPERTIES = (
    "BillingMode",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "StreamSpecification",
)


def dynoxide_binary() -> Path:
    """Where the engine is: `REVOPS_DYNOXIDE`, else the project's `node_modules`. Raises FileNotFoundError."""
    named = os.environ.get("REVOPS_DYNOXIDE")
    candidates = [Path(named)] if named else sorted(ROOT.glob("node_modules/@dynoxide/*/dynoxide"))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise FileNotFoundError("dynoxide is not installed: run `make test`, or point REVOPS_DYNOXIDE at the binary")


class _TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation: a short-form function such as `!Ref Stage` becomes its bare argument."""


def _argument(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    raise TypeError(f"a YAML node that is not of CloudFormation: {node!r}")


_TemplateLoader.add_multi_constructor("!", _argument)


def table_properties() -> dict[str, Any]:
    """The table of `template.yaml` as arguments of CreateTable, without a name."""
    template = yaml.load((ROOT / "template.yaml").read_text("utf-8"), Loader=_TemplateLoader)  # noqa: S506 - a SafeLoader
    properties = template["Resources"]["Table"]["Properties"]
    wanted = {name: properties[name] for name in _TABLE_PROPERTIES}
    wanted["StreamSpecification"] = {"StreamEnabled": True, **wanted["StreamSpecification"]}
    return wanted


_WITH_US = '"$@" </dev/null & engine=$!; cat; kill "$engine"; wait "$engine"'
"""Runs the engine until our end of its watcher's input closes: by `stop`, or because we are gone, however we went."""


class DynoxideServer:
    """A running engine. `create_table` counts up names: every test has a table nobody else ever saw."""

    def __init__(self) -> None:
        self.endpoint_url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, Any] = {}
        self._properties = table_properties()
        self._wire: Any = None
        self._made = 0

    def __enter__(self) -> Self:
        for _ in range(5):
            port = free_port()
            process = subprocess.Popen(
                [
                    "sh",
                    "-c",
                    _WITH_US,
                    "sh",
                    str(dynoxide_binary()),
                    "serve",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._process = process
            if _answers(process, port):
                self.endpoint_url = f"http://127.0.0.1:{port}"
                return self
            self.stop()
        raise RuntimeError("dynoxide did not start: no port it was given answered")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()
        self.stop()

    def stop(self) -> None:
        """Ends the engine by SIGTERM and waits for it."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)

    def client(self, service: str = "dynamodb") -> Any:
        """A boto3 client of the engine (`dynamodb` or `dynamodbstreams`)."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,  # type: ignore[call-overload]
                region_name=REGION,
                endpoint_url=self.endpoint_url,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(max_pool_connections=64),
            )
        return self._clients[service]

    def create_table(self, name: str = "", *, stream: bool = True, **options: Any) -> DynamoTable:
        """A fresh table; `options` go to `DynamoTable`. The engine's writes slow down with the length of a table's
        stream: tests of many rows that read none do without."""
        self._made += 1
        name = name or f"revops-test-{self._made}"
        properties = dict(self._properties)
        if not stream:
            del properties["StreamSpecification"]
        self.client().create_table(TableName=name, **properties)
        table = DynamoTable(name, REGION, self.endpoint_url, **options)
        if self._wire is None:
            self._wire = table.connection.client
        table.connection._client = self._wire  # one client for all tables: making one costs 50 ms, and races
        return table

    def stream_records(self, table: DynamoTable) -> list[dict[str, Any]]:
        """Every record of a table's stream so far, as Lambda would receive them."""
        client = self.client("dynamodbstreams")
        records: list[dict[str, Any]] = []
        for stream in client.list_streams(TableName=table.name)["Streams"]:
            arn = stream["StreamArn"]
            for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
                iterator = client.get_shard_iterator(
                    StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
                while iterator:
                    answer = client.get_records(ShardIterator=iterator)
                    records += answer["Records"]
                    iterator = answer.get("NextShardIterator") if answer["Records"] else None
        return records

    def end_stream(self, table: DynamoTable) -> None:
        """No more records: for many writes after the last that anybody reads the stream of."""
        self.client().update_table(TableName=table.name, StreamSpecification={"StreamEnabled": False})

    def drop_table(self, table: DynamoTable) -> None:
        self.client().delete_table(TableName=table.name)


def _answers(process: subprocess.Popen[bytes], port: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return True
        time.sleep(0.02)
    return False


@contextlib.contextmanager
def running_dynoxide() -> Iterator[DynoxideServer]:
    """An engine for the length of a block, with the credentials it is addressed with in the environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            environment.delenv(name, raising=False)
        for name, value in _CREDENTIALS.items():
            environment.setenv(name, value)
        with DynoxideServer() as server:
            yield server


@pytest.fixture(scope="session")
def dynoxide() -> Iterator[DynoxideServer]:
    """One engine per test session (and per xdist worker)."""
    with running_dynoxide() as server:
        yield server


@pytest.fixture
def dynamo_table(dynoxide: DynoxideServer) -> Iterator[DynamoTable]:
    """A table of its own for each test."""
    table = dynoxide.create_table()
    yield table
    dynoxide.drop_table(table)
