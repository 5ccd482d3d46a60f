"""A worker's own queue, for what has to come back later."""

import json
from collections.abc import Mapping
from typing import Any

from revops.adapters.aws import AwsError, unavailable


class SqsSyncQueue:
    """`SyncQueue` and the channel worker's `OwnQueue` on SQS."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, message: Mapping[str, Any], delay_seconds: int = 0) -> None:
        """Raises Unavailable when SQS does not take it."""
        try:
            self._client.send_message(
                QueueUrl=self._url, MessageBody=json.dumps(dict(message)), DelaySeconds=delay_seconds
            )
        except AwsError as error:
            raise unavailable("SQS", error) from error
