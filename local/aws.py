"""The deployed stack's wiring and clients for commands on this machine, from what stack.json says."""

import os
from collections.abc import Mapping
from typing import Any

import boto3

from revops.bootstrap import Wiring
from revops.platform.config import Config

EMULATOR_ROOT = "test"
"""Name and secret of the emulator's root. On AWS the ordinary credential chain is used instead."""


def sign_in() -> None:
    """Makes the emulator's root the AWS identity of this process, unless it has one."""
    os.environ.setdefault("AWS_ACCESS_KEY_ID", EMULATOR_ROOT)
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", EMULATOR_ROOT)


def wiring_of(stack: Mapping[str, Any]) -> Wiring:
    """The product's own wiring over the deployed table."""
    sign_in()
    return Wiring(
        Config.from_environment(
            {
                "STAGE": "local",
                "AWS_REGION": stack["region"],
                "AWS_ENDPOINT_URL": stack["endpoint_url"],
                "TABLE_NAME": stack["table_name"],
                "BUS_NAME": stack["bus_name"],
                "SECRET_PREFIX": "revops/local/",
                "STRIPE_API_BASE": stack["stripe"]["simulator_url"] or "",
                "HUBSPOT_API_BASE": stack["hubspot"]["simulator_url"] or "",
            }
        )
    )


def client(stack: Mapping[str, Any], service: str) -> Any:
    """A boto3 client of the deployed stack."""
    sign_in()
    return boto3.client(  # type: ignore[call-overload]  # any service, by name
        service, endpoint_url=stack["endpoint_url"], region_name=stack["region"]
    )
