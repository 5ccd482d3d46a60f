"""Secrets Manager: fetched when needed and again after a while, so that a rotation reaches running functions (S8)."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from revops.adapters.aws import AwsError
from revops.kernel import Unavailable


class Secrets:
    """JSON secrets under a prefix. Fails closed: a secret that cannot be read is Unavailable, never empty (R28)."""

    def __init__(
        self, client: Any, prefix: str, ttl: float = 300.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._ttl = ttl
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, Mapping[str, Any]]] = {}

    def read(self, name: str) -> Mapping[str, Any]:
        """The secret's fields. Raises Unavailable."""
        kept = self._kept.get(name)
        if kept is not None and self._monotonic() - kept[0] < self._ttl:
            return kept[1]
        try:
            fields = json.loads(self._client.get_secret_value(SecretId=self._prefix + name)["SecretString"])
        except (*AwsError, ValueError) as error:
            raise Unavailable(f"the secret {name} could not be read") from error
        self._kept[name] = (self._monotonic(), fields)
        return dict(fields)
