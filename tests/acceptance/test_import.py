"""Lists as files on the deployed stack: uploaded by a signed form, followed, fetched, cancelled (CAP-7)."""

import base64
import csv
import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from tests.acceptance.stack import Json, Stack, eventually, fields, fresh
from tests.builders.lists import COLUMNS, csv_file
from tests.builders.workbooks import Cell, workbook

_PATH = "/api/v1/imports"
_ATTRIBUTION = {"source": "Trade fair", "campaign": "autumn", "medium": "event", "term": "crm"}
_CONSENT = [{"channel": "email", "purpose": "marketing", "granted": True, "wording_version": "2026-03"}]
_HEADER = "First Name,Last Name,Company,E-Mail,Phone,Country\n"


def _ask(stack: Stack, user: str = "sdr", **said: Any) -> Json:
    asked = {"file_name": "list.csv", "kind": "csv", "attribution": _ATTRIBUTION, "consent": _CONSENT} | said
    made: Json = stack.ok("POST", _PATH, expect=201, user=user, json=asked)
    return made


def _send(made: Json, content: bytes) -> httpx.Response:
    upload = made["upload"]
    return httpx.post(upload["url"], data=upload["fields"], files={"file": ("list", content)}, timeout=60)


def _status(stack: Stack, import_id: str, user: str = "sdr") -> Json:
    status: Json = stack.ok("GET", f"{_PATH}/{import_id}", user=user)
    return status


def _bring(stack: Stack, content: bytes, **said: Any) -> Json:
    """Uploads a file; the import when it is done."""
    made = _ask(stack, **said)
    assert _send(made, content).is_success

    def done() -> Json | None:
        status = _status(stack, made["id"])
        return status if status["state"] in ("Completed", "Failed") else None

    return eventually("the import is done", done, 120) or {}


def _result(stack: Stack, import_id: str) -> list[dict[str, str]]:
    where = stack.ok("GET", f"{_PATH}/{import_id}/result", user="sdr")
    answer = httpx.get(where["url"])
    assert answer.is_success
    assert "result.csv" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def _people(count: int) -> tuple[bytes, list[str]]:
    words = [fresh() for _ in range(count)]
    mails = [f"{word}@{word}.example" for word in words]
    lines = [f"Ada,{word},Firm{word},{mail},,DE\n" for word, mail in zip(words, mails, strict=True)]
    return (_HEADER + "".join(lines)).encode(), mails


@pytest.mark.mission("CAP-7", "CAP-8", "CAP-9", "CAP-11", "CAP-12")
@pytest.mark.fault("R30", "S11")
def test_a_list_becomes_leads_and_every_row_has_its_verdict(stack: Stack) -> None:
    seed = int(fresh(), 16) % 10**6
    content, expected, kinds = csv_file(seed, 120)
    assert len(kinds) == 26, "every kind of broken row is in it"
    done = _bring(stack, content, columns=COLUMNS, attribution={}, consent=[])
    assert done["state"] == "Completed", (seed, done)
    assert done["rows_read"] == len(expected)
    for kind in ("stored", "joined", "pending", "refused"):
        assert done[kind] == sum(each.verdict == kind for each in expected), (seed, kind)
    assert done["share"] == 1.0
    rows = {int(row["row"]): row for row in _result(stack, done["id"])}
    assert len(rows) == len(expected)
    for each in expected:
        row = rows[each.row]
        assert (row["verdict"], row["rule"]) == (each.verdict, each.rule), row
        if each.joins:
            assert row["lead_id"] == rows[each.joins]["lead_id"]
    for row in rows.values():
        assert (row["verdict"] == "refused") == all(row[name] for name in ("field", "rule", "message", "accepted")), row
    notes = {row["notes"] for row in rows.values()}
    assert "Invalid (CAP-10): email: not an e-mail address" in notes
    assert "Invalid (CAP-10): phone: not a telephone number in GB" in notes
    assert "only the first 500 characters are kept (metadata.remarks)" in notes
    assert all(row["Phone"].startswith("'+") for row in rows.values() if "+" in row["Phone"])
    stored = next(row for row in rows.values() if row["verdict"] == "stored" and row["E-Mail"])
    lead = stack.ok("GET", f"/api/v1/leads/{stored['lead_id']}", user="admin")
    assert lead["channel"] == "import"
    assert lead["attribution"] == _ATTRIBUTION | {"derived": False}
    assert lead["phone"].startswith("+"), "neutralised where it leaves, kept as it came"


@pytest.mark.mission("CAP-7", "CAP-11")
@pytest.mark.fault("R30")
def test_the_same_file_again_adds_nothing_nor_do_the_same_people_in_another(stack: Stack) -> None:
    content, mails = _people(5)
    first = _bring(stack, content)
    assert (first["state"], first["stored"]) == ("Completed", 5)
    again = _bring(stack, content)
    assert (again["joined"], again["stored"], again["repeats"]) == (5, 0, first["id"])
    other = _bring(stack, content.replace(b"Ada", b"ADA"))
    assert (other["joined"], other["stored"], other["repeats"]) == (5, 0, "")
    first_leads = [row["lead_id"] for row in _result(stack, first["id"])]
    assert [row["lead_id"] for row in _result(stack, again["id"])] == first_leads
    assert [row["lead_id"] for row in _result(stack, other["id"])] == first_leads
    assert len(stack.ok("GET", "/api/v1/leads", user="admin", params={"scope": "all", "email": mails[0]})["leads"]) == 1


