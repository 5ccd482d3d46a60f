"""What a message request and a webhook must look like.

Meta publishes no schema of its requests; `_MESSAGE` is written from its documentation of `POST …/messages`, closed: a
field it does not name is refused. Of webhooks Meta publishes examples (facebook/openapi). Where that folder is at hand,
each message that a person sends here may only have fields, of the types, that an example of its kind has.
"""

import json
import re
from pathlib import Path

from local.simulators.common import Answer, Call, Json, Problem, SchemaChecker, leaves

PATH = re.compile(r"/v\d{1,2}\.\d/(\d+)/messages")
_TEXT = {"type": "object", "additionalProperties": False, "required": ["type", "text"]}
_MESSAGE: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["messaging_product", "recipient_type", "to", "type"],
    "properties": {
        "messaging_product": {"enum": ["whatsapp"]},
        "recipient_type": {"enum": ["individual"]},
        "to": {"type": "string"},
        "type": {"enum": ["template", "text"]},
        "biz_opaque_callback_data": {"type": "string"},
        "text": {
            "type": "object",
            "additionalProperties": False,
            "required": ["body"],
            "properties": {"body": {"type": "string"}, "preview_url": {"type": "boolean"}},
        },
        "template": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "language"],
            "properties": {
                "name": {"type": "string"},
                "language": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["policy", "code"],
                    "properties": {"policy": {"enum": ["deterministic"]}, "code": {"type": "string"}},
                },
                "components": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["type", "parameters"],
                        "properties": {
                            "type": {"enum": ["body"]},
                            "parameters": {
                                "type": "array",
                                "items": {
                                    **_TEXT,
                                    "properties": {"type": {"enum": ["text"]}, "text": {"type": "string"}},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
_LONGEST_TEXT = 4096


def _object(**properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "required": [*properties], "properties": properties}


_STRING: Json = {"type": "string"}
_ACCEPTED = _object(
    messaging_product={"enum": ["whatsapp"]},
    contacts={"type": "array", "items": _object(input=_STRING, wa_id=_STRING)},
    messages={"type": "array", "items": _object(id=_STRING, message_status={"enum": ["accepted"]})},
)
_DETAILS = _object(messaging_product={"enum": ["whatsapp"]}, details=_STRING)
_ERROR = _object(message=_STRING, type=_STRING, code={"type": "integer"}, fbtrace_id=_STRING)
_ERROR["properties"]["error_data"] = _DETAILS


def check_request(call: Call) -> list[Problem]:
    """Unknown endpoint or parameter, a body outside the documented shape, limits of Meta's."""
    if call.method != "POST" or PATH.fullmatch(call.path) is None:
        return [Problem("endpoint", call.path, f"no operation {call.method} {call.path}")]
    if call.query:
        return [Problem("unknown", call.query.partition("=")[0], "not a parameter of this operation")]
    try:
        body = json.loads(call.body)
    except ValueError as error:
        return [Problem("type", "", f"not JSON: {error}")]
    problems = SchemaChecker({}).check(body, _MESSAGE)
    if problems:
        return problems
    if body["type"] not in body:
        return [Problem("missing", body["type"], "what the message's type names")]
    if not re.fullmatch(r"\d{6,15}", body["to"]):
        return [Problem("type", "to", "a number with its country, digits only")]
    texts = [("text[body]", body.get("text", {}).get("body", "x"))]
    for component in body.get("template", {}).get("components", ()):
        texts += [("template[components]", parameter["text"]) for parameter in component["parameters"]]
    problems += [Problem("empty", where, "an empty text") for where, text in texts if not text]
    problems += [Problem("type", where, "too long") for where, text in texts if len(text) > _LONGEST_TEXT]
    return problems


def check_answer(call: Call, answer: Answer) -> list[Problem]:
    """A message accepted, or an error as the Graph API words it; nothing else."""
    problems = SchemaChecker({}).check(answer.body, _ACCEPTED if answer.status == 200 else _object(error=_ERROR))
    return [Problem(each.code, f"{call.path} {each.where}", each.detail) for each in problems]


class Examples:
    """The fields of Meta's published examples, by kind of message."""

    def __init__(self, folder: Path) -> None:
        self._known: dict[str, dict[str, type]] = {}
        for path in sorted(folder.glob("*.json")):
            for entry in json.loads(path.read_text())["entry"]:
                for change in entry["changes"]:
                    self._learn(change["value"])

    def _learn(self, value: Json) -> None:
        for message in value.get("messages", ()):
            known = self._known.setdefault(message["type"], {})
            for where, leaf in leaves({**value, "messages": [message]}):
                known[where] = type(leaf)

    @property
    def kinds(self) -> list[str]:
        """Kinds of messages there is an example of."""
        return sorted(self._known)

    def check(self, value: Json) -> list[Problem]:
        """Where the messages of a change leave the examples of their kinds."""
        problems = []
        for message in value.get("messages", ()):
            known = self._known.get(message["type"])
            if known is None:
                problems.append(Problem("enum", "type", f"no example of a {message['type']} message"))
                continue
            for where, leaf in leaves({**value, "messages": [message]}):
                if where not in known:
                    problems.append(Problem("unknown", where, f"in no example of a {message['type']} message"))
                elif not isinstance(leaf, known[where]) and not {type(leaf), known[where]} <= {int, float}:
                    problems.append(Problem("type", where, f"a {type(leaf).__name__} where Meta has another"))
        return problems
