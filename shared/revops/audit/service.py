"""Writing the audit from the stream, and reading it under the policy."""

from collections.abc import Callable

from revops.access import Policy, Resource
from revops.audit.model import AuditEntry
from revops.audit.policies import entry_for, gap_entry, record_name, verify_chain
from revops.audit.store import audit_key, audit_row, entries_of, head_of, load_entry
from revops.kernel import CallContext, Clock, Forbidden, NotFound, TooLarge, system_call
from revops.table import ABSENT, Change, ConditionFailed, Table, begin


def first_of(change: Change) -> Change | None:
    """The change that made a record, when this one is the next: what stood before it is the record as it was made."""
    return Change("", None, change.before) if change.before is not None and change.before.version == 1 else None


class WriteAudit:
    """One entry per record version, whatever is delivered again and however often (I4)."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def __call__(self, change: Change, lost: Callable[[Change], None] = lambda _: None) -> int:
        """Writes the entry of a change. A version that the stream skipped gets a gap entry, unless it was the first and
        the change shows what it was; `lost` is told of such a change before any entry of it stands. Returns entries
        written."""
        row = change.row
        record = record_name(row)
        version = row.version + 1 if change.after is None else row.version
        previous = self._table.get(audit_key(record, version - 1)) if version > 1 else None
        if previous is not None or version == 1:
            return self._write(entry_for(change, load_entry(previous).hash if previous else ""))[0]
        head = head_of(self._table, record)
        if head is not None and head.version >= version:
            return 0
        lost(change)
        first = first_of(change) if head is None else None
        try:
            written, last_hash = self._write(entry_for(first, "")) if first else self._gap(record, change, head)
        except TooLarge:
            written, last_hash = self._gap(record, change, head)
        return written + self._write(entry_for(change, last_hash))[0]

    def _gap(self, record: str, change: Change, head: AuditEntry | None) -> tuple[int, str]:
        row = change.row
        last = row.version if change.after is None else row.version - 1
        return self.fill(record, row.kind, (head.version if head else 0) + 1, last, head)

    def fill(self, record: str, kind: str, first: int, last: int, head: AuditEntry | None) -> tuple[int, str]:
        """Writes gap entries for versions that no change was seen of. Returns how many, and the last hash."""
        written, last_hash = 0, head.hash if head else ""
        for version in range(first, last + 1):
            count, last_hash = self._write(gap_entry(record, kind, version, last_hash))
            written += count
        return written, last_hash

    def _write(self, entry: AuditEntry) -> tuple[int, str]:
        """Whether it was written, and the hash of the entry that stands: the next one is chained to that."""
        transaction = begin(system_call("audit"), self._clock.now())
        transaction.put(audit_row(entry), ABSENT)
        try:
            self._table.commit(transaction)
        except ConditionFailed as error:  # delivered again, or the sweeper and the relay met: an entry stands
            standing = error.failures[0].current
            return 0, load_entry(standing).hash if standing else entry.hash
        return 1, entry.hash


class ReadAudit:
    """A record's history for those whose right to the audit covers its kind."""

    def __init__(self, table: Table, policy: Policy) -> None:
        self._table = table
        self._policy = policy

    def require_any(self, resource: Resource, call: CallContext) -> None:
        """Raises Forbidden for whoever may see no audit of such records at all. Asked before a record is looked for,
        so that the answer is the same whether it is there or not (S1)."""
        grant = self._policy.grant(call.principal, Resource.AUDIT)
        self._policy.require_any(call.principal, Resource.AUDIT)
        if resource not in grant.of:
            raise Forbidden(f"a {call.principal.role.value} may not see the audit of {resource.value}")

    def __call__(
        self, record: str, resource: Resource, owner_id: str, call: CallContext
    ) -> tuple[list[AuditEntry], list[str]]:
        """The entries, oldest first, and what is wrong with their chain. Raises NotFound, Forbidden."""
        self.require_any(resource, call)
        self._policy.require_read(call.principal, Resource.AUDIT, owner_id, "this record")
        entries = list(entries_of(self._table, record))
        if not entries:
            raise NotFound("audit of this record")
        return entries, verify_chain(entries)
