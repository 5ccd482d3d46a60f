"""Envelopes by custom field, id, transaction or date: `GET …/envelopes` and `PUT …/envelopes/status`."""

import time

from local.simulators.common import Json, World
from local.simulators.docusign.envelopes import Envelopes
from local.simulators.docusign.errors import bad_body, bad_parameter
from local.simulators.docusign.times import read, written

_KNOWN = {
    *("count", "start_position", "custom_field", "envelope_ids", "transaction_ids", "from_date", "to_date"),
    *("from_to_status", "status", "include", "order", "order_by"),
}
_MOMENTS = {"changed", "created", "sent", "delivered", "completed", "declined", "voided"}
_STATUSES = {*(_MOMENTS - {"changed"}), "any"}
_ORDERS = {"last_modified": "changed", "status_changed": "changed", "created": "created", "sent": "sent"}
_TRANSACTION_SECONDS = 7 * 86_400
_COUNT = 1000


class Listing:
    """Lists over all envelopes. What was made a moment ago may be missing while a search lag is set."""

    def __init__(self, world: World, envelopes: Envelopes) -> None:
        self._world = world
        self._envelopes = envelopes

    def find(self, query: dict[str, str], body: Json | None = None) -> Json:
        """The page a query asks for. Raises DocusignError."""
        asked = self._asked(query, body or {})
        if unknown := sorted(set(asked) - _KNOWN):
            raise bad_parameter(f"This simulator does not search by {', '.join(unknown)}.")
        found = self._matching(asked)
        start, count = _number(asked, "start_position", 0), _number(asked, "count", _COUNT)
        page = found[start : start + count]
        answer: Json = {
            "resultSetSize": str(len(page)),
            "startPosition": str(start),
            "endPosition": str(start + max(len(page) - 1, 0)),
            "totalSetSize": str(len(found)),
            "lastQueriedDateTime": written(self._world.clock.precise()),
        }
        if page:  # DocuSign leaves the list out when there is nothing in it
            answer["envelopes"] = [self._envelopes.shown(envelope, asked.get("include", "")) for envelope in page]
        return answer

    def _asked(self, query: dict[str, str], body: Json) -> dict[str, str]:
        asked = dict(query)
        for name, field in (("envelope_ids", "envelopeIds"), ("transaction_ids", "transactionIds")):
            if asked.get(name) == "request_body":
                if not body.get(field):
                    raise bad_body(f"{field} is missing.")
                asked[name] = ",".join(body[field])
        if not {"envelope_ids", "transaction_ids", "from_date"} & asked.keys():
            told = "Query parameter 'from_date' must be set to a valid DateTime, or 'envelope_ids' or"
            raise bad_parameter(f"{told} 'transaction_ids' must be specified.")
        return asked

    def _matching(self, asked: dict[str, str]) -> list[Json]:
        indexed = time.time() - self._world.faults.search_lag
        found = [envelope for envelope in self._envelopes.everything() if envelope["_"]["made"] <= indexed]
        if "envelope_ids" in asked:
            numbers = set(asked["envelope_ids"].lower().split(","))
            found = [envelope for envelope in found if envelope["envelopeId"] in numbers]
        if "transaction_ids" in asked:
            numbers, valid = set(asked["transaction_ids"].split(",")), self._world.clock.now() - _TRANSACTION_SECONDS
            found = [one for one in found if one.get("transactionId") in numbers and one["_"]["created"] > valid]
        if "custom_field" in asked:
            name, _, value = asked["custom_field"].partition("=")
            found = [envelope for envelope in found if _has_field(envelope, name, value)]
        found = self._of_period(found, asked)
        found = _of_status(found, asked.get("status", "any"))
        moment = _ORDERS.get(asked.get("order_by", "last_modified"))
        if moment is None:
            raise bad_parameter(f"This simulator orders by {', '.join(_ORDERS)}.")
        found.sort(key=lambda envelope: float(envelope["_"].get(moment, 0)), reverse=asked.get("order") == "desc")
        return found

    def _of_period(self, found: list[Json], asked: dict[str, str]) -> list[Json]:
        moment = asked.get("from_to_status", "changed").lower()
        if moment not in _MOMENTS:
            raise bad_parameter("Query parameter 'from_to_status' is not valid.")
        since = read("from_date", asked["from_date"]) if "from_date" in asked else 0.0
        until = read("to_date", asked["to_date"]) if "to_date" in asked else self._world.clock.precise()
        return [one for one in found if moment in one["_"] and since <= one["_"][moment] <= until]


def _of_status(found: list[Json], statuses: str) -> list[Json]:
    wanted = {word.strip().lower() for word in statuses.split(",")}
    if not wanted <= _STATUSES:
        raise bad_parameter("Query parameter 'status' is not valid.")
    return [envelope for envelope in found if "any" in wanted or envelope["status"] in wanted]


def _has_field(envelope: Json, name: str, value: str) -> bool:
    fields = envelope["customFields"]["textCustomFields"]
    return any(field["name"] == name and field.get("value", "") == value for field in fields)


def _number(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name, str(default))
    if not text.isdecimal():
        raise bad_parameter(f"Query parameter '{name}' must be a number.")
    return int(text)
