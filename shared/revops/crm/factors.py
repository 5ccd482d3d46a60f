"""What is found out about a lead before it is converted (LEAD-6), and what became of that (LEAD-8): parts of a lead."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from revops.kernel import Money


class Bant(StrEnum):
    """The four factors that accept a lead (LEAD-6)."""

    BUDGET = "budget"
    AUTHORITY = "authority"
    NEED = "need"
    TIMELINE = "timeline"


class Meddicc(StrEnum):
    """The seven factors of the deeper look (LEAD-6)."""

    METRICS = "metrics"
    ECONOMIC_BUYER = "economic_buyer"
    DECISION_CRITERIA = "decision_criteria"
    DECISION_PROCESS = "decision_process"
    IDENTIFY_PAIN = "identify_pain"
    CHAMPION = "champion"
    COMPETITION = "competition"


class AnswerState(StrEnum):
    """What is known of a factor."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


class OutcomeKind(StrEnum):
    """What BANT says in the end."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class _Value(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")


class Answer(_Value):
    """The present answer to a factor: by whom and when."""

    state: AnswerState
    note: str = ""
    by: str
    at: AwareDatetime


class Outcome(_Value):
    """The recorded outcome of BANT, without which nothing is converted. `met` is how many of the four were met then."""

    outcome: OutcomeKind
    met: int
    reason: str = ""
    text: str = ""
    by: str
    at: AwareDatetime


class Qualification(_Value):
    """The answers as they stand, by the name of the factor, and the outcome."""

    answers: dict[str, Answer] = Field(default_factory=dict)
    outcome: Outcome | None = None


class Nomination(_Value):
    """That a lead's score made it worth a look. `number` counts its nominations; one that is not `standing` has lapsed:
    the score fell well below since, or the lead was given up, and the score may nominate again."""

    at: AwareDatetime
    score: int
    number: int = 1
    standing: bool = True


class StatusReason(_Value):
    """Why a lead was recycled, disqualified or found unqualified."""

    status: str
    reason: str
    text: str = ""
    by: str
    at: AwareDatetime


class Before(_Value):
    """What conversion changed on the lead; undoing it puts this back."""

    status: str
    stage: str
    account_id: str = ""


class Conversion(_Value):
    """What a lead became (LEAD-8): made or used, and by which rule. `made_primary` says that the account had no primary
    person before."""

    at: AwareDatetime
    by: str
    account_id: str
    contact_id: str
    opportunity_id: str
    activity_id: str
    account_made: bool
    contact_made: bool
    account_by: str = Field(examples=["company domain"])
    contact_by: str = Field(examples=["e-mail"])
    made_primary: bool = False
    value: Money
    before: Before
