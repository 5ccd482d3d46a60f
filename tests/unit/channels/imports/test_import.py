"""An import from its request to its result file."""

import itertools
import json
from collections import Counter
from typing import Any

import pytest

from revops.channels.imports.model import ImportState, RowVerdict, Verdict
from revops.crm.consent import CONSENTS
from revops.crm.store import LEADS
from revops.kernel import Refused, Unavailable
from revops.table import Key, Put, Throttled, Transaction
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission
from tests.builders.imports import ATTRIBUTION, CONSENT, HEADER, SELLER, Importing, Killed, bring, leads, person
from tests.builders.lists import csv_file
from tests.builders.memory_table import MemoryTable
from tests.builders.workbooks import Cell, workbook


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def importing(table: MemoryTable) -> Importing:
    return Importing(table, "sdr-1", "sdr-2", "sdr-3")


def kinds_in(transaction: Transaction) -> set[str]:
    return {operation.row.kind for operation in transaction.operations if isinstance(operation, Put)}


def wrong(importing: Importing, import_id: str, expected: list[object]) -> list[object]:
    """What did not become of its row what must."""
    got = {verdict.row: verdict for verdict in importing.verdicts(import_id)}
    assert len(got) == len(expected)
    return [each for each in expected if not _fits(each, got)]


def _fits(each: object, got: dict[int, RowVerdict]) -> bool:
    row, verdict, rule, joins = (getattr(each, name) for name in ("row", "verdict", "rule", "joins"))
    said = got[row]
    ruled = said.issue.rule if said.issue else ""
    return (said.verdict, ruled) == (verdict, rule) and (not joins or said.lead_id == got[joins].lead_id)


# ── every row its verdict ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-7", "CAP-8", "CAP-9", "CAP-10", "CAP-11")
@pytest.mark.fault("R30", "S14")
def test_every_row_of_a_list_with_every_kind_of_broken_row_gets_its_verdict(
    importing: Importing, table: MemoryTable
) -> None:
    content, expected, kinds = csv_file(20261120, 400)
    assert len(kinds) == 26, kinds
    import_id = importing.bring(content)
    status = importing.status(import_id)
    assert status.job.state is ImportState.COMPLETED
    assert wrong(importing, import_id, list(expected)) == []
    assert status.progress.counts == Counter(each.verdict for each in expected)
    for said in importing.verdicts(import_id):
        issue = said.issue
        named = issue is not None and all((issue.field, issue.rule, issue.message, issue.accepted))
        assert named is (said.verdict is Verdict.REFUSED), said
    notes = {note for said in importing.verdicts(import_id) for note in said.notes}
    assert notes >= {
        "Invalid (CAP-10): email: not an e-mail address",
        "Invalid (CAP-10): phone: not a telephone number in GB",
        "Pending (CAP-10): email is missing",
        "only the first 500 characters are kept (metadata.remarks)",
    }
    made = [each for each in expected if each.verdict in ("stored", "pending")]
    assert len(leads(table)) == len(made)
    assert len({lead.person_id for lead in leads(table)}) == len(made)


@pytest.mark.mission("CAP-7", "CAP-12")
def test_owners_get_the_same_number_and_no_ticket_is_lost(importing: Importing, table: MemoryTable) -> None:
    content, _, _ = csv_file(3, 200)
    importing.bring(content)
    counts = Counter(lead.owner_id for lead in leads(table))
    assert max(counts.values()) - min(counts.values()) <= 1
    pool = json.loads(table.rows[Key("TICKET#sdr", "TICKET")].doc)
    back = sum(last - first + 1 for first, last in pool.get("back", []))
    assert pool["next"] - back == len(leads(table))


