"""Envelopes and their states, as their sender sees them.

    created → sent → delivered → completed
                  ↘ declined (a recipient) · voided (the sender, or the end of its days)

An envelope is held as DocuSign shows it; what is not shown stands under `_`: moments in seconds since the epoch, its
own listener, its history.
"""

import time
import uuid
from typing import Any

from local.simulators.common import Json, World
from local.simulators.docusign import creation, documents
from local.simulators.docusign.connect import Connect
from local.simulators.docusign.errors import bad_body, bad_parameter, cannot_void, unknown_envelope
from local.simulators.docusign.oauth import Identity
from local.simulators.docusign.times import written

_DAY = 86_400
OPEN = ("sent", "delivered")
EXPIRED = "Envelope has expired."
_INCLUDED = {"custom_fields", "documents", "recipients", "tabs"}
# Values DocuSign also takes there and has nothing to add for, in an account such as this.
_EMPTY = {"attachments", "extensions", "folders", "payment_tabs", "powerform", "workflow"}
_COPIED = (
    *("emailSubject", "emailBlurb", "transactionId", "allowReassign", "allowMarkup", "autoNavigation"),
    *("enableWetSign", "enforceSignerVisibility", "envelopeIdStamping", "signingLocation", "useDisclosure"),
)


class Envelopes:
    """All envelopes of the account."""

    def __init__(self, world: World, connect: Connect, identity: Identity) -> None:
        self._world = world
        self._connect = connect
        self._identity = identity

    def make(self, definition: Json) -> Json:
        """An envelope from its definition, sent if that says so; its summary. Raises DocusignError.

        Nothing makes two calls into one envelope: neither a header nor `transactionId`, which only finds it again.
        """
        files = creation.check(definition)
        now, number = self._world.clock.precise(), str(uuid.uuid4())
        notification = definition.get("notification", {})
        days = creation.days_until_expiry(notification)
        envelope: Json = {
            "status": "created",
            "envelopeId": number,
            **{name: definition[name] for name in _COPIED if name in definition},
            **_uris(number),
            "createdDateTime": written(now),
            "notification": _notification(notification, days),
            "customFields": {"textCustomFields": _numbered(definition.get("customFields", {}))},
            "recipients": _recipients(definition.get("recipients", {})),
            "purgeState": "unpurged",
            "_": {
                "created": now,
                "days": days,
                "made": time.time(),
                "eventNotification": definition.get("eventNotification", {}),
                "history": [],
            },
        }
        documents.keep(self._world.store, number, files)
        self.moved(envelope, "created", "Created")
        self._connect.tell("envelope-created", envelope)
        if definition.get("status") == "sent":
            self._send(envelope)
        return _summary(envelope)

    def find(self, number: str) -> Json:
        """The live envelope. Raises DocusignError."""
        try:
            uuid.UUID(number)
        except ValueError as error:
            raise bad_parameter("Invalid value specified for 'envelopeId'.") from error
        envelope = self._world.store.get("envelope", number.lower())
        if envelope is None:
            raise unknown_envelope()
        return envelope

    def everything(self) -> list[Json]:
        """Every live envelope, oldest first."""
        return self._world.store.all("envelope")

    def update(self, number: str, change: Json) -> Json:
        """Voids an envelope, or sends a draft; its summary. Raises DocusignError."""
        envelope = self.find(number)
        if unknown := sorted(set(change) - {"status", "voidedReason"}):
            if "purgeState" in unknown:
                told = "'documents_queued' or 'documents_and_metadata_queued' or 'documents_dequeued'"
                raise bad_parameter(f"Value for 'purgeState' must be {told}.")
            raise bad_body(f"This simulator changes status and voidedReason, not {', '.join(unknown)}.")
        match change.get("status"):
            case "voided":
                if not change.get("voidedReason"):
                    raise bad_parameter("Value for 'voidedReason' must be specified when voiding an envelope.")
                if envelope["status"] not in OPEN:
                    raise cannot_void()
                self.void(envelope, change["voidedReason"])
            case "sent" if envelope["status"] == "created":
                files = documents.files_of(self._world.store, envelope)
                creation.check_complete(envelope.get("emailSubject", ""), bool(files), envelope["recipients"])
                self._send(envelope)
            case status:
                raise bad_parameter(f"Value {status!r} for 'status' cannot be reached from {envelope['status']!r}.")
        return {"envelopeId": envelope["envelopeId"]}

    def void(self, envelope: Json, reason: str) -> None:
        """Ends an envelope that is out."""
        envelope["voidedReason"] = reason
        self.moved(envelope, "voided", "Voided")
        self._connect.tell("envelope-voided", envelope)

    def lapse(self) -> None:
        """Voids what is out for longer than its days."""
        now = self._world.clock.precise()
        for envelope in self.everything():
            if envelope["status"] in OPEN and envelope["_"]["expires"] <= now:
                self.void(envelope, EXPIRED)

    def moved(self, envelope: Json, status: str, action: str, who: str = "Order Desk") -> None:
        """Notes a new status, its moment and whose doing it is."""
        now = self._world.clock.precise()
        envelope["status"] = status
        envelope["statusChangedDateTime"] = envelope["lastModifiedDateTime"] = written(now)
        if status != "created":
            envelope[f"{status}DateTime"] = written(now)
        envelope["_"][status] = envelope["_"]["changed"] = now
        self.noted(envelope, action, who)

    def noted(self, envelope: Json, action: str, who: str = "Order Desk") -> None:
        """Adds to an envelope's history and keeps it."""
        entry = {"logTime": written(self._world.clock.precise()), "Action": action, "UserName": who}
        envelope["_"]["history"].append({**entry, "EnvelopeStatus": envelope["status"].capitalize()})
        self._world.store.put("envelope", envelope["envelopeId"], envelope)

    def shown(self, envelope: Json, include: str) -> Json:
        """An envelope as DocuSign answers it. Raises DocusignError for an `include` it does not know."""
        wanted = {word.strip() for word in include.split(",") if word.strip()}
        if unknown := wanted - _INCLUDED - _EMPTY:
            raise bad_parameter(f"Query parameter 'include' does not take {sorted(unknown)}.")
        left_out = {"_", "recipients", "customFields"}
        body = {name: value for name, value in envelope.items() if name not in left_out}
        body["sender"] = self.sender()
        body |= {"expireEnabled": "true", "expireAfter": str(envelope["_"]["days"])}
        if "expires" in envelope["_"]:
            body["expireDateTime"] = written(envelope["_"]["expires"])
        if "custom_fields" in wanted:
            body["customFields"] = envelope["customFields"]
        if wanted & {"recipients", "tabs"}:
            body["recipients"] = recipients(envelope, with_tabs="tabs" in wanted)
        if "documents" in wanted:
            body["envelopeDocuments"] = self.documents(envelope)["envelopeDocuments"]
        return body

    def sender(self) -> Json:
        """Who sends: the user the integration acts for."""
        identity = self._identity
        who = {"userName": "Order Desk", "email": "orders@example.com"}
        return {**who, "userId": identity.user_id, "accountId": identity.account_id}

    def documents(self, envelope: Json) -> Json:
        """The list of an envelope's documents; the certificate is one of them from the start."""
        uri = envelope["documentsUri"]
        listed: list[Json] = [
            {
                "documentId": document["documentId"],
                "name": document["name"],
                "order": document["order"],
                "type": "content",
                "uri": f"{uri}/{document['documentId']}",
            }
            for document in documents.files_of(self._world.store, envelope)
        ]
        summary = {"documentId": "certificate", "name": "Summary", "order": "999", "type": "summary"}
        listed.append({**summary, "uri": f"{uri}/certificate"})
        return {"envelopeId": envelope["envelopeId"], "envelopeDocuments": listed}

    def history(self, envelope: Json) -> Json:
        """Audit events: what was done, by whom, when."""
        fields = [
            {"eventFields": [{"name": name, "value": value} for name, value in entry.items()]}
            for entry in envelope["_"]["history"]
        ]
        return {"auditEvents": fields}

    def _send(self, envelope: Json) -> None:
        self.moved(envelope, "sent", "Sent Invitations")
        envelope["initialSentDateTime"] = envelope["sentDateTime"]
        envelope["_"]["expires"] = envelope["_"]["sent"] + envelope["_"]["days"] * _DAY
        self._connect.tell("envelope-sent", envelope)
        self.invite(envelope)

    def invite(self, envelope: Json) -> bool:
        """Mails those whose turn it is; True when nobody is left whose signature is waited for."""
        everybody = envelope["recipients"]
        while True:
            signers = [signer for signer in everybody.get("signers", ()) if signer["status"] != "completed"]
            copies = [copy for copy in everybody.get("carbonCopies", ()) if copy["status"] != "completed"]
            waiting = [*signers, *copies]
            turn = min((int(each["routingOrder"]) for each in waiting), default=0)
            for copy in copies:
                if int(copy["routingOrder"]) == turn:
                    copy["status"], copy["sentDateTime"] = "completed", written(self._world.clock.precise())
            invited = [each for each in signers if int(each["routingOrder"]) == turn]
            for signer in invited:
                if signer["status"] == "created":
                    signer["status"], signer["sentDateTime"] = "sent", written(self._world.clock.precise())
                    self._connect.tell("recipient-sent", envelope, signer)
            everybody["currentRoutingOrder"] = str(turn or 1)
            self._world.store.put("envelope", envelope["envelopeId"], envelope)
            if invited or not waiting:
                return not waiting


