"""Every function takes its sample of `events/`: its own `app.py`, wired as Lambda wires it, over the engine.

The table is dynoxide's, the other AWS services are moto's, Stripe and HubSpot are the fakes of their ports. What is
bound to a moment or to a deployment's own secrets, a signature or an id that was just given out, is put into the
sample before it is sent; nothing else is changed.
"""

import importlib.util
import json
import secrets
import traceback
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from local.stack import expand
from revops import bootstrap
from revops.access import IssueKey, PlaceUser, User
from revops.adapters.docusign_connect import docusign_signature
from revops.adapters.hubspot_signature import hubspot_signature
from revops.adapters.whatsapp_signature import whatsapp_signature
from revops.analytics.store import rollup_key
from revops.audit.store import audit_key
from revops.billing.model import MembershipStatus
from revops.channels.imports.model import ImportRequest
from revops.crm.links import Links
from revops.crm.store import LEADS
from revops.inbox import INBOX, InboxStatus
from revops.kernel import CallContext, Principal, Role, SystemClock, system_call, time_text
from revops.orders.store import ORDERS
from revops.platform.failing import Failed
from revops.table.dynamo import DynamoTable
from revops.usage import SetCapPlan
from tests.architecture.source import PROJECT
from tests.builders.billing import TruthGateway, signature_header
from tests.builders.clock import ManualClock
from tests.builders.dynoxide import REGION, DynoxideServer, dynamo_table, dynoxide
from tests.builders.sales import FakeLedger
from tests.builders.usage import api_calls, terms
from tests.unit.sync.fakes import FakeHubspot

__all__ = ["dynamo_table", "dynoxide"]

CALL = system_call("samples")
CONTEXT = SimpleNamespace(
    aws_request_id="11111111-2222-3333-4444-555555555555",
    function_name="sample",
    get_remaining_time_in_millis=lambda: 120_000,
)
PREFIX = "revops/test/"
FUNCTIONS = sorted(path.parent.name for path in (PROJECT / "functions").glob("*/app.py"))


def sample(name: str) -> Any:
    return json.loads((PROJECT / "events" / f"{name}.json").read_text("utf-8"))