@pytest.mark.mission("CAP-7", "CAP-11")
@pytest.mark.fault("R30")
def test_the_same_file_again_adds_nothing_nor_does_a_changed_one(importing: Importing, table: MemoryTable) -> None:
    content, expected, _ = csv_file(5, 200)
    first = importing.bring(content)
    stood = {lead.id for lead in leads(table)}
    again = importing.bring(content)
    assert importing.status(again).job.repeats == first
    assert {lead.id for lead in leads(table)} == stood
    verdicts = {verdict.row: verdict for verdict in importing.verdicts(again)}
    for verdict in importing.verdicts(first):
        same = verdicts[verdict.row]
        assert same.lead_id == verdict.lead_id
        assert same.verdict is (Verdict.REFUSED if verdict.verdict is Verdict.REFUSED else Verdict.JOINED)
    other = importing.bring(content + b"\r\n")
    assert importing.status(other).job.repeats == ""
    assert {lead.id for lead in leads(table)} == stood
    assert importing.status(other).progress.counts[Verdict.JOINED] == sum(e.verdict != "refused" for e in expected)


@pytest.mark.mission("CAP-7")
def test_another_word_about_the_same_file_is_another_import(importing: Importing) -> None:
    line = person("meyer")
    bring(importing, line)
    other = bring(importing, line, attribution=ATTRIBUTION | {"campaign": "spring"})
    assert importing.status(other).job.repeats == ""


# ── killed, twice, cancelled ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R30", "R3")
@pytest.mark.parametrize("step", range(1, 34, 3))
def test_a_worker_killed_at_any_commit_is_gone_on_from_without_a_lost_or_double_row(
    importing: Importing, table: MemoryTable, step: int
) -> None:
    clock = importing.clock
    assert isinstance(clock, ManualClock)
    content, expected, _ = csv_file(step, 130)
    import_id = importing.upload(content)
    commits = [0]

    def count(transaction: Transaction) -> None:
        commits[0] += 1
        if commits[0] >= step:
            raise Killed

    table.before_commit = count
    with pytest.raises(Killed):
        importing.run(import_id)
    table.before_commit = lambda _: None
    clock.advance(minutes=20)
    importing.finish(import_id)
    assert importing.status(import_id).job.state is ImportState.COMPLETED
    assert wrong(importing, import_id, list(expected)) == []
    made = [each for each in expected if each.verdict in ("stored", "pending")]
    assert len(leads(table)) == len(made)
    assert importing.status(import_id).progress.rows == len(expected)


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R30")
def test_a_worker_whose_time_is_up_hands_on(importing: Importing, table: MemoryTable) -> None:
    content, expected, _ = csv_file(9, 220)
    import_id = importing.upload(content)
    importing.queued.append(import_id)
    for seconds in (10.0, 10.0, 10.0, 900.0):
        importing.run(importing.queued.pop(), seconds_left=itertools.repeat(seconds).__next__)
    assert importing.queued == []
    assert importing.status(import_id).job.state is ImportState.COMPLETED
    assert wrong(importing, import_id, list(expected)) == []


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R30", "R12")
def test_a_worker_that_fails_lets_go_for_the_message_that_comes_again_at_once(importing: Importing) -> None:
    content, expected, _ = csv_file(17, 130)
    import_id = importing.upload(content)
    kept = importing.files.write

    def refuse(*_: Any) -> None:
        importing.files.write = kept  # type: ignore[method-assign]
        raise Unavailable("the bucket does not answer")

    importing.files.write = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable, match="bucket"):
        importing.run(import_id)
    importing.finish(import_id)
    assert importing.status(import_id).job.state is ImportState.COMPLETED
    assert wrong(importing, import_id, list(expected)) == []


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R30", "R5")
@pytest.mark.parametrize("step", [2, 5, 9])
def test_a_message_is_kept_as_long_as_a_worker_that_failed_may_have_the_import(
    importing: Importing, table: MemoryTable, step: int
) -> None:
    clock = importing.clock
    assert isinstance(clock, ManualClock)
    content, expected, _ = csv_file(19, 130)
    import_id = importing.upload(content)
    commits = [0]

    def throttle(_: Transaction) -> None:
        commits[0] += 1
        if commits[0] >= step:
            raise Throttled("the table takes nothing")

    table.before_commit = throttle
    with pytest.raises(Throttled):
        importing.run(import_id)
    table.before_commit = lambda _: None
    clock.advance(seconds=5)
    with pytest.raises(Unavailable, match="another worker"):
        importing.run(import_id)
    clock.advance(minutes=4)
    importing.finish(import_id)
    assert importing.status(import_id).job.state is ImportState.COMPLETED
    assert wrong(importing, import_id, list(expected)) == []


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R16", "R1")
def test_a_message_that_comes_twice_waits_for_another_worker_or_finds_nothing_to_do(
    importing: Importing, table: MemoryTable
) -> None:
    content, expected, _ = csv_file(11, 120)
    import_id = importing.upload(content)
    seen: list[str] = []

    def step_in(_: Transaction) -> None:
        if len(seen) == 0:
            seen.append("")
            with pytest.raises(Unavailable) as told:
                importing.run(import_id)
            seen[0] = told.value.detail

    started = [0]

    def later(transaction: Transaction) -> None:
        started[0] += 1
        if started[0] == 5:
            step_in(transaction)

    table.before_commit = later
    importing.finish(import_id)
    assert seen == ["another worker has the import"]
    assert importing.run(import_id) == "settled before"
    assert wrong(importing, import_id, list(expected)) == []


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R30")
def test_a_worker_taken_for_dead_can_commit_nothing_any_more(importing: Importing, table: MemoryTable) -> None:
    clock = importing.clock
    assert isinstance(clock, ManualClock)
    content, expected, _ = csv_file(13, 150)
    import_id = importing.upload(content)
    started, taken = [0], [0]

    def take_over(_: Transaction) -> None:
        started[0] += 1
        if started[0] == 12:
            taken[0] = 1
            clock.advance(minutes=20)
            importing.run(import_id)

    table.before_commit = take_over
    outcome = importing.run(import_id)
    assert taken == [1]
    assert outcome == "another worker took it over"
    assert importing.status(import_id).job.state is ImportState.COMPLETED
    assert wrong(importing, import_id, list(expected)) == []
    assert len(leads(table)) == sum(each.verdict in ("stored", "pending") for each in expected)


