"""The thin adapters of AWS: what reaches the service, and what a failing service means to a use case."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from revops.adapters.blobs import S3Blobs
from revops.adapters.bus import EventBridgeBus
from revops.adapters.mail import SesMailer
from revops.adapters.queues import SqsComeAgain, SqsQueues
from revops.adapters.redrive import RelayRedrive
from revops.adapters.secrets import Secrets
from revops.catalogue import LeadAssigned, event
from revops.kernel import Invalid, NotFound, Unavailable
from revops.table import Key

REGION = "eu-west-2"
EVENTS = [
    event(
        LeadAssigned(lead_id=f"LEAD_{n}", owner_id="a", previous_owner_id="b"),
        entity_id=f"LEAD_{n}",
        version=1,
        occurred_at="2026-11-20T09:00:00+00:00",
    )
    for n in range(23)
]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """AWS in this process: a maker of clients."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield lambda service: boto3.client(service, region_name=REGION)


class Service:
    """A client whose calls fail or answer as told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append(arguments)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


REFUSED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "Call")
SILENT = ConnectTimeoutError(endpoint_url="http://127.0.0.1:1")


@pytest.mark.parametrize("count", [0, 1, 10, 11, 23])
def test_messages_reach_their_queue_ten_at_a_time(aws: Any, count: int) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    assert SqsQueues(sqs, {"stripe": url}).send("stripe", [{"n": n, "name": "é"} for n in range(count)]) == []
    found: list[int] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"])["n"] for message in messages]
    assert sorted(found) == list(range(count))


@pytest.mark.fault("R13", "R27")
def test_refused_messages_are_told_by_their_positions_and_the_others_go() -> None:
    some = {"Failed": [{"Id": "3"}, {"Id": "0"}]}
    service = Service({}, some, REFUSED)
    refused = SqsQueues(service, {"q": "url"}).send("q", [{"n": n} for n in range(25)])
    assert refused == [10, 13, 20, 21, 22, 23, 24]
    assert [len(call["Entries"]) for call in service.calls] == [10, 10, 5]
    assert SqsQueues(Service(SILENT), {"q": "url"}).send("q", [{}, {}]) == [0, 1]


def _received(sqs: Any, url: str) -> list[str]:
    """The receipt handles of all that is visible now."""
    handles: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        handles += [message["ReceiptHandle"] for message in messages]
    return handles


@pytest.mark.fault("R12", "R13")
def test_what_failed_comes_again_before_its_queue_would_show_it(aws: Any) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert SqsQueues(sqs, {"q": url}).send("q", [{"n": n} for n in range(14)]) == []
    handles = _received(sqs, url)
    assert (len(handles), _received(sqs, url)) == (14, [])
    SqsComeAgain(lambda: sqs)(arn, dict.fromkeys(handles[2:], 0) | {handles[0]: 100})
    again = _received(sqs, url)
    assert len(again) == 12
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    SqsComeAgain(lambda: sqs)(arn, {again[0]: 43_200})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "360"})
    assert len(_received(sqs, url)) == 1, "never later than the queue itself"


@pytest.mark.fault("R13", "R27")
def test_a_queue_that_does_not_answer_brings_them_again_by_itself(aws: Any) -> None:
    SqsComeAgain(lambda: aws("sqs"))("arn:aws:sqs:eu-west-2:123456789012:gone", {"a": 5})


@pytest.mark.mission("BUS-1", "BUS-3")
def test_events_reach_the_bus_as_ours(aws: Any) -> None:
    events, sqs = aws("events"), aws("sqs")
    events.create_event_bus(Name="bus")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventBusName="bus", EventPattern=json.dumps({"source": ["revops"]}))
    events.put_targets(Rule="all", EventBusName="bus", Targets=[{"Id": "q", "Arn": arn}])
    assert EventBridgeBus(events, "bus").publish(EVENTS) == []
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
    assert {each["detail-type"] for each in found} == {"LeadAssigned"}
    assert {each["detail"]["id"] for each in found} == {each.id for each in EVENTS}


@pytest.mark.fault("R13")
def test_refused_events_are_told_by_their_positions() -> None:
    good: dict[str, Any] = {"EventId": "x"}
    bad = {"ErrorCode": "InternalFailure"}
    service = Service({"Entries": [good] * 9 + [bad]}, REFUSED, {"Entries": [bad, good, good]})
    assert EventBridgeBus(service, "bus").publish(EVENTS) == [9, *range(10, 20), 20]
    assert EventBridgeBus(Service(good), "bus").publish([]) == []


@pytest.mark.parametrize("content", [b"", b"\x00\xff", "é😀".encode(), b"x" * 300_000])
def test_what_is_kept_comes_back(aws: Any, content: bytes) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="kept-things", CreateBucketConfiguration={"LocationConstraint": REGION})
    blobs = S3Blobs(s3, "kept-things")
    blobs.put("inbox/stripe/a.json", content, "application/json")
    assert blobs.get("inbox/stripe/a.json") == content
    assert s3.head_object(Bucket="kept-things", Key="inbox/stripe/a.json")["ContentType"] == "application/json"
    with pytest.raises(NotFound):
        blobs.get("never")


@pytest.mark.fault("R5", "R26")
@pytest.mark.parametrize("error", [REFUSED, SILENT])
def test_a_service_that_fails_is_to_be_tried_again_and_nothing_of_its_words_is_told(error: Exception) -> None:
    calls: list[Any] = [
        lambda: S3Blobs(Service(error), "b").put("n", b"", "t"),
        lambda: S3Blobs(Service(error), "b").get("n"),
        lambda: SesMailer(Service(error), "us@example.com").send("to@example.com", "s", "t"),
        lambda: RelayRedrive(Service(error), "f")([Key("a", "b")]),
        lambda: Secrets(Service(error), "p/").read("stripe"),
    ]
    for call in calls:
        with pytest.raises(Unavailable) as failure:
            call()
        assert "slow down" not in failure.value.detail
        assert "127.0.0.1" not in failure.value.detail


@pytest.mark.mission("CRM-7")
def test_mail_goes_out_through_fields_of_the_service(aws: Any) -> None:
    ses = aws("sesv2")
    ses.create_email_identity(EmailIdentity="us@example.com")
    SesMailer(ses, "us@example.com").send("ops@example.com", "Größe", "line one\nline two")
    service = Service({})
    SesMailer(service, "us@example.com").send("ops@example.com", "Größe", "line one\nline two")
    [call] = service.calls
    assert call["Destination"] == {"ToAddresses": ["ops@example.com"]}
    assert call["Content"]["Simple"]["Subject"]["Data"] == "Größe"


@pytest.mark.fault("S15")
@pytest.mark.parametrize(("to", "subject"), [("a@b.example\nBcc: c@d.example", "s"), ("a@b.example", "s\r\nX: y")])
def test_a_line_break_in_a_header_is_refused_before_anything_is_sent(to: str, subject: str) -> None:
    service = Service({})
    with pytest.raises(Invalid):
        SesMailer(service, "us@example.com").send(to, subject, "t")
    assert service.calls == []


@pytest.mark.fault("S8", "R28")
def test_a_rotated_secret_reaches_a_running_function_and_an_unreadable_one_is_never_empty(aws: Any) -> None:
    manager, seconds = aws("secretsmanager"), 0.0
    manager.create_secret(Name="p/internal", SecretString=json.dumps({"value": "one"}))
    secrets = Secrets(manager, "p/", monotonic=lambda: seconds)
    assert secrets.read("internal") == {"value": "one"}
    manager.put_secret_value(SecretId="p/internal", SecretString=json.dumps({"value": "two"}))
    assert secrets.read("internal") == {"value": "one"}
    seconds = 301
    assert secrets.read("internal") == {"value": "two"}
    manager.put_secret_value(SecretId="p/internal", SecretString="not JSON")
    seconds = 602
    with pytest.raises(Unavailable):
        secrets.read("internal")
    with pytest.raises(Unavailable):
        secrets.read("absent")


@pytest.mark.fault("R15")
def test_lost_records_are_handed_over_in_calls_of_two_hundred() -> None:
    service = Service({})
    RelayRedrive(service, "relay")([Key(f"p{n}", "s") for n in range(450)])
    sizes = [len(json.loads(call["Payload"])["redrive"]) for call in service.calls]
    assert sizes == [200, 200, 50]
    assert {call["InvocationType"] for call in service.calls} == {"Event"}
    assert json.loads(service.calls[0]["Payload"])["redrive"][0] == ["p0", "s"]
