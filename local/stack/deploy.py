"""Deploys the template into the emulator, by CloudFormation, when template or code changed and otherwise not."""

import json
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.stack import build, expand
from local.stack.place import PROJECT, REGION, STACK_NAME, STAGE, Place, digest
from local.stack.progress import Step, StepFailed, step

ARTIFACTS = "revops-artifacts"
# The one name and secret the emulator knows from the start, as its root.
ROOT = "test"


def client(place: Place, service: str) -> Any:
    """A boto3 client of the emulator, as its root."""
    return boto3.client(
        service,  # type: ignore[call-overload]  # any service, by name
        endpoint_url=endpoint_url(place),
        region_name=REGION,
        aws_access_key_id=ROOT,
        aws_secret_access_key=ROOT,
        config=Config(
            retries={"max_attempts": 2}, connect_timeout=3, read_timeout=120, s3={"addressing_style": "path"}
        ),
    )


def endpoint_url(place: Place) -> str:
    return f"http://127.0.0.1:{place.ports()['emulator']}"


def deploy(place: Place, parameters: dict[str, str]) -> tuple[dict[str, str], bool]:
    """Brings the deployed stack to the state of the sources; the outputs, and whether anything changed.

    Raises StepFailed with the resource CloudFormation stumbled over and its reason.
    """
    template = expand.load()
    folders = expand.code_folders(template)
    functions = build.functions(sorted(folder.removeprefix("functions/") for folder in folders.values()))
    artifacts = {f"functions/{name}": artifact for name, artifact in functions.items()}
    artifacts |= {f"layers/{name}": artifact for name, artifact in build.layers().items()}
    definition = (PROJECT / "statemachines" / "order.asl.json").read_bytes()
    artifacts["statemachines/order.asl.json"] = build.Artifact(
        f"statemachines/order-{digest(definition)}.json", definition
    )
    with step("translate the template"):
        expanded = expand.for_emulator(template, lambda uri: (ARTIFACTS, artifacts[uri].key), parameters)
    body = json.dumps(expanded, sort_keys=True)
    fingerprint = digest(body.encode(), json.dumps(parameters, sort_keys=True).encode())
    known = place.read("deployed.json")
    if known.get("fingerprint") == fingerprint and _exists(place):
        outputs: dict[str, str] = known["outputs"]
        return outputs, False
    with step(f"deploy {len(expanded['Resources'])} resources") as progress:
        # By address: the API takes no more than 51,200 bytes in the call itself.
        artifacts["template"] = build.Artifact(f"templates/{fingerprint}.json", body.encode())
        _upload(place, artifacts)
        _apply(place, f"{endpoint_url(place)}/{ARTIFACTS}/{artifacts['template'].key}", parameters, progress)
        outputs = _outputs(place)
        _enable_ttl(place, outputs["TableName"])
        _verify_sender(place, parameters["MailIdentity"])
    place.write("deployed.json", {"fingerprint": fingerprint, "outputs": outputs})
    return outputs, True


def log(place: Place, function: str, count: int = 100) -> list[str]:
    """The newest lines a function logged, oldest first. Raises StepFailed if there is no such function."""
    logs = client(place, "logs")
    group = f"/aws/lambda/revops-{STAGE}-{function.replace('_', '-')}"
    try:
        events = logs.filter_log_events(logGroupName=group)["events"]
    except ClientError as error:
        raise StepFailed(f"log of {function}", str(error), "name a folder of functions/") from error
    newest = sorted(events, key=lambda event: event["timestamp"])[-count:]
    return [event["message"].rstrip() for event in newest]


def _exists(place: Place) -> bool:
    try:
        stacks = client(place, "cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError:
        return False
    return bool(stacks and stacks[0]["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"})


def _upload(place: Place, artifacts: dict[str, build.Artifact]) -> None:
    s3 = client(place, "s3")
    try:
        s3.head_bucket(Bucket=ARTIFACTS)
    except ClientError:
        s3.create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
    there = {
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=ARTIFACTS)
        for entry in page.get("Contents", [])
    }
    for artifact in artifacts.values():
        if artifact.key not in there:
            s3.put_object(Bucket=ARTIFACTS, Key=artifact.key, Body=artifact.content)


def _apply(place: Place, template_url: str, parameters: dict[str, str], progress: Step) -> None:
    cloudformation = client(place, "cloudformation")
    request = {
        "StackName": STACK_NAME,
        "TemplateURL": template_url,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    }
    status = _status(cloudformation)
    if status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}:
        # A creation that failed leaves a stack that can only be deleted.
        cloudformation.delete_stack(StackName=STACK_NAME)
        _await(cloudformation, progress)
        status = _status(cloudformation)
    began = time.time()
    try:
        if status is None or status == "DELETE_COMPLETE":
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return
        raise StepFailed("deploy", str(error)[:600], f"see {place.logs / 'emulator.log'}") from error
    final = _await(cloudformation, progress)
    if final not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise StepFailed(
            "deploy",
            f"{final}: {_failures(cloudformation, began)}",
            f"mend it, or see {place.logs / 'emulator.log'}; then `make up` again",
        )


def _status(cloudformation: Any) -> str | None:
    try:
        status: str = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["StackStatus"]
    except ClientError:
        return None
    return status


def _await(cloudformation: Any, progress: Step, patience: float = 240.0) -> str | None:
    deadline = time.monotonic() + patience
    while (status := _status(cloudformation)) is not None and status.endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise StepFailed("deploy", f"still {status} after {patience:.0f} s", "`make down`, then `make up` again")
        done = cloudformation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
        progress.note(f"{sum(entry['ResourceStatus'].endswith('_COMPLETE') for entry in done)} done")
        time.sleep(0.3)
    return status


def _failures(cloudformation: Any, since: float) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    failed = [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', 'no reason')}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED") and event["Timestamp"].timestamp() >= since - 2
    ]
    return "\n        ".join(failed) or "no resource says why"


def _outputs(place: Place) -> dict[str, str]:
    stack = client(place, "cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _enable_ttl(place: Place, table: str) -> None:
    """The emulator's CloudFormation ignores the setting; its DynamoDB does not."""
    dynamodb = client(place, "dynamodb")
    found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if found.get("TimeToLiveStatus") != "ENABLED":
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})


def _verify_sender(place: Place, identity: str) -> None:
    """On AWS a person proves the domain to SES by a DNS record; the emulator takes our word."""
    ses = client(place, "sesv2")
    try:
        ses.create_email_identity(EmailIdentity=identity)
    except ses.exceptions.AlreadyExistsException:
        return