@pytest.mark.mission("CAP-7")
def test_a_cancelled_import_stops_and_what_is_done_stays_done(importing: Importing, table: MemoryTable) -> None:
    content, _, _ = csv_file(15, 200)
    import_id = importing.upload(content)
    started = [0]

    def cancel(_: Transaction) -> None:
        started[0] += 1
        if started[0] == 20:
            importing.cancel(import_id, SELLER)

    table.before_commit = cancel
    importing.run(import_id)
    status = importing.status(import_id)
    assert status.job.state is ImportState.CANCELLED
    assert 0 < status.progress.rows < 200
    assert len(importing.result(import_id).splitlines()) >= status.progress.rows
    stored = len(leads(table))
    assert importing.cancel(import_id, SELLER).job.state is ImportState.CANCELLED
    importing.finish(import_id)
    assert len(leads(table)) == stored
    again = importing.bring(content)
    assert importing.status(again).job.state is ImportState.COMPLETED


@pytest.mark.mission("CAP-7", "CAP-11")
@pytest.mark.fault("R18")
def test_somebody_quicker_costs_a_block_and_no_row(importing: Importing, table: MemoryTable) -> None:
    """The same person comes by another channel between the look and the commit."""
    names = "adler bruno corvin dante elster falke gamba hodak ibisch jurek kolbe lodar munzo nerval opitz".split()
    lines = [person(name) for name in names]
    met = [0]

    def meanwhile(transaction: Transaction) -> None:
        if met[0] == 0 and LEADS.kind in kinds_in(transaction):
            met[0] = 1
            importing.submit(submission(email="corvin@corvin.example", last_name="Other", phone=""), CALL)

    table.before_commit = meanwhile
    import_id = bring(importing, *lines)
    counts = importing.status(import_id).progress.counts
    assert counts == {Verdict.STORED: len(names) - 1, Verdict.JOINED: 1}
    assert len(leads(table)) == len(names)


