"""AWS clients, made when first asked for and kept for the life of the process.

botocore without boto3's resource layer: half the import time, and nothing here uses resources.
"""

from functools import cache, cached_property
from typing import Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from revops.kernel import Unavailable
from revops.table.session import botocore_session

AwsError = (BotoCoreError, ClientError)

_CONFIG = BotoConfig(
    connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}, signature_version=None
)

_ONCE = _CONFIG.merge(
    BotoConfig(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
)
"""For a call that may not be repeated by itself and has to end within 8 seconds."""


class _Client:
    """A service's client, made by its first call: a function is wired for more services than most requests reach."""

    def __init__(self, service: str, region: str, endpoint_url: str | None, config: BotoConfig) -> None:
        self._made_of = (service, region, endpoint_url)
        self._config = config

    @cached_property
    def _client(self) -> Any:
        service, region, endpoint_url = self._made_of
        config = self._config.merge(BotoConfig(signature_version="s3v4")) if service == "s3" else self._config
        return botocore_session().create_client(service, region_name=region, endpoint_url=endpoint_url, config=config)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@cache
def client(service: str, region: str, endpoint_url: str | None, *, once: bool = False) -> Any:
    """A client of a service; one that calls `once` repeats nothing and waits no longer than 8 seconds."""
    return _Client(service, region, endpoint_url, _ONCE if once else _CONFIG)


def error_code(error: Exception) -> str:
    """The service's own code of an error, or the error's type; never its message."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code or type(error).__name__)


def unavailable(service: str, error: Exception) -> Unavailable:
    """What a failed call means to a use case: try again later."""
    return Unavailable(f"{service} did not take the call ({type(error).__name__})")
