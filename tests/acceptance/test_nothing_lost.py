"""Poison is set aside with its reason while its neighbours go on, and what the stream lost is found again."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from revops.inbox import inbox_id
from tests.acceptance import orders
from tests.acceptance.people import arrived, audit_of, partner_lead, patched, person
from tests.acceptance.stack import Json, Stack, at_once, eventually, fresh


def _dead_letters(stack: Stack, about: str) -> list[Json]:
    month = datetime.now(UTC).strftime("%Y-%m")
    found = stack.dynamodb.query(
        TableName=stack.told["table_name"],
        IndexName="gsi1",
        KeyConditionExpression="g1pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"DEADLETTERS#change_relay#{month}"}},
        ScanIndexForward=False,
        Limit=50,
    )["Items"]
    rows = [stack.row(each["pk"]["S"], each["sk"]["S"]) for each in found]
    letters = [json.loads(row["doc"]["S"]) for row in rows if row]
    return [letter for letter in letters if about in letter["about"]]


def _put(stack: Stack, identifier: str, doc: str, at: datetime) -> None:
    """A row of a lead as no code of ours would write it."""
    item = {
        "pk": f"LEAD#{identifier}",
        "sk": "LEAD",
        "kind": "LEAD",
        "doc": doc,
        "at": at.isoformat(),
        "by": "somebody",
    }
    stack.dynamodb.put_item(
        TableName=stack.told["table_name"],
        Item={name: {"S": value} for name, value in item.items()} | {"v": {"N": "1"}},
    )


@pytest.fixture
def broken(stack: Stack) -> Iterator[str]:
    """The id of a broken lead; its row is gone afterwards."""
    identifier = "LEAD_" + secrets.token_hex(13).upper()
    yield identifier
    key = {"pk": {"S": f"LEAD#{identifier}"}, "sk": {"S": "LEAD"}}
    stack.dynamodb.delete_item(TableName=stack.told["table_name"], Key=key)


@pytest.mark.mission("STR-6", "SAFE-3")
@pytest.mark.fault("R12", "R13")
@pytest.mark.parametrize("doc", ["{not json", '{"id": 7}', "[]", '"text"', '{"id": "LEAD_1", "version": "many"}'])
def test_a_broken_record_is_a_dead_letter_and_its_neighbours_go_on(stack: Stack, broken: str, doc: str) -> None:
    def write() -> Json:
        return partner_lead(stack)

    before = write()
    _put(stack, broken, doc, datetime.now(UTC))
    after = at_once([write, write], 2)
    for lead in (before, *after):
        assert audit_of(stack, lead["id"])["faults"] == []
    (letter,) = eventually("the dead letter", lambda: _dead_letters(stack, broken))
    assert letter["reason"]
    assert letter["about"] == f"LEAD#{broken}|LEAD"
    kept = stack.aws("s3").get_object(Bucket=stack.told["resources"]["BlobBucketName"], Key=letter["blob"])
    record = json.loads(kept["Body"].read())
    assert record["dynamodb"]["NewImage"]["doc"]["S"] == doc
    for lead in after:
        eventually("the neighbour in HubSpot", lambda lead=lead: stack.contact(lead["person_id"]))  # type: ignore[misc]


def _lost(stack: Stack, lead: Json, version: int) -> None:
    """Makes a version look as if the stream had lost it long ago."""
    table, then = stack.told["table_name"], (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    stack.dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": f"LEAD#{lead['id']}"}, "sk": {"S": "LEAD"}},
        UpdateExpression="SET #at = :then",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues={":then": {"S": then}},
    )
    audit_of(stack, partner_lead(stack)["id"])  # what is in the stream by now is through
    key = {"pk": {"S": f"AUDIT#LEAD#{lead['id']}|LEAD"}, "sk": {"S": f"{version:010d}"}}
    stack.dynamodb.delete_item(TableName=table, Key=key)


def _swept(stack: Stack, lead: Json, version: int) -> Json:
    """The audit entry of a version, once housekeeping came by and it is there again."""

    def sweep() -> Json:
        stack.run("housekeeping")
        row = stack.row(f"AUDIT#LEAD#{lead['id']}|LEAD", f"{version:010d}")
        return json.loads(row["doc"]["S"]) if row else {}

    return eventually("the sweeper", sweep, seconds=90)


def _quiet(stack: Stack) -> Json:
    """A lead that everything which follows from it has been done for."""
    lead = partner_lead(stack)
    eventually("the contact", lambda: stack.contact(lead["person_id"]))
    now: Json = stack.ok("GET", f"/api/v1/leads/{lead['id']}", user="admin")
    audit_of(stack, lead["id"], now["version"])
    return now


@pytest.mark.mission("SAFE-3", "SEE-5")
@pytest.mark.fault("R15", "R12")
def test_what_the_stream_lost_is_found_said_and_driven_again_beside_poison(stack: Stack, broken: str) -> None:
    changed = patched(stack, _quiet(stack)["id"], job_title="CTO")
    audit_of(stack, changed["id"], changed["version"])
    new = _quiet(stack)
    _put(stack, broken, "{not json", datetime.now(UTC) - timedelta(minutes=30))
    _lost(stack, changed, changed["version"])
    if new["version"] == 1:
        _lost(stack, new, 1)
    gap = _swept(stack, changed, changed["version"])
    assert gap["gap"] is True
    trail = stack.ok("GET", f"/api/v1/audit/{changed['id']}", user="admin")
    assert trail["faults"] == []
    assert trail["entries"][-1]["gap"] is True
    if new["version"] == 1:  # nothing stood before it, so its entry can say everything
        whole = _swept(stack, new, 1)
        assert not whole.get("gap")
        assert {change["field"] for change in whole["changes"]} >= {"email", "owner_id"}


@pytest.mark.mission("STR-6")
@pytest.mark.fault("R12", "R13", "R27")
def test_a_poison_message_goes_to_the_dead_letters_and_its_neighbours_are_worked(
    stripe_faults: Stack, impatient_queues: Stack
) -> None:
    stack = stripe_faults
    order = orders.active(stack)
    payer, path = order["stripe_customer_id"], f"/api/v1/customers/{order['stripe_customer_id']}"

    def shows(status: str) -> bool:
        answer = stack.call("GET", path, user="finance")
        return answer.status_code == 200 and answer.json()["customer"]["membership_status"] == status

    eventually("the customer", lambda: shows("active"))
    customer_id = stack.ok("GET", path, user="finance")["customer"]["id"]
    stack.misbehave("stripe", {"on": "webhook", "do": "drop", "match": {"about": payer}})
    stack.stripe("DELETE", f"subscriptions/{order['stripe_subscription_id']}")
    sqs, word = stack.aws("sqs"), fresh()
    sqs.set_queue_attributes(
        QueueUrl=stack.told["resources"]["StripeQueueUrl"], Attributes={"VisibilityTimeout": "2"}
    )  # until the module ends: a message that failed comes again at once
    bodies = [
        f"not json {word}",
        json.dumps({"provider": "stripe", "inbox_id": inbox_id("stripe", word), "word": word}),
        json.dumps({"entity_id": customer_id, "kind": "CUSTOMER"}),
        json.dumps(["a list", word]),
    ]
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    sqs.send_message_batch(QueueUrl=stack.told["resources"]["StripeQueueUrl"], Entries=entries)
    eventually(f"{payer} inactive", lambda: shows("inactive"))
    url = stack.told["resources"]["StripeDeadLettersUrl"]
    dead: set[str] = set()

    def buried() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5).get(
            "Messages", []
        ):
            dead.add(message["Body"])
        return {bodies[0], bodies[1], bodies[3]} <= dead

    eventually("the dead letters", buried, seconds=100)
    assert bodies[2] not in dead


@pytest.mark.mission("CAP-13", "SAFE-3")
@pytest.mark.fault("R3")
def test_a_burst_of_people_all_end_owned_audited_and_counted(stack: Stack) -> None:
    people = [person() for _ in range(32)]
    answers = at_once([lambda body=body: stack.call("POST", "/api/v1/leads", json=body) for body in people], 16)  # type: ignore[misc]
    assert {answer.status_code for answer in answers} == {202}
    for body in people:
        lead = arrived(stack, body["email"])
        assert lead["owner_id"] == stack.user_id("sdr")
        assert audit_of(stack, lead["id"])["faults"] == []