def recipients(envelope: Json, *, with_tabs: bool) -> Json:
    """The recipients of an envelope, with their tabs or without."""
    return {
        kind: [{k: v for k, v in each.items() if k != "tabs" or with_tabs} for each in those]
        if isinstance(those, list)
        else those
        for kind, those in envelope["recipients"].items()
    }


def _summary(envelope: Json) -> Json:
    number = envelope["envelopeId"]
    shown = {"envelopeId": number, "status": envelope["status"], "uri": f"/envelopes/{number}"}
    return {**shown, "statusDateTime": envelope["statusChangedDateTime"]}


def _uris(number: str) -> Json:
    base = f"/envelopes/{number}"
    parts = {"documentsUri": "documents", "recipientsUri": "recipients", "attachmentsUri": "attachments"}
    parts |= {"notificationUri": "notification", "customFieldsUri": "custom_fields", "templatesUri": "templates"}
    parts |= {"documentsCombinedUri": "documents/combined", "certificateUri": "documents/certificate"}
    return {"envelopeUri": base, **{name: f"{base}/{part}" for name, part in parts.items()}}


def _notification(asked: Json, days: int) -> Json:
    reminders = {"reminderEnabled": "false", "reminderDelay": "0", "reminderFrequency": "0"}
    expirations = {"expireEnabled": "true", "expireAfter": str(days), "expireWarn": "0"}
    if asked.get("useAccountDefaults") != "true":
        reminders |= asked.get("reminders", {})
        expirations |= {"expireWarn": asked.get("expirations", {}).get("expireWarn", "0")}
    own = asked.get("useAccountDefaults", "false")
    return {"useAccountDefaults": own, "reminders": reminders, "expirations": expirations}


def _numbered(fields: Json) -> list[Json]:
    return [
        {"show": "false", "required": "false", **field, "fieldId": str(10_000_000 + number)}
        for number, field in enumerate(fields.get("textCustomFields", ()), start=1)
    ]


def _recipients(asked: Json) -> Json:
    made: dict[str, Any] = {}
    for kind, word in (("signers", "signer"), ("carbonCopies", "carboncopy")):
        made[kind] = [
            {
                **each,
                "routingOrder": each.get("routingOrder", "1"),
                "recipientIdGuid": str(uuid.uuid4()),
                "recipientType": word,
                "status": "created",
            }
            for each in asked.get(kind, ())
        ]
    count = len(made["signers"]) + len(made["carbonCopies"])
    return {**made, "recipientCount": str(count), "currentRoutingOrder": "1"}