class Account:
    """An AWS account with everything the template makes, as far as a function sees it."""

    def __init__(self, table: DynamoTable, environment: pytest.MonkeyPatch, engine_url: str) -> None:
        self.table = table
        self.stripe_secret, self.hubspot_secret = secrets.token_hex(16), secrets.token_hex(16)
        self.whatsapp_secret = secrets.token_hex(16)
        self.docusign_key = secrets.token_hex(32)
        self.signing_key = secrets.token_hex(32)
        self.hubspot = FakeHubspot(ManualClock())
        self.stripe = TruthGateway()
        self._stripe_queue = self._queue("stripe")
        self._hubspot_queue = self._queue("hubspot")
        self._channel_queue = self._queue("channels")
        self._import_queue = self._queue("imports")
        self.aws("events").create_event_bus(Name="revops")
        for bucket in ("blobs", "imports"):
            self.aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.aws("sesv2").create_email_identity(EmailIdentity="revops@example.com")
        self._keep_secrets()
        variables = {
            "STAGE": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": engine_url,
            "TABLE_NAME": table.name,
            "BUS_NAME": "revops",
            "BLOB_BUCKET": "blobs",
            "SECRET_PREFIX": PREFIX,
            "STRIPE_QUEUE_URL": self._stripe_queue,
            "HUBSPOT_QUEUE_URL": self._hubspot_queue,
            "CHANNEL_QUEUE_URL": self._channel_queue,
            "IMPORT_QUEUE_URL": self._import_queue,
            "ESIGN_QUEUE_URL": self._queue("esign"),
            "IMPORT_BUCKET": "imports",
            "ORDER_STATE_MACHINE_ARN": self._state_machine(),
            "CHANGE_RELAY_FUNCTION": "revops-test-change-relay",
            "MAIL_FROM": "revops@example.com",
            "MAIL_TO_OPS": "ops@example.com",
        }
        for name, value in variables.items():
            environment.setenv(name, value)

    def aws(self, service: str) -> Any:
        """A client of moto's, whatever the environment says of endpoints."""
        config = Config(ignore_configured_endpoint_urls=True)  # type: ignore[call-arg]
        return boto3.client(service, region_name=REGION, config=config)  # type: ignore[call-overload]

    def _queue(self, name: str) -> str:
        return str(self.aws("sqs").create_queue(QueueName=name)["QueueUrl"])

    def _keep_secrets(self) -> None:
        kept = {
            "stripe": {
                "api_key": secrets.token_hex(16),
                "webhook_secrets": [self.stripe_secret],
                "account": "acct_sample",
                "livemode": False,
            },
            "hubspot": {
                "token": secrets.token_hex(16),
                "client_secrets": [self.hubspot_secret],
                "portal_id": 48000001,
            },
            "whatsapp": {
                "access_token": secrets.token_hex(16),
                "phone_number_id": "100000000000002",
                "app_secrets": [self.whatsapp_secret],
                "verify_tokens": [secrets.token_hex(16)],
                "accounts": ["100000000000001"],
            },
            "twilio": {"auth_tokens": [secrets.token_hex(16)], "accounts": []},
            "docusign": {
                "integration_key": "33333333-0000-4000-8000-333333333333",
                "user_id": "22222222-0000-4000-8000-222222222222",
                "account_id": "11111111-0000-4000-8000-111111111111",
                "base_url": "https://demo.docusign.example",
                "oauth_url": "https://account-d.docusign.example",
                "hmac_keys": [self.docusign_key],
            },
            "internal": {"signing_key": self.signing_key},
        }
        for name, fields in kept.items():
            self.aws("secretsmanager").create_secret(Name=PREFIX + name, SecretString=json.dumps(fields))

    def _state_machine(self) -> str:
        role = "arn:aws:iam::123456789012:role/order-workflow"
        definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
        made = self.aws("stepfunctions").create_state_machine(name="orders", definition=definition, roleArn=role)
        self.workflow = str(made["stateMachineArn"])
        return self.workflow

    def messages(self, queue: str) -> list[Any]:
        url = {"stripe": self._stripe_queue, "hubspot": self._hubspot_queue}[queue]
        found = self.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    def rows(self, kind: str) -> list[Any]:
        raw = self.table.connection.dispatch("Scan", {"TableName": self.table.name})["Items"]
        return [item for item in raw if item["kind"]["S"] == kind]

    def admit(self, subject: str, role: Role) -> None:
        """Lets the user of a sample's token in."""
        now = SystemClock().now()
        user = User(
            id=subject,
            created_at=now,
            modified_at=now,
            name="Sample",
            email="s@example.com",
            role=role,
            team_id="team-a",
        )
        PlaceUser(self.table, SystemClock()).user(user, CALL)


