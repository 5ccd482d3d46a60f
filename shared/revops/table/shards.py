"""Lists spread over partitions: where a row goes, and how the partitions are read back as one list."""

import heapq
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from revops.table.cursor import encode_position
from revops.table.port import Query, Table
from revops.table.row import INDEXES, Row


def shard_of(identifier: str, shards: int) -> int:
    """A stable shard number for an identifier."""
    return zlib.crc32(identifier.encode()) % shards


def index_text(row: Row) -> str:
    """The sort text of a row in the one index it was found in."""
    return next(iter(row.index.values()))[1]


def merge_pages(
    table: Table,
    partitions: Mapping[str, Query],
    positions: Mapping[str, str],
    limit: int,
    rank: Callable[[Row], str] = index_text,
) -> tuple[list[Row], dict[str, str]]:
    """One page of at most `limit` rows out of several partitions that are each sorted the same way.

    `partitions` names each partition's query, `positions` says where each one stands (`""` = from the start; a name
    that is missing from a non-empty `positions` is exhausted), `rank` gives a row's sort text. Returns the rows, with
    keys only, and the positions after them; no positions means the end.
    """
    names = [name for name in partitions if not positions or name in positions]
    heads: list[tuple[str, list[Row], str]] = []
    for name in names:
        page = table.query(replace(partitions[name], limit=limit, after=positions.get(name, ""), documents=False))
        heads.append((name, page.rows, page.last))
    descending = next(iter(partitions.values())).descending
    chosen: list[tuple[str, Row]] = []
    merged = heapq.merge(
        *([(rank(row), name, row) for row in rows] for name, rows, _ in heads),
        key=lambda entry: entry[0],
        reverse=descending,
    )
    for _, name, row in merged:
        chosen.append((name, row))
        if len(chosen) == limit:
            break
    return [row for _, row in chosen], _positions(partitions, positions, heads, chosen)


def _positions(
    partitions: Mapping[str, Query],
    before: Mapping[str, str],
    heads: Sequence[tuple[str, list[Row], str]],
    chosen: Sequence[tuple[str, Row]],
) -> dict[str, str]:
    after: dict[str, str] = {}
    for name, rows, last in heads:
        taken = [row for chosen_name, row in chosen if chosen_name == name]
        if len(taken) == len(rows):
            if last:
                after[name] = last
        elif taken:
            after[name] = row_position(taken[-1], partitions[name].index)
        else:
            after[name] = before.get(name, "")
    return after


def row_position(row: Row, index: str | None) -> str:
    """The position just after a row of an index or of the table."""

    key = {"pk": {"S": row.pk}, "sk": {"S": row.sk}}
    if index is not None:
        for attribute, text in zip(INDEXES[index], row.index[index], strict=True):
            key[attribute] = {"S": text}
    return encode_position(key)
