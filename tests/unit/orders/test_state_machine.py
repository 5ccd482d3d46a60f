"""The workflow's definition against the code it calls, and the rule files against the rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from revops.orders.model import Step
from revops.orders.policies.compliance import ComplianceRules
from revops.orders.policies.lifecycle import STEPS, WAITS
from revops.orders.policies.pricing import PlanCatalogue
from revops.orders.policies.review import ReviewRules
from revops.orders.workflow import GIVE_UP
from revops.settings import SettingsDocument

PROJECT = Path(__file__).parents[3]
MACHINE: dict[str, Any] = json.loads((PROJECT / "statemachines/order.asl.json").read_text())
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}

pytestmark = pytest.mark.mission("ORD-2")


def payload(state: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = state["Arguments"]["Payload"]
    return found


def test_every_step_an_order_can_call_for_has_its_state() -> None:
    choices = {choice["Condition"].split("'")[1]: choice["Next"] for choice in STATES["Next step"]["Choices"]}
    assert set(choices) == {step.value for step in STEPS.values()}
    for step, name in choices.items():
        assert payload(STATES[name])["step"] == step
    assert {payload(state)["step"] for state in TASKS.values()} == {*choices, "read", GIVE_UP}


def test_waits_hold_a_token_and_end_by_themselves() -> None:
    waiting = {payload(state)["step"]: state for state in TASKS.values() if "task_token" in payload(state)}
    assert set(waiting) == {step.value for step in WAITS}
    for state in waiting.values():
        assert state["Resource"].endswith(":lambda:invoke.waitForTaskToken")
        assert state["TimeoutSeconds"] <= 90 * 86_400
        assert state["Next"] == "Read the order"
        assert state["Catch"][0] == {
            "ErrorEquals": ["States.Timeout"],
            "Next": "Read the order",
            "Output": {"order_id": "{% $states.input.order_id %}"},
        }


def test_ids_alone_travel_and_every_failure_has_somewhere_to_go() -> None:
    for name, state in TASKS.items():
        assert set(payload(state)) <= {"order_id", "step", "task_token", "failed_step", "error"}, name
        assert state["Retry"], name
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        assert set(state["Output"]) <= {"order_id", "next"}, name
        step = payload(state)["step"]
        if step in {each.value for each in Step} and step not in WAITS:
            assert state["Catch"][0]["Next"] == "Give the step up"
            assert state["Catch"][0]["Output"]["failed_step"] == step


def test_no_state_leads_nowhere() -> None:
    leads_to = {MACHINE["StartAt"]}
    for state in STATES.values():
        leads_to |= {branch["Next"] for branch in (*state.get("Choices", ()), *state.get("Catch", ()), state)
                     if "Next" in branch}  # fmt: skip
        leads_to |= {state["Default"]} if "Default" in state else set()
    assert leads_to == set(STATES)


@pytest.mark.parametrize("document", [ReviewRules, PlanCatalogue, ComplianceRules])
def test_the_rule_files_say_what_holds_by_default(document: type[SettingsDocument]) -> None:
    content = json.loads((PROJECT / f"config/{document.SETTING}.json").read_text())
    assert document.model_validate(content) == document()
