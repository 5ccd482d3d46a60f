"""What participants do by their own door, and their sender in the web application."""

from local.simulators.adobe_sign.agreements import OPEN, Agreements, check_address
from local.simulators.common import Json


class People:
    """Those an agreement goes to. What cannot be raises ValueError with the reason."""

    def __init__(self, agreements: Agreements) -> None:
        self._agreements = agreements

    def view(self, agreement: Json, asked: Json) -> None:
        """A participant opens the mail: `{"email"}`, else the first whose turn it is."""
        _, member = _whose_turn(agreement, asked)
        self._agreements.note(agreement, "EMAIL_VIEWED", f"Document viewed by {member['email']}", "", member)

    def sign(self, agreement: Json, asked: Json) -> None:
        """A participant signs, by the `name` they write; the last one ends the workflow."""
        entry, member = _whose_turn(agreement, asked)
        member["name"] = str(asked.get("name", member["name"] or member["email"].partition("@")[0]))
        entry["state"] = "done"
        said = f"Document e-signed by {member['name']} ({member['email']})"
        ends = all(other["state"] == "done" for other in agreement["_"]["sets"])
        self._agreements.note(agreement, "ACTION_COMPLETED", said, "AGREEMENT_ACTION_COMPLETED", member)
        if ends:
            agreement["status"] = "SIGNED"
            self._agreements.note(agreement, "SIGNED", "Agreement completed", "AGREEMENT_WORKFLOW_COMPLETED", member)
        else:
            self._agreements.invite(agreement)

    def decline(self, agreement: Json, asked: Json) -> None:
        """A participant rejects: `reason`."""
        _, member = _whose_turn(agreement, asked)
        agreement["status"] = "CANCELLED"
        said, reason = f"Document rejected by {member['email']}", str(asked.get("reason", ""))
        self._agreements.note(agreement, "REJECTED", said, "AGREEMENT_REJECTED", member, reason)

    def bounce(self, agreement: Json, asked: Json) -> None:
        """The mail to a participant comes back."""
        _, member = _whose_turn(agreement, asked)
        said = f"Email sent to {member['email']} bounced"
        self._agreements.note(agreement, "EMAIL_BOUNCED", said, "AGREEMENT_EMAIL_BOUNCED", member)

    def correct(self, agreement: Json, asked: Json) -> None:
        """The sender replaces the address of a participant in the web application: from `email` to `to`."""
        entry, member = _whose_turn(agreement, asked)
        check_address(str(asked["to"]))
        member["email"] = str(asked["to"])
        entry["state"] = "waiting"
        self._agreements.note(agreement, "MODIFIED", "Agreement modified by its sender", "AGREEMENT_MODIFIED")
        self._agreements.invite(agreement)

    def expire(self, agreement: Json, asked: Json) -> None:
        """The time of an agreement is over, whatever the clock says; nothing can be `asked`."""
        if asked:
            raise ValueError("an end of time has nobody")
        if agreement["status"] != OPEN:
            raise ValueError(f"the agreement is {agreement['status']}")
        self._agreements.expire(agreement)


def _whose_turn(agreement: Json, asked: Json) -> tuple[Json, Json]:
    if agreement["status"] != OPEN:
        raise ValueError(f"the agreement is {agreement['status']}")
    for entry in agreement["_"]["sets"]:
        for member in entry["members"]:
            if entry["state"] == "active" and asked.get("email", member["email"]) == member["email"]:
                return entry, member
    raise ValueError(f"nobody of {asked or 'the participants'} whose turn it is")
