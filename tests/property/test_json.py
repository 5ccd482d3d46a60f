"""JSON at the border: what the standard allows is read as the standard says, and nothing else is read at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revops.kernel import JsonError, canonical_json, parse_json
from revops.kernel.jsontext import MAX_DEPTH

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_reads_what_json_writes(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert parse_json(text) == json.loads(text) == value
    assert parse_json(text.encode()) == value


@given(st.text(max_size=60))
def test_takes_nothing_that_the_standard_parser_refuses(text: str) -> None:
    try:
        value = parse_json(text)
    except JsonError:
        return
    assert json.loads(text) == value


@given(st.binary(max_size=60))
def test_bytes_are_read_or_refused_and_never_crash(raw: bytes) -> None:
    try:
        parse_json(raw)
    except JsonError:
        return
    raw.decode("utf-8")


@given(VALUES)
def test_canonical_text_is_one_text_per_value(value: Any) -> None:
    text = canonical_json(value)
    assert parse_json(text) == value
    assert canonical_json(json.loads(text)) == text
    assert "\n" not in text


@given(st.dictionaries(TEXTS, st.integers(), min_size=2, max_size=8), st.randoms())
def test_canonical_text_does_not_depend_on_the_order_of_keys(value: dict[str, int], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)


@pytest.mark.fault("S13")
@given(TEXTS, VALUES, VALUES)
def test_a_key_that_stands_twice_is_refused_at_any_depth(name: str, first: Any, second: Any) -> None:
    key = json.dumps(name)
    text = f'[{{"deep":{{{key}:{json.dumps(first)},{key}:{json.dumps(second)}}}}}]'
    with pytest.raises(JsonError, match="twice"):
        parse_json(text)


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        "1e400",
        "-1e400",
        "1" * 21,
        "01",
        "+1",
        ".5",
        "1.",
        "'a'",
        "[1,]",
        '{"a":1,}',
        '{"a":1',
        "{} {}",
        "null garbage",
        '"\\ud800"',
        '["\\udc00\\ud800"]',
        '{"\\ud800": 1}',
        "\ufeff{}",
        '"a\nb"',
        "{a:1}",
        "// x\n1",
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a":' * 100_000,
        "[" * 100_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_refuses_with_words_for_the_sender(text: str) -> None:
    with pytest.raises(JsonError) as refusal:
        parse_json(text)
    assert 0 < len(str(refusal.value)) < 200


@pytest.mark.fault("S13")
@pytest.mark.parametrize("raw", [b"\xff", b'"\xc3"', b'"\xed\xa0\x80"', b'{"a":"\xfe"}', "{}".encode("utf-16")])
def test_refuses_bytes_that_are_not_utf8(raw: bytes) -> None:
    with pytest.raises(JsonError):
        parse_json(raw)


def test_as_deep_as_allowed_is_read_and_brackets_in_texts_do_not_count() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(parse_json(deepest)) == deepest
    assert parse_json('["' + "[{" * 500 + '\\"[["]') == ["[{" * 500 + '"[[']


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "😀"
