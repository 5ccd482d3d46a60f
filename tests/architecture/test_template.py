"""The template as it will stand in an account: its conventions, and what cfn-lint, SAM and checkov say of it.

Each convention is a function from the expanded template to its breaches, each naming the resource and the rule. It
is shown twice: the template has no breach, and a template broken on purpose has one.
"""

import copy
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.stack import build, expand
from local.stack.expand import Resource, Template
from revops.platform.logging import LogCode
from tests.architecture.source import PROJECT, template_for_aws, template_for_emulator

# Routes without a signed-in user, and why each may be.
OPEN_ROUTES = {
    "POST /api/v1/leads": "the public form",
    "POST /api/v1/partner/leads": "key-authenticated",
    "POST /api/v1/webinars/{webinar_id}/attendees": "key-authenticated",
    "POST /api/v1/usage/events": "key-authenticated",
    "POST /api/v1/partner/orders/{order_id}/tenant": "key-authenticated",
    "POST /api/v1/engagement/page-events": "key-authenticated",
    "GET /t/open/{token}": "a link in a message; its token is signed",
    "HEAD /t/open/{token}": "a link in a message; its token is signed",
    "GET /t/click/{token}": "a link in a message; its token is signed",
    "HEAD /t/click/{token}": "a link in a message; its token is signed",
    "GET /t/unsubscribe/{token}": "a link in a message; its token is signed",
    "POST /t/unsubscribe/{token}": "a link in a message; its token is signed",
    "POST /webhooks/stripe": "proven by its signature",
    "POST /webhooks/hubspot": "proven by its signature",
    "GET /webhooks/whatsapp": "proven by its verify token",
    "POST /webhooks/whatsapp": "proven by its signature",
    "POST /webhooks/docusign": "proven by its HMAC",
    "GET /webhooks/adobe-sign": "proven by the client id",
    "POST /webhooks/adobe-sign": "proven by the client id; nothing it says is believed",
    "POST /webhooks/twilio/voice": "proven by its signature",
    "POST /webhooks/twilio/status": "proven by its signature",
    "GET /api/v1/health": "says only that it is up",
    "GET /api/v1/openapi.json": "says what the API can do",
}
# Added by SAM itself: writing logs, and traces at the platform level.
MANAGED_POLICIES = {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}
AUDIT_WRITER = "ChangeRelayFunction"
SWEEPER = "HousekeepingFunctionRole"
AUDIT_KEYS = {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["AUDIT#*"]}}
# Their leads change by what a further submission adds.
INTAKE = tuple(
    f"{name}FunctionRole" for name in ("LeadIntake", "LeadImport", "ChannelWorker", "HubspotWorker", "CrmApi")
)
INDEXES = ["due", "gsi1", "gsi2", "gsi3", "gsi4"]
MOST_LAYER_BYTES = 50_000_000
# With every other layer: Lambda takes 250 MB unzipped.
MOST_TRAINER_BYTES = 250_000_000
MOST_DOCUMENT_BYTES = 40_000_000
LAYERS_BESIDE = {"TrainScoringFunction": ("TrainingLayer",), "OrderStepsFunction": ("DocumentsLayer",)}

Breaches = Iterator[str]
Convention = Callable[[Template], Breaches]


def of_type(template: Template, kind: str) -> dict[str, Resource]:
    """Resources of a type, by logical id, with their properties."""
    found = template["Resources"].items()
    return {name: resource.get("Properties", {}) for name, resource in found if resource["Type"] == kind}


def named(value: Any) -> str:
    """The logical id a reference points at, in any of its forms; "" if it points nowhere."""
    if isinstance(value, dict):
        if "Ref" in value:
            return str(value["Ref"])
        if "Fn::GetAtt" in value:
            attribute = value["Fn::GetAtt"]
            return str(attribute[0] if isinstance(attribute, list) else attribute.partition(".")[0])
    return ""


