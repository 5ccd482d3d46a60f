"""A desk where leads are qualified and converted, and a table that fails at a chosen call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from revops.access import Policy
from revops.adapters.account_uses import BilledAccounts
from revops.adapters.crm_records import StoredCrmRecords
from revops.crm.conversion import ConversionAsked, ConversionReceipt, ConvertLead
from revops.crm.conversion_undo import UndoConversion
from revops.crm.factors import AnswerState, Bant, OutcomeKind
from revops.crm.model import Lead, LeadStatus
from revops.crm.qualification import NominateLead, OutcomeGiven, QualificationGiven, QualifyLead
from revops.crm.service import ChangeLead, LeadChange
from revops.crm.store import LEADS
from revops.kernel import CallContext, DomainError, IdFactory, Principal, Role
from revops.orders.ports import NewAccount
from revops.settings import SettingsReader
from revops.table import Key, Page, Query, Row, Table, Transaction, begin
from tests.builders.clock import ManualClock, seeded_ids
from tests.builders.crm import CALL, FixedRoster, submission, submit_lead
from tests.builders.memory_table import MemoryTable

SDR = CallContext(Principal("sdr-1", Role.SDR), request_id="req-9", ip="203.0.113.8", user_agent="tests")


class Desk:
    """The CRM up to conversion over one table. The one SDR is `sdr-1`."""

    def __init__(self, table: Table | None = None, ids: IdFactory | None = None) -> None:
        self.memory = MemoryTable()
        self.table = table or self.memory
        self.clock, self.ids, policy = ManualClock(), ids or seeded_ids(4), Policy()
        self.roster = FixedRoster("sdr-1")
        self.settings = SettingsReader(self.table, ttl=0)
        self.submit = submit_lead(self.table, clock=self.clock, ids=self.ids, roster=self.roster)
        self.change = ChangeLead(self.table, self.clock, policy)
        self.qualify = QualifyLead(self.table, self.clock, policy, self.settings)
        self.nominate = NominateLead(self.table, self.clock, self.settings)
        self.records = StoredCrmRecords(self.table, self.ids)
        quiet: dict[str, Callable[..., Any]] = {"sleep": lambda _: None, "jitter": lambda: 0.0}
        self.convert = ConvertLead(self.table, self.clock, self.ids, policy, self.settings, self.roster, **quiet)
        self.undo = UndoConversion(self.table, self.clock, policy, BilledAccounts(self.table), **quiet)

    def stands(self, lead: Lead) -> Lead:
        """The lead as it is now."""
        return LEADS.require(self.table, lead.id)

    def lead(self, **fields: Any) -> Lead:
        return self.submit(submission(**fields), CALL).lead

    def ready(self, **fields: Any) -> Lead:
        """A lead that may be converted: contacted, BANT answered and accepted, at a score of 79."""
        lead = self.lead(**fields)
        lead = self.change(lead.id, LeadChange(version=lead.version, status=LeadStatus.CONTACTED), CALL)
        lead = self.answered(lead, **dict.fromkeys(Bant, AnswerState.MET))
        given = OutcomeGiven(version=lead.version, outcome=OutcomeKind.ACCEPTED)
        return self.qualify.decide(lead.id, given, CALL)

    def answered(self, lead: Lead, **states: AnswerState) -> Lead:
        answers = {factor: {"state": state} for factor, state in states.items()}
        given = QualificationGiven.model_validate({"version": lead.version, "bant": answers})
        return self.qualify.answer(lead.id, given, CALL)

    def converted(self, lead: Lead, call: CallContext = SDR, **wishes: Any) -> ConversionReceipt:
        return self.convert(lead.id, ConversionAsked(version=lead.version, **wishes), call)

    def account(self, name: str = "Nordlicht GmbH", email: str = "office@elsewhere.example", owner: str = "rep") -> str:
        """An account that an order form made."""
        transaction = begin(CALL, self.clock.now())
        made = self.records.create_account(transaction, self.clock.now(), NewAccount(name, "Weg 1", owner, email))
        self.table.commit(transaction)
        return made.id

    def kinds(self, kind: str) -> list[Row]:
        return [row for row in self.memory.rows.values() if row.kind == kind]


def listed(refusal: DomainError, name: str) -> list[dict[str, Any]]:
    """A list that a refusal carries, such as its obstacles."""
    found: Any = refusal.extra[name]
    return list(found)


class Cut(BaseException):
    """The Lambda is gone, here and now."""


class CuttingTable:
    """A table whose caller dies before or after its n-th call, or before which something happens meanwhile; n = 0 is
    never."""

    def __init__(self, inner: Table) -> None:
        self.inner = inner
        self.at = 0
        self.after = False
        self.calls = 0
        self.meanwhile: Callable[[], object] | None = None

    def arm(self, at: int, *, after: bool = False, meanwhile: Callable[[], object] | None = None) -> None:
        self.at, self.after, self.calls, self.meanwhile = at, after, 0, meanwhile

    def get(self, key: Key, consistent: bool = True) -> Row | None:
        return self._cut(lambda: self.inner.get(key, consistent))

    def get_many(self, keys: Sequence[Key], consistent: bool = True) -> list[Row | None]:
        return self._cut(lambda: self.inner.get_many(keys, consistent))

    def query(self, query: Query) -> Page:
        return self._cut(lambda: self.inner.query(query))

    def commit(self, transaction: Transaction) -> None:
        return self._cut(lambda: self.inner.commit(transaction))

    def _cut[T](self, act: Callable[[], T]) -> T:
        self.calls += 1
        if self.calls == self.at and self.meanwhile is not None:
            self.meanwhile()
            return act()
        if self.calls == self.at and not self.after:
            raise Cut
        done = act()
        if self.calls == self.at:
            raise Cut
        return done


def documents(rows: Mapping[Key, Row]) -> dict[Key, str]:
    """What stands in a table, for comparing."""
    return {key: f"{row.version} {row.doc} {sorted(row.index.items())}" for key, row in rows.items()}
