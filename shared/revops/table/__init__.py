"""Single-table mechanics: rows, one-transaction commands, claims, due times, signed cursors, stream changes."""

from revops.table.attempts import attempts
from revops.table.changes import Change, parse_record
from revops.table.claims import claim, claim_holder, claim_key, holder_of, release
from revops.table.cursor import CursorSigner
from revops.table.due import Due, due_in_turns, due_index, due_now
from revops.table.entities import Entity, EntityKind, Index, begin, commit_update
from revops.table.port import (
    ConditionFailed,
    Contention,
    Failure,
    Page,
    Query,
    Table,
    Throttled,
    present,
    query_all,
)
from revops.table.row import INDEXES, Key, Row, Stamp
from revops.table.shards import merge_pages, shard_of
from revops.table.transaction import (
    ABSENT,
    ANYTHING,
    MAX_DOC,
    Check,
    Delete,
    Expectation,
    Move,
    Operation,
    Put,
    Transaction,
)

__all__ = [
    "ABSENT",
    "ANYTHING",
    "INDEXES",
    "MAX_DOC",
    "Change",
    "Check",
    "ConditionFailed",
    "Contention",
    "CursorSigner",
    "Delete",
    "Due",
    "Entity",
    "EntityKind",
    "Expectation",
    "Failure",
    "Index",
    "Key",
    "Move",
    "Operation",
    "Page",
    "Put",
    "Query",
    "Row",
    "Stamp",
    "Table",
    "Throttled",
    "Transaction",
    "attempts",
    "begin",
    "claim",
    "claim_holder",
    "claim_key",
    "commit_update",
    "due_in_turns",
    "due_index",
    "due_now",
    "holder_of",
    "merge_pages",
    "parse_record",
    "present",
    "query_all",
    "release",
    "shard_of",
]
