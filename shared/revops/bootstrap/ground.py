"""The ground of the wiring: configuration, table, time, secrets, queues, the inbox."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from revops.kernel import Clock, IdFactory, RandomIds, SystemClock
from revops.platform.config import Config
from revops.settings import SettingsReader
from revops.table.dynamo import DynamoTable

if TYPE_CHECKING:
    from revops.access import Authenticate, HoldRate, Policy
    from revops.adapters.blobs import S3Blobs
    from revops.adapters.bus import EventBridgeBus
    from revops.adapters.queues import SqsComeAgain, SqsQueues
    from revops.adapters.secrets import Secrets
    from revops.analytics import ApplyRollups
    from revops.audit import WriteAudit
    from revops.inbox import ReceiveSignal, Settlement
    from revops.platform.http import Api
    from revops.stream import KeepDeadLetter
    from revops.table import CursorSigner

ESIGN_PROVIDERS = ("docusign", "adobe_sign")
"""Whose inbox entries the e-sign worker settles."""
CHANNEL_PROVIDERS = ("form", "whatsapp", "twilio", "connect", "mail")
"""Whose inbox entries the channel worker settles."""


class Ground:
    """What every function stands on: configuration, table, time, secrets, queues, the inbox."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config.from_environment()

    @cached_property
    def table(self) -> DynamoTable:
        return DynamoTable(self.config.table_name, self.config.region, self.config.endpoint_url)

    @cached_property
    def clock(self) -> Clock:
        return SystemClock()

    @cached_property
    def ids(self) -> IdFactory:
        return RandomIds()

    @cached_property
    def settings(self) -> SettingsReader:
        return SettingsReader(self.table)

    @property
    def settings_as_they_stand(self) -> SettingsReader:
        """For who reads rules once and must not read old ones: a job at its start, an explanation."""
        return SettingsReader(self.table, ttl=0)

    @cached_property
    def policy(self) -> Policy:
        from revops.access import Policy

        return Policy()

    @cached_property
    def authenticate(self) -> Authenticate:
        from revops.access import Authenticate

        return Authenticate(self.table)

    @cached_property
    def hold_rate(self) -> HoldRate:
        from revops.access import HoldRate

        return HoldRate(self.table, self.clock)

    def aws(self, service: str) -> Any:
        """A client of an AWS service."""
        from revops.adapters.aws import client

        return client(service, self.config.region, self.config.endpoint_url)

    @cached_property
    def secrets(self) -> Secrets:
        from revops.adapters.secrets import Secrets

        return Secrets(self.aws("secretsmanager"), self.config.secret_prefix)

    @cached_property
    def blobs(self) -> S3Blobs:
        from revops.adapters.blobs import S3Blobs

        return S3Blobs(self.aws("s3"), self.config.blob_bucket)

    @cached_property
    def cursors(self) -> CursorSigner:
        from revops.table import CursorSigner

        return CursorSigner(str(self.secrets.read("internal")["signing_key"]).encode())

    def api(self, *, max_body: int = 1_000_000) -> Api:
        """An API whose callers are told apart by this deployment's users and keys."""
        from revops.platform.http import Api

        return Api(self.authenticate, max_body=max_body)

    @cached_property
    def receive_signal(self) -> ReceiveSignal:
        from revops.inbox import ReceiveSignal

        return ReceiveSignal(self.table, self.clock, self.blobs)

    @cached_property
    def settlement(self) -> Settlement:
        from revops.inbox import Settlement

        return Settlement(self.table, self.clock, self.blobs, self.config.release)

    @cached_property
    def write_audit(self) -> WriteAudit:
        from revops.audit import WriteAudit

        return WriteAudit(self.table, self.clock)

    @cached_property
    def bus(self) -> EventBridgeBus:
        from revops.adapters.bus import EventBridgeBus

        return EventBridgeBus(self.aws("events"), self.config.bus_name)

    @cached_property
    def queues(self) -> SqsQueues:
        from revops.adapters.queues import SqsQueues

        urls = {"stripe": self.config.stripe_queue_url, "hubspot": self.config.hubspot_queue_url}
        urls |= dict.fromkeys(CHANNEL_PROVIDERS, self.config.channel_queue_url)
        urls |= dict.fromkeys(ESIGN_PROVIDERS, self.config.esign_queue_url)
        return SqsQueues(self.aws("sqs"), urls)

    @cached_property
    def come_again(self) -> SqsComeAgain:
        from revops.adapters.queues import SqsComeAgain

        return SqsComeAgain(lambda: self.aws("sqs"))

    @cached_property
    def keep_dead_letter(self) -> KeepDeadLetter:
        from revops.stream import KeepDeadLetter

        return KeepDeadLetter(self.table, self.clock, self.blobs)

    @cached_property
    def apply_rollups(self) -> ApplyRollups:
        from revops.analytics import ApplyRollups

        return ApplyRollups(self.table, self.clock)
