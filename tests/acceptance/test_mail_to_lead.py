"""Mail to lead (CAP-4): a mail in the bucket that SES fills becomes an owned lead, or says why it does not."""

import hashlib
import json
from email.message import EmailMessage
from functools import partial

import pytest

from revops.inbox import inbox_id
from revops.kernel import canonical_json
from tests.acceptance.people import by_email
from tests.acceptance.stack import Json, Stack, eventually, fresh
from tests.builders.mails import mail, raw

pytestmark = pytest.mark.mission("CAP-4")


def _arrives(stack: Stack, message: EmailMessage | bytes) -> str:
    """A mail is laid in the bucket; its key there."""
    key = f"mail {fresh()}"
    content = message if isinstance(message, bytes) else raw(message)
    stack.aws("s3").put_object(Bucket=stack.told["resources"]["MailBucketName"], Key=key, Body=content)
    return key


def _given_up(stack: Stack, key: str) -> Json:
    """The inbox entry of a mail that makes no lead, once it says so."""
    place = canonical_json({"bucket": stack.told["resources"]["MailBucketName"], "key": key})
    identifier = inbox_id("mail", hashlib.sha256(place.encode()).hexdigest())

    def look() -> Json | None:
        row = stack.row(f"INBOX#{identifier}", "EVENT")
        entry: Json = json.loads(row["doc"]["S"]) if row else {}
        return entry if entry.get("status") == "Dead" else None

    return eventually(f"the entry of {key}", look) or {}


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-13")
def test_a_mail_becomes_an_owned_lead_with_a_derived_origin_and_no_consent(stack: Stack) -> None:
    address = f"asha-{fresh()}@nordlicht-{fresh()}.example"
    _arrives(
        stack, mail("Bitte rufen Sie mich an", sender=f"राहुल पाटील <{address}>", message_id=f"<{fresh()}@x.example>")
    )
    (lead,) = eventually("a lead of the mail", lambda: by_email(stack, address))
    assert (lead["first_name"], lead["last_name"], lead["channel"]) == ("राहुल", "पाटील", "email")
    assert lead["owner_id"]
    assert (lead["attribution"]["medium"], lead["attribution"]["derived"]) == ("email", True)
    assert lead["attribution"]["source"] == "sales@revops.example"
    assert lead["gdpr_consent"] is False


@pytest.mark.fault("R1", "R12")
def test_mails_of_every_shape_make_one_lead_each_and_a_broken_one_holds_none_up(stack: Stack) -> None:
    run = fresh()
    page = "<html><body><p>Hello &amp; welcome</p></body></html>"
    heavy = mail("with files", sender=f"heavy-{run}@acme-{run}.example", message_id=f"<h-{run}@x.example>")
    heavy.add_attachment(b"x" * 500_000, maintype="application", subtype="pdf", filename="a.pdf")
    broken = _arrives(stack, b"\xff\xfe no mail at all")
    _arrives(
        stack, mail(sender=f"page-{run}@acme-{run}.example", html=page, text="", message_id=f"<p-{run}@x.example>")
    )
    _arrives(stack, heavy)
    for _ in range(2):
        _arrives(stack, mail(sender=f"twice-{run}@acme-{run}.example", message_id=f"<t-{run}@x.example>"))
    for name in ("page", "heavy", "twice"):
        address = f"{name}-{run}@acme-{run}.example"
        assert len(eventually(f"a lead of {name}", partial(by_email, stack, address))) == 1
    assert _given_up(stack, broken)["reason"].startswith("CAP-10 reachable: From names no usable e-mail address")
