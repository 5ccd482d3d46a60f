"""A batch as Lambda gets it from a queue, and a queue that notes when what failed is to come again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ARN = "arn:aws:sqs:eu-west-2:000000000000:work"


def batch_of(bodies: Sequence[str], receives: int = 1) -> dict[str, Any]:
    """An event with a record per body, named by its place."""
    return {
        "Records": [
            {
                "messageId": str(number),
                "receiptHandle": f"handle-{number}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "eventSource": "aws:sqs",
                "eventSourceARN": ARN,
            }
            for number, body in enumerate(bodies)
        ]
    }


@dataclass
class NotedPauses:
    """`ComeAgain` that keeps what it was told, by receipt handle."""

    told: dict[str, int] = field(default_factory=dict)

    def __call__(self, queue_arn: str, pauses: Mapping[str, int]) -> None:
        assert queue_arn == ARN
        self.told |= pauses