# ── what a row says ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-9")
def test_a_rows_own_consent_goes_before_the_imports(importing: Importing, table: MemoryTable) -> None:
    header = b"E-Mail,Country,Consent,consent whatsapp,wording version\n"
    bring(importing, b"a@a1.example,DE,no,ja,2026-09", b"b@b1.example,DE,,,", header=header)
    said = {lead.email: CONSENTS.require(table, lead.person_id) for lead in leads(table)}
    first = {entry.channel: (entry.granted, entry.wording_version) for entry in said["a@a1.example"].entries}
    assert first == {"email": (False, "2026-09"), "whatsapp": (True, "2026-09")}
    second = {entry.channel: (entry.granted, entry.source) for entry in said["b@b1.example"].entries}
    assert second == {"email": (True, "import")}


@pytest.mark.mission("CAP-9")
def test_a_formula_of_consent_without_its_value_is_not_the_consent_of_the_list(
    importing: Importing, table: MemoryTable
) -> None:
    rows: list[list[Cell]] = [["E-Mail", "Country", "Consent"]]
    rows += [[f"p{number}@p{number}.example", "DE", "x"] for number in range(3)]
    content = workbook(rows, formulas={(1, 2): None, (2, 2): "no"})
    import_id = importing.bring(content, "xlsx", columns={}, attribution=ATTRIBUTION, consent=CONSENT)
    unknown, withheld, granted = importing.verdicts(import_id)
    assert unknown.issue is not None
    assert (unknown.issue.field, unknown.issue.rule) == ("consent", "CAP-9 consent-value")
    assert unknown.issue.message == "a formula: it was saved without a value"
    assert [said.verdict for said in (withheld, granted)] == [Verdict.STORED] * 2
    assert {lead.email: lead.gdpr_consent for lead in leads(table)} == {"p1@p1.example": False, "p2@p2.example": True}


@pytest.mark.mission("CAP-9", "CAP-11")
@pytest.mark.fault("S21")
def test_who_is_known_by_a_shared_mailbox_alone_takes_a_consent_back_by_a_list(
    importing: Importing, table: MemoryTable
) -> None:
    header = b"First Name,Last Name,Company,E-Mail,Country,Consent\n"
    line = b"Asha,Rao,Nordlicht,info@nordlicht.example,DE,"
    bring(importing, line + b"yes", header=header)
    [lead] = leads(table)
    assert CONSENTS.require(table, lead.person_id).marketing
    import_id = bring(importing, line + b"no", line + b"no", header=header)
    assert [(said.verdict, said.lead_id) for said in importing.verdicts(import_id)] == [(Verdict.JOINED, lead.id)] * 2
    assert [said.granted for said in CONSENTS.require(table, lead.person_id).entries] == [True, False]
    [lead] = leads(table)
    assert not lead.gdpr_consent


@pytest.mark.mission("CAP-9")
@pytest.mark.fault("S21")
def test_a_list_does_not_turn_a_withdrawal_into_consent_and_says_so(importing: Importing, table: MemoryTable) -> None:
    header = b"E-Mail,Country,Consent,Consent WhatsApp\n"
    bring(importing, b"a@a1.example,DE,yes,", header=header)
    bring(importing, b"a@a1.example,DE,no,", header=header)
    import_id = bring(importing, b"a@a1.example,DE,yes,yes", header=header)
    [verdict] = importing.verdicts(import_id)
    assert verdict.verdict is Verdict.JOINED
    assert verdict.notes == ("CAP-9: marketing consent for email was refused before: no list changes that",)
    [lead] = leads(table)
    said = {entry.channel: entry.granted for entry in CONSENTS.require(table, lead.person_id).in_force}
    assert said == {"email": False, "whatsapp": True}, "of what was never refused a list may speak"