@pytest.mark.mission("CAP-7")
def test_a_workbook_with_a_formula_and_a_number_for_a_phone(stack: Stack) -> None:
    word = fresh()
    rows: list[list[Cell]] = [
        ["First Name", "Last Name", "Company", "E-Mail", "Phone", "Country"],
        ["Ada", f"L{word}", f"Firm {word}", f"{word}@{word}.example", 442070123456, "GB"],
    ]
    done = _bring(stack, workbook(rows, formulas={(1, 2): f"Firm {word}"}), kind="xlsx", file_name="list.xlsx")
    assert (done["state"], done["stored"]) == ("Completed", 1), done
    [row] = _result(stack, done["id"])
    assert "a formula" in row["notes"]
    lead = stack.ok("GET", f"/api/v1/leads/{row['lead_id']}", user="admin")
    assert (lead["phone"], lead["company"], lead["validation_status"]) == ("442070123456", f"Firm {word}", "Valid")


@pytest.mark.mission("CAP-7", "CAP-10")
@pytest.mark.fault("S12", "S13")
def test_a_file_that_cannot_be_read_fails_with_what_would_be_accepted(stack: Stack) -> None:
    unknown = _bring(stack, b"E-Mail,Favourite colour\nada@x.example,blue\n")
    assert unknown["state"] == "Failed"
    [problem] = unknown["problems"]
    assert (problem["field"], problem["rule"]) == ("columns.Favourite colour", "unknown-column")
    assert "first_name" in problem["accepted"]
    stack.refused("GET", f"{_PATH}/{unknown['id']}/result", expect=409, user="sdr")
    encrypted = _bring(stack, b"\xd0\xcf\x11\xe0" + bytes(100), kind="xlsx")
    assert encrypted["problems"][0]["rule"] == "encrypted-workbook"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", bytes(30_000_000))
    assert _bring(stack, bomb.getvalue(), kind="xlsx")["problems"][0]["rule"] == "workbook-bomb"


@pytest.mark.mission("CAP-7", "CAP-10")
@pytest.mark.fault("S2", "S12", "S13")
def test_what_is_asked_for_is_checked(stack: Stack) -> None:
    asked = {"file_name": "list.csv", "kind": "csv"}
    for wrong, field in (
        ({"file_name": "../list.csv"}, "file_name"),
        ({"kind": "pdf"}, "kind"),
        ({"importer_id": "USR_1"}, "importer_id"),
        ({"consent": [{"channel": "fax", "granted": True}]}, "consent.0.channel"),
    ):
        assert field in fields(stack.refused("POST", _PATH, expect=400, user="sdr", json=asked | wrong))
    stack.refused("POST", _PATH, expect=403, user="legal", json=asked)
    assert stack.call("POST", _PATH, json=asked).status_code == 401
    made = _ask(stack)
    upload = made["upload"]
    other = upload["fields"] | {"key": "uploads/IMP_OTHER"}
    assert httpx.post(upload["url"], data=other, files={"file": ("x", b"a")}).status_code == 403
    policy = json.loads(base64.b64decode(upload["fields"]["policy"]))
    assert ["content-length-range", 1, 50_000_000] in policy["conditions"]


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("S1")
def test_an_import_is_its_importers_their_managers_and_the_administrators(stack: Stack) -> None:
    content, _ = _people(1)
    done = _bring(stack, content)
    path = f"{_PATH}/{done['id']}"
    for user in ("sdr", "manager", "admin"):
        assert stack.ok("GET", path, user=user)["id"] == done["id"]
        stack.ok("GET", f"{path}/result", user=user)
    for user in ("rep", "support", "legal", "finance"):
        for method, where in (("GET", path), ("GET", f"{path}/result"), ("POST", f"{path}/cancel")):
            more: Json = {"json": {}} if method == "POST" else {}
            stack.refused(method, where, expect=404, user=user, **more)


@pytest.mark.mission("CAP-7")
def test_a_cancelled_import_stores_nothing(stack: Stack) -> None:
    content, mails = _people(2)
    made = _ask(stack)
    cancelled = stack.ok("POST", f"{_PATH}/{made['id']}/cancel", user="sdr", json={})
    assert cancelled["state"] == "Cancelled"
    assert _send(made, content).is_success
    other, _ = _people(1)
    _bring(stack, other)  # worked on after it
    assert _status(stack, made["id"])["stored"] == 0
    assert stack.ok("GET", "/api/v1/leads", user="admin", params={"scope": "all", "email": mails[0]})["leads"] == []


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R30", "R16")
def test_a_message_delivered_twice_changes_nothing(stack: Stack) -> None:
    content, _ = _people(3)
    done = _bring(stack, content)
    queue = stack.told["resources"]["ImportQueueUrl"]
    for _ in range(2):
        stack.aws("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps({"import_id": done["id"]}))
    other, _ = _people(1)
    _bring(stack, other)
    assert _status(stack, done["id"]) == done
    dead = stack.aws("sqs").get_queue_attributes(
        QueueUrl=stack.told["resources"]["ImportDeadLettersUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert dead["Attributes"]["ApproximateNumberOfMessages"] == "0"


@pytest.mark.mission("CAP-7")
def test_a_dry_run_says_what_would_be_and_stores_nothing(stack: Stack) -> None:
    content, mails = _people(2)
    done = _bring(stack, content + content.split(b"\n")[1] + b"\n", dry_run=True)
    assert (done["state"], done["stored"], done["joined"]) == ("Completed", 2, 1)
    assert stack.ok("GET", "/api/v1/leads", user="admin", params={"scope": "all", "email": mails[0]})["leads"] == []
