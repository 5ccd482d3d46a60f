"""What scoring looks at in a lead: what stands on it, and what it came with."""

from typing import TYPE_CHECKING

from revops.crm.free_mail import mail_kind
from revops.scoring import LeadFacts
from revops.scoring.features import origin_of

if TYPE_CHECKING:
    from revops.crm.model import Lead


def facts_of(lead: "Lead") -> LeadFacts:
    """The facts of a lead as it stands, with what it came with."""
    return LeadFacts(
        company_size=lead.company_size,
        industry=lead.industry,
        budget_range=lead.budget_range,
        timeline=lead.timeline,
        authority_level=lead.authority_level or "",
        engagement=tuple([(done.event, done.at) for done in lead.engagement]),
        origin=origin_of(texts_of(lead), lead.as_created),
    )


def texts_of(lead: "Lead") -> tuple[str, ...]:
    """The texts a model learns from, in the order of `revops.scoring.features.FIELDS`."""
    return (
        lead.company_size,
        lead.industry,
        lead.budget_range,
        lead.timeline,
        lead.authority_level or "",
        lead.job_title,
        lead.interest_product,
        lead.country,
        lead.channel,
        lead.attribution.source,
        lead.attribution.medium,
        mail_kind(lead.email),
    )
