"""Cursors: only for their caller, only for their list, unaltered; and lists paged by them without holes or repeats."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revops.kernel import Invalid
from revops.table import CursorSigner, Query, Row, Stamp, Transaction, merge_pages
from revops.table.transaction import ABSENT
from tests.builders.memory_table import MemoryTable

SIGNER = CursorSigner(b"local-signing-key")
BINDING = {"who": "user-1", "list": "leads/mine"}
POSITIONS = st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=16)


@given(POSITIONS)
def test_comes_back_as_it_went(positions: dict[str, str]) -> None:
    assert SIGNER.open(SIGNER.sign(positions, BINDING), BINDING) == positions


@pytest.mark.fault("S18")
@given(POSITIONS, st.data())
def test_altered_in_any_character_it_is_refused(positions: dict[str, str], data: st.DataObject) -> None:
    cursor = SIGNER.sign(positions, BINDING)
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda char: char != cursor[place]))
    for forged in (cursor[:place] + other + cursor[place + 1 :], cursor[:place] + cursor[place + 1 :], cursor + other):
        with pytest.raises(Invalid):
            SIGNER.open(forged, BINDING)


@pytest.mark.fault("S18")
@pytest.mark.parametrize(
    "binding", [{**BINDING, "who": "user-2"}, {**BINDING, "list": "leads/all"}, {}, {**BINDING, "more": ""}]
)
def test_of_another_caller_or_list_it_is_refused(binding: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        SIGNER.open(SIGNER.sign({"0": "x"}, BINDING), binding)


@pytest.mark.fault("S18")
@given(st.text(max_size=80))
def test_made_up_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        SIGNER.open(text, BINDING)


def test_of_another_key_it_is_refused() -> None:
    with pytest.raises(Invalid):
        CursorSigner(b"another-local-key").open(SIGNER.sign({}, BINDING), BINDING)


def _insert(table: MemoryTable, shard: int, rank: str) -> None:
    transaction = Transaction(Stamp("2026-11-20T09:00:00.000000Z", "test"))
    transaction.put(Row(pk=f"R#{rank}", sk="R", kind="R", index={"gsi1": (f"LIST#{shard}", rank)}), ABSENT)
    table.commit(transaction)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6)), max_size=40, unique_by=lambda entry: entry[1]),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6)), max_size=20, unique_by=lambda entry: entry[1]),
    st.integers(1, 7),
    st.booleans(),
)
@settings(max_examples=150)
def test_paging_shows_each_row_once_in_order_while_others_are_inserted(
    first: list[tuple[int, int]], later: list[tuple[int, int]], limit: int, descending: bool
) -> None:
    table = MemoryTable()
    taken = {rank for _, rank in first}
    waiting = [(shard, rank) for shard, rank in later if rank not in taken]
    for shard, rank in first:
        _insert(table, shard, f"{rank:07d}")
    partitions = {str(n): Query(pk=f"LIST#{n}", index="gsi1", descending=descending) for n in range(4)}
    seen: list[str] = []
    positions: dict[str, str] = {}
    for _ in range(100):
        rows, positions = merge_pages(table, partitions, positions, limit, lambda row: row.index["gsi1"][1])
        assert len(rows) <= limit
        seen += [row.index["gsi1"][1] for row in rows]
        positions = SIGNER.open(SIGNER.sign(positions, BINDING), BINDING)
        if not positions:
            break
        if waiting:
            shard, rank = waiting.pop()
            _insert(table, shard, f"{rank:07d}")
    assert len(seen) == len(set(seen))
    stood = sorted((f"{rank:07d}" for rank in taken), reverse=descending)
    assert [rank for rank in seen if int(rank) in taken] == stood


def test_a_query_is_not_changed_by_being_paged() -> None:
    query = Query(pk="LIST#0", index="gsi1")
    merge_pages(MemoryTable(), {"0": query}, {}, 5, lambda row: row.sk)
    assert query == replace(query)
