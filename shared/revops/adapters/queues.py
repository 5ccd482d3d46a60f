"""SQS: messages for the workers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from revops.adapters.aws import AwsError, error_code
from revops.platform.logging import LogCode, log_error

_PER_CALL = 10


class SqsQueues:
    """`Queues` on SQS; `urls` maps a queue's name to its URL. A name without a URL is a fault of the template."""

    def __init__(self, client: Any, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = urls

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Ten to a call; returns the positions that were refused."""
        refused: list[int] = []
        for start in range(0, len(messages), _PER_CALL):
            chunk = messages[start : start + _PER_CALL]
            entries = [{"Id": str(n), "MessageBody": json.dumps(body)} for n, body in enumerate(chunk)]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._urls[queue], Entries=entries)
            except AwsError as error:
                log_error(LogCode.SEND_REFUSED, error, reason_code=error_code(error), queue=queue)
                refused += range(start, start + len(chunk))
                continue
            refused += [start + int(failed["Id"]) for failed in answer.get("Failed", ())]
        return sorted(refused)
