"""Rules as data: planned, previewed, applied over what was read, and in force soon after."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from revops.access import Policy
from revops.audit import WriteAudit
from revops.bootstrap.registry import settings_documents
from revops.kernel import IN_ORDER, CallContext, Invalid, NotFound, Principal, Role, TooLarge, VersionConflict
from revops.settings import SETTINGS, SettingsDocument, SettingsReader
from revops.settings.events import events
from revops.settings.model import SettingsRecord
from revops.settings.service import ChangeSettings
from revops.table import Transaction, begin
from tests.builders.clock import ManualClock
from tests.builders.memory_table import MemoryTable

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
ADMIN = CallContext(Principal("admin", Role.ADMIN), ip="203.0.113.9", request_id="r")


class Limits(SettingsDocument):
    """Rules of a test."""

    SETTING: ClassVar[str] = "limits"

    most: int = Field(default=5, ge=1)
    names: tuple[str, ...] = ()
    share: float = 0.5
    places: Annotated[frozenset[str], IN_ORDER] = frozenset()


class Desk:
    """One document, and what its preview was asked."""

    def __init__(self) -> None:
        self.table, self.clock = MemoryTable(), ManualClock()
        self.previewed: list[tuple[Any, Any]] = []
        self.change = ChangeSettings(self.table, self.clock, Policy(), {"limits": Limits}, {"limits": self._preview})

    def _preview(self, current: SettingsDocument, wanted: SettingsDocument) -> list[str]:
        self.previewed.append((current, wanted))
        return ["one line"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_defaults_hold_until_something_is_applied(desk: Desk) -> None:
    view = desk.change.read("limits", ADMIN)
    assert (view.version, view.content) == (0, {"most": 5, "names": [], "share": 0.5, "places": []})


def test_a_plan_shows_the_difference_and_what_it_would_have_meant_and_writes_nothing(desk: Desk) -> None:
    plan = desk.change.plan("limits", {"most": 7}, ADMIN)
    assert (plan.current_version, plan.preview) == (0, ["one line"])
    assert [(each.field, each.old, each.new) for each in plan.differences] == [("most", 5, 7)]
    assert desk.previewed == [(Limits(), Limits(most=7))]
    assert desk.table.changes == []


def test_applied_over_the_version_that_was_read_and_only_over_that(desk: Desk) -> None:
    assert desk.change.apply("limits", {"most": 7}, 0, ADMIN).version == 1
    assert desk.change.apply("limits", {"most": 8}, 1, ADMIN).version == 2
    with pytest.raises(VersionConflict) as stale:
        desk.change.apply("limits", {"most": 9}, 1, ADMIN)
    assert stale.value.extra == {"current_version": 2}
    with pytest.raises(VersionConflict):
        desk.change.apply("limits", {"most": 9}, 3, ADMIN)
    assert desk.change.read("limits", ADMIN).content["most"] == 8


def test_the_same_content_again_writes_nothing_whatever_version_is_named(desk: Desk) -> None:
    desk.change.apply("limits", {"most": 7, "names": ["a"]}, 0, ADMIN)
    written = len(desk.table.changes)
    for version in (0, 1, 5):
        assert desk.change.apply("limits", {"names": ["a"], "most": 7}, version, ADMIN).version == 1
    assert len(desk.table.changes) == written


@pytest.mark.fault("R19")
def test_what_somebody_applies_between_look_and_write_is_not_overwritten(desk: Desk) -> None:
    desk.change.apply("limits", {"most": 7}, 0, ADMIN)
    now = desk.clock.now

    def meanwhile() -> datetime:
        desk.clock.now = now  # type: ignore[method-assign]
        desk.change.apply("limits", {"most": 99}, 1, ADMIN)
        return now()

    desk.clock.now = meanwhile  # type: ignore[method-assign]
    with pytest.raises(VersionConflict):
        desk.change.apply("limits", {"most": 8}, 1, ADMIN)
    assert desk.change.read("limits", ADMIN).content["most"] == 99


@pytest.mark.fault("R19")
def test_of_two_who_apply_at_once_one_wins(desk: Desk) -> None:
    def meanwhile(_: Transaction) -> None:
        desk.table.before_commit = lambda _: None
        desk.change.apply("limits", {"most": 99}, 0, ADMIN)

    desk.table.before_commit = meanwhile
    with pytest.raises(VersionConflict):
        desk.change.apply("limits", {"most": 7}, 0, ADMIN)
    assert desk.change.read("limits", ADMIN).content["most"] == 99


@pytest.mark.fault("S2")
@pytest.mark.parametrize(
    ("content", "field", "accepted"),
    [
        ({"most": 0}, "content.most", ""),
        ({"more": 1}, "content.more", "leave it out"),
        ({"names": [1]}, "content.names.0", "a text"),
        ({"most": "x"}, "content.most", ""),
    ],
)
def test_a_content_that_does_not_fit_names_the_field(
    desk: Desk, content: dict[str, Any], field: str, accepted: str
) -> None:
    for act in (
        lambda: desk.change.plan("limits", content, ADMIN),
        lambda: desk.change.apply("limits", content, 0, ADMIN),
    ):
        with pytest.raises(Invalid) as refusal:
            act()
        assert [issue.field for issue in refusal.value.issues] == [field]
        assert [issue.accepted for issue in refusal.value.issues] == [accepted]
    assert desk.table.changes == []


@pytest.mark.fault("S17")
@pytest.mark.parametrize("name", ["", "nothing", "limits#x", "LIMITS", "../limits", "x" * 5_000])
def test_a_name_that_is_none(desk: Desk, name: str) -> None:
    for act in (
        lambda: desk.change.read(name, ADMIN),
        lambda: desk.change.plan(name, {}, ADMIN),
        lambda: desk.change.apply(name, {}, 0, ADMIN),
    ):
        with pytest.raises(NotFound):
            act()


@pytest.mark.mission("SAFE-1")
@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.ADMIN, Role.SYSTEM)])
def test_only_admins_know_of_settings_at_all(desk: Desk, role: Role) -> None:
    call = CallContext(Principal("u", role))
    for act in (
        lambda: desk.change.read("limits", call),
        lambda: desk.change.plan("limits", {}, call),
        lambda: desk.change.apply("limits", {}, 0, call),
    ):
        with pytest.raises(NotFound):
            act()


@pytest.mark.mission("SAFE-3", "BUS-1")
def test_each_applied_version_says_so_and_says_who(desk: Desk) -> None:
    desk.change.apply("limits", {"most": 7}, 0, ADMIN)
    desk.change.apply("limits", {"most": 8}, 1, ADMIN)
    said = [event for change in desk.table.changes for event in events(change)]
    assert [(event.name, event.data) for event in said] == [
        ("SettingsApplied", {"name": "limits", "settings_version": version}) for version in (1, 2)
    ]
    stamp = desk.table.rows[SETTINGS.key("limits")].stamp
    assert stamp is not None
    assert (stamp.by, stamp.ip) == ("admin", "203.0.113.9")


@pytest.mark.mission("SAFE-6")
def test_a_reader_has_a_change_within_its_time_to_live(desk: Desk) -> None:
    seconds = 0.0
    reader = SettingsReader(desk.table, monotonic=lambda: seconds)
    assert reader.read(Limits).most == 5
    desk.change.apply("limits", {"most": 7}, 0, ADMIN)
    assert reader.read(Limits).most == 5
    seconds = 31
    assert (reader.read(Limits).most, reader.versioned(Limits)[1]) == (7, 1)
    desk.change.apply("limits", {"most": 8}, 1, ADMIN)
    reader.forget()
    assert reader.read(Limits).most == 8


@pytest.mark.parametrize("name", sorted(settings_documents()))
def test_the_defaults_of_every_document_can_be_applied_and_read_back(name: str) -> None:
    kind, table = settings_documents()[name], MemoryTable()
    change = ChangeSettings(table, ManualClock(), Policy(), {name: kind}, {})
    view = change.apply(name, kind().model_dump(mode="json"), 0, ADMIN)
    assert SettingsReader(table).read(kind) == kind()
    assert change.plan(name, view.content, ADMIN).differences == []
    assert not {"version", "modified_at"} & set(kind.model_fields), "the audit would take them for bookkeeping"


def _applied_by_another_release(desk: Desk, content: dict[str, Any]) -> None:
    record = SettingsRecord(id="limits", created_at=NOW, modified_at=NOW, content=content)
    transaction = begin(ADMIN, NOW)
    SETTINGS.create(transaction, record)
    desk.table.commit(transaction)


def test_a_field_that_another_release_knew_is_passed_over_by_readers_and_plans(desk: Desk) -> None:
    _applied_by_another_release(desk, {"most": 7, "names": ["x"], "least": 1})
    assert SettingsReader(desk.table, ttl=0).versioned(Limits) == (Limits(most=7, names=("x",)), 1)
    assert [each.field for each in desk.change.plan("limits", {"most": 8, "names": ["x"]}, ADMIN).differences] == [
        "most"
    ]
    assert desk.change.apply("limits", {"most": 8}, 1, ADMIN).version == 2


def test_what_no_longer_fits_stops_its_readers_but_not_the_one_who_mends_it(desk: Desk) -> None:
    _applied_by_another_release(desk, {"most": "many"})
    with pytest.raises(ValueError, match="most"):
        SettingsReader(desk.table, ttl=0).read(Limits)
    assert desk.change.apply("limits", {"most": 6}, 1, ADMIN).version == 2
    assert SettingsReader(desk.table, ttl=0).read(Limits).most == 6


def test_what_no_longer_fits_is_shown_as_it_stands_and_the_defaults_mend_it(desk: Desk) -> None:
    _applied_by_another_release(desk, {"most": "many"})
    assert desk.change.read("limits", ADMIN).content == {"most": "many"}
    plan = desk.change.plan("limits", {}, ADMIN)
    assert ("most", "many", 5) in [(each.field, each.old, each.new) for each in plan.differences]
    assert desk.change.apply("limits", {}, 1, ADMIN).version == 2
    assert SettingsReader(desk.table, ttl=0).read(Limits) == Limits()


@pytest.mark.fault("S13")
@pytest.mark.parametrize("said", ["Infinity", "inf", "1e400", "NaN"])
def test_a_number_that_is_none_is_refused(desk: Desk, said: str) -> None:
    with pytest.raises(Invalid):
        desk.change.apply("limits", {"share": said}, 0, ADMIN)
    with pytest.raises(ValueError, match="finite"):
        settings_documents()["matching"].model_validate({"same_from": said})


@pytest.mark.mission("SAFE-3")
def test_what_the_audit_of_its_change_could_not_hold_is_refused(desk: Desk) -> None:
    """The entry of a change has the document as it was and as it is."""
    name = "é" * 1_000
    with pytest.raises(TooLarge, match="at most 190000"):
        desk.change.apply("limits", {"names": [name] * 95}, 0, ADMIN)
    for version in range(2):
        desk.change.apply("limits", {"names": [name] * 94 + ["x" * version]}, version, ADMIN)
    write = WriteAudit(desk.table, desk.clock)
    for change in [each for each in desk.table.changes if each.kind == SETTINGS.kind]:
        write(change)


def test_a_set_is_written_the_same_way_by_every_process(desk: Desk) -> None:
    places = [chr(ord("a") + number) * 3 for number in range(20)]
    view = desk.change.apply("limits", {"places": places[::-1]}, 0, ADMIN)
    assert view.content["places"] == places
    assert desk.change.apply("limits", {"places": places}, 0, ADMIN).version == 1
