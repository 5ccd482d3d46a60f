"""What every slice may use: time, identity, money, errors, strict JSON, blobs, who is asking. Imports none of ours."""

from revops.kernel.blobs import BlobStore
from revops.kernel.clock import Clock, ClockTime, StatedDay, StatedTime, SystemClock, parse_time, time_text
from revops.kernel.context import CallContext, Principal, Role, system_call
from revops.kernel.errors import (
    CapReached,
    Conflict,
    DomainError,
    FieldIssue,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    VersionConflict,
    issue_of,
)
from revops.kernel.ids import IdFactory, RandomIds, id_prefix
from revops.kernel.jsontext import IN_ORDER, JsonError, canonical_json, parse_json
from revops.kernel.money import Money, exact_decimal
from revops.kernel.months import add_months, term_day
from revops.kernel.secret_lists import several

__all__ = [
    "IN_ORDER",
    "BlobStore",
    "CallContext",
    "CapReached",
    "Clock",
    "ClockTime",
    "Conflict",
    "DomainError",
    "FieldIssue",
    "Forbidden",
    "IdFactory",
    "Invalid",
    "JsonError",
    "Money",
    "NotFound",
    "Principal",
    "RandomIds",
    "Refused",
    "Role",
    "StatedDay",
    "StatedTime",
    "SystemClock",
    "TooLarge",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "VersionConflict",
    "add_months",
    "canonical_json",
    "exact_decimal",
    "id_prefix",
    "issue_of",
    "parse_json",
    "parse_time",
    "several",
    "system_call",
    "term_day",
    "time_text",
]
