"""Handing lost records to the change relay."""

import json
from collections.abc import Sequence
from typing import Any

from revops.adapters.aws import AwsError, unavailable
from revops.table import Key

_PER_CALL = 200


class RelayRedrive:
    """`Redrive` by an asynchronous call of the relay function, which is retried and ends in the dead-letter queue."""

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._function = function

    def __call__(self, keys: Sequence[Key]) -> None:
        for start in range(0, len(keys), _PER_CALL):
            payload = {"redrive": [list(key) for key in keys[start : start + _PER_CALL]]}
            try:
                self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=json.dumps(payload))
            except AwsError as error:
                raise unavailable("the change relay", error) from error
