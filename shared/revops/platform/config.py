"""Configuration from the environment, read when asked for and never at import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """What the template tells a function. An empty text means the function was not given it."""

    stage: str
    region: str
    endpoint_url: str | None
    table_name: str
    bus_name: str
    stripe_queue_url: str
    hubspot_queue_url: str
    channel_queue_url: str
    esign_queue_url: str
    import_queue_url: str
    import_bucket: str
    docusign_key_id: str
    order_state_machine_arn: str
    change_relay_function: str
    blob_bucket: str
    secret_prefix: str
    stripe_api_base: str
    hubspot_api_base: str
    hubspot_webhook_url: str
    whatsapp_api_base: str
    public_url: str
    mail_api_base: str
    mail_configuration_set: str
    mail_from: str
    mail_to_ops: str
    webhooks_to_loopback: bool
    release: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Config":
        env = os.environ if environment is None else environment
        return cls(
            stage=env.get("STAGE", "local"),
            region=env.get("AWS_REGION", env.get("AWS_DEFAULT_REGION", "eu-west-2")),
            endpoint_url=env.get("AWS_ENDPOINT_URL") or None,
            table_name=env.get("TABLE_NAME", ""),
            bus_name=env.get("BUS_NAME", ""),
            stripe_queue_url=env.get("STRIPE_QUEUE_URL", ""),
            hubspot_queue_url=env.get("HUBSPOT_QUEUE_URL", ""),
            channel_queue_url=env.get("CHANNEL_QUEUE_URL", ""),
            esign_queue_url=env.get("ESIGN_QUEUE_URL", ""),
            docusign_key_id=env.get("DOCUSIGN_KEY_ID", ""),
            import_queue_url=env.get("IMPORT_QUEUE_URL", ""),
            import_bucket=env.get("IMPORT_BUCKET", ""),
            order_state_machine_arn=env.get("ORDER_STATE_MACHINE_ARN", ""),
            change_relay_function=env.get("CHANGE_RELAY_FUNCTION", ""),
            blob_bucket=env.get("BLOB_BUCKET", ""),
            secret_prefix=env.get("SECRET_PREFIX", ""),
            stripe_api_base=env.get("STRIPE_API_BASE", ""),
            hubspot_api_base=env.get("HUBSPOT_API_BASE", ""),
            hubspot_webhook_url=env.get("HUBSPOT_WEBHOOK_URL", ""),
            whatsapp_api_base=env.get("WHATSAPP_API_BASE", ""),
            public_url=env.get("PUBLIC_URL", ""),
            mail_api_base=env.get("MAIL_API_BASE", ""),
            mail_configuration_set=env.get("MAIL_CONFIGURATION_SET", ""),
            mail_from=env.get("MAIL_FROM", ""),
            mail_to_ops=env.get("MAIL_TO_OPS", ""),
            webhooks_to_loopback=env.get("WEBHOOKS_TO_LOOPBACK", "") == "allowed",
            release=env.get("AWS_LAMBDA_FUNCTION_VERSION", "local"),
        )
