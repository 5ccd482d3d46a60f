"""Leads in: the public form and partners (CAP-1, CAP-5)."""

from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response

from revops.api.views import LeadView, ReceiptView
from revops.crm.intake import SubmitLead
from revops.crm.model import Channel
from revops.crm.submission import FormSubmission, LeadSubmission, PartnerSubmission
from revops.kernel import IdFactory, Invalid
from revops.platform.http import Api
from revops.platform.problems import JSON

FORM_EXAMPLE = {"receipt": "RCP_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"}


@dataclass(frozen=True, slots=True)
class IntakeUseCases:
    """What the intake routes call."""

    submit_lead: SubmitLead
    ids: IdFactory


def add_intake_routes(api: Api, use: IntakeUseCases) -> None:
    """Registers the routes."""

    @api.post(
        "/api/v1/leads",
        "Website form: always 202 with an opaque receipt, so that it tells nobody who is known",
        tag="leads",
        status=202,
        model=ReceiptView,
        errors=(413, 415, 429),
        example=FORM_EXAMPLE,
        security=[],
    )
    def post_form(body: FormSubmission) -> Response[ReceiptView]:
        submission = LeadSubmission.of(body, Channel.FORM, referrer=api.header("referer"))
        use.submit_lead(submission, api.public_call("form"))
        return Response(status_code=202, content_type=JSON, body=ReceiptView(receipt=use.ids.new("RCP")))

    @api.post(
        "/api/v1/partner/leads",
        "A partner's lead: 201 with the new lead, or 200 with the one it repeats",
        tag="leads",
        status=201,
        also={200: "The person is a lead already; this is it"},
        model=LeadView,
        errors=(401, 403, 409, 413, 415, 429),
        security=[{"apiKey": []}],
    )
    def post_partner_lead(body: PartnerSubmission) -> Response[LeadView]:
        call = api.key_call("leads:write")
        key = api.header("idempotency-key")
        if not 1 <= len(key) <= 128:
            raise Invalid.field("Idempotency-Key", "CAP-5 idempotency-key", "the header is missing", "1–128 characters")
        submission = LeadSubmission.of(body, Channel.PARTNER, idempotency_key=key)
        receipt = use.submit_lead(submission, call)
        lead = receipt.lead.model_copy(update={"resembles": ()})
        view = LeadView.of(lead, names_others=False, consents=receipt.consents)
        return Response(status_code=201 if receipt.created else 200, content_type=JSON, body=view)