@pytest.mark.mission("CAP-8", "CAP-9", "CAP-10")
def test_a_refusal_names_field_and_rule_and_what_would_be_accepted(importing: Importing) -> None:
    import_id = bring(importing, person("one"), consent=[])
    [verdict] = importing.verdicts(import_id)
    assert verdict.issue is not None
    assert (verdict.issue.field, verdict.issue.rule) == ("consent", "CAP-9 consent-required-eu-eea-uk")
    assert verdict.issue.accepted == "yes or no in a column of consent, or consent for the whole list"
    import_id = bring(importing, person("two"), attribution={"source": "Fair"})
    [verdict] = importing.verdicts(import_id)
    assert verdict.issue is not None
    assert (verdict.issue.field, verdict.issue.rule) == ("attribution.campaign", "CAP-8 attribution-required")


@pytest.mark.mission("CAP-8")
def test_a_refusal_names_everything_that_is_wrong_with_the_row(importing: Importing) -> None:
    import_id = bring(importing, person("one"), attribution={"source": "Fair"})
    [verdict] = importing.verdicts(import_id)
    assert verdict.notes == ("attribution.medium: is missing", "attribution.term: is missing")


@pytest.mark.mission("CAP-7", "CAP-10")
def test_what_a_row_says_and_nobody_keeps_is_said(importing: Importing, table: MemoryTable) -> None:
    header = b"E-Mail, ,Country,Remarks\n"
    long = b'"' + b"\n".join(b"line %d" % number for number in range(200)) + b'"'
    lines = (b"a@a1.example,,US," + long, b"b@b1.example,odd,US," + b" " * 2_500 + b"x", b"c@c1.example,,US,x")
    import_id = bring(importing, *lines, header=header, columns={"Remarks": "metadata.remarks"})
    cut = "only the first 500 characters are kept (metadata.remarks)"
    left = "left out: its column has no name (column 2)"
    assert [verdict.notes[1:] for verdict in importing.verdicts(import_id)] == [(cut,), (cut, left), ()]
    assert len(next(lead for lead in leads(table) if lead.email == "a@a1.example").metadata["remarks"]) == 500


@pytest.mark.mission("CAP-7")
@pytest.mark.fault("R24", "R30")
@pytest.mark.parametrize("consent", [[], CONSENT])
def test_a_workbook_of_nothing_but_formulas_has_its_verdicts(importing: Importing, consent: list[Any]) -> None:
    """A note for each of so many cells would be more than a row of the table takes for a hundred of them."""
    extra = [f"Computed column number {number}" for number in range(150)]
    rows: list[list[Cell]] = [["E-Mail", "Country", *extra]]
    rows += [[f"p{number}@p{number}.example", "DE", *(["1"] * len(extra))] for number in range(110)]
    formulas: dict[tuple[int, int], str | None] = {
        (row, column): "1" for row in range(1, len(rows)) for column in range(2, len(extra) + 2)
    }
    columns = dict.fromkeys(extra, "")
    content = workbook(rows, formulas=formulas)
    asked = {"columns": columns, "attribution": ATTRIBUTION, "consent": consent}
    import_id = importing.bring(content, "xlsx", **asked)
    status = importing.status(import_id)
    assert status.job.state is ImportState.COMPLETED
    assert status.progress.counts == {Verdict.STORED if consent else Verdict.REFUSED: 110}
    for verdict in importing.verdicts(import_id):
        said = next(note for note in verdict.notes if note.startswith("a formula"))
        assert said.startswith("a formula: its last calculated value was used (Computed column number 0, ")
        assert said.endswith("…")


@pytest.mark.mission("CAP-10")
def test_an_incomplete_row_is_stored_and_says_what_is_missing(importing: Importing, table: MemoryTable) -> None:
    import_id = bring(importing, b",,,x@y1.example,12,US")
    [verdict] = importing.verdicts(import_id)
    assert verdict.verdict is Verdict.STORED
    assert verdict.notes == (
        "Invalid (CAP-10): first_name is missing; last_name is missing; company is missing; "
        "phone: not a telephone number in US",
    )
    import_id = bring(importing, b"Ada,One,Y1,x@y1.example,12,US")
    [verdict] = importing.verdicts(import_id)
    assert (verdict.verdict, verdict.notes) == (Verdict.JOINED, ("phone: not a telephone number in US",))
    assert leads(table)[0].phone == "12", "what cannot be read stands as it came"


