"""SQS: messages for the workers, and when those that failed come again."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from revops.adapters.aws import AwsError, error_code
from revops.platform.logging import LogCode, log_error

_PER_CALL = 10


class SqsQueues:
    """`Queues` on SQS; `urls` maps a queue's name to its URL. A name without a URL is a fault of the template.

    A message's `delay_seconds` (at most 900) is for SQS and does not reach the worker.
    """

    def __init__(self, client: Any, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = urls

    def send(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Ten to a call; returns the positions that were refused."""
        refused: list[int] = []
        for start in range(0, len(messages), _PER_CALL):
            chunk = messages[start : start + _PER_CALL]
            entries = [_entry(number, message) for number, message in enumerate(chunk)]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._urls[queue], Entries=entries)
            except AwsError as error:
                log_error(LogCode.SEND_REFUSED, error, reason_code=error_code(error), queue=queue)
                refused += range(start, start + len(chunk))
                continue
            refused += [start + int(failed["Id"]) for failed in answer.get("Failed", ())]
        return sorted(refused)


def _entry(number: int, message: Mapping[str, Any]) -> dict[str, Any]:
    body = {name: value for name, value in message.items() if name != "delay_seconds"}
    delay = {"DelaySeconds": min(900, int(message["delay_seconds"]))} if message.get("delay_seconds") else {}
    return {"Id": str(number), "MessageBody": json.dumps(body), **delay}


class SqsComeAgain:
    """`ComeAgain` on SQS. A queue's URL follows from its ARN; how long it hides a message is asked of it. `client`
    makes the client, which a worker without failures never needs."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._make = client

    def __call__(self, queue_arn: str, pauses: Mapping[str, int]) -> None:
        client, handles = self._make(), list(pauses)
        account, name = queue_arn.split(":")[-2:]
        url = f"{client.meta.endpoint_url}/{account}/{name}"
        try:
            wanted = ["VisibilityTimeout"]
            hidden = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"][wanted[0]]
            for start in range(0, len(handles), _PER_CALL):
                entries = [
                    {"Id": str(number), "ReceiptHandle": each, "VisibilityTimeout": min(pauses[each], int(hidden))}
                    for number, each in enumerate(handles[start : start + _PER_CALL])
                ]
                client.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        except AwsError as error:
            log_error(LogCode.SEND_REFUSED, error, reason_code=error_code(error), queue=name)
