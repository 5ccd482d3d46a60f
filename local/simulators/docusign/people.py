"""What recipients do by their own door, and their sender in the web application."""

from local.simulators.common import Json, World
from local.simulators.docusign import creation
from local.simulators.docusign.connect import Connect
from local.simulators.docusign.envelopes import EXPIRED, OPEN, Envelopes
from local.simulators.docusign.times import written


class People:
    """Those an envelope goes to. What cannot be raises ValueError with the reason."""

    def __init__(self, world: World, envelopes: Envelopes, connect: Connect) -> None:
        self._world = world
        self._envelopes = envelopes
        self._connect = connect

    def view(self, envelope: Json, asked: Json) -> Json:
        """A recipient opens the envelope."""
        self._opened(envelope, self._whose_turn(envelope, asked))
        return envelope

    def sign(self, envelope: Json, asked: Json) -> Json:
        """A recipient signs: `{"recipient_id"}` or `{"email"}`, else the first whose turn it is. The last one completes
        the envelope."""
        signer = self._whose_turn(envelope, asked)
        self._opened(envelope, signer)
        signer["status"], signer["signedDateTime"] = "completed", written(self._world.clock.precise())
        signer["signatureInfo"] = {"signatureName": signer["name"], "fontStyle": "lucida_console"}
        self._envelopes.noted(envelope, "Signed", signer["name"])
        self._connect.tell("recipient-completed", envelope, signer)
        if self._envelopes.invite(envelope):
            self._envelopes.moved(envelope, "completed", "Completed", signer["name"])
            self._connect.tell("envelope-completed", envelope)
        return envelope

    def decline(self, envelope: Json, asked: Json) -> Json:
        """A recipient refuses to sign: `reason`."""
        signer = self._whose_turn(envelope, asked)
        self._opened(envelope, signer)
        now = written(self._world.clock.precise())
        signer |= {"status": "declined", "declinedDateTime": now, "declinedReason": str(asked.get("reason", ""))}
        self._envelopes.moved(envelope, "declined", "Declined", signer["name"])
        self._connect.tell("recipient-declined", envelope, signer)
        self._connect.tell("envelope-declined", envelope)
        return envelope

    def expire(self, envelope: Json, asked: Json) -> Json:
        """The days of an envelope are over, whatever the clock says; nothing can be `asked`."""
        if asked:
            raise ValueError("an end of days has nobody")
        self._must_be_open(envelope)
        self._envelopes.void(envelope, EXPIRED)
        return envelope

    def correct(self, envelope: Json, asked: Json) -> Json:
        """The sender corrects a recipient in the web application: `name`, `email`. Who had signed stays signed."""
        signer = self._whose_turn(envelope, {name: asked[name] for name in ("recipient_id",) if name in asked})
        name, email = str(asked.get("name", signer["name"])), str(asked.get("email", signer["email"]))
        creation.check_address(name, email, signer["recipientId"])
        signer |= {"name": name, "email": email, "status": "created"}
        signer.pop("deliveredDateTime", None)
        self._envelopes.noted(envelope, "Corrected")
        self._connect.tell("envelope-corrected", envelope)
        self._envelopes.moved(envelope, "sent", "Sent Invitations")
        self._envelopes.invite(envelope)
        return envelope

    def bounce(self, envelope: Json, asked: Json) -> Json:
        """The invitation of a recipient comes back undelivered."""
        signer = self._whose_turn(envelope, asked)
        signer |= {"status": "autoresponded", "autoRespondedReason": str(asked.get("reason", "no such mailbox"))}
        self._envelopes.noted(envelope, "AutoResponded", signer["name"])
        self._connect.tell("recipient-autoresponded", envelope, signer)
        return envelope

    def _opened(self, envelope: Json, signer: Json) -> None:
        if "deliveredDateTime" in signer:
            return
        signer["status"], signer["deliveredDateTime"] = "delivered", written(self._world.clock.precise())
        self._envelopes.noted(envelope, "Viewed", signer["name"])
        self._connect.tell("recipient-delivered", envelope, signer)
        unseen = [each for each in envelope["recipients"]["signers"] if "deliveredDateTime" not in each]
        if not unseen and envelope["status"] == "sent":
            self._envelopes.moved(envelope, "delivered", "Delivered", signer["name"])
            self._connect.tell("envelope-delivered", envelope)

    def _whose_turn(self, envelope: Json, asked: Json) -> Json:
        self._must_be_open(envelope)
        able = [each for each in envelope["recipients"]["signers"] if each["status"] in (*OPEN, "autoresponded")]
        signer: Json
        for signer in able:
            by_id = asked.get("recipient_id", signer["recipientId"]) == signer["recipientId"]
            if by_id and asked.get("email", signer["email"]) == signer["email"]:
                return signer
        raise ValueError(f"nobody of {asked or 'the recipients'} whose turn it is")

    def _must_be_open(self, envelope: Json) -> None:
        if envelope["status"] not in OPEN:
            raise ValueError(f"the envelope is {envelope['status']}")