@pytest.fixture
def account(dynoxide: DynoxideServer, dynamo_table: DynamoTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with mock_aws():
        made = Account(dynamo_table, monkeypatch, dynoxide.endpoint_url)
        monkeypatch.setattr(bootstrap.Wiring, "aws", lambda _, service: made.aws(service))
        monkeypatch.setattr("revops.adapters.stripe_gateway.StripeReads", lambda connect: made.stripe)
        monkeypatch.setattr("revops.adapters.stripe_sales.StripeLedger", lambda client: FakeLedger())
        monkeypatch.setattr(bootstrap.Wiring, "hubspot", made.hubspot)
        bootstrap.wiring.cache_clear()
        yield made
        bootstrap.wiring.cache_clear()


def function(name: str) -> ModuleType:
    """A function's module, imported as Lambda does: by its path, once per cold start."""
    spec = importlib.util.spec_from_file_location(f"functions.{name}.app", PROJECT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def invoke(name: str, event: Any) -> Any:
    answer = function(name).handler(event, CONTEXT)
    json.dumps(answer)  # what Lambda does with it
    return answer


def signed_by_stripe(account: Account) -> Any:
    event = sample("stripe_webhook")
    now = SystemClock().now()
    event["headers"]["stripe-signature"] = signature_header(event["body"].encode(), account.stripe_secret, now)
    return event


def signed_by_hubspot(account: Account) -> Any:
    event = sample("crm_webhook")
    stamp = str(round(SystemClock().now().timestamp() * 1000))
    url = f"https://{event['headers']['host']}{event['rawPath']}"
    signature = hubspot_signature(account.hubspot_secret, "POST", url, event["body"].encode(), stamp)
    event["headers"] |= {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": signature}
    return event


def form_worked_on(account: Account) -> None:
    """A lead of the form: sent, and made by the worker."""
    invoke("lead_intake", sample("lead_intake"))
    [stored] = account.rows("INBOX")
    batch = sample("channel_worker")
    message = {"provider": "form", "inbox_id": stored["pk"]["S"].removeprefix("INBOX#")}
    batch["Records"] = [batch["Records"][0] | {"body": json.dumps(message)}]
    assert invoke("channel_worker", batch) == {"batchItemFailures": []}


def subject_of(event: Any) -> str:
    return str(event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"])


# ── one sample each ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-7")
def test_lead_import(account: Account) -> None:
    batch = sample("lead_import")
    assert invoke("lead_import", batch) == {"batchItemFailures": []}, "nobody asked for this import here"
    call = CallContext(Principal("sdr-1", Role.SDR))
    asked = {
        "file_name": "fair.csv",
        "kind": "csv",
        "attribution": dict.fromkeys(("source", "campaign", "medium", "term"), "x"),
    }
    job, form = bootstrap.wiring().import_use_cases().request(ImportRequest.model_validate(asked), call)
    key = form.fields["key"]
    account.aws("s3").put_object(Bucket="imports", Key=key, Body=b"email,country\nasha@nordlicht.example,US\n,US\n")
    body = json.loads(batch["Records"][0]["body"])
    body["Records"][0]["s3"]["object"]["key"] = key
    batch["Records"][0]["body"] = json.dumps(body)
    assert invoke("lead_import", batch) == {"batchItemFailures": []}
    assert len(account.rows("LEAD")) == 1
    status = bootstrap.wiring().import_use_cases().read.one(job.id, call)
    assert (status.job.state, status.progress.counts) == ("Completed", {"stored": 1, "refused": 1})
    result = (
        account.aws("s3").get_object(Bucket="imports", Key=f"results/{job.id}.csv")["Body"].read().decode("utf-8-sig")
    )
    assert [line.split(",")[1] for line in result.splitlines()[1:]] == ["stored", "refused"]


@pytest.mark.mission("CAP-1")
def test_lead_intake(account: Account) -> None:
    answer = invoke("lead_intake", sample("lead_intake"))
    assert (answer["statusCode"], list(json.loads(answer["body"]))) == (202, ["receipt"])
    assert len(account.rows("INBOX")) == 1
    assert account.rows("LEAD") == []


@pytest.mark.mission("CAP-1", "CAP-3")
def test_channel_worker(account: Account) -> None:
    """A form, and a call of Amazon Connect, which is stored like a webhook and settled from there."""
    invoke("lead_intake", sample("lead_intake"))
    [form] = account.rows("INBOX")
    batch = sample("channel_worker")
    unknown = batch["Records"][0]["messageId"]
    failed = invoke("channel_worker", batch)["batchItemFailures"]
    assert failed == [{"itemIdentifier": unknown}], "the sample's entry was never received here"
    [call] = [row for row in account.rows("INBOX") if row["pk"] != form["pk"]]
    for row in (form, call):
        inbox_id = row["pk"]["S"].removeprefix("INBOX#")
        message = {"provider": json.loads(row["doc"]["S"])["provider"], "inbox_id": inbox_id}
        batch["Records"] = [batch["Records"][0] | {"body": json.dumps(message)}]
        assert invoke("channel_worker", batch) == {"batchItemFailures": []}
        assert INBOX.require(account.table, inbox_id).status is InboxStatus.APPLIED
    assert len(account.rows("LEAD")) == 2
    assert len(account.rows("ACTIVITY")) == 1


@pytest.mark.mission("CAP-2")
def test_channel_webhooks(account: Account) -> None:
    event = sample("channel_webhooks")
    assert invoke("channel_webhooks", event)["statusCode"] == 400
    event["headers"]["x-hub-signature-256"] = whatsapp_signature(account.whatsapp_secret, event["body"].encode())
    assert invoke("channel_webhooks", event)["statusCode"] == 200
    assert len(account.rows("INBOX")) == 1


@pytest.mark.mission("ORD-3")
def test_esign_webhook_and_esign_worker(account: Account) -> None:
    """A message of DocuSign's about an envelope that no order form of ours was sent in."""
    event = sample("esign_webhook")
    assert invoke("esign_webhook", event)["statusCode"] == 400
    event["headers"]["x-docusign-signature-1"] = docusign_signature(account.docusign_key, event["body"].encode())
    assert invoke("esign_webhook", event)["statusCode"] == 200
    batch = sample("esign_worker")
    assert invoke("esign_worker", batch) == {"batchItemFailures": []}
    entry = INBOX.require(account.table, json.loads(batch["Records"][0]["body"])["inbox_id"])
    assert (entry.status, entry.reason) == (InboxStatus.APPLIED, "no order form was sent in this envelope")


@pytest.mark.mission("STR-1")
def test_stripe_webhook(account: Account) -> None:
    assert invoke("stripe_webhook", signed_by_stripe(account))["statusCode"] == 200
    assert invoke("stripe_webhook", sample("stripe_webhook"))["statusCode"] == 400
    assert len(account.rows("INBOX")) == 1


@pytest.mark.mission("STR-2")
def test_stripe_worker(account: Account) -> None:
    invoke("stripe_webhook", signed_by_stripe(account))
    batch = sample("stripe_worker")
    assert invoke("stripe_worker", batch) == {"batchItemFailures": []}
    entry = INBOX.require(account.table, json.loads(batch["Records"][0]["body"])["inbox_id"])
    assert entry.status is InboxStatus.APPLIED
    [customer] = [json.loads(row["doc"]["S"]) for row in account.rows("CUSTOMER")]
    assert (customer["payers"], customer["membership_status"]) == (["cus_SampleCustomer"], MembershipStatus.INACTIVE)
    assert len(account.rows("SALES_MIRROR")) == 1, "the payer's invoices were looked at as well (ORD-9)"


@pytest.mark.mission("HUB-3")
def test_crm_webhook(account: Account) -> None:
    assert invoke("crm_webhook", signed_by_hubspot(account))["statusCode"] == 200
    assert invoke("crm_webhook", sample("crm_webhook"))["statusCode"] == 400
    assert len(account.rows("INBOX")) == 1


@pytest.mark.mission("HUB-1")
def test_hubspot_worker(account: Account) -> None:
    invoke("crm_webhook", signed_by_hubspot(account))
    batch = sample("hubspot_worker")
    assert invoke("hubspot_worker", batch) == {"batchItemFailures": []}
    entry = INBOX.require(account.table, json.loads(batch["Records"][1]["body"])["inbox_id"])
    assert not entry.waiting


@pytest.mark.mission("LEAD-1")
def test_crm_api(account: Account) -> None:
    form_worked_on(account)
    event = sample("crm_api")
    assert invoke("crm_api", event)["statusCode"] == 401
    account.admit(subject_of(event), Role.ADMIN)
    bootstrap.wiring.cache_clear()
    answer = invoke("crm_api", event)
    leads = json.loads(answer["body"])["leads"]
    assert (answer["statusCode"], [lead["last_name"] for lead in leads]) == (200, ["पाटील"])


@pytest.mark.mission("STR-3")
def test_customers_api(account: Account) -> None:
    event = sample("customers_api")
    assert invoke("customers_api", event)["statusCode"] == 401
    account.admit(subject_of(event), Role.SALES_REP)
    bootstrap.wiring.cache_clear()
    answer = invoke("customers_api", event)
    assert (answer["statusCode"], json.loads(answer["body"])["customers"]) == (200, [])


@pytest.mark.mission("SAFE-6")
def test_admin_api(account: Account) -> None:
    event = sample("admin_api")
    assert invoke("admin_api", event)["statusCode"] == 401
    account.admit(subject_of(event), Role.ADMIN)
    bootstrap.wiring.cache_clear()
    answer = invoke("admin_api", event)
    assert (answer["statusCode"], json.loads(answer["body"])["content"]["grace_days"]) == (200, 0)


@pytest.mark.mission("ORD-9")
def test_sales_api(account: Account) -> None:
    event = sample("sales_api")
    assert invoke("sales_api", event)["statusCode"] == 401
    account.admit(subject_of(event), Role.SALES_REP)
    bootstrap.wiring.cache_clear()
    answer = invoke("sales_api", event)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"renewals": [], "next": ""})


@pytest.mark.mission("ORD-1")
def test_orders_api_and_order_steps(account: Account) -> None:
    event = sample("orders_api")
    account.admit(subject_of(event), Role.SALES_REP)
    answer = invoke("orders_api", event)
    assert answer["statusCode"] == 201, answer["body"]
    order = json.loads(answer["body"])
    task = sample("order_steps") | {"order_id": order["id"]}
    assert invoke("order_steps", task) == {"order_id": order["id"], "status": "Submitted", "next": "review"}
    assert ORDERS.require(account.table, order["id"]).version == 1


@pytest.mark.mission("USE-1")
def test_usage_api(account: Account) -> None:
    event = sample("usage_api")
    clock = SystemClock()
    SetCapPlan(account.table, clock)(terms(api_calls(1000)), CALL)
    keys = IssueKey(account.table, clock)
    keys("metering", frozenset({"usage:write"}), CALL, presented=event["headers"]["x-api-key"])
    event["body"] = json.dumps(json.loads(event["body"]) | {"occurred_at": time_text(clock.now())})
    assert invoke("usage_api", event)["statusCode"] == 201
    assert invoke("usage_api", event)["statusCode"] in {200, 201}
    assert len(account.rows("USAGE_EVENT")) == 1


@pytest.mark.mission("LEAD-5")
def test_tracking(account: Account) -> None:
    form_worked_on(account)
    event = sample("tracking")
    assert invoke("tracking", event)["statusCode"] == 404, "the sample's link is none of this deployment"
    [row] = account.rows("LEAD")
    lead_id = row["pk"]["S"].removeprefix("LEAD#")
    made = ManualClock(SystemClock().now() - timedelta(hours=1))
    links = Links("", account.signing_key.encode(), clock=made)
    event["rawPath"] = links.click(lead_id, "MSG_SAMPLE", "https://www.example.com/pricing")
    for _ in range(2):
        answer = invoke("tracking", event)
        assert (answer["statusCode"], answer["headers"]["Location"]) == (302, "https://www.example.com/pricing")
    after = LEADS.require(account.table, lead_id)
    assert [done.event for done in after.engagement] == ["form", "email_click"]


@pytest.mark.mission("BUS-1", "SAFE-3")
def test_change_relay(account: Account) -> None:
    batch = sample("change_relay")
    for _ in range(2):
        assert invoke("change_relay", batch) == {"batchItemFailures": []}
    assert len(account.rows("AUDIT")) == 1
    keys = batch["Records"][0]["dynamodb"]["Keys"]
    entry = audit_key(f"{keys['pk']['S']}|{keys['sk']['S']}", 1)
    assert account.table.get(entry) is not None
    assert not account.rows("DEADLETTER")


@pytest.mark.fault("S16")
def test_a_relay_that_cannot_read_a_record_does_not_quote_it(account: Account) -> None:
    """What housekeeping handed over is called asynchronously: what is raised lands in a queue and in the log."""
    record = {"pk": "LEAD#LEAD_1", "sk": "LEAD", "kind": "LEAD", "by": "somebody", "at": "2026-01-01T00:00:00Z"}
    item = {name: {"S": value} for name, value in record.items()} | {"v": {"N": "1"}}
    item["doc"] = {"S": json.dumps({"id": "LEAD_1", "email": ["asha@nordlicht.example"]})}
    account.table.connection.dispatch("PutItem", {"TableName": account.table.name, "Item": item})
    with pytest.raises(Failed) as failed:
        invoke("change_relay", {"redrive": [[record["pk"], record["sk"]]]})
    assert type(failed.value).__name__ == "ValidationError"
    assert "nordlicht" not in "".join(traceback.format_exception(failed.value))


@pytest.mark.mission("SEE-4")
def test_rollups(account: Account) -> None:
    batch = sample("rollups")
    for _ in range(2):
        assert invoke("rollups", batch) == {"batchItemFailures": []}
    counted = account.table.get(rollup_key("leads"))
    assert counted is not None
    assert counted.counters == {"New": 1}


@pytest.mark.mission("ORD-2")
def test_bus_consumer(account: Account) -> None:
    for _ in range(2):
        assert invoke("bus_consumer", sample("bus_consumer")) == {"batchItemFailures": []}
    started = account.aws("stepfunctions").list_executions(stateMachineArn=account.workflow)["executions"]
    assert len(started) == 1


@pytest.mark.fault("R17")
@pytest.mark.parametrize(
    "name", ["score_leads", "train_scoring", "spend_cap_alerts", "housekeeping", "reminders", "nurture"]
)
def test_a_schedule(account: Account, name: str) -> None:
    event = sample(name)
    answer = invoke(name, event)
    assert (answer["job"], answer["period"], answer["skipped"]) == (name, event["time"], False)
    assert invoke(name, event)["skipped"]


# ── all of them ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_function_has_one_sample_and_no_sample_is_left_over() -> None:
    assert {path.stem for path in (PROJECT / "events").glob("*.json")} == set(FUNCTIONS)
    assert {folder.rpartition("/")[2] for folder in expand.code_folders(expand.load()).values()} == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_sample_is_whole(name: str) -> None:
    """As its trigger sends it: the marks by which Lambda's own tools tell the trigger are there."""
    event = sample(name)
    records = event.get("Records", [])
    if "requestContext" in event:
        http = event["requestContext"]["http"]
        assert event["version"] == "2.0"
        assert event["rawPath"] == http["path"]
        assert event["routeKey"].startswith(http["method"])
        assert isinstance(event["isBase64Encoded"], bool)
        assert all(name == name.lower() for name in event["headers"])
    elif records and records[0]["eventSource"] == "aws:sqs":
        assert all(record["messageId"] and json.loads(record["body"]) for record in records)
        assert all(record["attributes"]["ApproximateReceiveCount"] for record in records)
    elif records:
        assert {record["eventSource"] for record in records} == {"aws:dynamodb"}
        assert all(record["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES" for record in records)
        assert all(record["dynamodb"]["SequenceNumber"] and record["dynamodb"]["Keys"] for record in records)
    elif "detail-type" in event:
        assert {"version", "id", "source", "account", "time", "region", "resources", "detail"} <= event.keys()
    else:
        assert event.keys() >= {"order_id", "step"}
