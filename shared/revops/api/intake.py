"""Leads in: the public form and partners (CAP-1, CAP-5)."""

from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from revops.access import HoldRate
from revops.api.views import LeadView, ReceiptView
from revops.channels.form import ReceiveForm
from revops.crm.intake import SubmitLead
from revops.crm.model import Channel
from revops.crm.submission import FormSubmission, LeadSubmission, PartnerSubmission
from revops.kernel import Invalid
from revops.platform.http import Api
from revops.platform.problems import JSON

Parameter = Annotated[str, Query(max_length=500, description="Of the advertisement that was followed")]
FORM_EXAMPLE = {"receipt": "RCP_7ZK3Q9V0M4T2X8B6N1C5R7W9YA"}


@dataclass(frozen=True, slots=True)
class IntakeUseCases:
    """What the intake routes call."""

    receive_form: ReceiveForm
    submit_lead: SubmitLead
    hold_rate: HoldRate


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
    def post_form(
        body: FormSubmission,
        utm_source: Parameter = "",
        utm_medium: Parameter = "",
        utm_campaign: Parameter = "",
        utm_term: Parameter = "",
        utm_content: Parameter = "",
        utm_id: Parameter = "",
        gclid: Parameter = "",
        gbraid: Parameter = "",
        wbraid: Parameter = "",
        gad_source: Parameter = "",
        gad_campaignid: Parameter = "",
        fbclid: Parameter = "",
        msclkid: Parameter = "",
    ) -> Response[ReceiptView]:
        link = {
            "utm_source": utm_source, "utm_medium": utm_medium, "utm_campaign": utm_campaign, "utm_term": utm_term,
            "utm_content": utm_content, "utm_id": utm_id, "gclid": gclid, "gbraid": gbraid, "wbraid": wbraid,
            "gad_source": gad_source, "gad_campaignid": gad_campaignid, "fbclid": fbclid, "msclkid": msclkid,
        }  # fmt: skip
        call = api.public_call("form")
        receipt = use.receive_form(body, api.header("referer"), call, link, api.header("origin"))
        return Response(status_code=202, content_type=JSON, body=ReceiptView(receipt=receipt))

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
        use.hold_rate(call.principal, call)
        key = api.header("idempotency-key")
        if not 1 <= len(key) <= 128:
            wrong = f"has {len(key)} characters" if key else "the header is missing"
            raise Invalid.field("Idempotency-Key", "CAP-5 idempotency-key", wrong, "1–128 characters")
        submission = LeadSubmission.of(body, Channel.PARTNER, idempotency_key=key)
        receipt = use.submit_lead(submission, call)
        lead = receipt.lead.model_copy(update={"resembles": ()})
        view = LeadView.of(lead, names_others=False, consents=receipt.consents)
        return Response(status_code=201 if receipt.created else 200, content_type=JSON, body=view)
