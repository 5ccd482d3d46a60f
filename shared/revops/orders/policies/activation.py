"""What activation does, as data (ORD-2): whose tenant is opened by whom, the welcome mail, the owner's first tasks.

A placeholder of the mail is `{{plan}}`; the names are a closed list. A value loses every control character, so that
none can start a line of a header (S15), and is never read as a template.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from revops.orders.model import OrderForm, Plan
from revops.settings import SettingsDocument

_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")
_BRACES = re.compile(r"\{\{|\}\}")
SUBJECT = 200


def _values(order: OrderForm) -> Mapping[str, str]:
    terms = order.terms
    return {
        "legal_entity_name": terms.legal_entity_name,
        "signatory_name": terms.signatory_name,
        "plan": terms.plan.value,
        "seats": str(terms.seats),
        "start_date": f"{terms.start_date:%d/%m/%Y}",
        "renewal_date": f"{terms.renewal_date:%d/%m/%Y}",
        "order_id": order.id,
        "tenant_id": order.tenant.tenant_id if order.tenant else "",
    }


FIELDS = frozenset(
    {
        "legal_entity_name",
        "signatory_name",
        "plan",
        "seats",
        "start_date",
        "renewal_date",
        "order_id",
        "tenant_id",
    }
)
"""What the mail may say of an order. `tenant_id` is empty where no tenant was asked for."""


def _checked(text: str) -> str:
    """Raises ValueError for a placeholder that nobody fills in."""
    for name in _PLACEHOLDER.findall(text):
        if name not in FIELDS:
            raise ValueError(f"{{{{{name}}}}} is no placeholder; there are {', '.join(sorted(FIELDS))}")
    if _BRACES.search(_PLACEHOLDER.sub("", text)):
        raise ValueError("braces that are no placeholder")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a subject is one line, without control characters")
    return _checked(text)


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class TenantRules(_Part):
    """Whose tenant the company's own provisioning system opens. `plans` empty: nobody's, and an order is active as soon
    as its documents are there. `sources` are the sources on the bus that may say so; a key or an Admin may by HTTP."""

    plans: tuple[Plan, ...] = ()
    acknowledge_within: Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=30))] = timedelta(hours=1)
    sources: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,200}$")], ...], Field(min_length=0, max_length=20)
    ] = ("tenant-provisioning",)

    @model_validator(mode="after")
    def _others_only(self) -> Self:
        if any(source == "revops" or source.startswith("aws.") for source in self.sources):
            raise ValueError("sources: neither this product nor AWS opens tenants")
        return self


class WelcomeMail(_Part):
    """The mail to the order's contact, in plain text. It is about a contract that holds and not marketing, so it asks
    for no consent."""

    active: bool = True
    subject: Annotated[str, Field(min_length=1, max_length=SUBJECT), AfterValidator(_one_line)] = (
        "Welcome: your {{plan}} plan is active"
    )
    text: Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_checked)] = (
        "Dear {{signatory_name}},\n\n"
        "the {{plan}} plan of {{legal_entity_name}} is active with {{seats}} seats from {{start_date}} on.\n"
        "Your account team will be in touch about your first steps.\n\n"
        "Your order: {{order_id}}\n"
    )

    def written(self, order: OrderForm) -> tuple[str, str]:
        """Subject and text for an order."""
        values = {name: _line(value) for name, value in _values(order).items()}
        subject, text = (_PLACEHOLDER.sub(lambda found: values[found[1]], each) for each in (self.subject, self.text))
        return _line(subject)[:SUBJECT], text


class OnboardingTask(_Part):
    """A task for the owner of the account, so many days after activation. `name` tells it from the others."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    title: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
    after_days: Annotated[int, Field(ge=0, le=365)]


class ActivationRules(SettingsDocument):
    """From a subscription to a customer who is at work."""

    SETTING: ClassVar[str] = "activation"

    tenant: TenantRules = TenantRules()
    welcome: WelcomeMail = WelcomeMail()
    onboarding: Annotated[tuple[OnboardingTask, ...], Field(max_length=20)] = (
        OnboardingTask(name="kick-off", title="Agree on the first steps with the customer", after_days=1),
        OnboardingTask(name="first-use", title="See that the service is used", after_days=14),
        OnboardingTask(name="first-month", title="Look back on the first month together", after_days=30),
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        names = [task.name for task in self.onboarding]
        if len(set(names)) != len(names):
            raise ValueError("onboarding: each task has a name of its own")
        return self


def _line(text: str) -> str:
    """One line, whatever was agreed: it stands in a mail."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
