"""Agreements and their states, as their sender sees them.

    OUT_FOR_SIGNATURE → SIGNED
                      ↘ CANCELLED (recalled by the sender, or rejected by a participant) · EXPIRED

REST v6 shows a rejected agreement as CANCELLED; only its events and its webhook say which of the two it was. An
agreement is held as it is shown; what is not shown stands under `_`: its files, its participant sets, its history.
"""

import re
import secrets
import time

from local.simulators.adobe_sign import shapes
from local.simulators.adobe_sign.errors import AdobeError
from local.simulators.adobe_sign.transient import Transient
from local.simulators.adobe_sign.webhooks import Webhooks
from local.simulators.common import Json, World

OPEN = "OUT_FOR_SIGNATURE"
_FIELDS = {
    *("fileInfos", "name", "participantSetsInfo", "signatureType", "state", "ccs", "externalId", "expirationTime"),
    *("message", "locale", "emailOption", "firstReminderDelay", "reminderFrequency", "id", "senderEmail"),
}
_KEPT = (
    *("name", "signatureType", "externalId", "expirationTime", "message", "emailOption"),
    *("firstReminderDelay", "reminderFrequency"),
)
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+")
_PAGE, _LONGEST_PAGE = 100, 1000


class Agreements:
    """All agreements of the account."""

    def __init__(self, world: World, transient: Transient, webhooks: Webhooks) -> None:
        self._world = world
        self._transient = transient
        self._webhooks = webhooks

    def make(self, asked: Json) -> Json:
        """An agreement that is out at once; its id. Raises AdobeError. Two calls make two agreements."""
        now = self._world.clock.precise()
        self._check(asked, now)
        number = "CBJCHBCAABAA" + secrets.token_urlsafe(24)
        files = [
            {**self._transient.use(file["transientDocumentId"]), "id": f"{number[:24]}f{at}"}
            for at, file in enumerate(asked["fileInfos"])
        ]
        agreement: Json = {
            "id": number,
            "status": OPEN,
            **{name: asked[name] for name in _KEPT if name in asked},
            "locale": asked.get("locale", "en_US"),
            "createdDate": shapes.written(now),
            "senderEmail": shapes.SENDER["email"],
            "documentVisibilityEnabled": False,
            "_": {
                "files": files,
                "sets": _sets(number, asked["participantSetsInfo"]),
                "ccs": asked.get("ccs", []),
                "history": [],
                "made": time.time(),
                "expires": shapes.read(asked["expirationTime"]) if "expirationTime" in asked else None,
            },
        }
        self.note(agreement, "CREATED", f"Document created by {shapes.SENDER['name']}", "AGREEMENT_CREATED")
        self.invite(agreement)
        return {"id": number}

    def find(self, number: str) -> Json:
        """The live agreement. Raises AdobeError."""
        agreement = self._world.store.get("agreement", number)
        if agreement is None:
            raise AdobeError("INVALID_AGREEMENT_ID")
        return agreement

    def page(self, query: dict[str, str]) -> Json:
        """`GET /agreements`, newest first. What was made a moment ago may be missing while a search lag is set."""
        size, start = query.get("pageSize", str(_PAGE)), query.get("cursor", "0")
        if not size.isdecimal() or not 1 <= int(size) <= _LONGEST_PAGE:
            raise AdobeError("INVALID_PAGE_SIZE")
        if not start.isdecimal():
            raise AdobeError("INVALID_CURSOR")
        indexed = time.time() - self._world.faults.search_lag
        found = [one for one in reversed(self._world.store.all("agreement")) if one["_"]["made"] <= indexed]
        if "externalId" in query:
            found = [one for one in found if one.get("externalId", {}).get("id") == query["externalId"]]
        end = int(start) + int(size)
        rows = [shapes.row(agreement) for agreement in found[int(start) : end]]
        return {"page": {"nextCursor": str(end)} if end < len(found) else {}, "userAgreementList": rows}

    def change_state(self, number: str, asked: Json, match: str | None) -> None:
        """`PUT /agreements/{id}/state`: recalls an agreement that is out. Raises AdobeError."""
        agreement = self.find(number)
        if not match:
            raise AdobeError("MISSING_IF_MATCH_HEADER")
        if match.strip('"') != shapes.etag(agreement):
            raise AdobeError("RESOURCE_MODIFIED")
        if asked["state"] != "CANCELLED" or agreement["status"] != OPEN:
            raise AdobeError("OPERATION_NOT_ALLOWED", f"{agreement['status']} to {asked['state']}")
        comment = asked.get("agreementCancellationInfo", {}).get("comment", "")
        agreement["status"] = "CANCELLED"
        self.note(agreement, "RECALLED", "Document cancelled by its sender", "AGREEMENT_RECALLED", comment=comment)

    def lapse(self) -> None:
        """Ends what is out for longer than it may."""
        now = self._world.clock.precise()
        for agreement in self._world.store.all("agreement"):
            until = agreement["_"]["expires"]
            if agreement["status"] == OPEN and until is not None and until <= now:
                self.expire(agreement)

    def expire(self, agreement: Json) -> None:
        """Ends an agreement because its time is over."""
        agreement["status"] = "EXPIRED"
        self.note(agreement, "EXPIRED_AUTOMATICALLY", "Document expired", "AGREEMENT_EXPIRED")

    def invite(self, agreement: Json) -> bool:
        """Mails those whose turn it is; False when nobody's signature is waited for any more."""
        waiting = [entry for entry in agreement["_"]["sets"] if entry["state"] != "done"]
        turn = min((entry["order"] for entry in waiting), default=None)
        for entry in waiting:
            if entry["order"] == turn and entry["state"] == "waiting":
                entry["state"] = "active"
                for member in entry["members"]:
                    said = f"Document emailed to {member['email']} for signature"
                    self.note(agreement, "ACTION_REQUESTED", said, "AGREEMENT_ACTION_REQUESTED", member)
        return bool(waiting)

    def note(
        self, agreement: Json, kind: str, said: str, event: str = "", member: Json | None = None, comment: str = ""
    ) -> None:
        """Adds to an agreement's history, keeps it, and tells the webhooks of `event`."""
        who = member or {"email": shapes.SENDER["email"], "name": shapes.SENDER["name"], "id": "CBJCHBCAABAAsender"}
        by_sender = member is None or kind in ("ACTION_REQUESTED", "EMAIL_BOUNCED")
        entry = {
            "type": kind,
            "date": shapes.written(self._world.clock.precise()),
            "description": said,
            "comment": comment,
            "actingUserEmail": shapes.SENDER["email"] if by_sender else who["email"],
            "actingUserName": shapes.SENDER["name"] if by_sender else who["name"],
            "participantEmail": who["email"],
            "participantId": who["id"],
            "participantRole": "SENDER" if member is None else "SIGNER",
        }
        agreement["_"]["history"].append(entry)
        self._world.store.put("agreement", agreement["id"], agreement)
        if event:
            self._webhooks.tell(event, agreement, entry)

    def _check(self, asked: Json, now: float) -> None:
        if unknown := sorted(set(asked) - _FIELDS):
            raise AdobeError("INVALID_ARGUMENTS", f"This simulator does not know {', '.join(unknown)}.")
        if asked["state"] != "IN_PROCESS" or asked["signatureType"] != "ESIGN":
            raise AdobeError("INVALID_ARGUMENTS", "This simulator sends for e-signature at once: ESIGN, IN_PROCESS.")
        if not asked["name"].strip() or len(asked["name"]) > 255:
            raise AdobeError("MISSING_REQUIRED_PARAM", "name")
        if not asked["fileInfos"] or any(set(file) != {"transientDocumentId"} for file in asked["fileInfos"]):
            raise AdobeError("INVALID_FILE_INFO", "This simulator takes transient documents.")
        sets = asked["participantSetsInfo"]
        if not sets or not all(entry["memberInfos"] for entry in sets):
            raise AdobeError("MIN_ADDRESSES_NOT_MET")
        orders = {entry["order"] for entry in sets}
        if orders != set(range(1, len(orders) + 1)):
            raise AdobeError("INVALID_ORDER")
        if any(entry["role"] != "SIGNER" for entry in sets):
            raise AdobeError("INVALID_PARTICIPANT_ROLE", "This simulator has signers only.")
        everybody = [member for entry in sets for member in entry["memberInfos"]] + asked.get("ccs", [])
        for member in everybody:
            check_address(member["email"])
        if "expirationTime" in asked and shapes.read(asked["expirationTime"]) <= now:
            raise AdobeError("PAST_EXPIRY_TIME")


def check_address(email: str) -> None:
    """Refuses an address nothing could reach."""
    if not _EMAIL.fullmatch(email):
        raise AdobeError("INVALID_EMAIL")


def _sets(number: str, asked: list[Json]) -> list[Json]:
    made: list[Json] = []
    for at, entry in enumerate(asked):
        people = [
            {"id": f"{number[:24]}p{at}.{place}", "email": member["email"], "name": ""}
            for place, member in enumerate(entry["memberInfos"])
        ]
        own: Json = {name: entry[name] for name in ("label", "name", "privateMessage") if name in entry}
        shape: Json = {"id": f"{number[:24]}s{at}", "order": entry["order"], "role": entry["role"], "state": "waiting"}
        made.append({**shape, **own, "members": people})
    return made