@pytest.mark.mission("CAP-11")
def test_a_row_that_waits_says_why_and_not_who(importing: Importing, table: MemoryTable) -> None:
    first = b"Asha,Rao,Nordlicht Optik,asha@nordlicht-optik.example,+442070123456,GB"
    second = first.replace(b"asha@", b"a.rao@")
    import_id = bring(importing, first, second)
    waits = importing.verdicts(import_id)[1]
    assert waits.verdict is Verdict.PENDING
    assert "last_name 1.00" in waits.why
    assert leads(table)[0].id not in waits.why


# ── what is wrong with a file as a whole ──────────────────────────────────────────────────────────────────────────


@pytest.mark.mission("CAP-7", "CAP-10")
@pytest.mark.parametrize(
    ("content", "said", "field", "rule"),
    [
        (b"", {}, "file", "header"),
        (b"E-Mail,Colour\na@b.example,red\n", {}, "columns.Colour", "unknown-column"),
        (b"E-Mail,mail\na@b.example,c@d.example\n", {}, "columns.email", "one-column-per-field"),
        (b"Company,Country\nA,GB\n", {}, "columns", "CAP-10 reachable"),
        (b"E-Mail\na@b.example\n", {"columns": {"Stand": "metadata.stand"}}, "columns.Stand", "no-such-column"),
        (b"E-Mail,Boss\na@b.example,x\n", {"columns": {"Boss": "owner_id"}}, "columns.Boss", "no-such-field"),
        (b"PK\x03\x04rest of a workbook", {}, "file", "csv"),
        (b"\xd0\xcf\x11\xe0rest of a workbook", {}, "file", "csv"),
    ],
)
def test_a_file_that_does_not_fit_fails_naming_what_would(
    importing: Importing, table: MemoryTable, content: bytes, said: dict[str, Any], field: str, rule: str
) -> None:
    asked: dict[str, Any] = {"columns": {}, "attribution": ATTRIBUTION} | said
    import_id = importing.bring(content, **asked)
    job = importing.status(import_id).job
    assert job.state is ImportState.FAILED
    assert (job.problems[0].field, job.problems[0].rule) == (field, rule)
    assert job.problems[0].accepted
    assert leads(table) == []
    with pytest.raises(Refused, match="see the problems"):
        importing.read.result_url(import_id, SELLER)


@pytest.mark.mission("CAP-7")
def test_a_file_without_rows_is_done_and_has_no_result(importing: Importing) -> None:
    import_id = bring(importing)
    status = importing.status(import_id)
    assert (status.job.state, status.progress.rows, status.job.problems) == (ImportState.COMPLETED, 0, ())
    with pytest.raises(Refused, match="a header and no rows"):
        importing.read.result_url(import_id, SELLER)
    import_id = importing.upload(person("one"))
    importing.cancel(import_id, SELLER)
    with pytest.raises(Refused, match="cancelled before"):
        importing.read.result_url(import_id, SELLER)


@pytest.mark.mission("CAP-7")
def test_a_file_that_comes_after_the_cancelling_leaves_the_import_cancelled(
    importing: Importing, table: MemoryTable
) -> None:
    for content in (b"what,is,this\n1,2,3\n", b"PK\x03\x04", HEADER + person("late")):
        import_id = importing.upload(content)
        importing.cancel(import_id, SELLER)
        importing.finish(import_id)
        assert importing.status(import_id).job.state is ImportState.CANCELLED
    assert leads(table) == []


@pytest.mark.mission("CAP-7")
def test_headers_are_recognised_by_their_words(importing: Importing, table: MemoryTable) -> None:
    header = "VORNAME;Family_Name;Société;E-Mail Address;Telefon;Land;Boss\n".encode()
    bring(
        importing, "Jörg;Groß;Löwe AG;joerg@loewe.example;030 901820;DE;x".encode(), header=header, columns={"boss": ""}
    )
    [lead] = leads(table)
    assert (lead.first_name, lead.last_name, lead.company) == ("Jörg", "Groß", "Löwe AG")
    assert lead.validation_status == "Valid"
