"""Times are aware, in UTC and sort as text; errors carry what may be told and nothing else."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from revops.kernel import (
    CallContext,
    Conflict,
    DomainError,
    FieldIssue,
    Invalid,
    NotFound,
    Role,
    TooLarge,
    Unavailable,
    VersionConflict,
    add_months,
    issue_of,
    parse_time,
    system_call,
    term_day,
    time_text,
)
from revops.table import Contention, Throttled


@pytest.mark.mission("SAFE-5")
@pytest.mark.fault("R25")
def test_text_order_is_time_order_and_every_zone_is_one_instant() -> None:
    start = datetime(2024, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    moments = [start + timedelta(hours=7 * n, microseconds=n) for n in range(4_000)]
    texts = [time_text(moment) for moment in moments]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {27}
    assert [parse_time(text) for text in texts] == moments
    for hours in range(-12, 13):
        zone = timezone(timedelta(hours=hours))
        assert [time_text(moment.astimezone(zone)) for moment in moments[::200]] == texts[::200]


@pytest.mark.mission("SAFE-5")
def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError):
        time_text(datetime(2026, 1, 1))  # noqa: DTZ001 - the point
    with pytest.raises(ValueError):
        parse_time("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("error", "status", "retryable"),
    [
        (Invalid("x"), 400, False),
        (NotFound("lead"), 404, False),
        (Conflict("x"), 409, False),
        (VersionConflict("x", 3), 409, False),
        (TooLarge("x"), 413, False),
        (Unavailable("x"), 503, True),
        (Contention("x"), 503, True),
        (Throttled("x"), 503, True),
    ],
)
def test_which_errors_are_worth_trying_again(error: DomainError, status: int, retryable: bool) -> None:
    assert (error.status, error.retryable) == (status, retryable)


def test_a_version_conflict_says_which_version_stands() -> None:
    assert VersionConflict("x", 3).extra == {"current_version": 3}
    assert VersionConflict("x").extra == {}


def test_not_found_repeats_only_the_beginning_of_what_was_asked() -> None:
    assert len(NotFound("lead", "x" * 5_000).detail) < 100


def test_the_system_says_which_part_acts_and_for_whom() -> None:
    call = system_call("score_leads", "event-1", on_behalf_of="user-1")
    assert call.principal.role is Role.SYSTEM
    assert (call.principal.id, call.causation_id, call.on_behalf_of) == ("system:score_leads", "event-1", "user-1")
    assert isinstance(call, CallContext)


@pytest.mark.fault("R25")
def test_months_end_where_they_end() -> None:
    assert add_months(date(2028, 2, 29), 12) == date(2029, 2, 28)
    assert add_months(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert add_months(date(2026, 11, 30), 3) == date(2027, 2, 28)
    assert add_months(date(2026, 12, 1), 1) == date(2027, 1, 1)
    assert add_months(date(2027, 2, 28), 1, 31) == date(2027, 3, 31)


@pytest.mark.fault("R25")
def test_terms_one_after_the_other_end_where_terms_counted_from_the_first_day_do() -> None:
    for first in (date(2027, 1, 1) + timedelta(days=n) for n in range(800)):
        for months in (1, 3, 5, 12):
            end = add_months(first, months)
            day = term_day(first, end)
            for number in range(2, 30):
                end = add_months(end, months, day)
                assert end == add_months(first, number * months)


def test_an_end_that_was_agreed_otherwise_has_a_day_of_its_own() -> None:
    assert term_day(date(2027, 1, 31), date(2027, 2, 27)) == 27
    assert term_day(date(2027, 3, 1), date(2027, 4, 30), 31) == 31


def test_what_does_not_fit_is_told_in_words_that_any_language_knows() -> None:
    told = {
        "missing": ("is missing", ""),
        "tuple_type": ("is no list", "a list"),
        "dict_type": ("is no object", "an object"),
        "string_type": ("is no text", "a text"),
        "value_error": ("an absence ends after it starts", ""),
    }
    for rule, (message, accepted) in told.items():
        found = {"type": rule, "msg": "Value error, an absence ends after it starts"}
        assert issue_of(found, ("body", 0)) == FieldIssue("body.0", rule, message, accepted)
    enum = {"type": "enum", "msg": "Input should be 'a' or 'b'", "ctx": {"expected": "'a' or 'b'"}}
    assert issue_of(enum, ("kind",)).accepted == "'a' or 'b'"
