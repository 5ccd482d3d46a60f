"""How REST v6 shows an agreement, its members and its history; times as it writes and reads them."""

import hashlib
from datetime import UTC, datetime

from local.simulators.adobe_sign.errors import AdobeError
from local.simulators.common import Json

SENDER = {"email": "orders@example.com", "name": "Order Desk", "company": "Example GmbH"}
_IP = "192.0.2.10"
_COPIED = (
    *("id", "name", "status", "signatureType", "createdDate", "senderEmail", "locale", "documentVisibilityEnabled"),
    *("externalId", "message", "expirationTime", "emailOption", "firstReminderDelay", "reminderFrequency"),
)
_SET_STATES = {"waiting": "NOT_YET_VISIBLE", "active": "WAITING_FOR_MY_SIGNATURE", "done": "COMPLETED"}


def written(moment: float) -> str:
    """Seconds since the epoch as Adobe writes them: whole seconds, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> float:
    """Seconds since the epoch of a time with a zone. Raises AdobeError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise AdobeError("INVALID_ARGUMENTS", f"{text!r} is not a time such as 2016-02-25T18:46:19Z") from error
    if moment.tzinfo is None:
        raise AdobeError("INVALID_ARGUMENTS", f"{text!r} has no zone")
    return moment.timestamp()


def etag(agreement: Json) -> str:
    """What changes whenever an agreement does."""
    whole = f"{agreement['id']}:{len(agreement['_']['history'])}:{agreement['status']}"
    return "D" + hashlib.sha256(whole.encode()).hexdigest()[:32]


def info(agreement: Json) -> Json:
    """`GET /agreements/{id}`."""
    sets = [
        {
            **{name: entry[name] for name in ("label", "name", "privateMessage") if name in entry},
            "memberInfos": [{"email": member["email"]} for member in entry["members"]],
            "order": entry["order"],
            "role": entry["role"],
        }
        for entry in agreement["_"]["sets"]
    ]
    ccs = [{"email": copy["email"]} for copy in agreement["_"]["ccs"]]
    shown = {name: agreement[name] for name in _COPIED if name in agreement}
    return {**shown, "participantSetsInfo": sets, **({"ccs": ccs} if ccs else {})}


def row(agreement: Json) -> Json:
    """An entry of `GET /agreements`."""
    acting = next((entry for entry in agreement["_"]["sets"] if entry["state"] == "active"), agreement["_"]["sets"][-1])
    people = [{"email": member["email"], "fullName": member["name"], "company": ""} for member in acting["members"]]
    return {
        "id": agreement["id"],
        "name": agreement["name"],
        "status": agreement["status"],
        "displayDate": agreement["createdDate"],
        "displayParticipantSetInfos": [{"displayUserSetMemberInfos": people}],
        "esign": True,
        "hidden": False,
        "latestVersionId": version(agreement),
    }


def members(agreement: Json, *, with_next: bool) -> Json:
    """`GET /agreements/{id}/members`."""
    shown = [_detailed(agreement, entry) for entry in agreement["_"]["sets"]]
    active = [entry for entry in shown if entry["status"] == _SET_STATES["active"]]
    sender_status = {"OUT_FOR_SIGNATURE": "WAITING_FOR_OTHERS", "SIGNED": "COMPLETED"}
    sender = {**SENDER, "participantId": "CBJCHBCAABAAsender", "self": True}
    copies = [
        {"email": copy["email"], "name": "", "company": "", "participantId": f"{agreement['id'][:24]}cc{at}"}
        for at, copy in enumerate(agreement["_"]["ccs"])
    ]
    return {
        "participantSets": shown,
        "nextParticipantSets": active if with_next else [],
        "ccsInfo": copies,
        "sharesInfo": [],
        "senderInfo": {**sender, "status": sender_status.get(agreement["status"], agreement["status"])},
    }


def history(agreement: Json) -> Json:
    """`GET /agreements/{id}/events`."""
    acting = {"actingUserIpAddress": _IP, "versionId": version(agreement)}
    return {"events": [{**entry, **acting} for entry in agreement["_"]["history"]]}


def told(agreement: Json, wanted: Json) -> Json:
    """The agreement of a notification: who and what it is, and as much more as the webhook `wanted`."""
    body: Json = {"id": agreement["id"], "name": agreement["name"], "status": agreement["status"]}
    if wanted.get("includeDetailedInfo"):
        details = ("createdDate", "expirationTime", "externalId", "locale", "message", "senderEmail", "signatureType")
        body |= {name: agreement[name] for name in details if name in agreement}
    if wanted.get("includeParticipantsInfo"):
        sets = [_told_set(agreement, entry) for entry in agreement["_"]["sets"]]
        body["participantSetsInfo"] = {"participantSets": sets}
    if wanted.get("includeDocumentsInfo"):
        documents = [
            {
                "id": file["id"],
                "label": "",
                "name": file["name"],
                "numPages": file["pages"],
                "mimeType": "application/pdf",
            }
            for file in agreement["_"]["files"]
        ]
        body["documentsInfo"] = {"documents": documents}
    return body


def version(agreement: Json) -> str:
    """The version of an agreement's documents."""
    return f"{agreement['id'][:24]}v{len(agreement['_']['history'])}"


def _detailed(agreement: Json, entry: Json) -> Json:
    people = [
        {
            "id": member["id"],
            "email": member["email"],
            "name": member["name"],
            "status": "ACTIVE",
            "self": False,
            "securityOption": {"authenticationMethod": "NONE"},
        }
        for member in entry["members"]
    ]
    own: Json = {name: entry[name] for name in ("name", "privateMessage") if name in entry}
    shown: Json = {"id": entry["id"], "order": entry["order"], "role": entry["role"], "memberInfos": people, **own}
    return {**shown, "status": _status_of_set(agreement, entry)}


def _told_set(agreement: Json, entry: Json) -> Json:
    people: list[Json] = [
        {"id": member["id"], "email": member["email"], "name": member["name"], "company": "", "status": "ACTIVE"}
        for member in entry["members"]
    ]
    shown = {"id": entry["id"], "order": entry["order"], "role": entry["role"], "memberInfos": people}
    return {**shown, "status": _status_of_set(agreement, entry)}


def _status_of_set(agreement: Json, entry: Json) -> str:
    if entry["state"] == "active" and agreement["status"] in ("CANCELLED", "EXPIRED"):
        return str(agreement["status"])
    return _SET_STATES[entry["state"]]
