"""E-sign: the providers, what sends forms out, what follows them, and the doors of their webhooks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.imports import ImportWiring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from revops.api.esign import EsignWebhooks
    from revops.orders.document import KeepForm
    from revops.orders.model import ESignMethod
    from revops.orders.ports import DocumentLinks, OrderDocument, ReviewTasks, SignatureSender
    from revops.orders.reviewing import WatchReviews
    from revops.signing.converging import ConvergeEnvelope
    from revops.signing.ports import SignatureProvider
    from revops.signing.sweep import HandOverEnvelopes, SweepEnvelopes


class SigningWiring(ImportWiring):
    """What has an order form signed."""

    @cached_property
    def signature_providers(self) -> Mapping[ESignMethod, SignatureProvider]:
        """The e-sign providers. A secret is read when one is called."""
        from revops.adapters.adobe_sign import AdobeSign
        from revops.adapters.docusign import Docusign
        from revops.adapters.kms import KmsSigner
        from revops.orders.model import ESignMethod

        sign = KmsSigner(self.aws("kms"), self.config.docusign_key_id)
        return {
            ESignMethod.DOCUSIGN: Docusign(lambda: self.secrets.read("docusign"), sign, self.clock),
            ESignMethod.ADOBE_SIGN: AdobeSign(lambda: self.secrets.read("adobe_sign")),
        }

    @cached_property
    def order_forms(self) -> KeepForm:
        """The order form as people read and sign it. What prints it is in a layer of its own and loaded when it is
        needed."""
        from revops.bootstrap.printing import LazyPrinter
        from revops.orders.document import KeepForm

        return KeepForm(LazyPrinter(self.settings), self.blobs)

    def form_links(self) -> DocumentLinks:
        from revops.adapters.import_files import S3ImportFiles

        return S3ImportFiles(self.aws("s3"), self.config.blob_bucket)

    @cached_property
    def review_tasks(self) -> ReviewTasks:
        from revops.adapters.review_tasks import CrmReviewTasks

        return CrmReviewTasks(self.table)

    def watch_reviews(self) -> WatchReviews:
        from revops.orders.reviewing import WatchReviews

        return WatchReviews(self.table, self.clock, self.crm_records, self.review_tasks)

    def signature_senders(self) -> Mapping[ESignMethod, SignatureSender]:
        """Who sends a form out, by the method it names: what is sent is what was reviewed."""
        from revops.orders.model import ESignMethod
        from revops.orders.ports import ManualSigning

        return {ESignMethod.MANUAL: ManualSigning(), **self.send_for_signature(self.order_forms)}

    def send_for_signature(self, documents: OrderDocument) -> Mapping[ESignMethod, SignatureSender]:
        """Every e-sign provider as a sender of what `documents` renders."""
        from revops.signing.sending import SendForSignature

        return {
            method: SendForSignature(method, provider, documents, self.table, self.clock, self.blobs, self.settings)
            for method, provider in self.signature_providers.items()
        }

    def converge_envelope(self) -> ConvergeEnvelope:
        from revops.signing.converging import ConvergeEnvelope

        return ConvergeEnvelope(
            self.table,
            self.clock,
            self.blobs,
            self.crm_records,
            self.signature_providers,
            self.settings,
            self.settlement,
        )

    def sweep_envelopes(self) -> SweepEnvelopes:
        from revops.signing.sweep import SweepEnvelopes

        return SweepEnvelopes(self.table, self.clock, self.queues, self.settings)

    def hand_over_envelopes(self) -> HandOverEnvelopes:
        from revops.signing.sweep import HandOverEnvelopes

        return HandOverEnvelopes(self.table, self.queues)

    def esign_webhooks(self) -> EsignWebhooks:
        from revops.adapters.adobe_sign_webhook import adobe_sign_signal, known_client, verify_adobe_sign
        from revops.adapters.docusign_connect import docusign_signal, verify_docusign
        from revops.api.esign import EsignWebhooks
        from revops.signing.receive import ReceiveEnvelopeEvent

        receive = self.receive_signal
        return EsignWebhooks(
            ReceiveEnvelopeEvent(receive, verify_docusign, docusign_signal, lambda: self.secrets.read("docusign")),
            ReceiveEnvelopeEvent(
                receive, verify_adobe_sign, adobe_sign_signal, lambda: self.secrets.read("adobe_sign")
            ),
            lambda headers: known_client(headers, self.secrets.read("adobe_sign")),
        )
