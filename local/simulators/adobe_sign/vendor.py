"""The simulator itself: one access point with OAuth and REST v6, and everybody's own doors under `/_sim/`.

Besides the control routes every simulator has:

POST /_sim/agreements/{id}/view      a participant opens the mail: {"email"}, else the first whose turn it is
POST /_sim/agreements/{id}/sign      a participant signs: {"email", "name"}; the last one completes the agreement
POST /_sim/agreements/{id}/decline   a participant rejects: {"email", "reason"}
POST /_sim/agreements/{id}/bounce    the mail to a participant comes back: {"email"}
POST /_sim/agreements/{id}/correct   the sender replaces an address: {"email", "to"}
POST /_sim/agreements/{id}/expire    its time is over
POST /_sim/subscribe                 verifies and activates the webhook of the command line; what it answered
POST /_sim/refresh_token             {"revoked": true} takes the refresh token back
POST /_sim/tokens/expire             ends every access token
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from local.simulators.adobe_sign import documents, shapes, webhooks
from local.simulators.adobe_sign.agreements import Agreements
from local.simulators.adobe_sign.contract import API, check_beside, contract_of
from local.simulators.adobe_sign.errors import AdobeError, GrantError, throttled, trouble
from local.simulators.adobe_sign.oauth import Identity, OAuth
from local.simulators.adobe_sign.people import People
from local.simulators.adobe_sign.transient import Transient
from local.simulators.adobe_sign.webhooks import Webhooks
from local.simulators.common import Answer, Call, Delivery, Json, Outgoing, Problem, Rule, World, contracts_folder

_ASKED = {"sign": {"email", "name"}, "decline": {"email", "reason"}, "correct": {"email", "to"}}
_PDF = {"Content-Type": "application/pdf"}


class AdobeSign:
    """Adobe Acrobat Sign, as far as this product meets it."""

    name = "adobe_sign"

    def __init__(self, world: World, webhook_url: str | None, identity: Identity) -> None:
        self._world = world
        folder = contracts_folder("adobe_sign")
        self._contract = contract_of(folder) if folder is not None else None
        check = self._contract.check_notification if self._contract is not None else None
        self._oauth = OAuth(world, identity)
        self._transient = Transient(world)
        with world.store.transaction():
            self._webhooks = Webhooks(world, webhook_url, identity.client_id, check)
        self._agreements = Agreements(world, self._transient, self._webhooks)
        self._people = People(self._agreements)

    def handle(self, call: Call) -> Answer:
        """Answer one request."""
        try:
            if call.path == "/oauth/v2/refresh" and call.method == "POST":
                return self._oauth.refresh(call)
            self._oauth.require(call)
            self._agreements.lapse()
            return self._api(call)
        except (AdobeError, GrantError) as refusal:
            return refusal.answer()

    def _api(self, call: Call) -> Answer:
        steps = call.path.removeprefix(API).strip("/").split("/")
        query = dict(parse_qsl(call.query, keep_blank_values=True))
        match call.method, steps:
            case "GET", ["baseUris"]:
                here = f"http://{call.headers.get('host', '')}/"
                return Answer(200, {"apiAccessPoint": here, "webAccessPoint": here})
            case "POST", ["transientDocuments"]:
                return Answer(201, self._transient.upload(call))
            case "POST", ["agreements"]:
                return Answer(201, self._agreements.make(self._body(call)))
            case "GET", ["agreements"]:
                call.params = _only(query, {"externalId", "cursor", "pageSize", "showHiddenAgreements"})
                return Answer(200, self._agreements.page(query))
            case "PUT", ["agreements", number, "state"]:
                self._agreements.change_state(number, self._body(call), call.headers.get("if-match"))
                return Answer(204, None)
            case "GET", ["agreements", number, *rest]:
                return self._read(self._agreements.find(number), rest, query, call.headers.get("if-none-match"))
            case _, ["webhooks", *rest]:
                return self._webhook(call, rest, query)
        raise AdobeError("RESOURCE_NOT_FOUND", call.path)

    def _read(self, agreement: Json, rest: list[str], query: dict[str, str], known: str | None) -> Answer:
        tag = {"ETag": shapes.etag(agreement)}
        if known is not None and known.strip('"') == tag["ETag"]:
            return Answer(304, None, tag)
        match rest:
            case []:
                return Answer(200, shapes.info(agreement), tag)
            case ["members"]:
                return Answer(
                    200, shapes.members(agreement, with_next=query.get("includeNextParticipantSet") == "true"), tag
                )
            case ["events"]:
                return Answer(200, shapes.history(agreement), tag)
            case ["combinedDocument"]:
                _only(query, {"attachAuditReport"})
                with_audit = query.get("attachAuditReport") == "true"
                return Answer(200, documents.combined(agreement, with_audit=with_audit), tag | _PDF)
            case ["auditTrail"]:
                return Answer(200, documents.audit_trail(agreement), _PDF)
        raise AdobeError("RESOURCE_NOT_FOUND", "/".join(rest))

    def _webhook(self, call: Call, rest: list[str], query: dict[str, str]) -> Answer:
        match call.method, rest:
            case "POST", []:
                made = self._webhooks.register(self._body(call))
                return Answer(
                    201, made, {"Location": f"http://{call.headers.get('host', '')}{API}/webhooks/{made['id']}"}
                )
            case "GET", []:
                return Answer(200, self._webhooks.page(_only(query, {"showInActiveWebhooks"})))
            case "GET", [number]:
                held = self._webhooks.find(number)
                return Answer(200, webhooks.shown(held), {"ETag": webhooks.etag(held)})
            case "PUT", [number, "state"]:
                self._webhooks.change_state(number, self._body(call)["state"], call.headers.get("if-match"))
                return Answer(204, None)
        raise AdobeError("RESOURCE_NOT_FOUND", call.path)

    def _body(self, call: Call) -> Json:
        try:
            body = json.loads(call.body)
        except ValueError as error:
            raise AdobeError("INVALID_JSON") from error
        if not isinstance(body, dict):
            raise AdobeError("INVALID_JSON")
        call.params = body
        return body

    def injected(self, call: Call, rule: Rule) -> Answer:
        """An error on demand, as Adobe words it."""
        status = int(rule["status"])
        if status == 429:
            return throttled(int(rule.get("retry_after", 1)))
        if call.path.startswith("/oauth/"):
            return GrantError("server_error", "", status).answer()
        return trouble(status)

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One notification."""
        return self._webhooks.outgoing(deliveries)

    def clock_moved(self) -> None:
        """Agreements whose time is over end."""
        self._agreements.lapse()

    def check_request(self, call: Call) -> list[Problem]:
        """Where a request leaves Adobe's contract."""
        beside = check_beside(call)
        if beside is not None:
            return beside
        return self._contract.check_request(call) if self._contract is not None else []

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Where an answer leaves Adobe's contract."""
        if self._contract is None or answer.status == 304:
            return []
        return self._contract.check_answer(call, answer)

    def refuse(self, call: Call, problems: list[Problem]) -> Answer:
        """Adobe's words for a request outside its contract."""
        told = "; ".join(f"{each.where or 'body'}: {each.detail}" for each in problems)
        if any(problem.code == "endpoint" for problem in problems):
            return AdobeError("RESOURCE_NOT_FOUND", call.path).answer()
        if call.path.startswith("/oauth/"):
            return GrantError("invalid_request", told).answer()
        missing = all(problem.code == "missing" for problem in problems)
        return AdobeError("MISSING_REQUIRED_PARAM" if missing else "INVALID_ARGUMENTS", told).answer()

    def contract_state(self) -> str:
        """Whether the checks are on."""
        if self._contract is None:
            return "OAuth: on, by the documentation; REST v6 and webhooks: off, no contracts folder"
        return f"OAuth: on, by the documentation; REST v6: on, {self._contract.size} operations; webhooks: on"

    def visible_state(self) -> Json:
        """Agreements and webhooks by their id, files without their content."""
        agreements = {
            number: {**one, "_": {name: part for name, part in one["_"].items() if name != "files"}}
            for number, one in self._world.store.items("agreement")
        }
        return {"agreement": agreements, "webhook": dict(self._world.store.items("webhook"))}

    def control(self, method: str, path: str, asked: Any) -> Answer | None:
        """The control routes of this vendor; None for one that is not."""
        given: Any = asked if asked is not None else {}
        if method != "POST" or not isinstance(given, dict):
            return None
        self._agreements.lapse()
        try:
            match path.split("/"):
                case ["agreements", number, deed] if deed in self._deeds():
                    return Answer(200, self._done(number, deed, given))
                case ["subscribe"]:
                    return Answer(200, self._webhooks.subscribe())
                case ["refresh_token"]:
                    self._oauth.revoke(bool(given["revoked"]))
                    return Answer(200, {"revoked": bool(given["revoked"])})
                case ["tokens", "expire"]:
                    return Answer(200, {"ended": self._oauth.expire()})
        except AdobeError as refusal:
            answer = refusal.answer()
            return Answer(404 if answer.status == 404 else 400, {"detail": answer.body["message"]})
        except (ValueError, KeyError) as error:
            return Answer(400, {"detail": str(error)})
        return None

    def _deeds(self) -> dict[str, Callable[[Json, Json], None]]:
        people = self._people
        deeds = (people.view, people.sign, people.decline, people.bounce, people.correct, people.expire)
        return {deed.__name__: deed for deed in deeds}

    def _done(self, number: str, deed: str, asked: Json) -> Json:
        if unknown := set(asked) - _ASKED.get(deed, {"email"}):
            raise ValueError(f"{deed} takes no {sorted(unknown)}")
        agreement = self._agreements.find(number)
        self._deeds()[deed](agreement, asked)
        return shapes.info(agreement)


def _only(query: dict[str, str], known: set[str]) -> dict[str, str]:
    """The query, if this simulator acts upon all of it."""
    if unknown := sorted(set(query) - known):
        raise AdobeError("INVALID_ARGUMENTS", f"This simulator does not know {', '.join(unknown)}.")
    return query
