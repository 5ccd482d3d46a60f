"""A company's own fields: each read as the type it was declared with, wherever it comes from (LEAD-1, CAP-10)."""

from typing import Any

import pytest

from revops.access import Policy
from revops.crm.model import Channel
from revops.crm.policies.custom_fields import CustomField, CustomFields, CustomType, read_custom_fields, typed
from revops.crm.service import ChangeLead, LeadChange
from revops.kernel import Invalid
from revops.settings.model import SettingsRecord
from revops.settings.store import SETTINGS
from revops.table import begin
from tests.builders.clock import ManualClock
from tests.builders.crm import CALL, submission, submit_lead
from tests.builders.memory_table import MemoryTable

pytestmark = pytest.mark.mission("LEAD-1", "CAP-10")
DECLARED = CustomFields(
    lead={
        "seats": CustomField(type=CustomType.NUMBER),
        "since": CustomField(type=CustomType.DATE),
        "reseller": CustomField(type=CustomType.YES_NO),
        "segment": CustomField(type=CustomType.CHOICE, choices=("SMB", "Enterprise")),
        "remark": CustomField(type=CustomType.TEXT),
    }
)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("seats", 12, 12),
        ("seats", " 12.50 ", "12.5"),
        ("seats", "1e3", 1000),
        ("seats", 0.5, "0.5"),
        ("seats", 1.125, "1.125"),
        ("seats", "0.125", "0.125"),
        ("seats", "1200.000", 1200),
        ("seats", ".5", "0.5"),
        ("since", "2026-02-28", "2026-02-28"),
        ("reseller", True, True),
        ("reseller", "Nein", False),
        ("segment", "enterprise", "Enterprise"),
        ("remark", "  राहुल  पाटील ", "राहुल पाटील"),
    ],
)
def test_a_value_is_read_as_its_type(name: str, given: Any, kept: Any) -> None:
    assert read_custom_fields({name: given}, DECLARED) == {name: kept}
    assert type(read_custom_fields({name: given}, DECLARED)[name]) is type(kept)


@pytest.mark.fault("S13")
@pytest.mark.parametrize(
    ("name", "given", "rule"),
    [
        ("seats", "many", "CAP-10 number"),
        ("seats", True, "CAP-10 number"),
        ("seats", "NaN", "CAP-10 number"),
        ("seats", "Infinity", "CAP-10 number"),
        ("seats", "1e9999999", "CAP-10 number"),
        ("seats", "1.200", "CAP-10 number"),
        ("seats", "1_200", "CAP-10 number"),
        ("seats", "1,200", "CAP-10 number"),
        ("seats", ".", "CAP-10 number"),
        ("seats", "1" * 29, "CAP-10 number"),
        ("since", "2026-02-30", "CAP-10 date"),
        ("since", "28.02.2026", "CAP-10 date"),
        ("reseller", "perhaps", "CAP-10 yes_no"),
        ("segment", "Mid", "CAP-10 choice"),
        ("remark", "x" * 501, "CAP-10 text"),
        ("shoe_size", "42", "CAP-10 undeclared"),
    ],
)
def test_what_cannot_be_read_names_field_and_rule(name: str, given: Any, rule: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_custom_fields({name: given}, DECLARED)
    assert [(issue.field, issue.rule) for issue in refusal.value.issues] == [(f"custom_fields.{name}", rule)]
    assert refusal.value.issues[0].accepted


def test_nothing_said_is_nothing_kept() -> None:
    assert typed({"seats": None, "remark": ""}, DECLARED) == ({}, ())


def test_a_choice_has_choices_and_nothing_else_has() -> None:
    for wrong in ({"type": "choice"}, {"type": "text", "choices": ["a"]}):
        with pytest.raises(ValueError, match="choice"):
            CustomField.model_validate(wrong)


# -- on a lead -------------------------------------------------------------------------------------------------------


def declared_in(table: MemoryTable) -> MemoryTable:
    clock = ManualClock()
    content = DECLARED.model_dump(mode="json")
    transaction = begin(CALL, clock.now())
    record = SettingsRecord(id="custom_fields", created_at=clock.now(), modified_at=clock.now(), content=content)
    SETTINGS.create(transaction, record)
    table.commit(transaction)
    return table


def test_a_partner_is_refused_what_the_form_keeps_beside() -> None:
    said = {"seats": "many", "segment": "SMB"}
    submit = submit_lead(declared_in(MemoryTable()))
    with pytest.raises(Invalid, match="seats"):
        submit(submission(custom_fields=said), CALL)
    lead = submit(submission(custom_fields=said, channel=Channel.FORM, attribution=None), CALL).lead
    assert lead.custom_fields == {"segment": "SMB"}
    assert lead.metadata == {"seats": "many"}


def test_a_field_of_the_form_that_is_declared_is_read_as_it() -> None:
    form = submission(channel=Channel.FORM, attribution=None, metadata={"seats": "12", "colour": "blue"})
    lead = submit_lead(declared_in(MemoryTable()))(form, CALL).lead
    assert (lead.custom_fields, lead.metadata) == ({"seats": 12}, {"colour": "blue"})


def test_a_further_submission_adds_and_overwrites_nothing() -> None:
    submit = submit_lead(declared_in(MemoryTable()))
    submit(submission(custom_fields={"seats": 12}), CALL)
    lead = submit(submission(custom_fields={"seats": 99, "segment": "SMB"}), CALL).lead
    assert lead.custom_fields == {"seats": 12, "segment": "SMB"}


def test_a_seller_changes_and_takes_away() -> None:
    table = declared_in(MemoryTable())
    lead = submit_lead(table)(submission(custom_fields={"seats": 12, "segment": "SMB"}), CALL).lead
    change = ChangeLead(table, ManualClock(), Policy())
    asked = LeadChange(version=1, custom_fields={"seats": "20", "segment": None, "reseller": "yes"})
    assert change(lead.id, asked, CALL).custom_fields == {"seats": 20, "reseller": True}
    with pytest.raises(Invalid, match="since"):
        change(lead.id, LeadChange(version=2, custom_fields={"since": "soon"}), CALL)
