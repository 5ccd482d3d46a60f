"""The template, translated from SAM to plain CloudFormation: as AWS gets it, and as the emulator can take it.

What the emulator cannot do is resolved here and nowhere else:
- it deploys an HTTP API without its `Body`, so routes, integrations, authoriser and stage become resources;
- it keeps CORS in the spelling of the template, so it is given the spelling of the API;
- it takes 500 resources and no more, and routes written out are many: those of a function share what they can;
- it ignores failure destinations on aliases, so functions are called without the alias;
- it weighs a few actions against no resource but `*`, so those permissions are given that.
"""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local.stack.place import API_ID, PROJECT, REGION, digest
from local.stack.progress import StepFailed

TEMPLATE = PROJECT / "template.yaml"

Template = dict[str, Any]
Resource = dict[str, Any]
# Where a folder or file named in the template lies once uploaded: (bucket, key).
Location = Callable[[str], tuple[str, str]]

_WITHOUT_RESOURCE = frozenset({"ses:SendEmail", "states:SendTaskSuccess", "states:SendTaskFailure"})
_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})


def load(path: Path = TEMPLATE) -> Template:
    """The template as written. Raises StepFailed if it is not YAML."""
    try:
        parsed: Template = yaml_parse(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise StepFailed("read template.yaml", str(error), "mend the line it names") from error
    return parsed


def for_aws(template: Template | None = None) -> Template:
    """What `sam deploy` hands to CloudFormation, code locations aside."""
    source = copy.deepcopy(template) if template is not None else load()
    return _translate(_located(source, lambda uri: ("artifacts", uri)), {})


def for_emulator(template: Template, located: Location, parameters: dict[str, str]) -> Template:
    """What the local deploy hands to the emulator's CloudFormation."""
    source = _without_alias(copy.deepcopy(template))
    expanded = _translate(_located(source, located), parameters)
    _explicit_api(expanded)
    _one_permission_for_all_routes(expanded)
    _widen_what_is_weighed_without_resource(expanded)
    _as_many_consumers_as_this_machine_carries(expanded)
    return expanded


def code_folders(template: Template) -> dict[str, str]:
    """Logical id of each function → the folder of its code, as the template names it."""
    resources = template["Resources"].items()
    return {name: r["Properties"]["CodeUri"] for name, r in resources if r["Type"] == "AWS::Serverless::Function"}


def _translate(template: Template, parameters: dict[str, str]) -> Template:
    before = os.environ.get("AWS_DEFAULT_REGION")
    os.environ["AWS_DEFAULT_REGION"] = before or REGION
    try:
        translated: Template = Translator({}, Parser()).translate(template, parameters)
    except InvalidDocumentException as error:
        causes = "\n        ".join(cause.message for cause in error.causes)
        raise StepFailed("translate template.yaml", causes, "mend the resource it names") from error
    finally:
        if before is None:
            del os.environ["AWS_DEFAULT_REGION"]
    return translated


def _located(template: Template, located: Location) -> Template:
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            bucket, key = located(properties["CodeUri"])
            properties["CodeUri"] = f"s3://{bucket}/{key}"
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            bucket, key = located(properties["ContentUri"])
            properties["ContentUri"] = f"s3://{bucket}/{key}"
        elif resource["Type"] == "AWS::Serverless::StateMachine":
            bucket, key = located(properties["DefinitionUri"])
            properties["DefinitionUri"] = {"Bucket": bucket, "Key": key}
    return template


def _without_alias(template: Template) -> Template:
    template["Globals"]["Function"].pop("AutoPublishAlias")
    template["Globals"]["Function"].pop("SnapStart")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"].pop("AutoPublishAliasAllProperties", None)

    def rewrite(node: Any) -> Any:
        if isinstance(node, dict):
            target = node.get("Ref")
            if isinstance(target, str) and target.endswith(".Alias"):
                return {"Fn::GetAtt": [target.removesuffix(".Alias"), "Arn"]}
            return {key: rewrite(value) for key, value in node.items()}
        return [rewrite(value) for value in node] if isinstance(node, list) else node

    rewritten: Template = rewrite(template)
    return rewritten


def _explicit_api(template: Template) -> None:
    """Replaces every HTTP API's OpenAPI body by the resources it stands for."""
    resources: dict[str, Resource] = template["Resources"]
    for name in [name for name, r in resources.items() if r["Type"] == "AWS::ApiGatewayV2::Api"]:
        properties = resources[name]["Properties"]
        body = properties.pop("Body", None)
        if body is None:
            continue
        properties.update(
            Name=body["info"]["title"],
            ProtocolType="HTTP",
            Tags={**properties.get("Tags", {}), "ms-custom-id": API_ID},
        )
        if cors := body.get("x-amazon-apigateway-cors"):
            properties["CorsConfiguration"] = cors
        authorizers = _authorizers(name, body, resources)
        for path, operations in body["paths"].items():
            for method, operation in operations.items():
                if method in _METHODS:
                    _route(name, path, method, operation, authorizers, resources)


def _authorizers(api: str, body: dict[str, Any], resources: dict[str, Resource]) -> dict[str, str]:
    made = {}
    for scheme, definition in body.get("components", {}).get("securitySchemes", {}).items():
        settings = definition.get("x-amazon-apigateway-authorizer")
        if settings is None:
            continue
        logical_id = f"{api}Authorizer{scheme}"
        resources[logical_id] = {
            "Type": "AWS::ApiGatewayV2::Authorizer",
            "Properties": {
                "ApiId": {"Ref": api},
                "Name": scheme,
                "AuthorizerType": "JWT",
                "IdentitySource": [settings["identitySource"]],
                "JwtConfiguration": {
                    "Issuer": settings["jwtConfiguration"]["issuer"],
                    "Audience": settings["jwtConfiguration"]["audience"],
                },
            },
        }
        made[scheme] = logical_id
    return made


def _route(
    api: str,
    path: str,
    method: str,
    operation: dict[str, Any],
    authorizers: dict[str, str],
    resources: dict[str, Resource],
) -> None:
    integration = operation["x-amazon-apigateway-integration"]
    words = [
        word for word in path.replace("{", "").replace("}", "").replace("_", "/").replace(".", "/").split("/") if word
    ]
    name = f"{api}{method.title()}{''.join(word.title() for word in words)}"
    shared = f"{api}Integration{digest(json.dumps(integration, sort_keys=True).encode())}"
    resources[shared] = {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {
            "ApiId": {"Ref": api},
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": integration["uri"],
            "PayloadFormatVersion": integration["payloadFormatVersion"],
        },
    }
    properties: dict[str, Any] = {
        "ApiId": {"Ref": api},
        "RouteKey": f"{method.upper()} {path}",
        "Target": {"Fn::Sub": f"integrations/${{{shared}}}"},
        "AuthorizationType": "NONE",
    }
    for requirement in operation.get("security", []):
        for scheme in requirement:
            if scheme in authorizers:
                properties.update(AuthorizationType="JWT", AuthorizerId={"Ref": authorizers[scheme]})
    resources[f"{name}Route"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}


def _one_permission_for_all_routes(template: Template) -> None:
    """Each function may be called by the API once and for all, instead of once for each of its routes."""
    resources: dict[str, Resource] = template["Resources"]
    called: set[str] = set()
    for name in [name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Permission"]:
        properties = resources[name]["Properties"]
        if properties["Principal"] != "apigateway.amazonaws.com":
            continue
        function = json.dumps(properties["FunctionName"])
        if function in called:
            del resources[name]
            continue
        called.add(function)
        arn, api = properties["SourceArn"]["Fn::Sub"]
        whole = arn.partition("${__ApiId__}")[0] + "${__ApiId__}/*"
        properties["SourceArn"] = {"Fn::Sub": [whole, {"__ApiId__": api["__ApiId__"]}]}


def _widen_what_is_weighed_without_resource(template: Template) -> None:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    actions = statement["Action"]
                    listed = actions if isinstance(actions, list) else [actions]
                    if _WITHOUT_RESOURCE.issuperset(listed):
                        statement["Resource"] = "*"
                    if "sqs:SendMessage" in listed:
                        # On AWS the right to send covers a batch; the emulator wants the batch named.
                        statement["Action"] = [*listed, "sqs:SendMessageBatch"]


def _as_many_consumers_as_this_machine_carries(template: Template) -> None:
    """Each consumer of a queue beside another is a process that imports everything afresh: more than two to a core only
    wait for each other, while fewer take more messages at a time."""
    most = 2 * (os.cpu_count() or 1)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            scaling = resource["Properties"].get("ScalingConfig", {})
            if "MaximumConcurrency" in scaling:
                scaling["MaximumConcurrency"] = min(scaling["MaximumConcurrency"], most)