def function_of(value: Any) -> str:
    """The function behind a reference to it or to its alias."""
    return named(value).removesuffix("Aliaslive")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def rules(template: Template) -> Iterator[tuple[str, Resource, Resource]]:
    """Each event rule's id, its properties and each of its targets."""
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield name, rule, target


def stream_mappings(template: Template) -> dict[str, Resource]:
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").items()
    return {name: mapping for name, mapping in mappings if "StartingPosition" in mapping}


def queue_mappings(template: Template) -> dict[str, Resource]:
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").items()
    return {name: mapping for name, mapping in mappings if "StartingPosition" not in mapping}


def routes(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each route of the HTTP API, as `METHOD /path`, with its operation."""
    for api in of_type(template, "AWS::ApiGatewayV2::Api").values():
        for path, operations in api["Body"]["paths"].items():
            for method, operation in operations.items():
                yield f"{method.upper()} {path}", operation


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each policy statement of our own that gives or takes a permission, with the resource it stands at."""
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"):
        for name, policy in of_type(template, kind).items():
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def dead_letter_queues(template: Template) -> set[str]:
    """Queues that something else's failures go to."""
    found = {
        named(target["DeadLetterConfig"]["Arn"]) for _, _, target in rules(template) if "DeadLetterConfig" in target
    }
    for queue in of_type(template, "AWS::SQS::Queue").values():
        if "RedrivePolicy" in queue:
            found.add(named(queue["RedrivePolicy"]["deadLetterTargetArn"]))
    for config in of_type(template, "AWS::Lambda::EventInvokeConfig").values():
        found.add(named(config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")))
    return found - {""}


def alarms(template: Template, metric: str) -> set[str]:
    """Logical ids that an alarm on `metric` watches."""
    watched = of_type(template, "AWS::CloudWatch::Alarm").values()
    return {
        named(entry["Value"]) for alarm in watched if alarm["MetricName"] == metric for entry in alarm["Dimensions"]
    }


def timeout(template: Template, function: str) -> int:
    return int(of_type(template, "AWS::Lambda::Function")[function].get("Timeout", 3))


# ── conventions ───────────────────────────────────────────────────────────────────────────────────────────────────


def every_queue_has_a_dead_letter_queue(template: Template) -> Breaches:
    ends = dead_letter_queues(template)
    for name, queue in of_type(template, "AWS::SQS::Queue").items():
        if name not in ends and not 1 <= int(queue.get("RedrivePolicy", {}).get("maxReceiveCount", 0)) <= 10:
            yield f"{name}: a queue hands what keeps failing (1 to 10 receives) to a dead-letter queue"
        if not queue.get("SqsManagedSseEnabled"):
            yield f"{name}: a queue is encrypted at rest"
        if name in ends and int(queue.get("MessageRetentionPeriod", 345_600)) != 1_209_600:
            yield f"{name}: a dead letter is kept for fourteen days"


_POLICY, _STATEMENT = 20_480, 250
"""Bytes of a function's resource policy that Lambda allows, and of a statement beside its id and the route's path."""


def what_may_call_a_function_fits_its_policy(template: Template) -> Breaches:
    sizes: Counter[str] = Counter()
    for name, permission in of_type(template, "AWS::Lambda::Permission").items():
        source = permission.get("SourceArn", {})
        path = source["Fn::Sub"][0] if isinstance(source, dict) and isinstance(source.get("Fn::Sub"), list) else ""
        sizes[named(permission["FunctionName"])] += _STATEMENT + len(name) + len(path)
    for function, size in sizes.items():
        if size > _POLICY:
            yield f"{function}: {size} bytes of permissions, one a route; Lambda takes {_POLICY}: split the function"


def every_event_target_has_a_dead_letter_queue(template: Template) -> Breaches:
    for name, _, target in rules(template):
        if not named(target.get("DeadLetterConfig", {}).get("Arn")):
            yield f"{name}: an event target has a dead-letter queue; EventBridge drops what it cannot deliver"
        retry = target.get("RetryPolicy", {})
        if "MaximumRetryAttempts" not in retry or "MaximumEventAgeInSeconds" not in retry:
            yield f"{name}: an event target bounds its retries and the age of what it retries"


def every_asynchronous_function_has_a_failure_destination(template: Template) -> Breaches:
    configs = of_type(template, "AWS::Lambda::EventInvokeConfig").values()
    safe = {
        named(config["FunctionName"])
        for config in configs
        if named(config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        and "MaximumRetryAttempts" in config
    }
    functions = of_type(template, "AWS::Lambda::Function")
    for name, _, target in rules(template):
        function = function_of(target["Arn"])
        if function in functions and function not in safe:
            yield f"{function}: called by {name} asynchronously, it bounds its retries and has an OnFailure"


def visibility_is_six_times_the_timeout(template: Template) -> Breaches:
    queues = of_type(template, "AWS::SQS::Queue")
    for name, mapping in queue_mappings(template).items():
        queue, function = named(mapping["EventSourceArn"]), function_of(mapping["FunctionName"])
        needed = 6 * timeout(template, function)
        if int(queues[queue].get("VisibilityTimeout", 30)) < needed:
            yield f"{queue}: read by {name}, its visibility timeout is at least 6 × that of {function}: {needed} s"


def failures_are_reported_per_item(template: Template) -> Breaches:
    for name, mapping in of_type(template, "AWS::Lambda::EventSourceMapping").items():
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: a mapping reports failures per item"


def stream_retries_are_bounded(template: Template) -> Breaches:
    buckets = of_type(template, "AWS::S3::Bucket")
    for name, mapping in stream_mappings(template).items():
        if not 0 <= int(mapping.get("MaximumRetryAttempts", -1)) <= 100:
            yield f"{name}: a stream mapping bounds its retries"
        if not 60 <= int(mapping.get("MaximumRecordAgeInSeconds", -1)) < 86_400:
            yield f"{name}: a stream mapping gives a record up before the stream forgets it"
        if not mapping.get("BisectBatchOnFunctionError"):
            yield f"{name}: a stream mapping halves a failing batch"
        if named(mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")) not in buckets:
            yield f"{name}: a stream mapping's failures go to a bucket, which keeps the records"
        patterns = [json.loads(entry["Pattern"]) for entry in mapping.get("FilterCriteria", {}).get("Filters", [])]
        if not patterns or not all("AUDIT" in json.dumps(pattern) for pattern in patterns):
            yield f"{name}: a stream mapping keeps audit entries out"


def the_stream_has_two_consumers(template: Template) -> Breaches:
    consumers = {function_of(mapping["FunctionName"]) for mapping in stream_mappings(template).values()}
    if consumers != {"ChangeRelayFunction", "RollupsFunction"}:
        yield f"Table: its stream has two consumers and never a third, not {sorted(consumers)}"


def every_other_route_needs_a_signed_in_user(template: Template) -> Breaches:
    found = set()
    for route, operation in routes(template):
        found.add(route)
        signed_in = {"SignedIn": []} in operation.get("security", [])
        if route not in OPEN_ROUTES and not signed_in:
            yield f"Api {route}: a route has the JWT authoriser unless it is one of {sorted(OPEN_ROUTES)}"
        if route in OPEN_ROUTES and signed_in:
            yield f"Api {route}: open by intent ({OPEN_ROUTES[route]}), it has an authoriser"
    for route in OPEN_ROUTES.keys() - found:
        yield f"Api {route}: an open route that no longer exists"


def the_public_form_is_throttled(template: Template) -> Breaches:
    for name, stage in of_type(template, "AWS::ApiGatewayV2::Stage").items():
        settings = stage.get("RouteSettings", {}).get("POST /api/v1/leads", {})
        if not {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= settings.keys():
            yield f"{name}: the public form is throttled"
    if "ReservedConcurrentExecutions" not in of_type(template, "AWS::Lambda::Function")["LeadIntakeFunction"]:
        yield "LeadIntakeFunction: the public intake has a concurrency of its own"


def no_permission_is_a_wildcard(template: Template) -> Breaches:
    for name, statement in statements(template):
        if statement["Effect"] == "Deny":
            continue
        for action in as_list(statement["Action"]):
            if "*" in action:
                yield f"{name}: {action}: an action is named, not matched"
        for resource in as_list(statement.get("Resource", [])):
            if resource == "*" or (isinstance(resource, str) and resource.endswith(":*")):
                yield f"{name}: {statement['Action']} on {resource}: a permission names its resource"
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for managed in role.get("ManagedPolicyArns", []):
            arn = managed if isinstance(managed, str) else json.dumps(managed)
            if named(managed) != "AuditIsReadOnly" and arn.rpartition("/")[2].rstrip('"}') not in MANAGED_POLICIES:
                yield f"{name}: {arn}: a role's permissions are written in the template"


def the_table_is_scanned_by_the_sweeper_alone(template: Template) -> Breaches:
    for name, statement in statements(template):
        for action in as_list(statement["Action"]):
            if statement["Effect"] == "Deny" or (name, action) == (SWEEPER, "dynamodb:Scan"):
                continue
            if action in {"dynamodb:Scan", "dynamodb:BatchWriteItem"}:
                yield f"{name}: {action}: lists are queries, and writes are transactions or conditional"


def who_takes_leads_in_may_remove_what_they_were_known_by(template: Template) -> Breaches:
    """A name that is completed takes the place of the match entry it was found by before."""
    held = {(name, action) for name, said in statements(template) for action in as_list(said["Action"])}
    for name in INTAKE:
        if (name, "dynamodb:DeleteItem") not in held:
            yield f"{name}: dynamodb:DeleteItem: a lead that is completed leaves match entries and claims"


def only_the_relay_writes_audit_entries(template: Template) -> Breaches:
    writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}
    writes |= {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete"}
    denied = {}
    for name, statement in statements(template):
        if statement["Effect"] == "Deny" and statement.get("Condition") == AUDIT_KEYS:
            denied[name] = set(as_list(statement["Action"]))
    if not writes <= denied.get("AuditIsReadOnly", set()):
        yield f"AuditIsReadOnly: it denies {sorted(writes)} on audit keys"
    roles = of_type(template, "AWS::IAM::Role")
    for function, properties in of_type(template, "AWS::Lambda::Function").items():
        role = named(properties["Role"])
        guarded = "AuditIsReadOnly" in {named(managed) for managed in roles[role].get("ManagedPolicyArns", [])}
        if function != AUDIT_WRITER and not guarded:
            yield f"{function}: every function but the relay is denied writes to audit keys"
        if function == AUDIT_WRITER and denied.get(role) != {"dynamodb:UpdateItem", "dynamodb:DeleteItem"}:
            yield f"{function}: it may add audit entries, and neither change nor remove one"


def every_function_has_a_log_group_with_retention(template: Template) -> Breaches:
    groups = of_type(template, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        if not group.get("RetentionInDays"):
            yield f"{name}: a log group forgets"
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if named(function.get("LoggingConfig", {}).get("LogGroup")) not in groups:
            yield f"{name}: a function logs to a log group of the template"


def everything_that_can_fail_has_an_alarm(template: Template) -> Breaches:
    functions = of_type(template, "AWS::Lambda::Function").keys()
    called = {
        function for _, operation in routes(template) for function in functions if function in json.dumps(operation)
    }
    streamed = {function_of(mapping["FunctionName"]) for mapping in stream_mappings(template).values()}
    expected = [
        ("Errors", functions),
        ("Throttles", called),
        ("IteratorAge", streamed),
        ("ApproximateNumberOfMessagesVisible", dead_letter_queues(template)),
        ("ApproximateAgeOfOldestMessage", of_type(template, "AWS::SQS::Queue").keys() - dead_letter_queues(template)),
        ("ExecutionsFailed", of_type(template, "AWS::StepFunctions::StateMachine").keys()),
    ]
    for metric, watched in expected:
        for name in sorted(watched - alarms(template, metric)):
            yield f"{name}: an alarm watches its {metric}"
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        if alarm.get("TreatMissingData") != "notBreaching" or "AlarmActions" not in alarm:
            yield f"{name}: an alarm stays calm without data and tells the topic"


def what_keeps_failing_is_told_by_its_worker(template: Template) -> Breaches:
    """SQS leaves a message that was received three times out of the age of its queue."""
    told = {
        named(each["LogGroupName"])
        for each in of_type(template, "AWS::Logs::MetricFilter").values()
        if LogCode.RECORD_FAILED in each["FilterPattern"]
        and each["MetricTransformations"][0]["MetricName"] == "KeepsFailing"
    }
    functions = of_type(template, "AWS::Lambda::Function")
    for mapping in queue_mappings(template).values():
        function = function_of(mapping["FunctionName"])
        if named(functions[function].get("LoggingConfig", {}).get("LogGroup")) not in told:
            yield f"{function}: what fails again and again (BAT002) is counted from its log"
    if not any(each["MetricName"] == "KeepsFailing" for each in of_type(template, "AWS::CloudWatch::Alarm").values()):
        yield "an alarm watches what keeps failing"


def what_reads_a_queue_may_have_messages_again_soon(template: Template) -> Breaches:
    needed = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
    for mapping in queue_mappings(template).values():
        queue, role = named(mapping["EventSourceArn"]), f"{function_of(mapping['FunctionName'])}Role"
        allowed = {
            action
            for name, statement in statements(template)
            if name == role and queue in map(named, as_list(statement["Resource"]))
            for action in as_list(statement["Action"])
        }
        if needed - allowed:
            yield f"{role}: who reads {queue} takes messages, has them again soon and asks how long they are hidden"


def what_holds_data_is_kept_and_encrypted(template: Template) -> Breaches:
    holders = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Cognito::UserPool")
    for name, resource in template["Resources"].items():
        if resource["Type"] in holders and not (
            resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == "Retain"
        ):
            yield f"{name}: what holds data outlives the stack"
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        if not all(bucket.get("PublicAccessBlockConfiguration", {}).values()) or "BucketEncryption" not in bucket:
            yield f"{name}: a bucket is encrypted and closed to the public"
        if not bucket.get("LifecycleConfiguration"):
            yield f"{name}: a bucket forgets"
        policies = of_type(template, "AWS::S3::BucketPolicy").values()
        if not any(named(p["Bucket"]) == name and "aws:SecureTransport" in json.dumps(p) for p in policies):
            yield f"{name}: a bucket is reached over TLS only"


def the_table_has_its_shape(template: Template) -> Breaches:
    tables = of_type(template, "AWS::DynamoDB::Table")
    if list(tables) != ["Table"]:
        yield f"{sorted(tables)}: there is one table"
    for name, table in tables.items():
        if sorted(index["IndexName"] for index in table["GlobalSecondaryIndexes"]) != INDEXES:
            yield f"{name}: its indexes are {INDEXES}"
        if table.get("StreamSpecification") != {"StreamViewType": "NEW_AND_OLD_IMAGES"}:
            yield f"{name}: its stream shows before and after"
        if table.get("TimeToLiveSpecification") != {"AttributeName": "ttl", "Enabled": True}:
            yield f"{name}: rows may expire by ttl"
        if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name}: it can be restored to any second of the last 35 days"
        if table.get("BillingMode") != "PAY_PER_REQUEST":
            yield f"{name}: it is on demand"


def every_function_is_built_alike(template: Template) -> Breaches:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if function.get("Runtime") != "python3.13" or function.get("Handler") != "app.handler":
            yield f"{name}: python3.13, app.handler"
        if function.get("Architectures") != [{"Ref": "Architecture"}]:
            yield f"{name}: its processor is the parameter's"
        if function.get("TracingConfig") != {"Mode": "Active"}:
            yield f"{name}: it is traced by the platform"
        layers = {re.sub(r"[0-9a-f]{10}$", "", named(layer)) for layer in function.get("Layers", [])}
        if layers != {"DependenciesLayer", "DomainLayer", *LAYERS_BESIDE.get(name, ())}:
            yield f"{name}: it has the two layers and nothing else, but for {sorted(LAYERS_BESIDE)}"
        if f"{name}Aliaslive" not in template["Resources"]:
            yield f"{name}: it is published and called by its alias, which SnapStart needs"


def every_function_has_code_and_a_sample(template: Template) -> Breaches:
    for name, folder in expand.code_folders(expand.load()).items():
        if name not in template["Resources"]:
            yield f"{name}: it is lost in translation"
        if not (PROJECT / folder / "app.py").exists():
            yield f"{name}: {folder}/app.py is missing"
        sample = PROJECT / "events" / f"{Path(folder).name}.json"
        if not sample.exists():
            yield f"{name}: {sample.relative_to(PROJECT)}, a sample of what calls it, is missing"


# Each convention beside one way to break it.
def _drop(kind: str, name: str, key: str) -> Callable[[Template], None]:
    def planted(template: Template) -> None:
        resource = template["Resources"][name]
        assert resource["Type"] == kind, f"{name} is a {resource['Type']}"
        (resource if key in resource else resource["Properties"]).pop(key)

    return planted


def _open_a_route(template: Template) -> None:
    template["Resources"]["Api"]["Properties"]["Body"]["paths"]["/api/v1/orders"]["post"]["security"] = [{"NONE": []}]


def _third_consumer(template: Template) -> None:
    mapping = copy.deepcopy(template["Resources"]["RollupsMapping"])
    mapping["Properties"]["FunctionName"] = {"Ref": "CrmApiFunction"}
    template["Resources"]["ThirdMapping"] = mapping


def _short_visibility(template: Template) -> None:
    template["Resources"]["StripeQueue"]["Properties"]["VisibilityTimeout"] = 60


def _allow(action: str, resource: Any) -> Callable[[Template], None]:
    def planted(template: Template) -> None:
        policy = template["Resources"]["CrmApiFunctionRole"]["Properties"]["Policies"][0]
        policy["PolicyDocument"]["Statement"].append({"Effect": "Allow", "Action": action, "Resource": resource})

    return planted


def _forbid_removal(template: Template) -> None:
    for policy in template["Resources"]["LeadIntakeFunctionRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            statement["Action"] = [each for each in as_list(statement["Action"]) if each != "dynamodb:DeleteItem"]


def _forbid_haste(template: Template) -> None:
    for policy in template["Resources"]["StripeWorkerFunctionRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = as_list(statement["Action"])
            statement["Action"] = [each for each in actions if each != "sqs:ChangeMessageVisibility"]


def _undeny_the_relay(template: Template) -> None:
    for policy in template["Resources"]["ChangeRelayFunctionRole"]["Properties"]["Policies"]:
        document = policy["PolicyDocument"]
        document["Statement"] = [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]


def _ten_more_routes(template: Template) -> None:
    permission = template["Resources"]["CrmApiFunctionListLeadsPermission"]
    for number in range(10):
        template["Resources"][f"{'Long' * 12}{number}"] = copy.deepcopy(permission)


def _lose_a_sample(template: Template) -> None:
    template["Resources"].pop("CrmApiFunction")


FUNCTION, RULE, MAPPING = "AWS::Lambda::Function", "AWS::Events::Rule", "AWS::Lambda::EventSourceMapping"
CONVENTIONS: list[tuple[Convention, Callable[[Template], None]]] = [
    (every_queue_has_a_dead_letter_queue, _drop("AWS::SQS::Queue", "StripeQueue", "RedrivePolicy")),
    (what_may_call_a_function_fits_its_policy, _ten_more_routes),
    (
        every_event_target_has_a_dead_letter_queue,
        lambda template: template["Resources"]["ScoreLeadsFunctionSweep"]["Properties"]["Targets"][0].pop(
            "DeadLetterConfig"
        ),
    ),
    (
        every_asynchronous_function_has_a_failure_destination,
        lambda template: template["Resources"].pop("ScoreLeadsFunctionEventInvokeConfig"),
    ),
    (visibility_is_six_times_the_timeout, _short_visibility),
    (failures_are_reported_per_item, _drop(MAPPING, "HubspotWorkerMapping", "FunctionResponseTypes")),
    (stream_retries_are_bounded, _drop(MAPPING, "ChangeRelayMapping", "MaximumRetryAttempts")),
    (the_stream_has_two_consumers, _third_consumer),
    (every_other_route_needs_a_signed_in_user, _open_a_route),
    (the_public_form_is_throttled, _drop("AWS::ApiGatewayV2::Stage", "ApiApiGatewayDefaultStage", "RouteSettings")),
    (no_permission_is_a_wildcard, _allow("dynamodb:GetItem", "*")),
    (no_permission_is_a_wildcard, _allow("dynamodb:*", {"Fn::GetAtt": ["Table", "Arn"]})),
    (the_table_is_scanned_by_the_sweeper_alone, _allow("dynamodb:Scan", {"Fn::GetAtt": ["Table", "Arn"]})),
    (who_takes_leads_in_may_remove_what_they_were_known_by, _forbid_removal),
    (only_the_relay_writes_audit_entries, _drop("AWS::IAM::Role", "CrmApiFunctionRole", "ManagedPolicyArns")),
    (only_the_relay_writes_audit_entries, _undeny_the_relay),
    (every_function_has_a_log_group_with_retention, _drop("AWS::Logs::LogGroup", "CrmApiLogs", "RetentionInDays")),
    (everything_that_can_fail_has_an_alarm, lambda template: template["Resources"].pop("RollupsLag")),
    (what_keeps_failing_is_told_by_its_worker, lambda template: template["Resources"].pop("EsignKeepsFailing")),
    (what_keeps_failing_is_told_by_its_worker, lambda template: template["Resources"].pop("KeepsFailingAlarm")),
    (what_reads_a_queue_may_have_messages_again_soon, _forbid_haste),
    (what_holds_data_is_kept_and_encrypted, _drop("AWS::DynamoDB::Table", "Table", "DeletionPolicy")),
    (the_table_has_its_shape, _drop("AWS::DynamoDB::Table", "Table", "TimeToLiveSpecification")),
    (every_function_is_built_alike, _drop(FUNCTION, "UsageApiFunction", "TracingConfig")),
    (every_function_has_code_and_a_sample, _lose_a_sample),
]


def _label(value: Any) -> str:
    return getattr(value, "__name__", "planted").strip("<>")


@pytest.fixture(scope="module")
def expanded() -> Template:
    return template_for_aws()


@pytest.mark.parametrize("convention", dict(CONVENTIONS), ids=_label)
def test_the_template_keeps(convention: Convention, expanded: Template) -> None:
    breaches = list(convention(expanded))
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize(("convention", "plant"), CONVENTIONS, ids=_label)
def test_a_breach_is_seen(convention: Convention, plant: Callable[[Template], Any], expanded: Template) -> None:
    broken = copy.deepcopy(expanded)
    before = set(convention(expanded))
    plant(broken)
    assert set(convention(broken)) - before


# ── the local deployment ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_emulator_gets_every_route_and_its_authoriser(expanded: Template) -> None:
    local = template_for_emulator()
    assert {
        route["RouteKey"]: route["AuthorizationType"] for route in of_type(local, "AWS::ApiGatewayV2::Route").values()
    } == {route: "NONE" if route in OPEN_ROUTES else "JWT" for route, _ in routes(expanded)}


def test_the_emulator_gets_the_same_functions_queues_and_table(expanded: Template) -> None:
    local = template_for_emulator()
    for kind in (FUNCTION, RULE, MAPPING, "AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"):
        assert of_type(local, kind).keys() == of_type(expanded, kind).keys()
    assert of_type(local, "AWS::DynamoDB::Table") == of_type(expanded, "AWS::DynamoDB::Table")


def test_the_emulator_has_no_more_consumers_of_a_queue_than_the_machine_carries(expanded: Template) -> None:
    def consumers(template: Template) -> dict[str, int]:
        scaled = {name: each.get("ScalingConfig") for name, each in of_type(template, MAPPING).items()}
        return {name: scaling["MaximumConcurrency"] for name, scaling in scaled.items() if scaling}

    local = expand.for_emulator(expand.load(), lambda uri: ("artifacts", uri), {"Platform": "local"})
    here = 2 * (os.cpu_count() or 1)
    assert consumers(expanded)["BusConsumerMapping"] == 10
    assert consumers(local) == {name: min(most, here) for name, most in consumers(expanded).items()}


# ── the order workflow ────────────────────────────────────────────────────────────────────────────────────────────


def _tasks(states: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in states.items():
        if state["Type"] == "Task":
            yield name, state
        for branch in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            yield from _tasks(branch["States"])


def test_every_task_of_the_order_workflow_ends_in_time() -> None:
    definition = json.loads((PROJECT / "statemachines" / "order.asl.json").read_text())
    assert definition["QueryLanguage"] == "JSONata"
    endless = [name for name, state in _tasks(definition["States"]) if "TimeoutSeconds" not in state]
    assert not endless, f"{endless}: a task has TimeoutSeconds; heartbeats are not kept everywhere"


# ── what others say of it ─────────────────────────────────────────────────────────────────────────────────────────


def test_cfn_lint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    said = subprocess.run(
        [linter, "--regions", "eu-west-2", "us-east-1", "--", "template.yaml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def _for_checkov(template: Template) -> Iterator[Template]:
    """The template in two files: the description of every route has one to itself, beside the API it belongs to.

    A resource that names another makes checkov unfold the other whole, and each route names the API: in one file the
    55 KB of routes are unfolded some three hundred times. No check reads them together with another resource.
    """
    body = {name: resource for name, resource in template["Resources"].items() if "Body" in resource["Properties"]}
    less = {
        name: {**resource, "Properties": {key: value for key, value in resource["Properties"].items() if key != "Body"}}
        for name, resource in body.items()
    }
    yield {**template, "Resources": {**template["Resources"], **less}}
    yield {**{name: part for name, part in template.items() if name != "Outputs"}, "Resources": body}


def test_checkov_has_nothing_to_say(expanded: Template, tmp_path: Path) -> None:
    checkov = PROJECT / ".venv-tools" / "bin" / "checkov"
    if not checkov.exists():
        pytest.skip("checkov is not installed; `make setup` installs it")
    files: list[str | Path] = []
    for number, part in enumerate(_for_checkov(expanded)):
        written = tmp_path / f"template-{number}.json"
        written.write_text(json.dumps(part))
        files += ["--file", written]
    said = subprocess.run(
        [checkov, "--config-file", PROJECT / ".checkov.yaml", *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def _size(layer: str) -> int:
    """Bytes of a layer as it is built for Lambda; every binary in it is for aarch64, and nobody's tests are."""
    folder = build.third_party(layer, "arm64")
    machine = {path.name: path.read_bytes()[18:20] for path in folder.rglob("*.so")}
    assert machine
    assert set(machine.values()) == {(183).to_bytes(2, "little")}, "every binary is for aarch64"
    assert not list(folder.rglob("tests")), "no test of anyone's is deployed"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_layers_build_for_lambda_within_their_size() -> None:
    size = _size("dependencies")
    # Bytecode takes as much again; the domain package has some.
    domain = 2 * sum(path.stat().st_size for path in (PROJECT / "shared" / "revops").rglob("*.py"))
    assert size + domain <= MOST_LAYER_BYTES, f"{size} bytes of dependencies, {domain} of domain"
    training = _size("training")
    assert size + domain + training <= MOST_TRAINER_BYTES, f"{training} bytes of training beside {size} and {domain}"
    documents = _size("documents")
    assert documents <= MOST_DOCUMENT_BYTES, f"{documents} bytes of documents"
