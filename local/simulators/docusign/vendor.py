"""The simulator itself: the authorisation server, the API of one account, and everybody's own doors under `/_sim/`.

Besides the control routes every simulator has:

POST /_sim/envelopes/{id}/view      a recipient opens it: {"recipient_id"} or {"email"}, else the first whose turn it is
POST /_sim/envelopes/{id}/sign      a recipient signs; the last one completes the envelope
POST /_sim/envelopes/{id}/decline   a recipient refuses: {"reason"}
POST /_sim/envelopes/{id}/bounce    the invitation comes back: {"reason"}
POST /_sim/envelopes/{id}/correct   the sender corrects a recipient: {"name", "email"}
POST /_sim/envelopes/{id}/expire    its days are over
POST /_sim/public_keys              {"public_key": PEM}: one more key of the integration
POST /_sim/consent                  {"granted": false} takes the user's consent back
POST /_sim/hmac_keys                {"keys": […]}: the keys of Connect from now on
POST /_sim/tokens/expire            ends every access token
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from local.simulators.common import Answer, Call, Delivery, Json, Outgoing, Problem, Rule, World, contracts_folder
from local.simulators.docusign import documents
from local.simulators.docusign.connect import Connect
from local.simulators.docusign.contract import API, check_oauth, contract_of
from local.simulators.docusign.envelopes import Envelopes, recipients
from local.simulators.docusign.errors import (
    DocusignError,
    GrantError,
    bad_body,
    bad_parameter,
    hourly_limit,
    other_account,
    unknown_document,
    unknown_path,
)
from local.simulators.docusign.limits import Limits
from local.simulators.docusign.listing import Listing
from local.simulators.docusign.oauth import Identity, OAuth
from local.simulators.docusign.people import People

_SELECTORS = {"recipient_id", "email"}
_ASKED = {
    "decline": _SELECTORS | {"reason"},
    "bounce": _SELECTORS | {"reason"},
    "correct": {"recipient_id", "name", "email"},
}


class Docusign:
    """DocuSign, as far as this product meets it."""

    name = "docusign"

    def __init__(self, world: World, webhook_url: str | None, identity: Identity) -> None:
        self._world = world
        self._identity = identity
        self._oauth = OAuth(world, identity)
        self._limits = Limits(world.config)
        folder = contracts_folder("docusign")
        self._contract = contract_of(folder) if folder is not None else None
        check = self._contract.check_message if self._contract is not None else None
        self._connect = Connect(world, webhook_url, identity, check)
        self._envelopes = Envelopes(world, self._connect, identity)
        self._listing = Listing(world, self._envelopes)
        self._people = People(world, self._envelopes, self._connect)

    def handle(self, call: Call) -> Answer:
        """Answer one request."""
        try:
            if call.path == "/oauth/token" and call.method == "POST":
                return self._oauth.token(call)
            self._oauth.require(call)
            if call.path == "/oauth/userinfo" and call.method == "GET":
                return self._oauth.user(call)
            headers = self._limits.take()
            answer = self._api(call)
            answer.headers |= headers
            return answer
        except (DocusignError, GrantError) as refusal:
            return refusal.answer()

    def _api(self, call: Call) -> Answer:
        self._envelopes.lapse()
        steps = call.path.removeprefix(API).strip("/").split("/")
        query = dict(parse_qsl(call.query, keep_blank_values=True))
        body = self._body(call)
        call.params = {**query, **_journalled(body)}
        match call.method, steps:
            case _, ["v2.1", "accounts", account, *_] if account != self._identity.account_id:
                raise other_account()
            case "POST", ["v2.1", "accounts", _, "envelopes"]:
                _no_more(query, set())
                return Answer(201, self._envelopes.make(body))
            case "GET", ["v2.1", "accounts", _, "envelopes"]:
                return Answer(200, self._listing.find(query))
            case "PUT", ["v2.1", "accounts", _, "envelopes", "status"]:
                return Answer(200, self._listing.find(query, body))
            case "PUT", ["v2.1", "accounts", _, "envelopes", number]:
                _no_more(query, set())
                return Answer(200, self._envelopes.update(number, body))
            case "GET", ["v2.1", "accounts", _, "envelopes", number, *rest]:
                return self._read(self._envelopes.find(number), rest, query)
        raise unknown_path(call.path)

    def _read(self, envelope: Json, rest: list[str], query: dict[str, str]) -> Answer:
        match rest:
            case []:
                _no_more(query, {"include"})
                return Answer(200, self._envelopes.shown(envelope, query.get("include", "")))
            case ["recipients"]:
                _no_more(query, {"include_tabs"})
                return Answer(200, recipients(envelope, with_tabs=query.get("include_tabs") == "true"))
            case ["custom_fields"]:
                return Answer(200, envelope["customFields"])
            case ["audit_events"]:
                return Answer(200, self._envelopes.history(envelope))
            case ["documents"]:
                _no_more(query, set())
                return Answer(200, self._envelopes.documents(envelope))
            case ["documents", number]:
                _no_more(query, {"certificate"})
                return self._file(envelope, number, query)
        raise unknown_path("/".join(rest))

    def _file(self, envelope: Json, number: str, query: dict[str, str]) -> Answer:
        content: bytes | None
        if number == "combined":
            with_certificate = query.get("certificate") != "false"
            content = documents.combined(self._world.store, envelope, with_certificate=with_certificate)
        elif number == "certificate":
            content = documents.certificate(envelope)
        else:
            content = documents.single(self._world.store, envelope, number)
        if content is None:
            raise unknown_document()
        headers = {"Content-Type": "application/pdf", "Content-Disposition": f'file; filename="{number}.pdf"'}
        return Answer(200, content, headers)

    def _body(self, call: Call) -> Json:
        if not call.body.strip():
            return {}
        try:
            body = json.loads(call.body)
        except ValueError as error:
            raise bad_body("") from error
        if not isinstance(body, dict):
            raise bad_body("")
        return body

    def injected(self, call: Call, rule: Rule) -> Answer:
        """An error on demand, as DocuSign words it: 429 and 400 as the hourly limit, the rest as its own trouble."""
        status = int(rule["status"])
        if call.path.startswith("/oauth/"):
            return GrantError("server_error" if status >= 500 else "temporarily_unavailable", "", status).answer()
        if status in (400, 429):
            return hourly_limit(status).answer()
        return DocusignError(status, "UNSPECIFIED_ERROR", "An error occurred on the server.").answer()

    def outgoing(self, deliveries: list[Delivery]) -> Outgoing:
        """One signed Connect message."""
        return self._connect.outgoing(deliveries)

    def clock_moved(self) -> None:
        """Envelopes whose days are over end."""
        self._envelopes.lapse()

    def check_request(self, call: Call) -> list[Problem]:
        """Where a request leaves DocuSign's contract."""
        of_oauth = check_oauth(call)
        if of_oauth is not None:
            return of_oauth
        return self._contract.check_request(call) if self._contract is not None else []

    def check_answer(self, call: Call, answer: Answer) -> list[Problem]:
        """Where an answer leaves DocuSign's contract."""
        return self._contract.check_answer(call, answer) if self._contract is not None else []

    def refuse(self, call: Call, problems: list[Problem]) -> Answer:
        """DocuSign's words for a request outside its contract."""
        told = "; ".join(f"{each.where or 'body'}: {each.detail}" for each in problems)
        if any(problem.code == "endpoint" for problem in problems):
            return unknown_path(call.path).answer()
        if call.path.startswith("/oauth/"):
            return GrantError("invalid_request", told).answer()
        return bad_body(told).answer()

    def contract_state(self) -> str:
        """Whether the checks are on."""
        if self._contract is None:
            return "OAuth: on, by the documentation; API and Connect: off, no contracts folder"
        return f"OAuth: on, by the documentation; API: on, {self._contract.size} operations; Connect: on, by its sample"

    def visible_state(self) -> Json:
        """Every envelope by its id."""
        return {"envelope": dict(self._world.store.items("envelope"))}

    def control(self, method: str, path: str, asked: Any) -> Answer | None:
        """The control routes of this vendor; None for one that is not."""
        given: Any = asked if asked is not None else {}
        if method != "POST" or not isinstance(given, dict):
            return None
        self._envelopes.lapse()
        try:
            match path.split("/"):
                case ["envelopes", number, deed] if deed in self._deeds():
                    return Answer(200, self._done(number, deed, given))
                case ["public_keys"]:
                    return Answer(201, {"keys": self._oauth.upload_key(str(given["public_key"]))})
                case ["consent"]:
                    self._world.store.set_setting("consent", bool(given["granted"]))
                    return Answer(200, {"granted": bool(given["granted"])})
                case ["hmac_keys"]:
                    self._connect.change_keys([str(key) for key in given["keys"]])
                    return Answer(200, {"keys": len(given["keys"])})
                case ["tokens", "expire"]:
                    return Answer(200, {"ended": self._oauth.expire()})
        except DocusignError as refusal:
            return Answer(404 if refusal.status == 404 else 400, {"detail": refusal.message})
        except (ValueError, KeyError) as error:
            return Answer(400, {"detail": str(error)})
        return None

    def _deeds(self) -> dict[str, Callable[[Json, Json], Json]]:
        people = self._people
        deeds = (people.view, people.sign, people.decline, people.bounce, people.correct, people.expire)
        return {deed.__name__: deed for deed in deeds}

    def _done(self, number: str, deed: str, asked: Json) -> Json:
        if unknown := set(asked) - _ASKED.get(deed, _SELECTORS):
            raise ValueError(f"{deed} takes no {sorted(unknown)}")
        envelope = self._deeds()[deed](self._envelopes.find(number), asked)
        return self._envelopes.shown(envelope, "recipients,custom_fields")


def _no_more(query: dict[str, str], known: set[str]) -> None:
    """Refuses parameters that DocuSign knows and this simulator does not act upon."""
    if unknown := sorted(set(query) - known):
        raise bad_parameter(f"This simulator does not know {', '.join(unknown)}.")


def _journalled(body: Json) -> Json:
    """A request's body for the journal, documents by their size alone."""
    told = dict(body)
    if isinstance(told.get("documents"), list):
        told["documents"] = [
            {**each, "documentBase64": f"{len(each.get('documentBase64', ''))} characters"}
            for each in told["documents"]
        ]
    return told
