"""The audit: every changed field of every version once, chained by hash, written from the stream alone (SAFE-3)."""

from revops.audit.model import AuditEntry, FieldChange
from revops.audit.policies import changes_between, entry_hash, record_name, verify_chain
from revops.audit.service import ReadAudit, WriteAudit, first_of
from revops.audit.store import audit_key, entries_of

__all__ = [
    "AuditEntry",
    "FieldChange",
    "ReadAudit",
    "WriteAudit",
    "audit_key",
    "changes_between",
    "entries_of",
    "entry_hash",
    "first_of",
    "record_name",
    "verify_chain",
]
