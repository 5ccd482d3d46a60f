"""The public form: the same answer and the same calls for everybody, and one submission however often it comes."""

from collections.abc import Callable
from typing import Any

import pytest

from revops.channels.form import StoredForm, submit_once
from revops.crm.submission import FormSubmission
from revops.inbox import INBOX, InboxStatus
from revops.kernel import Invalid, Unavailable
from revops.table import Transaction
from tests.builders.channels import Channels
from tests.builders.crm import CALL, submissions_of
from tests.builders.inbox import entries_about
from tests.builders.memory_table import MemoryTable

PERSON: dict[str, Any] = {
    "first_name": "Asha",
    "last_name": "Rao",
    "company": "Nordlicht GmbH",
    "email": "asha.rao@nordlicht.example",
    "phone": "+49 30 901820",
    "country": "DE",
    "consent": [{"channel": "email", "granted": True, "wording_version": "2026-03"}],
}


def post(channels: Channels, **changes: Any) -> str:
    return channels.receive_form()(FormSubmission.model_validate(PERSON | changes), "https://search.example/", CALL)


class Listening(MemoryTable):
    """Notes each call against the table: what is done to which kind of row."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def _noting(self, name: str, *keys: Any) -> None:
        self.calls.append((name, tuple(key.pk.split("#")[0] for key in keys)))

    def get(self, key: Any, consistent: bool = True) -> Any:
        self._noting("get", key)
        return super().get(key, consistent)

    def get_many(self, keys: Any, consistent: bool = True) -> Any:
        self._noting("get_many", *keys)
        return super().get_many(keys, consistent)

    def query(self, query: Any) -> Any:
        self.calls.append(("query", ()))
        return super().query(query)

    def commit(self, transaction: Transaction) -> None:
        self._noting("commit", *transaction.keys())
        super().commit(transaction)


@pytest.mark.mission("CAP-1", "CAP-11")
@pytest.mark.fault("S19")
def test_whoever_is_known_the_same_calls_are_made_and_the_same_is_answered() -> None:
    table = Listening()
    channels = Channels(table)
    post(channels)
    channels.work()
    assert len(channels.leads()) == 1
    seen = []
    for changes in (
        {},
        {"email": "ASHA.RAO@nordlicht.example"},
        {"email": "", "first_name": "Somebody"},
        {"email": "new@elsewhere.example", "phone": ""},
        {"email": "info@nordlicht.example"},
    ):
        table.calls.clear()
        receipt = post(channels, **changes)
        seen.append((list(table.calls), len(receipt), receipt.partition("_")[0]))
    assert len({str(each) for each in seen}) == 1, seen
    assert seen[0][0] == [("commit", ("INBOX",))]


@pytest.mark.mission("CAP-9", "CAP-10")
@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"consent": []}, "consent", "CAP-9 consent-required-eu-eea-uk"),
        ({"email": "", "phone": ""}, "email", "CAP-10 reachable"),
        ({"email": "nobody", "phone": "12"}, "email", "CAP-10 reachable"),
    ],
)
def test_what_can_be_told_at_once_is_refused_at_once_and_not_stored(
    changes: dict[str, Any], field: str, rule: str
) -> None:
    channels = Channels()
    with pytest.raises(Invalid) as refusal:
        post(channels, **changes)
    assert [(issue.field, issue.rule) for issue in refusal.value.issues] == [(field, rule)]
    assert channels.inbox() == []


@pytest.mark.mission("CAP-1", "CAP-9")
def test_the_lead_is_as_if_it_had_been_made_at_once() -> None:
    channels = Channels()
    receipt = post(channels, gclid="abc")
    assert channels.leads() == []
    assert channels.work() == ["new lead"]
    (lead,) = channels.leads()
    assert (lead.email, lead.channel, lead.attribution.source) == (PERSON["email"], "form", "Google Ads")
    assert lead.engagement[0].event == "form"
    record = channels.consents(lead)
    assert record is not None
    assert (record.entries[0].ip, record.entries[0].wording_version) == (CALL.ip, "2026-03")
    (entry,) = channels.inbox()
    assert (entry.event_id, entry.status) == (receipt, InboxStatus.APPLIED)
    last = [change.after for change in channels.table.changes if change.after and change.after.kind == "LEAD"][-1]
    assert last is not None
    assert last.stamp is not None
    assert (last.stamp.by, last.stamp.ip) == ("public:form", CALL.ip)


def _dies(channels: Channels, at: int) -> Callable[[Transaction], None]:
    """Kills the worker instead of its `at`-th commit."""
    made = 0

    def die(_: Transaction) -> None:
        nonlocal made
        made += 1
        if made == at:
            raise Unavailable("the worker was killed")

    return die


@pytest.mark.mission("CAP-1", "CAP-11")
@pytest.mark.fault("R3", "R4", "R16", "R26")
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("cut", [1, 2, None])
def test_an_entry_worked_on_again_adds_nothing(known: bool, cut: int | None) -> None:
    """A worker that dies before or after the lead, and an entry that is replayed after it was settled."""
    channels = Channels()
    if known:
        post(channels, first_name="A")
        channels.work()
    post(channels)
    if cut:
        channels.table.before_commit = _dies(channels, cut)
        assert channels.work()[-1].startswith("waits")
        channels.table.before_commit = lambda _: None
    channels.work()
    (lead,) = channels.leads()
    version, said = lead.version, len(submissions_of(channels.table, lead.id))
    assert said == (1 if known else 0)
    for entry in channels.inbox():
        channels.settlement.again(entry, CALL)
    channels.work()
    (again,) = channels.leads()
    assert (again.version, len(submissions_of(channels.table, lead.id))) == (version, said)
    assert not any(entry.waiting for entry in channels.inbox())


@pytest.mark.fault("R18")
def test_two_workers_with_one_entry_make_one_submission() -> None:
    channels = Channels()
    post(channels)
    (entry,) = channels.inbox()
    settle = channels.entries["form"]()
    assert settle(entry, CALL) == "new lead"
    assert settle(entry, CALL) == "new lead"  # the second had loaded it before the first settled it
    (lead,) = channels.leads()
    assert submissions_of(channels.table, lead.id) == []
    assert INBOX.require(channels.table, entry.id).version == 2


def test_an_entry_that_an_older_release_answered_is_settled_as_it_was() -> None:
    channels = Channels()
    post(channels)
    (entry,) = channels.inbox()
    channels.work()
    stored = StoredForm.model_validate_json(entry.body)
    read_anew = stored.submission.model_copy(update={"company": "read in another way"})
    public = CALL.__class__(CALL.principal.__class__("public:form", CALL.principal.role))
    assert submit_once(channels.submit, read_anew, entry, public) == "submitted before"


@pytest.mark.mission("SAFE-4")
@pytest.mark.fault("S17")
def test_what_a_person_sent_is_found_by_a_subject_that_is_no_text_of_theirs() -> None:
    channels = Channels()
    post(channels)
    post(channels, email="Asha.Rao@NORDLICHT.example", first_name="A.")
    first, second = channels.inbox()
    assert first.subject == second.subject
    assert len(entries_about(channels.table, "form", first.subject)) == 2
    for row in channels.table.rows.values():
        parts = (part for pair in row.index.values() for part in pair)
        assert "asha" not in " ".join([row.pk, row.sk, *parts]).casefold()


@pytest.mark.fault("R26")
def test_nothing_is_acknowledged_that_is_not_stored() -> None:
    channels = Channels()

    def refuse(_: Transaction) -> None:
        raise Unavailable("the table did not answer")

    channels.table.before_commit = refuse
    with pytest.raises(Unavailable):
        post(channels)


def test_the_largest_form_is_stored_whole() -> None:
    channels = Channels()
    post(channels, company="\U0001f600" * 120, **{f"field_{n}": '"\\' * 250 for n in range(40)})
    (entry,) = channels.inbox()
    assert entry.blob == ""
    assert channels.work() == ["new lead"]
    (lead,) = channels.leads()
    assert len(lead.metadata) == 20
