"""Conversion under real concurrency: many threads, one table engine that is exact in races (I7, R19)."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from revops.adapters.scan import TableScan
from revops.crm.conversion import ConversionAsked
from revops.crm.model import Lead, LeadStatus
from revops.crm.service import LeadChange
from revops.crm.store import ACCOUNTS, CONTACTS, OPPORTUNITIES
from revops.kernel import Conflict, DomainError, RandomIds
from revops.table import ConditionFailed, Row, begin
from revops.table.dynamo import DynamoTable
from tests.builders.conversion import Desk
from tests.builders.crm import CALL

_PEOPLE = (
    "Asha", "Bruno", "Chika", "Dorota", "Emre", "Fatou", "Goran", "Hyejin", "Ines", "Jorma", "Kwame", "Ludovica",
)  # fmt: skip


def _desk(table: DynamoTable) -> Desk:
    return Desk(table, RandomIds())


def _rows(table: DynamoTable, *kinds: str) -> dict[str, list[Row]]:
    rows = TableScan(table).scan("", 1000).rows
    return {kind: [row for row in rows if row.kind == kind] for kind in kinds}


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_of_24_conversions_of_one_lead_one_makes_everything_and_all_answer_with_it(dynamo_table: DynamoTable) -> None:
    desk = _desk(dynamo_table)
    lead = desk.ready()
    receipts, failures = _at_once([lambda: desk.converted(lead, CALL)] * 24)
    assert failures == []
    assert [receipt.created for receipt in receipts].count(True) == 1
    assert len({receipt.conversion.model_dump_json() for receipt in receipts}) == 1
    rows = _rows(dynamo_table, "ACCOUNT", "CONTACT", "OPPORTUNITY", "ACTIVITY")
    assert {kind: len(found) for kind, found in rows.items()} == dict.fromkeys(rows, 1)


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_conversions_and_changes_of_one_version_have_one_winner(dynamo_table: DynamoTable) -> None:
    desk = _desk(dynamo_table)
    for number in range(6):
        lead = desk.ready(email=f"p{number}@firm{number}.example", company=f"Firm{number}", last_name=f"N{number}")
        edit = [
            lambda lead=lead, n=n: desk.change(lead.id, LeadChange(version=lead.version, job_title=f"{n}"), CALL)
            for n in range(4)
        ]
        convert = [lambda lead=lead: desk.converted(lead, CALL, new_account=True)] * 4
        done, failures = _at_once([*edit, *convert])
        assert all(isinstance(error, Conflict) for error in failures), failures
        edited = [each for each in done if isinstance(each, Lead)]
        stands = desk.stands(lead)
        assert stands.version == lead.version + 1
        if stands.status is LeadStatus.CONVERTED:
            assert (len(edited), stands.job_title) == (0, lead.job_title)
        else:
            assert len(edited) == 1
        converted = [row for row in _rows(dynamo_table, "OPPORTUNITY")["OPPORTUNITY"] if lead.id in row.doc]
        assert len(converted) == (stands.status is LeadStatus.CONVERTED)


@pytest.mark.mission("LEAD-8", "CRM-2")
@pytest.mark.fault("R19")
def test_twelve_people_of_one_new_company_end_in_one_account_with_one_primary_contact(
    dynamo_table: DynamoTable,
) -> None:
    desk = _desk(dynamo_table)
    leads = [
        desk.ready(
            email=f"{name.casefold()}@nordlicht.example",
            first_name=name,
            last_name=name[::-1],
            phone=f"+49 30 90182{n}",
        )
        for n, name in enumerate(_PEOPLE, 10)
    ]
    todo = [lambda lead=lead: _until_done(lambda: desk.converted(desk.stands(lead), CALL)) for lead in leads]
    receipts, failures = _at_once(todo)
    assert failures == []
    assert len({receipt.conversion.account_id for receipt in receipts}) == 1
    rows = _rows(dynamo_table, "ACCOUNT", "CONTACT", "OPPORTUNITY")
    assert {kind: len(found) for kind, found in rows.items()} == {"ACCOUNT": 1, "CONTACT": 12, "OPPORTUNITY": 12}
    contacts = [CONTACTS.load(row) for row in rows["CONTACT"]]
    assert sum(contact.primary for contact in contacts) == 1
    primary = next(contact for contact in contacts if contact.primary)
    assert ACCOUNTS.load(rows["ACCOUNT"][0]).primary_person_id == primary.person_id


@pytest.mark.mission("LEAD-8", "ORD-2")
@pytest.mark.fault("R19")
def test_a_conversion_and_an_order_form_that_make_one_account_make_one_domain_claim(dynamo_table: DynamoTable) -> None:
    desk = _desk(dynamo_table)
    for number in range(8):
        domain = f"werk{number}.example"
        lead = desk.ready(email=f"a@{domain}", company=f"Werk{number}", last_name=f"N{number}")
        order = partial(_until_done, partial(desk.account, f"Werk{number}", f"office@{domain}"))
        done, failures = _at_once([partial(desk.converted, lead, CALL), order])
        assert failures == []
        receipt = next(each for each in done if not isinstance(each, str))
        accounts = [row for row in _rows(dynamo_table, "ACCOUNT")["ACCOUNT"] if f'"Werk{number}"' in row.doc]
        assert len(accounts) == (1 if not receipt.conversion.account_made else 2)
        deal = OPPORTUNITIES.require(dynamo_table, receipt.conversion.opportunity_id)
        assert deal.account_id == receipt.conversion.account_id


@pytest.mark.mission("LEAD-8", "ORD-2")
@pytest.mark.fault("R19")
def test_an_undoing_and_an_order_never_both_happen(dynamo_table: DynamoTable) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(10):
        desk = _desk(dynamo_table)
        lead = desk.ready(email=f"a@bau{number}.example", company=f"Bau{number}", last_name=f"N{number}")
        receipt = desk.converted(lead, CALL)
        made = receipt.conversion

        def order(desk: Desk = desk, made: Any = made, number: int = number) -> str:
            transaction = begin(CALL, desk.clock.now())
            desk.records.build_on(transaction, made.account_id, made.opportunity_id, f"ORD_{number}")
            desk.table.commit(transaction)
            return "ordered"

        done, failures = _at_once([order, partial(desk.undo, lead.id, receipt.lead.version, CALL)])
        assert len(done) == 1, (done, failures)
        assert isinstance(failures[0], DomainError | ConditionFailed)
        ordered = done == ["ordered"]
        outcomes["ordered" if ordered else "undone"] += 1
        assert ACCOUNTS.require(dynamo_table, made.account_id).active is ordered
        assert OPPORTUNITIES.require(dynamo_table, made.opportunity_id).active is ordered
    assert sum(outcomes.values()) == 10


@pytest.mark.mission("LEAD-8")
@pytest.mark.fault("R19")
def test_undone_and_converted_by_many_at_once_it_ends_as_one_of_the_two(dynamo_table: DynamoTable) -> None:
    desk = _desk(dynamo_table)
    lead = desk.ready()

    def convert() -> Any:
        return desk.convert(lead.id, ConversionAsked(version=desk.stands(lead).version), CALL)

    def undo() -> Any:
        return desk.undo(lead.id, desk.stands(lead).version, CALL)

    _, failures = _at_once([convert, undo] * 8)
    assert all(isinstance(error, Conflict) for error in failures), failures
    stands = desk.stands(lead)
    rows = _rows(dynamo_table, "ACCOUNT", "CONTACT", "OPPORTUNITY")
    active = {
        "ACCOUNT": [row for row in rows["ACCOUNT"] if ACCOUNTS.load(row).active],
        "CONTACT": [row for row in rows["CONTACT"] if CONTACTS.load(row).active],
        "OPPORTUNITY": [row for row in rows["OPPORTUNITY"] if OPPORTUNITIES.load(row).active],
    }
    wanted = int(stands.conversion is not None)
    assert {kind: len(found) for kind, found in active.items()} == dict.fromkeys(active, wanted)
    assert (stands.status is LeadStatus.CONVERTED) is bool(wanted)


def _until_done[T](act: Callable[[], T]) -> T:
    """As a client does that was told that something changed meanwhile."""
    for _ in range(60):
        try:
            return act()
        except (Conflict, ConditionFailed, DomainError):
            time.sleep(0.02)
    raise AssertionError("never done")


def _at_once(work: Sequence[Callable[..., Any]]) -> tuple[list[Any], list[Exception]]:
    """What each came to, and what each failed with, all of them started together."""
    barrier = threading.Barrier(len(work))
    results, failures = list[Any](), list[Exception]()

    def one(act: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results.append(act())
        except Exception as error:  # the thread must not swallow what went wrong
            failures.append(error)

    threads = [threading.Thread(target=one, args=(act,)) for act in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, failures
